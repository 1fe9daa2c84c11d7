/** Makes renames durable: fsync of the directory, once for all that wait at the same time. */
import { closeSync, fsync, openSync } from 'node:fs';

export class DirectorySync {
  readonly #path: string;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Resolves when everything renamed into the directory before the call is durable. */
  sync(): Promise<void> {
    // A sync that has begun may have missed the caller's rename: the one after it has not.
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    );
    return this.#next;
  }

  #start(): Promise<void> {
    this.#next = undefined;
    const run = syncDirectory(this.#path).finally(() => {
      if (this.#running === run) this.#running = undefined;
    });
    this.#running = run;
    return run;
  }
}

/** fsync(2) of a directory. */
export function syncDirectory(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fd = openSync(path, 'r');
    fsync(fd, (error) => {
      closeSync(fd);
      if (error) reject(error);
      else resolve();
    });
  });
}
