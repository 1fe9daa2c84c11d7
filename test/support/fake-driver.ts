/** A driver that keeps its layers in memory and remembers what it was asked. */
import type { DriverModule, LayerApplication, MountRequest, StorageDriver } from '../../drivers/driver.ts';
import type { DriverChooser } from '../../src/images/context.ts';
import type { Mount } from '../../src/mounts/mount.ts';

export class FakeDriver implements StorageDriver {
  readonly name = 'fake';
  readonly stacking: StorageDriver['stacking'];
  /** Layers and snapshots that are there, with their parents. */
  readonly present: Map<string, readonly string[]> = new Map();
  /** Makes the next calls fail. */
  failure: Error | undefined;

  constructor(stacking: StorageDriver['stacking'] = 'independent') {
    this.stacking = stacking;
  }

  async apply(id: string, parent: readonly string[]): Promise<LayerApplication> {
    this.#fail();
    return {
      sink: { module: 'none', options: {}, ownThread: false },
      commit: async () => {
        this.#fail();
        this.present.set(id, parent);
      },
      abort: async () => {
        this.present.delete(id);
      },
    };
  }

  async prepare(id: string, parent: readonly string[]): Promise<void> {
    this.#fail();
    this.present.set(id, parent);
  }

  async mounts(id: string | undefined, parent: readonly string[], request: MountRequest): Promise<readonly Mount[]> {
    return [{ type: 'fake', source: id ?? 'view', options: [...parent, request.readOnly ? 'ro' : 'rw'] }];
  }

  async *changes(): AsyncGenerator<never, void> {}

  async usage(id: string): Promise<{ bytes: number; inodes: number }> {
    return this.present.has(id) ? { bytes: 4096, inodes: 2 } : { bytes: 0, inodes: 0 };
  }

  async remove(id: string): Promise<void> {
    this.#fail();
    this.present.delete(id);
  }

  async *list(): AsyncGenerator<string, void> {
    yield* this.present.keys();
  }

  #fail(): void {
    if (this.failure) throw this.failure;
  }
}

/** Gives a store this driver, whatever it asks for. */
export function chooserOf(driver: FakeDriver): DriverChooser {
  const probe = async () => ({ available: true, reason: 'always', features: {} });
  const module: DriverModule = { name: driver.name, summary: 'keeps nothing', probe, open: async () => driver };
  return { choose: async () => module };
}
