/** The watcher's side of attaching: clients that get the output, give input, resize and detach. */
import { closeSync, openSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { WindowSize } from '../sys/pty.ts';
import type { ContainerIO } from './container-io.ts';
import { type ClientMessage, controlFrame, encodeFrame, FRAME, readFrames, type WatcherMessage } from './frames.ts';

/** How long a terminal's first size is waited for. */
const SIZE_PATIENCE_MS = 1000;

interface Client {
  readonly socket: Socket;
  attached: boolean;
  owner: boolean;
}

export class AttachServer {
  readonly #io: ContainerIO;
  readonly #clients = new Set<Client>();
  /** Those that have not taken yet what they were sent; output stands still for them. */
  readonly #slow = new Set<Client>();
  readonly #firstSize: PromiseWithResolvers<WindowSize | undefined> = Promise.withResolvers();
  #server: Server | undefined;
  /** The owner's connection broke without a word. */
  onHangUp: () => void = () => undefined;

  constructor(io: ContainerIO) {
    this.#io = io;
    io.onOutput = (stream, data) => this.#broadcast(encodeFrame(FRAME[stream], data));
  }

  serve(socket: Socket): void {
    const client: Client = { socket, attached: false, owner: false };
    this.#clients.add(client);
    socket.on('error', () => socket.destroy());
    void this.#listenTo(client);
  }

  async #listenTo(client: Client): Promise<void> {
    for await (const { kind, payload } of readFrames(client.socket)) {
      if (kind === FRAME.stdin) await this.#io.input(payload);
      else if (kind === FRAME.control) this.#obey(client, JSON.parse(payload.toString()) as ClientMessage);
    }
    this.#clients.delete(client);
    this.#caughtUp(client);
    client.socket.destroy();
    this.#firstSize.resolve(undefined);
    if (client.owner) this.onHangUp();
  }

  #obey(client: Client, message: ClientMessage): void {
    if (message.type === 'attach') Object.assign(client, { attached: true, owner: message.owner });
    else if (message.type === 'detach') client.owner = false;
    else {
      this.#firstSize.resolve(message.size);
      this.#io.resize(message.size);
    }
  }

  /** What the first client's window measures, so that the program starts with it. */
  firstSize(): Promise<WindowSize | undefined> {
    setTimeout(() => this.#firstSize.resolve(undefined), SIZE_PATIENCE_MS).unref();
    return this.#firstSize.promise;
  }

  #broadcast(frame: Buffer): void {
    for (const client of this.#clients) {
      if (!client.attached || !client.socket.writable || client.socket.write(frame)) continue;
      this.#slow.add(client);
      this.#io.flow(false);
      client.socket.once('drain', () => this.#caughtUp(client));
    }
  }

  #caughtUp(client: Client): void {
    if (this.#slow.delete(client) && this.#slow.size === 0) this.#io.flow(true);
  }

  /** Tells every client, attached or not. */
  announce(message: WatcherMessage): void {
    for (const { socket } of this.#clients) if (socket.writable) socket.write(controlFrame(message));
  }

  /** Lets clients come by the socket `attach` in a directory, whose path may be longer than an address may be. */
  async listen(directory: string): Promise<void> {
    const fd = openSync(directory, 'r');
    const server = createServer((socket) => this.serve(socket));
    this.#server = server;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(`/proc/self/fd/${fd}/attach`, resolve);
      });
    } finally {
      closeSync(fd);
    }
  }

  /** The last word; resolves when the clients have it. */
  async end(message: WatcherMessage): Promise<void> {
    this.#server?.close();
    const ends = [...this.#clients].map(
      (client) =>
        new Promise<void>((resolve) => {
          client.owner = false;
          client.socket.once('close', resolve);
          client.socket.end(controlFrame(message));
          client.socket.setTimeout(SIZE_PATIENCE_MS, () => client.socket.destroy());
        }),
    );
    await Promise.all(ends);
  }
}
