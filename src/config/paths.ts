/**
 * Where things are when nobody said otherwise: the store and the configuration files. Root's are the system's,
 * everybody else's follow the XDG Base Directory Specification.
 */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** Tells a process that is root of a user's namespace only whose it is: `tslayer unshare`, and what it is used for. */
export const ROOTLESS_UID = 'TSLAYER_ROOTLESS_UID';

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Effective user id; in a user's own namespace that of the user. */
  readonly uid: number;
}

export const SYSTEM_CONFIG = '/etc/tslayer/config.toml';
const SYSTEM_ROOT = '/var/lib/tslayer';

export function surroundings(): Surroundings {
  const { env } = process;
  return { env, uid: env[ROOTLESS_UID] ? Number(env[ROOTLESS_UID]) : (process.geteuid?.() ?? -1) };
}

/** An XDG directory; the specification says to ignore relative values. */
function xdg({ env }: Surroundings, name: string, fallback: string): string {
  const value = env[name];
  return value && isAbsolute(value) ? value : join(env.HOME || homedir(), fallback);
}

export function defaultRoot(where: Surroundings): string {
  return where.uid === 0 ? SYSTEM_ROOT : join(xdg(where, 'XDG_DATA_HOME', '.local/share'), 'tslayer');
}

/** Configuration files in the order they are read; a later one overrides an earlier one. */
export function configFiles(where: Surroundings): string[] {
  return [SYSTEM_CONFIG, join(xdg(where, 'XDG_CONFIG_HOME', '.config'), 'tslayer', 'config.toml')];
}
