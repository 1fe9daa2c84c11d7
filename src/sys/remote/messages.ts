/**
 * Calls as a stub reads them (stub.ts), and its answers. All of this runs some two hundred times at every start of a
 * container, before V8 has optimized any of it: hence one buffer that is used again, and no BigInt on the way.
 */
import { asTslayerError } from '../../errors.ts';
import { cstring, errnos, SystemCallError } from '../libc.ts';
import { numberOf, type SystemCall } from './numbers.ts';
import { BLOCK, BLOCK_BYTES, CALL_BYTES, HEADER_BYTES, MAY_FAIL_AT, RESULT_AT } from './stub.ts';

/** Bytes that hold addresses of their own parts: made when it is known where they will lie. */
export type Placed = (address: number) => Uint8Array;

/** What the kernel writes to: after the call, `bytes` is what it left there. */
export class Output {
  readonly content: Uint8Array | Placed;
  bytes: Buffer = Buffer.alloc(0);
  /** In the message. */
  at: number = 0;

  constructor(content: Uint8Array | Placed) {
    this.content = content;
  }
}

/** Text is passed as a C string, bytes by their address. */
export type Argument = number | string | Uint8Array | Placed | Output | null;

export interface Call {
  readonly name: SystemCall;
  readonly args: readonly Argument[];
  /** For the error's message: a path, a name. */
  readonly subject?: string | undefined;
  /** What it was a part of, where nobody waits for its result: `cannot mount the rootfs`. */
  readonly doing?: string | undefined;
  /** What comes after it is performed in any case, and its error is a result, negative. */
  readonly mayFail?: boolean;
}

let message = Buffer.allocUnsafeSlow(64 * 1024);
let words = new Int32Array(message.buffer);
let end = 0;

/** The header, the calls, the outputs, then all else that arguments point to. Valid until the next message. */
export function encode(calls: readonly Call[]): Uint8Array {
  end = HEADER_BYTES + calls.length * CALL_BYTES;
  reserve(end);
  message.fill(0, 0, end);
  for (const { args } of calls) for (const argument of args) if (argument instanceof Output) placeOutput(argument);
  const answer = end - HEADER_BYTES;
  for (let i = 0, at = HEADER_BYTES; i < calls.length; i++, at += CALL_BYTES) {
    const { name, args, mayFail } = calls[i]!;
    setWord(at, numberOf(name));
    if (mayFail) message[at + MAY_FAIL_AT] = 1;
    for (let j = 0; j < args.length; j++) setWord(at + 8 + j * 8, wordOf(args[j]!));
  }
  setWord(0, end - HEADER_BYTES);
  setWord(8, calls.length);
  setWord(16, BLOCK + HEADER_BYTES);
  setWord(24, answer);
  return message.subarray(0, end);
}

/** How many bytes come back. */
export function answerLength(calls: readonly Call[]): number {
  let length = calls.length * CALL_BYTES;
  for (const { args } of calls) {
    for (const argument of args) if (argument instanceof Output) length += aligned(argument.bytes.length);
  }
  return length;
}

/** The results from the call `first` on; fills the outputs. @throws for the first of all that failed */
export function decode(calls: readonly Call[], answer: Buffer, first: number): number[] {
  const results: number[] = [];
  for (let i = 0, at = RESULT_AT; i < calls.length; i++, at += CALL_BYTES) {
    const low = answer.readInt32LE(at);
    const high = answer.readInt32LE(at + 4);
    if (high === -1 && low >= -MAX_ERRNO && !calls[i]!.mayFail) throw failureOf(calls[i]!, -low);
    if (i >= first) results.push(high * 2 ** 32 + (low >>> 0));
  }
  for (const { args } of calls) for (const argument of args) if (argument instanceof Output) fill(argument, answer);
  return results;
}

function failureOf({ name, subject, doing }: Call, errno: number): Error {
  const error = new SystemCallError(name, errno, subject === undefined ? undefined : JSON.stringify(subject));
  return doing === undefined ? error : asTslayerError(error, doing);
}

function fill(output: Output, answer: Buffer): void {
  const at = output.at - HEADER_BYTES;
  output.bytes = answer.subarray(at, at + output.bytes.length);
}

const MAX_ERRNO = 4095;

const aligned = (length: number): number => (length + 7) & ~7;

function reserve(length: number): void {
  if (length > BLOCK_BYTES) throw new SystemCallError('stub', errnos.E2BIG);
  if (length <= message.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(length, message.length * 2));
  message.copy(larger, 0, 0, end);
  message = larger;
  words = new Int32Array(message.buffer);
}

/** Negative numbers by their two's complement, as C passes them. */
function setWord(at: number, value: number): void {
  words[at >> 2] = value | 0;
  words[(at >> 2) + 1] = Math.floor(value / 2 ** 32);
}

function wordOf(argument: Argument): number {
  if (typeof argument === 'number') return argument;
  if (argument === null) return 0;
  if (typeof argument === 'string') return placeText(argument);
  if (argument instanceof Output) return BLOCK + argument.at;
  return BLOCK + placeBytes(typeof argument === 'function' ? argument(BLOCK + end) : argument);
}

function placeOutput(output: Output): void {
  const { content } = output;
  const bytes = typeof content === 'function' ? content(BLOCK + end) : content;
  output.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  output.at = placeBytes(bytes);
}

function placeBytes(bytes: Uint8Array): number {
  const at = end;
  reserve(at + aligned(bytes.length));
  message.set(bytes, at);
  end = at + aligned(bytes.length);
  return at;
}

/** A text with a NUL inside would be cut silently by C: refused. */
function placeText(text: string): number {
  if (text.includes('\0')) throw new SystemCallError('path', errnos.EINVAL, JSON.stringify(text));
  const at = end;
  const length = Buffer.byteLength(text);
  reserve(at + aligned(length + 1));
  message.write(text, at);
  message[at + length] = 0;
  end = at + aligned(length + 1);
  return BLOCK + at;
}

/** argv and envp: a NULL-terminated array of pointers, the strings behind it. */
export function stringVector(texts: readonly string[]): Placed {
  return (address) => {
    const strings = texts.map(cstring);
    const pointers = Buffer.alloc((strings.length + 1) * 8);
    let at = address + pointers.length;
    for (const [i, bytes] of strings.entries()) {
      pointers.writeBigUInt64LE(BigInt(at), i * 8);
      at += bytes.length;
    }
    return Buffer.concat([pointers, ...strings]);
  };
}
