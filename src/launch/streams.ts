/**
 * A program's standard streams: what it gets of the caller's, and pipes. Pipes, and not the pairs of sockets that Node
 * calls so: nothing can open a socket anew, and many images write to /dev/stdout by name.
 */
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { hasErrno } from '../sys/libc.ts';
import { letReopen, openPipe } from '../sys/pipe.ts';
import type { StdioTarget } from './launcher.ts';

export type Stdio = readonly [StdioTarget, StdioTarget, StdioTarget];

/** The caller's ends, where stdio said `pipe`. */
export interface PipeEnds {
  readonly stdin: Socket | null;
  readonly stdout: Socket | null;
  readonly stderr: Socket | null;
}

export class ProgramStreams implements Disposable {
  /** The program's descriptors 0, 1 and 2, as long as this is not disposed. */
  readonly files: readonly (number | 'ignore')[];
  readonly ends: PipeEnds;
  readonly #theirs: number[] = [];

  constructor(stdio: Stdio) {
    const mine: (Socket | null)[] = [];
    this.files = stdio.map((target, place) => {
      mine.push(null);
      if (target === 'ignore') return target;
      if (target === 'pipe') return this.#connect(mine, place);
      const file = target === 'inherit' ? place : target;
      shareMode(file);
      return file;
    });
    const [stdin = null, stdout = null, stderr = null] = mine;
    this.ends = { stdin, stdout, stderr };
  }

  #connect(mine: (Socket | null)[], place: number): number {
    const { reader, writer } = openPipe();
    const isInput = place === 0;
    mine[place] = isInput ? streamInto(writer) : streamFrom(reader);
    const theirs = isInput ? reader : writer;
    this.#theirs.push(theirs);
    letReopen(theirs);
    return theirs;
  }

  /** There is no program. */
  abandon(): void {
    for (const end of Object.values(this.ends)) end?.destroy();
  }

  /** Closes the program's ends here: it has them, or there is none. */
  [Symbol.dispose](): void {
    for (const fd of this.#theirs.splice(0)) closeSync(fd);
  }
}

/** The caller may have closed one. */
function shareMode(file: number): void {
  try {
    letReopen(file);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'EBADF')) throw error;
  }
}

export function streamFrom(reader: number): Socket {
  return new (netModule().Socket)({ fd: reader, readable: true, writable: false });
}

export function streamInto(writer: number): Socket {
  return new (netModule().Socket)({ fd: writer, readable: false, writable: true });
}

/** Loaded when there is a pipe: a start of the command line is not to wait for it. */
function netModule(): typeof import('node:net') {
  return process.getBuiltinModule('node:net');
}
