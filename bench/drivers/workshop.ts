/** A driver in a directory, with layers made on the spot: what the drivers' benchmarks measure. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { encodeLayer, type LayerItem } from '../../drivers/conformance/encode.ts';
import { dir, file } from '../../drivers/conformance/items.ts';
import type { DriverModule, StorageDriver } from '../../drivers/driver.ts';
import { Unpacker } from '../../src/archive/pipeline/unpacker.ts';
import { performMounts } from '../../src/mounts/perform.ts';
import { unmount } from '../../src/mounts/unmount.ts';
import { type LoopType, loopFs } from '../../test/support/loop-fs.ts';
import { ScratchDisk } from '../lib/scratch-disk.ts';

export class Workshop implements AsyncDisposable {
  readonly driver: StorageDriver;
  readonly #directory: string;
  readonly #unpacker = new Unpacker({ threads: 1 });
  #serial = 0;

  private constructor(driver: StorageDriver, directory: string) {
    this.driver = driver;
    this.#directory = directory;
  }

  static async open(module: DriverModule, directory: string): Promise<Workshop> {
    mkdirSync(directory, { recursive: true });
    return new Workshop(await module.open(join(directory, 'layers')), directory);
  }

  newId(): string {
    return `${(this.#serial++).toString(36)}x`;
  }

  /** Where a mount may go: a new directory. */
  target(): string {
    const path = join(this.#directory, `mnt-${this.#serial++}`);
    mkdirSync(path);
    return path;
  }

  async layer(items: Iterable<LayerItem> | AsyncIterable<LayerItem>, parent: readonly string[]): Promise<string[]> {
    const id = this.newId();
    const application = await this.driver.apply(id, parent, { durable: false });
    const { result } = await this.#unpacker.unpack({ source: encodeLayer(items), size: 0, sink: application.sink });
    await application.commit(result);
    return [id, ...parent];
  }

  /** Layers of two files each, one in a directory that all of them share. */
  async layers(count: number): Promise<string[]> {
    let stack: string[] = [];
    for (let at = 0; at < count; at++) {
      const named = [dir(''), dir('etc'), file(`etc/${at}`, `${at}`), file(`own-${at}`, 'x')];
      stack = await this.layer(named, stack);
    }
    return stack;
  }

  /** Directories of 100 files of `size` bytes each. */
  async *files(count: number, size: number): AsyncGenerator<LayerItem> {
    yield dir('');
    const content = Buffer.alloc(size, 'c');
    for (let at = 0; at < count; at++) {
      if (at % 100 === 0) yield dir(`d${at / 100}`);
      yield file(`d${Math.floor(at / 100)}/${at}`, content);
    }
  }

  async mount(id: string, stack: readonly string[], target: string): Promise<void> {
    performMounts(await this.driver.mounts(id, stack, {}), target, { scratch: this.#directory });
  }

  unmount(target: string): void {
    unmount(target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unpacker[Symbol.asyncDispose]();
  }
}

/** Milliseconds that something takes. */
export async function timed(work: () => unknown): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** A file whose content is made while it is written. */
export function largeFile(size: number): LayerItem {
  const item = file('big', '', { size });
  if (item.kind !== 'added') throw new TypeError('a file is an entry');
  return { kind: 'added', entry: { ...item.entry, storedSize: size }, open: () => chunks(size) };
}

function* chunks(size: number): Generator<Uint8Array> {
  const chunk = Buffer.alloc(2 ** 20, 'b');
  for (let at = 0; at < size; at += chunk.length) yield chunk.subarray(0, Math.min(chunk.length, size - at));
}

/** A disk of its own with a file system on it. */
export function benchDisk(system: string, bytes: number): Disposable & { readonly path: string } {
  return system === 'ext4' ? new ScratchDisk(bytes) : loopFs(system as LoopType, bytes / 2 ** 20);
}
