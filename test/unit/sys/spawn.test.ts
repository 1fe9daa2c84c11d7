import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { native } from '../../../src/sys/libc.ts';
import {
  findPosixSpawn,
  type SpawnedProcess,
  type SpawnRequest,
  spawnByNode,
  spawnProcess,
} from '../../../src/sys/spawn.ts';
import { tempDir } from '../../support/temp-dir.ts';

type Spawn = (request: SpawnRequest) => SpawnedProcess;

/** A shell that reads this script, and what it said. */
function shell(
  spawn: Spawn,
  script: string,
): { readonly process: SpawnedProcess; readonly said: () => string } & Disposable {
  const directory = tempDir('spawn');
  const [source, output] = [`${directory.path}/script`, `${directory.path}/output`];
  writeFileSync(source, script);
  const files = [openSync(source, 'r'), openSync(output, 'w')] as const;
  try {
    const process = spawn({ path: '/bin/sh', name: 'me', files: [files[0], files[1], 'ignore'] });
    return { process, said: () => readFileSync(output, 'utf8'), [Symbol.dispose]: () => directory[Symbol.dispose]() };
  } finally {
    for (const file of files) closeSync(file);
  }
}

/** By what is found here, which is posix_spawn(3); and by what serves where that is not found. */
const WAYS: Readonly<Record<string, Spawn>> = {
  'a process without fork': spawnProcess,
  'a process by Node': spawnByNode,
};

for (const [name, spawn] of Object.entries(WAYS)) {
  describe(name, () => {
    test('has its name, its files and nothing of our environment', async () => {
      process.env.TSLAYER_SPAWN_TEST = 'seen';
      using ran = shell(spawn, 'echo "$0 $TSLAYER_SPAWN_TEST"; readlink /proc/self/fd/2; exit 7');
      delete process.env.TSLAYER_SPAWN_TEST;
      assert.deepEqual(await ran.process.ended, { exitCode: 7, signal: undefined });
      assert.equal(ran.said(), 'me \n/dev/null\n');
    });

    test('leads a session, with signals as a program expects them', async () => {
      using ran = shell(spawn, 'cut -d" " -f6 /proc/$$/stat; echo $$; exec grep -E "^Sig(Ign|Blk)" /proc/self/status');
      await ran.process.ended;
      const [session, pid, ...masks] = ran.said().trim().split('\n');
      assert.equal(session, pid);
      const bits = masks.map((line) => BigInt(`0x${line.split('\t')[1]}`));
      // But for glibc's own two, 32 and 33.
      assert.deepEqual(
        bits.map((mask) => mask & ~0x1_8000_0000n),
        [0n, 0n],
      );
    });

    test('is told apart when it was killed, and is not signalled when it is gone', async () => {
      using ran = shell(spawn, 'sleep 60');
      assert.equal(ran.process.kill(9), true);
      assert.deepEqual(await ran.process.ended, { exitCode: undefined, signal: 9 });
      assert.equal(ran.process.kill(9), false);
    });

    test('that cannot be executed is an error', () => {
      const missing = { path: '/nonexistent', name: 'x', files: [] };
      assert.throws(() => spawn(missing), { code: name === 'a process by Node' ? 'FAILED' : 'ENOENT' });
      assert.equal(process.listenerCount('SIGCHLD'), 0);
    });

    test("files take places that are others' own", async () => {
      using directory = tempDir('spawn');
      const path = `${directory.path}/script`;
      writeFileSync(path, 'exit 5');
      const script = openSync(path, 'r');
      // 0 to 2 are in use here, and change places.
      const swapped = spawn({ path: '/bin/sh', name: 'sh', files: [script, 2, 1, 0] });
      closeSync(script);
      assert.equal((await swapped.ended).exitCode, 5);
    });

    test('many of them end side by side, each with its own status', async () => {
      const warnings: Error[] = [];
      const onWarning = (warning: Error) => warnings.push(warning);
      process.on('warning', onWarning);
      const all = Array.from({ length: 20 }, (_, i) => ({ i, ran: shell(spawn, `exit ${i}`) }));
      for (const { i, ran } of all) {
        using one = ran;
        assert.equal((await one.process.ended).exitCode, i);
      }
      assert.equal(process.listenerCount('SIGCHLD'), 0);
      process.off('warning', onWarning);
      assert.deepEqual(warnings, []);
    });
  });
}

describe('posix_spawn', () => {
  test('is not used where the C library lacks a part of it', () => {
    assert.notEqual(findPosixSpawn(), undefined);
    for (const missing of ['posix_spawn', 'posix_spawn_file_actions_addopen', 'posix_spawnattr_setsigmask']) {
      const find: typeof native = (result, name, parameters) => {
        if (name === missing) throw new TypeError(`Cannot find function '${name}' in shared library`);
        return native(result, name, parameters);
      };
      assert.equal(findPosixSpawn(find), undefined);
    }
  });

  test('nor where it does not know sessions', () => {
    const find: typeof native = (result, name, parameters) =>
      name === 'posix_spawnattr_setflags' ? () => 22 : native(result, name, parameters);
    assert.equal(findPosixSpawn(find), undefined);
  });
});
