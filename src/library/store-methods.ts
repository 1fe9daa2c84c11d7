/** The store itself: what it takes, what can go, whether it is whole. */
import type { DriverReport } from '../../drivers/index.ts';
import type { Conversion } from '../images/convert.ts';
import type { DiskUsage, DiskUsageOptions } from '../images/df.ts';
import type { FsckOptions, FsckReport } from '../images/fsck/fsck.ts';
import type { GcOptions, GcReport } from '../images/gc.ts';
import type { Pin } from '../images/pins.ts';
import type { OperationOptions } from '../progress.ts';
import type { Info } from '../tslayer-options.ts';
import { ContainerMethods } from './container-methods.ts';
import { parseName } from './parts.ts';

export class StoreMethods extends ContainerMethods {
  /** What everything takes, by image, shared and alone; with `reconcile` each difference to `du` has a name. */
  async df(options: DiskUsageOptions = {}): Promise<DiskUsage> {
    const { diskUsage } = await import('../images/df.ts');
    return diskUsage(await this.parts.store(), options);
  }

  /** Removes what nothing holds. */
  async gc(options: GcOptions = {}): Promise<GcReport> {
    const { collectGarbage } = await import('../images/gc.ts');
    if (options.dryRun !== true) await this.sweepContainers();
    return collectGarbage(await this.parts.store(), options);
  }

  /** Keeps an image under a name of the caller's own, whatever becomes of the image's names. */
  async pin(image: string, name: string): Promise<Pin> {
    const { pinImage } = await import('../images/pins.ts');
    return pinImage(await this.parts.store(), image, name);
  }

  /** Takes a pin away; what it held goes with the next gc. */
  async unpin(name: string): Promise<void> {
    const { unpinImage } = await import('../images/pins.ts');
    unpinImage(await this.parts.store(), name);
  }

  async pins(): Promise<Pin[]> {
    const { listPins } = await import('../images/pins.ts');
    return listPins(await this.parts.store());
  }

  /** Holds rows, disk, digests and mounts against each other; with `repair` puts right what can be. */
  async fsck(options: Omit<FsckOptions, 'sourceOf'> = {}): Promise<FsckReport> {
    const [{ checkStore }, { registrySource }] = await Promise.all([
      import('../images/fsck/fsck.ts'),
      import('../images/pull/source.ts'),
    ]);
    const sourceOf = async (name: string) => registrySource(await this.parts.client(), await parseName(name));
    return checkStore(await this.parts.store(), { ...options, sourceOf });
  }

  /** The machine and the store. */
  async info(): Promise<Info> {
    const [{ storeInfo }, { packageVersion }, { release }] = await Promise.all([
      import('../images/info.ts'),
      import('../version.ts'),
      import('node:os'),
    ]);
    return {
      version: packageVersion(),
      node: process.versions.node,
      kernel: release(),
      uid: process.geteuid?.() ?? -1,
      configFiles: this.parts.config.files,
      store: storeInfo(await this.parts.store()),
    };
  }

  /**
   * Unpacks every layer anew by another driver, without the network, and goes on with that one.
   * @throws IN_USE while something is made of an image, or another process works on the store
   */
  async convert(driver: string, options: OperationOptions = {}): Promise<Conversion> {
    const [{ convertStore }, { driverKey, findDriver }] = await Promise.all([
      import('../images/convert.ts'),
      import('../store-driver.ts'),
    ]);
    const store = await this.parts.store();
    return convertStore(store, await findDriver(store.paths.layers, driverKey(driver), false), options);
  }

  /** Each driver: whether it works for this store, what it found, and which one is chosen and why. */
  async drivers(options: { readonly signal?: AbortSignal } = {}): Promise<DriverReport[]> {
    const [{ probeAll }, { driverKey }] = await Promise.all([
      import('../../drivers/index.ts'),
      import('../store-driver.ts'),
    ]);
    const store = await this.parts.store();
    const { driver } = this.parts.config;
    const wanted = driver === undefined ? undefined : driverKey(driver);
    return probeAll(store.paths.layers, { ...options, wanted, recorded: store.driverName });
  }
}
