/** `node random-reads.ts DIRECTORY COUNT`: reads 4 KiB at random places of the directory's larger files. */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';

const [directory = '.', count = '2000'] = process.argv.slice(2);
const files = readdirSync(directory, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))
  .map((path) => ({ path, size: statSync(path).size }))
  .filter(({ size }) => size > 65_536)
  .sort((a, b) => (a.path < b.path ? -1 : 1));

/** The same places each time: xorshift from a fixed start. */
let state = 88_172_645;
function random(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return Math.floor(((state >>> 0) / 2 ** 32) * below);
}

const buffer = Buffer.allocUnsafe(4096);
const started = performance.now();
for (let i = 0; i < Number(count); i++) {
  const { path, size } = files[random(files.length)]!;
  const fd = openSync(path, 'r');
  readSync(fd, buffer, 0, 4096, random(Math.floor(size / 4096)) * 4096);
  closeSync(fd);
}
// The walk that found the files is not what is measured.
process.stdout.write(`${(performance.now() - started) / 1000}\n`);
