/** A driver at work in a directory of its own: what every test of the suite begins with. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Unpacker } from '../../src/archive/pipeline/unpacker.ts';
import { performMounts } from '../../src/mounts/perform.ts';
import { detachBelow, unmount } from '../../src/mounts/unmount.ts';
import type { Change, DriverModule, LayerId, MountRequest, Stack, StorageDriver } from '../driver.ts';
import { encodeLayer, type LayerItem } from './encode.ts';
import { snapshotTree, type TreeRecord } from './tree.ts';

let unpacker: Unpacker | undefined;

/** Its threads serve the whole run; they do not keep the process alive. */
export function sharedUnpacker(): Unpacker {
  unpacker ??= new Unpacker({ threads: 2 });
  return unpacker;
}

export async function closeUnpacker(): Promise<void> {
  await unpacker?.[Symbol.asyncDispose]();
  unpacker = undefined;
}

export class Kit implements AsyncDisposable {
  readonly module: DriverModule;
  driver: StorageDriver;
  readonly directory: string;
  #serial = 0;

  private constructor(module: DriverModule, driver: StorageDriver, directory: string) {
    this.module = module;
    this.driver = driver;
    this.directory = directory;
  }

  /** @param parent where the kit's directory is made */
  static async open(module: DriverModule, parent: string = tmpdir()): Promise<Kit> {
    const directory = mkdtempSync(join(parent, `tslayer-${module.name}-`));
    return new Kit(module, await module.open(join(directory, 'layers')), directory);
  }

  /** Opens the driver's directory anew, as the next process would. */
  async reopen(): Promise<void> {
    this.driver = await this.module.open(join(this.directory, 'layers'));
  }

  newId(): LayerId {
    return `${(this.#serial++).toString(36)}x`;
  }

  path(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Unpacks one layer over a stack; the stack with it on top. */
  async layer(
    items: Iterable<LayerItem> | AsyncIterable<LayerItem>,
    parent: Stack = [],
    id: LayerId = this.newId(),
  ): Promise<[LayerId, ...LayerId[]]> {
    const application = await this.driver.apply(id, parent, { durable: false });
    try {
      const source = encodeLayer(items);
      const { result } = await sharedUnpacker().unpack({ source, size: 0, sink: application.sink });
      await application.commit(result);
    } catch (error) {
      await application.abort();
      throw error;
    }
    return [id, ...parent];
  }

  /** Layers from the base up, as manifests list them; the stack, top first. */
  async stack(...layers: (readonly LayerItem[])[]): Promise<Stack> {
    let stack: Stack = [];
    for (const items of layers) stack = await this.layer(items, stack);
    return stack;
  }

  async snapshot(parent: Stack): Promise<LayerId> {
    const id = this.newId();
    await this.driver.prepare(id, parent);
    return id;
  }

  /** Mounts a snapshot, or without an id a view, at a new place. */
  async mount(id: LayerId | undefined, parent: Stack, request: MountRequest = {}): Promise<string> {
    const target = this.path(`mnt/${this.#serial++}`);
    const mounts = await this.driver.mounts(id, parent, id === undefined ? { readOnly: true, ...request } : request);
    performMounts(mounts, target, { scratch: this.path('scratch'), stages: this.path('stages') });
    return target;
  }

  unmount(target: string): void {
    unmount(target, { stages: this.path('stages') });
  }

  /** A new snapshot, mounted. */
  async work(parent: Stack): Promise<{ id: LayerId; path: string }> {
    const id = await this.snapshot(parent);
    return { id, path: await this.mount(id, parent) };
  }

  /** What a stack looks like through a view; without the root's time, which few layers speak of. */
  async view(parent: Stack): Promise<TreeRecord[]> {
    const target = await this.mount(undefined, parent);
    try {
      return treeBelow(target);
    } finally {
      this.unmount(target);
    }
  }

  /** `+ path`, `~ path`, `- path`, `! path` (opaque), `= path -> target` for hard links. */
  async changes(id: LayerId, parent: Stack): Promise<string[]> {
    const lines: string[] = [];
    for await (const change of this.driver.changes(id, parent)) lines.push(describeChange(change));
    return lines;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    detachBelow(this.directory);
    // What only the driver can delete: subvolumes, for one.
    for await (const id of this.driver.list()) await this.driver.remove(id);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The tree without what it says of its root's time. */
export function treeBelow(directory: string): TreeRecord[] {
  return snapshotTree(directory).map((record) => (record.path === '' ? { ...record, mtime: '' } : record));
}

const MARKS = { added: '+', modified: '~', deleted: '-', opaque: '!' } as const;

export function describeChange(change: Change): string {
  const mark = MARKS[change.kind];
  if (change.kind === 'deleted' || change.kind === 'opaque') return `${mark} ${text(change.path)}`;
  const { type, path, linkname } = change.entry;
  return type === 'hardlink' ? `= ${text(path)} -> ${text(linkname)}` : `${mark} ${text(path)}`;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
