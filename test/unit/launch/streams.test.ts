import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { KeySequence, parseKeys } from '../../../src/launch/detach-keys.ts';
import { encodeFrame, FRAME, FrameDecoder } from '../../../src/launch/frames.ts';
import type { LogEntry, LogOptions } from '../../../src/launch/launcher.ts';
import { LogWriter, parseRecord, readLog } from '../../../src/launch/log-file.ts';
import { tempDir } from '../../support/temp-dir.ts';

describe('frames', () => {
  test('come out as they went in, however the bytes are cut', () => {
    const kind = fc.constantFrom(...Object.values(FRAME));
    const frames = fc.array(fc.tuple(kind, fc.uint8Array({ maxLength: 40 })), { maxLength: 6 });
    fc.assert(
      fc.property(frames, fc.integer({ min: 1, max: 20 }), (sent, step) => {
        const bytes = Buffer.concat(sent.map(([k, payload]) => encodeFrame(k, payload)));
        const decoder = new FrameDecoder();
        const got: [number, number[]][] = [];
        for (let at = 0; at < bytes.length; at += step) {
          for (const frame of decoder.push(bytes.subarray(at, at + step))) got.push([frame.kind, [...frame.payload]]);
        }
        assert.deepEqual(
          got,
          sent.map(([k, payload]) => [k, [...payload]]),
        );
      }),
    );
  });

  test('of absurd length are refused before they are waited for', () => {
    assert.throws(() => [...new FrameDecoder().push(Buffer.from('00ffffffff', 'hex'))], /frame of/);
  });
});

describe('detach keys', () => {
  const press = (keys: string, ...chunks: string[]): { passed: string; found: boolean } => {
    const sequence = new KeySequence(parseKeys(keys));
    let passed = '';
    for (const chunk of chunks) {
      const { pass, found } = sequence.push(Buffer.from(chunk));
      passed += Buffer.from(pass).toString();
      if (found) return { passed, found };
    }
    return { passed, found: false };
  };

  test('are found across reads, and everything before them is passed on', () => {
    assert.deepEqual(press('ctrl-p,ctrl-q', 'ab\x10', '\x11c'), { passed: 'ab', found: true });
  });

  test('that were only begun are passed on after all', () => {
    assert.deepEqual(press('ctrl-p,ctrl-q', '\x10', 'x\x10\x10'), { passed: '\x10x\x10', found: false });
    assert.deepEqual(press('ctrl-p,ctrl-q', '\x10\x10\x11'), { passed: '\x10', found: true });
  });

  test('none are none', () => {
    assert.deepEqual(press('', '\x10\x11'), { passed: '\x10\x11', found: false });
  });

  test('are letters and control characters', () => {
    assert.deepEqual(parseKeys('a,ctrl-A,ctrl-[,ctrl-@'), [97, 1, 27, 0]);
    assert.throws(() => parseKeys('ctrl-!'), { code: 'INVALID_ARGUMENT' });
  });
});

describe('a container’s log', () => {
  async function read(path: string, options: LogOptions = {}): Promise<LogEntry[]> {
    const entries: LogEntry[] = [];
    for await (const entry of readLog(path, options, () => Promise.resolve(true))) entries.push(entry);
    return entries;
  }
  const texts = (entries: readonly LogEntry[]): string[] => entries.map(({ data }) => Buffer.from(data).toString());

  test('keeps streams, times and bytes, and lines that came in pieces', async () => {
    using directory = tempDir('log');
    const path = join(directory.path, 'log');
    {
      using log = new LogWriter(path);
      log.write('stdout', Buffer.from('one\ntw'));
      log.write('stderr', Buffer.from([0xff, 0x0a]));
      log.write('stdout', Buffer.from('o\n\nend'));
    }
    const entries = await read(path);
    const bytes = (stream: string): Buffer =>
      Buffer.concat(entries.filter((entry) => entry.stream === stream).map(({ data }) => data));
    assert.equal(bytes('stdout').toString(), 'one\ntwo\n\nend');
    assert.deepEqual(bytes('stderr'), Buffer.from([0xff, 0x0a]));
    assert.match(readFileSync(path, 'latin1'), /^\d{4}-\d\d-\d\dT[\d:.]+Z stdout F one\n/);
  });

  test('leaves out what finds no room on the disk', () => {
    using log = new LogWriter('/dev/full');
    log.write('stdout', Buffer.from('lost\n'));
    log.write('stdout', Buffer.from('lost, too\n'));
  });

  test('gives the last lines, whole', async () => {
    using directory = tempDir('log');
    const path = join(directory.path, 'log');
    using log = new LogWriter(path);
    log.write('stdout', Buffer.from('1\n2\n3'));
    log.write('stdout', Buffer.from('b\n4\n'));
    assert.deepEqual(texts(await read(path, { tail: 2 })), ['3', 'b\n', '4\n']);
    assert.deepEqual(await read(path, { tail: 0 }), []);
    log.write('stdout', Buffer.from('begun'));
    assert.deepEqual(texts(await read(path, { tail: 1 })), ['begun']);
    assert.deepEqual(texts(await read(path, { tail: 2 })), ['4\n', 'begun']);
    assert.deepEqual(await read(path, { since: new Date(Date.now() + 60_000) }), []);
  });

  test('is followed until it is over', async () => {
    using directory = tempDir('log');
    const path = join(directory.path, 'log');
    using log = new LogWriter(path);
    log.write('stdout', Buffer.from('before\n'));
    const over = Promise.withResolvers<void>();
    let isOver = false;
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { data } of readLog(path, { follow: true }, () => Promise.resolve(isOver))) {
        seen.push(Buffer.from(data).toString());
        if (seen.length === 1) over.resolve();
      }
    })();
    await over.promise;
    log.write('stdout', Buffer.from('after\n'));
    isOver = true;
    await reading;
    assert.deepEqual(seen, ['before\n', 'after\n']);
  });

  test('that is not there is empty', async () => {
    using directory = tempDir('log');
    assert.deepEqual(await read(join(directory.path, 'log')), []);
  });

  test('lines that are no records are left out', () => {
    assert.equal(parseRecord(Buffer.from('garbage')), undefined);
  });
});
