/** A sink that writes down what it is told: each entry with its data, each whiteout, in order. */
import type { TarEntry } from '../../src/archive/entry.ts';
import { DEFAULT_LIMITS, type LayerLimits, type LayerSink, type SinkResult } from '../../src/archive/sink.ts';
import { TarReader } from '../../src/archive/tar-reader.ts';

export interface RecordedEntry {
  readonly entry: TarEntry;
  /** The stored bytes. */
  readonly data: Buffer;
}

export class RecordingSink implements LayerSink {
  readonly entries: { entry: TarEntry; data: Buffer }[] = [];
  /** `hides PATH`, `opaque PATH`, `entry PATH`. */
  readonly events: string[] = [];
  /** What `finish` was told. */
  tarSize: number | undefined;

  whiteout(path: Uint8Array): void {
    this.events.push(`hides ${Buffer.from(path)}`);
  }

  opaque(path: Uint8Array): void {
    this.events.push(`opaque ${Buffer.from(path)}`);
  }

  entry(entry: TarEntry): void {
    this.events.push(`entry ${Buffer.from(entry.path)}`);
    this.entries.push({ entry, data: Buffer.alloc(0) });
  }

  data(chunk: Uint8Array): void {
    const last = this.entries.at(-1)!;
    last.data = Buffer.concat([last.data, chunk]);
  }

  finish(tarSize: number): SinkResult {
    this.tarSize = tarSize;
    return { bytes: 0, inodes: 0, warnings: [] };
  }

  close(): void {}
}

/** Reads a tar whole, or in chunks of `step` bytes through one buffer that is overwritten, as the pipeline does. */
export function readTar(bytes: Uint8Array, limits: Partial<LayerLimits> = {}, step: number = 0): RecordingSink {
  const sink = new RecordingSink();
  const reader = new TarReader(sink, { ...DEFAULT_LIMITS, ...limits });
  if (step === 0) reader.write(bytes);
  else {
    const buffer = new Uint8Array(step);
    for (let at = 0; at < bytes.length; at += step) {
      const part = bytes.subarray(at, at + step);
      buffer.set(part);
      reader.write(buffer.subarray(0, part.length));
      buffer.fill(0xdd);
    }
  }
  reader.end();
  sink.finish(reader.size);
  return sink;
}

/** The only entry of a tar. */
export function readOne(bytes: Uint8Array, limits?: Partial<LayerLimits>): RecordedEntry {
  const { entries } = readTar(bytes, limits);
  if (entries.length !== 1) throw new Error(`${entries.length} entries`);
  return entries[0]!;
}
