import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import { formatReference } from '../../../src/oci/reference.ts';
import { formatArchiveLocation, parseLocation } from '../../../src/transports/location.ts';

test('transports are read as skopeo writes them', () => {
  const read = (text: string) => parseLocation(text);
  assert.deepEqual(read('oci:dir'), { transport: 'oci', path: 'dir' });
  assert.deepEqual(read('oci:/a/b:3.20'), { transport: 'oci', path: '/a/b', name: '3.20' });
  assert.deepEqual(read('oci-archive:x.tar:'), { transport: 'oci-archive', path: 'x.tar' });
  assert.deepEqual(read('docker-archive:-:alpine:3.20'), {
    transport: 'docker-archive',
    path: '-',
    name: 'alpine:3.20',
  });
});

test('the name after a path may have colons of its own', () => {
  const location = parseLocation('oci:dir:docker.io/library/alpine:3.20');
  assert.deepEqual(location, { transport: 'oci', path: 'dir', name: 'docker.io/library/alpine:3.20' });
  assert.equal(formatArchiveLocation(location as never), 'oci:dir:docker.io/library/alpine:3.20');
});

test('what is no transport is a registry reference', () => {
  for (const text of ['alpine', 'docker://alpine', 'ghcr.io/o/n:1', 'ocidir:1', '127.0.0.1:5000/n']) {
    const location = parseLocation(text);
    assert.equal(location.transport, 'registry', text);
  }
  const location = parseLocation('docker://alpine:3.20');
  assert.ok(location.transport === 'registry');
  assert.equal(formatReference(location.reference), 'docker.io/library/alpine:3.20');
});

test('a transport without a path is refused', () => {
  for (const text of ['oci:', 'oci::tag', 'docker-archive:', 'oci:a\0b']) {
    assert.throws(
      () => parseLocation(text),
      (error) => isTslayerError(error, 'INVALID_REFERENCE'),
      text,
    );
  }
});
