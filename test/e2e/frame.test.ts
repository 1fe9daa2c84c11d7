/** What holds for every command: words, streams, statuses. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { events, tslayer } from '../support/cli.ts';
import { fillStore } from '../support/large-store.ts';
import { tempDir } from '../support/temp-dir.ts';
import { openTestStore } from '../support/test-store.ts';

const project = join(import.meta.dirname, '../..');

describe('the command line', () => {
  test('lists its commands on stdout', async () => {
    for (const args of [[], ['--help'], ['help']]) {
      const { status, stdout, stderr } = await tslayer(args);
      assert.equal(status, 0);
      assert.match(stdout, /^Usage: tslayer/);
      assert.match(stdout, /\n {2}serve /);
      assert.equal(stderr, '');
    }
  });

  test('explains one command', async () => {
    for (const args of [
      ['serve', '--help'],
      ['help', 'serve'],
    ]) {
      const { status, stdout } = await tslayer(args);
      assert.equal(status, 0);
      assert.match(stdout, /^Usage: tslayer serve /);
    }
  });

  test('tells its version, whatever options stand beside that', async () => {
    for (const args of [
      ['--root', '/nonexistent', '--version'],
      ['-q', '-V'],
    ]) {
      const { status, stdout } = await tslayer(args);
      assert.equal(status, 0);
      assert.match(stdout, /^tslayer \d+\.\d+\.\d+\n$/);
    }
    const { stdout } = await tslayer(['--json', '--version']);
    assert.match((JSON.parse(stdout) as { version: string }).version, /^\d/);
  });

  const wrong: [string, string[], RegExp][] = [
    ['an unknown command', ['serv'], /^tslayer: unknown command "serv"\nhint: did you mean serve\?\n$/],
    [
      'an unknown option',
      ['serve', '--prot', '1'],
      /^tslayer: unknown option '--prot'\nhint: did you mean --port\?\n$/,
    ],
    ['a value that is none', ['serve', '--port', 'x'], /^tslayer: .*'x' is invalid.*\nhint: .*\n$/],
    ['a missing argument', ['completion'], /^tslayer: the shell must be named.*\n$/],
    ['a command that went as the value of an option', ['--driver', 'images'], /^tslayer: no command.*\nhint: .*\n$/],
    ['an empty store directory', ['--root', '', 'images'], /^tslayer: "" is no place for a store\nhint: .*\n$/],
    ['an option without a command', ['--json=1'], /^tslayer: no command was named.*\nhint: .*\n$/],
  ];
  for (const [what, args, message] of wrong) {
    test(`${what} is wrong use: one line, a hint, status 2`, async () => {
      const { status, stdout, stderr } = await tslayer(args);
      assert.equal(status, 2);
      assert.equal(stdout, '');
      assert.match(stderr, message);
    });
  }

  test('with --json an error is an event, on stdout as the last one', async () => {
    const { status, stdout, stderr } = await tslayer(['--json', 'serve', '/nonexistent']);
    assert.equal(status, 3);
    const [event] = events(stdout);
    assert.equal(event?.type, 'error');
    assert.equal(event?.code, 'NOT_FOUND');
    assert.equal(typeof event?.hint, 'string');
    assert.deepEqual(events(stderr), [event]);
  });

  test('colours are for terminals', async () => {
    const { stderr } = await tslayer(['nonsense']);
    assert.ok(!stderr.includes('\x1b'), stderr);
  });

  test('a reader that goes away is no reason for a word', async () => {
    const { stderr } = await tslayer([], {
      command: ['/bin/sh', '-c', `(sleep 0.2; ${process.execPath} "$0" --help) | :`, entry],
    });
    assert.equal(stderr, '');
  });

  test('what is long is written whole, however slowly it is read', async () => {
    using dir = tempDir('frame');
    const root = join(dir.path, 'store');
    {
      await using store = await openTestStore({ root });
      fillStore(store, { images: 1000, layersEach: 2 });
    }
    for (const args of [['images', '--json'], ['images'], ['gc', '--dry-run', '--json']]) {
      const whole = await tslayer(['--root', root, ...args]);
      const onStart = ({ stdout }: ChildProcess): void => {
        stdout?.pause();
        setTimeout(() => stdout?.resume(), 1500);
      };
      const slow = await tslayer(['--root', root, ...args], { onStart });
      assert.equal(slow.status, 0);
      assert.ok(slow.stdout.length > 200_000 || args.length === 1, `${slow.stdout.length}`);
      assert.ok(slow.stdout.endsWith('\n'));
      assert.equal(slow.stdout.split('\n').length, whole.stdout.split('\n').length);
    }
  });

  test('results that cannot be written are a failure, not a silence', async () => {
    const { status, stderr } = await tslayer([], {
      command: ['/bin/sh', '-c', `${process.execPath} "$0" drivers >/dev/full`, entry],
    });
    assert.equal(status, 1);
    assert.match(stderr, /^tslayer: cannot write the output: ENOSPC.*\n$/);
  });

  test('a configuration error names file and setting', async () => {
    using dir = tempDir('e2e');
    const file = join(dir.path, 'config.toml');
    writeFileSync(file, '[store]\ndurable = true\n');
    const { status, stderr } = await tslayer(['serve', '--config', file]);
    assert.equal(status, 2);
    assert.equal(stderr, `tslayer: ${file}: unknown setting store.durable\n`);
  });
});

const entry = join(project, 'test/support/tslayer-from-source.ts');

describe('the executable', () => {
  const bin = join(project, 'bin/tslayer.cjs');

  test('tells its version without loading anything', async () => {
    const { status, stdout } = await tslayer(['--version'], { command: [process.execPath, bin] });
    assert.equal(status, 0);
    assert.match(stdout, /^tslayer \d+\.\d+\.\d+\n$/);
  });

  test('leaves a container’s --env-file and its NODE_OPTIONS alone: Node would take them for its own', async () => {
    using dir = tempDir('e2e');
    const file = join(dir.path, 'env');
    writeFileSync(file, 'NODE_OPTIONS=--require /nonexistent/module.js\n');
    const { status, stderr } = await tslayer(['run', '--env-file', file, '--pids-limit', 'x', 'image'], {
      command: [bin],
    });
    assert.equal(status, 2);
    assert.match(stderr, /^tslayer: .*--pids-limit.*\n.*\n$/);
  });

  test('refuses a Node that is too old with one line that names the needed one', async () => {
    using dir = tempDir('e2e');
    const preload = join(dir.path, 'old.cjs');
    writeFileSync(
      preload,
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });",
    );
    const { status, stderr } = await tslayer(['--version'], { command: [process.execPath, '-r', preload, bin] });
    assert.equal(status, 6);
    assert.match(stderr, /^tslayer: Node 22\.15 or newer is needed, this is 20\.20\.2 .*\n$/);
  });
});

describe('completion', () => {
  test('knows commands, options and choices', async () => {
    const words = async (...given: string[]): Promise<string[]> =>
      (await tslayer(['completion', '--words', '--', ...given])).stdout.trim().split('\n');
    assert.ok((await words('se')).includes('serve'));
    assert.ok((await words('serve', '--p')).includes('--port'));
    assert.deepEqual(await words('serve', '--log-level', ''), ['error', 'warn', 'info', 'debug']);
  });

  test('bash completes with the printed script', async () => {
    using dir = tempDir('e2e');
    const wrapper = join(dir.path, 'tslayer');
    writeFileSync(wrapper, `#!/bin/sh\nexec ${process.execPath} ${entry} "$@"\n`, { mode: 0o755 });
    const script = `source <(tslayer completion bash)
      COMP_LINE="tslayer ser" COMP_POINT=11 COMP_WORDS=(tslayer ser) COMP_CWORD=1; _tslayer; echo "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await tslayer([], {
      command: ['/bin/bash', '-c', script],
      env: { PATH: `${dir.path}:${process.env.PATH}` },
    });
    assert.equal(stdout, 'serve\n', stderr);
  });
});
