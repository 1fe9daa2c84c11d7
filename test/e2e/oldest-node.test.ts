/** The installed package on the oldest Node that it promises to work with: what V8 and N-API lack there is met here. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeBusyboxTar } from '../support/busybox-rootfs.ts';
import { tslayer } from '../support/cli.ts';
import { layoutRegistry } from '../support/layout-registry.ts';
import { addImage, type LayerForm } from '../support/memory-images.ts';
import { install, pack, project, run } from '../support/npm-package.ts';
import { kernel, kernelFs, program, requires, root } from '../support/requires.ts';
import { tempDir } from '../support/temp-dir.ts';

const { engines } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { engines: { node: string } };
const OLDEST = `${engines.node.replace('>=', '')}.0`;

/** Large enough for threads of its own, and for two of them. */
const LARGE = { large: randomBytes(20_000_000), 'more/text': 'tslayer '.repeat(100_000) };
const MIDDLE = { middle: randomBytes(6_000_000) };

test('the package works on the oldest Node that it names', async (t) => {
  if (!requires(t, root, program('busybox'), kernelFs('erofs'), kernelFs('overlay'), kernel(6, 12))) return;
  using dir = tempDir('oldest-node');
  const { tarball } = await pack(dir.path);
  writeFileSync(join(dir.path, 'package.json'), '{"private":true}');
  if (!(await install(t, [tarball, `node@${OLDEST}`], dir.path))) return;
  const node = join(dir.path, 'node_modules/node/bin/node');
  assert.equal((await run(node, ['--version'])).stdout.trim(), `v${OLDEST}`);

  await using registry = await layoutRegistry();
  const forms: LayerForm[] = ['gzip', 'zstd', 'none'];
  for (const form of forms) {
    const { root: image } = await addImage(registry.content, [LARGE, MIDDLE, { small: '1' }], { form });
    registry.publish({ [`app:${form}`]: image });
  }
  const system = makeBusyboxTar(dir.path);
  const command: [string, string] = [node, join(dir.path, 'node_modules/tslayer/bin/tslayer.cjs')];
  for (const driver of ['erofs', 'overlayfs', 'vfs']) {
    const store = ['--root', join(dir.path, `store-${driver}`), '--driver', driver, '--quiet'];
    const does = async (...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await tslayer([...store, ...args], { command });
      assert.equal(status, 0, `${driver}: ${args.join(' ')}: ${stderr}`);
      return stdout.trim();
    };
    for (const form of forms) await does('pull', `${registry.host}/app:${form}`);
    const target = await does('mount', '--name', 'work', `${registry.host}/app:gzip`);
    assert.deepEqual(readFileSync(join(target, 'large')), LARGE.large);
    writeFileSync(join(target, 'written'), 'here');
    assert.match(await does('diff', 'work'), /^A \/written/m);
    await does('commit', 'work', 'made:1');
    await does('umount', 'work');
    assert.equal(await does('cat', 'made:1', '/written'), 'here');
    await does('save', 'made:1', '--output', join(dir.path, 'made.tar'));
    await does('rmi', 'made:1');
    await does('load', '--input', join(dir.path, 'made.tar'));
    await does('import', system, 'system:1');
    assert.equal(await does('run', '--rm', 'system:1', 'echo', 'hello'), 'hello');
    await does('run', '--detach', '--name', 'box', 'system:1', 'sleep', '60');
    assert.equal(await does('exec', 'box', 'echo', 'inside'), 'inside');
    await does('rm', '--force', 'box');
    await does('df');
    await does('gc');
    await does('fsck');
  }
});
