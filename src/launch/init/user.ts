/**
 * `--user` by name, from the rootfs's own /etc/passwd and /etc/group. They belong to the image: opened without
 * leaving the rootfs, regular files only, no more than a megabyte (CVE-2024-9676), ids in range (CVE-2024-40635).
 */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { O_NONBLOCK, O_RDONLY } from '../../sys/at.ts';
import { openat2, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, S_IFREG } from '../../sys/files.ts';
import { hasErrno } from '../../sys/libc.ts';
import type { RemoteProcess } from '../../sys/remote/process.ts';
import { LaunchError } from '../errors.ts';
import { Rootfs } from './rootfs.ts';

const O_CLOEXEC = 0o2000000;
const MAX_BYTES = 1024 * 1024;
/** The kernel's ids are 32 bits and -1 means "no change"; above 2^31 - 1 programs disagree about the sign. */
const MAX_ID = 2 ** 31 - 1;

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  readonly home: string;
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** `user`: docker's `name|uid[:group|gid]`. A number need not be in the files, a name must. */
export function resolveUser(init: RemoteProcess, user: string, additionalGroups: readonly string[]): ResolvedUser {
  using root = new Rootfs(init, '/');
  return findUser(user, additionalGroups, readText(root, '/etc/passwd'), readText(root, '/etc/group'));
}

/** The same for a rootfs that is mounted in a directory. */
export function resolveUserIn(directory: string, user: string, additionalGroups: readonly string[]): ResolvedUser {
  const [passwd, group] = [readTextIn(directory, '/etc/passwd'), readTextIn(directory, '/etc/group')];
  return findUser(user, additionalGroups, passwd, group);
}

/** The pure part, over the files' texts. */
export function findUser(
  user: string,
  additionalGroups: readonly string[],
  passwd: string,
  groupFile: string,
): ResolvedUser {
  const [who = '', which] = user.split(':', 2);
  const groups = parseGroups(groupFile);
  const account = findAccount(who || '0', parsePasswd(passwd));
  const gid = which ? findGroup(which, groups) : account.gid;
  // Docker's rule: memberships count when no group was named.
  const memberships = which ? [] : groups.filter(({ members }) => account.name && members.includes(account.name));
  const supplementary = [...memberships.map((g) => g.gid), ...additionalGroups.map((g) => findGroup(g, groups))];
  return { uid: account.uid, gid, groups: [...new Set([gid, ...supplementary])], home: account.home };
}

function findAccount(who: string, accounts: readonly Account[]): Account {
  const id = parseId(who);
  const known = accounts.find(({ name, uid }) => name === who || uid === id);
  if (known) return known;
  if (id === undefined) {
    throw new LaunchError(125, 'NOT_FOUND', `no user ${JSON.stringify(who)} in the image's /etc/passwd`);
  }
  return { name: '', uid: id, gid: 0, home: id === 0 ? '/root' : '/' };
}

function findGroup(which: string, groups: readonly Group[]): number {
  const id = parseId(which);
  const known = groups.find(({ name, gid }) => name === which || gid === id);
  if (known) return known.gid;
  if (id === undefined) {
    throw new LaunchError(125, 'NOT_FOUND', `no group ${JSON.stringify(which)} in the image's /etc/group`);
  }
  return id;
}

/** Undefined for a name. Digits that are no id (4294967296 wraps to root) are an error, not a name. */
function parseId(text: string): number | undefined {
  if (!/^-?\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id >= 0 && id <= MAX_ID) return id;
  throw new LaunchError(125, 'INVALID_ARGUMENT', `${text} is no user or group id: ids go from 0 to ${MAX_ID}`);
}

const isId = (id: number): boolean => Number.isInteger(id) && id >= 0 && id <= MAX_ID;
const number = (text: string | undefined): number => (/^\d+$/.test(text ?? '') ? Number(text) : -1);

/** Lines that are not understood are left out, as the C library does. */
function parsePasswd(text: string): Account[] {
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid, , home]) => ({ name, uid: number(uid), gid: number(gid), home: home || '/' }))
    .filter(({ name, uid, gid }) => name !== '' && isId(uid) && isId(gid));
}

function parseGroups(text: string): Group[] {
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , gid, members = '']) => ({ name, gid: number(gid), members: members.split(',') }))
    .filter(({ name, gid }) => name !== '' && isId(gid));
}

/** Empty when there is no such file. */
function readText(root: Rootfs, path: string): string {
  const fd = root.open(path, 'follow', O_RDONLY | O_NONBLOCK);
  if (fd === undefined) return '';
  try {
    const { type, size } = root.init.statFd(fd);
    requireFit(path, type === S_IFREG, size);
    return root.init.read(fd).toString();
  } finally {
    root.init.close(fd);
  }
}

/** The same in a directory of the caller's own. */
function readTextIn(directory: string, path: string): string {
  const root = openSync(directory, 'r');
  try {
    const fd = openat2(root, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    try {
      const stat = fstatSync(fd);
      requireFit(path, stat.isFile(), stat.size);
      return readFileSync(fd, 'utf8');
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return '';
    throw error;
  } finally {
    closeSync(root);
  }
}

function requireFit(path: string, isFile: boolean, size: number): void {
  if (isFile && size <= MAX_BYTES) return;
  throw new LaunchError(125, 'UNSAFE_LAYER', `the image's ${path} is no regular file of at most ${MAX_BYTES} bytes`);
}
