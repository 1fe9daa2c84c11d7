import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Mount } from '../../../src/mounts/mount.ts';
import { joinParameters, parseOptions } from '../../../src/mounts/options.ts';
import { MOUNT_ATTR_NODEV, MOUNT_ATTR_RDONLY, MS_NODEV, MS_RDONLY } from '../../../src/sys/mount-api.ts';

const mount = (type: string, ...options: string[]): Mount => ({ type, source: 'x', options });

describe('parseOptions', () => {
  test("tells the mount's own options from the file system's", () => {
    const parsed = parseOptions(
      mount('overlay', 'ro', 'lowerdir+=/a=b', 'userxattr', 'nodev', 'idmap=/proc/1/ns/user'),
    );
    assert.equal(parsed.attributes, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
    assert.equal(parsed.flags, MS_RDONLY | MS_NODEV);
    assert.equal(parsed.idmap, '/proc/1/ns/user');
    assert.equal(joinParameters(parsed.parameters), 'lowerdir+=/a=b,userxattr');
  });

  test('refuses parameters of a bind mount, which the kernel would drop without a word', () => {
    assert.throws(() => parseOptions(mount('bind', 'uid=5')), { code: 'INVALID_ARGUMENT' });
    assert.equal(parseOptions(mount('bind', 'rbind', 'rw')).recursive, true);
  });
});
