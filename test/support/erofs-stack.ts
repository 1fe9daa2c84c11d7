/** The EROFS driver over a temporary directory, with layers made from lists of tar members, and its mounts made. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DriverSettings, MountRequest, StorageDriver } from '../../drivers/driver.ts';
import { driver as erofs } from '../../drivers/erofs/index.ts';
import type { LayerSink, OpenSink } from '../../src/archive/sink.ts';
import { TarFile } from '../../src/archive/tar-file.ts';
import { performMounts } from '../../src/mounts/perform.ts';
import { umount } from '../../src/sys/mount-api.ts';
import { writeLayer } from './erofs-image.ts';
import { type TarMember, tarBytes } from './tar-bytes.ts';

export class ErofsStack implements Disposable {
  readonly driver: StorageDriver;
  readonly #directory: string;
  readonly #mounted: string[] = [];
  #serial = 0;

  constructor(directory: string, driver: StorageDriver) {
    this.#directory = directory;
    this.driver = driver;
  }

  static async open(directory: string, settings: DriverSettings = {}): Promise<ErofsStack> {
    return new ErofsStack(directory, await erofs.open(join(directory, 'layers'), settings));
  }

  /** Stores one layer; its id. */
  async layer(members: readonly TarMember[] | Uint8Array): Promise<string> {
    const id = `l${this.#serial++}`;
    const application = await this.driver.apply(id, [], { durable: false });
    try {
      const { openSink } = (await import(application.sink.module)) as { openSink: OpenSink };
      const sink: LayerSink = openSink(application.sink.options);
      const file = application.sink.tar && new TarFile(application.sink.tar);
      try {
        const tar = members instanceof Uint8Array ? members : tarBytes(members);
        await application.commit(writeLayer(tar, sink, file));
      } finally {
        sink.close();
        file?.close();
      }
    } catch (error) {
      await application.abort();
      throw error;
    }
    return id;
  }

  /** Layers from the base up, as manifests list them; the stack, top first. */
  async stack(...layers: (readonly TarMember[])[]): Promise<string[]> {
    const ids: string[] = [];
    for (const members of layers) ids.unshift(await this.layer(members));
    return ids;
  }

  /** Mounts a snapshot, or without an id a view; its path. */
  async mount(id: string | undefined, stack: readonly string[], request: MountRequest = {}): Promise<string> {
    const target = join(this.#directory, `mount${this.#serial++}`);
    mkdirSync(target);
    performMounts(await this.driver.mounts(id, stack, request), target, { scratch: this.#directory });
    this.#mounted.push(target);
    return target;
  }

  async view(...layers: (readonly TarMember[])[]): Promise<string> {
    return this.mount(undefined, await this.stack(...layers), { readOnly: true });
  }

  [Symbol.dispose](): void {
    for (const path of this.#mounted.reverse()) umount(path);
    this.#mounted.length = 0;
  }
}
