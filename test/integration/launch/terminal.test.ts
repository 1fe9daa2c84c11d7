/** `-it` at a real terminal. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LaunchKit } from '../../support/launch-kit.ts';
import { statusOf, TestTerminal } from '../../support/pty.ts';
import { program, requires, root } from '../../support/requires.ts';

const CHILD = join(import.meta.dirname, '../../support/terminal-child.ts');

describe('a terminal', { concurrency: false }, () => {
  let kit: LaunchKit;
  beforeEach(() => {
    if (process.getuid?.() === 0) kit = new LaunchKit();
  });
  afterEach(() => kit?.[Symbol.asyncDispose]());

  const shell = (terminal: TestTerminal): ChildProcess => {
    const spec = kit.spec({ name: 'tt', tty: true, interactive: true, command: ['sh'], env: ['PS1=$ '] });
    return terminal.spawn([process.execPath, CHILD], { LAUNCH_ROOT: kit.root, LAUNCH_SPEC: JSON.stringify(spec) });
  };
  const joinBox = (terminal: TestTerminal, how: 'ATTACH' | 'EXEC'): ChildProcess =>
    terminal.spawn([process.execPath, CHILD], { LAUNCH_ROOT: kit.root, [`LAUNCH_${how}`]: 'tt' });

  test('is the container’s own: it controls it, has its size, and follows when that changes', async (t) => {
    if (!requires(t, root, program('busybox'), program('setsid'))) return;
    using terminal = new TestTerminal({ rows: 33, columns: 101 });
    const child = shell(terminal);
    await terminal.shows(/\$ /);
    terminal.type('stty size; tty; echo over > /dev/tty; echo $TERM\n');
    await terminal.shows(/33 101\r\n\/dev\/pts\/0\r\nover\r\nxterm\r\n/);
    terminal.resize({ rows: 40, columns: 120 });
    await delay(200);
    terminal.type('stty size\n');
    await terminal.shows(/40 120\r\n/);
    terminal.type('exit 5\n');
    await terminal.shows(/ENDED 5/);
    assert.equal(await statusOf(child), 5);
  });

  test('its keys go to the program: ^C interrupts, ^Z stops, and jobs go on', async (t) => {
    if (!requires(t, root, program('busybox'), program('setsid'))) return;
    using terminal = new TestTerminal({ rows: 24, columns: 80 });
    const child = shell(terminal);
    await terminal.shows(/\$ /);
    // Each says so when it is the job in the foreground: a key that comes before is the shell's own, and lost.
    terminal.type("sh -c 'echo begun; exec sleep 100'\n");
    await terminal.shows(/\r\nbegun\r\n/);
    terminal.type('\x03');
    await terminal.shows(/\$ /);
    terminal.type('echo rc $?\n');
    await terminal.shows(/rc 130\r\n/);
    terminal.type("sh -c 'echo again; exec sleep 100'\n");
    await terminal.shows(/\r\nagain\r\n/);
    terminal.type('\x1a');
    await terminal.shows(/Stopped/);
    terminal.type('fg\n');
    await terminal.shows(/fg\r\nsh -c [^\r]*\r\n/);
    // The shell names the job before it is in the foreground: until then, ^C is the shell's own.
    await delay(200);
    terminal.type('\x03');
    await terminal.shows(/\$ /);
    terminal.type('exit\n');
    await terminal.shows(/ENDED/);
    await statusOf(child);
  });

  test('the detach keys leave it running; it can be joined again, and a second program be run beside', async (t) => {
    if (!requires(t, root, program('busybox'), program('setsid'))) return;
    using terminal = new TestTerminal({ rows: 31, columns: 97 });
    const first = shell(terminal);
    await terminal.shows(/\$ /);
    terminal.type('x=kept\n\x10\x11');
    await terminal.shows(/DETACHED/);
    assert.equal(await statusOf(first), 0);
    assert.equal((await kit.launcher.inspect('tt')).state.status, 'running');
    const beside = joinBox(terminal, 'EXEC');
    // From its first instruction on.
    await terminal.shows(/31 97\r\n[\s\S]*[#$] /);
    terminal.type('tty; stty size; cat /proc/1/comm; exit 8\n');
    await terminal.shows(/\/dev\/pts\/1\r\n31 97\r\nsh\r\n/);
    assert.equal(await statusOf(beside), 8);
    const second = joinBox(terminal, 'ATTACH');
    await delay(500);
    terminal.type('echo $x; exit 6\n');
    await terminal.shows(/kept\r\n/);
    assert.equal(await statusOf(second), 6);
  });

  test('kill -9 of whoever sits at it hangs it up: nothing is left', async (t) => {
    if (!requires(t, root, program('busybox'), program('setsid'))) return;
    using terminal = new TestTerminal({ rows: 24, columns: 80 });
    const child = shell(terminal);
    await terminal.shows(/\$ /);
    terminal.type('echo $((6*7))\n');
    await terminal.shows(/42/);
    // setsid(1) waits for it and is its parent.
    const [caller] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ').map(Number);
    process.kill(caller!, 'SIGKILL');
    for (let i = 0; i < 500 && (await kit.launcher.inspect('tt')).state.status !== 'exited'; i++) await delay(20);
    assert.equal((await kit.launcher.inspect('tt')).state.status, 'exited');
    await kit.launcher.remove('tt');
    for (let i = 0; i < 100 && kit.leftovers().length > 0; i++) await delay(20);
    assert.deepEqual(kit.leftovers(), []);
  });

  test('a great deal of output comes whole', async (t) => {
    if (!requires(t, root, program('busybox'), program('setsid'))) return;
    using terminal = new TestTerminal({ rows: 24, columns: 80 });
    const spec = kit.spec({ name: 'tt', tty: true, command: ['seq', '1', '60000'] });
    const child = terminal.spawn([process.execPath, CHILD], {
      LAUNCH_ROOT: kit.root,
      LAUNCH_SPEC: JSON.stringify(spec),
    });
    const shown = await terminal.shows(/ENDED 0/);
    assert.equal(shown.split('\r\n').filter((line) => /^\d+\r*$/.test(line)).length, 60_000);
    assert.equal(await statusOf(child), 0);
  });
});
