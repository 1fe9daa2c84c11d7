/** Compiled code that is kept between runs: it saves time, and must never change what is run. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { tslayer } from '../support/cli.ts';
import { layoutRegistry } from '../support/layout-registry.ts';
import { addImage, tarOf } from '../support/memory-images.ts';
import { requires, root } from '../support/requires.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';

const LOADER = join(import.meta.dirname, '../../bin/program.cjs');

/** A program that prints a word and ends with a status, run as the command line would be. */
class Program implements Disposable {
  readonly #directory: TempDir = tempDir('program');
  readonly file: string = join(this.#directory.path, 'main.cjs');
  readonly cache: string = join(this.#directory.path, 'cache');

  is(word: string, status: number = 0): void {
    writeFileSync(this.file, `exports.main = () => { console.log('${word}'); process.exitCode = ${status}; };\n`);
  }

  run(...argv: string[]): string {
    const script = `require(${JSON.stringify(LOADER)}).loadProgram(...${JSON.stringify([this.file, argv, this.cache])}).main()`;
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    assert.equal(stderr, '');
    return stdout.trim();
  }

  saved(): string[] {
    return globSync(join(this.cache, 'code/*/*'));
  }

  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }
}

describe('kept code', () => {
  test('is that of the command, whatever options stand before it, and is taken the next time', () => {
    using program = new Program();
    program.is('one');
    assert.equal(program.run('--root', '/store', '--json', 'images', 'x'), 'one');
    const [file = '', ...others] = program.saved();
    assert.match(file, /\/images$/);
    assert.deepEqual(others, []);
    const { mtimeMs, mode } = statSync(file);
    assert.equal(mode & 0o077, 0);
    assert.equal(program.run('images'), 'one');
    assert.equal(statSync(file).mtimeMs, mtimeMs);
    program.run('pull');
    assert.equal(program.saved().length, 2);
  });

  test('is never that of another program of the same length', () => {
    using program = new Program();
    program.is('one');
    program.run('images');
    program.is('two');
    assert.equal(program.run('images'), 'two');
  });

  test('of another version, or cut short, is replaced', () => {
    using program = new Program();
    program.is('one');
    program.run('images');
    const [file = ''] = program.saved();
    const whole = readFileSync(file);
    for (const damaged of [Buffer.alloc(0), Buffer.alloc(whole.length), whole.subarray(0, whole.length / 2)]) {
      writeFileSync(file, damaged);
      assert.equal(program.run('images'), 'one');
      assert.equal(statSync(file).size, whole.length);
    }
  });

  test('is that of the process that did the work, where the command was started over', () => {
    using program = new Program();
    // Whoever saves while it runs was started by it.
    writeFileSync(
      program.file,
      `exports.main = () => {
        const { mkdirSync, statSync, writeFileSync } = require('node:fs');
        const { ino, size, ctimeMs } = statSync(${JSON.stringify(program.file)});
        const build = [process.version, process.arch, ino, size, Math.trunc(ctimeMs)].join('-');
        mkdirSync(${JSON.stringify(program.cache)} + '/code/' + build, { recursive: true });
        writeFileSync(${JSON.stringify(program.cache)} + '/code/' + build + '/run', 'saved first');
      };`,
    );
    program.run('run');
    assert.deepEqual(
      program.saved().map((file) => readFileSync(file, 'utf8')),
      ['saved first'],
    );
  });

  test('is not made of a run that failed, nor of words that are no command, nor where it cannot be written', () => {
    using program = new Program();
    program.is('one', 3);
    program.run('images');
    program.is('one');
    program.run('../../evil');
    program.run('--version');
    assert.deepEqual(program.saved(), []);
    writeFileSync(program.cache, 'no directory');
    assert.equal(program.run('images'), 'one');
  });

  test('of builds that are long gone goes when there is a new one', () => {
    using program = new Program();
    program.is('one');
    program.run('images');
    const [old = ''] = program.saved();
    const longAgo = new Date(Date.now() - 40 * 86_400_000);
    utimesSync(dirname(old), longAgo, longAgo);
    program.is('another');
    program.run('images');
    const [left = '', ...more] = program.saved();
    assert.notEqual(left, old);
    assert.deepEqual(more, []);
  });
});

describe('the parts of the command line', () => {
  const command: [string] = [join(import.meta.dirname, '../../bin/tslayer.cjs')];

  test('that are read are the first one by a listing and a pull of what is there, and few by others', async () => {
    using directory = tempDir('parts');
    await using registry = await layoutRegistry();
    const image = await addImage(registry.content, [{ 'etc/motd': 'hello' }]);
    registry.publish({ 'one:1': image.root });
    const [hook, config] = [join(directory.path, 'tell-scripts.cjs'), join(directory.path, 'config.toml')];
    writeFileSync(config, '[pull]\nconcurrency = 2\n');
    writeFileSync(
      hook,
      `const vm = require('node:vm'), { appendFileSync } = require('node:fs');
       const { Script } = vm;
       vm.Script = class extends Script {
         constructor(source, options) {
           super(source, options);
           appendFileSync(process.env.SCRIPTS, options.filename.split('/').at(-1) + '\\n');
         }
       };`,
    );
    const options = ['--root', join(directory.path, 'store'), '--config', config];
    const scriptsOf = async (...args: string[]) => {
      const scripts = join(directory.path, 'scripts');
      writeFileSync(scripts, '');
      const env = { SCRIPTS: scripts, NODE_OPTIONS: `--require ${hook}` };
      const { status, stderr } = await tslayer([...options, ...args], { command, env });
      assert.equal(status, 0, stderr);
      return readFileSync(scripts, 'utf8').trim().split('\n');
    };
    const name = `${registry.host}/one:1`;
    const parts = (...names: string[]) =>
      ['src-cli-main.cjs', ...names.map((part) => `src-cli-main-${part}.cjs`)].sort();
    assert.deepEqual((await scriptsOf('pull', name)).sort(), parts('mount', 'transfer'));
    assert.deepEqual(await scriptsOf('pull', name), ['src-cli-main.cjs']);
    assert.deepEqual(await scriptsOf('images'), ['src-cli-main.cjs']);
  });

  test('of Node’s own, short commands load nothing that takes long', async (t) => {
    if (!requires(t, root)) return;
    using directory = tempDir('own-modules');
    const tar = join(directory.path, 'base.tar');
    writeFileSync(tar, await tarOf({ 'etc/motd': 'hello' }));
    const hook = join(directory.path, 'tell-modules.cjs');
    writeFileSync(
      hook,
      `process.on('exit', () => {
         const loaded = process.moduleLoadList.map((name) => name.replace('NativeModule ', ''));
         process._rawDebug(loaded.filter((name) => /^(child_process|crypto|http|net|stream|tty|worker_threads)$/.test(name)));
       });`,
    );
    const run = async (env: NodeJS.ProcessEnv, ...args: string[]) => {
      const ended = await tslayer(['--root', join(directory.path, 'store'), ...args], { command, env });
      assert.equal(ended.status, 0, ended.stderr);
      return ended.stderr;
    };
    await run({}, 'import', tar, 'base:1');
    try {
      const short = ['mount --name box base:1', 'mounts', 'tag base:1 base:2', 'rmi base:2', 'ps', 'gc'];
      for (const words of short) {
        assert.match(await run({ NODE_OPTIONS: `--require ${hook}` }, ...words.split(' ')), /^\[\]$/m, words);
      }
      const loaded = await run({ NODE_OPTIONS: `--require ${hook}` }, 'commit', 'box', 'changed:1');
      assert.match(loaded, /'stream'/);
      assert.doesNotMatch(loaded, /crypto/);
    } finally {
      await run({}, 'umount', 'box');
    }
  });

  test('does not wait for threads of V8 at the end, which may wait for it (nodejs/node#54918)', async () => {
    using directory = tempDir('end');
    const hook = join(directory.path, 'never-ends.cjs');
    writeFileSync(hook, `process.reallyExit = () => { process.kill(process.pid, 'SIGKILL'); };\n`);
    const env = { NODE_OPTIONS: `--require ${hook}` };
    const root = ['--root', join(directory.path, 'store')];
    for (const [words, status] of [
      ['images', 0],
      ['inspect nothing', 3],
      ['ps', 0],
    ] as const) {
      const ended = await tslayer([...root, ...words.split(' ')], { command, env });
      assert.equal(ended.status, status, words + ended.stderr);
    }
  });
});
