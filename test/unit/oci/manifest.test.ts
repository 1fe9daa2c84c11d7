import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, isTslayerError } from '../../../src/errors.ts';
import { checkLayerCount, parseConfig } from '../../../src/oci/config.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { MAX_MANIFEST_BYTES, parseManifest } from '../../../src/oci/manifest.ts';
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1_SIGNED,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
} from '../../../src/oci/media-types.ts';

const descriptor = { mediaType: OCI_LAYER_GZIP, digest: digestOf('layer'), size: 5 };
const config = { mediaType: OCI_CONFIG, digest: digestOf('config'), size: 6 };
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const failsWith = (code: ErrorCode, value: unknown, type?: string) =>
  assert.throws(
    () => parseManifest(bytes(value), type),
    (error) => isTslayerError(error, code),
    JSON.stringify(value),
  );

const image = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [descriptor] };
const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...descriptor, mediaType: OCI_MANIFEST }] };

describe('parseManifest', () => {
  test('reads images and indexes, OCI and Docker', () => {
    assert.equal(parseManifest(bytes(image), OCI_MANIFEST).kind, 'manifest');
    assert.equal(parseManifest(bytes({ ...image, mediaType: DOCKER_MANIFEST }), DOCKER_MANIFEST).kind, 'manifest');
    assert.equal(parseManifest(bytes(index), OCI_INDEX).kind, 'index');
    assert.equal(parseManifest(bytes({ ...index, mediaType: DOCKER_LIST }), undefined).kind, 'index');
  });

  test('takes the type from outside when the document names none', () => {
    const { mediaType: _, ...untyped } = image;
    assert.equal(parseManifest(bytes(untyped), DOCKER_MANIFEST).mediaType, DOCKER_MANIFEST);
    assert.equal(parseManifest(bytes(untyped), undefined).mediaType, OCI_MANIFEST);
    assert.equal(parseManifest(bytes(untyped), 'application/octet-stream').mediaType, OCI_MANIFEST);
  });

  test('keeps a layer named __proto__ from becoming a prototype', () => {
    const text = JSON.stringify(image).replace('"layers"', '"annotations":{"__proto__":"x","a":"b"},"layers"');
    const parsed = parseManifest(Buffer.from(text), OCI_MANIFEST);
    assert.equal(parsed.annotations?.a, 'b');
    assert.equal(Object.getPrototypeOf({}), Object.prototype);
  });

  test('CVE-2021-41190: a document that is both an index and an image is refused', () => {
    failsWith('MALFORMED', { ...image, manifests: [] });
    failsWith('MALFORMED', { ...index, config });
  });

  test('CVE-2021-41190: type, content type and shape must agree', () => {
    failsWith('MALFORMED', image, OCI_INDEX);
    failsWith('MALFORMED', index, OCI_MANIFEST);
    failsWith('MALFORMED', { ...image, mediaType: OCI_INDEX });
    failsWith('MALFORMED', image, DOCKER_MANIFEST);
  });

  test('refuses schema 1 with a line that says so', () => {
    failsWith('UNSUPPORTED', { schemaVersion: 1, name: 'x', fsLayers: [] });
    failsWith('UNSUPPORTED', image, DOCKER_SCHEMA1_SIGNED);
  });

  test('refuses hostile descriptors', () => {
    for (const bad of [
      { size: -1 },
      { size: 1.5 },
      { size: 2 ** 60 },
      { size: '5' },
      { digest: 'sha256:../x' },
      { mediaType: 'x\r\ny' },
      { size: null },
    ]) {
      failsWith('MALFORMED', { ...image, layers: [{ ...descriptor, ...bad }] });
    }
  });

  test('refuses what is no manifest at all', () => {
    for (const value of [
      null,
      [],
      1,
      'x',
      {},
      { schemaVersion: 2 },
      { ...image, layers: null },
      { ...image, schemaVersion: 3 },
    ])
      failsWith('MALFORMED', value);
    assert.throws(
      () => parseManifest(Buffer.from([0xff, 0xfe]), undefined),
      (e) => isTslayerError(e, 'MALFORMED'),
    );
    assert.throws(
      () => parseManifest(Buffer.alloc(MAX_MANIFEST_BYTES + 1, 0x20), undefined),
      (e) => isTslayerError(e, 'LIMIT_EXCEEDED'),
    );
  });

  test('never throws anything but a TslayerError, whatever JSON comes', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        try {
          parseManifest(Buffer.from(text), undefined);
        } catch (error) {
          assert.ok(isTslayerError(error), String(error));
        }
      }),
    );
  });
});

describe('parseConfig', () => {
  test('reads Docker’s nulls as absent', () => {
    const parsed = parseConfig(
      bytes({
        architecture: 'amd64',
        os: 'linux',
        config: { Cmd: null, Env: ['A=1'], Entrypoint: null, Labels: null },
        rootfs: { type: 'layers', diff_ids: [digestOf('a')] },
        history: null,
      }),
    );
    assert.deepEqual(parsed.config, { Env: ['A=1'] });
    assert.deepEqual(parsed.history, []);
    assert.equal(parsed.diffIDs.length, 1);
  });

  test('refuses a config without layers, and one whose layers do not match the manifest', () => {
    assert.throws(
      () => parseConfig(bytes({ architecture: 'amd64', os: 'linux' })),
      (e) => isTslayerError(e, 'MALFORMED'),
    );
    const empty = parseConfig(
      bytes({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: null } }),
    );
    const manifest = parseManifest(bytes(image), OCI_MANIFEST);
    assert.ok(manifest.kind === 'manifest');
    assert.throws(
      () => checkLayerCount(manifest, empty, 'x'),
      (e) => isTslayerError(e, 'MALFORMED'),
    );
  });
});
