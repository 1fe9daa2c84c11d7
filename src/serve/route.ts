/** Which operation of the distribution API an address names; names are checked before anything looks at a disk. */
import { type Digest, isDigest } from '../oci/digest.ts';
import { isRepositoryName, isTag } from '../oci/reference.ts';
import { HttpProblem } from './respond.ts';

export type Route =
  | { readonly kind: 'ping' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags'; readonly repository: string }
  | { readonly kind: 'manifest'; readonly repository: string; readonly reference: Digest | string }
  | { readonly kind: 'blob'; readonly repository: string; readonly digest: Digest }
  | { readonly kind: 'referrers'; readonly repository: string; readonly digest: Digest }
  | { readonly kind: 'uploads'; readonly repository: string }
  | { readonly kind: 'upload'; readonly repository: string; readonly id: string };

const UPLOAD_ID = /^[0-9a-f-]{36}$/;

/** @param path the address's path, not yet percent-decoded */
export function parseRoute(path: string): Route {
  if (path === '/v2/' || path === '/v2') return { kind: 'ping' };
  if (path === '/v2/_catalog') return { kind: 'catalog' };
  const match = /^\/v2\/(.+)\/(tags|manifests|blobs|referrers)\/((?:uploads\/)?[^/]*)$/.exec(decode(path));
  if (!match) throw new HttpProblem(404, 'UNSUPPORTED', 'no such operation');
  const [, repository = '', noun, rest = ''] = match;
  if (!isRepositoryName(withoutHost(repository)))
    throw new HttpProblem(400, 'NAME_INVALID', 'malformed repository name');
  if (noun === 'tags' && rest === 'list') return { kind: 'tags', repository };
  if (noun === 'manifests') {
    if (!isDigest(rest) && !isTag(rest)) throw new HttpProblem(400, 'MANIFEST_INVALID', 'malformed tag or digest');
    return { kind: 'manifest', repository, reference: rest };
  }
  if (noun === 'blobs' && rest === 'uploads/') return { kind: 'uploads', repository };
  if (noun === 'blobs' && rest.startsWith('uploads/'))
    return { kind: 'upload', repository, id: uploadId(rest.slice(8)) };
  if (noun === 'blobs' && rest === 'uploads') return { kind: 'uploads', repository };
  if (noun === 'blobs') return { kind: 'blob', repository, digest: digestIn(rest) };
  if (noun === 'referrers') return { kind: 'referrers', repository, digest: digestIn(rest) };
  throw new HttpProblem(404, 'UNSUPPORTED', 'no such operation');
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new HttpProblem(400, 'NAME_INVALID', 'malformed percent-encoding');
  }
}

/** A store's names may carry a registry with a port: `127.0.0.1:5000/app`; the rest must be a repository. */
function withoutHost(name: string): string {
  const slash = name.indexOf('/');
  return slash > 0 && /^[a-zA-Z0-9.-]+:\d{1,5}$/.test(name.slice(0, slash)) ? name.slice(slash + 1) : name;
}

function uploadId(text: string): string {
  if (!UPLOAD_ID.test(text)) throw new HttpProblem(404, 'BLOB_UPLOAD_UNKNOWN', 'no such upload');
  return text;
}

export function digestIn(text: string | null): Digest {
  if (!isDigest(text)) throw new HttpProblem(400, 'DIGEST_INVALID', 'malformed digest');
  return text;
}
