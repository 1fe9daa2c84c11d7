import { kernelFeatures } from '../../src/mounts/kernel.ts';

/**
 * Options of every overlay that a driver makes, whatever its layers are, so that an upper directory means the same
 * everywhere:
 * - `redirect_dir=nofollow`: a renamed lower directory would be stored as a pointer, which means nothing in another
 *   stack; rename(2) of one is EXDEV, which mv(1) and package managers answer by copying. Nor are pointers followed,
 *   so that a layer cannot smuggle one in.
 * - `metacopy=off`: a copied-up file is whole, so that an upper directory can be read by itself.
 * - `index=off`: an index refuses a snapshot (ESTALE) once a layer was unpacked anew, as a repair does. The price: a
 *   hard link of which one name is written to becomes two files, as on every peer.
 * - `xino=auto`: inode numbers are unique although layers may lie on several file systems.
 */
export const FEATURE_OPTIONS: readonly string[] = ['index=off', 'redirect_dir=nofollow', 'metacopy=off', 'xino=auto'];

/** Whether overlayfs takes `volatile`. Since 5.10; kernels that lack a later option are not asked: it saves time, nothing else. */
export function knowsVolatile(): boolean {
  return kernelFeatures().lowerdirAdd;
}

/** OVL_MAX_STACK in fs/overlayfs/params.h: since Linux 4.x, and for lower directories alone. */
export const MAX_LOWER = 500;
