/**
 * Certificates by host, as docker and podman keep them: certs.d/HOST/ with `*.crt` for authorities and pairs of
 * `*.cert` and `*.key` for the client. containers-certs.d(5).
 */
import { join } from 'node:path';
import { TslayerError } from '../../src/errors.ts';
import type { Connection } from '../endpoint.ts';
import { type ConfigPlaces, listIfThere, readIfThere } from './files.ts';
import { hostDirectories } from './hosts-toml.ts';

export class HostCertificates {
  readonly #places: ConfigPlaces;
  readonly #known = new Map<string, Connection>();

  constructor(places: ConfigPlaces) {
    this.#places = places;
  }

  /** @param host host[:port] */
  of(host: string): Connection {
    let known = this.#known.get(host);
    if (!known) {
      known = load(this.#places, host);
      this.#known.set(host, known);
    }
    return known;
  }
}

function load(places: ConfigPlaces, host: string): Connection {
  for (const dir of places.certsDirs.flatMap((base) => hostDirectories(host).map((name) => join(base, name)))) {
    const names = listIfThere(dir);
    const ca: string[] = [];
    for (const name of names.filter((file) => file.endsWith('.crt'))) ca.push(read(dir, name));
    const pair = names.find((file) => file.endsWith('.cert'));
    if (ca.length === 0 && pair === undefined) continue;
    const client = pair === undefined ? {} : { cert: read(dir, pair), key: read(dir, pair.replace(/\.cert$/, '.key')) };
    return { ...(ca.length > 0 && { ca: ca.join('\n') }), ...client };
  }
  return {};
}

function read(dir: string, name: string): string {
  const text = readIfThere(join(dir, name));
  if (text === undefined) throw new TslayerError('NOT_FOUND', `${join(dir, name)} cannot be read`);
  return text;
}
