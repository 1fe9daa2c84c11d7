/** Names and manifests from a registry on a bad day, or from one that lies. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RegistryClient } from '../../../registry-client/client.ts';
import { type ErrorCode, isTslayerError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { OCI_INDEX } from '../../../src/oci/media-types.ts';
import { parseReference, type Reference } from '../../../src/oci/reference.ts';
import * as kinds from '../../support/fault-kinds.ts';
import type { FaultRule } from '../../support/fault-proxy.ts';
import { faultyRegistry } from '../../support/faulty-registry.ts';
import { makeImage, testClient } from '../../support/registry-content.ts';

const image = makeImage(10_000);
const other = digestOf('something else');
const rule = (act: FaultRule['act'], times = 99): FaultRule => ({ act, times });
const onHead = (act: FaultRule['act']): FaultRule => ({ on: /^HEAD/, act, times: 99 });

const SCHEMA1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
const bodies = {
  schema1: JSON.stringify({ schemaVersion: 1, name: 'library/test', tag: 'v1', fsLayers: [] }),
  both: JSON.stringify({ ...JSON.parse(image.manifest.toString()), manifests: [] }),
  html: '<html>please log in to the hotel</html>',
  negative: JSON.stringify({
    ...JSON.parse(image.manifest.toString()),
    layers: [{ ...image.layerDescriptor, size: -1 }],
  }),
  slash: JSON.stringify({
    ...JSON.parse(image.manifest.toString()),
    layers: [{ ...image.layerDescriptor, digest: 'sha256:../../x' }],
  }),
};

function says(body: string, type = image.descriptor.mediaType): FaultRule {
  return rule(kinds.status(200, { 'content-type': type }, body));
}

interface Scenario {
  readonly name: string;
  readonly does: 'resolve' | 'fetch';
  readonly by?: 'tag' | 'digest';
  readonly faults: readonly FaultRule[];
  readonly gives?: 'manifest' | ErrorCode;
  readonly requests: number;
}

const scenarios: readonly Scenario[] = [
  { name: 'a tag resolves with one request', does: 'resolve', faults: [], requests: 1 },
  { name: 'a digest resolves with one request', does: 'resolve', by: 'digest', faults: [], requests: 1 },
  { name: 'HEAD refused: GET', does: 'resolve', faults: [onHead(kinds.status(405))], requests: 2 },
  {
    name: 'HEAD without a digest: GET',
    does: 'resolve',
    faults: [onHead(kinds.withHeaders({ 'docker-content-digest': undefined }))],
    requests: 2,
  },
  {
    name: 'HEAD without a length: GET',
    does: 'resolve',
    faults: [onHead(kinds.withHeaders({ 'content-length': undefined }))],
    requests: 2,
  },
  {
    name: 'HEAD with a content type that is none: GET',
    does: 'resolve',
    faults: [onHead(kinds.withHeaders({ 'content-type': 'text/plain' }))],
    requests: 2,
  },
  {
    name: 'HEAD for a digest names another one',
    does: 'resolve',
    by: 'digest',
    faults: [onHead(kinds.withHeaders({ 'docker-content-digest': other }))],
    gives: 'DIGEST_MISMATCH',
    requests: 1,
  },
  {
    name: 'HEAD with a digest that is a path: GET',
    does: 'resolve',
    faults: [onHead(kinds.withHeaders({ 'docker-content-digest': 'sha256:../../etc' }))],
    requests: 2,
  },
  {
    name: 'HEAD announces a gigabyte',
    does: 'resolve',
    faults: [onHead(kinds.withHeaders({ 'content-length': '1073741824' }))],
    gives: 'LIMIT_EXCEEDED',
    requests: 1,
  },
  { name: 'the tag is not there', does: 'resolve', faults: [rule(kinds.status(404))], gives: 'NOT_FOUND', requests: 1 },
  { name: '503 once', does: 'resolve', faults: [rule(kinds.status(503), 1)], requests: 2 },
  { name: '429 for ever', does: 'resolve', faults: [rule(kinds.status(429))], gives: 'NETWORK', requests: 4 },
  { name: 'a manifest arrives as it is', does: 'fetch', faults: [], requests: 1 },
  { name: 'cut in the middle', does: 'fetch', faults: [rule(kinds.cutAfter(50), 1)], requests: 2 },
  { name: 'stalled in the middle', does: 'fetch', faults: [rule(kinds.stallAfter(50), 1)], requests: 2 },
  {
    name: 'a wrong digest header',
    does: 'fetch',
    faults: [rule(kinds.withHeaders({ 'docker-content-digest': other }))],
    gives: 'DIGEST_MISMATCH',
    requests: 1,
  },
  {
    name: 'no digest header',
    does: 'fetch',
    faults: [rule(kinds.withHeaders({ 'docker-content-digest': undefined }))],
    requests: 1,
  },
  {
    name: 'a corrupt byte',
    does: 'fetch',
    by: 'digest',
    faults: [rule(kinds.corruptAt(20))],
    gives: 'DIGEST_MISMATCH',
    requests: 1,
  },
  {
    name: 'cut short, and says so',
    does: 'fetch',
    by: 'digest',
    faults: [rule(kinds.resized(100))],
    gives: 'DIGEST_MISMATCH',
    requests: 1,
  },
  {
    name: 'called an index',
    does: 'fetch',
    faults: [rule(kinds.withHeaders({ 'content-type': OCI_INDEX }))],
    gives: 'MALFORMED',
    requests: 1,
  },
  {
    name: 'called JSON',
    does: 'fetch',
    faults: [rule(kinds.withHeaders({ 'content-type': 'application/json; charset=utf-8' }))],
    requests: 1,
  },
  {
    name: 'both index and image (CVE-2021-41190)',
    does: 'fetch',
    faults: [says(bodies.both)],
    gives: 'MALFORMED',
    requests: 1,
  },
  {
    name: 'Docker schema 1',
    does: 'fetch',
    faults: [says(bodies.schema1, SCHEMA1)],
    gives: 'UNSUPPORTED',
    requests: 1,
  },
  {
    name: 'a page of a hotel',
    does: 'fetch',
    faults: [says(bodies.html, 'text/html')],
    gives: 'MALFORMED',
    requests: 1,
  },
  { name: 'a negative size', does: 'fetch', faults: [says(bodies.negative)], gives: 'MALFORMED', requests: 1 },
  {
    name: 'a digest that is a path (CVE-2024-3727)',
    does: 'fetch',
    faults: [says(bodies.slash)],
    gives: 'MALFORMED',
    requests: 1,
  },
  {
    name: 'a huge one, announced',
    does: 'fetch',
    faults: [rule(kinds.resized(6_000_000))],
    gives: 'LIMIT_EXCEEDED',
    requests: 1,
  },
  {
    name: 'a huge one, unannounced',
    does: 'fetch',
    faults: [rule(kinds.resizedUnannounced(6_000_000))],
    gives: 'LIMIT_EXCEEDED',
    requests: 1,
  },
  {
    name: 'a redirect without an address',
    does: 'fetch',
    faults: [rule(kinds.status(302))],
    gives: 'FAILED',
    requests: 1,
  },
];

describe('a manifest from a registry on a bad day', () => {
  const proxy = faultyRegistry(image);
  let client: RegistryClient;

  async function ask(does: Scenario['does'], reference: Reference): Promise<unknown> {
    if (does === 'resolve') return (await client.resolve(reference)).descriptor;
    const { bytes, descriptor } = await client.fetchManifest(reference);
    assert.ok(image.manifest.equals(bytes), 'other bytes than the manifest has');
    return descriptor;
  }

  for (const { name, does, by = 'tag', faults, gives = 'manifest', requests } of scenarios) {
    test(name, async () => {
      client = testClient();
      const name = `${proxy.host}/library/test`;
      const reference = parseReference(by === 'tag' ? `${name}:v1` : `${name}@${image.descriptor.digest}`);
      proxy.fault(...faults);
      const outcome = await ask(does, reference).catch((error: unknown) => error);
      if (gives === 'manifest') assert.deepEqual(outcome, image.descriptor);
      else assert.ok(isTslayerError(outcome, gives), `${outcome}`);
      assert.equal(proxy.exchanges.length, requests, 'requests');
      proxy.reset();
      assert.deepEqual(await ask(does, reference), image.descriptor);
      await client.close();
    });
  }
});
