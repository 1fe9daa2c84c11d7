/**
 * cgroup version 2 on a real hierarchy, where one is mounted; beside version 1 it may have no controllers, but
 * placement, device programs, freezing and killing are its own. Limits as data are unit tests.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerCgroups } from '../../../src/launch/cgroups/cgroups.ts';
import { createCgroups } from '../../../src/launch/cgroups/create.ts';
import { deviceProgram, encodeEbpf } from '../../../src/launch/cgroups/device-program.ts';
import { processesIn } from '../../../src/launch/cgroups/files.ts';
import { findHierarchies } from '../../../src/launch/cgroups/hierarchies.ts';
import { DEFAULT_DEVICE_RULES } from '../../../src/launch/defaults.ts';
import type { DeviceRule, Resources } from '../../../src/launch/index.ts';
import { loadDeviceProgram } from '../../../src/sys/bpf.ts';
import { makedev, mknod, S_IFBLK } from '../../../src/sys/files.ts';
import { program, type Requirement, requires, root } from '../../support/requires.ts';

const v2 = findHierarchies().filter(({ version }) => version === 2);
const hierarchy: Requirement = () => (v2.length > 0 ? undefined : 'needs a mounted cgroup2');
const needed = [root, hierarchy, program('busybox')];

describe('cgroup version 2', () => {
  let made: ContainerCgroups | undefined;
  let directory: string;
  beforeEach(() => {
    // Not in a tmpfs that is mounted nodev.
    directory = mkdtempSync('/var/tmp/tslayer-v2-');
  });
  afterEach(async () => {
    await made?.killAll();
    await made?.remove();
    made = undefined;
    rmSync(directory, { recursive: true, force: true });
  });

  const create = async (resources: Resources): Promise<ContainerCgroups> => {
    made = await createCgroups(`/tslayer/test-${process.pid}`, resources, v2);
    return made;
  };

  /** Runs a shell script in the cgroup from its first instruction on: it waits for a line until it is in. */
  async function inCgroup(cgroups: ContainerCgroups, script: string): Promise<string> {
    const child = spawn('busybox', ['sh', '-c', `read -r _; ${script}`], { stdio: ['pipe', 'pipe', 'inherit'] });
    for (const { directory: path } of cgroups.places) {
      const file = openSync(join(path, 'cgroup.procs'), 'w');
      writeSync(file, String(child.pid));
      closeSync(file);
    }
    child.stdin.end('\n');
    let output = '';
    for await (const chunk of child.stdout) output += String(chunk);
    return output;
  }

  test('the verifier takes every device program', (t) => {
    if (!requires(t, root)) return;
    const rules: DeviceRule[][] = [
      [...DEFAULT_DEVICE_RULES],
      [{ allow: true, type: 'a', access: 'rwm' }],
      [],
      [
        { allow: true, type: 'a', access: 'rwm' },
        { allow: false, type: 'b', major: 8, access: 'w' },
      ],
      Array.from({ length: 200 }, (_, minor) => ({ allow: true, type: 'c', major: 10, minor, access: 'r' })),
    ];
    for (const each of rules) closeSync(loadDeviceProgram(encodeEbpf(deviceProgram(each))));
  });

  test('the verifier’s complaint is the error', (t) => {
    if (!requires(t, root)) return;
    const endless = encodeEbpf([{ code: 0x05, dst: 0, src: 0, offset: -1, immediate: 0 }]);
    assert.throws(() => loadDeviceProgram(endless), /bpf PROG_LOAD: .*\(/);
  });

  test('devices deny what is not listed, and allow what is', async (t) => {
    if (!requires(t, ...needed)) return;
    mknod(join(directory, 'loop'), S_IFBLK | 0o600, makedev(7, 0));
    const probe = `head -c 1 ${directory}/loop >/dev/null 2>&1 && echo read || echo denied; echo x > /dev/null && echo null
      busybox mknod ${directory}/made c 1 1 && echo made; cat ${directory}/made 2>/dev/null || echo closed`;
    const denied = await inCgroup(await create({ devices: DEFAULT_DEVICE_RULES }), probe);
    assert.equal(denied, 'denied\nnull\nmade\nclosed\n');
    await made?.remove();
    rmSync(join(directory, 'made'));
    const allow: DeviceRule = { allow: true, type: 'b', major: 7, minor: 0, access: 'r' };
    const allowed = await inCgroup(await create({ devices: [...DEFAULT_DEVICE_RULES, allow] }), probe);
    assert.equal(allowed, 'read\nnull\nmade\nclosed\n');
  });

  test('freezing stops every process, thawing lets them go on', async (t) => {
    if (!requires(t, ...needed)) return;
    const cgroups = await create({ devices: [] });
    const file = join(directory, 'count');
    const running = inCgroup(
      cgroups,
      `i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo $i > ${file}; busybox sleep 0.01; done`,
    );
    while (!existsSync(file)) await delay(10);
    await cgroups.freeze(true);
    assert.equal(cgroups.isFrozen(), true);
    const [before] = [read(file), await delay(200)];
    assert.equal(read(file), before);
    await cgroups.freeze(false);
    assert.equal(cgroups.isFrozen(), false);
    for (let i = 0; i < 200 && read(file) === before; i++) await delay(10);
    assert.notEqual(read(file), before);
    await cgroups.killAll();
    await running;
  });

  test('killing leaves nobody, however fast they fork', async (t) => {
    if (!requires(t, ...needed)) return;
    const cgroups = await create({ devices: [] });
    const running = inCgroup(
      cgroups,
      'f() { busybox sleep 60 & busybox sleep 60 & }; while true; do f; busybox sleep 0.01; done',
    );
    while (cgroups.directories.flatMap(processesIn).length < 4) await delay(10);
    await cgroups.killAll();
    assert.deepEqual(cgroups.directories.flatMap(processesIn), []);
    await running;
  });

  test('a limit whose controller is not there is an error, and nothing is left', async (t) => {
    if (!requires(t, ...needed)) return;
    if (v2.some(({ subsystems }) => subsystems.includes('memory'))) return t.skip('needs a hierarchy without memory');
    await assert.rejects(create({ devices: [], memory: { limit: 1 << 24 } }), {
      code: 'UNSUPPORTED',
      message: /--memory/,
    });
    assert.ok(v2.every(({ mountpoint }) => !existsSync(join(mountpoint, `tslayer/test-${process.pid}`))));
  });
});

function read(path: string): string {
  const buffer = Buffer.alloc(16);
  const fd = openSync(path, 'r');
  try {
    return buffer.toString('utf8', 0, readSync(fd, buffer));
  } finally {
    closeSync(fd);
  }
}
