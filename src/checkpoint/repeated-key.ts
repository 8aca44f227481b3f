/**
 * The first key that an object somewhere in a JSON document has twice; `JSON.parse` would keep
 * only the last of the two values without a word.
 *
 * @param json a document that `JSON.parse` accepts.
 */
export function repeatedKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  let text = '';
  for (let index = 0; index < json.length; index++) {
    const character = json[index];
    if (character === '"') {
      const end = endOfString(json, index);
      text = json.slice(index, end);
      index = end - 1;
    } else if (character === '{' || character === '[') {
      open.push(new Set());
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === ':') {
      const keys = open.at(-1);
      const key = String(JSON.parse(text));
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}

/** The index after the closing quotation mark of the string that opens at `start`. */
function endOfString(json: string, start: number): number {
  let index = start + 1;
  while (json[index] !== '"') index += json[index] === '\\' ? 2 : 1;
  return index + 1;
}
