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
    hint: `choose ${['private', ...alsoNew, 'host'].join(', ')} or ns:PATH`,
  });
}
