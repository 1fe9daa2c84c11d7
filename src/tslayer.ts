/**
 * The composition root: the only file that names concrete classes. Each part is made when it is first needed, and
 * its module is loaded then: a listing never waits for the HTTP client, nor a pull for the launcher.
 */
import type { RegistryClient } from '../registry-client/client.ts';
import { clientSettings, storeSettings } from './config/apply.ts';
import { type Config, type ConfigOverrides, loadConfig } from './config/load.ts';
import { ROOTLESS_UID } from './config/paths.ts';
import type { OpenStore } from './images/store.ts';
import type { Launcher } from './launch/index.ts';
import type { Parts } from './library/parts.ts';
import { StoreMethods } from './library/store-methods.ts';
import type { RunningRegistry, ServeOptions } from './serve/index.ts';
import type { TslayerOptions } from './tslayer-options.ts';

/** An open tslayer: a method for each command. Close it when done; what is mounted or runs detached goes on. */
export class Tslayer extends StoreMethods implements AsyncDisposable {
  readonly #parts: ClosableParts;

  constructor(parts: ClosableParts) {
    super(parts);
    this.#parts = parts;
  }

  /** The store's directory. */
  get root(): string {
    return this.#parts.config.root;
  }

  close(): Promise<void> {
    return this.#parts.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

interface ClosableParts extends Parts {
  close(): Promise<void>;
}

/** Opens the store that options, environment and configuration name. Nothing is created before it is needed. */
export async function openTslayer(options: TslayerOptions = {}): Promise<Tslayer> {
  return new Tslayer(makeParts(await loadConfig(options), options));
}

function makeParts(config: Config, options: TslayerOptions): ClosableParts {
  const clientOptions = clientSettings(config, options);
  let store: Promise<OpenStore> | undefined;
  let client: Promise<RegistryClient> | undefined;
  let launcher: Promise<Launcher> | undefined;
  return {
    config,
    clientOptions,
    store: () => (store ??= makeStore(config)),
    client: () =>
      (client ??= import('../registry-client/registry-client.ts').then((m) => m.createRegistryClient(clientOptions))),
    launcher: () =>
      (launcher ??= import('./launch/create-launcher.ts').then((m) => m.createLauncher({ root: config.root }))),
    close: async () => {
      const [openClient, openStore] = await Promise.allSettled([client, store]);
      client = store = undefined;
      if (openClient.status === 'fulfilled') await openClient.value?.close();
      if (openStore.status === 'fulfilled') await openStore.value?.[Symbol.asyncDispose]();
    },
  };
}

async function makeStore(config: Config): Promise<OpenStore> {
  const [{ openStore }, { DEFAULT_LIMITS }, { driverKey, findDriver }] = await Promise.all([
    import('./images/store.ts'),
    import('./archive/sink.ts'),
    import('./store-driver.ts'),
  ]);
  const { driver } = config;
  return openStore({
    root: config.root,
    driver: driver === undefined ? undefined : driverKey(driver),
    drivers: { choose: findDriver },
    config: storeSettings(config, DEFAULT_LIMITS),
  });
}

/**
 * Runs a command as root of a user namespace of the caller's, where its store, mounts and containers need no
 * privilege; the exit status. What it mounts is seen there only, and goes with the last process in it.
 * @throws UNSUPPORTED where the machine does not let users do so
 */
export async function unshare(command: readonly string[], overrides: ConfigOverrides = {}): Promise<number> {
  const [{ root }, { runAsMappedRoot }] = await Promise.all([loadConfig(overrides), import('./launch/rootless.ts')]);
  const env = { ...process.env, [ROOTLESS_UID]: String(process.geteuid?.() ?? -1) };
  return runAsMappedRoot(command, { env, root });
}

/** The embedded registry over an OCI image layout. */
export async function serveRegistry(options: ServeOptions): Promise<RunningRegistry> {
  const serve = await import('./serve/index.ts');
  return serve.serveRegistry(options);
}
