/** Lists of keys as one text: what they give back is what a Map of the same strings does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { KeyList, NO_KEY, numbersIn } from '../../../src/metadata/key-list.ts';
import { digestOf } from '../../../src/oci/digest.ts';

const digest = fc.nat(50).chain((seed) => fc.constantFrom(digestOf(`${seed}`), digestOf(`${seed}`, 'sha512')));
/** Some end alike, some begin alike, some are as long as a word and some are not ASCII. */
const word = fc.stringMatching(/^[a-cä]{1,9}$/);
const key = fc.oneof(digest, word, fc.constant(NO_KEY));
const keys = fc.oneof(fc.array(digest), fc.array(key));

function placesByMap(list: readonly string[], wanted: readonly string[]): number[] {
  const places = new Map(list.map((text, place) => [text, place]));
  return wanted.map((text) => places.get(text) ?? -1);
}

describe('a list of keys', () => {
  test('finds each where it is, and none that it does not hold', () => {
    fc.assert(
      fc.property(keys, keys, (some, wanted) => {
        const list = [...new Set(some)];
        const places = KeyList.of(list).placesOf(KeyList.of(wanted));
        assert.deepEqual(Array.from(places), placesByMap(list, wanted));
      }),
    );
  });

  test('gives back its keys', () => {
    fc.assert(
      fc.property(keys, (list) => {
        assert.deepEqual(KeyList.of(list).strings(), list);
        assert.equal(KeyList.of(list).length, list.length);
      }),
    );
  });

  test('reads a text wherever it lies in memory', () => {
    const list = [digestOf('a'), digestOf('b'), digestOf('c')];
    for (const offset of [0, 1, 2, 3, 4]) {
      const bytes = Buffer.from(`${'x'.repeat(offset)}${list.join(' ')} `).subarray(offset);
      const places = new KeyList(bytes, list.length).placesOf(KeyList.of([list[2] as string, digestOf('d')]));
      assert.deepEqual(Array.from(places), [2, -1]);
    }
  });
});

test('numbers of a text', () => {
  fc.assert(
    fc.property(fc.array(fc.maxSafeNat()), (numbers) => {
      const text = Buffer.from(numbers.map((number) => `${number} `).join(''));
      assert.deepEqual(Array.from(numbersIn(text, numbers.length)), numbers);
    }),
  );
});
