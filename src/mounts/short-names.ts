/**
 * What a lower directory is called below the directory that all of them have in common, where paths do not fit into
 * the options of mount(2): `ID` for `ID/diff`. Hidden directories are places for several: `HASH` for `.stacks/HASH/diff`.
 */
export function shortNameOf(source: string, path: string): string {
  const [first = '', second] = path.slice(source.length + 1).split('/');
  return first.startsWith('.') && second !== undefined ? second : first;
}
