import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildSpec } from '../../../src/launch/build-spec.ts';
import { localHost } from '../../../src/launch/host.ts';
import { parseMountOptions } from '../../../src/launch/init/mount-options.ts';
import { toOciConfig } from '../../../src/launch/oci-config.ts';
import { reaperProgram } from '../../../src/launch/reaper.ts';
import type { RunOptions } from '../../../src/launch/run-options.ts';
import {
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_RDONLY,
  MS_NOEXEC,
  MS_RDONLY,
  MS_REC,
  MS_SLAVE,
} from '../../../src/sys/mount-api.ts';

const places = { rootfs: '/b/rootfs', files: '/b/files' };
const root = { uid: 0, gid: 0, groups: [0], home: '/root' };
const app = { uid: 1000, gid: 1000, groups: [1000, 10], home: '/home/app' };

// biome-ignore lint/suspicious/noExplicitAny: the specification's JSON, looked at from outside
function config(options: RunOptions, user = root): any {
  const spec = buildSpec({
    id: '0123456789ab',
    image: 'alpine',
    config: { platform: { os: 'linux', architecture: 'amd64' }, config: { Cmd: ['sh'] }, diffIDs: [], history: [] },
    rootfs: [],
    options,
    host: localHost,
  });
  return JSON.parse(JSON.stringify(toOciConfig(spec, user, places)));
}

describe('an OCI runtime config', () => {
  test('gives root its capabilities, and another user only those asked for', () => {
    const forRoot = config({ capAdd: ['NET_ADMIN'] }).process.capabilities;
    assert.deepEqual(forRoot.effective, forRoot.bounding);
    assert.deepEqual(forRoot.ambient, []);
    const forApp = config({ capAdd: ['NET_ADMIN'] }, app).process.capabilities;
    assert.deepEqual(forApp.ambient, ['CAP_NET_ADMIN']);
    assert.deepEqual(forApp.bounding, forRoot.bounding);
  });

  test('binds the generated files, and says where everything lies', () => {
    const { mounts, root: rootfs, linux } = config({ readOnly: true });
    assert.deepEqual(rootfs, { path: '/b/rootfs', readonly: true });
    assert.equal(linux.cgroupsPath, '/tslayer/0123456789ab');
    const hosts = mounts.find((mount: { destination: string }) => mount.destination === '/etc/hosts');
    assert.deepEqual([hosts.type, hosts.source], ['bind', '/b/files/hosts']);
  });

  test('writes no limit as 2^64 - 1, which is more than a number holds', () => {
    const spec = { ulimit: ['nofile=10:-1'] };
    const text = JSON.stringify(config(spec).process.rlimits);
    assert.match(text, /RLIMIT_NOFILE/);
    const raw = toOciConfig(
      buildSpec({
        id: '0123456789ab',
        image: 'a',
        config: { platform: { os: 'linux', architecture: 'amd64' }, config: { Cmd: ['sh'] }, diffIDs: [], history: [] },
        rootfs: [],
        options: spec,
      }),
      root,
      places,
    );
    assert.match(JSON.stringify(raw), /"hard":18446744073709551615\b/);
  });

  test('carries no user namespace and no shifted volumes: they would not be what they are here', () => {
    assert.throws(() => config({ userns: '100000:100000:65536' }), { code: 'UNSUPPORTED' });
    assert.throws(() => config({ volumes: ['/tmp:/b:idmap'] }), { code: 'UNSUPPORTED' });
  });

  test('names the architectures whose calls the filter knows', () => {
    assert.ok(config({}).linux.seccomp.architectures.length === 2);
    assert.equal(config({ privileged: true }).linux.seccomp, undefined);
  });
});

describe('mount options', () => {
  test('are flags, attributes, propagation, and what the file system reads', () => {
    assert.deepEqual(parseMountOptions(['rbind', 'ro', 'noexec', 'rslave', 'mode=755', 'size=1k']), {
      flags: MS_RDONLY | MS_NOEXEC,
      attributes: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC,
      recursive: true,
      propagation: MS_SLAVE | MS_REC,
      data: 'mode=755,size=1k',
    });
  });
});

describe('the init of 350 bytes', () => {
  for (const [arch, machine] of [
    ['x64', 62],
    ['arm64', 183],
  ] as const) {
    test(`is an executable for ${arch} whose entry lies in its one segment`, () => {
      const elf = reaperProgram(arch);
      assert.equal(elf.readUInt32BE(0), 0x7f454c46);
      assert.equal(elf.readUInt16LE(18), machine);
      const [entry, base, size] = [24, 80, 96].map((at) => Number(elf.readBigUInt64LE(at)));
      assert.ok(entry! > base! && entry! < base! + size!);
      assert.equal(size, elf.length);
      assert.ok(elf.length < 512);
    });
  }

  test('is not made for others', () => {
    assert.throws(() => reaperProgram('mips'), /no program for mips/);
  });
});
