/** The page that shows a run: numbers and replies as they come, the curves as they are drawn. */
export function dashboardPage(run: string): string {
  const name = run.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${name} – training</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1rem; }
dt { color: #555; font-size: .85rem; }
dd { font-size: 1.3rem; font-variant-numeric: tabular-nums; margin: 0; }
progress, img { width: 100%; }
blockquote { background: #f3f4f6; border-radius: .5rem; margin: .5rem 0; padding: .5rem 1rem; }
blockquote p { margin: 0; white-space: pre-wrap; }
blockquote p:first-child { color: #555; }
</style>
<h1>${name}</h1>
<progress id="progress" value="0" max="1"></progress>
<p id="status" role="status">Waiting for the first step.</p>
<dl>
<div><dt>Training loss</dt><dd id="loss">–</dd></div>
<div><dt>Held-out perplexity</dt><dd id="perplexity">–</dd></div>
<div><dt>Learning rate</dt><dd id="learningRate">–</dd></div>
<div><dt>Tokens a second</dt><dd id="speed">–</dd></div>
<div><dt>Norm of the gradient</dt><dd id="gradientNorm">–</dd></div>
</dl>
<img id="curves" alt="The curves of the run" hidden>
<h2>Replies</h2>
<div id="samples">None yet.</div>
<script>
const element = (id) => document.getElementById(id);
const formats = {
  loss: (value) => value.toFixed(3),
  perplexity: (value) => value.toFixed(2),
  learningRate: (value) => value.toExponential(2),
  speed: (value) => Math.round(value).toLocaleString(),
  gradientNorm: (value) => value.toFixed(3),
};
let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  element('curves').src = '/curves.svg?' + Date.now();
}
element('curves').onload = () => { drawing = false; element('curves').hidden = false; };
element('curves').onerror = () => { drawing = false; };
function quote({ turn, reply }) {
  const box = document.createElement('blockquote');
  for (const text of [turn, reply]) {
    const line = document.createElement('p');
    line.textContent = text;
    box.append(line);
  }
  return box;
}
function show(state) {
  if (state.step !== undefined) {
    element('status').textContent = 'Step ' + state.step + (state.steps > 0 ? ' of ' + state.steps : '');
    if (state.steps > 0) { element('progress').max = state.steps; element('progress').value = state.step; }
    draw();
  }
  for (const [name, format] of Object.entries(formats)) {
    if (typeof state[name] === 'number') element(name).textContent = format(state[name]);
  }
  if (state.samples.length > 0) element('samples').replaceChildren(...state.samples.map(quote));
}
const events = new EventSource('/events');
events.addEventListener('news', (event) => show(JSON.parse(event.data)));
events.addEventListener('end', (event) => {
  events.close();
  show(JSON.parse(event.data));
  element('status').textContent += ': the run has ended.';
});
events.onerror = () => { element('status').textContent += ': the connection is lost.'; };
</script>
</html>
`;
}
