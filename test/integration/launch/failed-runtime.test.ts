/** Another runtime that cannot start: what it and we have made for the container goes again. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { findHierarchies } from '../../../src/launch/cgroups/hierarchies.ts';
import { exitStatusOf } from '../../../src/launch/index.ts';
import { LaunchKit } from '../../support/launch-kit.ts';
import { missing, program, root } from '../../support/requires.ts';

const skip = missing(root, program('busybox'), program('runc')) ?? false;

function cgroupsIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  const entries = readdirSync(directory, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** In every hierarchy. */
function placesOf(parent: string): string[] {
  return findHierarchies().map(({ mountpoint }) => join(mountpoint, parent));
}

describe('a runc whose start fails', { skip }, () => {
  let kit: LaunchKit;
  before(() => {
    kit = new LaunchKit();
  });
  after(() => kit[Symbol.asyncDispose]());

  async function fails(options: { readonly cgroupParent?: string }): Promise<void> {
    const error: unknown = await kit
      .run({ runtime: 'runc', command: ['nope'], memory: '64m', pidsLimit: 9, ...options })
      .catch((reason: unknown) => reason);
    assert.equal(exitStatusOf(error), 127);
  }

  test('leaves no cgroup below the parent that was named, and the parent', async () => {
    // Of the test's own: others have containers below the common one.
    const cgroupParent = `/tslayer-failed-${process.pid}`;
    try {
      await fails({ cgroupParent });
      const places = placesOf(cgroupParent);
      assert.ok(places.some(existsSync), 'the parent is what the user named');
      assert.deepEqual(
        places.flatMap((place) => cgroupsIn(place).map((name) => join(place, name))),
        [],
      );
      assert.deepEqual(kit.leftovers(), []);
    } finally {
      for (const place of placesOf(cgroupParent)) if (existsSync(place)) rmdirSync(place);
    }
  });

  test('takes the common parent away, unless others have containers there', async () => {
    await fails({});
    // Empty for good is what it must not be: between two steps of another's container it may be.
    const isEmpty = (place: string): boolean => existsSync(place) && cgroupsIn(place).length === 0;
    for (let tries = 0; placesOf('tslayer').some(isEmpty); tries++) {
      assert.ok(tries < 100, `left: ${placesOf('tslayer').filter(isEmpty).join(', ')}`);
      await delay(50);
    }
    assert.deepEqual(kit.leftovers(), []);
  });
});
