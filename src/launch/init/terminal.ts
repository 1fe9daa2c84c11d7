/** The container's own terminal: a pty of its devpts, whose master goes to the launcher. */
import { closeSync, fchownSync, fstatSync, openSync } from 'node:fs';
import { O_NOFOLLOW, O_RDWR } from '../../sys/at.ts';
import { majorOf, minorOf } from '../../sys/files.ts';
import { MS_BIND, mount } from '../../sys/mount-api.ts';
import { dup2, setControllingTerminal, setWindowSize, unlockSlave, type WindowSize } from '../../sys/pty.ts';
import { LaunchError } from '../errors.ts';
import { awaitAnswer, send } from './channel.ts';
import { pathOf, Rootfs } from './rootfs.ts';

const O_NOCTTY = 0o400;

/** Makes stdin, stdout and stderr a terminal that the process controls; `uid` comes to own it. Returns the slave. */
export function openTerminal(uid: number, size: WindowSize | undefined): number {
  const master = openSync('/dev/pts/ptmx', O_RDWR | O_NOCTTY | O_NOFOLLOW);
  // The master of a devpts is 5:2; anything else was put there by the container.
  const { rdev } = fstatSync(master);
  if (majorOf(rdev) !== 5 || minorOf(rdev) !== 2) {
    throw new LaunchError(125, 'FAILED', '/dev/pts/ptmx in the container is no terminal multiplexer');
  }
  const slave = openSync(`/dev/pts/${unlockSlave(master)}`, O_RDWR | O_NOCTTY | O_NOFOLLOW);
  if (size) setWindowSize(master, size);
  fchownSync(slave, uid, -1);
  send({ type: 'terminal', master });
  awaitAnswer();
  closeSync(master);
  setControllingTerminal(slave);
  for (const fd of [0, 1, 2]) dup2(slave, fd);
  return slave;
}

/** /dev/console is the container's terminal, not the host's. Our own /dev: no link can lead away (CVE-2025-52565). */
export function bindConsole(slave: number): void {
  using root = new Rootfs('/');
  const target = root.ensure('/dev/console', 'file', 'refuse');
  mount(pathOf(slave), pathOf(target), '', MS_BIND);
  closeSync(target);
}
