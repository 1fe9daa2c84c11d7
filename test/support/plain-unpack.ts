/** The simplest unpacker that is right: whole blobs in memory, one thread. What the pipeline is compared with. */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { OpenSink } from '../../src/archive/sink.ts';
import { TarReader } from '../../src/archive/tar-reader.ts';
import { TslayerError } from '../../src/errors.ts';
import type { LayerUnpacker, Unpacked, UnpackRequest } from '../../src/images/pull/unpacker.ts';
import { asDiffID, digestOf } from '../../src/oci/digest.ts';
import { collect } from './collect.ts';

export const plainUnpacker: LayerUnpacker = { unpack, warm: () => undefined };

async function unpack({ source, sink, limits, onBytes }: UnpackRequest): Promise<Unpacked> {
  const { openSink } = (await import(sink.module)) as { openSink: OpenSink };
  const target = openSink(sink.options);
  try {
    const tar = inflate(Buffer.concat(await collect(source)));
    onBytes?.(tar.length);
    const reader = new TarReader(target, limits);
    reader.write(tar);
    reader.end();
    return { diffId: asDiffID(digestOf(tar)), tarSize: tar.length, result: target.finish(), indexed: false };
  } finally {
    target.close();
  }
}

function inflate(bytes: Buffer): Buffer {
  try {
    if (bytes[0] === 0x1f) return gunzipSync(bytes);
    if (bytes.readUInt32LE(0) === 0xfd2fb528) return zstdDecompressSync(bytes);
    return bytes;
  } catch (cause) {
    throw new TslayerError('MALFORMED', 'the layer cannot be inflated', { cause });
  }
}
