/** net_cls and perf_event, which few machines mount: in a mount namespace of the test's own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { LaunchKit } from '../../support/launch-kit.ts';
import { program, type Requirement, requires, root } from '../../support/requires.ts';

/** In the kernel, and in no hierarchy: mounting it takes it from nobody. */
const unused =
  (subsystem: string): Requirement =>
  () => {
    const line = readFileSync('/proc/cgroups', 'utf8')
      .split('\n')
      .find((each) => each.startsWith(`${subsystem}\t`));
    if (line === undefined) return `needs a kernel with the cgroup subsystem ${subsystem}`;
    return line.split('\t')[1] === '0' ? undefined : `needs the cgroup subsystem ${subsystem} unmounted`;
  };

const CHILD = join(import.meta.dirname, '../../support/launch-child.ts');

describe('rare cgroup subsystems', () => {
  test('net_cls carries the class, perf_event the container', async (t) => {
    if (!requires(t, root, program('busybox'), program('unshare'), unused('net_cls'), unused('perf_event'))) return;
    await using kit = new LaunchKit();
    const out = join(kit.directory('out'), 'seen');
    writeFileSync(out, '');
    const spec = kit.spec({
      netClassId: '0x100001',
      volumes: [`${out}:/out`],
      command: [
        'sh',
        '-c',
        'cat /sys/fs/cgroup/net_cls/net_cls.classid > /out; grep -E "net_cls|perf_event" /proc/self/cgroup >> /out; ls /sys/fs/cgroup >> /out',
      ],
    });
    const [netCls] = ['net_cls', 'perf_event'].map((name) => kit.directory(name));
    // A hierarchy goes with its last mount, unless a cgroup in it is still being buried: then mount it once more.
    const script = `
      for s in net_cls perf_event; do mount -t cgroup -o $s $s $DIR/$s || exit 9; done
      "$@"; status=$?
      for s in net_cls perf_event; do
        umount $DIR/$s
        for try in 1 2 3 4 5 6 7 8 9 10; do
          grep -q "^$s\t0\t" /proc/cgroups && break
          sleep 0.3; mount -t cgroup -o $s $s $DIR/$s && umount $DIR/$s
        done
      done
      exit $status`;
    mkdirSync(kit.root, { recursive: true });
    execFileSync('unshare', ['-m', 'sh', '-c', script, 'sh', process.execPath, CHILD], {
      env: { ...process.env, LAUNCH_ROOT: kit.root, LAUNCH_SPEC: JSON.stringify(spec), DIR: dirname(netCls!) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const seen = readFileSync(out, 'utf8');
    assert.match(seen, /^1048577\n/);
    assert.match(seen, /:net_cls:\/\n/);
    assert.match(seen, /:perf_event:\/\n/);
    for (const name of ['net_cls', 'perf_event']) assert.match(seen, new RegExp(`^${name}$`, 'm'));
    assert.equal(unused('net_cls')(), undefined);
  });
});
