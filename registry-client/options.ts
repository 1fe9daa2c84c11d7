/** What a registry client can be told, and what it does when it is told nothing. */
import type { CredentialSource } from './auth/credentials.ts';

export interface RegistryClientOptions {
  /**
   * Mirrors, asked before the registry itself, in order: `{ 'docker.io': ['http://127.0.0.1:5000'] }`. Keys are
   * registries or name prefixes (`ghcr.io/owner`); a path in a mirror's address stands before the repository.
   */
  readonly mirrors?: Readonly<Record<string, readonly string[]>>;
  /** Registries (host[:port]) that speak plain HTTP. Loopback registries do so by themselves. */
  readonly plainHttp?: readonly string[];
  /** Registries whose certificate is not checked, and that may fall back to plain HTTP. */
  readonly insecure?: readonly string[];
  /** Where credentials come from. Default: auth.json and docker's config.json, as podman and docker look for them. */
  readonly credentials?: CredentialSource;
  /** Default: process.env. Read for proxies and for the places of configuration files. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where registries.conf, certs.d and hosts.toml of the system lie. Default: `/etc`. */
  readonly etc?: string;
  readonly retry?: Partial<RetryPolicy>;
  readonly timeouts?: Partial<Timeouts>;
  readonly limits?: Partial<Limits>;
  readonly userAgent?: string;
  /** One line for each request and answer, with secrets removed. */
  readonly trace?: (line: string) => void;
  /** Fetches foreign layers from the addresses in their descriptors, without credentials. Default: refused. */
  readonly foreignLayers?: boolean;
}

/** Retried: 408, 429, 500, 502, 503, 504, connection failures, timeouts, stalls. See retry.ts. */
export interface RetryPolicy {
  /** Tries of one request at the last endpoint that is left. */
  readonly attempts: number;
  /** Tries at an endpoint that has another one behind it. */
  readonly attemptsBeforeNext: number;
  /** First delay; each later one is twice as long, and a random half of it is taken off. */
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** Longest Retry-After that is waited for; a server that wants more time has refused. */
  readonly maxRetryAfterMs: number;
  /** A broken blob that came this many bytes further starts counting its attempts anew. */
  readonly progressBytes: number;
}

export interface Timeouts {
  readonly connectMs: number;
  /** From the sent request to the answer's headers. */
  readonly responseMs: number;
  /** Longest silence in a body that somebody waits for. */
  readonly stallMs: number;
}

export interface Limits {
  /** Bytes of a manifest or index. */
  readonly manifestBytes: number;
  /** Bytes of a token answer. */
  readonly tokenBytes: number;
  /** Bytes of a page of tags, repositories or referrers. */
  readonly pageBytes: number;
  /** Pages of one listing. */
  readonly pages: number;
  /** Bytes of an error answer that are looked at. */
  readonly errorBytes: number;
  readonly redirects: number;
  /** Connections to one host. */
  readonly connectionsPerHost: number;
  /** Blobs transferred at once, over all hosts. */
  readonly transfers: number;
  /** Bytes a second over all blobs; 0 is unlimited. */
  readonly bytesPerSecond: number;
  /** Blobs of at least this size come in several ranges at once, where the server allows it. 0 turns it off. */
  readonly parallelBytes: number;
  /** A blob's first connection is watched for so long before more are tried, ms. */
  readonly parallelProbeMs: number;
  /** Ranges of one blob at once. */
  readonly rangesPerBlob: number;
  /** Blobs up to this size are pushed in one request; larger ones can be resumed. */
  readonly monolithicBytes: number;
  /** Largest request of a push; 0 sends a blob's remaining bytes at once. */
  readonly uploadChunkBytes: number;
  /** The same, once an upload broke and nothing of it had arrived: something on the way holds requests back. */
  readonly brokenUploadChunkBytes: number;
}

export interface Settings {
  readonly retry: RetryPolicy;
  readonly timeouts: Timeouts;
  readonly limits: Limits;
  readonly userAgent: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 6,
  attemptsBeforeNext: 2,
  baseDelayMs: 250,
  maxDelayMs: 30_000,
  maxRetryAfterMs: 120_000,
  progressBytes: 1024 * 1024,
};

export const DEFAULT_TIMEOUTS: Timeouts = { connectMs: 15_000, responseMs: 60_000, stallMs: 30_000 };

const MIB = 1024 * 1024;

export const DEFAULT_LIMITS: Limits = {
  manifestBytes: 4 * MIB,
  tokenBytes: MIB,
  pageBytes: 8 * MIB,
  pages: 10_000,
  errorBytes: 64 * 1024,
  redirects: 10,
  connectionsPerHost: 8,
  transfers: 6,
  bytesPerSecond: 0,
  parallelBytes: 64 * MIB,
  parallelProbeMs: 1500,
  rangesPerBlob: 4,
  monolithicBytes: MIB,
  uploadChunkBytes: 0,
  brokenUploadChunkBytes: 32 * MIB,
};

export function settingsOf(options: RegistryClientOptions): Settings {
  return {
    retry: { ...DEFAULT_RETRY, ...options.retry },
    timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    userAgent: options.userAgent ?? 'tslayer',
    env: options.env ?? process.env,
  };
}
