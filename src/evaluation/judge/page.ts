import { escapeHtml } from '../report/html.js';

/** The page on which judges compare two responses; it asks the server for one pair at a time. */
export function judgePage(questions: Readonly<Record<string, string>>): string {
  const fieldsets = Object.entries(questions).map(([name, question]) => {
    const choice = (value: string, label: string): string =>
      `<label><input type="radio" required name="${name}" value="${value}"> ${label}</label>`;
    return `<fieldset><legend>${escapeHtml(question)}</legend>${choice('left', 'Left')}${choice('tie', 'No difference')}${choice('right', 'Right')}</fieldset>`;
  });
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Which response is better?</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 56rem; padding: 0 1rem; }
#pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
blockquote { background: #f3f4f6; border-radius: .5rem; margin: 0; padding: 1rem; white-space: pre-wrap; }
fieldset { border: 0; margin: 1rem 0; padding: 0; }
legend { font-weight: 600; }
label { margin-right: 1.5rem; }
button { font: inherit; padding: .4rem 1.5rem; }
[hidden] { display: none; }
</style>
<h1>Which response is better?</h1>
<form id="who"><label>Your name <input name="judge" required maxlength="100" autofocus></label><button>Begin</button></form>
<form id="task" hidden>
<p id="progress"></p>
<h2>Conversation</h2>
<blockquote id="context"></blockquote>
<div id="pair"><section><h2>Left</h2><blockquote id="left"></blockquote></section><section><h2>Right</h2><blockquote id="right"></blockquote></section></div>
${fieldsets.join('\n')}
<button>Next</button>
</form>
<p id="end" hidden>All pairs are judged. Thank you.</p>
<p id="error" role="alert"></p>
<script>
const element = (id) => document.getElementById(id);
let judge = '';
let instance = 0;
async function ask(path, options) {
  const response = await fetch(path, options);
  const value = await response.json();
  if (!response.ok) throw new Error(value.error);
  element('error').textContent = '';
  return value;
}
function guard(work) {
  return (event) => {
    event.preventDefault();
    work(event.target).catch((error) => { element('error').textContent = error.message; });
  };
}
async function next() {
  const task = await ask('/task?judge=' + encodeURIComponent(judge));
  element('who').hidden = true;
  element('task').hidden = task === null;
  element('end').hidden = task !== null;
  if (task === null) return;
  instance = task.instance;
  element('task').reset();
  element('progress').textContent = (task.done + 1) + ' of ' + task.total;
  element('context').textContent = task.context.split(' EOS ').join('\\n');
  element('left').textContent = task.left;
  element('right').textContent = task.right;
}
element('who').addEventListener('submit', guard(async (form) => {
  judge = new FormData(form).get('judge');
  await next();
}));
element('task').addEventListener('submit', guard(async (form) => {
  const answers = Object.fromEntries(new FormData(form));
  const body = JSON.stringify({ judge, instance, answers });
  await ask('/judgement', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  await next();
}));
</script>
</html>
`;
}
