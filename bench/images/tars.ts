/** Tars of the layers: from Debian's packages, from directories of this machine, and made up. */
import { spawn } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

function filesBelow(directory: string): FoundFile[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, size: statSync(path).size }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Bytes: what a module's file has at most, and what a package's has, native ones included. */
const SMALL_FILE = 16 * 1024;
const LARGE_FILE = 32 * 2 ** 20;

/**
 * A Node application: the node binary, this project's own node_modules, and then their small files again and again, as
 * many packages would bring, up to so many entries.
 */
export async function* nodeApplication(modules: string, entries: number): AsyncGenerator<Uint8Array, void> {
  const tar = pack();
  const directories = new Set<string>();
  let count = 0;
  const put = (name: string, content: Buffer, mode = 0o644): Promise<void> =>
    new Promise((resolve, reject) => {
      const parent = dirname(name);
      for (const path of parents(parent)) {
        if (directories.has(path)) continue;
        directories.add(path);
        tar.entry({ name: `${path}/`, type: 'directory', mode: 0o755, mtime: new Date(0) });
        count++;
      }
      tar.entry({ name, mode, mtime: new Date(0) }, content, (error) => (error ? reject(error) : resolve()));
      count++;
    });
  const source = (async () => {
    await put('usr/local/bin/node', readFileSync(process.execPath), 0o755);
    const files = filesBelow(modules);
    for (let round = 0; count < entries; round++) {
      const limit = round === 0 ? LARGE_FILE : SMALL_FILE;
      for (const { path, size } of files) {
        if (size > limit || count >= entries) continue;
        await put(`app/node_modules/.store${round}${path.slice(modules.length)}`, readFileSync(path));
      }
    }
    tar.finalize();
  })();
  source.catch((error: Error) => tar.destroy(error));
  for await (const chunk of tar) yield chunk as Uint8Array;
}

/** `a/b` gives `a` and `a/b`. */
function parents(path: string): string[] {
  const parts = path.split('/');
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'));
}

/** Standard deviation at which int8 numbers hold 5.7 bits each, so that Huffman's code has seven tenths of them. */
const DEVIATION = 12.6;

/**
 * One file of bytes as the weights of a model have them, whole numbers around zero: nothing repeats, and gzip still
 * shrinks it to seven tenths, because small ones are frequent. Every byte of it has to be decoded; noise and text by
 * turns would shrink as far, but cost nearly nothing to inflate.
 */
export async function* weights(name: string, size: number): AsyncGenerator<Uint8Array, void> {
  const normal = normalNumbers(DEVIATION);
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16));
  const zeros = Buffer.alloc(1 << 20);
  const tar = pack();
  const source = (async () => {
    const entry = tar.entry({ name, size, mtime: new Date(0) });
    for (let left = size; left > 0; left -= zeros.length / 2) {
      const random = noise.update(zeros);
      const part = Buffer.alloc(Math.min(left, random.length / 2));
      for (let i = 0; i < part.length; i++) part[i] = normal[random.readUInt16LE(2 * i)]!;
      if (!entry.write(part)) await new Promise((resolve) => entry.once('drain', () => resolve(undefined)));
    }
    entry.end(new Uint8Array(0));
    tar.finalize();
  })();
  source.catch((error: Error) => tar.destroy(error));
  for await (const chunk of tar) yield chunk as Uint8Array;
}

/** Of 65,536 equally likely places, the int8 number that a normal distribution has there. */
function normalNumbers(deviation: number): Int8Array {
  const numbers = new Int8Array(65_536).fill(127);
  const density = (x: number): number => Math.exp((-x * x) / (2 * deviation * deviation));
  const values = Array.from({ length: 255 }, (_, i) => i - 127);
  const total = values.reduce((sum, x) => sum + density(x), 0);
  let [at, sum] = [0, 0];
  for (const value of values) {
    sum += density(value);
    const end = Math.round((sum / total) * numbers.length);
    numbers.fill(value, at, end);
    at = end;
  }
  return numbers;
}
