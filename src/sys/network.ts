/** Network interfaces, as far as a namespace without a network manager needs them: netdevice(7). */
import { closeSync } from 'node:fs';
import { check, native } from './libc.ts';

const cSocket = native('int', 'socket', ['int', 'int', 'int']);
const cIoctl = native('int', 'ioctl', ['int', 'ulong', 'bytes']);

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
const FLAGS_AT = 16;

/** Brings an interface up. The loopback gets 127.0.0.1 and ::1 by itself. */
export function bringUp(name: string): void {
  const socket = check(cSocket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket');
  try {
    const ifreq = Buffer.alloc(40);
    ifreq.write(name, 0, FLAGS_AT - 1);
    check(cIoctl(socket, SIOCGIFFLAGS, ifreq), 'ioctl SIOCGIFFLAGS', name);
    ifreq.writeUInt16LE(ifreq.readUInt16LE(FLAGS_AT) | IFF_UP, FLAGS_AT);
    check(cIoctl(socket, SIOCSIFFLAGS, ifreq), 'ioctl SIOCSIFFLAGS', name);
  } finally {
    closeSync(socket);
  }
}
