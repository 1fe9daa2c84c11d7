/** Whether this user may make any file of a layer, and how cheap copies are here. */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asTslayerError } from '../../src/errors.ts';
import { mknod, reflink, S_IFCHR } from '../../src/sys/files.ts';
import { hasErrno } from '../../src/sys/libc.ts';
import { makeDirectories } from '../../src/sys/make-directories.ts';
import { setXattr } from '../../src/sys/xattr.ts';
import type { Probe } from '../driver.ts';

export async function probeVfs(directory: string): Promise<Probe> {
  let temporary: string | undefined;
  try {
    makeDirectories(directory, 0o700);
    temporary = mkdtempSync(join(directory, '.probe-'));
    mknod(join(temporary, 'device'), S_IFCHR | 0o600, 0x103n);
    const features = { reflink: clones(temporary), xattrs: holdsXattrs(temporary) };
    const how = features.reflink ? 'copies share their blocks here' : 'each snapshot is a full copy here';
    return { available: true, reason: how, features };
  } catch (error) {
    return { available: false, reason: reasonOf(error), features: {} };
  } finally {
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
  }
}

function reasonOf(error: unknown): string {
  if (hasErrno(error, 'EPERM', 'EACCES')) return 'making device nodes needs root';
  if (hasErrno(error, 'EROFS')) return 'the store lies on a read-only file system';
  return asTslayerError(error).message;
}

function clones(directory: string): boolean {
  writeFileSync(join(directory, 'source'), 'x');
  const source = openSync(join(directory, 'source'), 'r');
  const target = openSync(join(directory, 'target'), 'w');
  try {
    return reflink(source, target);
  } finally {
    closeSync(source);
    closeSync(target);
  }
}

function holdsXattrs(directory: string): boolean {
  try {
    setXattr(join(directory, 'source'), 'user.tslayer', Buffer.from('x'));
    return true;
  } catch (error) {
    if (hasErrno(error, 'EOPNOTSUPP')) return false;
    throw error;
  }
}
