/** Exit statuses of the command line, one for each kind of failure. */
import type { ErrorCode } from '../errors.ts';

const STATUS: Readonly<Record<ErrorCode, number>> = {
  FAILED: 1,
  INVALID_ARGUMENT: 2,
  INVALID_REFERENCE: 2,
  NOT_FOUND: 3,
  DENIED: 4,
  DIGEST_MISMATCH: 5,
  SIZE_MISMATCH: 5,
  DIFF_ID_MISMATCH: 5,
  MALFORMED: 5,
  UNSAFE_LAYER: 5,
  LIMIT_EXCEEDED: 5,
  UNSUPPORTED: 6,
  IN_USE: 7,
  ALREADY_EXISTS: 7,
  NO_SPACE: 8,
  NETWORK: 9,
  ABORTED: 130,
};

/** `run` and `exec` keep the low numbers for the program: what fails before it starts is this, as with docker. */
export const LAUNCHER_FAILED = 125;
/** 128 + SIGPIPE: whoever read our output has gone. */
export const READER_GONE = 141;

export function exitStatusOf(code: ErrorCode): number {
  return STATUS[code];
}
