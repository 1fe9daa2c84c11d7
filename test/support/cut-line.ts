/** A line to a registry that breaks: bytes go through as they are, until so many have gone up; then nothing does. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface CutLine extends AsyncDisposable {
  /** As it stands in a reference. */
  readonly host: string;
  /** Bytes that clients have sent through it. */
  readonly up: number;
  /** Lets so many bytes more go up; default: all. Counts from zero. */
  mend(bytes?: number): void;
  /** Resolves when it has broken. */
  readonly broken: Promise<void>;
}

export interface CutLineOptions {
  /** Bytes that go up at first. */
  readonly bytes: number;
  /** What a broken line does: it ends every connection, or is silent. */
  readonly end: 'reset' | 'stall';
}

export async function cutLine(port: number, { bytes, end }: CutLineOptions): Promise<CutLine> {
  let up = 0;
  let limit = bytes;
  const broken = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  const cut = () => {
    broken.resolve();
    if (end === 'reset') for (const socket of sockets) socket.destroy();
  };
  const server = createServer((client) => {
    const registry = connect(port, '127.0.0.1');
    for (const socket of [client, registry]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        registry.destroy();
      });
    }
    client.on('data', (chunk: Buffer) => {
      const part = chunk.subarray(0, Math.max(0, limit - up));
      up += part.length;
      if (part.length === chunk.length) {
        if (!registry.write(part)) {
          client.pause();
          registry.once('drain', () => client.resume());
        }
        return;
      }
      // What has gone up arrives before the line is dead.
      registry.write(part, cut);
      // It goes on to be read, since who does not read does not see the other side go.
      client.removeAllListeners('data');
      client.resume();
    });
    registry.on('data', (chunk: Buffer) => client.write(chunk));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get up() {
      return up;
    },
    mend(more = Number.POSITIVE_INFINITY) {
      up = 0;
      limit = more;
    },
    broken: broken.promise,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
