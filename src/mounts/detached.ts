/** One mount, made by descriptors (fsopen(2), open_tree(2)) and not yet visible anywhere. */
import { closeSync, openSync } from 'node:fs';
import { TslayerError } from '../errors.ts';
import { statFd } from '../sys/at.ts';
import { getCapabilities, setCapabilities } from '../sys/capabilities.ts';
import { closeFd } from '../sys/libc.ts';
import {
  AT_RECURSIVE,
  FsContext,
  MOUNT_ATTR_IDMAP,
  OPEN_TREE_CLONE,
  openTree,
  setMountAttributes,
} from '../sys/mount-api.ts';
import { setFsIds } from '../sys/process.ts';
import type { Mount } from './mount.ts';
import { type MountOptions, type Parameter, parseOptions } from './options.ts';

/** The ids of a user namespace's root as the host sees them. */
export interface MappedRoot {
  readonly uid: number;
  readonly gid: number;
}

/**
 * A detached mount's descriptor. `root` is whom the mount's own files (overlay's work directory) shall belong to:
 * needed where its directories are idmapped, since there the host's root owns nothing.
 */
export function openMount(mount: Mount, root?: MappedRoot): number {
  const options = parseOptions(mount);
  const fd = mount.type === 'bind' ? openBind(mount, options) : actingAs(root, () => openFileSystem(mount, options));
  try {
    if (mount.type === 'bind' && options.attributes !== 0) setMountAttributes(fd, { set: options.attributes }, true);
    if (options.idmap !== undefined) shiftOwners(fd, options.idmap);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

function openBind(mount: Mount, options: MountOptions): number {
  return openTree(mount.source, OPEN_TREE_CLONE | (options.recursive ? AT_RECURSIVE : 0));
}

function openFileSystem(mount: Mount, options: MountOptions): number {
  using context = new FsContext(mount.type);
  context.set('source', mount.source);
  for (const parameter of options.parameters) setParameter(context, mount.type, parameter);
  context.create();
  return context.mount(options.attributes);
}

function setParameter(context: FsContext, type: string, { key, value }: Parameter): void {
  if (value === undefined) context.flag(key);
  else context.set(key, type === 'overlay' ? overlayValue(key, value) : value);
}

/** Overlayfs takes `lowerdir+` as it stands, but strips backslashes from the other two. */
function overlayValue(key: string, value: string): string {
  return key === 'upperdir' || key === 'workdir' ? value.replaceAll('\\', '\\\\') : value;
}

/** Shifts the owners of a detached mount by the user namespace at a path. */
export function shiftOwners(fd: number, userNamespace: string): void {
  const userNamespaceFd = openSync(userNamespace, 'r');
  try {
    setMountAttributes(fd, { set: MOUNT_ATTR_IDMAP, userNamespaceFd });
  } finally {
    closeSync(userNamespaceFd);
  }
}

/** Who root is behind an idmapped mount: its top directory is root's on disk. */
export function rootOf(fd: number): MappedRoot {
  const { uid, gid } = statFd(fd);
  return { uid, gid };
}

const OVERFLOW_ID = 65534;

/**
 * Runs `make` with the file-system ids of `root`. Overlayfs keeps the mounter's credentials for its own work; the
 * host's root does not exist in the mapping of an idmapped upper, and creating the work directory would be
 * EOVERFLOW. Capabilities are kept, though dropping fsuid 0 takes those for files away.
 */
function actingAs<T>(root: MappedRoot | undefined, make: () => T): T {
  if (!root || (root.uid === 0 && root.gid === 0)) return make();
  if (root.uid === OVERFLOW_ID || root.gid === OVERFLOW_ID) {
    throw new TslayerError('INVALID_ARGUMENT', 'the user namespace maps no root');
  }
  const capabilities = getCapabilities();
  try {
    setFsIds(root.uid, root.gid);
    setCapabilities(capabilities);
    return make();
  } finally {
    setFsIds(0, 0);
    setCapabilities(capabilities);
  }
}
