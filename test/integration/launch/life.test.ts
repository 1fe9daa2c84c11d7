/** Detached containers: watched, reached by others, and truly told about whoever was killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Container, createLauncher, exitStatusOf, type RunOptions } from '../../../src/launch/index.ts';
import { LaunchKit } from '../../support/launch-kit.ts';
import { program, requires, root } from '../../support/requires.ts';

interface StateFile {
  readonly pid: number;
  readonly watcher: { readonly pid: number };
}

describe('a detached container', { concurrency: false }, () => {
  let kit: LaunchKit;
  beforeEach(() => {
    if (process.getuid?.() === 0) kit = new LaunchKit();
  });
  afterEach(() => kit?.[Symbol.asyncDispose]());

  const start = (script: string, options: RunOptions = {}): Promise<Container> =>
    kit.launcher.start(kit.spec({ name: 'box', ...options, command: ['sh', '-c', script] }));
  const stateFile = ({ id }: Container): StateFile =>
    JSON.parse(readFileSync(join(kit.root, 'containers', id, 'state.json'), 'utf8'));
  async function logs(options = {}): Promise<Record<'stdout' | 'stderr', string>> {
    const seen = { stdout: '', stderr: '' };
    for await (const { stream, data } of kit.launcher.logs('box', options))
      seen[stream] += Buffer.from(data).toString();
    return seen;
  }

  /** A PID 1 hears no signal that it has no handler for. */
  const ready = (): Promise<void> => until(async () => (await logs()).stdout.startsWith('ready\n'));
  /** The watcher outlives the state that it wrote by a moment. */
  const nothingLeft = (): Promise<void> => until(() => Promise.resolve(kit.leftovers().length === 0));

  test('runs on by itself; its log, status and times are kept', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const container = await start('echo out; echo err >&2; exit 9');
    assert.match(container.state.startedAt ?? '', /^\d{4}-/);
    assert.deepEqual(await kit.launcher.wait('box'), { exitCode: 9, oomKilled: false });
    const { state } = await kit.launcher.inspect(container.id.slice(0, 5));
    assert.deepEqual([state.status, state.exitCode], ['exited', 9]);
    assert.ok(state.finishedAt! >= state.startedAt!);
    assert.deepEqual(await logs(), { stdout: 'out\n', stderr: 'err\n' });
  });

  test('tells its namespaces and cgroups while it runs', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const { namespaces, cgroups, state } = await start('sleep 60');
    assert.match(namespaces?.net ?? '', /^net:\[\d+\]$/);
    assert.equal(namespaces?.pid, (await execOutput('readlink /proc/self/ns/pid')).trim());
    assert.ok(cgroups?.length);
    assert.equal(state.status, 'running');
  });

  async function execOutput(script: string, options = {}): Promise<string> {
    const running = await kit.launcher.exec(
      'box',
      { command: ['sh', '-c', script], ...options },
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let output = '';
    for await (const chunk of running.stdout!) output += String(chunk);
    assert.equal((await running.exited).exitCode, 0);
    return output;
  }

  test('takes further programs in: into its namespaces, cgroups, limits and capabilities', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    await start('sleep 60', { hostname: 'inside', env: ['A=1'], workdir: '/tmp', pidsLimit: 20 });
    const seen = await execOutput(
      'hostname; pwd; echo $A$B; cat /proc/1/cmdline | tr "\\0" " "; echo; cat /proc/self/status',
      {
        env: ['B=2'],
      },
    );
    assert.match(seen, /^inside\n\/tmp\n12\nsleep 60 \n/);
    assert.match(seen, /CapEff:\t00000000a80425fb\n/);
    assert.match(seen, /NoNewPrivs:\t1\nSeccomp:\t2\n/);
    const placed = await execOutput('cat /proc/self/cgroup; cat /proc/1/cgroup');
    const lines = placed.trim().split('\n');
    assert.deepEqual(lines.slice(0, lines.length / 2), lines.slice(lines.length / 2));
    assert.equal((await execOutput('id -un', { user: 'app' })).trim(), 'app');
    const missing: unknown = await kit.launcher.exec('box', { command: ['nope'] }).catch((error: unknown) => error);
    assert.equal(exitStatusOf(missing), 127);
  });

  test('follows its log until it ends', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    await start('for i in 1 2 3; do echo $i; sleep 0.2; done');
    assert.equal((await logs({ follow: true })).stdout, '1\n2\n3\n');
    assert.equal((await logs({ tail: 1 })).stdout, '3\n');
  });

  test('is stopped by its signal, and killed when it does not listen', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    await start('trap "exit 3" INT; echo ready; while true; do sleep 0.1; done', { stopSignal: 'SIGINT' });
    await ready();
    await kit.launcher.stop('box');
    assert.equal((await kit.launcher.inspect('box')).state.exitCode, 3);
    await kit.launcher.stop('box');
    await kit.launcher.remove('box');
    await start('trap "" TERM; echo ready; while true; do sleep 0.1; done');
    await ready();
    await kit.launcher.stop('box', { timeoutSeconds: 0.3 });
    assert.equal((await kit.launcher.inspect('box')).state.signal, 'SIGKILL');
  });

  test('takes signals', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    await start('trap "echo one" USR1; trap "exit 4" USR2; echo ready; while true; do sleep 0.05; done');
    await ready();
    await kit.launcher.kill('box', 'USR1');
    await until(async () => (await logs()).stdout === 'ready\none\n');
    await kit.launcher.kill('box', '12');
    assert.equal((await kit.launcher.wait('box')).exitCode, 4);
    await assert.rejects(kit.launcher.kill('box', 'TERM'), { code: 'IN_USE' });
  });

  test('stands still while it is paused, and goes on', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    await start('i=0; while true; do i=$((i+1)); echo $i; sleep 0.02; done');
    await until(async () => (await logs()).stdout !== '');
    await kit.launcher.pause('box');
    assert.equal((await kit.launcher.inspect('box')).state.status, 'paused');
    await delay(100);
    const frozen = await logs();
    await delay(200);
    assert.deepEqual(await logs(), frozen);
    await assert.rejects(kit.launcher.pause('box'), { code: 'IN_USE' });
    await assert.rejects(kit.launcher.exec('box', { command: ['true'] }), /is paused/);
    await kit.launcher.unpause('box');
    await until(async () => (await logs()).stdout.length > frozen.stdout.length);
    // A frozen process hears nothing: stop thaws it first.
    await kit.launcher.pause('box');
    await kit.launcher.stop('box', { timeoutSeconds: 0 });
  });

  test('is killed while it is paused, too', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    await start('sleep 60');
    await kit.launcher.pause('box');
    await kit.launcher.kill('box', 'KILL');
    const { exitCode } = await kit.launcher.wait('box', AbortSignal.timeout(5000));
    assert.equal(exitCode, 137);
    await kit.launcher.remove('box');
    await nothingLeft();
  });

  test('is waited for, though it is removed at its end, or by force', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    for (const exitCode of [3, 4, 5]) {
      const removed = start(`sleep 0.3; exit ${exitCode}`).then(async () => {
        await until(async () => (await kit.launcher.inspect('box')).state.status === 'exited');
        await kit.launcher.remove('box');
      });
      await until(async () => (await kit.launcher.list()).length === 1);
      // It looks every 100 ms in the end: less often than the other.
      assert.equal((await kit.launcher.wait('box')).exitCode, exitCode);
      await removed;
    }
    await start('sleep 600');
    const waited = kit.launcher.wait('box');
    await kit.launcher.remove('box', { force: true });
    assert.equal((await waited).exitCode, 137);
  });

  test('whose record is gone is waited for by nobody', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const { id } = await start('sleep 600');
    const waited = assert.rejects(kit.launcher.wait('box'), { code: 'NOT_FOUND' });
    await delay(50);
    const { pid } = stateFile({ id } as Container);
    rmSync(join(kit.root, 'containers', id), { recursive: true });
    // Its watcher has no state to write to any more, but takes the rest away.
    process.kill(pid, 'SIGKILL');
    await waited;
    await nothingLeft();
  });

  test('has one name, which is free again when it is removed', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    await start('sleep 60');
    await assert.rejects(start('true'), { code: 'ALREADY_EXISTS' });
    await assert.rejects(kit.launcher.remove('box'), { code: 'IN_USE' });
    await kit.launcher.remove('box', { force: true });
    await assert.rejects(kit.launcher.inspect('box'), { code: 'NOT_FOUND' });
    await nothingLeft();
    await start('true');
  });

  test('that cannot be started says why, and is not there', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const error: unknown = await kit.launcher
      .start(kit.spec({ name: 'box', command: ['nope'] }))
      .catch((e: unknown) => e);
    assert.equal(exitStatusOf(error), 127);
    assert.match(String(error), /no program "nope"/);
    await nothingLeft();
  });

  test('reports what the kernel killed for want of memory', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    await start('sleep 0.3; a=xxxxxxxxxxxxxxxx; while true; do a=$a$a; done', { memory: '16m' });
    assert.deepEqual(await kit.launcher.wait('box'), { exitCode: 137, signal: 'SIGKILL', oomKilled: true });
  });

  test('is counted: processor, memory, processes, input and output', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    await start('while true; do true; done', { memory: '64m', pidsLimit: 9, cpus: '0.1' });
    for await (const [sample] of kit.launcher.stats(['box'], { once: true, interval: 500 })) {
      const { cpu, memory, pids, io, network } = sample!;
      assert.ok(cpu && cpu.percent > 1 && cpu.percent < 50, `${cpu?.percent} %`);
      assert.deepEqual([memory?.limit, pids], [64 << 20, { current: 1, limit: 9 }]);
      assert.ok(memory!.usage > 0 && memory!.pageCache >= 0 && cpu.throttledPeriods! > 0 && cpu.throttledTime! > 0);
      if (cpu.perCore) assert.equal(cpu.perCore.filter((usage) => usage > 0).length >= 1, true);
      assert.equal(typeof io?.readBytes, 'number');
      assert.deepEqual(network, { received: 0, sent: 0 });
    }
    const hierarchies = await kit.launcher.hierarchies();
    const placed = hierarchies.flatMap(({ containers }) => containers).filter(({ name }) => name === 'box');
    assert.ok(placed.length > 0 && placed.every(({ processes }) => processes === 1));
  });

  test('starts a program of the caller’s after its end', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const marker = join(kit.directory('after'), 'done');
    await start('true', { onExit: ['/bin/sh', '-c', `echo done > ${marker}`] });
    await until(() => Promise.resolve(contentOf(marker) === 'done\n'));
  });

  test('kill -9 of its watcher: it dies, the state says so, and nothing is left', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const container = await start('sleep 60');
    const { pid, watcher } = stateFile(container);
    process.kill(watcher.pid, 'SIGKILL');
    await until(() => Promise.resolve(!isAlive(pid)));
    const { state } = await kit.launcher.inspect('box');
    assert.deepEqual([state.status, state.exitCode, state.signal], ['exited', 137, 'SIGKILL']);
    assert.match(state.error ?? '', /watcher was killed/);
    await kit.launcher.remove('box');
    await nothingLeft();
  });

  test('the machine’s own end: what ran before is told to have ended, whoever has its pid now', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const container = await start('sleep 60');
    // What the next start of the machine finds: the files, no lock, and the pid given to somebody else.
    const other = spawn('busybox', ['sleep', '60'], { stdio: 'ignore' });
    const restarted = kit.directory('restarted');
    const [from, to] = [kit.root, restarted].map((path) => join(path, 'containers', container.id));
    cpSync(from!, to!, { recursive: true, filter: (path) => !path.endsWith('/attach') });
    const state = join(to!, 'state.json');
    writeFileSync(state, JSON.stringify({ ...stateFile(container), pid: other.pid }));
    await kit.launcher.remove('box', { force: true });
    const launcher = createLauncher({ root: restarted });
    const { status, exitCode, error } = (await launcher.inspect('box')).state;
    assert.deepEqual([status, exitCode], ['exited', 137]);
    assert.match(error ?? '', /watcher/);
    await assert.rejects(launcher.kill('box', 'KILL'), { code: 'IN_USE' });
    // Cut short by the loss of power.
    writeFileSync(state, '');
    assert.equal((await launcher.inspect('box')).state.status, 'exited');
    await launcher.remove('box');
    assert.equal(isAlive(other.pid!), true);
    other.kill();
    await nothingLeft();
  });

  test('kill -9 of PID 1: the watcher tells, and cleans up', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const container = await start('sleep 60 & sleep 60');
    process.kill(stateFile(container).pid, 'SIGKILL');
    assert.deepEqual(await kit.launcher.wait('box'), { exitCode: 137, signal: 'SIGKILL', oomKilled: false });
    await kit.launcher.remove('box');
    await nothingLeft();
  });

  test('kill -9 of a foreground caller: the container dies with it, and is told and cleaned up by the next', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const caller = spawn(process.execPath, [join(import.meta.dirname, '../../support/launch-child.ts')], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        LAUNCH_ROOT: kit.root,
        LAUNCH_SPEC: JSON.stringify(kit.spec({ name: 'box', command: ['sleep', '60'] })),
      },
    });
    await until(async () => (await kit.launcher.list()).some(({ state }) => state.status === 'running'));
    const { pid } = (await kit.launcher.inspect('box')).state;
    caller.kill('SIGKILL');
    await until(() => Promise.resolve(!isAlive(pid!)));
    const { state } = await kit.launcher.inspect('box');
    assert.deepEqual([state.status, state.exitCode], ['exited', 137]);
    await kit.launcher.remove('box');
    await nothingLeft();
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 15_000; Date.now() < deadline; await delay(20)) if (await holds()) return;
  assert.fail('did not come true in 15 s');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
