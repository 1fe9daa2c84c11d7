/**
 * The one error type of tslayer. Callers branch on `code`, never on the message; the command line maps
 * codes to exit statuses. No message, hint or cause may ever hold a credential.
 */

/** Everything that can go wrong, as a closed union. The comment names the exit status of the command line. */
export type ErrorCode =
  | 'FAILED' // 1: anything without a better code
  | 'INVALID_ARGUMENT' // 2: wrong use
  | 'INVALID_REFERENCE' // 2
  | 'NOT_FOUND' // 3: image, tag, blob, snapshot, container, file
  | 'DENIED' // 4: the registry refused, or the kernel did (EPERM, EACCES)
  | 'DIGEST_MISMATCH' // 5: bytes are not what their digest says
  | 'SIZE_MISMATCH' // 5: too short, too long
  | 'DIFF_ID_MISMATCH' // 5: the unpacked layer is not what the config says
  | 'MALFORMED' // 5: a manifest, config, archive or layer that breaks its format
  | 'UNSAFE_LAYER' // 5: a layer that tries to leave its directory, or to smuggle driver metadata
  | 'LIMIT_EXCEEDED' // 5: a bomb: more bytes, entries or names than the configured limits
  | 'UNSUPPORTED' // 6: driver, kernel, platform or media type
  | 'IN_USE' // 7
  | 'ALREADY_EXISTS' // 7
  | 'NO_SPACE' // 8
  | 'NETWORK' // 9: the network gave up after the retry policy was exhausted
  | 'ABORTED'; // 130: by the caller's AbortSignal

export interface ErrorDetails {
  /** What the user can do about it: one line, imperative. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** Marks a TslayerError of any copy of this module: the command line is bundled apart from the library. */
const BRAND = Symbol.for('tslayer.error');

export class TslayerError extends Error {
  override readonly name = 'TslayerError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** An error of another copy, as a driver from outside throws it, is one too; subclasses are told apart as ever. */
Object.defineProperty(TslayerError, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    if (this !== TslayerError) return Function.prototype[Symbol.hasInstance].call(this as typeof TslayerError, value);
    return value instanceof Error && BRAND in value;
  },
});

export function isTslayerError(error: unknown, code?: ErrorCode): error is TslayerError {
  return error instanceof TslayerError && (code === undefined || error.code === code);
}

const CODE_OF_ERRNO: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'NO_SPACE',
  EDQUOT: 'NO_SPACE',
  EPERM: 'DENIED',
  EACCES: 'DENIED',
  ENOENT: 'NOT_FOUND',
  EBUSY: 'IN_USE',
  EEXIST: 'ALREADY_EXISTS',
  ENOSYS: 'UNSUPPORTED',
  EOPNOTSUPP: 'UNSUPPORTED',
  ENOTSUP: 'UNSUPPORTED',
  ABORT_ERR: 'ABORTED',
};

function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Any thrown value as a TslayerError: one that is one already stays as it is, a system error gets the code
 * of its errno, the rest becomes FAILED. `doing` says what failed, as in `cannot write the blob`.
 */
export function asTslayerError(error: unknown, doing?: string): TslayerError {
  if (error instanceof TslayerError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = CODE_OF_ERRNO[errnoOf(error) ?? ''] ?? 'FAILED';
  return new TslayerError(code, doing === undefined ? message : `${doing}: ${message}`, { cause: error });
}

/** Throws the signal's reason as ABORTED when the caller has given up. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal);
}

/** The ABORTED error of a signal; a TslayerError given as the abort reason is passed on as it is. */
export function abortError(signal: AbortSignal): TslayerError {
  if (signal.reason instanceof TslayerError) return signal.reason;
  return new TslayerError('ABORTED', 'interrupted', { cause: signal.reason });
}
