/** Whatever layers and writes come, all drivers show the same tree and find the same changes. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import type { LayerItem } from '../../drivers/conformance/encode.ts';
import { closeUnpacker, Kit } from '../../drivers/conformance/kit.ts';
import { compareTrees, type TreeRecord } from '../../drivers/conformance/tree.ts';
import { loadDriver } from '../../drivers/index.ts';
import { isTslayerError } from '../../src/errors.ts';
import { completeLayer, showItem, sketchyLayer } from '../support/random-layers.ts';
import { kernel, kernelFs, missing, root } from '../support/requires.ts';

const NAMES = ['overlayfs', 'vfs', 'erofs'];
const skip = missing(root, kernelFs('overlay'), kernelFs('erofs'), kernel(6, 12));
const runs = Number(process.env.TSLAYER_PROPERTY_RUNS ?? 20);

describe('all drivers agree', { skip }, () => {
  after(closeUnpacker);

  for (const [name, layer] of Object.entries({
    'that name every directory': completeLayer,
    'that imply most': sketchyLayer,
  })) {
    test(`on the tree of any changesets ${name}`, async () => {
      const stacks = fc.array(layer, { minLength: 1, maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(stacks, async (layers) => {
          const [first, ...others] = await Promise.all(NAMES.map((driver) => treeOf(driver, layers)));
          for (const [at, other] of others.entries()) {
            const text = layers.map((items) => items.map(showItem).join(', ')).join('\n');
            assert.deepEqual(differences(first!, other), [], `${NAMES[0]} and ${NAMES[at + 1]} on\n${text}`);
          }
        }),
        { numRuns: runs },
      );
    });
  }
});

type Outcome = readonly TreeRecord[] | string;

/** The merged tree, or the code of the error with which a layer was refused. */
async function treeOf(name: string, layers: readonly (readonly LayerItem[])[]): Promise<Outcome> {
  await using kit = await Kit.open(await loadDriver(name));
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
