/** `--security-opt` and `--userns`. */
import { TslayerError } from '../../errors.ts';
import type { IdRange, UserMapping } from '../spec.ts';
import { parseRange, takeRange } from './id-ranges.ts';

export interface SecurityOptions {
  /** `default`, `unconfined`, or the path of a profile. */
  readonly seccomp: string;
  readonly noNewPrivileges: boolean;
  /** Nothing masked, nothing read-only. */
  readonly systemPathsUnconfined: boolean;
}

/** A privileged container starts from no protection; each option says otherwise by name. */
export function parseSecurityOptions(texts: readonly string[], privileged: boolean): SecurityOptions {
  let seccomp = privileged ? 'unconfined' : 'default';
  let noNewPrivileges = !privileged;
  let systemPathsUnconfined = privileged;
  for (const text of texts) {
    const [, key = text, value] = /^([a-z-]+)[=:](.*)$/.exec(text) ?? [];
    if (key === 'seccomp' && value) seccomp = value;
    else if (key === 'no-new-privileges') noNewPrivileges = parseBoolean(text, value);
    else if (key === 'systempaths' && value === 'unconfined') systemPathsUnconfined = true;
    else if (key === 'label' || key === 'apparmor') requireNoLabel(text, value);
    else refuse(text, 'not understood');
  }
  return { seccomp, noNewPrivileges, systemPathsUnconfined };
}

function parseBoolean(text: string, value: string = 'true'): boolean {
  if (value === 'true' || value === 'false') return value === 'true';
  return refuse(text, 'true or false');
}

/** That there shall be no label is what is the case. */
function requireNoLabel(text: string, value: string | undefined): void {
  if (value !== 'disable' && value !== 'unconfined') refuse(text, 'this launcher sets no such label');
}

function refuse(text: string, why: string): never {
  throw new TslayerError('INVALID_ARGUMENT', `--security-opt ${JSON.stringify(text)}: ${why}`, {
    hint: 'known are seccomp=FILE, seccomp=unconfined, no-new-privileges[=false], systempaths=unconfined',
  });
}

/** A range of host ids that no one else uses. */
export interface SubordinateRange {
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
}

/** Whose ids a user namespace is given. */
export interface IdOwner {
  /** All that `auto` may give; each container takes a part. */
  readonly automaticRanges: () => SubordinateRange;
  /** The caller is root of a user namespace only, and has no ids but its own. */
  readonly inUserNamespace: () => boolean;
}

/** `auto` takes the first range of the host's; `UID:GID:COUNT` names one. Undefined: the caller's user namespace. */
export function parseUserNamespace(
  text: string | undefined,
  { automaticRanges, inUserNamespace }: IdOwner,
): UserMapping | undefined {
  if (text === undefined || text === 'host') return undefined;
  if (inUserNamespace()) {
    throw new TslayerError('UNSUPPORTED', "--userns takes the machine's root: the ids are not the user's to give", {
      hint: "leave it out: an ordinary user's containers are in a user namespace already",
    });
  }
  const range = text === 'auto' ? takeRange(automaticRanges(), []) : parseRange(text);
  if (range !== undefined) return mapping(range);
  throw new TslayerError('INVALID_ARGUMENT', `--userns ${JSON.stringify(text)}: write host, auto or UID:GID:COUNT`);
}

function mapping({ uid, gid, size }: SubordinateRange): UserMapping {
  const range = (hostID: number): IdRange[] => {
    if (size < 1 || hostID < 1 || hostID + size > 2 ** 32 - 1) {
      throw new TslayerError('INVALID_ARGUMENT', `--userns: ${hostID} and ${size} ids from there are no range`, {
        hint: 'the range starts above 0, so that root inside is not root outside',
      });
    }
    return [{ containerID: 0, hostID, size }];
  };
  return { uids: range(uid), gids: range(gid) };
}
