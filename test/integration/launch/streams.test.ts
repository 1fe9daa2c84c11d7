/** A program's standard streams: what it is given of the caller's, and what it is not. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunOptions } from '../../../src/launch/index.ts';
import { LaunchKit } from '../../support/launch-kit.ts';
import { statusOf, TestTerminal } from '../../support/pty.ts';
import { program, requires, root } from '../../support/requires.ts';

const CHILD = join(import.meta.dirname, '../../support/terminal-child.ts');
/** By name, as images do whose logs are links there. */
const BY_NAME = 'readlink /proc/self/fd/1; echo out > /dev/stdout; echo err > /dev/stderr';
const SIZE = { rows: 24, columns: 80 };

describe('standard streams', { concurrency: false }, () => {
  let kit: LaunchKit;
  beforeEach(() => {
    if (process.getuid?.() === 0) kit = new LaunchKit();
  });
  afterEach(() => kit?.[Symbol.asyncDispose]());

  const plain = (options: RunOptions): NodeJS.ProcessEnv => ({
    LAUNCH_ROOT: kit.root,
    LAUNCH_PLAIN: '1',
    LAUNCH_SPEC: JSON.stringify(kit.spec(options)),
  });

  async function logsOf(name: string): Promise<string[]> {
    await kit.launcher.wait(name);
    const lines: string[] = [];
    for await (const { stream, data } of kit.launcher.logs(name)) lines.push(`${stream} ${Buffer.from(data)}`);
    return lines.toSorted();
  }

  const users: Readonly<Record<string, RunOptions>> = {
    root: {},
    'another user': { user: '1000' },
    'a user namespace': { user: '1000', userns: '300000:300000:65536' },
  };
  for (const [who, options] of Object.entries(users)) {
    test(`are opened anew by name, as ${who}: of a detached container, and at a pipe of the caller's`, async (t) => {
      if (!requires(t, root, program('busybox'))) return;
      await kit.launcher.start(kit.spec({ ...options, name: 'box', command: ['sh', '-c', BY_NAME] }));
      const [errors, output, link] = await logsOf('box');
      assert.match(link ?? '', /^stdout pipe:\[\d+\]\n$/);
      assert.deepEqual([errors, output], ['stderr err\n', 'stdout out\n']);
      // A shell's pipe; Node would give a socket.
      const env = { ...process.env, ...plain({ ...options, command: ['sh', '-c', 'echo "$0" > /dev/stdout', 'hi'] }) };
      const piped = spawnSync('sh', ['-c', '"$@" | cat', 'sh', process.execPath, CHILD], { env });
      assert.equal(String(piped.stdout), 'hi\nENDED 0\n', String(piped.stderr));
    });
  }

  test('under runc, likewise', async (t) => {
    if (!requires(t, root, program('busybox'), program('runc'))) return;
    const command = ['sh', '-c', BY_NAME];
    await kit.launcher.start(kit.spec({ name: 'box', user: '1000', runtime: 'runc', command }));
    const [errors, output] = await logsOf('box');
    assert.deepEqual([errors, output], ['stderr err\n', 'stdout out\n']);
  });

  test('the caller’s terminal is not passed in: keys and output go through pipes', async (t) => {
    if (!requires(t, root, program('busybox'), program('setsid'))) return;
    using terminal = new TestTerminal(SIZE);
    const script =
      'readlink /proc/self/fd/0; readlink /proc/self/fd/1 >&2; echo ready; read x; echo "got $x"; cat; exit 4';
    const child = terminal.spawn(
      [process.execPath, CHILD],
      plain({ interactive: true, command: ['sh', '-c', script] }),
    );
    await terminal.shows(/pipe:\[\d+\]\r\npipe:\[\d+\]\r\nready\r\n/);
    terminal.type('this\n');
    await terminal.shows(/got this\r\n/);
    terminal.type('more\n\x04');
    await terminal.shows(/more\r\nmore\r\nENDED 4/);
    assert.equal(await statusOf(child), 4);
  });

  test('nor is it to a program that joins, whose last words are shown though others have its streams', async (t) => {
    if (!requires(t, root, program('busybox'), program('setsid'))) return;
    await kit.launcher.start(kit.spec({ name: 'box', command: ['sleep', '600'] }));
    using terminal = new TestTerminal(SIZE);
    const script = 'readlink /proc/self/fd/1; sleep 500 & seq 1 5000; exit 3';
    const env = { LAUNCH_ROOT: kit.root, LAUNCH_EXEC: 'box', LAUNCH_COMMAND: script };
    const child = terminal.spawn([process.execPath, CHILD], { ...env, LAUNCH_PLAIN: '1' });
    await terminal.shows(/pipe:\[\d+\]\r\n1\r\n[\s\S]*\r\n5000\r\nENDED 3/);
    assert.equal(await statusOf(child), 3);
    // The same with a terminal of its own. A session of its own: the shell's end would hang up what is in its own.
    const withTerminal = script.replace('sleep', 'setsid sleep').replace('seq', 'sleep 0.5; seq');
    const second = terminal.spawn([process.execPath, CHILD], { ...env, LAUNCH_COMMAND: withTerminal });
    await terminal.shows(/\/dev\/pts\/\d+\r\n1\r+\n[\s\S]*\r\n5000\r+\nENDED 3/);
    assert.equal(await statusOf(second), 3);
  });

  test('the end of a file that takes the terminal’s place ends the program’s input', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const command = ['sh', '-c', 'cat; echo over'];
    const spec = JSON.stringify(kit.spec({ name: 'box', tty: true, interactive: true, command }));
    const run = { LAUNCH_ROOT: kit.root, LAUNCH_SPEC: spec };
    const ran = spawnSync(process.execPath, [CHILD], { env: { ...process.env, ...run }, input: 'line\nand a half' });
    assert.match(String(ran.stdout), /line\r\n[\s\S]*and a half[\s\S]*over\r\nENDED 0\n$/);
    await kit.launcher.start(kit.spec({ name: 'other', command: ['sleep', '600'] }));
    const exec = { LAUNCH_ROOT: kit.root, LAUNCH_EXEC: 'other', LAUNCH_COMMAND: 'cat; echo over' };
    const joined = spawnSync(process.execPath, [CHILD], { env: { ...process.env, ...exec }, input: 'line\n' });
    assert.match(String(joined.stdout), /line\r\n[\s\S]*over\r\nENDED 0\n$/);
  });

  test('detach keys that are none are told before anything is started', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const spec = kit.spec({ tty: true, command: ['sleep', '600'] });
    await assert.rejects(kit.launcher.runTerminal(spec, { detachKeys: 'ctrl-!' }), { code: 'INVALID_ARGUMENT' });
    assert.deepEqual(await kit.launcher.list(), []);
  });

  test('an interruption of the caller at a terminal is told as such, and hangs the program up', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const abort = new AbortController();
    const spec = kit.spec({ name: 'box', tty: true, command: ['sleep', '600'] });
    const session = kit.launcher.runTerminal(spec, { signal: abort.signal });
    while (!(await kit.launcher.list()).some(({ state }) => state.status === 'running')) await delay(10);
    abort.abort();
    await assert.rejects(session, { code: 'ABORTED' });
    assert.equal((await kit.launcher.wait('box')).exitCode, 137);
  });

  test('nothing of them stays open in the caller', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const open = (): number => readdirSync('/proc/self/fd').length;
    await kit.sh('true');
    const before = open();
    for (let i = 0; i < 10; i++) await kit.sh('true');
    await assert.rejects(kit.sh('true', { user: 'nobody-knows' }));
    assert.equal(open(), before);
  });
});
