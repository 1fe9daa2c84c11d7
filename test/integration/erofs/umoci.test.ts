/** A stack of EROFS layers shows what umoci unpacks from an image of the same layers. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { encodeLayer, type LayerItem } from '../../../drivers/conformance/encode.ts';
import { dir as directoryItem } from '../../../drivers/conformance/items.ts';
import { isTslayerError } from '../../../src/errors.ts';
import { collect } from '../../support/collect.ts';
import { ErofsStack } from '../../support/erofs-stack.ts';
import { hardLayers } from '../../support/hard-layers.ts';
import { completeLayer, showItem } from '../../support/random-layers.ts';
import { kernel, kernelFs, program, requires, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { compareTrees, snapshotTree, type TreeRecord } from '../../support/tree-snapshot.ts';

const needs = [root, kernelFs('erofs'), kernelFs('overlay'), kernel(6, 12), program('umoci')];

/** A tree, or that a layer was refused. */
type Outcome = readonly TreeRecord[] | 'refused';

/** Where a stack and what umoci unpacks differ; empty where both are the same. */
async function differences(directory: string, tars: readonly Uint8Array[]): Promise<string[]> {
  const [theirs, ours] = [unpackWithUmoci(directory, tars), await showStack(directory, tars)];
  if (theirs !== 'refused' && ours !== 'refused') return compareTrees(theirs.map(seen), ours.map(seen));
  return theirs === ours ? [] : [`umoci: ${show(theirs)}, tslayer: ${show(ours)}`];
}

async function showStack(directory: string, tars: readonly Uint8Array[]): Promise<Outcome> {
  using stack = await ErofsStack.open(join(directory, 'erofs'));
  const layers: string[] = [];
  try {
    for (const tar of tars) layers.unshift(await stack.layer(tar));
  } catch (error) {
    if (isTslayerError(error, 'MALFORMED')) return 'refused';
    throw error;
  }
  return snapshotTree(await stack.mount(undefined, layers, { readOnly: true }));
}

const show = (outcome: Outcome): string => (outcome === 'refused' ? outcome : `${outcome.length} entries`);

/** Go's tar drops attributes without a value, as PAX has it; GNU tar writes and reads them, and so do we. */
function seen(record: TreeRecord): TreeRecord {
  return { ...record, xattrs: record.xattrs.filter((text) => !text.endsWith('=')) };
}

describe('a stack of EROFS layers shows what umoci unpacks', () => {
  test('of every hard case', async (t) => {
    if (!requires(t, ...needs, program('setfacl'), program('setcap'))) return;
    using dir = tempDir('erofs-umoci');
    const tars = hardLayers(dir.path, { without: ['./sparse/large'] });
    assert.deepEqual(await differences(dir.path, tars), []);
    assert.notEqual(await showStack(join(dir.path, 'again'), tars), 'refused');
  });

  test('of any changesets', async (t) => {
    if (!requires(t, ...needs)) return;
    const stacks = fc.array(completeLayer, { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(stacks, async (layers) => {
        fc.pre(!layers.some((items) => items.some(linksItself) || deletesItsOwn(items) || marksLate(items)));
        using dir = tempDir('erofs-umoci');
        // The root is named, too: its time is else that of the unpacking.
        const named = layers.map((items) => [directoryItem('', TIME), ...items.flatMap(nameOpaque)]);
        const tars = await Promise.all(named.map(async (items) => Buffer.concat(await collect(encodeLayer(items)))));
        const text = layers.map((items) => items.map(showItem).join(', ')).join('\n');
        assert.deepEqual(await differences(dir.path, tars), [], text);
      }),
      { numRuns: Number(process.env.TSLAYER_PROPERTY_RUNS ?? 20) },
    );
  });
});

const TIME = { mtime: { seconds: 1, nanoseconds: 0 } };

/** A directory that only its opaque mark names is none to umoci; docker and containerd make one, and so do we. */
function nameOpaque(item: LayerItem): LayerItem[] {
  return item.kind === 'opaque' ? [directoryItem(Buffer.from(item.path).toString(), TIME), item] : [item];
}

/** umoci removes the name first, and then finds nothing to link. */
function linksItself(item: LayerItem): boolean {
  return (
    'entry' in item && item.entry.type === 'hardlink' && Buffer.compare(item.entry.path, item.entry.linkname) === 0
  );
}

/** A directory beside its own whiteout has the time of the unpacking with umoci, and its entry's with us. */
function deletesItsOwn(items: readonly LayerItem[]): boolean {
  const deleted = new Set(items.flatMap((item) => (item.kind === 'deleted' ? [key(item.path)] : [])));
  return items.some((item) => 'entry' in item && deleted.has(key(item.entry.path)));
}

/**
 * A mark behind directories that lie in the one it marks: umoci then takes what lower layers have out of those, which
 * dates them anew.
 */
function marksLate(items: readonly LayerItem[]): boolean {
  return items.some((mark, at) => {
    if (mark.kind !== 'opaque') return false;
    const below = `${key(mark.path)}/`;
    return items
      .slice(0, at)
      .some((item) => 'entry' in item && item.entry.type === 'directory' && key(item.entry.path).startsWith(below));
  });
}

const key = (path: Uint8Array): string => Buffer.from(path).toString('latin1');

function unpackWithUmoci(directory: string, tars: readonly Uint8Array[]): Outcome {
  const umoci = (...args: string[]) => execFileSync('umoci', args, { cwd: directory, stdio: 'pipe' });
  umoci('init', '--layout', 'oci');
  umoci('new', '--image', 'oci:latest');
  for (const [index, tar] of tars.entries()) {
    writeFileSync(join(directory, `${index}.tar`), tar);
    umoci('raw', 'add-layer', '--image', 'oci:latest', `${index}.tar`);
  }
  try {
    umoci('unpack', '--image', 'oci:latest', 'bundle');
  } catch {
    return 'refused';
  }
  return snapshotTree(join(directory, 'bundle/rootfs'));
}
