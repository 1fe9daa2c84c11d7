/** Contents of /etc/hosts, /etc/hostname and /etc/resolv.conf. */
import { isIP } from 'node:net';
import { TslayerError } from '../../errors.ts';
import type { GeneratedFiles } from '../spec.ts';

export interface NetworkFacts {
  readonly hostname: string;
  /** The host's own files, which a container with the host's network sees. */
  readonly hostHosts: string | undefined;
  readonly hostResolvConf: string | undefined;
  readonly hostNetwork: boolean;
  /** `NAME:IP` */
  readonly addHost: readonly string[];
  readonly dns: readonly string[];
}

const LOOPBACK_HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

export function generateFiles(facts: NetworkFacts): GeneratedFiles {
  const own = facts.hostNetwork ? (facts.hostHosts ?? '') : `${LOOPBACK_HOSTS}127.0.0.1\t${facts.hostname}\n`;
  const added = facts.addHost.map(parseHost).map(([name, address]) => `${address}\t${name}\n`);
  const resolvConf =
    facts.dns.length > 0 ? facts.dns.map((server) => `nameserver ${address(server)}\n`).join('') : facts.hostResolvConf;
  return {
    hosts: own + added.join(''),
    hostname: `${facts.hostname}\n`,
    ...(resolvConf !== undefined && { resolvConf }),
  };
}

function parseHost(text: string): [name: string, address: string] {
  const at = text.search(/[:=]/);
  const name = text.slice(0, Math.max(at, 0));
  if (!/^[\w.-]+$/.test(name))
    throw new TslayerError('INVALID_ARGUMENT', `--add-host ${JSON.stringify(text)}: write NAME:IP`);
  return [name, address(text.slice(at + 1))];
}

function address(text: string): string {
  const bare = text.replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) === 0) throw new TslayerError('INVALID_ARGUMENT', `${JSON.stringify(text)} is no IP address`);
  return bare;
}
