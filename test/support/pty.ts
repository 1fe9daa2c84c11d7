/** A pseudo terminal for tests: programs run on its slave, the test types and reads at its master. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { ReadStream } from 'node:tty';
import { O_RDWR } from '../../src/sys/at.ts';
import { setWindowSize, unlockSlave, type WindowSize } from '../../src/sys/pty.ts';

const O_NOCTTY = 0o400;

export class TestTerminal implements Disposable {
  readonly #fd: number;
  readonly #master: ReadStream;
  readonly #slave: number;
  /** Everything that was shown. */
  screen = '';

  constructor(size: WindowSize) {
    this.#fd = openSync('/dev/ptmx', O_RDWR | O_NOCTTY);
    // Held open: with the last one closed, the terminal would be hung up.
    this.#slave = openSync(`/dev/pts/${unlockSlave(this.#fd)}`, O_RDWR | O_NOCTTY);
    setWindowSize(this.#fd, size);
    this.#master = new ReadStream(this.#fd);
    this.#master.on('data', (data) => {
      this.screen += String(data);
    });
    // The end of a terminal is an EIO.
    this.#master.on('error', () => undefined);
  }

  /** Starts a program with the terminal as its streams, and as its controlling one (by setsid(1)). */
  spawn(command: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn('setsid', ['--ctty', '--wait', ...command], {
      stdio: [this.#slave, this.#slave, this.#slave],
      env: { ...process.env, ...env },
    });
  }

  type(text: string): void {
    this.#master.write(text);
  }

  resize(size: WindowSize): void {
    setWindowSize(this.#fd, size);
  }

  /** Waits until the screen shows something that it did not show before the last call; gives what came until then. */
  async shows(pattern: RegExp, patience = 20_000): Promise<string> {
    const deadline = AbortSignal.timeout(patience);
    for (;;) {
      const found = pattern.exec(this.screen);
      if (found) {
        const shown = this.screen.slice(0, found.index + found[0].length);
        this.screen = this.screen.slice(shown.length);
        return shown;
      }
      try {
        await once(this.#master, 'data', { signal: deadline });
      } catch (cause) {
        throw new Error(`the terminal does not show ${pattern}, but ${JSON.stringify(this.screen)}`, { cause });
      }
    }
  }

  [Symbol.dispose](): void {
    this.#master.destroy();
    closeSync(this.#slave);
  }
}

/** 128+N when signal N ended it: perhaps before the last of what it showed was read. */
export async function statusOf(child: ChildProcess): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  const { exitCode: code, signalCode: signal } = child;
  return signal === null ? (code ?? -1) : 128 + constants.signals[signal];
}
