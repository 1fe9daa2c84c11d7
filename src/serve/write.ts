/** The distribution API's write side: uploads, mounts, manifests, deletion. */
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, digestOf, isDigest } from '../oci/digest.ts';
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from '../oci/manifest.ts';
import { isForeignLayer } from '../oci/media-types.ts';
import type { LayoutWriter } from './layout-writer.ts';
import type { Exchange } from './read.ts';
import { HttpProblem, sendEmpty } from './respond.ts';
import { digestIn } from './route.ts';
import { rangeOf, type Uploads } from './uploads.ts';

export interface WriteSide {
  readonly writer: LayoutWriter;
  readonly uploads: Uploads;
}

/** POST …/blobs/uploads/: a mount, a whole blob, or the begin of an upload. */
export async function beginUpload(side: WriteSide, exchange: Exchange, repository: string): Promise<void> {
  const { query, request, response, layout } = exchange;
  const mount = query.get('mount');
  if (mount !== null && isDigest(mount) && (await layout.statBlob(mount)))
    return sendCreated(exchange, repository, mount);
  const digest = query.get('digest');
  if (digest !== null) digestIn(digest);
  const id = await side.uploads.begin(repository);
  if (digest !== null) {
    await side.uploads.append(repository, id, request);
    return finishUpload(side, exchange, repository, id);
  }
  sendEmpty(response, 202, { ...uploadHeaders(repository, id, 0) });
}

/** PATCH: the next chunk; without Content-Range the body continues where the upload is. */
export async function continueUpload(
  side: WriteSide,
  exchange: Exchange,
  repository: string,
  id: string,
): Promise<void> {
  const start = contentStart(exchange.request.headers['content-range']);
  const received = await side.uploads.append(repository, id, exchange.request, start);
  sendEmpty(exchange.response, 202, uploadHeaders(repository, id, received));
}

/** PUT ?digest=: the last chunk, perhaps empty, and the blob's name. */
export async function finishUpload(side: WriteSide, exchange: Exchange, repository: string, id: string): Promise<void> {
  const digest = digestIn(exchange.query.get('digest'));
  if (exchange.request.method === 'PUT') {
    const start = contentStart(exchange.request.headers['content-range']);
    await side.uploads.append(repository, id, exchange.request, start);
  }
  await side.uploads.finish(repository, id, digest);
  sendCreated(exchange, repository, digest);
}

export function sendUploadStatus(side: WriteSide, exchange: Exchange, repository: string, id: string): void {
  sendEmpty(exchange.response, 204, uploadHeaders(repository, id, side.uploads.received(repository, id)));
}

export async function cancelUpload(side: WriteSide, exchange: Exchange, repository: string, id: string): Promise<void> {
  await side.uploads.cancel(repository, id);
  sendEmpty(exchange.response, 204);
}

export async function putManifest(
  side: WriteSide,
  exchange: Exchange,
  repository: string,
  reference: string,
): Promise<void> {
  const bytes = await readBounded(exchange, MAX_MANIFEST_BYTES);
  const digest = isDigest(reference) ? reference : digestOf(bytes);
  if (digestOf(bytes, algorithmOf(digest)) !== digest) {
    throw new HttpProblem(400, 'DIGEST_INVALID', 'the manifest does not have this digest');
  }
  const manifest = parseManifest(bytes, exchange.request.headers['content-type']?.split(';')[0]?.trim());
  await requireContent(exchange, manifest);
  await side.writer.putBytes(bytes, digest);
  const artifactType = manifest.artifactType;
  const descriptor: Descriptor = {
    mediaType: manifest.mediaType,
    digest,
    size: bytes.length,
    ...(artifactType !== undefined && { artifactType }),
  };
  await side.writer.name(repository, isDigest(reference) ? undefined : reference, descriptor);
  sendEmpty(exchange.response, 201, {
    Location: `/v2/${repository}/manifests/${digest}`,
    'Docker-Content-Digest': digest,
    ...(manifest.subject && { 'OCI-Subject': manifest.subject.digest }),
  });
}

/** A manifest is taken when everything it names is here; its subject may come later (Distribution Specification). */
async function requireContent({ layout }: Exchange, manifest: Manifest): Promise<void> {
  const parts = manifest.kind === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers];
  for (const part of parts) {
    if (isForeignLayer(part.mediaType) || (await layout.statBlob(part.digest))) continue;
    throw new HttpProblem(404, 'MANIFEST_BLOB_UNKNOWN', `${part.digest} is not here`);
  }
}

export async function deleteManifest(
  side: WriteSide,
  exchange: Exchange,
  repository: string,
  reference: string,
): Promise<void> {
  if (!(await side.writer.forget(repository, reference))) {
    throw new HttpProblem(404, 'MANIFEST_UNKNOWN', `${repository} has no manifest ${reference}`);
  }
  sendEmpty(exchange.response, 202);
}

export async function deleteBlob(side: WriteSide, exchange: Exchange, digest: Digest): Promise<void> {
  if (!(await side.writer.removeBlob(digest))) throw new HttpProblem(404, 'BLOB_UNKNOWN', `no blob ${digest}`);
  sendEmpty(exchange.response, 202);
}

function uploadHeaders(repository: string, id: string, received: number): Record<string, string> {
  return { Location: `/v2/${repository}/blobs/uploads/${id}`, Range: rangeOf(received), 'Docker-Upload-UUID': id };
}

function sendCreated({ response }: Exchange, repository: string, digest: Digest): void {
  sendEmpty(response, 201, { Location: `/v2/${repository}/blobs/${digest}`, 'Docker-Content-Digest': digest });
}

function contentStart(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const match = /^(?:bytes )?(\d{1,15})-\d{1,15}(?:\/.*)?$/.exec(header.trim());
  if (!match) throw new HttpProblem(400, 'BLOB_UPLOAD_INVALID', 'malformed Content-Range');
  return Number(match[1]);
}

async function readBounded({ request }: Exchange, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    total += chunk.length;
    if (total > limit) throw new HttpProblem(413, 'SIZE_INVALID', `a manifest may have ${limit} bytes at most`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
