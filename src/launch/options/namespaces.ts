/** Which namespaces are new, joined, or the host's: one switch each. */
import { TslayerError } from '../../errors.ts';
import type { NamespaceKind, NamespaceSpec } from '../spec.ts';

const NAMESPACE_PATH = /^ns:(\/.+)$/;

/** `private` (the default) is new, `host` is none, `ns:PATH` is joined. */
export function parseNamespace(type: NamespaceKind, text: string | undefined, alsoNew: string[] = []): NamespaceSpec[] {
  if (text === undefined || text === 'private' || alsoNew.includes(text)) return [{ type }];
  if (text === 'host') return [];
  const path = NAMESPACE_PATH.exec(text)?.[1];
  if (path !== undefined) return [{ type, path }];
  throw new TslayerError('INVALID_ARGUMENT', `${JSON.stringify(text)} is no ${type} namespace`, {
    hint: hintFor(text, `choose ${['private', ...alsoNew, 'host'].join(', ')} or ns:PATH`),
  });
}

/** Docker's words for what is another's doing here. */
function hintFor(text: string, choices: string): string {
  if (text.startsWith('container:'))
    return `${choices}: ns:/proc/PID/ns/… with the pid that inspect tells of the other`;
  return text === 'bridge' ? `${choices}: bridges are built by others, as ip-netns(8) and CNI` : choices;
}
