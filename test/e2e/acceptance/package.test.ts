/**
 * The package as somebody would get it: packed, installed from the tarball where there is no compiler, run, imported,
 * and type-checked by a program that has nothing but it.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { detachBelow } from '../../../src/mounts/unmount.ts';
import { type Finished, tslayer } from '../../support/cli.ts';
import { baseLayer, type ImageServer, serveImages } from '../../support/image-server.ts';
import { requires, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';

const project = join(import.meta.dirname, '../../..');
const dir = tempDir('package');
const prefix = join(dir.path, 'prefix');
const consumer = join(prefix, 'lib/consumer');
const manifest = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as {
  version: string;
  exports: Readonly<Record<string, unknown>>;
};
/** What a program imports: `tslayer`, `tslayer/drivers`, … */
const subpaths = Object.keys(manifest.exports)
  .filter((path) => !path.endsWith('.json'))
  .map((path) => join('tslayer', path));

const env: NodeJS.ProcessEnv = {
  ...process.env,
  // npm runs scripts with the `node` that it finds first.
  PATH: [dirname(process.execPath), join(project, 'node_modules/.bin'), process.env.PATH].join(delimiter),
  // A machine without a compiler: what would need one fails.
  CC: '/bin/false',
  CXX: '/bin/false',
  npm_config_node_gyp: '/bin/false',
};

async function command(program: string, ...args: string[]): Promise<string> {
  const options = { cwd: project, env, maxBuffer: 64 * 1024 * 1024 };
  return (await promisify(execFile)(program, args, options)).stdout;
}

let tarball: string;
let server: ImageServer;

before(async () => {
  const packed = JSON.parse(await command('npm', 'pack', '--json', '--pack-destination', dir.path)) as unknown;
  const [{ filename }] = Object.values(packed as object) as [{ filename: string }];
  tarball = join(dir.path, filename);
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  await command('npm', 'install', '--global', '--prefix', prefix, ...quiet, tarball);
  mkdirSync(consumer);
  writeFileSync(join(consumer, 'package.json'), '{"type":"module"}');
  server = await serveImages([{ name: 'app:1', layers: [await baseLayer()], config: { Env: ['PATH=/bin'] } }]);
});

after(async () => {
  await server?.[Symbol.asyncDispose]();
  detachBelow(dir.path);
  dir[Symbol.dispose]();
});

/** The installed executable, by its link in bin/. */
function installed(...args: string[]): Promise<Finished> {
  return tslayer(args, {
    command: [process.execPath, join(prefix, 'bin/tslayer')],
    env: { TSLAYER_ROOT: join(dir.path, 'store') },
  });
}

test('it holds what is built and what is to be read, and nothing of the workshop', async () => {
  const names = (await command('tar', '-tzf', tarball)).trim().split('\n');
  for (const name of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'dist/index.js']) {
    assert.ok(names.includes(`package/${name}`), name);
  }
  const strangers = names.filter((name) => !/^package\/(?:bin|dist)\/|^package\/[A-Za-z]+(?:\.md|\.json)?$/.test(name));
  assert.deepEqual(strangers, []);
});

test('publint has nothing to say', async () => {
  assert.match(await command('publint', '--strict', tarball), /All good!/);
});

test('it tells its version, and pulls, runs and removes', async (t) => {
  assert.equal((await installed('--version')).stdout, `tslayer ${manifest.version}\n`);
  const drivers = await installed('drivers', '--json');
  assert.equal(drivers.status, 0, drivers.stderr);
  if (!requires(t, root)) return;
  const name = `${server.host}/app:1`;
  const pulled = await installed('--quiet', 'pull', name);
  // Nor has Node anything to say of how the build was made.
  assert.deepEqual([pulled.status, pulled.stderr], [0, '']);
  const run = await installed('run', '--rm', name, 'sh', '-c', 'echo inside $$; exit 7');
  assert.deepEqual([run.status, run.stdout], [7, 'inside 1\n'], run.stderr);
  const removed = await installed('rmi', name);
  assert.equal(removed.status, 0, removed.stderr);
});

test('each subpath can be imported', async () => {
  const program = join(consumer, 'imports.js');
  writeFileSync(
    program,
    subpaths.map((path) => `console.log(Object.keys(await import('${path}')).length);`).join('\n'),
  );
  const counts = (await command(process.execPath, program)).trim().split('\n').map(Number);
  assert.equal(counts.length, subpaths.length);
  assert.ok(
    counts.every((count) => count > 0),
    counts.join(),
  );
});

test('its types stand by themselves: a strict program with Node.js types alone compiles', async () => {
  const types = join(consumer, 'node_modules/@types');
  mkdirSync(types, { recursive: true });
  symlinkSync(join(project, 'node_modules/@types/node'), join(types, 'node'));
  const imports = subpaths.map(
    (path, i) => `import * as m${i} from '${path}';\nexport const n${i} = Object.keys(m${i});`,
  );
  const usage = [
    "import { openTslayer, type PullResult, TslayerError } from 'tslayer';",
    'await using store = await openTslayer({ root: "/nonexistent" });',
    'const pulled: PullResult = await store.pull("alpine", { onProgress: (event) => event.type });',
    'export const digest: string = pulled.digest;',
    '// @ts-expect-error a digest is no number: the types are there',
    'export const wrong: number = pulled.digest;',
    'export const isOne = (error: unknown): boolean => error instanceof TslayerError && error.code === "NOT_FOUND";',
  ];
  writeFileSync(join(consumer, 'program.ts'), [...imports, ...usage].join('\n'));
  const compilerOptions = {
    target: 'es2023',
    lib: ['es2024', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: ['node'],
  };
  writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }));
  const { stdout } = await promisify(execFile)('tsc', ['-p', consumer], { env }).catch(
    (error) => error as { stdout: string },
  );
  assert.equal(stdout, '');
});
