/** Files that appear when they are whole. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import { tryLock } from '../../../src/sys/locks.ts';
import { writeBeside } from '../../../src/transports/write-beside.ts';
import { tempDir } from '../../support/temp-dir.ts';

async function* bytes(...texts: readonly string[]): AsyncGenerator<Uint8Array, void> {
  for (const text of texts) yield Buffer.from(text);
}

async function* broken(): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from('x');
  throw new Error('broken');
}

describe('a file written beside its place', () => {
  test('replaces the old one when it is whole, with the permissions of any new file', async () => {
    using directory = tempDir('beside');
    const path = join(directory.path, 'file');
    writeFileSync(path, 'old');
    await writeBeside(path, bytes('new ', 'bytes'));
    assert.equal(readFileSync(path, 'utf8'), 'new bytes');
    assert.equal(statSync(path).mode & 0o777, 0o644 & ~process.umask());
    await assert.rejects(writeBeside(path, broken()), /broken/);
    assert.equal(readFileSync(path, 'utf8'), 'new bytes');
    assert.deepEqual(readdirSync(directory.path), ['file']);
  });

  test('goes through a device, and needs its directory', async () => {
    using directory = tempDir('beside');
    await writeBeside('/dev/null', bytes('gone'));
    await assert.rejects(writeBeside(join(directory.path, 'no/file'), bytes()), (error) =>
      isTslayerError(error, 'NOT_FOUND'),
    );
  });

  test('takes away what a killed writer left, not what a living one writes nor what looks like it', async () => {
    using directory = tempDir('beside');
    const at = (name: string) => join(directory.path, name);
    writeFileSync(at('.file.dead.partial'), 'half');
    writeFileSync(at('.other.dead.partial'), 'half');
    writeFileSync(at('victim'), 'kept');
    symlinkSync('victim', at('.file.link.partial'));
    mkdirSync(at('.file.directory.partial'));
    using _alive = tryLock(at('.file.alive.partial'));
    await writeBeside(at('file'), bytes('whole'));
    const left = ['.file.alive.partial', '.file.directory.partial', '.file.link.partial', '.other.dead.partial'];
    assert.deepEqual(readdirSync(directory.path).sort(), [...left, 'file', 'victim']);
    assert.equal(readFileSync(at('victim'), 'utf8'), 'kept');
  });

  test('may have the longest name that there is', async () => {
    using directory = tempDir('beside');
    const name = 'ä'.repeat(127);
    await writeBeside(join(directory.path, name), bytes('x'));
    assert.deepEqual(readdirSync(directory.path), [name]);
  });
});
