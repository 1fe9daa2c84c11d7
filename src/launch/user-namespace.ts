/**
 * Containers in a user namespace of their own. Node cannot enter one, having threads: unshare(1) makes it, and the
 * init process starts inside. Layers stay as they are on disk; idmapped mounts shift their owners.
 */
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { TslayerError } from '../errors.ts';
import type { Mount } from '../mounts/mount.ts';
import { performMounts } from '../mounts/perform.ts';
import {
  AT_RECURSIVE,
  MNT_DETACH,
  MOUNT_ATTR_IDMAP,
  OPEN_TREE_CLONE,
  openTree,
  setMountAttributes,
  UMOUNT_NOFOLLOW,
  umount,
} from '../sys/mount-api.ts';
import type { ContainerPaths } from './container-store.ts';
import { findProgram } from './programs.ts';
import { CHANNEL_FD } from './protocol.ts';
import type { ContainerSpec, IdRange, MountSpec, UserMapping } from './spec.ts';

/**
 * Its first child is PID 1. The shell outlives it, to tell how it ended as 128+N, which unshare --fork cannot. It
 * closes the socket, whose end says that the program was executed; in the background, standard input would be
 * /dev/null.
 */
const AS_FIRST_CHILD = `exec 9<&0; "$@" <&9 9<&- & exec ${CHANNEL_FD}>&- 9<&-; wait $!; exit $?`;

/**
 * A command that runs `program` in a new user namespace, and with `newPid` as PID 1 of a new PID namespace that
 * belongs to it. The kernel kills all of it with the caller.
 */
export function inNewUserNamespace(newPid: boolean, program: readonly string[]): string[] {
  const unshare = [...dyingWithCaller(), findProgram('unshare'), '--user', '--keep-caps'];
  return newPid ? [...unshare, '--pid', '--', ...asFirstChild(program)] : [...unshare, '--', ...program];
}

/** The same in the caller's user namespace: in a new PID namespace, or the one behind a path. */
export function inPidNamespace(path: string | undefined, program: readonly string[]): string[] {
  const enter =
    path === undefined ? [findProgram('unshare'), '--pid'] : [findProgram('nsenter'), `--pid=${path}`, '-F'];
  return [...dyingWithCaller(), ...enter, '--', ...asFirstChild(program)];
}

function dyingWithCaller(): string[] {
  return [findProgram('setpriv'), '--pdeathsig', 'KILL', '--'];
}

function asFirstChild(program: readonly string[]): string[] {
  return ['/bin/sh', '-c', AS_FIRST_CHILD, 'sh', ...program];
}

/** Whether the caller is root of a user namespace only: the machine's root has all ids, one to one. */
export function inUserNamespace(): boolean {
  const [first, host, count] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/).map(Number);
  return first !== 0 || host !== 0 || count !== 2 ** 32 - 1;
}

/** A command that runs `program` as root of the user namespace that a process is in. */
export function inUserNamespaceOf(pid: number, program: readonly string[]): string[] {
  return [findProgram('nsenter'), `--user=/proc/${pid}/ns/user`, '-S', '0', '-G', '0', '--', ...program];
}

/** Gives the user namespace of a process its ids: user_namespaces(7). */
export function writeMappings(pid: number, { uids, gids }: UserMapping): void {
  const lines = (ranges: readonly IdRange[]): string =>
    ranges.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');
  writeFileSync(`/proc/${pid}/uid_map`, lines(uids));
  writeFileSync(`/proc/${pid}/gid_map`, lines(gids));
}

export interface MountPaths extends Pick<ContainerPaths, 'rootfs' | 'files'> {
  readonly stages: string;
}

/**
 * The rootfs and the binds as detached mounts, made with the host's privilege, owners shifted to the user namespace
 * of `pid`. The caller closes them.
 */
export function openContainerMounts(spec: ContainerSpec, paths: MountPaths, pid: number): number[] {
  const namespace = `/proc/${pid}/ns/user`;
  const opened: number[] = [];
  try {
    opened.push(openRootfs(spec.rootfs.mounts, paths, namespace));
    for (const each of spec.mounts) if (isBind(each)) opened.push(openBind(each, paths, namespace));
    return opened;
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    throw error;
  }
}

function isBind({ type }: MountSpec): boolean {
  return type === 'bind' || type === 'file';
}

/** Attached on the host for as long as it takes to copy it. */
function openRootfs(mounts: readonly Mount[], paths: MountPaths, namespace: string): number {
  performMounts(shiftMounts(mounts, namespace), paths.rootfs, { scratch: paths.files, stages: paths.stages });
  try {
    return openTree(paths.rootfs, OPEN_TREE_CLONE | AT_RECURSIVE);
  } finally {
    umount(paths.rootfs, MNT_DETACH | UMOUNT_NOFOLLOW);
  }
}

/** Drivers leave room for the namespace; a plain bind mount is shifted by itself. */
export function shiftMounts(mounts: readonly Mount[], namespace: string): Mount[] {
  const isShift = (option: string): boolean => option.startsWith('idmap=');
  const option = `idmap=${namespace}`;
  const [only] = mounts;
  if (mounts.some(({ options }) => options.some(isShift))) {
    return mounts.map((mount) => ({ ...mount, options: mount.options.map((each) => (isShift(each) ? option : each)) }));
  }
  if (mounts.length === 1 && only?.type === 'bind') return [{ ...only, options: [...only.options, option] }];
  throw new TslayerError('UNSUPPORTED', "this store's driver has no mounts that a user namespace can use", {
    hint: 'use the driver erofs, overlayfs or vfs, or run with --userns host',
  });
}

function openBind(spec: MountSpec, paths: MountPaths, namespace: string): number {
  const source = spec.type === 'file' ? `${paths.files}/${spec.source}` : spec.source;
  const fd = openTree(source, OPEN_TREE_CLONE | (spec.options.includes('rbind') ? AT_RECURSIVE : 0));
  try {
    if (spec.options.includes('idmap')) shift(fd, namespace);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function shift(fd: number, namespace: string): void {
  const userNamespaceFd = openSync(namespace, 'r');
  try {
    setMountAttributes(fd, { set: MOUNT_ATTR_IDMAP, userNamespaceFd });
  } finally {
    closeSync(userNamespaceFd);
  }
}
