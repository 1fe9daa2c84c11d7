/** Files without a name: memfd_create(2). */
import { closeSync, writeSync } from 'node:fs';
import { check, cstring, hasErrno, native } from './libc.ts';

const cMemfdCreate = native('int', 'memfd_create', ['path', 'uint']);
const cFcntl = native('int', 'fcntl', ['int', 'int', 'long']);

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_EXEC = 0x10;
const F_ADD_SEALS = 1033;
/** Nobody can change it any more, nor the seals. */
const SEALS = 0xf;

/** An executable in memory that nobody can write to: not even through /proc/PID/exe. */
export function executableInMemory(name: string, content: Uint8Array): number {
  const fd = create(name);
  try {
    writeSync(fd, content);
    check(cFcntl(fd, F_ADD_SEALS, SEALS), 'fcntl F_ADD_SEALS');
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Kernels from 6.3 on want to be told that it will be executed; older ones do not know the word. */
function create(name: string): number {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  try {
    return check(cMemfdCreate(cstring(name), flags | MFD_EXEC), 'memfd_create');
  } catch (error) {
    if (!hasErrno(error, 'EINVAL')) throw error;
    return check(cMemfdCreate(cstring(name), flags), 'memfd_create');
  }
}
