/**
 * The caller's terminal is no program's, unless it was given one of its own (`-t`): a program that has it could read
 * what is typed, and leave it in any mode. What is typed and shown goes through pipes.
 */
import { closeSync, fstatSync } from 'node:fs';
import type { Socket } from 'node:net';
import { openPipe } from '../sys/pipe.ts';
import { isTerminal } from '../sys/pty.ts';
import { lastWords } from './last-words.ts';
import { type Stdio, streamFrom, streamInto } from './streams.ts';

interface Output {
  readonly reader: number;
  readonly stream: Socket;
  readonly to: NodeJS.WriteStream;
}

export class TerminalShield {
  /** What the program is started with. */
  readonly stdio: Stdio;
  readonly #theirs: number[] = [];
  readonly #outputs: Output[] = [];
  #input: Socket | undefined;

  constructor([stdin, stdout, stderr]: Stdio) {
    const input = stdin === 'inherit' && isTerminal(0) ? this.#takeInput() : stdin;
    const output = stdout === 'inherit' && isTerminal(1) ? this.#passOn(process.stdout) : stdout;
    this.stdio = [input, output, this.#errors(stderr, output)];
  }

  /** One pipe for both, where both are one terminal: what was written first is shown first. */
  #errors(stderr: Stdio[2], output: Stdio[1]): Stdio[2] {
    if (stderr !== 'inherit' || !isTerminal(2)) return stderr;
    if (this.#outputs.length > 0 && fstatSync(1).rdev === fstatSync(2).rdev) return output;
    return this.#passOn(process.stderr);
  }

  #takeInput(): number {
    const { reader, writer } = openPipe();
    this.#input = streamInto(writer);
    this.#theirs.push(reader);
    return reader;
  }

  #passOn(to: NodeJS.WriteStream): number {
    const { reader, writer } = openPipe();
    this.#outputs.push({ reader, stream: streamFrom(reader), to });
    this.#theirs.push(writer);
    return writer;
  }

  /** The program has its ends. */
  connect(): void {
    this.#closeTheirs();
    for (const { stream, to } of this.#outputs) stream.pipe(to, { end: false });
    const input = this.#input;
    if (input === undefined) return;
    // Writing to a program that reads no more is no error of ours.
    input.on('error', () => this.#stopInput());
    process.stdin.pipe(input);
  }

  /** After the program's end: shows what it wrote before. */
  async finish(): Promise<void> {
    this.#stopInput();
    for (const { stream, reader } of this.#outputs) {
      await lastWords(stream, reader);
      stream.destroy();
    }
  }

  /** There is no program. */
  abandon(): void {
    this.#closeTheirs();
    this.#input?.destroy();
    for (const { stream } of this.#outputs) stream.destroy();
  }

  #stopInput(): void {
    if (this.#input === undefined) return;
    process.stdin.unpipe(this.#input).pause();
    this.#input.destroy();
  }

  #closeTheirs(): void {
    for (const fd of this.#theirs.splice(0)) closeSync(fd);
  }
}
