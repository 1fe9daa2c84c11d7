/** A layer's tar read out of its blob, for what neither an index nor a driver can answer. */
import { openInflater } from '../archive/inflate/inflater.ts';
import type { LayerSink } from '../archive/sink.ts';
import { TarReader } from '../archive/tar-reader.ts';
import { TslayerError, throwIfAborted } from '../errors.ts';
import { layerCompression } from '../oci/media-types.ts';
import type { StoreContext } from './context.ts';
import type { ImageLayer } from './image-layers.ts';

const ROOM = 256 * 1024;
const STEP = 64 * 1024;

export interface ReadLayerOptions {
  /** The tar itself, once the sink has heard of what is in the chunk; the buffer is reused after the call. */
  readonly onTar?: ((chunk: Uint8Array) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Asked after each step: true ends the reading early. */
  readonly isDone?: (() => boolean) | undefined;
}

/** Drives a sink with the layer's tar. NOT_FOUND when the blob was dropped. */
export async function readLayer(
  context: StoreContext,
  layer: Pick<ImageLayer, 'descriptor'>,
  sink: LayerSink,
  options: ReadLayerOptions = {},
): Promise<void> {
  for await (const _step of readLayerInSteps(context, layer, sink, options));
}

/** The same, a chunk of the blob at a time: whoever takes a step can take away what the sink was given. */
export async function* readLayerInSteps(
  context: StoreContext,
  { descriptor }: Pick<ImageLayer, 'descriptor'>,
  sink: LayerSink,
  options: ReadLayerOptions = {},
): AsyncGenerator<void, void> {
  const compression = layerCompression(descriptor.mediaType);
  if (compression === undefined) {
    throw new TslayerError('UNSUPPORTED', `${descriptor.digest} is no file-system layer but ${descriptor.mediaType}`);
  }
  if (!context.metadata.blobs.has(descriptor.digest)) {
    throw new TslayerError('NOT_FOUND', `the compressed layer ${descriptor.digest} is not in the store`, {
      hint: 'pull the image again',
    });
  }
  const tar = new TarReader(sink, context.config.limits);
  const room = Buffer.allocUnsafe(ROOM);
  const outlet = {
    room: () => room,
    flush(length: number) {
      const chunk = room.subarray(0, length);
      tar.write(chunk);
      options.onTar?.(chunk);
    },
  };
  const inflater = openInflater(compression, outlet);
  try {
    for await (const chunk of context.blobs.open(descriptor.digest)) {
      throwIfAborted(options.signal);
      // What a step gives may have to wait in memory: 64 KiB inflate to 64 MiB at the most.
      for (let at = 0; at < chunk.length; at += STEP) {
        await inflater.write(chunk.subarray(at, at + STEP));
        yield;
        if (options.isDone?.()) return;
      }
    }
    await inflater.end();
    tar.end();
    yield;
  } finally {
    inflater.close();
  }
}
