/** Layers too large to keep anywhere: made on the fly, compressed on the way into an OCI layout. */
import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { digestOf, hexOf, parseDigest } from '../../src/oci/digest.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST } from '../../src/oci/media-types.ts';
import { hostPlatform } from '../../src/oci/platform.ts';
import { memberBlocks } from './tar-bytes.ts';

const PIECE = 1 << 20;

/** A tar of one file of so many bytes, which end with its name, and of others behind it. */
export function* largeFileTar(name: string, bytes: number): Generator<Uint8Array, void> {
  yield* memberBlocks({ path: 'before', data: 'before' });
  yield* memberBlocks({ path: name, size: bytes });
  const piece = Buffer.alloc(PIECE, 'neither zeros nor noise ');
  for (let left = bytes; left > PIECE; left -= PIECE) yield piece;
  const rest = ((bytes - 1) % PIECE) + 1;
  const end = Buffer.alloc(Math.ceil(rest / 512) * 512);
  piece.copy(end, 0, 0, rest);
  end.write(name, rest - name.length);
  yield end;
  yield* memberBlocks({ path: 'behind', data: 'behind' });
  yield Buffer.alloc(1024);
}

/** A tar of so many empty files, a thousand a directory. */
export function* manyFilesTar(files: number, prefix: string = 'usr'): Generator<Uint8Array, void> {
  const directories = Math.ceil(files / 1000);
  for (let directory = 0; directory < directories; directory++) {
    const path = `${prefix}/lib/packages/package-number-${directory}`;
    yield* memberBlocks({ path, type: '5' });
    const blocks: Buffer[] = [];
    for (let file = 0; file < Math.min(1000, files - directory * 1000); file++) {
      blocks.push(...memberBlocks({ path: `${path}/some-file-with-number-${file}`, mtime: file, uid: directory }));
    }
    yield Buffer.concat(blocks);
  }
  yield Buffer.alloc(1024);
}

/** Makes an OCI layout in `directory` whose image `huge:latest` has a layer of each tar. */
export async function layoutOfTars(directory: string, tars: readonly Iterable<Uint8Array>[]): Promise<void> {
  const blobs = join(directory, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const stored: StoredLayer[] = [];
  for (const tar of tars) stored.push(await storeLayer(blobs, tar));
  const add = (mediaType: string, value: unknown): object => {
    const text = JSON.stringify(value);
    const digest = digestOf(text);
    writeFileSync(join(blobs, hexOf(digest)), text);
    return { mediaType, digest, size: text.length };
  };
  const { architecture, os } = hostPlatform();
  const rootfs = { type: 'layers', diff_ids: stored.map(({ diffId }) => diffId) };
  const config = add(OCI_CONFIG, { architecture, os, rootfs });
  const layers = stored.map(({ descriptor }) => descriptor);
  const manifest = add(OCI_MANIFEST, { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers });
  const named = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': 'huge:latest' } };
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [named] };
  writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(directory, 'index.json'), JSON.stringify(index));
}

interface StoredLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

async function storeLayer(blobs: string, tar: Iterable<Uint8Array>): Promise<StoredLayer> {
  const [tarHash, blobHash] = [createHash('sha256'), createHash('sha256')];
  const growing = join(blobs, 'growing');
  const out = createWriteStream(growing);
  await pipeline(Readable.from(tar), tee(tarHash), createGzip({ level: 1 }), tee(blobHash), out);
  const hex = blobHash.digest('hex');
  renameSync(growing, join(blobs, hex));
  const descriptor = { mediaType: OCI_LAYER_GZIP, digest: parseDigest(`sha256:${hex}`), size: out.bytesWritten };
  return { descriptor, diffId: `sha256:${tarHash.digest('hex')}` };
}

/** Passes everything on, and hashes it. */
function tee(hash: ReturnType<typeof createHash>): Transform {
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}
