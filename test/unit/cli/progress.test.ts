import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { renderFrame } from '../../../src/cli/progress/frame.ts';
import { ProgressModel } from '../../../src/cli/progress/model.ts';
import { plainLine } from '../../../src/cli/progress/plain.ts';
import { type Digest, digestOf } from '../../../src/oci/digest.ts';

const digests: Digest[] = Array.from({ length: 60 }, (_, i) => digestOf(String(i)));
const [a, b, c] = digests as [Digest, Digest, Digest];

function model(): ProgressModel {
  const m = new ProgressModel();
  const layers = [
    { digest: a, size: 1_000_000, present: true },
    { digest: b, size: 4_000_000, present: false },
    { digest: c, size: 5_000_000, present: false },
  ];
  m.update({ type: 'plan', layers, totalBytes: 10_000_000 }, 0);
  return m;
}

describe('the live display', () => {
  test('has a line a layer and a total with speed and time left', () => {
    const m = model();
    m.update({ type: 'transfer', digest: b, bytes: 0, total: 4_000_000 }, 1_000);
    m.update({ type: 'transfer', digest: b, bytes: 2_000_000, total: 4_000_000 }, 2_000);
    const lines = renderFrame(m, 2_000, 120, 24);
    assert.equal(lines.length, 4);
    assert.match(lines[0] ?? '', /^[0-9a-f]{12} {2}already here {2}1 MB$/);
    assert.match(lines[1] ?? '', /\[#{12}-{12}\] {2}2 MB \/ 4 MB +2 MB\/s +1s left$/);
    assert.match(lines[2] ?? '', /queued$/);
    assert.match(lines[3] ?? '', /^total +1\/3 layers {2}3 MB \/ 10 MB {2}2 MB\/s {2}4s left$/);
  });

  test('tells a downloaded layer from an unpacked one', () => {
    const m = model();
    m.update({ type: 'layer', digest: b, state: 'downloaded', bytes: 4_000_000 }, 10);
    m.update({ type: 'unpack', digest: b, bytes: 9_000_000 }, 20);
    assert.match(renderFrame(m, 20, 120, 24)[1] ?? '', /unpacking 9 MB$/);
    m.update({ type: 'layer', digest: b, state: 'done', bytes: 4_000_000 }, 30);
    assert.match(renderFrame(m, 30, 120, 24)[1] ?? '', /done {2}4 MB$/);
  });

  test('never has more lines or columns than the terminal', () => {
    const m = new ProgressModel();
    const layers = digests.map((digest) => ({ digest, size: 1_000_000, present: false }));
    m.update({ type: 'plan', layers, totalBytes: 60_000_000 }, 0);
    const moving = digests[40]!;
    m.update({ type: 'transfer', digest: moving, bytes: 500_000, total: 1_000_000 }, 5);
    const lines = renderFrame(m, 10, 40, 8);
    assert.equal(lines.length, 8);
    assert.ok(lines.every((line) => line.length <= 40));
    assert.match(lines[0] ?? '', new RegExp(`^${moving.slice(7, 19)}`), 'what moves comes first');
    assert.match(lines.at(-1) ?? '', /^total/);
  });

  test('forgets a speed that is over', () => {
    const m = model();
    m.update({ type: 'transfer', digest: b, bytes: 0, total: 4_000_000 }, 0);
    m.update({ type: 'transfer', digest: b, bytes: 4_000_000, total: 4_000_000 }, 1_000);
    assert.equal(m.speed(1_000), 4_000_000);
    assert.equal(m.speed(10_000), 0);
  });
});

describe('plain progress', () => {
  test('says each finished step once, and nothing of what moves', () => {
    assert.match(plainLine({ type: 'layer', digest: a, state: 'done', bytes: 5 })?.text ?? '', /: done \(5 B\)$/);
    assert.equal(plainLine({ type: 'layer', digest: a, state: 'downloaded', bytes: 5 }), undefined);
    assert.equal(plainLine({ type: 'transfer', digest: a, bytes: 1, total: 5 }), undefined);
  });

  test('says what is ahead, unless nothing is', () => {
    const here = { digest: a, size: 5, present: true };
    assert.equal(plainLine({ type: 'plan', layers: [here], totalBytes: 5 }), undefined);
    const layers = [here, { digest: b, size: 7, present: false }];
    assert.equal(plainLine({ type: 'plan', layers, totalBytes: 12 })?.text, '1 of 2 layers are new (7 B)');
  });

  test('a retry is a warning with its reason', () => {
    const line = plainLine({ type: 'retry', attempt: 2, delayMs: 500, reason: 'connection reset' });
    assert.deepEqual(line, { text: 'connection reset: trying again in 0.5 s', level: 'warn' });
  });
});
