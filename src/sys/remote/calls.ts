/**
 * System calls in another process: sends them to a stub (stub.ts) and waits for what comes back. Everything is
 * synchronous, and a round trip takes microseconds: the two processes run by turns.
 */
import { closeSync, readSync, writeSync } from 'node:fs';
import { MAX_FDS, sendWithFds, setReceiveTimeout } from '../fd-passing.ts';
import { errnos, hasErrno, SystemCallError } from '../libc.ts';
import { answerLength, type Call, decode, encode, Output } from './messages.ts';
import { STUB_SOCKET } from './stub.ts';

/** A call may wait for another machine (a mount); one that was stopped or frozen from outside never ends. */
const PATIENCE_SECONDS = 60;

/** The other process has ended. */
export class ProcessGone extends Error {
  override readonly name = 'ProcessGone';
}

export class RemoteCalls implements Disposable {
  readonly #socket: number;
  #posted: Call[] = [];
  /** Being performed: nobody has looked at the answer yet. */
  #flushed: readonly Call[] = [];
  #doing: string | undefined;

  /** @param socket the stub's other end; the stub ends when it is closed, unless it has become a program */
  constructor(socket: number) {
    this.#socket = socket;
    setReceiveTimeout(socket, PATIENCE_SECONDS);
  }

  /** @throws SystemCallError, ProcessGone; TslayerError for a call that was posted before */
  call(name: Call['name'], args: Call['args'], subject?: string): number {
    return this.callAll([{ name, args, subject }])[0]!;
  }

  /** In one round trip; what comes after a call that fails is not performed. */
  callAll(calls: readonly Call[]): number[] {
    return calls.length === 0 ? [] : (this.#exchange(calls) ?? gone());
  }

  /** Each of them, whatever becomes of the others: results, or the negative errno. */
  attempt(calls: readonly Call[]): number[] {
    return this.callAll(calls.map((call) => ({ ...call, mayFail: true })));
  }

  /**
   * Performed before the next call, without waiting for it: half of all round trips are saved so. When it fails, the
   * next call throws in its stead, and nothing later was performed.
   */
  post(name: Call['name'], args: Call['args'], subject?: string): void {
    this.#posted.push({ name, args, subject, doing: this.#doing ?? `cannot ${name}` });
  }

  /** What is done by calls that are posted meanwhile, as their errors will tell it: `cannot mount the rootfs`. */
  during(doing: string, work: () => void): void {
    const former = this.#doing;
    this.#doing = doing;
    try {
      work();
    } finally {
      this.#doing = former;
    }
  }

  /** Lets the process begin with what was posted, while the caller goes on with something else. */
  flush(): void {
    if (this.#posted.length === 0) return;
    const calls = this.#posted;
    this.#posted = [];
    this.#send(calls);
    this.#flushed = calls;
  }

  /** The last call executes a program: nobody answers then. */
  execute(calls: readonly Call[]): void {
    if (this.#exchange(calls) !== undefined) throw new Error('no program was executed');
  }

  /** Hands over open files; their numbers in the process, where they are close-on-exec. */
  pass(files: readonly number[]): number[] {
    if (files.length === 0) return [];
    if (files.length > MAX_FDS) return [...this.pass(files.slice(0, MAX_FDS)), ...this.pass(files.slice(MAX_FDS))];
    const message = receivedMessage(files.length);
    const calls: Call[] = [{ name: 'recvmsg', args: [STUB_SOCKET, message, MSG_CMSG_CLOEXEC] }];
    this.#exchange(calls, () => sendWithFds(this.#socket, Buffer.alloc(1), files)) ?? gone();
    return descriptorsIn(message.bytes, files.length);
  }

  close(file: number): void {
    this.post('close', [file]);
  }

  [Symbol.dispose](): void {
    closeSync(this.#socket);
  }

  /** The results of `calls`; undefined when the process went away, or on to its program. */
  #exchange(calls: readonly Call[], more?: () => unknown): number[] | undefined {
    const all = [...this.#posted, ...calls];
    const first = this.#posted.length;
    this.#posted = [];
    this.#send(all, more);
    const answer = this.#receive(answerLength(all));
    return answer && decode(all, answer, first);
  }

  /** Not before it is known that what was flushed has succeeded: nothing may be performed after a failure. */
  #send(calls: readonly Call[], more?: () => unknown): void {
    const flushed = this.#flushed;
    this.#flushed = [];
    if (flushed.length > 0) decode(flushed, this.#receive(answerLength(flushed)) ?? gone(), 0);
    try {
      // The socket blocks: it takes all of it.
      writeSync(this.#socket, encode(calls));
      more?.();
    } catch (error) {
      if (!hasErrno(error, 'EPIPE', 'ECONNRESET')) throw error;
      gone();
    }
  }

  #receive(length: number): Buffer | undefined {
    const answer = Buffer.allocUnsafe(length);
    for (let filled = 0; filled < length; ) {
      const got = this.#read(answer, filled);
      if (got === undefined) return undefined;
      filled += got;
    }
    return answer;
  }

  #read(answer: Buffer, at: number): number | undefined {
    try {
      return readSync(this.#socket, answer, at, answer.length - at, null) || undefined;
    } catch (error) {
      if (hasErrno(error, 'ECONNRESET')) return undefined;
      // By a signal that Node will tell of later: a read with a timeout is not taken up again by itself.
      if (hasErrno(error, 'EINTR')) return 0;
      if (hasErrno(error, 'EAGAIN')) throw new Error(`no answer from the process in ${PATIENCE_SECONDS} seconds`);
      throw error;
    }
  }
}

function gone(): never {
  throw new ProcessGone('the process has ended');
}

const MSG_CMSG_CLOEXEC = 0x40000000;

// struct msghdr (56 bytes), its struct iovec (16), one byte of data, then the control area.
const IOVEC = 56;
const DATA = 72;
const CONTROL = 80;
const CONTROL_HEADER = 16;
const DESCRIPTORS: number = CONTROL + CONTROL_HEADER;

/** For recvmsg(2) of a byte with so many descriptors. */
function receivedMessage(descriptors: number): Output {
  return new Output((address) => {
    const control = CONTROL_HEADER + Math.ceil(descriptors / 2) * 8;
    const block = Buffer.alloc(CONTROL + control);
    block.writeBigUInt64LE(BigInt(address + IOVEC), 16);
    block.writeBigUInt64LE(1n, 24);
    block.writeBigUInt64LE(BigInt(address + CONTROL), 32);
    block.writeBigUInt64LE(BigInt(control), 40);
    block.writeBigUInt64LE(BigInt(address + DATA), IOVEC);
    block.writeBigUInt64LE(1n, IOVEC + 8);
    return block;
  });
}

/** All or none: without room for more open files the kernel hands over fewer. */
function descriptorsIn(message: Buffer, count: number): number[] {
  const length = Number(message.readBigUInt64LE(CONTROL));
  if (length !== DESCRIPTORS - CONTROL + count * 4) throw new SystemCallError('recvmsg', errnos.EMFILE);
  return Array.from({ length: count }, (_, i) => message.readInt32LE(DESCRIPTORS + i * 4));
}
