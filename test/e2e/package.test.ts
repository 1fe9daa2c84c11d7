/** What `npm publish` would put into the world: packed, installed without a compiler, and run. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { tslayer } from '../support/cli.ts';
import { tempDir } from '../support/temp-dir.ts';

const project = join(import.meta.dirname, '../..');
const run = promisify(execFile);

/** Programs that would be needed to build native code, and are not to be. */
const NO_COMPILER = { CC: '/bin/false', CXX: '/bin/false', MAKE: '/bin/false', npm_config_node_gyp: '/bin/false' };

/** False when there is no package registry to install from. */
async function install(t: TestContext, args: readonly string[], cwd: string): Promise<boolean> {
  try {
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--fetch-retries=0'];
    await run('npm', ['install', ...quiet, ...args], { cwd, env: { ...process.env, ...NO_COMPILER } });
    return true;
  } catch (error) {
    if (!/ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT|ENETUNREACH/.test(String(error))) throw error;
    t.skip('needs a package registry');
    return false;
  }
}

test('the packed package works where it is installed, as a program and as a library', async (t) => {
  using dir = tempDir('package');
  const { stdout: packed } = await run('npm', ['pack', '--json', '--pack-destination', dir.path], { cwd: project });
  const [{ filename, files }] = JSON.parse(packed.slice(packed.indexOf('['))) as [
    { filename: string; files: { path: string }[] },
  ];
  const paths = files.map(({ path }) => path);
  for (const needed of ['LICENSE', 'README.md', 'dist/index.js', 'dist/types/src/index.d.ts']) {
    assert.ok(paths.includes(needed), `${needed} is missing`);
  }
  assert.deepEqual(
    paths.filter((path) => /^(?:src|test|scripts|bench)\//.test(path)),
    [],
  );

  const prefix = join(dir.path, 'prefix');
  const tarball = join(dir.path, filename);
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
