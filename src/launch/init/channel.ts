/** The init process's end of the socket to its launcher. Everything is synchronous. */
import { writeSync } from 'node:fs';
import { asTslayerError } from '../../errors.ts';
import { receiveWithFds } from '../../sys/fd-passing.ts';
import { exitStatusOf } from '../errors.ts';
import { CHANNEL_FD, type InitMessage, type InitTask, LENGTH_BYTES } from '../protocol.ts';

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

/** The task with the files that came with it. Undefined when the launcher is gone, or wants nothing any more. */
export function receiveTask(): { task: InitTask; fds: readonly number[] } | undefined {
  const fds: number[] = [];
  const length = receive(LENGTH_BYTES, fds);
  const json = length && receive(length.readUInt32LE(0), fds);
  return json && { task: JSON.parse(json.toString()) as InitTask, fds };
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
