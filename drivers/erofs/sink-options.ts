/** What the sink of an EROFS layer is told, and where the pipeline is to put the tar meanwhile. */
import type { TarPlace } from '../../src/archive/sink.ts';
import { HEAD_SIZE } from './format/layout.ts';

export interface ErofsSinkOptions {
  /** The file to write; it exists already, with nothing in it but what is put at its `tarPlace`. */
  readonly path: string;
  /** The layer's id: its image's UUID comes from it. */
  readonly name: string;
  /** Whether what is written is handed to the disk at once; the driver waits for it. */
  readonly durable: boolean;
}

export function tarPlace({ path, durable }: ErofsSinkOptions): TarPlace {
  return { path, at: HEAD_SIZE, writeBack: durable };
}
