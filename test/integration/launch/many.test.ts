/** Many launches: in a row, side by side, and killed at any moment. Nothing of them is left. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LaunchKit } from '../../support/launch-kit.ts';
import { program, requires, root } from '../../support/requires.ts';

const CHILD = join(import.meta.dirname, '../../support/launch-child.ts');

/** What holds a namespace of a container: its processes, known by a word in their environment, and our descriptors. */
function holders(word: string, namespaces: ReadonlySet<string>): string[] {
  const processes = readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(word);
    } catch {
      return false; // It ended meanwhile.
    }
  });
  const descriptors = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return namespaces.has(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false; // The one that this list was read by.
    }
  });
  return [...processes, ...descriptors];
}

describe('many launches', { concurrency: false }, () => {
  let kit: LaunchKit;
  beforeEach(() => {
    if (process.getuid?.() === 0) kit = new LaunchKit();
  });
  afterEach(() => kit?.[Symbol.asyncDispose]());

  const nothingLeft = async (): Promise<void> => {
    for (let i = 0; i < 200 && kit.leftovers().length > 0; i++) await delay(25);
    assert.deepEqual(kit.leftovers(), []);
  };

  test('two hundred, twenty at a time, leave no process, mount, cgroup, namespace or file', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const spaces = new Set<string>();
    const ours = childrenOf(process.pid);
    const word = `LAUNCH=${randomUUID()}`;
    for (let round = 0; round < 10; round++) {
      const runs = Array.from({ length: 20 }, async (_, i) => {
        const { exitCode, stdout } = await kit.run({
          command: ['sh', '-c', `readlink /proc/self/ns/mnt; readlink /proc/self/ns/net; exit ${i}`],
          env: [word],
        });
        assert.equal(exitCode, i);
        for (const namespace of stdout.trim().split('\n')) spaces.add(namespace);
      });
      await Promise.all(runs);
    }
    await nothingLeft();
    assert.deepEqual(childrenOf(process.pid), ours);
    // Not by the namespaces' ids: the kernel gives them out again at once, to whoever else is at work here.
    assert.deepEqual(holders(word, spaces), []);
  });

  test('kill -9 of the caller at any moment leaves nothing that the next look does not clean up', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    for (let after = 150; after < 900; after += 50) {
      const spec = kit.spec({ command: ['sleep', '60'] });
      const caller = spawn(process.execPath, [CHILD], {
        stdio: 'ignore',
        env: { ...process.env, LAUNCH_ROOT: kit.root, LAUNCH_SPEC: JSON.stringify(spec) },
      });
      await delay(after);
      caller.kill('SIGKILL');
      await once(caller, 'exit');
    }
    await delay(200);
    for (const { id, state } of await kit.launcher.list()) {
      assert.deepEqual([state.status, state.exitCode], ['exited', 137], id);
      await kit.launcher.remove(id);
    }
    await nothingLeft();
  });
});

function childrenOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
}
