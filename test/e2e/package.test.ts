/** What `npm publish` would put into the world: packed, installed without a compiler, and run. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { tslayer } from '../support/cli.ts';
import { cannotLoop, loopFs } from '../support/loop-fs.ts';
import { tarOf } from '../support/memory-images.ts';
import { install, installLocked, pack, project, run } from '../support/npm-package.ts';
import { requires } from '../support/requires.ts';
import { tempDir } from '../support/temp-dir.ts';

test('the packed package works where it is installed, as a program and as a library', async (t) => {
  using dir = tempDir('package');
  const { tarball, paths } = await pack(dir.path);
  for (const needed of ['LICENSE', 'README.md', 'dist/index.js', 'dist/types/src/index.d.ts']) {
    assert.ok(paths.includes(needed), `${needed} is missing`);
  }
  assert.deepEqual(
    paths.filter((path) => /^(?:src|test|scripts|bench)\//.test(path)),
    [],
  );

  const prefix = join(dir.path, 'prefix');
  if (!(await install(t, ['--global', '--prefix', prefix, tarball], dir.path))) return;
  const command: [string] = [join(prefix, 'bin/tslayer')];
  const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { version: string };
  assert.equal((await tslayer(['--version'], { command })).stdout, `tslayer ${version}\n`);
  const env = { TSLAYER_ROOT: join(dir.path, 'store'), HOME: dir.path };
  const listed = await tslayer(['images', '--json'], { command, env });
  assert.equal(listed.stdout, '[]\n', listed.stderr);

  const script = `
    import { openTslayer, TslayerError } from 'tslayer';
    import { createRegistryClient } from 'tslayer/registry-client';
    import { builtInDrivers } from 'tslayer/drivers';
    await using tslayer = await openTslayer();
    await createRegistryClient().close();
    const error = await tslayer.inspect('none').catch((error) => error);
    console.log(JSON.stringify([await tslayer.images(), builtInDrivers.length > 1, error instanceof TslayerError]));
  `;
  const nodeModules = join(prefix, 'lib/node_modules');
  assert.deepEqual(readdirSync(nodeModules), ['tslayer']);
  writeFileSync(join(nodeModules, 'use.mjs'), script);
  const used = await tslayer([], { command: [process.execPath, join(nodeModules, 'use.mjs')], env });
  assert.equal(used.stdout, '[[],true,true]\n', used.stderr);
});

test('a clone is installed where there is no compiler, and its Node needs nothing that a machine may lack', async (t) => {
  using dir = tempDir('clone');
  const manifest = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as Record<string, unknown>;
  // What the project itself does when it is installed is to build, from what is not here.
  writeFileSync(join(dir.path, 'package.json'), JSON.stringify({ ...manifest, scripts: {} }));
  copyFileSync(join(project, 'package-lock.json'), join(dir.path, 'package-lock.json'));
  if (!(await installLocked(t, dir.path))) return;
  const modules = join(dir.path, 'node_modules');
  const node = realpathSync(join(modules, '.bin/node'));
  const script = `new (require('better-sqlite3'))(':memory:'); require('koffi'); console.log(process.versions.node)`;
  const { stdout } = await run(node, ['-e', script], { cwd: dir.path });
  assert.match(stdout, /^\d+\.\d+/);
  assert.ok(!existsSync(join(modules, 'better-sqlite3/build')), 'nothing was built');
  const { stdout: libraries } = await run('ldd', [node]);
  const strangers = libraries.split('\n').filter((line) => line !== '' && !USUAL_LIBRARIES.test(line));
  assert.deepEqual(strangers, []);
});

/** Of glibc and of what every program in C++ brings: Debian's `nodejs` depends on no others that count. */
const USUAL_LIBRARIES = /linux-vdso|ld-linux|lib(?:c|m|dl|pthread|stdc\+\+|gcc_s)\.so/;

test('a driver that is a package of its own passes the installed suite, and makes a store by its name', async (t) => {
  if (!requires(t, () => cannotLoop('btrfs'))) return;
  using dir = tempDir('driver-package');
  using disk = loopFs('btrfs');
  const { tarball } = await pack(dir.path);
  const author = join(dir.path, 'author');
  const driver = join(author, 'tslayer-btrfs-driver');
  mkdirSync(driver, { recursive: true });
  await buildExample(driver);
  writeFileSync(join(author, 'package.json'), '{"name":"author","private":true,"type":"module"}');
  if (!(await install(t, [tarball, driver, '--install-links'], author))) return;

  // Inside a test, `node --test` would report to this one.
  const { NODE_TEST_CONTEXT: _, ...outer } = process.env;
  const env = { ...outer, TMPDIR: disk.path };
  const suite = join(author, 'conformance.test.js');
  const call = `conformance('btrfs', { module: driver, maxLayers: Number.POSITIVE_INFINITY });`;
  const imports = `import { conformance } from 'tslayer/drivers/conformance';\nimport { driver } from 'tslayer-btrfs-driver';`;
  writeFileSync(suite, `${imports}\n${call}\n`);
  const { stdout } = await run(process.execPath, ['--test', '--test-reporter=tap', suite], { cwd: author, env });
  assert.match(stdout, /^# fail 0$/m);
  assert.ok(Number(/^# pass (\d+)$/m.exec(stdout)?.[1]) > 80, stdout.slice(-300));

  const command: [string, string] = [process.execPath, join(author, 'node_modules/tslayer/bin/tslayer.cjs')];
  const store = ['--root', join(disk.path, 'store')];
  const tar = join(dir.path, 'base.tar');
  writeFileSync(tar, await tarOf({ 'etc/motd': 'hello' }));
  const use = { command, cwd: author };
  const made = await tslayer([...store, '--driver', 'tslayer-btrfs-driver', 'import', tar, 'base:1'], use);
  assert.equal(made.status, 0, made.stderr);
  const mounted = await tslayer([...store, 'mount', '--name', 'work', 'base:1'], use);
  assert.equal(mounted.status, 0, mounted.stderr);
  assert.equal(readFileSync(join(mounted.stdout.trim(), 'etc/motd'), 'utf8'), 'hello');
  assert.equal((await tslayer([...store, 'umount', 'work'], use)).status, 0);
});

/** The example as its README says that one makes a package of it. */
async function buildExample(directory: string): Promise<void> {
  const example = join(project, 'examples/btrfs-driver');
  for (const name of ['index', 'subvolumes']) {
    const source = stripTypeScriptTypes(readFileSync(join(example, `${name}.ts`), 'utf8'));
    writeFileSync(join(directory, `${name}.js`), source.replaceAll("./subvolumes.ts'", "./subvolumes.js'"));
  }
  const readme = readFileSync(join(example, 'README.md'), 'utf8');
  const description = /```json\n(.*?)```/s.exec(readme)?.[1] ?? '';
  writeFileSync(join(directory, 'package.json'), description);
}
