/** A watched container's input and output: pipes, or a terminal. Everything that comes is logged and passed on. */
import { once } from 'node:events';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { ReadStream } from 'node:tty';
import { hasErrno } from '../sys/libc.ts';
import { setWindowSize, type WindowSize } from '../sys/pty.ts';
import { type LogStream, LogWriter } from './log-file.ts';
import type { Child, Program } from './supervise.ts';

const HANGUP_PATIENCE_MS = 2000;

export class ContainerIO {
  readonly #log: LogWriter;
  readonly #outputs: Readable[] = [];
  readonly #ends: Promise<void>[] = [];
  #input: Writable | null = null;
  #terminal: ReadStream | undefined;
  #master: number | undefined;
  onOutput: (stream: LogStream, data: Buffer) => void = () => undefined;

  constructor(logPath: string) {
    this.#log = new LogWriter(logPath);
  }

  connectPipes({ stdin, stdout, stderr }: Child): void {
    this.#input = stdin;
    // Writing to a program that reads no more is no error of ours.
    stdin?.on('error', () => undefined);
    if (stdout) this.#read('stdout', stdout);
    if (stderr) this.#read('stderr', stderr);
  }

  connectTerminal(master: number): void {
    this.#master = master;
    this.#terminal = new ReadStream(master);
    this.#input = this.#terminal;
    this.#read('stdout', this.#terminal);
  }

  #read(stream: LogStream, from: Readable): void {
    from.on('data', (data: Buffer) => {
      this.#log.write(stream, data);
      this.onOutput(stream, data);
    });
    this.#outputs.push(from);
    this.#ends.push(endOf(from));
  }

  /** No data: the end of the input; a terminal has none. Resolves when more may come: a pipe's reader may be slow. */
  async input(data: Uint8Array): Promise<void> {
    const input = this.#input;
    if (!input?.writable) return;
    if (data.length === 0) {
      if (!this.#terminal) input.end();
    } else if (!input.write(data) && !this.#terminal) await Promise.race([once(input, 'drain'), once(input, 'close')]);
  }

  resize(size: WindowSize): void {
    if (this.#master !== undefined && !this.#terminal?.destroyed) setWindowSize(this.#master, size);
  }

  /** Whether output is taken in: what nobody takes, the program waits with, as at any terminal. */
  flow(on: boolean): void {
    for (const output of this.#outputs) {
      if (on) output.resume();
      else output.pause();
    }
  }

  /** As when a terminal's window is closed: its programs are told, and what does not listen is killed. */
  hangUp(program: Program): void {
    this.#terminal?.destroy();
    program.signal(constants.signals.SIGHUP);
    setTimeout(() => program.signal(constants.signals.SIGKILL), HANGUP_PATIENCE_MS).unref();
  }

  /** Everything that the container wrote has been read. */
  async drained(): Promise<void> {
    await Promise.all(this.#ends);
    this.#log[Symbol.dispose]();
  }
}

/** The end of a stream; that of a terminal is told as EIO. */
async function endOf(stream: Readable): Promise<void> {
  try {
    await finished(stream, { writable: false });
  } catch (error) {
    if (!hasErrno(error, 'EIO', 'ERR_STREAM_PREMATURE_CLOSE')) throw error;
  }
}
