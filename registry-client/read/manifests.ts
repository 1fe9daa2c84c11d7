/** Manifests: resolving names, and fetching the exact bytes. Distribution Specification, "Pulling manifests". */
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { type Digest, digestOf, isDigest, verifyBytes } from '../../src/oci/digest.ts';
import { parseManifest } from '../../src/oci/manifest.ts';
import { isIndexType, isManifestType, isSchema1Type, MANIFEST_TYPES } from '../../src/oci/media-types.ts';
import { familiarReference, formatReference, type Reference } from '../../src/oci/reference.ts';
import type { OperationOptions } from '../../src/progress.ts';
import type { FetchedManifest, ResolvedManifest } from '../client.ts';
import { type Endpoint, endpointName } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import type { Ask, Effort, Requester } from '../requester.ts';
import type { Router } from '../router.ts';
import { pullScope } from '../scopes.ts';
import { type HttpResponse, readBounded } from '../transport/exchange.ts';

/** Statuses with which registries refuse HEAD where GET would do. */
const HEAD_REFUSED = [405, 400, 501];

export class ManifestReader {
  readonly #router: Router;
  readonly #requester: Requester;

  constructor(router: Router, requester: Requester) {
    this.#router = router;
    this.#requester = requester;
  }

  async resolve(reference: Reference, options?: OperationOptions): Promise<ResolvedManifest> {
    return await this.#router.first(reference, 'resolve', options, async (endpoint, effort) => {
      const head = await this.#head(endpoint, reference, effort);
      return head ?? (await this.#get(endpoint, reference, effort));
    });
  }

  async fetch(reference: Reference, options?: OperationOptions): Promise<FetchedManifest> {
    return await this.#router.first(reference, reference.digest ? 'pull' : 'resolve', options, (endpoint, effort) =>
      this.#get(endpoint, reference, effort),
    );
  }

  /** Undefined when HEAD is refused, or does not say enough. */
  async #head(endpoint: Endpoint, reference: Reference, effort: Effort): Promise<ResolvedManifest | undefined> {
    const what = `cannot resolve ${familiarReference(reference)}`;
    const ask = manifestAsk(endpoint, reference, 'HEAD', what, [200, ...HEAD_REFUSED]);
    const response = await this.#requester.send(endpoint, ask, effort);
    response.body.destroy();
    const descriptor = describeHead(response);
    if (!descriptor) return undefined;
    checkAnnounced(endpoint, reference, descriptor.digest);
    if (descriptor.size > this.#requester.settings.limits.manifestBytes) {
      throw new RegistryError('LIMIT_EXCEEDED', `${what}: its manifest has ${descriptor.size} bytes`);
    }
    return { descriptor, endpoint: endpointName(endpoint) };
  }

  async #get(endpoint: Endpoint, reference: Reference, effort: Effort): Promise<FetchedManifest> {
    const what = `cannot fetch the manifest of ${familiarReference(reference)}`;
    const { limits } = this.#requester.settings;
    const rules = { limit: limits.manifestBytes, what, signal: effort.signal };
    const ask = manifestAsk(endpoint, reference, 'GET', what, [200]);
    return await this.#requester.sendAndUse(endpoint, ask, effort, async (response) => {
      const bytes = await readBounded(response, rules);
      return { bytes, ...check(endpoint, reference, response, bytes) };
    });
  }
}

function manifestAsk(
  endpoint: Endpoint,
  reference: Reference,
  method: 'HEAD' | 'GET',
  what: string,
  expect: number[],
): Ask {
  return {
    method,
    path: `${endpoint.repository}/manifests/${reference.digest ?? reference.tag}`,
    headers: { accept: MANIFEST_TYPES.join(', ') },
    scopes: [pullScope(endpoint)],
    expect,
    what,
    channel: 'data',
  };
}

function describeHead(response: HttpResponse): Descriptor | undefined {
  const digest = response.header('docker-content-digest');
  const mediaType = mediaTypeOf(response);
  const size = Number(response.header('content-length') ?? Number.NaN);
  if (response.status !== 200 || !isDigest(digest) || !Number.isSafeInteger(size) || size === 0) return undefined;
  return mediaType !== undefined && isKnown(mediaType) ? { mediaType, digest, size } : undefined;
}

function check(
  endpoint: Endpoint,
  reference: Reference,
  response: HttpResponse,
  bytes: Buffer,
): { descriptor: Descriptor; endpoint: string } {
  const what = `the manifest of ${formatReference(reference)} from ${endpointName(endpoint)}`;
  const announced = response.header('docker-content-digest');
  if (reference.digest) verifyBytes(bytes, reference.digest, what);
  else if (isDigest(announced)) verifyBytes(bytes, announced, what);
  const digest = reference.digest ?? (isDigest(announced) ? announced : digestOf(bytes));
  const { mediaType } = parseManifest(bytes, manifestTypeOf(response), what);
  return { descriptor: { mediaType, digest, size: bytes.length }, endpoint: endpointName(endpoint) };
}

/** Servers that only hold files call a manifest JSON or a stream of octets: then its own words count. */
function manifestTypeOf(response: HttpResponse): string | undefined {
  const mediaType = mediaTypeOf(response);
  return mediaType !== undefined && isKnown(mediaType) ? mediaType : undefined;
}

function mediaTypeOf(response: HttpResponse): string | undefined {
  return response.header('content-type')?.split(';', 1)[0]?.trim();
}

function isKnown(mediaType: string): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType) || isSchema1Type(mediaType);
}

function checkAnnounced(endpoint: Endpoint, reference: Reference, announced: Digest): void {
  if (reference.digest === undefined || reference.digest === announced) return;
  // Another algorithm may name the same bytes.
  if (reference.digest.split(':')[0] !== announced.split(':')[0]) return;
  throw new RegistryError(
    'DIGEST_MISMATCH',
    `${endpointName(endpoint)} answers with ${announced} for ${formatReference(reference)}`,
  );
}
