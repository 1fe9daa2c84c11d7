/** The init process's end of the socket to its launcher. Everything is synchronous. */
import { writeSync } from 'node:fs';
import { asTslayerError } from '../../errors.ts';
import { receiveWithFds } from '../../sys/fd-passing.ts';
import { exitStatusOf } from '../errors.ts';
import { CHANNEL_FD, type InitMessage, type InitTask, LENGTH_BYTES, type Placement } from '../protocol.ts';

export function send(message: InitMessage): void {
  writeSync(CHANNEL_FD, `${JSON.stringify(message)}\n`);
}

export function warn(message: string): void {
  send({ type: 'warning', message });
}

export function sendError(error: unknown): void {
  const { code, message, hint } = asTslayerError(error);
  try {
    send({ type: 'error', exitStatus: exitStatusOf(error), code, message, hint });
  } catch {
    // The launcher is gone, and with it everyone who wanted to know.
  }
}

export interface Received<T> {
  readonly message: T;
  readonly files: readonly number[];
}

/** What the launcher says next, with the files that come with it. Undefined when it is gone, or wants nothing more. */
export function receiveTask(): Received<InitTask> | undefined {
  return receiveMessage<InitTask>();
}

export function receivePlacement(): Received<Placement> {
  const received = receiveMessage<Placement>();
  if (received === undefined) throw new Error('the launcher is gone');
  return received;
}

function receiveMessage<T>(): Received<T> | undefined {
  const files: number[] = [];
  const length = receive(LENGTH_BYTES, files);
  const json = length && receive(length.readUInt32LE(0), files);
  return json && { message: JSON.parse(json.toString()) as T, files };
}

function receive(length: number, fds: number[]): Buffer | undefined {
  const buffer = Buffer.alloc(length);
  for (let filled = 0; filled < length; ) {
    const got = receiveWithFds(CHANNEL_FD, buffer.subarray(filled));
    if (got.bytes === 0) return undefined;
    fds.push(...got.fds);
    filled += got.bytes;
  }
  return buffer;
}

/** Waits for the launcher's one-byte answer. */
export function awaitAnswer(): void {
  if (receive(1, []) === undefined) throw new Error('the launcher is gone');
}
