import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { deviceProgram, type EbpfInstruction, encodeEbpf } from '../../../src/launch/cgroups/device-program.ts';
import { resolveRules } from '../../../src/launch/cgroups/device-rules.ts';
import { DEFAULT_DEVICE_RULES } from '../../../src/launch/defaults.ts';
import type { DeviceRule } from '../../../src/launch/spec.ts';

interface Request {
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  readonly access: string;
}

const ACCESS = { m: 1, r: 2, w: 4 } as const;

const bits = (access: string): number => [...access].reduce((sum, letter) => sum | ACCESS[letter as 'm'], 0);

/** Only what the program uses of eBPF: the kernel's own verifier sees it in the integration tests. */
function ask(program: readonly EbpfInstruction[], { type, major, minor, access }: Request): boolean {
  const context = [(bits(access) << 16) | (type === 'b' ? 1 : 2), major, minor];
  const r: number[] = Array(11).fill(0);
  for (let pc = 0; ; ) {
    const { code, dst, src, offset, immediate } = program[pc++]!;
    if (code === 0x61) r[dst] = context[offset / 4]!;
    else if (code === 0xbf) r[dst] = r[src]!;
    else if (code === 0xb7) r[dst] = immediate;
    else if (code === 0x54) r[dst] = (r[dst]! & immediate) >>> 0;
    else if (code === 0x74) r[dst] = r[dst]! >>> immediate;
    else if (code === 0x55) pc += r[dst] === immediate ? 0 : offset;
    else if (code === 0x15) pc += r[dst] === immediate ? offset : 0;
    else if (code === 0x95) return r[0] === 1;
    else throw new Error(`instruction ${code}`);
  }
}

/** What the kernel's devices subsystem of version 1 answers: security/device_cgroup.c in words. */
function expected(rules: readonly DeviceRule[], request: Request): boolean {
  const { allowByDefault, exceptions } = resolveRules(rules);
  const fits = exceptions.filter(
    ({ type, major, minor }) =>
      type === request.type &&
      (major === undefined || major === request.major) &&
      (minor === undefined || minor === request.minor),
  );
  const letters = [...request.access];
  if (allowByDefault) return !fits.some(({ access }) => letters.some((letter) => access.includes(letter)));
  return fits.some(({ access }) => letters.every((letter) => access.includes(letter)));
}

const number = fc.constantFrom(1, 3, 5, 259);
const some = fc.constantFrom('r', 'w', 'm', 'rw', 'rwm');
const rule: fc.Arbitrary<DeviceRule> = fc.record(
  {
    allow: fc.boolean(),
    type: fc.constantFrom('a', 'b', 'c'),
    access: some,
    major: number,
    minor: number,
  },
  { requiredKeys: ['allow', 'type', 'access'] },
);
const request: fc.Arbitrary<Request> = fc.record({
  type: fc.constantFrom('b', 'c'),
  major: number,
  minor: number,
  access: some,
});

describe('the device program', () => {
  test('answers as version 1 does, for any rules and requests', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), request, (rules, asked) => {
        assert.equal(ask(deviceProgram(rules), asked), expected(rules, asked));
      }),
    );
  });

  test('gives a container its default devices, and lets it make any node', () => {
    const program = deviceProgram(DEFAULT_DEVICE_RULES);
    assert.equal(ask(program, { type: 'c', major: 1, minor: 3, access: 'rw' }), true);
    assert.equal(ask(program, { type: 'c', major: 136, minor: 9, access: 'rw' }), true);
    assert.equal(ask(program, { type: 'c', major: 1, minor: 1, access: 'r' }), false); // /dev/mem
    assert.equal(ask(program, { type: 'b', major: 8, minor: 0, access: 'r' }), false);
    assert.equal(ask(program, { type: 'b', major: 8, minor: 0, access: 'm' }), true);
  });

  test('says nothing but yes to a privileged one', () => {
    const program = deviceProgram([{ allow: true, type: 'a', access: 'rwm' }]);
    assert.equal(ask(program, { type: 'b', major: 8, minor: 0, access: 'rwm' }), true);
  });

  test('adds up rules about one device, and lets later ones take away', () => {
    const about = (allow: boolean, access: string): DeviceRule => ({ allow, type: 'c', major: 10, minor: 1, access });
    assert.deepEqual(resolveRules([about(true, 'r'), about(true, 'w')]).exceptions[0]?.access, 'rw');
    assert.deepEqual(resolveRules([about(true, 'rw'), about(false, 'w')]).exceptions[0]?.access, 'r');
    assert.deepEqual(resolveRules([about(true, 'r'), about(false, 'r')]).exceptions, []);
  });

  test('is encoded in eight bytes an instruction', () => {
    assert.equal(encodeEbpf(deviceProgram([])).toString('hex').slice(0, 32), '6112000000000000bf23000000000000');
  });
});
