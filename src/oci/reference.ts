/**
 * References: how people name images. Grammar of the distribution project's reference package and OCI Distribution
 * Specification "Pulling manifests"; defaults are Docker's.
 */
import { TslayerError } from '../errors.ts';
import { type Digest, isDigest } from './digest.ts';

/** A fully qualified name: registry, repository, and a tag, a digest or both (then the digest decides). */
export interface Reference {
  /** `docker.io`, `ghcr.io`, `127.0.0.1:5000`, `[::1]:5000`. */
  readonly registry: string;
  /** `library/alpine`. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

export const DEFAULT_REGISTRY = 'docker.io';
const DEFAULT_TAG = 'latest';

const HOST =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/;
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const MAX_NAME = 255;

export function isRepositoryName(text: string): boolean {
  return text.length <= MAX_NAME && REPOSITORY.test(text);
}

export function isTag(text: string): boolean {
  return TAG.test(text);
}

function invalid(text: string, why: string): TslayerError {
  return new TslayerError(
    'INVALID_REFERENCE',
    `not an image reference: ${JSON.stringify(text.slice(0, 300))}: ${why}`,
    {
      hint: 'write NAME[:TAG] or NAME@sha256:…, as in alpine, ghcr.io/owner/name:1.2 or 127.0.0.1:5000/name',
    },
  );
}

/** `alpine` → docker.io/library/alpine:latest. A reference with a digest and no tag keeps no tag. */
export function parseReference(text: string): Reference {
  let rest = text;
  let digest: Digest | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    const name = rest.slice(at + 1);
    if (!isDigest(name)) throw invalid(text, 'what follows @ is not a digest');
    digest = name;
    rest = rest.slice(0, at);
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(':');
  if (colon > rest.lastIndexOf('/')) {
    tag = rest.slice(colon + 1);
    if (!TAG.test(tag)) throw invalid(text, `the tag ${JSON.stringify(tag.slice(0, 140))} is malformed`);
    rest = rest.slice(0, colon);
  }
  const { registry, repository } = splitName(rest);
  if (!HOST.test(registry)) throw invalid(text, 'the registry is malformed');
  if (!REPOSITORY.test(repository)) {
    throw invalid(text, /[A-Z]/.test(repository) ? 'the name must be lower case' : 'the name is malformed');
  }
  if (registry.length + 1 + repository.length > MAX_NAME)
    throw invalid(text, `the name has over ${MAX_NAME} characters`);
  if (tag === undefined && digest === undefined) tag = DEFAULT_TAG;
  return { registry, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

function splitName(name: string): { registry: string; repository: string } {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  // Docker's rule: the first component is a host when it has a dot, a port, an upper-case letter, or is localhost.
  const isHost = /[.:[]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  let registry = isHost ? first : DEFAULT_REGISTRY;
  let repository = isHost ? name.slice(slash + 1) : name;
  if (registry === 'index.docker.io' || registry === 'registry-1.docker.io') registry = DEFAULT_REGISTRY;
  if (registry === DEFAULT_REGISTRY && !repository.includes('/')) repository = `library/${repository}`;
  return { registry, repository };
}

/** `docker.io/library/alpine`. */
export function nameOf(reference: Reference): string {
  return `${reference.registry}/${reference.repository}`;
}

/** The canonical text: `registry/repository[:tag][@digest]`. parseReference reads it back unchanged. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${nameOf(reference)}${tag}${digest}`;
}

/** As people write it: Docker Hub's defaults left out where parsing puts them back. */
export function familiarReference(reference: Reference): string {
  const full = formatReference(reference);
  const short = full.replace(/^docker\.io\/(?:library\/(?=[^/]+$))?/, '');
  // `docker.io/a.b/c` must keep its registry: `a.b/c` would name a host.
  const { registry, repository } = splitName(short.replace(/[:@].*$/, ''));
  return registry === reference.registry && repository === reference.repository ? short : full;
}

/** The same repository, by digest: what a pull has verified. */
export function canonicalReference(reference: Reference, digest: Digest): Reference {
  return { registry: reference.registry, repository: reference.repository, digest };
}
