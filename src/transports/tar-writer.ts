/** Writes image archives as tars: plain files, in order, the same bytes for the same content. */
import { pack } from 'tar-stream';
import { asTslayerError } from '../errors.ts';

export interface ArchiveWriter {
  /** Resolves when the file's bytes were taken; the consumer sets the pace. */
  file(name: string, size: number, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void>;
  directory(name: string): void;
}

const EPOCH = new Date(0);

/** The tar that `produce` writes. Its failure is the stream's; a consumer that stops early stops it. */
export async function* tarArchive(produce: (writer: ArchiveWriter) => Promise<void>): AsyncGenerator<Uint8Array, void> {
  const tar = pack();
  const writer: ArchiveWriter = {
    directory: (name) => void tar.entry({ name: `${name}/`, type: 'directory', mode: 0o755, mtime: EPOCH }),
    async file(name, size, content) {
      const done = Promise.withResolvers<void>();
      const header = { name, size, type: 'file', mode: 0o644, mtime: EPOCH } as const;
      const sink = tar.entry(header, (error) => (error ? done.reject(error) : done.resolve()));
      done.promise.catch(() => undefined);
      // The error comes by the promise and by the tar itself; nobody needs it a third time.
      sink.on('error', () => undefined);
      try {
        for await (const chunk of content instanceof Uint8Array ? [content] : content) {
          if (!sink.write(chunk)) await Promise.race([drained(sink), done.promise]);
        }
      } catch (error) {
        sink.destroy(error instanceof Error ? error : new Error(String(error)));
        throw error;
      }
      sink.end(null);
      await done.promise;
    },
  };
  const producing = produce(writer).then(
    () => tar.finalize(),
    (error: unknown) => tar.destroy(asTslayerError(error)),
  );
  try {
    for await (const chunk of tar) yield chunk as Uint8Array;
  } finally {
    tar.destroy();
    await producing;
  }
}

function drained(sink: { once(event: 'drain', listener: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => sink.once('drain', resolve));
}
