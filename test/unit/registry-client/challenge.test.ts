import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseChallenges } from '../../../registry-client/auth/challenge.ts';

const parse = (header: string) => parseChallenges(header).map(({ scheme, parameters }) => [scheme, { ...parameters }]);

describe('WWW-Authenticate', () => {
  const cases: readonly (readonly [string, string, unknown])[] = [
    [
      'a token service',
      'Bearer realm="https://auth.example/t",service="r",scope="repository:a/b:pull,push"',
      [['bearer', { realm: 'https://auth.example/t', service: 'r', scope: 'repository:a/b:pull,push' }]],
    ],
    ['commas and quotes in a value', 'Basic realm="a \\"b\\", c"', [['basic', { realm: 'a "b", c' }]]],
    ['no parameters', 'Negotiate', [['negotiate', {}]]],
    [
      'several',
      'Negotiate, Basic realm=plain, Bearer realm="x"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'plain' }],
        ['bearer', { realm: 'x' }],
      ],
    ],
    ['spaces around the equals sign', 'Bearer realm = "x" , service=y', [['bearer', { realm: 'x', service: 'y' }]]],
    ['upper case', 'BEARER REALM="X"', [['bearer', { realm: 'X' }]]],
    ['rubbish', '"""', []],
    ['nothing', '', []],
    ['an unfinished quote', 'Bearer realm="x', [['bearer', { realm: '' }]]],
  ];
  for (const [what, header, expected] of cases) {
    test(what, () => assert.deepEqual(parse(header), expected));
  }

  test('a parameter cannot reach a prototype', () => {
    const [challenge] = parseChallenges('Bearer __proto__="x",realm="y"');
    assert.equal(Object.getPrototypeOf(challenge?.parameters), null);
  });

  test('any text ends, and quickly', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'Ab ="\\,\t'), maxLength: 2000 }), (text) => {
        parseChallenges(text);
      }),
    );
  });
});
