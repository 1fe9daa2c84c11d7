/**
 * What refers to an image (signatures, SBOMs, attestations) copied from registry to registry with it: referrers of
 * the OCI API, and the tags that cosign writes. Their subject is a digest, which a push does not change.
 */
import type { RegistryClient, Repository } from '../../registry-client/client.ts';
import { isTslayerError, TslayerError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Reference } from '../oci/reference.ts';
import type { OperationOptions } from '../progress.ts';
import type { ContentReader } from '../transports/source.ts';
import { addCounts, NO_PUSHES, type PushCounts, pushContent, tagless } from './push-content.ts';

/** A signature of an SBOM of an image is three deep; a loop ends here as well. */
const MAX_DEPTH = 4;
const MAX_REFERRERS = 1000;
const COSIGN_SUFFIXES = ['sig', 'att', 'sbom'] as const;

export interface CopyReferrersRequest extends OperationOptions {
  readonly client: RegistryClient;
  readonly from: Repository;
  readonly to: Reference;
  /** What is referred to: the index and each of its manifests. */
  readonly subjects: readonly Digest[];
}

export interface CopiedReferrers {
  readonly digests: readonly Digest[];
  readonly counts: PushCounts;
}

export async function copyReferrers(request: CopyReferrersRequest): Promise<CopiedReferrers> {
  const copied = new Set<Digest>();
  let counts = NO_PUSHES;
  let subjects = request.subjects;
  for (let depth = 0; depth < MAX_DEPTH && subjects.length > 0; depth++) {
    const next: Digest[] = [];
    for (const subject of subjects) {
      for (const { root, tag } of await findReferrers(request, subject)) {
        if (copied.has(root.digest)) continue;
        if (copied.size >= MAX_REFERRERS) {
          throw new TslayerError('LIMIT_EXCEEDED', `more than ${MAX_REFERRERS} referrers`);
        }
        counts = addCounts(counts, await copyOne(request, root, tag));
        copied.add(root.digest);
        next.push(root.digest);
      }
    }
    subjects = next;
  }
  return { digests: [...copied], counts };
}

interface Found {
  readonly root: Descriptor;
  /** cosign finds its things by name, the rest is found by the subject. */
  readonly tag?: string;
}

async function findReferrers(request: CopyReferrersRequest, subject: Digest): Promise<Found[]> {
  const { client, from, signal } = request;
  const listed = await client.referrers(from, subject, { signal });
  const found: Found[] = listed.map((root) => ({ root }));
  for (const suffix of COSIGN_SUFFIXES) {
    const tag = `${subject.replace(':', '-')}.${suffix}`;
    const resolved = await client.resolve({ ...from, tag }, { signal }).catch((error: unknown) => {
      if (isTslayerError(error, 'NOT_FOUND')) return undefined;
      throw error;
    });
    if (resolved) found.push({ root: resolved.descriptor, tag });
  }
  return found;
}

function copyOne(request: CopyReferrersRequest, root: Descriptor, tag: string | undefined): Promise<PushCounts> {
  const { client, from, to, signal, onProgress } = request;
  // Referrers are pushed by digest; the registry (or the client for it) lists them under their subject.
  const destination = { ...tagless(to), ...(tag === undefined ? {} : { tag }) };
  const sameRegistry = from.registry === to.registry;
  return pushContent({
    client,
    reader: registryReader(client, from, { signal }),
    root,
    destination,
    mountFrom: () => (sameRegistry ? [from.repository] : []),
    signal,
    onProgress,
  });
}

/** A repository's content, fetched as it is asked for. */
export function registryReader(client: RegistryClient, from: Repository, options: OperationOptions): ContentReader {
  return {
    async readManifest({ digest }) {
      const { bytes } = await client.fetchManifest({ ...from, digest }, options);
      return bytes;
    },
    async *openBlob(descriptor, offset = 0) {
      const stream = await client.fetchBlob(from, descriptor, { ...options, offset });
      try {
        yield* stream;
      } finally {
        stream.close();
      }
    },
    // Asking for each blob would double the requests: one that is missing fails when it is read.
    has: () => Promise.resolve(true),
  };
}
