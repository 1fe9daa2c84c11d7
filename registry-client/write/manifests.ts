/** Pushing and deleting manifests, and the referrers' index where a registry does not keep it. */
import { TslayerError } from '../../src/errors.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { algorithmOf, type Digest, digestOf, isDigest, verifyBytes } from '../../src/oci/digest.ts';
import { type Manifest, parseManifest } from '../../src/oci/manifest.ts';
import { OCI_INDEX } from '../../src/oci/media-types.ts';
import { formatReference, nameOf, type Reference } from '../../src/oci/reference.ts';
import type { OperationOptions } from '../../src/progress.ts';
import type { Repository } from '../client.ts';
import { type Endpoint, endpointName } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import { fallbackTag, type Listings } from '../read/listings.ts';
import type { Effort, Requester } from '../requester.ts';
import type { Router } from '../router.ts';
import { deleteScope, pushScope } from '../scopes.ts';
import { bytesBody, discard } from '../transport/exchange.ts';

export class ManifestWriter {
  readonly #router: Router;
  readonly #requester: Requester;
  readonly #listings: Listings;

  constructor(router: Router, requester: Requester, listings: Listings) {
    this.#router = router;
    this.#requester = requester;
    this.#listings = listings;
  }

  async push(
    reference: Reference,
    bytes: Uint8Array,
    mediaType: string,
    options?: OperationOptions,
  ): Promise<Descriptor> {
    const digest = digestOf(bytes, reference.digest && algorithmOf(reference.digest));
    if (reference.digest) verifyBytes(bytes, reference.digest, `the manifest for ${formatReference(reference)}`);
    const manifest = parseManifest(bytes, mediaType, 'the manifest to push');
    const descriptor = { mediaType, digest, size: bytes.length };
    await this.#router.first(reference, 'push', options, async (endpoint, effort) => {
      const keepsReferrers = await this.#put(endpoint, reference, bytes, descriptor, effort);
      if (manifest.subject && !keepsReferrers) {
        await this.#addReferrer(endpoint, manifest.subject.digest, describeReferrer(descriptor, manifest), effort);
      }
    });
    return descriptor;
  }

  /** Answers whether the registry took note of the subject (OCI-Subject). */
  async #put(
    endpoint: Endpoint,
    reference: Reference,
    bytes: Uint8Array,
    descriptor: Descriptor,
    effort: Effort,
  ): Promise<boolean> {
    // A reference with both pushes under its tag: the digest was checked, and follows from the bytes.
    const name = reference.tag ?? descriptor.digest;
    const response = await this.#requester.send(
      endpoint,
      {
        method: 'PUT',
        path: `${endpoint.repository}/manifests/${name}`,
        headers: { 'content-type': descriptor.mediaType },
        body: bytesBody(bytes),
        scopes: [pushScope(endpoint)],
        expect: [201, 200, 202],
        what: `cannot push ${formatReference(reference)}`,
        // By the connections of the blobs that went before.
        channel: 'data',
      },
      effort,
    );
    await discard(response);
    const stored = response.header('docker-content-digest');
    if (isDigest(stored) && algorithmOf(stored) === algorithmOf(descriptor.digest) && stored !== descriptor.digest) {
      throw new RegistryError(
        'DIGEST_MISMATCH',
        `${endpointName(endpoint)} stored ${stored} in place of ${descriptor.digest}`,
      );
    }
    return response.header('oci-subject') !== undefined;
  }

  /** Distribution Specification, "Pushing Manifests with Subject": the client keeps the index under the fallback tag. */
  async #addReferrer(endpoint: Endpoint, subject: Digest, referrer: Descriptor, effort: Effort): Promise<void> {
    const known = await this.#listings.fromFallbackTag(endpoint, subject, effort);
    if (known.some((entry) => entry.digest === referrer.digest)) return;
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...known, referrer] };
    const bytes = Buffer.from(JSON.stringify(index));
    const tagged = { registry: endpoint.registry, repository: endpoint.repository, tag: fallbackTag(subject) };
    await this.#put(
      endpoint,
      tagged,
      bytes,
      { mediaType: OCI_INDEX, digest: digestOf(bytes), size: bytes.length },
      effort,
    );
  }

  async delete(reference: Reference, options?: OperationOptions): Promise<void> {
    const name = reference.digest ?? reference.tag;
    if (name === undefined) throw new TslayerError('INVALID_ARGUMENT', 'nothing to delete: neither tag nor digest');
    try {
      await this.#delete(reference, `manifests/${name}`, formatReference(reference), options);
    } catch (error) {
      // Deleting tags is optional; docker-registry takes digests only.
      const isRefused = error instanceof RegistryError && (error.status === 400 || error.status === 405);
      if (!isRefused || reference.digest !== undefined) throw error;
      throw new RegistryError('UNSUPPORTED', `${error.message}: the registry does not delete tags`, {
        cause: error,
        hint: 'delete by digest, which removes every tag of the image',
      });
    }
  }

  async deleteBlob(repository: Repository, digest: Digest, options?: OperationOptions): Promise<void> {
    await this.#delete(repository, `blobs/${digest}`, `${nameOf(repository)}@${digest}`, options);
  }

  async #delete(repository: Repository, path: string, what: string, options?: OperationOptions): Promise<void> {
    await this.#router.first(repository, 'push', options, async (endpoint, effort) => {
      const response = await this.#requester.send(
        endpoint,
        {
          method: 'DELETE',
          path: `${endpoint.repository}/${path}`,
          scopes: [deleteScope(endpoint)],
          expect: [202, 200, 204],
          what: `cannot delete ${what}`,
          channel: 'api',
        },
        effort,
      );
      await discard(response);
    });
  }
}

/** As the referrers API would describe it: an image's config type stands in for a missing artifactType. */
function describeReferrer(descriptor: Descriptor, manifest: Manifest): Descriptor {
  const artifactType = manifest.artifactType ?? (manifest.kind === 'manifest' ? manifest.config.mediaType : undefined);
  return {
    ...descriptor,
    ...(artifactType !== undefined && { artifactType }),
    ...(manifest.annotations && { annotations: manifest.annotations }),
  };
}
