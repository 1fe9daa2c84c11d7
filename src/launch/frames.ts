/**
 * What a watcher and its clients say to each other over a UNIX socket: frames of a kind (one byte), a length (four,
 * little endian) and a payload.
 */
import type { Socket } from 'node:net';
import type { ErrorCode } from '../errors.ts';
import type { WindowSize } from '../sys/pty.ts';
import type { LaunchStatus } from './errors.ts';
import type { ExitResult } from './launcher.ts';

export const FRAME = {
  /** To the watcher: bytes for standard input; none at its end. */
  stdin: 0,
  /** To the client. */
  stdout: 1,
  stderr: 2,
  /** JSON, either way. */
  control: 3,
} as const;

export type FrameKind = (typeof FRAME)[keyof typeof FRAME];

/** From a client. `attach` asks for output; `owner`: when the connection breaks, the container is hung up. */
export type ClientMessage =
  | { readonly type: 'attach'; readonly owner: boolean }
  | { readonly type: 'resize'; readonly size: WindowSize }
  | { readonly type: 'detach' };

export type WatcherMessage =
  | { readonly type: 'started' }
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'exited'; readonly result: ExitResult }
  | {
      readonly type: 'error';
      readonly exitStatus: LaunchStatus;
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint?: string | undefined;
    };

export interface Frame {
  readonly kind: number;
  readonly payload: Buffer;
}

const HEADER = 5;
/** No honest frame is larger: reads come in pieces of 64 KiB. */
const MAX_PAYLOAD = 1024 * 1024;

export function encodeFrame(kind: FrameKind, payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(HEADER + payload.length);
  frame.writeUInt8(kind, 0);
  frame.writeUInt32LE(payload.length, 1);
  frame.set(payload, HEADER);
  return frame;
}

export function controlFrame(message: ClientMessage | WatcherMessage): Buffer {
  return encodeFrame(FRAME.control, Buffer.from(JSON.stringify(message)));
}

/** Takes whole frames out of a stream of bytes. */
export class FrameDecoder {
  #rest: Buffer = Buffer.alloc(0);

  *push(chunk: Uint8Array): Generator<Frame> {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= HEADER) {
      const length = this.#rest.readUInt32LE(1);
      if (length > MAX_PAYLOAD) throw new Error(`a frame of ${length} bytes`);
      if (this.#rest.length < HEADER + length) return;
      const payload = this.#rest.subarray(HEADER, HEADER + length);
      const kind = this.#rest.readUInt8(0);
      this.#rest = this.#rest.subarray(HEADER + length);
      yield { kind, payload };
    }
  }
}

/** The frames of a connection until it ends, however it ends. */
export async function* readFrames(socket: Socket): AsyncGenerator<Frame> {
  const decoder = new FrameDecoder();
  try {
    for await (const chunk of socket) yield* decoder.push(chunk as Buffer);
  } catch {
    // A broken connection is an end.
  }
}
