/** Names of images as results show them. */

/** `NAME@sha256:…`: pulls the same again, whatever the tag moves to. */
export function canonicalName({ name, digest }: { readonly name: string; readonly digest: string }): string {
  // A tag follows the last slash; a colon before it is a port's.
  return `${name.replace(/@.*$/, '').replace(/:[^:/]*$/, '')}@${digest}`;
}
