/**
 * The composition root: the only file that names concrete classes. Each part is made when it is first needed, and
 * its module is loaded then: a listing never waits for the HTTP client, nor a pull for the launcher.
 */
import { type Config, type ConfigOverrides, loadConfig } from './config/load.ts';
import type { RunningRegistry, ServeOptions } from './serve/index.ts';

export interface TslayerOptions extends ConfigOverrides {
  /** Speak plain HTTP to every registry that is not public. */
  readonly plainHttp?: boolean;
  /** Accept any certificate. */
  readonly insecure?: boolean;
  /** Things worth telling that are no errors. */
  readonly onWarning?: (message: string) => void;
  /** Requests and answers, a line each, without secrets. */
  readonly trace?: (line: string) => void;
}

export class Tslayer implements AsyncDisposable {
  readonly config: Config;
  readonly #options: TslayerOptions;

  constructor(config: Config, options: TslayerOptions) {
    this.config = config;
    this.#options = options;
  }

  /** The store's directory. */
  get root(): string {
    return this.config.root;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
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
