/** An ordinary user with subordinate ids: the whole launcher in a user namespace of theirs. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildSpec, type ContainerSpec, newContainerId, type RunOptions } from '../../../src/launch/index.ts';
import { makeBusyboxRootfs } from '../../support/busybox-rootfs.ts';
import { forAllUsers } from '../../support/for-all-users.ts';
import { missing, program, requires, root } from '../../support/requires.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';

const UID = 42_042;
const SUBORDINATE = 800_000;
const needed = [root, ...['busybox', 'unshare', 'nsenter', 'setpriv', 'newuidmap'].map(program)];

/** The machine's own files with a user more, seen by the test alone. */
const WITH_USER = `
for f in passwd group subuid subgid; do mount --bind $FILES/$f /etc/$f || exit 98; done
exec setpriv --reuid ${UID} --regid ${UID} --clear-groups "$@"`;

describe('an ordinary user', { concurrency: false }, () => {
  let directory: TempDir;
  let rootfs: string;
  before(() => {
    if (missing(...needed) !== undefined) return;
    directory = tempDir('rootless');
    rootfs = join(directory.path, 'rootfs');
    makeBusyboxRootfs(rootfs);
    const line = (file: string, text: string): void =>
      writeFileSync(
        join(directory.path, file),
        `${readFileSync(`/etc/${file}`, { encoding: 'utf8', flag: 'a+' })}${text}\n`,
      );
    line('passwd', `tsltest:x:${UID}:${UID}::${directory.path}:/bin/sh`);
    line('group', `tsltest:x:${UID}:`);
    line('subuid', `tsltest:${SUBORDINATE}:65536`);
    line('subgid', `tsltest:${SUBORDINATE}:65536`);
    execFileSync('chown', ['-R', `${UID}:${UID}`, directory.path]);
    for (const file of ['passwd', 'group', 'subuid', 'subgid']) chmodSync(join(directory.path, file), 0o644);
  });
  after(() => directory?.[Symbol.dispose]());

  const spec = (options: RunOptions): ContainerSpec =>
    buildSpec({
      id: newContainerId(),
      image: 'busybox',
      config: { platform: { os: 'linux', architecture: process.arch }, config: {}, diffIDs: [], history: [] },
      rootfs: [{ type: 'bind', source: rootfs, options: [] }],
      options,
    });

  /** A child of the launcher's tests, as the user, in the user's namespace. */
  function asUser(
    child: string,
    container: ContainerSpec,
    ...args: string[]
  ): { status: number | null; stdout: string; stderr: string } {
    const { prefix, node, support } = forAllUsers;
    const programs = ['rootless-child.ts', child].map((name) => join(support, name));
    const [first, ...words] = [...prefix, 'unshare', '-m', 'sh', '-c', WITH_USER, 'sh', node, '--no-warnings'] as const;
    return spawnSync(first, [...words, ...programs, ...args], {
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        FILES: directory.path,
        HOME: directory.path,
        LAUNCH_ROOT: join(directory.path, 'store'),
        LAUNCH_SPEC: JSON.stringify(container),
      },
    });
  }
  const sh = (script: string, options: RunOptions = {}): string => {
    const { status, stdout, stderr } = asUser('launch-child.ts', spec({ ...options, command: ['sh', '-c', script] }));
    assert.equal(status, 0, stderr);
    return stdout;
  };

  test('is root in the container, with ids of their own', (t) => {
    if (!requires(t, ...needed)) return;
    const seen = sh(
      'id -u; cat /proc/self/uid_map; grep -E "CapEff|NoNewPrivs|Seccomp:" /proc/self/status; hostname; echo $$',
      {
        hostname: 'mine',
      },
    );
    assert.match(seen, new RegExp(`^0\\n +0 +${UID} +1\\n +1 +${SUBORDINATE} +65536\\n`));
    assert.match(seen, /CapEff:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2\nmine\n1\n$/);
  });

  test('owns what root writes there, the subordinate ids what others do', (t) => {
    if (!requires(t, ...needed)) return;
    assert.equal(
      sh('touch /tmp/own /tmp/other; chown 1000:50 /tmp/other; stat -c %u:%g /tmp/own /tmp/other'),
      '0:0\n1000:50\n',
    );
    const owner = (name: string): number[] => [
      lstatSync(join(rootfs, 'tmp', name)).uid,
      lstatSync(join(rootfs, 'tmp', name)).gid,
    ];
    assert.deepEqual(
      [owner('own'), owner('other')],
      [
        [UID, UID],
        [SUBORDINATE + 999, SUBORDINATE + 49],
      ],
    );
    assert.equal(sh('id -un', { user: 'app' }), 'app\n');
  });

  test('has devices, /proc, /sys and a loopback, but makes no device and changes no clock', (t) => {
    if (!requires(t, ...needed)) return;
    const seen = sh(
      'echo x > /dev/null && head -c 2 /dev/urandom | wc -c; ls /sys/class/net; ping -c1 -W1 127.0.0.1 >/dev/null && echo up; mknod /tmp/d c 1 3 2>/dev/null || echo refused',
    );
    assert.equal(seen, '2\nlo\nup\nrefused\n');
  });

  test('is told which limits cannot be enforced', (t) => {
    if (!requires(t, ...needed)) return;
    const { status, stderr } = asUser('launch-child.ts', spec({ command: ['true'], memory: '64m' }));
    assert.notEqual(status, 0);
    assert.match(stderr, /--memory cannot be enforced/);
  });

  test('runs a container in the background, and comes back to it with the next command', (t) => {
    if (!requires(t, ...needed)) return;
    const container = spec({ command: ['sleep', '60'], user: 'app' });
    const step = (...args: string[]): unknown => {
      const { status, stdout, stderr } = asUser('detached-child.ts', container, ...args);
      assert.equal(status, 0, stderr);
      return JSON.parse(stdout);
    };
    assert.equal((step('start') as { status: string }).status, 'running');
    try {
      const { output, exitCode } = step('exec', 'sh', '-c', 'id -un; ps | grep -c "[s]leep 60"') as Record<
        string,
        unknown
      >;
      assert.deepEqual([output, exitCode], ['app\n1\n', 0]);
    } finally {
      assert.deepEqual(step('end'), { left: false });
    }
  });

  test('without subordinate ids is told what to change', (t) => {
    if (!requires(t, ...needed)) return;
    writeFileSync(join(directory.path, 'subuid'), '');
    const { status, stderr } = asUser('launch-child.ts', spec({ command: ['true'] }));
    assert.equal(status, 99);
    assert.match(stderr, /UNSUPPORTED: \/etc\/subuid gives no subordinate ids to tsltest\nas root: usermod/);
  });
});
