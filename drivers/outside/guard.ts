/**
 * Holds a driver from outside to its interface. What it throws and what it answers in another form than `driver.ts`
 * says becomes an error that names the driver, where it happens and not somewhere in the store. It is no wall: a
 * driver's code runs as we do.
 */
import * as v from 'valibot';
import type { TarEntry } from '../../src/archive/entry.ts';
import { asTslayerError, TslayerError } from '../../src/errors.ts';
import type { Mount } from '../../src/mounts/mount.ts';
import type {
  Change,
  DriverModule,
  LayerApplication,
  LayerId,
  MountRequest,
  Probe,
  Stack,
  StackCaches,
  StorageDriver,
  Usage,
} from '../driver.ts';
import { ApplicationSchema, ChangeSchema, DriverSchema, MountsSchema, ProbeSchema, UsageSchema } from './schemas.ts';

/** A probe tries a few files and a mount. */
const PROBE_MS = 30_000;

/** @param name what the driver and its module are called from here on: a store finds the module again by it */
export function guardModule(module: DriverModule, name: string): DriverModule {
  return {
    name,
    summary: module.summary,
    probe: (directory) => probe(module, directory),
    async open(directory, settings) {
      const driver = await held(name, 'open', () => module.open(directory, settings));
      return new GuardedDriver(name, requireForm(driver, DriverSchema, name, 'open'));
    },
  };
}

/** One that fails at it is a driver that does not work here: the others are still to be asked. */
async function probe(module: DriverModule, directory: string): Promise<Probe> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new TslayerError('FAILED', `no answer in ${PROBE_MS / 1000} seconds`));
  }, PROBE_MS);
  try {
    const answer = await Promise.race([module.probe(directory), late.promise]);
    return requireForm(answer, ProbeSchema, module.name, 'probe');
  } catch (error) {
    return { available: false, reason: `its probe failed: ${asTslayerError(error).message}`, features: {} };
  } finally {
    clearTimeout(timer);
  }
}

class GuardedDriver implements StorageDriver {
  readonly name: string;
  readonly stacking: StorageDriver['stacking'];
  readonly readFile?: (id: LayerId, entry: TarEntry) => AsyncIterable<Uint8Array>;
  readonly verify?: NonNullable<StorageDriver['verify']>;
  readonly caches?: StackCaches;
  readonly #driver: StorageDriver;

  constructor(name: string, driver: StorageDriver) {
    this.name = name;
    this.stacking = driver.stacking;
    this.#driver = driver;
    if (driver.readFile) this.readFile = (id, entry) => heldEach(name, 'readFile', () => driver.readFile!(id, entry));
    if (driver.verify) this.verify = (id, layer) => held(name, 'verify', () => driver.verify!(id, layer));
    if (driver.caches) this.caches = guardCaches(name, driver.caches);
  }

  async apply(id: LayerId, parent: Stack, options: { readonly durable: boolean }): Promise<LayerApplication> {
    const { name } = this;
    const application = await held(name, 'apply', () => this.#driver.apply(id, parent, options));
    requireForm(application, ApplicationSchema, name, 'apply');
    return {
      sink: application.sink,
      commit: (result) => held(name, 'commit', () => application.commit(result)),
      abort: () => held(name, 'abort', () => application.abort()),
    };
  }

  prepare(id: LayerId, parent: Stack): Promise<void> {
    return held(this.name, 'prepare', () => this.#driver.prepare(id, parent));
  }

  async mounts(id: LayerId | undefined, parent: Stack, request: MountRequest): Promise<readonly Mount[]> {
    const mounts = await held(this.name, 'mounts', () => this.#driver.mounts(id, parent, request));
    return requireForm(mounts, MountsSchema, this.name, 'mounts');
  }

  async *changes(id: LayerId, parent: Stack): AsyncGenerator<Change, void> {
    for await (const change of heldEach(this.name, 'changes', () => this.#driver.changes(id, parent))) {
      yield requireForm(change, ChangeSchema, this.name, 'changes');
    }
  }

  async usage(id: LayerId): Promise<Usage> {
    const usage = await held(this.name, 'usage', () => this.#driver.usage(id));
    return requireForm(usage, UsageSchema, this.name, 'usage');
  }

  remove(id: LayerId): Promise<void> {
    return held(this.name, 'remove', () => this.#driver.remove(id));
  }

  list(): AsyncIterable<LayerId> {
    return heldEach(this.name, 'list', () => this.#driver.list());
  }
}

function guardCaches(name: string, caches: StackCaches): StackCaches {
  return {
    list: () => heldEach(name, 'caches.list', () => caches.list()),
    verify: (cache) => held(name, 'caches.verify', () => caches.verify(cache)),
    remove: (cache) => held(name, 'caches.remove', () => caches.remove(cache)),
  };
}

/** Runs a driver's method; what it throws says whose method it was. */
async function held<T>(name: string, method: string, call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw asTslayerError(error, `the driver ${name} failed in ${method}`);
  }
}

async function* heldEach<T>(name: string, method: string, call: () => AsyncIterable<T>): AsyncGenerator<T, void> {
  try {
    yield* call();
  } catch (error) {
    throw asTslayerError(error, `the driver ${name} failed in ${method}`);
  }
}

/** The value itself, once it has the form: a driver's object may be more than its schema copies. */
function requireForm<T>(value: T, schema: v.GenericSchema, name: string, method: string): T {
  const { issues } = v.safeParse(schema, value, { abortEarly: true });
  if (issues === undefined) return value;
  const at = v.getDotPath(issues[0]);
  const what = at === null ? 'its answer' : `${at} in its answer`;
  throw new TslayerError(
    'FAILED',
    `the driver ${name} breaks its interface in ${method}: ${what}: ${issues[0].message}`,
    {
      hint: 'drivers/README.md says what each method promises; tslayer/drivers/conformance tests it',
    },
  );
}
