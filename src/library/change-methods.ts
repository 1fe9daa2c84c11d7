/** Mounts, what is written in them, and images made of that. */
import type { CommitResult, NewImageOptions } from '../images/commit.ts';
import type { SnapshotChange } from '../images/diff-snapshot.ts';
import type { MountedImage, MountImageOptions, UnmountImageOptions } from '../images/mount.ts';
import type { PullResult } from '../images/pull/pull.ts';
import type { RebaseResult } from '../images/rebase.ts';
import type { SquashOptions } from '../images/squash.ts';
import type { OperationOptions } from '../progress.ts';
import type { ImageBuildOptions, ImageRebaseOptions, TarImportOptions } from '../tslayer-options.ts';
import { ImageMethods } from './image-methods.ts';
import { findRow, parseName, platformOf, snapshotOf } from './parts.ts';

export class ChangeMethods extends ImageMethods {
  /** Mounts an image copy-on-write; the mount survives the process. */
  async mount(image: string, options: MountImageOptions = {}): Promise<MountedImage> {
    const { mountImage } = await import('../images/mount.ts');
    return mountImage(await this.parts.store(), image, options);
  }

  async mounts(): Promise<MountedImage[]> {
    const { listMounts } = await import('../images/mount.ts');
    return listMounts(await this.parts.store());
  }

  /** Unmounts by name or path, and drops what was written unless `keep`. */
  async umount(nameOrPath: string, options: UnmountImageOptions = {}): Promise<void> {
    const { unmountImage } = await import('../images/mount.ts');
    return unmountImage(await this.parts.store(), nameOrPath, options);
  }

  /** What was written to a mount or container since it was made. */
  async diff(name: string, options: OperationOptions = {}): Promise<SnapshotChange[]> {
    const { diffSnapshot } = await import('../images/diff-snapshot.ts');
    const store = await this.parts.store();
    return diffSnapshot(store, snapshotOf(store, name), options);
  }

  /** What was written to a mount or container as a new layer, and an image of it. */
  async commit(name: string, reference: string, options: NewImageOptions = {}): Promise<CommitResult> {
    const { commitSnapshot } = await import('../images/commit.ts');
    const store = await this.parts.store();
    return commitSnapshot(store, snapshotOf(store, name), await parseName(reference), options);
  }

  /** The file system that a mount, a container or an image shows, as one tar. */
  async *export(name: string, options: OperationOptions = {}): AsyncGenerator<Uint8Array, void> {
    const { exportImage, exportSnapshot } = await import('../images/export.ts');
    const store = await this.parts.store();
    const key = snapshotOf(store, name);
    if (store.metadata.snapshots.get(key)?.kind === 'active') yield* exportSnapshot(store, key, options);
    else yield* exportImage(store, (await findRow(this.parts, name)).row, options);
  }

  /** A root file system's tar (`-`: standard input) as an image of one layer. */
  async import(path: string, reference: string, options: TarImportOptions = {}): Promise<PullResult> {
    const { importTar } = await import('../images/import.ts');
    const { platform, ...rest } = options;
    return importTar(await this.parts.store(), path, await parseName(reference), {
      ...rest,
      platform: platformOf(platform),
    });
  }

  /** Layers of an image as one, without what they hide from each other. */
  async squash(image: string, reference: string, options: SquashOptions = {}): Promise<PullResult> {
    const { squashImage } = await import('../images/squash.ts');
    const { store, row } = await findRow(this.parts, image);
    return squashImage(store, row, await parseName(reference), options);
  }

  /** An image's own layers on another base, by their digests: nothing is unpacked or built. */
  async rebase(image: string, reference: string, options: ImageRebaseOptions): Promise<RebaseResult> {
    const { rebaseImage } = await import('../images/rebase.ts');
    const { onto, from, ...rest } = options;
    const { store, row } = await findRow(this.parts, image);
    const { row: next } = await findRow(this.parts, onto);
    const base = from === undefined ? {} : { from: (await findRow(this.parts, from)).row };
    return rebaseImage(store, { image: row, onto: next, ...base }, await parseName(reference), rest);
  }

  /** An image made by a program: layers of files and directories, on a base or on nothing. */
  async build(reference: string, options: ImageBuildOptions): Promise<PullResult> {
    const { buildImage } = await import('../images/build.ts');
    const { from, platform, ...rest } = options;
    const base = from === undefined ? undefined : (await findRow(this.parts, from)).row;
    const request = { ...rest, from: base, platform: platformOf(platform) };
    return buildImage(await this.parts.store(), await parseName(reference), request);
  }
}
