import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findMount, parseMountInfo } from '../../../src/mounts/mountinfo.ts';

const LINES = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro
36 22 0:31 /sub\\040dir /mnt/a\\040b\\134c rw,nosuid master:3 propagate_from:2 - tmpfs none rw,size=10k
44 27 0:39 / /m rw - overlay none ro,lowerdir+=/w:e\\054i\\134rd/l1,lowerdir+=/l\\303\\244,xino=auto
45 27 0:40 / /m ro - overlay none ro,lowerdir+=/x
`;

describe('parseMountInfo', () => {
  test('reads every field, with any number of optional ones', () => {
    const [first, second] = parseMountInfo(Buffer.from(LINES));
    assert.deepEqual(first, {
      id: 22,
      parentId: 1,
      device: '254:0',
      root: '/',
      mountPoint: '/',
      options: ['rw', 'relatime'],
      propagation: ['shared:1'],
      type: 'ext4',
      source: '/dev/vda',
      superOptions: ['rw', 'errors=remount-ro'],
    });
    assert.equal(second?.mountPoint, '/mnt/a b\\c');
    assert.equal(second?.root, '/sub dir');
    assert.deepEqual(second?.propagation, ['master:3', 'propagate_from:2']);
  });

  test('keeps commas inside options and bytes beyond ASCII', () => {
    const overlay = parseMountInfo(Buffer.from(LINES))[2];
    assert.deepEqual(overlay?.superOptions, ['ro', 'lowerdir+=/w:e,i\\rd/l1', 'lowerdir+=/lä', 'xino=auto']);
  });

  test('the later of two mounts at one place is the one that is seen', () => {
    assert.equal(findMount('/m', parseMountInfo(Buffer.from(LINES)))?.id, 45);
    assert.equal(findMount('/mnt', parseMountInfo(Buffer.from(LINES))), undefined);
  });
});
