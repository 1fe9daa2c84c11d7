/**
 * Shuts the calling thread into a directory, so that whatever a layer's names and links say, the kernel resolves
 * them inside. The thread gets a file-system context of its own first (CLONE_FS): root, working directory and umask
 * change for it alone. Asynchronous fs calls run on other threads and are not confined: extraction makes none.
 */
import { isMainThread } from 'node:worker_threads';
import { asTslayerError } from '../../errors.ts';
import { O_DIRECTORY, O_PATH, openAt } from '../../sys/at.ts';
import { closeFd } from '../../sys/libc.ts';
import { AT_FDCWD } from '../../sys/mount-api.ts';
import { CLONE_FS, chdir, chroot, fchdir, umask, unshare } from '../../sys/namespaces.ts';

export class Confinement implements Disposable {
  /** The way back: a descriptor of the root outside. It never leaves this object. */
  #outside: number | undefined;

  /** From here on `/` and the working directory of this thread are `directory`, and its umask is 0. */
  constructor(directory: string) {
    if (isMainThread) throw new TypeError('the main thread must keep its root');
    try {
      unshare(CLONE_FS);
      this.#outside = openAt(AT_FDCWD, '/', O_PATH | O_DIRECTORY);
      chroot(directory);
      chdir('/');
      umask(0);
    } catch (error) {
      this[Symbol.dispose]();
      throw asTslayerError(error, `cannot enter ${directory}`);
    }
  }

  /** Gives the thread the root outside back, for its next layer. */
  [Symbol.dispose](): void {
    if (this.#outside === undefined) return;
    fchdir(this.#outside);
    chroot('.');
    umask(0o022);
    closeFd(this.#outside);
    this.#outside = undefined;
  }
}
