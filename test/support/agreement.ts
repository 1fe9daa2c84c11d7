/** Whatever layers and writes come, the drivers given show the same tree and find the same changes. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import type { LayerItem } from '../../drivers/conformance/encode.ts';
import { dir, file, symlink, whiteout } from '../../drivers/conformance/items.ts';
import { closeUnpacker, describeChange, Kit, treeBelow } from '../../drivers/conformance/kit.ts';
import { compareTrees, type TreeRecord } from '../../drivers/conformance/tree.ts';
import type { Change, DriverModule } from '../../drivers/driver.ts';
import { filled, writeTar } from '../../src/archive/tar-writer.ts';
import { isTslayerError } from '../../src/errors.ts';
import { collect } from './collect.ts';
import { completeLayer, showItem, sketchyLayer } from './random-layers.ts';
import { type Limits, perform, settleTimes, type Write, writes } from './random-writes.ts';

export type Drivers = Readonly<Record<string, DriverModule>>;

const runs = Number(process.env.TSLAYER_PROPERTY_RUNS ?? 20);

/** Declares the tests. @param skip why they cannot run here */
export function agreement(drivers: Drivers, skip?: string, limits: Limits = {}): void {
  agreeOnTrees(drivers, skip);
  agreeOnWrites(drivers, skip, limits);
}

function agreeOnTrees(drivers: Drivers, skip: string | undefined): void {
  const names = Object.keys(drivers);
  describe(`${names.join(', ')} agree`, { skip }, () => {
    after(closeUnpacker);

    for (const [name, layer] of Object.entries({
      'that name every directory': completeLayer,
      'that imply most': sketchyLayer,
    })) {
      test(`on the tree of any changesets ${name}`, async () => {
        const stacks = fc.array(layer, { minLength: 1, maxLength: 4 });
        await fc.assert(
          fc.asyncProperty(stacks, async (layers) => {
            const [first, ...others] = await Promise.all(
              Object.values(drivers).map((module) => treeOf(module, layers)),
            );
            for (const [at, other] of others.entries()) {
              const text = layers.map((items) => items.map(showItem).join(', ')).join('\n');
              assert.deepEqual(differences(first!, other), [], `${names[0]} and ${names[at + 1]} on\n${text}`);
            }
          }),
          { numRuns: runs },
        );
      });
    }
  });
}

const BASE = [
  dir('d'),
  file('d/x', 'x'),
  file('d/y', 'yy'),
  dir('d/s'),
  file('d/s/x', 's'),
  file('x', '1'),
  symlink('y', 'x'),
];
const OVER = [dir('e'), file('e/x', 'e'), whiteout('d/y'), dir('d'), file('z', 'z', { xattrs: { 'trusted.n': '7' } })];

function agreeOnWrites(drivers: Drivers, skip: string | undefined, limits: Limits): void {
  const names = Object.keys(drivers);
  describe(`whatever is written on ${names.join(', ')}`, { skip }, () => {
    after(closeUnpacker);

    test('the calls answer alike, the changes and their tar are the same, and applied they give the same tree', async () => {
      await fc.assert(
        fc.asyncProperty(writes, async (list) => {
          const [first, ...others] = await Promise.all(
            Object.values(drivers).map((module) => written(module, list, limits)),
          );
          for (const other of others) assert.deepEqual(other, first);
        }),
        { numRuns: runs * 2 },
      );
    });
  });
}

/** What the calls answer, what changes they leave on one driver, and the tar of these; checks there that the changes are complete. */
async function written(module: DriverModule, list: readonly Write[], limits: Limits): Promise<readonly string[][]> {
  await using kit = await Kit.open(module);
  const stack = await kit.stack(BASE, OVER);
  const { id, path } = await kit.work(stack);
  const answers = perform(path, list, limits);
  if (limits.coarseTimes) {
    // What is left to copy up for a look at the changes is copied up by the first one.
    await kit.changes(id, stack);
    settleTimes(path, limits);
  }
  const changes: string[] = [];
  for await (const change of kit.driver.changes(id, stack)) changes.push(await tell(change));
  const applied = await kit.layer(kit.driver.changes(id, stack), stack);
  assert.deepEqual(compareTrees(treeBelow(path), await kit.view(applied)), [], `${module.name}: applied again`);
  const tar = createHash('sha256');
  for await (const chunk of writeTar(kit.driver.changes(id, stack))) tar.update(chunk);
  return [answers, changes, [tar.digest('hex')]];
}

async function tell(change: Change): Promise<string> {
  if (change.kind === 'deleted' || change.kind === 'opaque') return describeChange(change);
  const { mode, uid, gid, mtime, size, xattrs, linkname } = change.entry;
  const content = change.open ? Buffer.concat(await collect(filled(change.entry, change.open()))).toString() : '';
  const attributes = xattrs.map((xattr) => `${Buffer.from(xattr.name)}=${Buffer.from(xattr.value)}`).join();
  const time = `${mtime.seconds}.${mtime.nanoseconds}`;
  return [describeChange(change), mode, uid, gid, time, size, attributes, Buffer.from(linkname), content].join(' ');
}

type Outcome = readonly TreeRecord[] | string;

/** The merged tree, or the code of the error with which a layer was refused. */
async function treeOf(module: DriverModule, layers: readonly (readonly LayerItem[])[]): Promise<Outcome> {
  await using kit = await Kit.open(module);
  try {
    return await kit.view(await kit.stack(...layers));
  } catch (error) {
    if (isTslayerError(error)) return error.code;
    throw error;
  }
}

function differences(expected: Outcome, found: Outcome): string[] {
  if (typeof expected === 'string' || typeof found === 'string') {
    return expected === found ? [] : [`${show(expected)} against ${show(found)}`];
  }
  return compareTrees(expected, found);
}

function show(outcome: Outcome): string {
  return typeof outcome === 'string' ? outcome : `${outcome.length} entries`;
}
