/** A client for OCI registries, usable without the rest of tslayer: see README.md. */

export { type ErrorCode, isTslayerError, TslayerError } from '../src/errors.ts';
export type { Descriptor } from '../src/oci/descriptor.ts';
export { type Digest, digestOf, isDigest, parseDigest, verifyBytes } from '../src/oci/digest.ts';
export { type ImageIndex, type ImageManifest, type Manifest, parseManifest } from '../src/oci/manifest.ts';
export { hostPlatform, type Platform, parsePlatform, selectPlatform } from '../src/oci/platform.ts';
export { formatReference, parseReference, type Reference } from '../src/oci/reference.ts';
export type { OnProgress, OperationOptions, ProgressEvent } from '../src/progress.ts';
export { anonymous, type Credential, type CredentialSource, staticCredential } from './auth/credentials.ts';
export { type LoggedIn, type LoggedOut, type Login, login, logout } from './auth/login.ts';
export type {
  BlobStream,
  EndpointPlan,
  FetchBlobOptions,
  FetchedManifest,
  PushBlobOptions,
  PushOutcome,
  RateLimit,
  RegistryClient,
  Repository,
  ResolvedManifest,
  UnfinishedUpload,
  UploadMemory,
  UploadSource,
} from './client.ts';
export { RegistryError } from './errors.ts';
export { expandShortName, type ShortNameOptions } from './hosts/short-names.ts';
export {
  DEFAULT_LIMITS,
  DEFAULT_RETRY,
  DEFAULT_TIMEOUTS,
  type Limits,
  type RegistryClientOptions,
  type RetryPolicy,
  type Timeouts,
} from './options.ts';
export { createRegistryClient } from './registry-client.ts';
