import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findRange } from '../../../src/launch/host.ts';
import { parseDevice, parseDeviceRate, parseDeviceRule } from '../../../src/launch/options/devices.ts';
import { mergeEnvironment } from '../../../src/launch/options/environment.ts';
import { generateFiles } from '../../../src/launch/options/files.ts';
import { formatRange, parseRange, RANGE_SIZE, takeRange } from '../../../src/launch/options/id-ranges.ts';
import { parseNamespace } from '../../../src/launch/options/namespaces.ts';
import { parseSecurityOptions, parseUserNamespace } from '../../../src/launch/options/security.ts';
import { parseBytes, parseCpus } from '../../../src/launch/options/sizes.ts';
import { chooseSysctls, sysctlPath } from '../../../src/launch/options/sysctls.ts';
import { parseUlimit } from '../../../src/launch/options/ulimits.ts';
import { parseTmpfs, parseVolume } from '../../../src/launch/options/volumes.ts';
import { signalNumber } from '../../../src/launch/signals.ts';
import type { NamespaceKind } from '../../../src/launch/spec.ts';

const INVALID = { code: 'INVALID_ARGUMENT' };

describe('run options', () => {
  test('sizes are powers of 1024, as docker counts', () => {
    const sizes = { '512m': 512 << 20, '1g': 1 << 30, '1.5k': 1536, '64kb': 65536, '4GiB': 4 * 2 ** 30, '100': 100 };
    for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseBytes(text, 'x'), bytes, text);
    for (const text of ['', 'm', '-1', '1x', '1e9', '99999999999g']) {
      assert.throws(() => parseBytes(text, 'x'), INVALID, text);
    }
  });

  test('processors are microseconds of a tenth of a second', () => {
    assert.deepEqual(parseCpus('1.5'), { quota: 150_000, period: 100_000 });
    for (const text of ['0', '-1', 'two', '']) assert.throws(() => parseCpus(text), INVALID, text);
  });

  test('volumes are bound with everything below them, privately', () => {
    assert.deepEqual(parseVolume('/src:/dst:ro'), {
      destination: '/dst',
      type: 'bind',
      source: '/src',
      options: ['rbind', 'rprivate', 'ro'],
    });
    assert.deepEqual(parseVolume('/a:/b/../c:rshared,Z').destination, '/c');
    for (const text of ['/only', 'named:/x', '/a:relative', '/a:/', '/a:/b:fast', '/a:/b:ro:x']) {
      assert.throws(() => parseVolume(text), INVALID, text);
    }
  });

  test('a tmpfs is nosuid, nodev and noexec unless exec is asked for', () => {
    assert.deepEqual(parseTmpfs('/run').options, ['nosuid', 'nodev', 'noexec']);
    assert.deepEqual(parseTmpfs('/run:size=64m,exec').options, ['nosuid', 'nodev', 'size=64m', 'exec']);
  });

  test('limits have a soft and a hard side', () => {
    assert.deepEqual(parseUlimit('nofile=1024:2048'), { type: 'nofile', soft: 1024, hard: 2048 });
    assert.deepEqual(parseUlimit('core=unlimited'), { type: 'core', soft: -1, hard: -1 });
    for (const text of ['nofile', 'files=3', 'nofile=2:1', 'nofile=-1:5', 'nofile=a']) {
      assert.throws(() => parseUlimit(text), INVALID, text);
    }
  });

  test('of variables the last one wins, where the first one stood', () => {
    assert.deepEqual(mergeEnvironment(['A=1', 'B=2'], ['A=3', 'C=']), ['A=3', 'B=2', 'C=']);
  });

  test('namespaces are new, the host’s, or joined by path', () => {
    assert.deepEqual(parseNamespace('network', undefined, ['none']), [{ type: 'network' }]);
    assert.deepEqual(parseNamespace('network', 'none', ['none']), [{ type: 'network' }]);
    assert.deepEqual(parseNamespace('ipc', 'host'), []);
    assert.deepEqual(parseNamespace('network', 'ns:/run/netns/a'), [{ type: 'network', path: '/run/netns/a' }]);
    for (const text of ['none', 'ns:relative', 'bridge'])
      assert.throws(() => parseNamespace('ipc', text), INVALID, text);
  });

  test('security starts from everything, or from nothing when privileged', () => {
    assert.deepEqual(parseSecurityOptions([], false), {
      seccomp: 'default',
      noNewPrivileges: true,
      systemPathsUnconfined: false,
    });
    assert.deepEqual(parseSecurityOptions(['seccomp=p.json', 'no-new-privileges:true'], true), {
      seccomp: 'p.json',
      noNewPrivileges: true,
      systemPathsUnconfined: true,
    });
    // Without labels, to ask for none is to ask for what is.
    assert.equal(parseSecurityOptions(['apparmor=unconfined', 'label=disable'], false).noNewPrivileges, true);
    for (const text of ['apparmor=x', 'seccomp', 'label=type:x', 'no-new-privileges=maybe', 'x']) {
      assert.throws(() => parseSecurityOptions([text], false), INVALID, text);
    }
  });

  test('a user namespace never maps root to root', () => {
    const owner = {
      automaticRanges: () => ({ uid: 100_000, gid: 200_000, size: 65_536 }),
      inUserNamespace: () => false,
    };
    assert.deepEqual(parseUserNamespace('auto', owner)?.gids, [{ containerID: 0, hostID: 200_000, size: 65_536 }]);
    assert.equal(
      parseUserNamespace('host', { ...owner, automaticRanges: () => assert.fail('no range is taken') }),
      undefined,
    );
    assert.deepEqual(parseUserNamespace('1000:1001:10', owner)?.uids[0]?.hostID, 1000);
    for (const text of ['0:0:10', '1000:1000:0', '5:4294967290:10', 'keep-id']) {
      assert.throws(() => parseUserNamespace(text, owner), INVALID, text);
    }
    const user = { ...owner, inUserNamespace: () => true };
    assert.throws(() => parseUserNamespace('1000:1000:10', user), { code: 'UNSUPPORTED' });
  });

  test('automatic ranges are apart while there are enough ids', () => {
    const all = { uid: 100_000, gid: 500_000, size: 3 * RANGE_SIZE + 10 };
    const first = takeRange(all, []);
    assert.deepEqual(first, { uid: 100_000, gid: 500_000, size: RANGE_SIZE });
    const second = takeRange(all, [first]);
    assert.deepEqual(second, { uid: 165_536, gid: 565_536, size: RANGE_SIZE });
    // By hand, and across two of ours; and one whose user ids alone are in the way.
    const across = { uid: 165_535, gid: 1_000_000, size: 2 };
    assert.equal(takeRange(all, [across]).uid, 231_072);
    const taken = [first, second, takeRange(all, [first, second])];
    assert.throws(() => takeRange(all, taken), { code: 'LIMIT_EXCEEDED', message: /all 3 ranges/ });
    assert.deepEqual(takeRange(all, [first, taken[2]!]), second, 'one that is free again');
    // Enough for one: shared.
    for (const size of [1000, RANGE_SIZE, 2 * RANGE_SIZE - 1]) {
      const one = { uid: 1, gid: 1, size };
      assert.deepEqual(takeRange(one, [takeRange(one, [])]), { ...one, size: Math.min(size, RANGE_SIZE) });
    }
    assert.deepEqual(parseRange(formatRange(second)), second);
  });

  test('subordinate ids are the user’s own line of the file', () => {
    const text = 'anna:100000:65536\nberta:165536:65536\n';
    assert.deepEqual(findRange(text, 'berta'), { first: 165_536, count: 65_536 });
    assert.equal(findRange(text, 'bert'), undefined);
  });

  const statDevice = (path: string) => {
    assert.equal(path, '/dev/fuse');
    return { type: 'c', major: 10, minor: 229, mode: 0o666, uid: 0, gid: 0 } as const;
  };

  test('devices may be renamed and restricted', () => {
    const { device, rule } = parseDevice('/dev/fuse:/dev/inside:r', statDevice);
    assert.deepEqual([device.path, device.source, device.minor], ['/dev/inside', '/dev/fuse', 229]);
    assert.deepEqual(rule, { allow: true, type: 'c', major: 10, minor: 229, access: 'r' });
    assert.equal(parseDevice('/dev/fuse:rw', statDevice).rule.access, 'rw');
    assert.deepEqual(parseDeviceRule('c 1:* rwm'), { allow: true, type: 'c', major: 1, access: 'rwm' });
    assert.throws(() => parseDeviceRule('c 1:3'), INVALID);
  });

  test('rates name a device by path or by numbers', () => {
    const rate = (text: string) => parseDeviceRate('--device-read-bps', text, statDevice, parseBytes);
    assert.deepEqual(rate('/dev/fuse:1mb'), { major: 10, minor: 229, rate: 1 << 20 });
    assert.deepEqual(rate('8:16:2k'), { major: 8, minor: 16, rate: 2048 });
    assert.throws(() => rate('1mb'), INVALID);
  });

  test('/etc/hosts knows the loopback and the container, or what the host knows', () => {
    const facts = {
      hostname: 'box',
      hostHosts: 'H\n',
      hostResolvConf: 'R\n',
      hostNetwork: false,
      addHost: [],
      dns: [],
    };
    const own = generateFiles({ ...facts, addHost: ['db:10.0.0.1'], dns: ['9.9.9.9'] });
    assert.match(own.hosts ?? '', /^127\.0\.0\.1\tlocalhost\n(?:.*\n)*127\.0\.0\.1\tbox\n10\.0\.0\.1\tdb\n$/);
    assert.equal(own.resolvConf, 'nameserver 9.9.9.9\n');
    assert.deepEqual(generateFiles({ ...facts, hostNetwork: true }), {
      hosts: 'H\n',
      hostname: 'box\n',
      resolvConf: 'R\n',
    });
    assert.throws(() => generateFiles({ ...facts, addHost: ['a\nb:1.1.1.1'] }), INVALID);
    assert.throws(() => generateFiles({ ...facts, dns: ['1.1.1.1\nx'] }), INVALID);
  });

  test('sysctls are those of the namespaces that are the container’s own', () => {
    const context = (...types: NamespaceKind[]) => ({
      namespaces: types.map((type) => ({ type })),
      userNamespace: undefined,
      lastGroup: () => 65_536,
    });
    const keys = (texts: string[], ...types: NamespaceKind[]): string[] =>
      chooseSysctls(texts, context(...types)).map(({ key, value }) => `${key}=${value}`);
    assert.deepEqual(keys([], 'network'), [
      'net.ipv4.ping_group_range=0 65536',
      'net.ipv4.ip_unprivileged_port_start=0',
    ]);
    assert.deepEqual(keys([], 'ipc'), []);
    assert.deepEqual(keys(['kernel.shmmax=1', 'fs.mqueue.msg_max=7', 'kernel.domainname=a b'], 'ipc', 'uts'), [
      'kernel.shmmax=1',
      'fs.mqueue.msg_max=7',
      'kernel.domainname=a b',
    ]);
    const [dotted] = keys(['net/ipv4/conf/eth0.1/forwarding=1'], 'network').slice(-1);
    assert.equal(dotted, 'net.ipv4.conf.eth0/1.forwarding=1');
    assert.equal(sysctlPath('net.ipv4.conf.eth0/1.forwarding'), 'net/ipv4/conf/eth0.1/forwarding');
    for (const text of ['kernel.panic=1', 'vm.swappiness=1', 'kernel.shmmax=1', 'net.', 'net.x', 'net..x=1']) {
      assert.throws(() => keys([text], 'network'), INVALID, text);
    }
    for (const text of ['net/../kernel/panic=1', '/net/x=1', 'net/./x=1', 'net.ipv4./kernel=1']) {
      assert.throws(() => keys([text], 'network', 'ipc', 'uts'), INVALID, text);
    }
    const joined = { ...context(), namespaces: [{ type: 'network' as const, path: '/run/netns/x' }] };
    assert.throws(() => chooseSysctls(['net.core.somaxconn=9'], joined), INVALID);
    assert.deepEqual(chooseSysctls([], joined), []);
  });

  test('signals are known by name, short name and number', () => {
    assert.deepEqual(['SIGTERM', 'term', '15', 'RTMIN+3'].map(signalNumber), [15, 15, 15, 37]);
    for (const text of ['', 'NOPE', '0', '65', '-1']) assert.throws(() => signalNumber(text), INVALID, text);
  });
});
