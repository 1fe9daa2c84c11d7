/** Extended attributes by name in an open directory, where the kernel has a call for it and where it has not. */
import assert from 'node:assert/strict';
import { closeSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { getXattr, listXattrs, listXattrsAt, procPath, setXattr } from '../../../src/sys/xattr.ts';
import { tempDir } from '../../support/temp-dir.ts';

test('attributes of a file in an open directory are those that its path has', () => {
  using dir = tempDir('xattr');
  const name = Buffer.from([0x66, 0xff, 0x0a]);
  const path = Buffer.concat([Buffer.from(`${dir.path}/`), name]);
  writeFileSync(path, '');
  setXattr(path, 'user.one', Buffer.from('1'));
  setXattr(path, 'user.two', Buffer.from('2'));
  symlinkSync(name, join(dir.path, 'link'));
  const fd = openSync(dir.path, 'r');
  try {
    assert.deepEqual(listXattrsAt(fd, name), listXattrs(path));
    assert.deepEqual(listXattrsAt(fd, name).map(String).sort(), ['user.one', 'user.two']);
    assert.deepEqual(listXattrs(procPath(fd, name)), listXattrs(path));
    assert.equal(getXattr(procPath(fd, name), 'user.two')?.toString(), '2');
    assert.deepEqual(listXattrsAt(fd, Buffer.from('link')), [], 'a link is not followed');
    assert.throws(() => listXattrsAt(fd, Buffer.from('none')), { code: 'ENOENT' });
  } finally {
    closeSync(fd);
  }
});
