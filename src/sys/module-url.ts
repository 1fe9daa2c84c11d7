/** Finds worker modules beside the caller, in the sources (`.ts`) as in the build (`.js`). */

/** `moduleUrl('./worker', import.meta.url)`: the module with the caller's own extension. */
export function moduleUrl(path: string, caller: string): URL {
  const extension = caller.endsWith('.ts') ? '.ts' : '.js';
  return new URL(path + extension, caller);
}
