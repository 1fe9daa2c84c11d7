/**
 * The composition root: the only file that names concrete classes. Each part is made when it is first needed, and
 * its module is loaded then: a listing never waits for the HTTP client, nor a pull for the launcher.
 */

import { fileURLToPath } from 'node:url';
import type { DriverReport } from '../drivers/index.ts';
import type { LoggedIn, LoggedOut } from '../registry-client/auth/login.ts';
import type { RegistryClient } from '../registry-client/client.ts';
import { clientSettings, storeSettings } from './config/apply.ts';
import { type Config, type ConfigOverrides, loadConfig } from './config/load.ts';
import type { RunRequest } from './containers/run.ts';
import type { RunningContainer } from './containers/running.ts';
import { isTslayerError } from './errors.ts';
import type { FileChange } from './images/compare-trees.ts';
import type { DiskUsage } from './images/df.ts';
import type { DiffImagesOptions } from './images/diff-images.ts';
import type { SnapshotChange } from './images/diff-snapshot.ts';
import type { FsckOptions, FsckReport } from './images/fsck/fsck.ts';
import type { GcOptions, GcReport } from './images/gc.ts';
import type { HistoryItem, ImageDetails } from './images/inspect.ts';
import type { LayersReport } from './images/layers-report.ts';
import type { ImageSummary } from './images/list.ts';
import type { ListedFile, ListFilesOptions } from './images/list-files.ts';
import type { LoadOptions } from './images/load.ts';
import type { MountedImage, MountImageOptions, UnmountImageOptions } from './images/mount.ts';
import type { PullResult } from './images/pull/pull.ts';
import type { PushResult } from './images/push.ts';
import type { Removal, RemoveOptions } from './images/remove.ts';
import type { ArchiveFormat } from './images/save.ts';
import type { OpenStore } from './images/store.ts';
import type {
  Container,
  ContainerStats,
  ExecOptions,
  ExitResult,
  ForegroundIO,
  HierarchyView,
  Launcher,
  LogEntry,
  LogOptions,
  RunningProcess,
  RunOptions,
  StatsOptions,
  StopOptions,
  TerminalIO,
} from './launch/index.ts';
import { type Platform, parsePlatform } from './oci/platform.ts';
import type { OperationOptions } from './progress.ts';
import type { RunningRegistry, ServeOptions } from './serve/index.ts';
import { moduleUrl } from './sys/module-url.ts';

export interface TslayerOptions extends ConfigOverrides {
  /** Registries (host[:port]) that speak plain HTTP; loopback ones do so by themselves. */
  readonly plainHttp?: readonly string[];
  /** Registries whose certificate is not checked. */
  readonly insecure?: readonly string[];
  /** Requests and answers, a line each, without secrets. */
  readonly trace?: (line: string) => void;
}

export interface PullOptions extends OperationOptions {
  /** `linux/arm64`; default: this machine's. */
  readonly platform?: string | undefined;
  /** Keep every platform of an index; one of them is unpacked. */
  readonly allPlatforms?: boolean | undefined;
  /** Default true. false needs no privilege. */
  readonly unpack?: boolean | undefined;
}

export interface PushOptions extends OperationOptions {
  /** Default: the image's own name. */
  readonly destination?: string | undefined;
  readonly platform?: string | undefined;
  /** Carry signatures, SBOMs and other referrers along. */
  readonly referrers?: boolean | undefined;
}

export interface SaveOptions extends OperationOptions {
  /** A file, or a directory for `oci`. */
  readonly output: string;
  /** `oci`, a layout, is added to when it is there. Default `oci-archive`, which docker and podman load, too. */
  readonly format?: ArchiveFormat | 'oci' | undefined;
  readonly platform?: string | undefined;
}

export interface RunContainerOptions extends RunOptions, OperationOptions {
  /** Remove the container at its end. */
  readonly remove?: boolean | undefined;
  /** Fetch the image first. Default `missing`. */
  readonly pull?: 'always' | 'missing' | 'never' | undefined;
  readonly platform?: string | undefined;
}

export interface WarningOptions {
  readonly onWarning?: ((message: string) => void) | undefined;
}

export interface ArchiveLoadOptions extends Omit<LoadOptions, 'platform'> {
  readonly platform?: string | undefined;
}

export interface LoginOptions extends OperationOptions {
  readonly username: string;
  readonly password: string;
}

export class Tslayer implements AsyncDisposable {
  readonly config: Config;
  readonly #options: TslayerOptions;
  #store: Promise<OpenStore> | undefined;
  #client: Promise<RegistryClient> | undefined;

  constructor(config: Config, options: TslayerOptions) {
    this.config = config;
    this.#options = options;
  }

  /** The store's directory. */
  get root(): string {
    return this.config.root;
  }

  /**
   * Fetches an image, verifies and unpacks it: a registry reference, or `oci:DIR[:tag]`, `oci-archive:FILE[:tag]`,
   * `docker-archive:FILE[:ref]`.
   */
  async pull(text: string, options: PullOptions = {}): Promise<PullResult> {
    const { parseLocation } = await import('./transports/location.ts');
    const location = parseLocation(await this.#expand(text));
    const { platform, ...rest } = options;
    const wanted = platformOf(platform);
    const store = await this.#openStore();
    if (location.transport !== 'registry') {
      const { pullArchive } = await import('./images/load.ts');
      return pullArchive(store, location, { ...rest, platform: wanted });
    }
    const [{ pullImage }, { registrySource }, { imageName }, client] = await Promise.all([
      import('./images/pull/pull.ts'),
      import('./images/pull/source.ts'),
      import('./images/name-image.ts'),
      this.#openClient(),
    ]);
    const { reference } = location;
    const { allPlatforms, unpack } = rest;
    const request = {
      names: [imageName(reference)] as [string],
      source: registrySource(client, reference),
      digest: reference.digest,
      platform: wanted,
      allPlatforms,
      unpack,
    };
    return pullImage(store, request, rest);
  }

  /** Every name in the store, in order. */
  async images(): Promise<ImageSummary[]> {
    const { listImages } = await import('./images/list.ts');
    return listImages(await this.#openStore());
  }

  /** All that is known of one image. */
  async inspect(image: string): Promise<ImageDetails> {
    const { inspectImage } = await import('./images/inspect.ts');
    return inspectImage(await this.#openStore(), image);
  }

  /** The steps that made an image, the newest first. */
  async history(image: string): Promise<HistoryItem[]> {
    const { imageHistory } = await import('./images/inspect.ts');
    return imageHistory(await this.#openStore(), image);
  }

  /** One more name for an image; the new name. */
  async tag(source: string, target: string): Promise<string> {
    const { tagImage } = await import('./images/tag.ts');
    return tagImage(await this.#openStore(), source, target);
  }

  /** Removes names, and what they alone held: all of them, or none when one is not there or in use. */
  async rmi(images: readonly string[], options: RemoveOptions = {}): Promise<Removal> {
    const { removeImages } = await import('./images/remove.ts');
    return removeImages(await this.#openStore(), images, options);
  }

  /** Mounts an image copy-on-write; the mount survives the process. */
  async mount(image: string, options: MountImageOptions = {}): Promise<MountedImage> {
    const { mountImage } = await import('./images/mount.ts');
    return mountImage(await this.#openStore(), image, options);
  }

  async mounts(): Promise<MountedImage[]> {
    const { listMounts } = await import('./images/mount.ts');
    return listMounts(await this.#openStore());
  }

  /** Unmounts by name or path, and drops what was written unless `keep`. */
  async umount(nameOrPath: string, options: UnmountImageOptions = {}): Promise<void> {
    const { unmountImage } = await import('./images/mount.ts');
    return unmountImage(await this.#openStore(), nameOrPath, options);
  }

  /** What was written to a mount or container since it was made. */
  async diff(name: string, options: OperationOptions = {}): Promise<SnapshotChange[]> {
    const { diffSnapshot } = await import('./images/diff-snapshot.ts');
    const store = await this.#openStore();
    const { containers } = store.metadata;
    const container = containers.byName(name) ?? containers.get(name);
    return diffSnapshot(store, container?.snapshot ?? name, options);
  }

  /** Two images compared file by file, without mounting either. */
  async diffImages(before: string, after: string, options: DiffImagesOptions = {}): Promise<FileChange[]> {
    const [{ diffImages }, { findImage }] = await Promise.all([
      import('./images/diff-images.ts'),
      import('./images/find.ts'),
    ]);
    const store = await this.#openStore();
    return diffImages(store, { image: findImage(store, before) }, { image: findImage(store, after) }, options);
  }

  /** Files of an image that is not mounted. */
  async ls(image: string, path: string, options: ListFilesOptions = {}): Promise<ListedFile[]> {
    const [{ listFiles }, { findImage }] = await Promise.all([
      import('./images/list-files.ts'),
      import('./images/find.ts'),
    ]);
    const store = await this.#openStore();
    return listFiles(store, findImage(store, image), path, options);
  }

  /** A file's bytes out of an image that is not mounted. */
  async *cat(image: string, path: string, options: OperationOptions = {}): AsyncGenerator<Uint8Array, void> {
    const [{ catFile }, { findImage }] = await Promise.all([
      import('./images/cat-file.ts'),
      import('./images/find.ts'),
    ]);
    const store = await this.#openStore();
    yield* catFile(store, findImage(store, image), path, options);
  }

  /** Each layer's own files, what it hides, and what is wasted. */
  async layers(image: string, options: OperationOptions = {}): Promise<LayersReport> {
    const [{ reportImageLayers }, { findImage }] = await Promise.all([
      import('./images/layers-report.ts'),
      import('./images/find.ts'),
    ]);
    const store = await this.#openStore();
    return reportImageLayers(store, findImage(store, image), options);
  }

  /** Sends an image to a registry, digests as they are. */
  async push(image: string, options: PushOptions = {}): Promise<PushResult> {
    const [{ pushImage }, { findImage }, { parseReference }, client] = await Promise.all([
      import('./images/push.ts'),
      import('./images/find.ts'),
      import('./oci/reference.ts'),
      this.#openClient(),
    ]);
    const { destination, platform, ...rest } = options;
    const store = await this.#openStore();
    return pushImage(store, client, findImage(store, image), {
      ...rest,
      destination: destination === undefined ? undefined : parseReference(destination),
      platform: platformOf(platform),
    });
  }

  /** Writes images as one archive or layout, shared layers once. */
  async save(images: readonly string[], options: SaveOptions): Promise<void> {
    const [{ findImage }, { saveDirectory, saveFile }] = await Promise.all([
      import('./images/find.ts'),
      import('./images/save.ts'),
    ]);
    const { output, format = 'oci-archive', platform, ...rest } = options;
    const store = await this.#openStore();
    const rows = images.map((image) => findImage(store, image));
    const wanted = { ...rest, platform: platformOf(platform) };
    if (format === 'oci') await saveDirectory(store, rows, output, wanted);
    else await saveFile(store, rows, format, output, wanted);
  }

  /** The bytes of such an archive, for a stream. */
  async *saveStream(
    images: readonly string[],
    options: Omit<SaveOptions, 'output' | 'format'> & { readonly format?: ArchiveFormat } = {},
  ): AsyncGenerator<Uint8Array, void> {
    const [{ findImage }, { saveArchive }] = await Promise.all([
      import('./images/find.ts'),
      import('./images/save.ts'),
    ]);
    const { format = 'oci-archive', platform, ...rest } = options;
    const store = await this.#openStore();
    const rows = images.map((image) => findImage(store, image));
    yield* saveArchive(store, rows, format, { ...rest, platform: platformOf(platform) });
  }

  /** All images of an archive file (`-`: standard input) or layout directory. */
  async load(path: string, options: ArchiveLoadOptions = {}): Promise<PullResult[]> {
    const { loadImages } = await import('./images/load.ts');
    const { platform, ...rest } = options;
    return loadImages(await this.#openStore(), path, { ...rest, platform: platformOf(platform) });
  }

  /** Checks a credential at the registry and stores it where podman and docker look for theirs. */
  async login(registry: string, options: LoginOptions): Promise<LoggedIn> {
    const { login } = await import('../registry-client/auth/login.ts');
    return login(registry, { ...options, client: clientSettings(this.config, this.#options) });
  }

  async logout(registry: string): Promise<LoggedOut> {
    const { logout } = await import('../registry-client/auth/login.ts');
    return logout(registry);
  }

  /** What everything takes, by image, shared and alone; it agrees with `du`. */
  async df(options: OperationOptions = {}): Promise<DiskUsage> {
    const { diskUsage } = await import('./images/df.ts');
    return diskUsage(await this.#openStore(), options);
  }

  /** Removes what nothing holds. */
  async gc(options: GcOptions = {}): Promise<GcReport> {
    const { collectGarbage } = await import('./images/gc.ts');
    return collectGarbage(await this.#openStore(), options);
  }

  /** Each driver: whether it works for this store, what it found, and which one is chosen and why. */
  async drivers(options: { readonly signal?: AbortSignal } = {}): Promise<DriverReport[]> {
    const [{ probeAll }, { driverKey }] = await Promise.all([
      import('../drivers/index.ts'),
      import('./store-driver.ts'),
    ]);
    const store = await this.#openStore();
    const wanted = store.driverName ?? (this.config.driver === undefined ? undefined : driverKey(this.config.driver));
    return probeAll(store.paths.layers, { ...options, wanted });
  }

  /** Holds rows, disk, digests and mounts against each other; with `repair` puts right what can be. */
  async fsck(options: Omit<FsckOptions, 'sourceOf'> = {}): Promise<FsckReport> {
    const [{ checkStore }, { registrySource }, { parseReference }] = await Promise.all([
      import('./images/fsck/fsck.ts'),
      import('./images/pull/source.ts'),
      import('./oci/reference.ts'),
    ]);
    const sourceOf = async (name: string) => registrySource(await this.#openClient(), parseReference(name));
    return checkStore(await this.#openStore(), { ...options, sourceOf });
  }

  /**
   * Runs a program in a new container as the caller's child, with the caller's streams unless `io` says otherwise.
   * Returns when the program runs; `exited` settles when it has ended and everything of it is gone.
   */
  async run(image: string, options: RunContainerOptions = {}, io: ForegroundIO = {}): Promise<RunningContainer> {
    const { runForeground } = await import('./containers/run.ts');
    return runForeground(await this.#runRequest(image, options), io);
  }

  /** The same with a terminal (docker's `run -it`): the caller's own unless `io` says otherwise. */
  async runTerminal(image: string, options: RunContainerOptions = {}, io: TerminalIO = {}): Promise<ExitResult> {
    const { runTerminal } = await import('./containers/run.ts');
    return runTerminal(await this.#runRequest(image, { ...options, tty: true }), io);
  }

  /** Runs it in the background, under a watcher (docker's `run -d`). Returns when the program runs. */
  async start(image: string, options: RunContainerOptions & WarningOptions = {}): Promise<Container> {
    const { runDetached } = await import('./containers/run.ts');
    const { onWarning, ...rest } = options;
    return runDetached(await this.#runRequest(image, rest), onWarning ? { onWarning } : {});
  }

  /** Containers, oldest first; those that have ended with `all`. */
  async ps(options: { readonly all?: boolean } = {}): Promise<Container[]> {
    const containers = await (await this.#containers()).list();
    return containers.filter(({ state }) => options.all || state.status === 'running' || state.status === 'paused');
  }

  async inspectContainer(name: string): Promise<Container> {
    return (await this.#openLauncher()).inspect(name);
  }

  /** A further program in a running container. */
  async exec(name: string, options: ExecOptions, io: ForegroundIO = {}): Promise<RunningProcess> {
    return (await this.#openLauncher()).exec(name, options, io);
  }

  async execTerminal(name: string, options: ExecOptions, io: TerminalIO = {}): Promise<ExitResult> {
    return (await this.#openLauncher()).execTerminal(name, options, io);
  }

  /** Joins a detached container's terminal or output. */
  async attach(name: string, io: TerminalIO = {}): Promise<ExitResult> {
    return (await this.#openLauncher()).attach(name, io);
  }

  async stop(name: string, options: StopOptions = {}): Promise<void> {
    return (await this.#openLauncher()).stop(name, options);
  }

  /** @param signal as in `TERM`, `SIGTERM` or `15` */
  async kill(name: string, signal: string = 'KILL'): Promise<void> {
    return (await this.#openLauncher()).kill(name, signal);
  }

  async pause(name: string): Promise<void> {
    return (await this.#openLauncher()).pause(name);
  }

  async unpause(name: string): Promise<void> {
    return (await this.#openLauncher()).unpause(name);
  }

  /** Settles when the container has ended. */
  async wait(name: string, signal?: AbortSignal): Promise<ExitResult> {
    return (await this.#openLauncher()).wait(name, signal);
  }

  async *logs(name: string, options: LogOptions = {}): AsyncGenerator<LogEntry, void> {
    yield* (await this.#openLauncher()).logs(name, options);
  }

  /** Samples of the named containers, or of all that run. */
  async *stats(names: readonly string[] = [], options: StatsOptions = {}): AsyncGenerator<readonly ContainerStats[]> {
    yield* (await this.#openLauncher()).stats(names, options);
  }

  /** Removes a container with what it wrote. IN_USE while it runs, unless forced. */
  async rm(name: string, options: { readonly force?: boolean } = {}): Promise<void> {
    const { removeContainer } = await import('./containers/remove.ts');
    return removeContainer(await this.#openStore(), await this.#openLauncher(), name, options);
  }

  /** The cgroup hierarchies, the subsystems attached to each, and the containers in them. */
  async cgroups(): Promise<readonly HierarchyView[]> {
    return (await this.#openLauncher()).hierarchies();
  }

  /** Ends what is open. What is mounted or runs detached goes on. */
  async close(): Promise<void> {
    const [store, client] = await Promise.allSettled([this.#store, this.#client]);
    if (client.status === 'fulfilled') await client.value?.close();
    if (store.status === 'fulfilled') await store.value?.[Symbol.asyncDispose]();
    this.#store = undefined;
    this.#client = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #openStore(): Promise<OpenStore> {
    this.#store ??= this.#makeStore();
    return this.#store;
  }

  async #makeStore(): Promise<OpenStore> {
    const [{ openStore }, { DEFAULT_LIMITS }, { driverKey, findDriver }] = await Promise.all([
      import('./images/store.ts'),
      import('./archive/sink.ts'),
      import('./store-driver.ts'),
    ]);
    const { driver } = this.config;
    const store: OpenStore = await openStore({
      root: this.root,
      driver: driver === undefined ? undefined : driverKey(driver),
      drivers: { choose: (directory, key) => findDriver(directory, key, store.driverName !== undefined) },
      config: storeSettings(this.config, DEFAULT_LIMITS),
    });
    return store;
  }

  async #openLauncher(): Promise<Launcher> {
    const { createLauncher } = await import('./launch/create-launcher.ts');
    return createLauncher({ root: this.root });
  }

  /** The launcher, after what ended without anybody was taken away. */
  async #containers(): Promise<Launcher> {
    const { sweepContainers } = await import('./containers/remove.ts');
    const launcher = await this.#openLauncher();
    await sweepContainers(await this.#openStore(), launcher);
    return launcher;
  }

  async #runRequest(image: string, options: RunContainerOptions): Promise<RunRequest> {
    const { remove = false, pull = 'missing', platform, signal, onProgress, ...run } = options;
    const operation = { signal, onProgress };
    if (pull === 'always' || (pull === 'missing' && !(await this.#has(image)))) {
      await this.pull(image, { ...operation, platform });
    }
    const [context, launcher] = await Promise.all([this.#openStore(), this.#openLauncher()]);
    const program = fileURLToPath(moduleUrl('./remove-at-end', import.meta.url));
    const removeCommand = (id: string) => [process.execPath, '--no-warnings', program, this.root, id];
    return { ...operation, context, launcher, image, run, remove, removeCommand };
  }

  async #has(image: string): Promise<boolean> {
    const { findImage } = await import('./images/find.ts');
    try {
      findImage(await this.#openStore(), image);
      return true;
    } catch (error) {
      if (isTslayerError(error, 'NOT_FOUND')) return false;
      throw error;
    }
  }

  #openClient(): Promise<RegistryClient> {
    this.#client ??= this.#makeClient();
    return this.#client;
  }

  async #makeClient(): Promise<RegistryClient> {
    const { createRegistryClient } = await import('../registry-client/registry-client.ts');
    return createRegistryClient(clientSettings(this.config, this.#options));
  }

  /** A short name's alias in registries.conf. */
  async #expand(text: string): Promise<string> {
    const { expandShortName } = await import('../registry-client/hosts/short-names.ts');
    return expandShortName(text);
  }
}

function platformOf(text: string | undefined): Platform | undefined {
  return text === undefined ? undefined : parsePlatform(text);
}

/** Opens the store that options, environment and configuration name. Nothing is created before it is needed. */
export async function openTslayer(options: TslayerOptions = {}): Promise<Tslayer> {
  return new Tslayer(await loadConfig(options), options);
}

/** The embedded registry over an OCI image layout. */
export async function serveRegistry(options: ServeOptions): Promise<RunningRegistry> {
  const serve = await import('./serve/index.ts');
  return serve.serveRegistry(options);
}
