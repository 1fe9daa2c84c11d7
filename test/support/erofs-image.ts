/** EROFS images made from tars by the driver's own sink, and mounted where a test can look at them. */
import { closeSync, mkdirSync, openSync, readSync, writeFileSync } from 'node:fs';
import { ErofsSink } from '../../drivers/erofs/sink.ts';
import type { SinkResult } from '../../src/archive/sink.ts';
import { TarReader } from '../../src/archive/tar-reader.ts';
import { MS_RDONLY, mount, umount } from '../../src/sys/mount-api.ts';

/** Writes the layer that the tar at `tar` (or in memory) holds as the image `image`. */
export function buildImage(tar: string | Uint8Array, image: string, durable = false): SinkResult {
  writeFileSync(image, '');
  const sink = new ErofsSink({ path: image, name: image, durable });
  try {
    const reader = new TarReader(sink);
    if (typeof tar === 'string') feed(reader, tar);
    else reader.write(tar);
    reader.end();
    return sink.finish();
  } finally {
    sink.close();
  }
}

function feed(reader: TarReader, path: string): void {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (let n = readSync(fd, buffer); n > 0; n = readSync(fd, buffer)) reader.write(buffer.subarray(0, n));
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
