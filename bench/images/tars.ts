/** Tars of the layers: from Debian's packages, from directories of this machine, and made up. */
import { spawn } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { pack } from 'tar-stream';

/** The output of a program; a status other than 0 is an error. */
export async function* output(command: string, args: readonly string[]): AsyncGenerator<Uint8Array, void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk).slice(-2000);
  });
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  for await (const chunk of child.stdout) yield chunk as Uint8Array;
  if ((await ended) !== 0) throw new Error(`${command}: ${said}`);
}

export async function* gunzipped(path: string): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of createReadStream(path).pipe(createGunzip({ chunkSize: 1 << 18 })))
    yield chunk as Uint8Array;
}

const MIRROR = process.env.TSLAYER_DEBIAN_MIRROR ?? 'http://deb.debian.org/debian';

/** A minimal Debian root file system. */
export function debianBase(): AsyncIterable<Uint8Array> {
  return output('mmdebstrap', ['--quiet', '--variant=minbase', 'bookworm', '-', MIRROR]);
}

/** What these packages hold, extracted and not installed. */
export function debianPackages(names: readonly string[]): AsyncIterable<Uint8Array> {
  return output('mmdebstrap', [
    '--quiet',
    '--variant=extract',
    `--include=${names.join(',')}`,
    'bookworm',
    '-',
    MIRROR,
  ]);
}

export type Files = Readonly<Record<string, string | Uint8Array>>;

export async function* fileTar(files: Files): AsyncGenerator<Uint8Array, void> {
  const tar = pack();
  for (const [name, content] of Object.entries(files)) {
    if (name.endsWith('/')) tar.entry({ name, type: 'directory', mode: 0o755, mtime: new Date(0) });
    else tar.entry({ name, mtime: new Date(0) }, Buffer.from(content));
  }
  tar.finalize();
  for await (const chunk of tar) yield chunk as Uint8Array;
}

interface FoundFile {
  readonly path: string;
  readonly size: number;
}

function filesBelow(directory: string, maxSize: number): FoundFile[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, size: statSync(path).size }))
    .filter(({ size }) => size <= maxSize)
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A Node application: the node binary, and as many small modules as asked for, from this project's own. */
export async function* nodeApplication(modules: string, entries: number): AsyncGenerator<Uint8Array, void> {
  const tar = pack();
  const source = (async () => {
    const put = (name: string, content: Buffer, mode = 0o644): Promise<void> =>
      new Promise((resolve, reject) => {
        tar.entry({ name, mode, mtime: new Date(0) }, content, (error) => (error ? reject(error) : resolve()));
      });
    await put('usr/local/bin/node', readFileSync(process.execPath), 0o755);
    const files = filesBelow(modules, 48 * 1024);
    for (let i = 0; i < entries; i++) {
      const { path } = files[i % files.length]!;
      const round = Math.floor(i / files.length);
      await put(`app/node_modules/.store${round}${path.slice(modules.length)}`, readFileSync(path));
    }
    tar.finalize();
  })();
  source.catch((error: Error) => tar.destroy(error));
  for await (const chunk of tar) yield chunk as Uint8Array;
}

/** One file that gzip shrinks to seven tenths: noise and text by turns, the same at every build. */
export async function* halfCompressible(name: string, size: number): AsyncGenerator<Uint8Array, void> {
  const tar = pack();
  const source = (async () => {
    const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16));
    const zeros = Buffer.alloc(1 << 18);
    const text = Buffer.from('All work and no play makes Jack a dull boy. '.repeat(3000)).subarray(0, 1 << 17);
    const entry = tar.entry({ name, size, mtime: new Date(0) });
    for (let left = size; left > 0; ) {
      for (const piece of [noise.update(zeros), text]) {
        const part = piece.subarray(0, left);
        left -= part.length;
        if (!entry.write(part)) await new Promise((resolve) => entry.once('drain', () => resolve(undefined)));
      }
    }
    entry.end(new Uint8Array(0));
    tar.finalize();
  })();
  source.catch((error: Error) => tar.destroy(error));
  for await (const chunk of tar) yield chunk as Uint8Array;
}
