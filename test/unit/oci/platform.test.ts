import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import type { Descriptor } from '../../../src/oci/descriptor.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts';
import { formatPlatform, parsePlatform, selectPlatform } from '../../../src/oci/platform.ts';

const offer = (...platforms: string[]): Descriptor[] =>
  platforms.map((text) => {
    const [os = '', architecture = '', variant] = text.split('/');
    const platform = variant === undefined ? { os, architecture } : { os, architecture, variant };
    return { mediaType: OCI_MANIFEST, digest: digestOf(text), size: 1, platform };
  });
const chosen = (wanted: string, ...offered: string[]) =>
  offered.find((text) => digestOf(text) === selectPlatform(offer(...offered), parsePlatform(wanted), 'x').digest);

describe('selectPlatform', () => {
  test('takes the architecture that was asked for', () => {
    assert.equal(chosen('linux/arm64', 'linux/amd64', 'linux/arm64/v8', 'linux/s390x'), 'linux/arm64/v8');
    assert.equal(chosen('x86_64', 'linux/arm64', 'linux/amd64'), 'linux/amd64');
  });
  test('takes the newest variant that still runs, never a newer one', () => {
    assert.equal(chosen('linux/arm/v7', 'linux/arm/v5', 'linux/arm/v6', 'linux/arm/v7'), 'linux/arm/v7');
    assert.equal(chosen('linux/arm/v6', 'linux/arm/v5', 'linux/arm/v7'), 'linux/arm/v5');
    assert.equal(chosen('linux/amd64/v3', 'linux/amd64', 'linux/amd64/v2', 'linux/amd64/v4'), 'linux/amd64/v2');
    assert.throws(
      () => chosen('linux/arm/v5', 'linux/arm/v6'),
      (e) => isTslayerError(e, 'UNSUPPORTED'),
    );
  });
  test('takes the first of equals and never an attestation', () => {
    assert.equal(chosen('linux/amd64', 'unknown/unknown', 'linux/amd64'), 'linux/amd64');
    assert.throws(
      () => chosen('linux/amd64', 'unknown/unknown'),
      (e) => isTslayerError(e, 'UNSUPPORTED'),
    );
  });
  test('says what there is when nothing fits', () => {
    assert.throws(
      () => chosen('linux/riscv64', 'linux/amd64', 'linux/arm/v7', 'unknown/unknown'),
      (e) =>
        isTslayerError(e, 'UNSUPPORTED') && e.hint === 'it has linux/amd64, linux/arm/v7; choose one with --platform',
    );
  });
  test('takes the single image of an index without platforms', () => {
    const [only] = offer('linux/amd64');
    assert.ok(only);
    const { platform: _, ...bare } = only;
    assert.equal(selectPlatform([bare], parsePlatform('arm64'), 'x'), bare);
  });
});

test('platforms are read and written in one spelling', () => {
  assert.equal(formatPlatform(parsePlatform('aarch64')), 'linux/arm64');
  assert.equal(formatPlatform(parsePlatform('linux/arm64/v8')), 'linux/arm64');
  assert.equal(formatPlatform(parsePlatform('linux/ARM/7')), 'linux/arm/v7');
  assert.equal(formatPlatform(parsePlatform('armhf')), 'linux/arm/v7');
  for (const text of ['', 'linux/', '/amd64', 'linux/amd64/v1/x', 'linux amd64', '../x']) {
    assert.throws(
      () => parsePlatform(text),
      (e) => isTslayerError(e, 'INVALID_ARGUMENT'),
      text,
    );
  }
});
