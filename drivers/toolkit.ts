/**
 * What the drivers of tslayer are made of, for drivers from outside: `tslayer/drivers/toolkit`. Nothing in it is
 * needed to be a driver; all of it has been through the conformance suite.
 */

export type { TarEntry, Timestamp, Xattr } from '../src/archive/entry.ts';
export { type ExtractOptions, extractionPlan } from '../src/archive/extract/plan.ts';
export type { LayerSink, OpenSink, SinkPlan, SinkResult, TarPlace } from '../src/archive/sink.ts';
export { asTslayerError, type ErrorCode, isTslayerError, TslayerError } from '../src/errors.ts';
export type { Mount } from '../src/mounts/mount.ts';
export { type OpenedMounts, openMounts } from '../src/mounts/open.ts';
export { performMounts } from '../src/mounts/perform.ts';
export { unmount } from '../src/mounts/unmount.ts';
export type { StatAt } from '../src/sys/at.ts';
export type { Origin } from './changes/compare.ts';
export { type ChangesOptions, changesOf } from './changes/index.ts';
export { overlaySpelling } from './changes/overlay.ts';
export { type Listing, type Spelling, wholeTree } from './changes/spelling.ts';
export { Directories, type DirectoriesOptions, type Draft } from './directories/directories.ts';
export { dressRoot, openDirectory } from './directories/root.ts';
export { type CopyResult, copyTree } from './tree/copy.ts';
export { removeTree } from './tree/remove.ts';
export { inSlices } from './tree/slices.ts';
export { treeUsage } from './tree/usage.ts';
export { type TreeToVerify, verifyTree } from './verify/tree.ts';
