/** What a container is called on its network. */
import { TslayerError } from '../../errors.ts';
import type { SpecHost } from '../host.ts';
import { hasNew } from '../init/namespaces.ts';
import type { NamespaceSpec } from '../spec.ts';

/** With UTS or network the host's, the name is too: what resolves there is the host's own. */
export function hostnameFor(
  id: string,
  uts: NamespaceSpec | undefined,
  network: NamespaceSpec | undefined,
  host: SpecHost,
): string {
  if (uts?.path !== undefined) return host.hostnameIn(uts.path);
  return uts && network ? id : host.hostname();
}

export function checkHostname(hostname: string | undefined, namespaces: readonly NamespaceSpec[]): string | undefined {
  if (hostname === undefined) return undefined;
  if (!hasNew(namespaces, 'uts'))
    throw new TslayerError('INVALID_ARGUMENT', '--hostname needs a UTS namespace of its own');
  if (!/^[A-Za-z0-9]([A-Za-z0-9.-]{0,62})$/.test(hostname)) {
    throw new TslayerError('INVALID_ARGUMENT', `${JSON.stringify(hostname)} is no host name of at most 63 characters`);
  }
  return hostname;
}
