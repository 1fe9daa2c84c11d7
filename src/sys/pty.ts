/** Pseudo terminals: pty(7), ioctl_tty(2). */
import { check, native } from './libc.ts';

const cIoctl = native('int', 'ioctl', ['int', 'ulong', 'bytes']);
const cIoctlInt = native('int', 'ioctl', ['int', 'ulong', 'long']);
const cDup2 = native('int', 'dup2', ['int', 'int']);

const TIOCSCTTY = 0x540e;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTN = 0x80045430;

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** The number of a master's slave, as in /dev/pts/N; the slave is unlocked. */
export function unlockSlave(master: number): number {
  const word = Buffer.alloc(4);
  check(cIoctl(master, TIOCSPTLCK, word), 'ioctl TIOCSPTLCK');
  check(cIoctl(master, TIOCGPTN, word), 'ioctl TIOCGPTN');
  return word.readInt32LE(0);
}

/** Makes a terminal the controlling one of the session that the caller leads. */
export function setControllingTerminal(slave: number): void {
  check(cIoctlInt(slave, TIOCSCTTY, 0), 'ioctl TIOCSCTTY');
}

export function setWindowSize(terminal: number, size: WindowSize): void {
  const winsize = Buffer.alloc(8);
  winsize.writeUInt16LE(size.rows, 0);
  winsize.writeUInt16LE(size.columns, 2);
  check(cIoctl(terminal, TIOCSWINSZ, winsize), 'ioctl TIOCSWINSZ');
}

export function getWindowSize(terminal: number): WindowSize {
  const winsize = Buffer.alloc(8);
  check(cIoctl(terminal, TIOCGWINSZ, winsize), 'ioctl TIOCGWINSZ');
  return { rows: winsize.readUInt16LE(0), columns: winsize.readUInt16LE(2) };
}

export function dup2(from: number, to: number): void {
  check(cDup2(from, to), 'dup2');
}
