import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildSpec, newContainerId } from '../../../src/launch/build-spec.ts';
import type { SpecHost } from '../../../src/launch/host.ts';
import type { RunOptions } from '../../../src/launch/run-options.ts';
import type { ContainerSpec } from '../../../src/launch/spec.ts';
import type { RuntimeConfig } from '../../../src/oci/config.ts';

const host: SpecHost = {
  hostname: () => 'host',
  hostnameIn: (path) => `of ${path}`,
  readText: (path) => assert.fail(`reads ${path}`),
  readHostFile: () => undefined,
  statDevice: (path) => assert.fail(`looks at ${path}`),
  allDevices: () => [{ path: '/dev/kvm', type: 'c', major: 10, minor: 232, mode: 0o600, uid: 0, gid: 0 }],
  automaticRanges: () => ({ uid: 100_000, gid: 100_000, size: 65_536 }),
  inUserNamespace: () => false,
  requireSource: () => undefined,
  lastGroup: () => 2 ** 32 - 2,
};

function build(options: RunOptions, config: RuntimeConfig = { Cmd: ['/bin/sh'] }): ContainerSpec {
  const platform = { os: 'linux', architecture: 'amd64' };
  return buildSpec({
    id: '0123456789ab',
    image: 'alpine',
    config: { platform, config, diffIDs: [], history: [] },
    rootfs: [],
    options,
    host,
  });
}

const INVALID = { code: 'INVALID_ARGUMENT' };

describe('a container’s spec', () => {
  test('is plain JSON', () => {
    const spec = build({ memory: '64m', volumes: ['/a:/b'], init: true });
    assert.deepEqual(JSON.parse(JSON.stringify(spec)), spec);
  });

  test('runs entrypoint and command by docker’s rules', () => {
    const image = { Entrypoint: ['/e'], Cmd: ['c', 'd'] };
    const args = (options: RunOptions): readonly string[] => build(options, image).process.args;
    assert.deepEqual(args({}), ['/e', 'c', 'd']);
    assert.deepEqual(args({ command: ['x'] }), ['/e', 'x']);
    assert.deepEqual(args({ entrypoint: '/o' }), ['/o']);
    assert.deepEqual(args({ entrypoint: '', command: ['x'] }), ['x']);
    assert.throws(() => build({}, {}), INVALID);
  });

  test('takes environment, user, directory and stop signal from the image, and the caller’s first', () => {
    const image = { Cmd: ['x'], Env: ['A=1', 'PATH=/p', 'broken'], User: 'app', WorkingDir: 'w', StopSignal: 'SIGINT' };
    const own = build({}, image);
    assert.deepEqual(own.process.env, ['PATH=/p', 'HOSTNAME=0123456789ab', 'A=1']);
    assert.deepEqual([own.process.user, own.process.cwd, own.stop.signal], ['app', '/w', 'SIGINT']);
    const asked = build({ env: ['A=2'], user: '1:2', workdir: '/z', stopSignal: 'KILL' }, image);
    assert.deepEqual(asked.process.env.at(-1), 'A=2');
    assert.deepEqual([asked.process.user, asked.process.cwd, asked.stop.signal], ['1:2', '/z', 'KILL']);
  });

  test('is safe unless told otherwise', () => {
    const { process: program, namespaces, maskedPaths, resources } = build({});
    assert.deepEqual(namespaces.map(({ type }) => type).sort(), ['cgroup', 'ipc', 'mount', 'network', 'pid', 'uts']);
    assert.equal(program.noNewPrivileges, true);
    assert.equal(program.seccomp, 'default');
    assert.equal(program.capabilities.length, 14);
    assert.ok(maskedPaths.includes('/proc/kcore'));
    assert.deepEqual(resources.devices[0], { allow: false, type: 'a', access: 'rwm' });
  });

  test('is open where the container is privileged', () => {
    const spec = build({ privileged: true });
    assert.deepEqual([spec.maskedPaths, spec.readonlyPaths, spec.process.seccomp], [[], [], undefined]);
    assert.equal(spec.process.noNewPrivileges, false);
    assert.deepEqual(spec.resources.devices, [{ allow: true, type: 'a', access: 'rwm' }]);
    assert.ok(spec.devices.some(({ path }) => path === '/dev/kvm'));
    assert.ok(spec.mounts.every(({ destination, options }) => destination !== '/sys' || !options.includes('ro')));
  });

  test('puts volumes behind the system’s mounts, outer before inner', () => {
    const destinations = build({ volumes: ['/a:/data/x/y', '/b:/data'], tmpfs: ['/data/x'] }).mounts.map(
      ({ destination }) => destination,
    );
    assert.deepEqual(destinations.slice(-3), ['/data', '/data/x', '/data/x/y']);
    assert.ok(destinations.indexOf('/etc/hosts') < destinations.indexOf('/data'));
  });

  test('leaves to the host what is the host’s', () => {
    const spec = build({ network: 'host', ipc: 'host', uts: 'host', pid: 'host', cgroupns: 'host' });
    assert.deepEqual(
      spec.namespaces.map(({ type }) => type),
      ['mount'],
    );
    assert.equal(spec.hostname, 'host');
    assert.equal(spec.mounts.find(({ destination }) => destination === '/dev/shm')?.type, 'bind');
    assert.throws(() => build({ uts: 'host', hostname: 'mine' }), INVALID);
  });

  test('has the host name of the UTS namespace that it joins', () => {
    const spec = build({ uts: 'ns:/run/uts' });
    assert.equal(spec.hostname, 'of /run/uts');
    assert.ok(spec.process.env.includes('HOSTNAME=of /run/uts'));
    assert.equal(spec.files.hostname, 'of /run/uts\n');
    assert.throws(() => build({ uts: 'ns:/run/uts', hostname: 'mine' }), INVALID);
  });

  test('turns docker’s limits into the specification’s', () => {
    const { resources } = build({
      memory: '64m',
      memorySwap: '-1',
      cpus: '0.5',
      cpuShares: 512,
      pidsLimit: 10,
      blkioWeight: 100,
      deviceReadBps: ['8:0:1m'],
      netClassId: '0x10',
    });
    assert.deepEqual(resources.memory, { limit: 64 << 20, swap: -1 });
    assert.deepEqual(resources.cpu, { shares: 512, quota: 50_000, period: 100_000 });
    assert.deepEqual(resources.pids, { limit: 10 });
    assert.deepEqual(resources.blockIO, {
      weight: 100,
      throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 << 20 }],
    });
    assert.deepEqual(resources.network, { classID: 16 });
    assert.equal(build({ pidsLimit: -1 }).resources.pids, undefined);
  });

  test('refuses limits that contradict each other', () => {
    const wrong: RunOptions[] = [
      { memory: '1m' },
      { memorySwap: '1g' },
      { memory: '1g', memorySwap: '1m' },
      { cpus: '1', cpuQuota: 5 },
      { blkioWeight: 5 },
      { cgroupParent: '/a/../b' },
      { hostname: 'no spaces' },
      { hostname: `${'x'.repeat(64)}` },
      { runtime: 'kata' },
    ];
    for (const options of wrong) assert.throws(() => build(options), INVALID, JSON.stringify(options));
  });

  test('gives a capability that was asked for by name to users other than root, too', () => {
    const { process: program } = build({ capAdd: ['NET_ADMIN', 'ALL'], capDrop: ['CHOWN'] });
    assert.deepEqual(program.addedCapabilities, ['NET_ADMIN']);
    assert.ok(!program.capabilities.includes('CHOWN'));
  });

  test('ids are twelve hexadecimal digits', () => {
    assert.match(newContainerId(), /^[0-9a-f]{12}$/);
  });
});
