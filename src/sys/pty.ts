/** Pseudo terminals: pty(7), ioctl_tty(2). */
import { check, native } from './libc.ts';

const cIoctl = native('int', 'ioctl', ['int', 'ulong', 'bytes']);
const cTcgetattr = native('int', 'tcgetattr', ['int', 'bytes']);
const cTcsetattr = native('int', 'tcsetattr', ['int', 'int', 'bytes']);
const cCfmakeraw = native('int', 'cfmakeraw', ['bytes']);

const TCSADRAIN = 1;
/** Enough for struct termios of every C library. */
const TERMIOS_BYTES = 128;
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

/** As isatty(3), whose module of Node's loads half of its streams. */
export function isTerminal(fd: number): boolean {
  return cTcgetattr(fd, Buffer.alloc(TERMIOS_BYTES)) === 0;
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

/**
 * Passes every byte through as it is, in and out. Node's own raw mode still turns each newline into two characters
 * on the way out, which garbles what a full-screen program draws. Gives what restoreMode takes.
 */
export function makeRaw(terminal: number): Uint8Array {
  const before = Buffer.alloc(TERMIOS_BYTES);
  check(cTcgetattr(terminal, before), 'tcgetattr');
  const raw = Buffer.from(before);
  cCfmakeraw(raw);
  check(cTcsetattr(terminal, TCSADRAIN, raw), 'tcsetattr');
  return before;
}

export function restoreMode(terminal: number, mode: Uint8Array): void {
  check(cTcsetattr(terminal, TCSADRAIN, mode), 'tcsetattr');
}
