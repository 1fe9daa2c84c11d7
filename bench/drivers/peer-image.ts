/** The image that all tools take in: an OCI layout with many small layers, and a large file where one is wanted. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { encodeLayer, type LayerItem } from '../../drivers/conformance/encode.ts';
import { dir, file } from '../../drivers/conformance/items.ts';
import { largeFile } from './workshop.ts';

interface Blob {
  readonly digest: string;
  readonly size: number;
}

/** @param large bytes of a file `big` in the topmost layer */
export async function writeImage(layout: string, count: number, large = 0): Promise<void> {
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  const diffIds: string[] = [];
  const layers: object[] = [];
  for (let at = 0; at < count; at++) {
    const items = [dir(''), dir('etc'), file(`etc/${at}`, `${at}`), file(`own-${at}`, 'x')];
    if (large > 0 && at === count - 1) items.push(largeFile(large));
    const { diffId, blob } = await putLayer(layout, items);
    diffIds.push(diffId);
    layers.push({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...blob });
  }
  const put = (value: object): Blob => putBytes(layout, Buffer.from(JSON.stringify(value)));
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const rootfs = { type: 'layers', diff_ids: diffIds };
  const config = put({ architecture, os: 'linux', config: { Cmd: ['/none'] }, rootfs });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers,
  };
  const annotations = { 'org.opencontainers.image.ref.name': 'latest' };
  const index = { schemaVersion: 2, manifests: [{ mediaType, ...put(manifest), annotations }] };
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
  writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  execFileSync('tar', ['-cf', `${layout}.tar`, '-C', layout, '.']);
}

function putBytes(layout: string, bytes: Buffer): Blob {
  const hex = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(join(layout, 'blobs/sha256', hex), bytes);
  return { digest: `sha256:${hex}`, size: bytes.length };
}

/** Streamed: a layer may be larger than memory. */
async function putLayer(layout: string, items: readonly LayerItem[]): Promise<{ diffId: string; blob: Blob }> {
  const [plain, packed] = [createHash('sha256'), createHash('sha256')];
  let size = 0;
  const blobs = join(layout, 'blobs/sha256');
  const temporary = join(blobs, 'new');
  const hashPlain = async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      plain.update(chunk);
      yield chunk;
    }
  };
  const hashPacked = async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      packed.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  await pipeline(encodeLayer(items), hashPlain, createGzip({ level: 1 }), hashPacked, createWriteStream(temporary));
  const hex = packed.digest('hex');
  renameSync(temporary, join(blobs, hex));
  return { diffId: `sha256:${plain.digest('hex')}`, blob: { digest: `sha256:${hex}`, size } };
}
