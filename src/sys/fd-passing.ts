/** Open files handed to another process over a UNIX socket: socketpair(2), unix(7), cmsg(3). */
import { check, native } from './libc.ts';
import { addressOf } from './memory.ts';

const cSocketpair = native('int', 'socketpair', ['int', 'int', 'int', 'bytes']);
const cSendmsg = native('long', 'sendmsg', ['int', 'bytes', 'int']);
const cSetsockopt = native('int', 'setsockopt', ['int', 'int', 'int', 'bytes', 'uint']);

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000;
/** The kernel's own limit for one message, SCM_MAX_FD. */
export const MAX_FDS = 253;

// One block: struct msghdr (56 bytes), its struct iovec (16), then the control area.
const IOVEC = 56;
const CONTROL = 72;
const CONTROL_HEADER = 16; // struct cmsghdr
const CONTROL_LENGTH_AT = 40;

/** Two connected descriptors, both close-on-exec. */
export function socketPair(): [number, number] {
  const pair = new Int32Array(2);
  check(cSocketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, new Uint8Array(pair.buffer)), 'socketpair');
  return [pair[0]!, pair[1]!];
}

/** Reading from the socket fails with EAGAIN when nothing has come for so long. */
export function setReceiveTimeout(socket: number, seconds: number): void {
  const timeval = new BigInt64Array([BigInt(seconds), 0n]);
  check(cSetsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, new Uint8Array(timeval.buffer), timeval.byteLength), 'setsockopt');
}

/** A message of one buffer with room for `fds` descriptors. */
function messageBlock(data: Uint8Array, fds: number): Buffer {
  const control = fds === 0 ? 0 : CONTROL_HEADER + Math.ceil(fds / 2) * 8;
  const block = Buffer.alloc(CONTROL + control);
  const base = addressOf(block);
  block.writeBigUInt64LE(base + BigInt(IOVEC), 16);
  block.writeBigUInt64LE(1n, 24);
  if (control > 0) block.writeBigUInt64LE(base + BigInt(CONTROL), 32);
  block.writeBigUInt64LE(BigInt(control), CONTROL_LENGTH_AT);
  block.writeBigUInt64LE(addressOf(data), IOVEC);
  block.writeBigUInt64LE(BigInt(data.length), IOVEC + 8);
  return block;
}

/** Sends at least one byte with descriptors. Blocks as the socket does. Returns the bytes sent. */
export function sendWithFds(socket: number, data: Uint8Array, fds: readonly number[]): number {
  const block = messageBlock(data, fds.length);
  if (fds.length > 0) {
    block.writeBigUInt64LE(BigInt(CONTROL_HEADER + fds.length * 4), CONTROL);
    block.writeInt32LE(SOL_SOCKET, CONTROL + 8);
    block.writeInt32LE(SCM_RIGHTS, CONTROL + 12);
    for (const [i, fd] of fds.entries()) block.writeInt32LE(fd, CONTROL + CONTROL_HEADER + i * 4);
  }
  return check(cSendmsg(socket, block, MSG_NOSIGNAL), 'sendmsg');
}
