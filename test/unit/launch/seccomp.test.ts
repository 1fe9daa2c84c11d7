import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ALL_CAPABILITIES, type CapabilityName, DEFAULT_CAPABILITIES } from '../../../src/launch/capabilities.ts';
import { encode } from '../../../src/launch/seccomp/bpf.ts';
import { chooseProfile, parseProfile } from '../../../src/launch/seccomp/choose.ts';
import { compile, compileProfile } from '../../../src/launch/seccomp/compile.ts';
import { DEFAULT_FILTERS } from '../../../src/launch/seccomp/default-filters.ts';
import { defaultProfile } from '../../../src/launch/seccomp/default-profile.ts';
import { filterFor } from '../../../src/launch/seccomp/filter.ts';
import type { SeccompArgument, SeccompOperator, SeccompProfile } from '../../../src/launch/seccomp/profile.ts';
import { type Abi, abisOf } from '../../../src/launch/seccomp/syscalls.ts';
import { runBpf } from '../../support/bpf-machine.ts';

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const KILL_PROCESS = 0x80000000;

const [x64, i386] = abisOf('x64') as [Abi, Abi];

/** struct seccomp_data */
function call(audit: number, number: number, args: readonly bigint[] = []): Uint8Array {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(audit, 4);
  for (const [i, arg] of args.entries()) data.writeBigUInt64LE(BigInt.asUintN(64, arg), 16 + i * 8);
  return data;
}

function decide(profile: SeccompProfile, abi: Abi, name: string, ...args: bigint[]): number {
  const number = abi.numbers.get(name);
  assert.ok(number !== undefined, name);
  return runBpf(compile(profile, 'x64'), call(abi.audit, number, args)).value;
}

describe('the default seccomp profile', () => {
  const profile = defaultProfile(DEFAULT_CAPABILITIES);
  const decided = (name: string, ...args: bigint[]): number => decide(profile, x64, name, ...args);

  test('lets ordinary programs work', () => {
    for (const name of ['read', 'openat', 'mmap', 'execve', 'futex', 'epoll_wait', 'clock_gettime', 'ptrace']) {
      assert.equal(decided(name), ALLOW, name);
    }
  });

  test('refuses the doors to the kernel', () => {
    const refused = [
      'add_key',
      'keyctl',
      'request_key',
      'bpf',
      'perf_event_open',
      'userfaultfd',
      'io_uring_setup',
      'mount',
      'umount2',
      'pivot_root',
      'fsopen',
      'move_mount',
      'open_tree',
      'setns',
      'unshare',
      'kexec_load',
      'init_module',
      'finit_module',
      'delete_module',
      'reboot',
      'swapon',
      'open_by_handle_at',
      'settimeofday',
      'iopl',
      'quotactl',
      'acct',
      'syslog',
    ];
    for (const name of refused) assert.equal(decided(name), EPERM, name);
  });

  test('lets threads be made but no namespaces, by clone flags', () => {
    assert.equal(decided('clone', 0x3d0f00n), ALLOW);
    for (const flag of [0x20000n, 0x2000000n, 0x4000000n, 0x8000000n, 0x10000000n, 0x20000000n, 0x40000000n]) {
      assert.equal(decided('clone', flag | 17n), EPERM, flag.toString(16));
    }
  });

  test('answers ENOSYS to clone3, whose flags it cannot see, so that libc falls back to clone', () => {
    assert.equal(decided('clone3'), ENOSYS);
  });

  test('answers ENOSYS to calls newer than it knows, and EPERM to old ones that it refuses', () => {
    const known = Math.max(...x64.numbers.values());
    const decideNumber = (number: number): number => runBpf(compile(profile, 'x64'), call(x64.audit, number)).value;
    assert.equal(decideNumber(known + 1), ENOSYS);
    assert.equal(decideNumber(0x3fffffff), ENOSYS);
  });

  test('refuses the x32 numbers, under which everything could be called again', () => {
    const number = 0x40000000 + x64.numbers.get('read')!;
    assert.equal(runBpf(compile(profile, 'x64'), call(x64.audit, number)).value, EPERM);
  });

  test('knows the 32-bit numbers of the same machine', () => {
    assert.equal(decide(profile, i386, 'read'), ALLOW);
    assert.equal(decide(profile, i386, 'mount'), EPERM);
    assert.equal(decide(profile, i386, 'clone', 0x10000000n), EPERM);
  });

  test('kills what speaks an unknown convention', () => {
    assert.equal(runBpf(compile(profile, 'x64'), call(0x12345678, 0)).value, KILL_PROCESS);
  });

  test('allows sockets but not to the hypervisor, and only harmless personalities', () => {
    assert.equal(decided('socket', 2n), ALLOW);
    assert.equal(decided('socket', 40n), EPERM);
    assert.equal(decided('personality', 0xffffffffn), ALLOW);
    assert.equal(decided('personality', 0x40000n), EPERM); // ADDR_NO_RANDOMIZE
  });

  test('opens calls together with the capability that guards them', () => {
    const guarded: [CapabilityName, string][] = [
      ['SYS_ADMIN', 'mount'],
      ['SYS_MODULE', 'init_module'],
      ['SYS_TIME', 'clock_settime'],
      ['SYS_BOOT', 'reboot'],
      ['DAC_READ_SEARCH', 'open_by_handle_at'],
      ['SYSLOG', 'syslog'],
    ];
    for (const [capability, name] of guarded) {
      assert.equal(decide(defaultProfile([]), x64, name), EPERM, name);
      assert.equal(decide(defaultProfile([capability]), x64, name), ALLOW, name);
    }
    assert.equal(decide(defaultProfile(ALL_CAPABILITIES), x64, 'clone', 0x10000000n), ALLOW);
  });

  test('with other capabilities is compiled anew', async () => {
    const [usual, more] = [DEFAULT_CAPABILITIES, ALL_CAPABILITIES];
    assert.equal((await filterFor('default', usual)).toString('base64'), DEFAULT_FILTERS[process.arch]);
    assert.deepEqual(await filterFor('default', more), compileProfile(defaultProfile(more)));
  });

  test('names only calls that some architecture has', () => {
    const known = ['x64', 'arm64'].flatMap(abisOf).flatMap(({ numbers }) => [...numbers.keys()]);
    const unknown = defaultProfile(ALL_CAPABILITIES).syscalls.flatMap(({ names }) => names);
    assert.deepEqual(
      unknown.filter((name) => !known.includes(name)),
      [],
    );
  });

  for (const arch of ['x64', 'arm64']) {
    test(`on ${arch} is kept compiled as what it is`, async () => {
      assert.equal(DEFAULT_FILTERS[arch], compileProfile(profile, arch).toString('base64'));
    });

    test(`on ${arch}, every call is decided in at most twenty steps`, () => {
      const program = compile(profile, arch);
      assert.ok(program.length < 1000, `${program.length} instructions`);
      const allowed = new Set(profile.syscalls.filter(({ args }) => !args).flatMap(({ names }) => names));
      for (const abi of abisOf(arch)) {
        for (const [name, number] of abi.numbers) {
          const { value, steps } = runBpf(program, call(abi.audit, number));
          assert.ok(steps <= 20, `${name} takes ${steps}`);
          if (!['clone', 'clone3', 'socket', 'personality'].includes(name)) {
            assert.equal(value === ALLOW, allowed.has(name), name);
          }
        }
      }
    });
  }
});

describe('seccomp conditions', () => {
  const numbers = fc.bigInt({ min: 0n, max: 2n ** 53n - 1n });
  const holds: Record<SeccompOperator, (a: bigint, value: bigint, two: bigint) => boolean> = {
    SCMP_CMP_EQ: (a, value) => a === value,
    SCMP_CMP_NE: (a, value) => a !== value,
    SCMP_CMP_LT: (a, value) => a < value,
    SCMP_CMP_LE: (a, value) => a <= value,
    SCMP_CMP_GT: (a, value) => a > value,
    SCMP_CMP_GE: (a, value) => a >= value,
    SCMP_CMP_MASKED_EQ: (a, value, two) => (a & value) === two,
  };

  test('compare 64 bits as the operator says', () => {
    const operators = fc.constantFrom(...(Object.keys(holds) as SeccompOperator[]));
    fc.assert(
      fc.property(operators, numbers, numbers, fc.integer({ min: 0, max: 5 }), fc.nat(3), (op, a, b, index, near) => {
        // Neighbours and halves that agree are where 64 bits out of 32 go wrong.
        const value = [b, a, a + 1n, (a & ~0xffffffffn) | (b & 0xffffffffn)][near]!;
        const two = op === 'SCMP_CMP_MASKED_EQ' ? a & value : 0n;
        const argument: SeccompArgument = { index, op, value: Number(value), valueTwo: Number(two) };
        const profile: SeccompProfile = {
          defaultAction: 'SCMP_ACT_ERRNO',
          syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW', args: [argument] }],
        };
        const args = Array.from({ length: 6 }, (_, i) => (i === index ? a : ~a));
        const expected = holds[op](a, value, two) ? ALLOW : EPERM;
        assert.equal(decide(profile, x64, 'read', ...args), expected);
      }),
    );
  });

  test('of one rule must all hold, of several rules one', () => {
    const equals = (index: number, value: number): SeccompArgument => ({ index, value, op: 'SCMP_CMP_EQ' });
    const profile: SeccompProfile = {
      defaultAction: 'SCMP_ACT_ERRNO',
      syscalls: [
        { names: ['ioctl'], action: 'SCMP_ACT_ALLOW', args: [equals(0, 1), equals(1, 2)] },
        { names: ['ioctl'], action: 'SCMP_ACT_ALLOW', args: [equals(0, 7)] },
      ],
    };
    const decided = (a: bigint, b: bigint): number => decide(profile, x64, 'ioctl', a, b);
    assert.deepEqual([decided(1n, 2n), decided(1n, 3n), decided(7n, 9n)], [ALLOW, EPERM, ALLOW]);
  });

  test('a rule without conditions stands behind those with them', () => {
    const profile: SeccompProfile = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [
        { names: ['socket'], action: 'SCMP_ACT_ALLOW' },
        {
          names: ['socket'],
          action: 'SCMP_ACT_ERRNO',
          errnoRet: 22,
          args: [{ index: 0, value: 16, op: 'SCMP_CMP_EQ' }],
        },
      ],
    };
    assert.equal(decide(profile, x64, 'socket', 16n), 0x00050016);
    assert.equal(decide(profile, x64, 'socket', 2n), ALLOW);
  });
});

describe('seccomp profiles', () => {
  const noFiles = (): string => assert.fail('no file is read');

  test('unconfined is no filter', () => {
    assert.equal(chooseProfile('unconfined', [], noFiles), undefined);
    assert.equal(chooseProfile('default', [], noFiles), 'default');
  });

  test('docker’s files are read, their conditions resolved for the capabilities and the machine', () => {
    const text = JSON.stringify({
      defaultAction: 'SCMP_ACT_ERRNO',
      syscalls: [
        { names: ['mount'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN'] } },
        { names: ['clone'], action: 'SCMP_ACT_ALLOW', excludes: { caps: ['CAP_SYS_ADMIN'] } },
        { names: ['cacheflush'], action: 'SCMP_ACT_ALLOW', includes: { arches: ['arm64'] } },
        { name: 'read', action: 'SCMP_ACT_ALLOW', args: null },
      ],
    });
    const names = (caps: readonly CapabilityName[], arch: string): string[] =>
      parseProfile(text, 'p.json', caps, arch).syscalls.flatMap((rule) => rule.names);
    assert.deepEqual(names(['SYS_ADMIN'], 'x64'), ['mount', 'read']);
    assert.deepEqual(names([], 'arm64'), ['clone', 'cacheflush', 'read']);
  });

  test('a malformed file is an error that names the place', () => {
    const text = JSON.stringify({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ names: ['x'], action: 'ALLOW' }] });
    assert.throws(() => parseProfile(text, 'p.json', []), {
      code: 'MALFORMED',
      message: /p\.json.*syscalls\.0\.action/,
    });
  });

  test('podman’s profile compiles, where it is installed', (t) => {
    const path = '/usr/share/containers/seccomp.json';
    if (!existsSync(path)) return t.skip('podman is not installed');
    const profile = parseProfile(readFileSync(path, 'utf8'), path, DEFAULT_CAPABILITIES);
    assert.equal(decide(profile, x64, 'read'), ALLOW);
    assert.equal(decide(profile, x64, 'kexec_load'), EPERM);
  });

  test('more rules than the kernel takes are refused', () => {
    const args = Array.from({ length: 6 }, (_, index): SeccompArgument => ({ index, value: 1, op: 'SCMP_CMP_EQ' }));
    const rule = { names: ['read'], action: 'SCMP_ACT_ALLOW', args } as const;
    const profile: SeccompProfile = { defaultAction: 'SCMP_ACT_ERRNO', syscalls: Array(200).fill(rule) };
    assert.throws(() => compile(profile, 'x64'), { code: 'LIMIT_EXCEEDED' });
  });

  test('instructions are eight bytes, little endian', () => {
    assert.equal(encode([{ code: 0x15, jt: 1, jf: 2, k: 0xc000003e }]).toString('hex'), '150001023e0000c0');
  });
});
