/** What a server may put on the wire: the direct connection takes nothing for an answer that is none. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { RegistryClient } from '../../../registry-client/client.ts';
import { isTslayerError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { OCI_LAYER } from '../../../src/oci/media-types.ts';
import { readBlob, testClient } from '../../support/registry-content.ts';

const blob = randomBytes(1000);
const descriptor = { mediaType: OCI_LAYER, digest: digestOf(blob), size: blob.length };
const OK = `HTTP/1.1 200 OK\r\ncontent-length: ${blob.length}\r\n`;

interface WireServer extends AsyncDisposable {
  readonly host: string;
  /** Connections that were made. */
  readonly connections: () => number;
}

/** Calls `answer` for each request of each connection. */
async function startWire(answer: (socket: Socket, request: number, connection: number) => void): Promise<WireServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let requests = 0;
  const server = createServer((socket) => {
    const connection = ++connections;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      if (bytes.includes('\r\n\r\n')) answer(socket, ++requests, connection);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function ask(client: RegistryClient, server: WireServer): Promise<Buffer> {
  return await readBlob(client, { registry: server.host, repository: 'x' }, descriptor);
}

describe('on the wire', () => {
  test('one connection serves request after request', async () => {
    await using server = await startWire((socket) => socket.write(Buffer.concat([Buffer.from(`${OK}\r\n`), blob])));
    const client = testClient();
    for (let n = 0; n < 30; n++) assert.ok((await ask(client, server)).equals(blob));
    assert.equal(server.connections(), 1);
    await client.close();
  });

  test('an answer in single bytes', async () => {
    await using server = await startWire(async (socket) => {
      socket.setNoDelay();
      for (const byte of Buffer.from(`HTTP/1.1 100 Continue\r\n\r\n${OK}\r\n`)) {
        socket.write(Buffer.of(byte));
        await delay(0);
      }
      socket.write(blob);
    });
    const client = testClient();
    assert.ok((await ask(client, server)).equals(blob));
    await client.close();
  });

  test('response smuggling: bytes after the body are not the next answer', async () => {
    const evil = `HTTP/1.1 200 OK\r\ncontent-length: ${blob.length}\r\n\r\n${'e'.repeat(blob.length)}`;
    await using server = await startWire((socket, request) => {
      socket.write(Buffer.concat([Buffer.from(`${OK}\r\n`), blob, ...(request === 1 ? [Buffer.from(evil)] : [])]));
    });
    const client = testClient();
    assert.ok((await ask(client, server)).equals(blob));
    assert.ok((await ask(client, server)).equals(blob));
    assert.equal(server.connections(), 2);
    await client.close();
  });

  test('response smuggling: bytes on an idle connection are not the next answer', async () => {
    const evil = `HTTP/1.1 200 OK\r\ncontent-length: ${blob.length}\r\n\r\n${'e'.repeat(blob.length)}`;
    await using server = await startWire((socket, request) => {
      socket.write(Buffer.concat([Buffer.from(`${OK}\r\n`), blob]));
      if (request === 1) setTimeout(() => socket.write(evil), 20);
    });
    const client = testClient();
    assert.ok((await ask(client, server)).equals(blob));
    await delay(60);
    assert.ok((await ask(client, server)).equals(blob));
    assert.equal(server.connections(), 2);
    await client.close();
  });

  test('a connection that the server closed meanwhile is replaced without a try', async () => {
    await using server = await startWire((socket) => {
      socket.write(Buffer.concat([Buffer.from(`${OK}\r\n`), blob]), () => setTimeout(() => socket.destroy(), 10));
    });
    const client = testClient({ retry: { attempts: 1 } });
    for (let n = 0; n < 4; n++) {
      assert.ok((await ask(client, server)).equals(blob));
      await delay(n * 10);
    }
    await client.close();
  });

  test('a body by chunks; one that is cut is not whole', async () => {
    const whole = `${OK.replace(/content-length.*\r\n/, 'transfer-encoding: chunked\r\n')}\r\n`;
    await using server = await startWire((socket, request) => {
      const half = Buffer.concat([Buffer.from(`${whole}1f4\r\n`), blob.subarray(0, 500), Buffer.from('\r\n')]);
      if (request === 1) return void socket.end(half);
      socket.write(
        Buffer.concat([half, Buffer.from('1F4;x=y\r\n'), blob.subarray(500), Buffer.from('\r\n0\r\nt: u\r\n\r\n')]),
      );
    });
    const client = testClient();
    // The second request asks for a range, and the server sends everything.
    assert.ok((await ask(client, server)).equals(blob));
    assert.ok((await ask(client, server)).equals(blob));
    assert.equal(server.connections(), 2);
    await client.close();
  });

  for (const [what, text] of [
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['a length and an encoding', `${OK}transfer-encoding: chunked\r\n\r\n`],
    ['two lengths', `${OK}content-length: 5\r\n\r\n`],
    ['a head without end', `${OK}${'x: y\r\n'.repeat(20_000)}`],
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n'],
    ['early hints for ever', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(5000)],
  ] as const) {
    test(`${what} is an error, in time`, async () => {
      await using server = await startWire((socket) => socket.write(text));
      const client = testClient({ retry: { attempts: 1 }, timeouts: { responseMs: 300, connectMs: 50 } });
      await assert.rejects(ask(client, server), (error) => isTslayerError(error));
      await client.close();
    });
  }

  test('random bytes are an error, in time', async () => {
    await using server = await startWire((socket) => void socket.end(randomBytes(2000)));
    const client = testClient({ retry: { attempts: 1 }, timeouts: { responseMs: 300, connectMs: 50 } });
    for (let n = 0; n < 30; n++) await assert.rejects(ask(client, server), (error) => isTslayerError(error, 'NETWORK'));
    await client.close();
  });
});
