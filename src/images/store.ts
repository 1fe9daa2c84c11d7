/**
 * Opens a store: makes it when it is not there, sweeps what a crash left, and puts the parts together. Cheap, since
 * every command pays for it: one database connection, two small directories looked at, nothing scanned.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { DriverModule, StorageDriver } from '../../drivers/driver.ts';
import { DEFAULT_LIMITS } from '../archive/sink.ts';
import { FileBlobStore } from '../blobs/file-store.ts';
import { keepReserve } from '../blobs/reserve.ts';
import { asTslayerError, TslayerError } from '../errors.ts';
import { DriverSnapshots } from '../layers/driver-snapshots.ts';
import { LayerStore } from '../layers/layer-store.ts';
import { holdLock } from '../layers/locks.ts';
import { Session } from '../layers/session.ts';
import { type Metadata, openMetadata } from '../metadata/metadata.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { creationLockPath, OCI_LAYOUT, STORE_DIRECTORIES, type StorePaths, storePaths } from '../store-layout.ts';
import { makeDirectories } from '../sys/make-directories.ts';
import type { DriverChooser, StoreConfig, StoreContext } from './context.ts';
import { publishNames } from './layout-index.ts';
import { type LayerUnpacker, LazyUnpacker } from './pull/unpacker.ts';
import { sweepCrashed } from './sweep.ts';

export interface OpenStoreOptions {
  /** ROOT. Made with mode 0700 when it is not there. */
  readonly root: string;
  /** The driver wanted; a store that has another one is refused. */
  readonly driver?: string | undefined;
  readonly drivers: DriverChooser;
  readonly config?: Partial<StoreConfig>;
  /** Default: archive/pipeline. */
  readonly unpacker?: LayerUnpacker;
  /** false: NOT_FOUND when there is no store at ROOT. Default true. */
  readonly create?: boolean;
}

export type OpenStore = StoreContext & AsyncDisposable;

export const DEFAULT_STORE_CONFIG: StoreConfig = {
  durability: 'layer',
  keepBlobs: true,
  concurrency: 6,
  limits: DEFAULT_LIMITS,
  merged: false,
  directio: false,
  resumeWindowMs: 24 * 60 * 60 * 1000,
};

/** Opens the store at `root`; dispose it when done. Several processes may have it open at the same time. */
export async function openStore(options: OpenStoreOptions): Promise<OpenStore> {
  const paths = storePaths(resolve(options.root));
  const config = { ...DEFAULT_STORE_CONFIG, ...options.config };
  await makeStore(paths, options.create ?? true, config.durability === 'layer');
  keepReserve(paths.reserve);
  const metadata = openMetadata(paths.database, { durable: config.durability === 'layer' });
  const context = assemble(paths, config, metadata, options);
  try {
    refuseOtherDriver(context.driverName, options.driver);
    await sweepCrashed(context);
    await publishNames(context);
    return context;
  } catch (error) {
    await context[Symbol.asyncDispose]();
    throw error;
  }
}

function assemble(paths: StorePaths, config: StoreConfig, metadata: Metadata, options: OpenStoreOptions): OpenStore {
  const session = new Session(paths);
  const durable = config.durability === 'layer';
  const driver = driverOf(paths, metadata, config, options);
  const pipeline = new LazyUnpacker();
  const others = new Map<string, Promise<StorageDriver>>();
  const otherDriver = (name: string) => {
    const opened = others.get(name) ?? openOther(paths, name, options.drivers);
    others.set(name, opened);
    return opened;
  };
  const layers = new LayerStore({ paths, metadata, session, driver, otherDriver, durable });
  return {
    paths,
    config,
    metadata,
    blobs: new FileBlobStore(paths, { durable }),
    layers,
    snapshots: new DriverSnapshots({ metadata, layers, driver }),
    session,
    driver,
    unpacker: options.unpacker ?? pipeline,
    get driverName() {
      return metadata.settings.get('driver');
    },
    async [Symbol.asyncDispose]() {
      using _database = metadata;
      await using _pipeline = pipeline;
      const id = session.openId;
      if (id !== undefined) session.close({ rowsLeft: metadata.sessions().includes(id) });
    },
  };
}

/** Opens the store's driver when it is first needed, and anew when a conversion has recorded another one. */
function driverOf(
  paths: StorePaths,
  metadata: Metadata,
  config: StoreConfig,
  options: Pick<OpenStoreOptions, 'driver' | 'drivers'>,
): () => Promise<StorageDriver> {
  let opening: Promise<StorageDriver> | undefined;
  let known: string | undefined;
  return () => {
    const recorded = metadata.settings.get('driver');
    if (opening === undefined || (known !== undefined && known !== recorded)) {
      opening = openDriver(paths, metadata, config, options);
    }
    known = recorded;
    return opening;
  };
}

/** Chooses the driver when the store has none yet, and records it for good. */
async function openDriver(
  paths: StorePaths,
  metadata: Metadata,
  { merged, directio }: StoreConfig,
  options: Pick<OpenStoreOptions, 'driver' | 'drivers'>,
): Promise<StorageDriver> {
  const recorded = metadata.settings.get('driver');
  const wanted = recorded ?? options.driver;
  const module: DriverModule = await options.drivers.choose(paths.layers, wanted, recorded !== undefined);
  const driver = await module.open(paths.layers, { merged, directio });
  metadata.transaction(() => {
    // Two processes may have chosen at the same moment: the first one decides.
    refuseOtherDriver(metadata.settings.setOnce('driver', module.name), module.name);
    metadata.settings.setOnce('stacking', driver.stacking);
  });
  return driver;
}

async function openOther({ layers }: StorePaths, name: string, drivers: DriverChooser): Promise<StorageDriver> {
  return (await drivers.choose(layers, name, true)).open(layers);
}

function refuseOtherDriver(recorded: string | undefined, wanted: string | undefined): void {
  if (recorded === undefined || wanted === undefined || recorded === wanted) return;
  throw new TslayerError('INVALID_ARGUMENT', `this store was made with the driver ${recorded}, not ${wanted}`, {
    hint: `leave out --driver, choose another --root, or change the store with convert --driver ${wanted}`,
  });
}

async function makeStore(paths: StorePaths, create: boolean, durable: boolean): Promise<void> {
  try {
    const found = statSync(paths.database, { throwIfNoEntry: false });
    if (found === undefined) {
      if (!create) throw new TslayerError('NOT_FOUND', `there is no store at ${paths.root}`);
      refuseStrangers(paths.root);
      await fillStore(paths, durable);
    }
    // Images hold setuid programs: nobody else may walk in (CVE-2024-25621).
    if ((statSync(paths.root).mode & 0o077) !== 0) chmodSync(paths.root, 0o700);
  } catch (error) {
    throw asTslayerError(error, `cannot open the store at ${paths.root}`);
  }
}

/** A directory that holds something else does not become a store by a slip of the hand. */
function refuseStrangers(root: string): void {
  if (!existsSync(root)) return;
  const own = new Set<string>([...STORE_DIRECTORIES, 'oci-layout', 'index.json', 'reserve', 'lost+found']);
  const strangers = readdirSync(root).filter((name) => !own.has(name) && !name.startsWith('metadata.db'));
  if (strangers.length === 0) return;
  throw new TslayerError('INVALID_ARGUMENT', `${root} holds ${strangers[0]} and is no store`, {
    hint: 'choose an empty or new directory with --root',
  });
}

/** Everything but the database, which makes it a store. Under a lock, since two may have the idea at once. */
async function fillStore(paths: StorePaths, durable: boolean): Promise<void> {
  makeDirectories(paths.root, 0o700);
  for (const name of STORE_DIRECTORIES) mkdirSync(paths[name], { recursive: true, mode: 0o700 });
  mkdirSync(join(paths.blobs, 'sha256'), { recursive: true, mode: 0o700 });
  using _lock = await holdLock(creationLockPath(paths));
  const empty = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] });
  writeNew(paths, paths.ociLayout, OCI_LAYOUT, durable);
  writeNew(paths, paths.index, empty, durable);
}

/** Whole or not at all: a crash in the middle must not leave an empty file that looks like a layout's. */
function writeNew(paths: StorePaths, path: string, text: string, flush: boolean): void {
  if (existsSync(path)) return;
  const temporary = join(paths.tmp, 'new');
  writeFileSync(temporary, text, { mode: 0o600, flush });
  renameSync(temporary, path);
}
