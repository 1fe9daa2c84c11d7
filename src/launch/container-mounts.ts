/**
 * What the caller mounts for a container: its rootfs, as a detached mount that the init process attaches in its own
 * mount namespace. With a user namespace the binds, too: its root could not reach their sources, and owners are
 * shifted by idmapped mounts, while layers stay as they are on disk.
 */
import { closeSync, openSync } from 'node:fs';
import { TslayerError } from '../errors.ts';
import { holdUnion } from '../mounts/aufs-links.ts';
import type { Mount } from '../mounts/mount.ts';
import { openDetachedMounts, performMounts } from '../mounts/perform.ts';
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
import { isBind } from './init/mounts.ts';
import type { ContainerSpec, MountSpec } from './spec.ts';

export interface MountPaths extends Pick<ContainerPaths, 'rootfs' | 'files'> {
  readonly stages: string;
}

export interface ContainerMounts {
  /** Detached mounts: the rootfs, then each bind of the spec, in order. Empty: the rootfs is at its directory. */
  readonly mounts: readonly number[];
  /** The binds are among them. */
  readonly complete: boolean;
  /** A union of AUFS: to be disposed when the last process in it is gone, or the links in it are split. */
  readonly union?: Disposable | undefined;
}

/** @param pid of the init process, in its user namespace. To be disposed when the container has started. */
export function openContainerMounts(
  spec: ContainerSpec,
  paths: MountPaths,
  pid: number,
  sharesStages: boolean,
): ContainerMounts & Disposable {
  if (spec.userNamespace) return openShifted(spec, paths, `/proc/${pid}/ns/user`);
  const options = { scratch: paths.files, stages: sharesStages ? paths.stages : undefined };
  const rootfs = openDetachedMounts(spec.rootfs.mounts, options);
  if (rootfs !== undefined) return held([rootfs], false);
  // On older kernels, and AUFS: attached on the host until the init process, with its copy of all mounts, has pivoted.
  performMounts(spec.rootfs.mounts, paths.rootfs, options);
  const union = holdUnion(paths.rootfs);
  const detach = (): void => umount(paths.rootfs, MNT_DETACH | UMOUNT_NOFOLLOW);
  return { mounts: [], complete: false, union, [Symbol.dispose]: detach };
}

function held(mounts: readonly number[], complete: boolean): ContainerMounts & Disposable {
  return { mounts, complete, [Symbol.dispose]: () => closeAll(mounts) };
}

function closeAll(mounts: readonly number[]): void {
  for (const mount of mounts) closeSync(mount);
}

function openShifted(spec: ContainerSpec, paths: MountPaths, namespace: string): ContainerMounts & Disposable {
  const opened: number[] = [];
  try {
    opened.push(openRootfs(spec.rootfs.mounts, paths, namespace));
    for (const each of spec.mounts) if (isBind(each)) opened.push(openBind(each, paths, namespace));
    return held(opened, true);
  } catch (error) {
    closeAll(opened);
    throw error;
  }
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
