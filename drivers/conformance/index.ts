/**
 * The conformance suite of storage drivers: one call in a test file that `node --test` runs as root.
 *
 *     import { conformance } from 'tslayer/drivers/conformance';
 *     import { driver } from './my-driver.js';
 *     conformance('my driver', { module: driver });
 *
 * Everything happens on real mounts in a temporary directory. What a driver may do differently (rename a lower
 * directory, keep hard links) is said in the set-up, and then tested too.
 */
import { after, describe } from 'node:test';
import { changesPart } from './changes.ts';
import { copyOnWrite } from './copy-on-write.ts';
import { closeUnpacker } from './kit.ts';
import { lifecycle } from './lifecycle.ts';
import { metadata } from './metadata.ts';
import { names } from './names.ts';
import { scale } from './scale.ts';
import { sparse } from './sparse.ts';
import { register, type Setup } from './suite.ts';
import { whiteouts } from './whiteouts.ts';

export type { Setup } from './suite.ts';
export { compareTrees, snapshotTree, type TreeOptions, type TreeRecord } from './tree.ts';

/** Registers the whole suite for one driver. */
export function conformance(name: string, setup: Setup): void {
  describe(`${name}: conformance`, () => {
    after(closeUnpacker);
    describe('layers', () => register(setup, whiteouts));
    describe('attributes', () => register(setup, metadata));
    describe('names', () => register(setup, names));
    describe('sparse files', () => register(setup, sparse));
    describe('copy on write', () => register(setup, copyOnWrite));
    describe('life', () => register(setup, lifecycle));
    describe('changes', () => register(setup, changesPart));
    describe('many', () => register(setup, scale));
  });
}
