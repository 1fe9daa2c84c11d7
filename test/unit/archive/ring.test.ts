import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Cancelled, Ring } from '../../../src/archive/pipeline/ring.ts';
import { RingFiller } from '../../../src/archive/pipeline/ring-filler.ts';

test('a ring hands over what was put in, in order, then the end', () => {
  const ring = Ring.create(4, 16);
  for (let i = 0; i < 10; i++) {
    ring.room().fill(i);
    ring.publish(i + 1);
    assert.deepEqual(ring.take(), new Uint8Array(i + 1).fill(i));
    ring.release();
  }
  ring.end();
  assert.equal(ring.take(), undefined);
});

test('what was put in before the end is taken before the end', () => {
  const ring = Ring.create(4, 16);
  for (let i = 0; i < 3; i++) {
    ring.room();
    ring.publish(i + 1);
  }
  ring.end();
  for (let i = 0; i < 3; i++) {
    assert.equal(ring.take()?.length, i + 1);
    ring.release();
  }
  assert.equal(ring.take(), undefined);
});

test('a full ring has no room until something is released', async () => {
  const ring = Ring.create(2, 16);
  ring.publish(1);
  ring.publish(1);
  assert.equal(ring.tryRoom(), undefined);
  let got = false;
  const waiting = ring.roomAsync().then(() => {
    got = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(got, false);
  ring.take();
  ring.release();
  await waiting;
});

test('cancelling stops both sides, those that wait too', async () => {
  const ring = Ring.create(1, 16);
  ring.publish(1);
  const waiting = ring.roomAsync();
  ring.cancel();
  await assert.rejects(waiting, Cancelled);
  assert.throws(() => ring.take(), Cancelled);
  assert.throws(() => ring.room(), Cancelled);
  ring.end();
  assert.equal(ring.cancelled, true, 'an end does not undo it');
});

test('between two threads, with chunks of any size, nothing is lost and nobody sleeps for ever', async () => {
  const ring = Ring.create(4, 1000);
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { createHash } = require('node:crypto');
    import(workerData.module).then(({ Ring }) => {
      const ring = new Ring(workerData.handle);
      const hash = createHash('sha256');
      let bytes = 0;
      for (let chunk = ring.take(); chunk; chunk = ring.take()) {
        hash.update(chunk);
        bytes += chunk.length;
        ring.release();
      }
      parentPort.postMessage({ bytes, digest: hash.digest('hex') });
    });`;
  const module = new URL('../../../src/archive/pipeline/ring.ts', import.meta.url).href;
  const worker = new Worker(code, { eval: true, workerData: { module, handle: ring.handle } });
  const answer = new Promise<{ bytes: number; digest: string }>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  const { createHash } = await import('node:crypto');
  const hash = createHash('sha256');
  const filler = new RingFiller(ring);
  let bytes = 0;
  for (let i = 0; i < 3000; i++) {
    const chunk = Buffer.alloc((i * 7919) % 2500, i & 255);
    hash.update(chunk);
    bytes += chunk.length;
    await filler.add(chunk);
  }
  filler.end();
  assert.deepEqual(await answer, { bytes, digest: hash.digest('hex') });
  await worker.terminate();
});
