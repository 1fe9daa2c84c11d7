/**
 * Holds `df` against the disk: what `du` finds in each area of the store, what the rows say of it, and a name for
 * each difference. The areas together are everything below ROOT, so that nothing is left unexplained.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { throwIfAborted } from '../errors.ts';
import { algorithmOf, type Digest, hexOf } from '../oci/digest.ts';
import type { OperationOptions } from '../progress.ts';
import type { StoreContext } from './context.ts';
import type { DiskUsage } from './df.ts';
import { driverOwn, isDriverOwn, mountPointsIn } from './df-overhead.ts';
import { type Amount, addAmount } from './usage.ts';

export interface Difference extends Readonly<Amount> {
  /** Directory below ROOT. */
  readonly area: string;
  readonly because: string;
}

export interface Reconciliation {
  /** What `du` finds: blocks of each file once, nothing that is mounted in the store. */
  readonly du: Readonly<Amount>;
  /** `du` minus the total of `df`, by cause; empty when they agree to the byte. */
  readonly differences: readonly Difference[];
}

export async function reconcile(
  context: StoreContext,
  usage: Pick<DiskUsage, 'blobs' | 'layers' | 'written' | 'overhead'>,
  options: OperationOptions = {},
): Promise<Reconciliation> {
  const walk = new Walk(context.paths.root, options.signal);
  const blobs = await walk.below('blobs', 2);
  const layers = await walk.below('layers', 1);
  const rest = await walk.rest(['blobs', 'layers']);
  const differences = [
    ...blobDifferences(context, usage, blobs),
    difference('layers', minus(layers, usage.layers, usage.written), 'layers as they are now, against when unpacked'),
    difference('.', minus(rest, usage.overhead), 'the store at work: files written or removed while df looked'),
  ].filter(({ bytes, inodes }) => bytes !== 0 || inodes !== 0);
  const du: Amount = { bytes: 0, inodes: 0 };
  for (const part of [blobs, layers, rest]) addAmount(du, part);
  return { du, differences };
}

/** Blobs that no row knows apart from blocks that the file system needs to find those of the others. */
function blobDifferences(context: StoreContext, { blobs }: Pick<DiskUsage, 'blobs'>, found: Amount): Difference[] {
  const known = new Set(
    context.metadata.database
      .all<{ digest: Digest }>('SELECT digest FROM blobs')
      .map(({ digest }) => `${algorithmOf(digest)}/${hexOf(digest)}`),
  );
  const unknown: Amount = { bytes: 0, inodes: 0 };
  for (const algorithm of readdirSync(context.paths.blobs)) {
    for (const name of readdirSync(join(context.paths.blobs, algorithm))) {
      const stat = known.has(`${algorithm}/${name}`)
        ? undefined
        : lstatSync(join(context.paths.blobs, algorithm, name), { throwIfNoEntry: false });
      if (stat) addAmount(unknown, { bytes: stat.blocks * 512, inodes: 1 });
    }
  }
  return [
    difference('blobs', unknown, 'blobs of running or interrupted pulls, or that no row knows (gc removes those)'),
    difference('blobs', minus(found, blobs, unknown), 'blocks in which the file system notes where a large file lies'),
  ];
}

function difference(area: string, amount: Amount, because: string): Difference {
  return { area, bytes: amount.bytes, inodes: amount.inodes, because };
}

function minus(from: Readonly<Amount>, ...parts: readonly Readonly<Amount>[]): Amount {
  return parts.reduce<Amount>((left, part) => ({ bytes: left.bytes - part.bytes, inodes: left.inodes - part.inodes }), {
    ...from,
  });
}

/** Adds up blocks as du(1) does. */
class Walk {
  readonly #root: string;
  readonly #signal: AbortSignal | undefined;
  readonly #device: number;
  readonly #mounted: ReadonlySet<string>;
  /** Hard-linked files that were counted. */
  readonly #seen = new Set<number>();

  constructor(root: string, signal: AbortSignal | undefined) {
    this.#root = root;
    this.#signal = signal;
    this.#device = lstatSync(root).dev;
    this.#mounted = mountPointsIn(root);
  }

  /** What lies `depth` and more levels below a directory of the store; the levels above are overhead. */
  async below(name: string, depth: number): Promise<Amount> {
    const sum: Amount = { bytes: 0, inodes: 0 };
    await this.#add(sum, join(this.#root, name), depth, new Set());
    return sum;
  }

  /** ROOT itself and all in it but what lies in `areas` by their own count. */
  async rest(areas: readonly string[]): Promise<Amount> {
    const sum: Amount = { bytes: 0, inodes: 0 };
    await this.#add(sum, this.#root, 0, new Set(areas.map((name) => join(this.#root, name))));
    // Directories of the areas, down to where their own count begins, and the driver's own things.
    for (const path of [join(this.#root, 'blobs'), join(this.#root, 'layers')]) this.#count(sum, path);
    for (const name of readdirSync(join(this.#root, 'blobs'))) this.#count(sum, join(this.#root, 'blobs', name));
    for (const name of await driverOwn(join(this.#root, 'layers'))) {
      await this.#add(sum, join(this.#root, 'layers', name), 0, new Set());
    }
    return sum;
  }

  async #add(sum: Amount, path: string, depth: number, without: ReadonlySet<string>): Promise<void> {
    const pending = [{ path, depth }];
    for (let next = pending.pop(), count = 0; next !== undefined; next = pending.pop(), count++) {
      if (count % 1000 === 999) await turn();
      throwIfAborted(this.#signal);
      const isDirectory = next.depth > 0 ? true : this.#count(sum, next.path);
      if (!isDirectory) continue;
      for (const name of readdirSync(next.path)) {
        const child = join(next.path, name);
        const own = next.path === join(this.#root, 'layers') && isDriverOwn(name);
        if (!without.has(child) && !own) pending.push({ path: child, depth: next.depth - 1 });
      }
    }
  }

  /** Counts one file; whether it is a directory to go into. */
  #count(sum: Amount, path: string): boolean {
    if (this.#mounted.has(path)) return false;
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || stat.dev !== this.#device) return false;
    if (!stat.isDirectory() && stat.nlink > 1) {
      if (this.#seen.has(stat.ino)) return false;
      this.#seen.add(stat.ino);
    }
    addAmount(sum, { bytes: stat.blocks * 512, inodes: 1 });
    return stat.isDirectory();
  }
}
