/** The caller's own terminal while a container uses it: raw mode and its size. Put back as it was, whatever happens. */

import { makeRaw, restoreMode, type WindowSize } from '../sys/pty.ts';
import type { TerminalInput } from './launcher.ts';

/** Of a terminal that nobody looks at. */
export const DEFAULT_SIZE: WindowSize = { rows: 24, columns: 80 };

export class RawTerminal {
  readonly #stdin: TerminalInput;
  readonly #stdout: NodeJS.WriteStream;

  constructor(stdin: TerminalInput, stdout: NodeJS.WriteStream) {
    this.#stdin = stdin;
    this.#stdout = stdout;
  }

  /** Every key goes to the container, ^C and ^Z too, until the signal. */
  raw(signal: AbortSignal): void {
    const { isTTY, fd } = this.#stdin;
    if (!isTTY) return;
    const before = makeRaw(fd);
    signal.addEventListener('abort', () => restoreMode(fd, before), { once: true });
  }

  get size(): WindowSize {
    const { isTTY, rows, columns } = this.#stdout;
    return isTTY ? { rows, columns } : DEFAULT_SIZE;
  }

  /** The size now, and whenever it changes. */
  onSize(tell: (size: WindowSize) => void, signal: AbortSignal): void {
    const report = (): void => tell(this.size);
    report();
    if (!this.#stdout.isTTY) return;
    this.#stdout.on('resize', report);
    signal.addEventListener('abort', () => this.#stdout.off('resize', report), { once: true });
  }
}
