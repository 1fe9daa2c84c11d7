/** EROFS images made from tars by the driver's own sink, and mounted where a test can look at them. */
import { closeSync, mkdirSync, openSync, readSync, writeFileSync } from 'node:fs';
import { ErofsSink } from '../../drivers/erofs/sink.ts';
import { tarPlace } from '../../drivers/erofs/sink-options.ts';
import type { LayerSink, SinkResult } from '../../src/archive/sink.ts';
import { TarFile } from '../../src/archive/tar-file.ts';
import { TarReader } from '../../src/archive/tar-reader.ts';
import { MS_RDONLY, mount, umount } from '../../src/sys/mount-api.ts';

/** Writes the layer that the tar at `tar` (or in memory) holds as the image `image`. */
export function buildImage(tar: string | Uint8Array, image: string, durable = false): SinkResult {
  writeFileSync(image, '');
  const options = { path: image, name: image, durable };
  const sink = new ErofsSink(options);
  const file = new TarFile(tarPlace(options));
  try {
    return writeLayer(tar, sink, file);
  } finally {
    sink.close();
    file.close();
  }
}

/** What the pipeline does with a tar, on one thread. */
export function writeLayer(tar: string | Uint8Array, sink: LayerSink, file: TarFile | undefined): SinkResult {
  const reader = new TarReader(sink);
  const write = (chunk: Uint8Array): void => {
    file?.write(chunk);
    reader.write(chunk);
  };
  if (typeof tar === 'string') feed(write, tar);
  else write(tar);
  reader.end();
  return sink.finish(reader.size);
}

function feed(write: (chunk: Uint8Array) => void, path: string): void {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (let n = readSync(fd, buffer); n > 0; n = readSync(fd, buffer)) write(buffer.subarray(0, n));
  } finally {
    closeSync(fd);
  }
}

export interface MountedImage extends Disposable {
  readonly path: string;
}

/** Mounts an image at a new directory `path`; unmounted when disposed. */
export function mountImage(image: string, path: string, options = ''): MountedImage {
  mkdirSync(path, { recursive: true });
  mount(image, path, 'erofs', MS_RDONLY, options);
  return {
    path,
    [Symbol.dispose]() {
      umount(path);
    },
  };
}
