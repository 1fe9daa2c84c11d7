/** Names and addresses as the embedded registry reads them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseRange } from '../../../src/serve/range.ts';
import { splitRefName } from '../../../src/serve/ref-name.ts';
import { HttpProblem } from '../../../src/serve/respond.ts';
import { parseRoute } from '../../../src/serve/route.ts';

describe('ref.name annotations', () => {
  for (const [text, repository, withoutRegistry, tag] of [
    ['docker.io/library/alpine:3.20', 'docker.io/library/alpine', 'library/alpine', '3.20'],
    ['app:v1', 'app', 'app', 'v1'],
    ['127.0.0.1:5000/app:v1', '127.0.0.1:5000/app', 'app', 'v1'],
    ['127.0.0.1:5000/app', '127.0.0.1:5000/app', 'app', undefined],
    ['localhost/app:v1', 'localhost/app', 'app', 'v1'],
    ['team/app', 'team/app', 'team/app', undefined],
    ['latest', 'latest', 'latest', undefined],
    [`a/b:v1@sha256:${'0'.repeat(64)}`, 'a/b', 'a/b', 'v1'],
  ] as const) {
    test(text, () => {
      const expected = tag === undefined ? { repository, withoutRegistry } : { repository, withoutRegistry, tag };
      assert.deepEqual(splitRefName(text), expected);
    });
  }
});

describe('ranges', () => {
  test('never lie outside the blob', () => {
    const size = fc.nat(1000);
    const number = fc.oneof(fc.constant(''), fc.nat(2000).map(String));
    fc.assert(
      fc.property(number, number, size, (first, last, bytes) => {
        const range = parseRange(`bytes=${first}-${last}`, bytes);
        if (range === undefined || range === 'unsatisfiable') return;
        assert.ok(range.start >= 0 && range.start < range.end && range.end <= bytes, JSON.stringify(range));
      }),
    );
  });
});

describe('routes', () => {
  const hex = 'a'.repeat(64);
  test('operations', () => {
    assert.deepEqual(parseRoute('/v2/'), { kind: 'ping' });
    assert.deepEqual(parseRoute('/v2/a/manifests/b/manifests/v1'), {
      kind: 'manifest',
      repository: 'a/manifests/b',
      reference: 'v1',
    });
    assert.deepEqual(parseRoute(`/v2/a/blobs/sha256:${hex}`), {
      kind: 'blob',
      repository: 'a',
      digest: `sha256:${hex}`,
    });
    assert.deepEqual(parseRoute(`/v2/a/blobs/sha256%3A${hex}`), {
      kind: 'blob',
      repository: 'a',
      digest: `sha256:${hex}`,
    });
    assert.deepEqual(parseRoute('/v2/h.example:5000/a/tags/list'), { kind: 'tags', repository: 'h.example:5000/a' });
    assert.deepEqual(parseRoute('/v2/a/blobs/uploads/'), { kind: 'uploads', repository: 'a' });
  });
  test('any path is a route or a refusal, and no name holds a dot segment', () => {
    const part = fc.constantFrom(
      '..',
      '.',
      'a',
      'b',
      'manifests',
      'blobs',
      'uploads',
      'tags',
      'list',
      'v2',
      '%2e%2e',
      '%2f',
      '',
      '\\',
      'A:1',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        try {
          const route = parseRoute(`/v2/${parts.join('/')}`);
          if ('repository' in route)
            assert.ok(!route.repository.split('/').some((name) => /^\.*$/.test(name)), route.repository);
        } catch (error) {
          assert.ok(error instanceof HttpProblem, `${error}`);
        }
      }),
    );
  });
});
