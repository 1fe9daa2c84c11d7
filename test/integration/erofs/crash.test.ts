/** A layer that was not finished, or was damaged since, is never mounted and never taken for whole. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { driver as erofs } from '../../../drivers/erofs/index.ts';
import { TarFile } from '../../../src/archive/tar-file.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { buildImage, mountImage } from '../../support/erofs-image.ts';
import { ErofsStack } from '../../support/erofs-stack.ts';
import { kernel, kernelFs, requires, root } from '../../support/requires.ts';
import { tarBytes } from '../../support/tar-bytes.ts';
import { tempDir } from '../../support/temp-dir.ts';

const needs = [root, kernelFs('erofs'), kernel(6, 12)];
const tar = tarBytes([
  { path: 'd', type: '5' },
  { path: 'd/f', data: randomBytes(5000) },
]);

describe('an unfinished EROFS layer', () => {
  test('cannot be mounted before its very last write', (t) => {
    if (!requires(t, ...needs)) return;
    using dir = tempDir('erofs-crash');
    const image = join(dir.path, 'image');
    buildImage(tar, image);
    const whole = readFileSync(image);
    // As it lies on disk when the head is all that is missing.
    writeFileSync(image, Buffer.concat([Buffer.alloc(4096), whole.subarray(4096)]));
    assert.throws(() => mountImage(image, join(dir.path, 'mounted')), { code: 'EINVAL' });
  });

  test('cannot be committed', async (t) => {
    if (!requires(t, ...needs)) return;
    using dir = tempDir('erofs-crash');
    const driver = await erofs.open(dir.path);
    const application = await driver.apply('l1', [], { durable: true });
    const file = new TarFile(application.sink.tar!);
    file.write(tar);
    file.close();
    await assert.rejects(application.commit({ bytes: 0, inodes: 1, warnings: [] }), { code: 'MALFORMED' });
    await application.abort();
    assert.deepEqual(readdirSync(dir.path).sort(), ['.empty', '.underway']);
    assert.deepEqual(readdirSync(join(dir.path, '.underway')), []);
  });

  test('is swept once its writer was killed, and not before', async (t) => {
    if (!requires(t, ...needs)) return;
    using dir = tempDir('erofs-crash');
    const script = [
      `const { driver } = await import(${JSON.stringify(new URL('../../../drivers/erofs/index.ts', import.meta.url).href)});`,
      `const application = await (await driver.open(${JSON.stringify(dir.path)})).apply('l1', [], { durable: true });`,
      `const { TarFile } = await import(${JSON.stringify(new URL('../../../src/archive/tar-file.ts', import.meta.url).href)});`,
      `new TarFile(application.sink.tar).write(new Uint8Array(100_000));`,
      `process.stdout.write('writing'); setInterval(() => undefined, 1000);`,
    ].join('\n');
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const partial = join(dir.path, '.underway/l1.partial');
    await erofs.open(dir.path);
    assert.equal(existsSync(partial), true);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    await erofs.open(dir.path);
    assert.equal(existsSync(partial), false);
  });
});

describe('verifying an EROFS layer', () => {
  // An image tells by itself.
  const tree = (): never => assert.fail('the tree was asked for');
  const layer = { diffId: digestOf(tar) as never, tarSize: tar.length, tree };
  const damages: Record<string, [(path: string) => void, RegExp]> = {
    'finds nothing in a whole one': [() => undefined, /^$/],
    'finds a flipped byte of a file': [(path) => overwrite(path, 4096 + 1600, 'X'), /not the one/],
    'finds a flipped byte of the metadata': [(path) => overwrite(path, statSync(path).size - 4000, 'X'), /metadata/],
    'finds a flipped byte of the superblock': [(path) => overwrite(path, 1024 + 36, 'X'), /checksum/],
    'finds that it was cut short': [(path) => truncateSync(path, 5000), /./],
  };
  for (const [name, [damage, expected]] of Object.entries(damages)) {
    test(name, async (t) => {
      if (!requires(t, ...needs)) return;
      using dir = tempDir('erofs-verify');
      using stack = await ErofsStack.open(dir.path);
      const id = await stack.layer(tar);
      damage(join(dir.path, 'layers', `${id}.erofs`));
      assert.match((await stack.driver.verify?.(id, layer)) ?? '', expected);
    });
  }
});

function overwrite(path: string, at: number, text: string): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, text, at);
  closeSync(fd);
}
