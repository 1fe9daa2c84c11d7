/** The container's own terminal: a pty of its devpts, whose master goes to the launcher. */
import { O_NOFOLLOW, O_RDWR } from '../../sys/at.ts';
import { MS_BIND } from '../../sys/mount-api.ts';
import type { WindowSize } from '../../sys/pty.ts';
import type { RemoteProcess } from '../../sys/remote/process.ts';
import { LaunchError } from '../errors.ts';
import { pathOf, Rootfs } from './rootfs.ts';

const O_NOCTTY = 0o400;
const TIOCSCTTY = 0x540e;
const TIOCSWINSZ = 0x5414;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTN = 0x80045430;

export interface TerminalRequest {
  /** Whose it becomes. */
  readonly uid: number;
  readonly size: WindowSize | undefined;
  /** Takes the master: it is closed in the init process afterwards. */
  readonly onMaster: (master: number) => void;
}

/** Makes stdin, stdout and stderr a terminal that the process controls. Returns the slave. */
export function openTerminal(init: RemoteProcess, { uid, size, onMaster }: TerminalRequest): number {
  const master = init.open('/dev/pts/ptmx', O_RDWR | O_NOCTTY | O_NOFOLLOW);
  // The master of a devpts is 5:2; anything else was put there by the container.
  const device = init.statFd(master);
  if (device.major !== 5 || device.minor !== 2) {
    throw new LaunchError(125, 'FAILED', '/dev/pts/ptmx in the container is no terminal multiplexer');
  }
  const slave = init.open(`/dev/pts/${unlockSlave(init, master)}`, O_RDWR | O_NOCTTY | O_NOFOLLOW);
  if (size) setWindowSize(init, master, size);
  init.chownFd(slave, uid, -1);
  onMaster(master);
  init.close(master);
  init.call('ioctl', [slave, TIOCSCTTY, 0]);
  for (const fd of [0, 1, 2]) init.duplicate(slave, fd);
  return slave;
}

/** The number of a master's slave, as in /dev/pts/N. */
function unlockSlave(init: RemoteProcess, master: number): number {
  init.ioctl(master, TIOCSPTLCK, Buffer.alloc(4));
  return init.ioctl(master, TIOCGPTN, Buffer.alloc(4)).readInt32LE(0);
}

/** struct winsize: ioctl_tty(2). */
function setWindowSize(init: RemoteProcess, terminal: number, { rows, columns }: WindowSize): void {
  const winsize = Buffer.alloc(8);
  winsize.writeUInt16LE(rows, 0);
  winsize.writeUInt16LE(columns, 2);
  init.ioctl(terminal, TIOCSWINSZ, winsize);
}

/** /dev/console is the container's terminal, not the host's. Our own /dev: no link can lead away (CVE-2025-52565). */
export function bindConsole(init: RemoteProcess, slave: number): void {
  using root = new Rootfs(init, '/');
  const target = root.ensure('/dev/console', 'file', 'refuse');
  init.mount(pathOf(slave), pathOf(target), '', MS_BIND);
  init.close(target);
}
