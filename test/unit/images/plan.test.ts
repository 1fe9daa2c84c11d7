import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import type { FetchedImage } from '../../../src/images/pull/documents.ts';
import { mergePlans, planFetch, planUnpack, requireUnpackable } from '../../../src/images/pull/plan.ts';
import { chainIDs } from '../../../src/oci/chain-id.ts';
import { asDiffID, digestOf } from '../../../src/oci/digest.ts';
import { OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST } from '../../../src/oci/media-types.ts';

/** An image whose layers are `[blob, tar]` by name. */
function imageOf(layers: readonly (readonly [blob: string, tar: string])[], mediaType = OCI_LAYER_GZIP): FetchedImage {
  const config = { mediaType: OCI_CONFIG, digest: digestOf('config'), size: 1 };
  return {
    descriptor: { mediaType: OCI_MANIFEST, digest: digestOf('manifest'), size: 1 },
    manifest: {
      kind: 'manifest',
      mediaType: OCI_MANIFEST,
      config,
      layers: layers.map(([blob]) => ({ mediaType, digest: digestOf(blob), size: 1 })),
    },
    config: {
      platform: { os: 'linux', architecture: 'amd64' },
      config: {},
      diffIDs: layers.map(([, tar]) => asDiffID(digestOf(tar))),
      history: [],
    },
  };
}

const named = (name: string) => digestOf(name);

describe('a plan', () => {
  test('has a job for each layer, base first, keyed by diffID or chainID', () => {
    const image = imageOf([
      ['a.gz', 'a'],
      ['b.gz', 'b'],
    ]);
    const chains = chainIDs(image.config!.diffIDs);
    const independent = planUnpack(image, 'independent');
    assert.deepEqual(
      independent.map((job) => job.target?.key),
      image.config!.diffIDs,
    );
    assert.deepEqual(
      independent.map((job) => job.target?.parent),
      [undefined, chains[0]],
    );
    assert.deepEqual(
      planUnpack(image, 'sequential').map((job) => job.target?.key),
      chains,
    );
  });

  test('unpacks equal layers once, or once over each parent', () => {
    const image = imageOf([
      ['a.gz', 'a'],
      ['b.gz', 'b'],
      ['a.gz', 'a'],
    ]);
    assert.equal(planUnpack(image, 'independent').length, 2);
    assert.equal(planUnpack(image, 'sequential').length, 3);
  });

  test('keeps a second blob of the same tar, checked to be that', () => {
    const jobs = planUnpack(
      imageOf([
        ['a.gz', 'a'],
        ['a.zst', 'a'],
      ]),
      'independent',
    );
    assert.deepEqual(
      jobs.map(({ descriptor, target, diffId }) => [descriptor.digest, target !== undefined, diffId]),
      [
        [named('a.gz'), true, named('a')],
        [named('a.zst'), false, named('a')],
      ],
    );
  });

  test('of several images fetches no blob twice', () => {
    const own = imageOf([
      ['a.gz', 'a'],
      ['b.gz', 'b'],
    ]);
    const other = imageOf([
      ['a.gz', 'a'],
      ['c.gz', 'c'],
      ['c.gz', 'c'],
    ]);
    const jobs = mergePlans([planUnpack(own, 'independent'), planFetch(other)]);
    assert.deepEqual(
      jobs.map(({ descriptor, target }) => [descriptor.digest, target !== undefined]),
      [
        [named('a.gz'), true],
        [named('b.gz'), true],
        [named('c.gz'), false],
      ],
    );
  });

  test('is refused for what is no image or has layers of another kind', () => {
    const unsupported = (error: unknown) => isTslayerError(error, 'UNSUPPORTED');
    assert.throws(() => requireUnpackable({ ...imageOf([]), config: undefined }), unsupported);
    assert.throws(() => requireUnpackable(imageOf([['a', 'a']], 'application/x-cat-picture')), unsupported);
    requireUnpackable(imageOf([['a', 'a']]));
  });
});
