/**
 * One connection that asks for bodies and takes them straight from the socket: the socket reads into memory that is
 * handed on as it is, a quarter of a megabyte and more at a time. node:http's parser copies every body in pieces of
 * 64 KiB; see README.md for what that costs.
 */
import { connect, type OnReadOpts, type Socket } from 'node:net';
import { TransportProblem } from '../errors.ts';
import { ChunkQueue } from './body.ts';
import { type BodyFrame, frameOf } from './framing.ts';
import { parseHead, type ResponseHead } from './response-head.ts';
import { Slabs } from './slabs.ts';

const MAX_HEAD = 64 * 1024;
const EMPTY = Buffer.alloc(0);

export interface DirectTarget {
  readonly host: string;
  readonly port: number;
  /** Set for https. */
  readonly tls?: import('node:tls').ConnectionOptions;
  readonly lookup?: import('node:net').LookupFunction;
}

export interface DirectAnswer {
  readonly head: ResponseHead;
  readonly body: ChunkQueue;
}

export interface DirectRequest {
  /** From the request line to the empty line. */
  readonly head: string;
  readonly method: string;
  readonly stallMs: number;
  /** A chunk of the answer's body is good until the next one is asked for: its memory is used again. */
  readonly transient: boolean;
}

/** What the connection waits for. */
interface Pending extends DirectRequest {
  readonly resolve: (answer: DirectAnswer) => void;
  readonly reject: (error: Error) => void;
}

interface OpenBody {
  readonly queue: ChunkQueue;
  readonly frame: BodyFrame;
  readonly transient: boolean;
}

export class DirectConnection {
  readonly socket: Socket;
  /** Called when a body has ended and the connection may take another request. */
  onIdle: (() => void) | undefined;
  onClosed: (() => void) | undefined;
  readonly #slabs: Slabs = new Slabs();
  #pending: Pending | undefined;
  /** The part of a head that came so far. */
  #head: Buffer = EMPTY;
  #body: OpenBody | undefined;
  #keepAlive = false;

  constructor(target: DirectTarget) {
    this.socket = open(target, {
      buffer: () => this.#slabs.room(),
      callback: (count, bytes) => this.#received(count, bytes),
    });
    this.socket.on('error', (error) => this.#broken(error));
    this.socket.on('timeout', () => this.destroy());
    this.socket.on('end', () => this.#hungUp());
    this.socket.on('close', () => {
      this.#hungUp();
      this.onClosed?.();
    });
  }

  /** Sends a request without a body; one at a time. */
  ask(request: DirectRequest): Promise<DirectAnswer> {
    return new Promise((resolve, reject) => {
      this.#pending = { ...request, resolve, reject };
      if (this.socket.destroyed) return this.#hungUp();
      this.socket.write(request.head, 'latin1');
    });
  }

  destroy(error?: Error): void {
    this.socket.destroy(error);
  }

  #received(count: number, into: Uint8Array): boolean {
    this.#slabs.fill(count);
    const bytes = Buffer.from(into.buffer, into.byteOffset, count);
    if (this.#body) this.#receivedBody(bytes, this.#body);
    else if (this.#pending) this.#receivedHead(bytes, this.#pending);
    // Nobody asked: a server that talks by itself would have its words taken for the next answer.
    else this.destroy();
    return true;
  }

  #receivedHead(bytes: Buffer, pending: Pending): void {
    const all = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes]);
    const end = all.indexOf('\r\n\r\n');
    if (end < 0) {
      this.#slabs.lend(bytes, false);
      this.#head = all;
      if (all.length > MAX_HEAD) this.#broken(tooManyHeaders());
      return;
    }
    this.#head = EMPTY;
    const rest = all.subarray(end + 4);
    try {
      const head = parseHead(all.toString('latin1', 0, end), pending.method);
      // 100 Continue, 103 Early Hints: the answer is still to come.
      if (head.status < 200 && head.status !== 101) {
        if (rest.length > 0) this.#receivedHead(rest, pending);
        return;
      }
      this.#begin(head, rest, pending);
    } catch (error) {
      this.#broken(error);
    }
  }

  #begin(head: ResponseHead, rest: Buffer, { stallMs, transient, resolve }: Pending): void {
    const { socket } = this;
    const flow = {
      pause: () => void socket.pause(),
      resume: () => void socket.resume(),
      destroy: () => this.destroy(),
    };
    const onDone = transient ? (chunk: Buffer) => this.#slabs.giveBack(chunk) : undefined;
    const queue = new ChunkQueue(flow, stallMs, onDone);
    this.#pending = undefined;
    this.#body = { queue, frame: frameOf(head.framing), transient };
    this.#keepAlive = head.keepAlive && head.framing !== 'connection';
    resolve({ head, body: queue });
    this.#receivedBody(rest, this.#body);
  }

  #receivedBody(bytes: Buffer, { queue, frame, transient }: OpenBody): void {
    try {
      const surplus = frame.take(bytes, (chunk) => {
        this.#slabs.lend(chunk, transient);
        queue.push(chunk);
      });
      if (surplus !== undefined) this.#finishBody(surplus);
    } catch (error) {
      this.#broken(error);
    }
  }

  /** @param surplus bytes beyond the announced length: whatever they are, the connection is not to be trusted again */
  #finishBody(surplus: number): void {
    this.#body?.queue.finish();
    this.#body = undefined;
    this.socket.resume();
    if (surplus > 0 || !this.#keepAlive) this.destroy();
    else this.onIdle?.();
  }

  /** The other side will send nothing more. */
  #hungUp(): void {
    if (this.#body?.frame.mayEnd) this.#body.queue.finish();
    this.#broken(Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' }));
  }

  #broken(error: unknown): void {
    const failure = error instanceof Error ? error : new Error(String(error));
    const { reject } = this.#pending ?? {};
    const body = this.#body;
    this.#pending = undefined;
    this.#body = undefined;
    reject?.(failure);
    body?.queue.finish(failure);
    this.socket.destroy();
  }
}

function tooManyHeaders(): TransportProblem {
  return new TransportProblem('the answer has too many headers', { code: 'NETWORK', temporary: true });
}

function open({ host, port, tls, lookup }: DirectTarget, onread: OnReadOpts): Socket {
  const common = { host, port, onread, noDelay: true, ...(lookup && { lookup }) };
  if (!tls) return connect(common);
  const { connect: connectTls } = process.getBuiltinModule('node:tls');
  return connectTls({ ...tls, ...common, ALPNProtocols: ['http/1.1'] });
}
