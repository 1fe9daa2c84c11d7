/**
 * Where an image lies, as skopeo and podman write it: a registry reference, or `TRANSPORT:PATH[:NAME]`.
 * containers-transports(5).
 */
import { TslayerError } from '../errors.ts';
import { parseReference, type Reference } from '../oci/reference.ts';

export type ArchiveTransport = 'oci' | 'oci-archive' | 'docker-archive';

export interface RegistryLocation {
  readonly transport: 'registry';
  readonly reference: Reference;
}

/** A file or directory with one or more images. */
export interface ArchiveLocation {
  readonly transport: ArchiveTransport;
  /** As given; `-` is standard input or output. Never holds a colon. */
  readonly path: string;
  /** Which image of it: a tag, a full name or a digest, as the archive itself spells it. */
  readonly name?: string;
}

export type ImageLocation = RegistryLocation | ArchiveLocation;

const ARCHIVE = /^(oci|oci-archive|docker-archive):(.*)$/s;

/**
 * `oci:DIR[:tag]`, `oci-archive:FILE[:tag]`, `docker-archive:FILE[:ref]`, `docker://NAME` or a plain reference.
 * The first colon ends the path, so that a name may have its own (`oci:dir:docker.io/library/alpine:3.20`).
 */
export function parseLocation(text: string): ImageLocation {
  const archive = ARCHIVE.exec(text);
  // `oci:3.20` could be an image named "oci" with a tag; skopeo reads it as a path, and so do we.
  if (!archive) return { transport: 'registry', reference: parseReference(text.replace(/^docker:\/\//, '')) };
  const transport = archive[1] as ArchiveTransport;
  const rest = archive[2] ?? '';
  const colon = rest.indexOf(':');
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const name = colon < 0 ? '' : rest.slice(colon + 1);
  if (path === '' || path.includes('\0')) {
    throw new TslayerError('INVALID_REFERENCE', `${JSON.stringify(text.slice(0, 300))} names no path`, {
      hint: `write ${transport}:PATH or ${transport}:PATH:NAME`,
    });
  }
  return name === '' ? { transport, path } : { transport, path, name };
}

/** parseLocation reads it back unchanged (a registry reference in its canonical form). */
export function formatArchiveLocation(location: ArchiveLocation): string {
  const name = location.name === undefined ? '' : `:${location.name}`;
  return `${location.transport}:${location.path}${name}`;
}
