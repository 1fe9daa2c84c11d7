/** The images of a stack, open together. */
import { ImageReader } from './image-reader.ts';

export interface OpenImages extends Disposable {
  /** In the order of the paths. */
  readonly readers: readonly ImageReader[];
}

export function openImages(paths: readonly string[]): OpenImages {
  const readers: ImageReader[] = [];
  const close = (): void => {
    for (const reader of readers.splice(0)) reader[Symbol.dispose]();
  };
  try {
    for (const path of paths) readers.push(new ImageReader(path));
  } catch (error) {
    close();
    throw error;
  }
  return { readers, [Symbol.dispose]: close };
}
