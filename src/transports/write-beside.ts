/**
 * Files of others' directories, which appear when they are whole: written as .NAME.UUID.partial beside their place,
 * synced, and renamed. What a killed writer left there goes with the next one's start; flock(2) tells the two apart.
 */
import { randomUUID } from 'node:crypto';
import { fsync, lstatSync, readdirSync, renameSync, rmSync, write } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { TslayerError } from '../errors.ts';
import { lock, tryLock } from '../sys/locks.ts';

const sync = promisify(fsync);
const writeSome = promisify(write);

/**
 * Under its own name the file is never seen half done, and what was there before stays until then. It outlives a power
 * loss; its name does once the directory is synced.
 */
export async function writeBeside(
  path: string,
  content: AsyncIterable<Uint8Array>,
  { syncName = true }: { readonly syncName?: boolean } = {},
): Promise<void> {
  const there = await stat(path).catch(ignoreMissing);
  if (there && !there.isFile() && !there.isDirectory()) return writeThrough(path, content);
  const [directory, name] = [dirname(path), partialName(path)];
  if ((await stat(directory).catch(ignoreMissing)) === undefined) {
    throw new TslayerError('NOT_FOUND', `cannot write ${path}: there is no such directory`);
  }
  sweepPartials(directory, name);
  const temporary = join(directory, `${name}.${randomUUID()}.partial`);
  using held = await lock(temporary, { permissions: 0o644 });
  try {
    for await (const chunk of content) await writeAll(held.fd, chunk);
    await sync(held.fd);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  if (syncName) await syncDirectory(directory);
}

export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path);
  await directory.sync();
}

/** Room for the rest in the 255 bytes of a name. */
function partialName(path: string): string {
  return `.${basename(path).slice(0, 64)}`;
}

function sweepPartials(directory: string, name: string): void {
  for (const entry of readdirSync(directory)) {
    if (!entry.startsWith(`${name}.`) || !entry.endsWith('.partial')) continue;
    const path = join(directory, entry);
    const found = lstatSync(path, { throwIfNoEntry: false });
    // In a directory like /tmp anybody may have put something there.
    if (!found?.isFile() || found.uid !== process.geteuid?.()) continue;
    using held = tryLock(path);
    if (held) rmSync(path, { force: true });
  }
}

async function writeAll(fd: number, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    done += (await writeSome(fd, chunk, done, chunk.length - done)).bytesWritten;
  }
}

/** Into a pipe or device: there is no name to give. */
async function writeThrough(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  await using file = await open(path, 'w');
  for await (const chunk of content) await file.writeFile(chunk);
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
