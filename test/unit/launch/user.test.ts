import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findUser } from '../../../src/launch/init/user.ts';

const PASSWD = `root:x:0:0:root:/root:/bin/sh
app:x:1000:1001:an app:/home/app:/bin/sh
broken
wrap:x:4294967296:0::/:/bin/sh
minus:x:-1:-1::/:/bin/sh
`;
const GROUP = `root:x:0:
app:x:1001:
staff:x:50:app,other
wheel:x:10:app
`;

const find = (user: string, extra: string[] = []) => findUser(user, extra, PASSWD, GROUP);

describe('the user of a container', () => {
  test('by name comes with groups and home', () => {
    assert.deepEqual(find('app'), { uid: 1000, gid: 1001, groups: [1001, 50, 10], home: '/home/app' });
  });

  test('by number is looked up too, and need not be there', () => {
    assert.deepEqual(find('1000'), find('app'));
    assert.deepEqual(find('4242'), { uid: 4242, gid: 0, groups: [0], home: '/' });
  });

  test('is root when nothing is said, even without files', () => {
    assert.deepEqual(find(''), { uid: 0, gid: 0, groups: [0], home: '/root' });
    assert.deepEqual(findUser('', [], '', ''), { uid: 0, gid: 0, groups: [0], home: '/root' });
  });

  test('with a group named has no other memberships', () => {
    assert.deepEqual(find('app:staff').groups, [50]);
    assert.deepEqual(find('app:77', ['wheel', '5']).groups, [77, 10, 5]);
  });

  test('unknown by name is an error', () => {
    for (const user of ['nobody', 'app:nogroup', 'broken'])
      assert.throws(() => find(user), { code: 'NOT_FOUND' }, user);
    assert.throws(() => find('app', ['nogroup']), { code: 'NOT_FOUND' });
  });

  test('CVE-2024-40635: a number that would wrap around to root is refused', () => {
    for (const user of ['4294967296', '-1', '2147483648', '0:4294967296', '18446744073709551616']) {
      assert.throws(() => find(user), { code: 'INVALID_ARGUMENT' }, user);
    }
  });

  test('CVE-2024-40635: a line of passwd that would wrap around is as if it were not there', () => {
    for (const user of ['wrap', 'minus']) assert.throws(() => find(user), { code: 'NOT_FOUND' }, user);
  });
});
