/** Pushes that broke, or were killed, in the middle of a blob, and what the next one makes of that. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { RegistryClient } from '../../../registry-client/index.ts';
import { isTslayerError } from '../../../src/errors.ts';
import { buildImage } from '../../../src/images/build.ts';
import { type PushResult, pushImage } from '../../../src/images/push.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { REMEMBERED_BYTES } from '../../../src/images/upload-memory.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import type { ProgressEvent } from '../../../src/progress.ts';
import { tslayer } from '../../support/cli.ts';
import { type CutLine, type CutLineOptions, cutLine } from '../../support/cut-line.ts';
import * as kinds from '../../support/fault-kinds.ts';
import { type FaultProxy, passOn, startFaultProxy } from '../../support/fault-proxy.ts';
import { startRegistry, testClient } from '../../support/registry-content.ts';
import { startDockerRegistry } from '../../support/registry-servers.ts';
import { program, requires } from '../../support/requires.ts';
import { checkStore } from '../../support/store-check.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore } from '../../support/test-store.ts';

/** Of the layer, which no compression makes smaller. */
const SIZE = REMEMBERED_BYTES + 8_000_000;
/** So much of it goes through before the line breaks. */
const BEFORE = 12_000_000;
/** Of that, at least so much has been put by when the registry finds that the line is dead. */
const PUT_BY = 4_000_000;

/** Time for a registry to find that a connection is dead. */
const RETRY = { attempts: 4, baseDelayMs: 100, maxDelayMs: 400 };

interface Place extends AsyncDisposable {
  readonly root: string;
  readonly store: OpenStore;
  /** The image is made here, under a name that leads to `host`. */
  image(host: string): Promise<string>;
  /** As another process would: nothing is known but what the store says. */
  push(name: string, options?: { readonly chunk?: number }): Promise<PushResult & { readonly events: ProgressEvent[] }>;
  uploads(): string[];
}

async function makePlace(): Promise<Place> {
  const dir = tempDir('push-resume');
  const root = join(dir.path, 'store');
  const store = await openTestStore({ root });
  return {
    root,
    store,
    async image(host) {
      const name = `${host}/app:1`;
      const layers = [{ files: { '/noise': randomBytes(SIZE) } }];
      await buildImage(store, parseReference(name), { layers, unpack: false, epoch: 0 });
      return name;
    },
    async push(name, { chunk = 0 } = {}) {
      await using again = await openTestStore({ root });
      const client: RegistryClient = testClient({ limits: { uploadChunkBytes: chunk }, retry: RETRY });
      const events: ProgressEvent[] = [];
      try {
        const image = again.metadata.images.get(name);
        assert.ok(image);
        const result = await pushImage(again, client, image, { onProgress: (event) => events.push(event) });
        return { ...result, events };
      } finally {
        await client.close();
      }
    },
    uploads: () => readdirSync(store.paths.uploads),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

const gaveUp = (error: unknown) => isTslayerError(error, 'NETWORK');
const PARTS = /^(?:PATCH|GET .*uploads)/;
const asked = ({ exchanges }: Pick<FaultProxy, 'exchanges'>) =>
  exchanges.filter(({ path }) => path.includes('uploads')).map(({ method }) => method);

function layerSize({ store }: Place): number {
  return Math.max(...store.metadata.blobs.list().map(({ size }) => size));
}

/** Pushes over a line that breaks in the middle of the layer, for good. */
async function interrupted(
  place: Place,
  port: number,
  end: CutLineOptions['end'] = 'reset',
): Promise<[string, CutLine]> {
  const line = await cutLine(port, { bytes: BEFORE, end });
  const name = await place.image(line.host);
  await assert.rejects(place.push(name), gaveUp);
  return [name, line];
}

async function isThere(place: Place, name: string): Promise<void> {
  const client = testClient();
  const { descriptor } = await client.resolve(parseReference(name));
  await client.close();
  assert.equal(descriptor.digest, place.store.metadata.images.get(name)?.manifest);
  await checkStore(place.store);
}

describe('a push that broke in the middle of a blob', () => {
  test('is gone on with by the next process', async () => {
    await using place = await makePlace();
    await using at = await startRegistry();
    const [name, made] = await interrupted(place, at.registry.port);
    await using line = made;
    const [file = ''] = place.uploads();
    const kept = join(place.store.paths.uploads, file);
    assert.equal(statSync(kept).mode & 0o777, 0o600, 'it may hold a token');
    line.mend();
    await place.push(name);
    assert.ok(line.up < SIZE - PUT_BY, `${line.up} bytes went up for the rest`);
    assert.deepEqual(place.uploads(), []);
    await isThere(place, name);
  });

  test('also when the program was killed', async () => {
    await using place = await makePlace();
    await using at = await startRegistry();
    await using line = await cutLine(at.registry.port, { bytes: BEFORE, end: 'stall' });
    const name = await place.image(line.host);
    let child: ChildProcess | undefined;
    const killed = tslayer(['--root', place.root, 'push', name], { onStart: (started) => (child = started) });
    await line.broken;
    child?.kill('SIGKILL');
    assert.equal((await killed).status, 137);
    assert.equal(place.uploads().length, 1);
    line.mend();
    const { status, stderr } = await tslayer(['--root', place.root, 'push', name]);
    assert.equal(status, 0, stderr);
    assert.ok(line.up < SIZE - PUT_BY, `${line.up} bytes went up for the rest`);
    assert.deepEqual(place.uploads(), []);
    await isThere(place, name);
  });

  test('begins anew where the registry has forgotten it, and says nothing of it', async () => {
    await using place = await makePlace();
    await using first = await startRegistry();
    const [name, made] = await interrupted(place, first.registry.port);
    const port = Number(made.host.split(':')[1]);
    await made[Symbol.asyncDispose]();
    await using second = await startRegistry({ port });
    const { uploaded, events } = await place.push(name);
    assert.deepEqual([uploaded, second.registry.port], [2, port]);
    assert.deepEqual(
      events.filter(({ type }) => type === 'retry' || type === 'warning'),
      [],
    );
    await isThere(place, name);
  });

  test('begins anew when what had arrived is not the beginning of the blob', async () => {
    await using place = await makePlace();
    await using at = await startRegistry();
    await using proxy = await startFaultProxy(at.registry.url);
    const name = await place.image(proxy.host);
    proxy.fault({ on: /^PATCH/, act: garbledAndCut(at.registry.url) }, { on: PARTS, act: kinds.reset, times: 99 });
    await assert.rejects(place.push(name), gaveUp);
    proxy.reset();
    await place.push(name);
    const parts = proxy.exchanges.filter((exchange) => PARTS.test(`${exchange.method} ${exchange.path}`));
    assert.deepEqual(asked({ exchanges: parts }), ['GET', 'PATCH', 'PATCH']);
    assert.deepEqual(
      parts.map(({ headers }) => headers['content-range']),
      [undefined, `1000000-${layerSize(place) - 1}`, undefined],
    );
    await isThere(place, name);
  });

  test('costs nothing when nothing breaks', async () => {
    await using place = await makePlace();
    await using at = await startRegistry();
    await using proxy = await startFaultProxy(at.registry.url);
    const name = await place.image(proxy.host);
    await place.push(name);
    assert.deepEqual(asked(proxy).toSorted(), ['PATCH', 'POST', 'POST', 'PUT', 'PUT']);
    assert.deepEqual(place.uploads(), []);
  });
});

/** Other bytes arrive than were sent, and then the connection breaks. */
function garbledAndCut(upstream: string): Parameters<FaultProxy['fault']>[0]['act'] {
  return async ({ request }) => {
    await fetch(`${upstream}${request.url}`, { method: 'PATCH', body: Buffer.alloc(1_000_000, 7) });
    request.socket.destroy();
  };
}

describe('with docker-registry', () => {
  test('between two chunks it goes on', async (t) => {
    if (!requires(t, program('docker-registry'))) return;
    await using place = await makePlace();
    using dir = tempDir('docker-registry');
    await using at = await startDockerRegistry({ dir: dir.path, relativeUrls: true });
    await using proxy = await startFaultProxy(at.url);
    const name = await place.image(proxy.host);
    proxy.fault({ on: /^PATCH/, act: passOn }, { on: PARTS, act: kinds.reset, times: 99 });
    await assert.rejects(place.push(name, { chunk: 4_000_000 }), gaveUp);
    assert.equal(place.uploads().length, 1);
    proxy.reset();
    await place.push(name);
    const [part] = proxy.exchanges.filter(({ method }) => method === 'PATCH');
    assert.match(String(part?.headers['content-range']), /^4000000-/);
    await isThere(place, name);
  });

  // It drops an upload whose length is not the one in the address that it gave out.
  test('in the middle of a request it cannot, and the blob goes once more', async (t) => {
    if (!requires(t, program('docker-registry'))) return;
    await using place = await makePlace();
    using dir = tempDir('docker-registry');
    await using at = await startDockerRegistry({ dir: dir.path });
    const [name, made] = await interrupted(place, at.port);
    await using line = made;
    line.mend();
    const { events } = await place.push(name);
    assert.ok(line.up > SIZE, 'all of it');
    assert.deepEqual(
      events.filter(({ type }) => type === 'retry' || type === 'warning'),
      [],
    );
    assert.deepEqual(place.uploads(), []);
    await isThere(place, name);
  });
});
