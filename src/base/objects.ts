/** The object without the entries that are undefined, as options that were not given are. */
export function defined<T extends object>(
  options: T,
): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  const result: { [Key in keyof T]?: Exclude<T[Key], undefined> } = {};
  return Object.assign(result, Object.fromEntries(entries));
}
