import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isTslayerError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { familiarReference, formatReference, parseReference, type Reference } from '../../../src/oci/reference.ts';

const D = digestOf('x');

describe('parseReference', () => {
  const cases: [string, string][] = [
    ['alpine', 'docker.io/library/alpine:latest'],
    ['alpine:3.20', 'docker.io/library/alpine:3.20'],
    ['owner/name', 'docker.io/owner/name:latest'],
    ['docker.io/alpine', 'docker.io/library/alpine:latest'],
    ['index.docker.io/alpine', 'docker.io/library/alpine:latest'],
    ['registry-1.docker.io/library/alpine', 'docker.io/library/alpine:latest'],
    ['ghcr.io/o/n:tag', 'ghcr.io/o/n:tag'],
    ['localhost/n', 'localhost/n:latest'],
    ['localhost:5000/n', 'localhost:5000/n:latest'],
    ['127.0.0.1:5000/a/b/c:1', '127.0.0.1:5000/a/b/c:1'],
    ['[::1]:5000/n', '[::1]:5000/n:latest'],
    ['Host/n', 'Host/n:latest'],
    [`alpine@${D}`, `docker.io/library/alpine@${D}`],
    [`alpine:3@${D}`, `docker.io/library/alpine:3@${D}`],
  ];
  for (const [text, canonical] of cases) {
    test(`${text.slice(0, 40)} is ${canonical.slice(0, 60)}`, () => {
      assert.equal(formatReference(parseReference(text)), canonical);
    });
  }

  for (const text of [
    '',
    ':tag',
    'Alpine',
    'a//b',
    '/a',
    'a/',
    'a:',
    'a:-x',
    `a:${'x'.repeat(129)}`,
    'a@sha256:abc',
    `a@${D}x`,
    'a b',
    'a/../b',
    '../a',
    'a\n',
    'http://x/y',
    'ex_ample.com:80/a',
    'x.y:99999999/a',
    'a'.repeat(256),
    'user:pw@host.example/x',
  ]) {
    test(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.throws(
        () => parseReference(text),
        (error) => isTslayerError(error, 'INVALID_REFERENCE'),
      );
    });
  }
});

describe('familiarReference', () => {
  test('leaves out only what parsing puts back', () => {
    for (const text of ['alpine:latest', 'owner/name:1', 'ghcr.io/o/n:tag', 'docker.io/library/a/b:1']) {
      const reference = parseReference(text);
      assert.deepEqual(parseReference(familiarReference(reference)), reference);
    }
    assert.equal(familiarReference(parseReference('docker.io/library/alpine:3')), 'alpine:3');
  });
});

test('every reference survives formatting and parsing', () => {
  const component = fc.stringMatching(/^[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}$/);
  const reference = fc.record(
    {
      registry: fc.constantFrom('docker.io', 'ghcr.io', '127.0.0.1:5000', '[::1]:443', 'localhost', 'a-b.example:1'),
      path: fc.array(component, { minLength: 2, maxLength: 4 }),
      tag: fc.stringMatching(/^\w[\w.-]{0,20}$/),
      digest: fc.uint8Array().map((bytes) => digestOf(bytes)),
    },
    { requiredKeys: ['registry', 'path'] },
  );
  fc.assert(
    fc.property(reference, ({ path, ...rest }) => {
      const made: Reference = { ...rest, repository: path.join('/') };
      const named = made.tag === undefined && made.digest === undefined ? { ...made, tag: 'latest' } : made;
      assert.deepEqual(parseReference(formatReference(named)), named);
      assert.deepEqual(parseReference(familiarReference(named)), named);
    }),
  );
});
