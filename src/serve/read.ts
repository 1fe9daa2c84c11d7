/** The distribution API's read side: manifests, blobs, tags, catalog, referrers. */
import { createReadStream } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import type { Entry, Layout, StoredManifest } from './layout.ts';
import { parseRange } from './range.ts';
import { HttpProblem, sendBytes, sendEmpty, sendJson } from './respond.ts';

/** Most entries of one page of tags or repositories. */
const MAX_PAGE = 1000;
const READ_CHUNK = 1024 * 1024;

export interface Exchange {
  readonly layout: Layout;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
}

export async function sendManifest(exchange: Exchange, repository: string, reference: string): Promise<void> {
  const stored = await findManifest(exchange, repository, reference);
  sendBytes(exchange.request, exchange.response, stored.bytes, {
    'Content-Type': stored.manifest.mediaType,
    'Docker-Content-Digest': stored.digest,
    ETag: `"${stored.digest}"`,
  });
}

async function findManifest(exchange: Exchange, repository: string, reference: string): Promise<StoredManifest> {
  const { layout, query } = exchange;
  const entries = await layout.entriesOf(repository, query.get('ns') ?? undefined);
  if (entries.length === 0) throw new HttpProblem(404, 'NAME_UNKNOWN', `repository ${repository} is not here`);
  const digest = isDigest(reference)
    ? reference
    : entries.findLast((entry) => entry.tag === reference)?.descriptor.digest;
  const stored = digest && (await layout.manifest(digest));
  if (!stored) throw new HttpProblem(404, 'MANIFEST_UNKNOWN', `${repository} has no manifest ${reference}`);
  return stored;
}

export async function sendBlob({ layout, request, response }: Exchange, digest: Digest): Promise<void> {
  const blob = await layout.statBlob(digest);
  if (!blob) throw new HttpProblem(404, 'BLOB_UNKNOWN', `no blob ${digest}`);
  const headers = {
    'Content-Type': 'application/octet-stream',
    'Docker-Content-Digest': digest,
    'Accept-Ranges': 'bytes',
    ETag: `"${digest}"`,
  };
  // If-Range with another version's tag asks for the whole; a digest names one version only.
  const ifRange = request.headers['if-range'];
  const wanted = ifRange === undefined || ifRange === headers.ETag ? request.headers.range : undefined;
  const range = parseRange(wanted, blob.size);
  if (range === 'unsatisfiable') {
    throw new HttpProblem(416, 'SIZE_INVALID', 'range outside the blob', { 'Content-Range': `bytes */${blob.size}` });
  }
  const { start, end } = range ?? { start: 0, end: blob.size };
  response.writeHead(range ? 206 : 200, {
    ...headers,
    'Content-Length': end - start,
    ...(range && { 'Content-Range': `bytes ${start}-${end - 1}/${blob.size}` }),
  });
  if (request.method === 'HEAD' || end === start) return void response.end();
  await pipeline(createReadStream(blob.path, { start, end: end - 1, highWaterMark: READ_CHUNK }), response);
}

export async function sendTags(exchange: Exchange, repository: string): Promise<void> {
  const entries = await exchange.layout.entriesOf(repository, exchange.query.get('ns') ?? undefined);
  if (entries.length === 0) throw new HttpProblem(404, 'NAME_UNKNOWN', `repository ${repository} is not here`);
  const tags = new Set(entries.flatMap((entry) => entry.tag ?? []));
  sendPage(exchange, [...tags], `/v2/${repository}/tags/list`, (page) => ({ name: repository, tags: page }));
}

export async function sendCatalog(exchange: Exchange): Promise<void> {
  const names = new Set((await exchange.layout.entries()).map((entry: Entry) => entry.repository));
  sendPage(exchange, [...names], '/v2/_catalog', (repositories) => ({ repositories }));
}

/** One page in byte order after `last`, with a Link to the next one. */
function sendPage(exchange: Exchange, all: string[], path: string, wrap: (page: string[]) => unknown): void {
  const { request, response, query } = exchange;
  const asked = query.get('n');
  if (asked !== null && !/^\d{1,9}$/.test(asked)) throw new HttpProblem(400, 'SIZE_INVALID', 'n is not a number');
  const last = query.get('last');
  const rest = all.sort().filter((name) => last === null || name > last);
  const page = rest.slice(0, asked === null ? MAX_PAGE : Math.min(Number(asked), MAX_PAGE));
  const next = page.at(-1);
  const more = next !== undefined && page.length < rest.length;
  const link = more ? { Link: `<${path}?n=${page.length}&last=${encodeURIComponent(next)}>; rel="next"` } : {};
  sendJson(request, response, wrap(page), link);
}

export async function sendReferrers(exchange: Exchange, repository: string, subject: Digest): Promise<void> {
  const { layout, query, request, response } = exchange;
  const wantedType = query.get('artifactType');
  const found = new Map<Digest, Descriptor>();
  for (const entry of await layout.entriesOf(repository, query.get('ns') ?? undefined)) {
    const stored = found.has(entry.descriptor.digest) ? undefined : await layout.manifest(entry.descriptor.digest);
    if (stored?.manifest.subject?.digest !== subject) continue;
    const descriptor = describeReferrer(stored);
    if (wantedType === null || descriptor.artifactType === wantedType) found.set(descriptor.digest, descriptor);
  }
  sendJson(
    request,
    response,
    { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...found.values()] },
    { 'Content-Type': OCI_INDEX, ...(wantedType !== null && { 'OCI-Filters-Applied': 'artifactType' }) },
  );
}

/** Distribution Specification, "Listing Referrers": the artifact's type and annotations go into the descriptor. */
function describeReferrer({ digest, bytes, manifest }: StoredManifest): Descriptor {
  const artifactType = artifactTypeOf(manifest);
  return {
    mediaType: manifest.mediaType,
    digest,
    size: bytes.length,
    ...(artifactType !== undefined && { artifactType }),
    ...(manifest.annotations && { annotations: manifest.annotations }),
  };
}

function artifactTypeOf(manifest: Manifest): string | undefined {
  return manifest.artifactType ?? (manifest.kind === 'manifest' ? manifest.config.mediaType : undefined);
}

export function sendPing({ response }: Exchange): void {
  sendEmpty(response, 200, { 'Docker-Distribution-API-Version': 'registry/2.0' });
}
