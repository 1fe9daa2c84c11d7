/**
 * The registry client's interface: OCI Distribution Specification 1.1, reading and writing. Everything above it
 * (images/) knows this file only, so that a registry can be a loopback server, a mirror chain or a test double.
 */
import type { Descriptor } from '../src/oci/descriptor.ts';
import type { Digest } from '../src/oci/digest.ts';
import type { Reference } from '../src/oci/reference.ts';
import type { OperationOptions } from '../src/progress.ts';

/** A repository: where content lives. A Reference is one, too. */
export type Repository = Pick<Reference, 'registry' | 'repository'>;

export interface ResolvedManifest {
  readonly descriptor: Descriptor;
  /** The endpoint that answered, without credentials: `https://registry-1.docker.io`. */
  readonly endpoint: string;
}

export interface FetchedManifest extends ResolvedManifest {
  /** The exact bytes, verified against the digest when one was asked for or announced. */
  readonly bytes: Uint8Array;
}

export interface FetchBlobOptions extends OperationOptions {
  /** Start at this byte (bytes before it are there already). The stream then begins at this byte, always. */
  readonly offset?: number;
  /** Endpoints (as BlobStream names them) whose bytes had the wrong digest: they are asked last. */
  readonly avoid?: readonly string[];
  /**
   * A chunk is good until the next one is asked for; then its memory may be used again, which saves the garbage
   * collector most of its work. For readers that keep nothing. Default false: chunks may be kept.
   */
  readonly transient?: boolean;
}

/**
 * A blob's bytes from `offset` to its end. Retries, mirrors, token renewal and a server that ignores Range are
 * handled inside; a stream that ends early, or is longer than the descriptor says, fails with SIZE_MISMATCH.
 * The digest is NOT checked here: whoever writes the bytes hashes them as they flow.
 */
export interface BlobStream extends AsyncIterable<Uint8Array> {
  readonly endpoint: string;
  /** Stops the transfer; idempotent. */
  close(): void;
}

export interface UploadSource {
  readonly descriptor: Descriptor;
  /** Opens the bytes at an offset; may be called again when an upload is resumed or repeated. */
  open(offset: number): AsyncIterable<Uint8Array>;
}

/** An upload that was begun and did not come to its end. */
export interface UnfinishedUpload {
  /** Root of the API that it was begun at: `https://ghcr.io/v2`. */
  readonly endpoint: string;
  /** Where it goes on. The address may carry a token: whoever keeps it keeps it as a credential. */
  readonly location: string;
}

/** Where one blob's upload to one repository is remembered, so that another process can go on with it. */
export interface UploadMemory {
  /** What an earlier process left, unless somebody is at it. */
  recall(): UnfinishedUpload | undefined;
  /** Before the first byte is sent, and whenever the address changes. */
  keep(upload: UnfinishedUpload): void;
  /** It is over: the blob is there, or the upload is not. */
  forget(): void;
}

export interface PushBlobOptions extends OperationOptions {
  /** Repositories of the same registry that may have the blob: tried with a cross-repository mount. */
  readonly mountFrom?: readonly string[];
  /** For a blob that is too large to send twice. Default: an upload is gone on with by this call only. */
  readonly memory?: UploadMemory | undefined;
}

export type PushOutcome = 'exists' | 'mounted' | 'uploaded';

export interface RegistryClient {
  /** Turns a tag or digest into a descriptor: HEAD, or GET where HEAD is refused. One request when all goes well. */
  resolve(reference: Reference, options?: OperationOptions): Promise<ResolvedManifest>;
  fetchManifest(reference: Reference, options?: OperationOptions): Promise<FetchedManifest>;
  fetchBlob(repository: Repository, descriptor: Descriptor, options?: FetchBlobOptions): Promise<BlobStream>;
  hasBlob(repository: Repository, digest: Digest, options?: OperationOptions): Promise<boolean>;
  /** Tags in the registry's order, all pages. */
  listTags(repository: Repository, options?: OperationOptions): AsyncIterable<string>;
  catalog(registry: string, options?: OperationOptions): AsyncIterable<string>;
  /** Manifests whose `subject` is `digest`: the referrers API, or the fallback tag. */
  referrers(
    repository: Repository,
    digest: Digest,
    options?: OperationOptions & { artifactType?: string },
  ): Promise<Descriptor[]>;
  pushBlob(repository: Repository, source: UploadSource, options?: PushBlobOptions): Promise<PushOutcome>;
  /** Puts a manifest or index under the reference's tag or digest; keeps the referrers' fallback index when needed. */
  pushManifest(
    reference: Reference,
    bytes: Uint8Array,
    mediaType: string,
    options?: OperationOptions,
  ): Promise<Descriptor>;
  deleteManifest(reference: Reference, options?: OperationOptions): Promise<void>;
  deleteBlob(repository: Repository, digest: Digest, options?: OperationOptions): Promise<void>;
  /** Whether the registry answers and the credentials are accepted. */
  ping(registry: string, options?: OperationOptions): Promise<void>;
  /** Where requests for a reference would go, in order, and why: for `tslayer info REF`. */
  explain(reference: Reference): Promise<EndpointPlan[]>;
  /** The last rate-limit headers seen from a registry's endpoints. */
  rateLimit(registry: string): RateLimit | undefined;
  /** Ends idle connections. */
  close(): Promise<void>;
}

export interface EndpointPlan {
  /** Base address without credentials. */
  readonly url: string;
  /** Repository as asked for at this endpoint (mirrors may rewrite it). */
  readonly repository: string;
  /** `registry`, or the file and entry that made it a mirror. */
  readonly source: string;
  readonly capabilities: readonly ('pull' | 'resolve' | 'push')[];
  /** Why it is not used, when it is not. */
  readonly skipped?: string;
  /** Where a credential would come from, never the credential: `~/.docker/config.json`. */
  readonly credentials?: string;
}

export interface RateLimit {
  readonly limit: number;
  readonly remaining: number;
  /** Seconds. */
  readonly windowSeconds?: number;
  readonly source?: string;
}
