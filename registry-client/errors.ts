/**
 * What can go wrong between here and a registry. A RegistryError is a TslayerError that also knows the status, the
 * registry's own codes and whether trying again makes sense. Its texts hold no query, no user info and no secret.
 */
import { type ErrorCode, TslayerError } from '../src/errors.ts';

/** `absent`: the other side does not encrypt. `refused`: one side does not accept the other. */
export type TlsFailure = 'absent' | 'refused';

export interface RegistryErrorDetails {
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  readonly status?: number;
  /** `MANIFEST_UNKNOWN`, `DENIED`… as the registry says. */
  readonly wireCodes?: readonly string[];
  readonly retryAfterMs?: number | undefined;
  readonly temporary?: boolean;
  /** What was wrong with the encryption. */
  readonly tls?: TlsFailure;
  /** Tries after which this kind of failure is final, whatever the policy allows. */
  readonly maxAttempts?: number | undefined;
}

export class RegistryError extends TslayerError {
  readonly status: number | undefined;
  readonly wireCodes: readonly string[];
  readonly retryAfterMs: number | undefined;
  /** The same request may succeed later. */
  readonly temporary: boolean;
  readonly maxAttempts: number;
  readonly tls: TlsFailure | undefined;

  constructor(code: ErrorCode, message: string, details: RegistryErrorDetails = {}) {
    super(code, message, { hint: details.hint, cause: details.cause });
    this.status = details.status;
    this.wireCodes = details.wireCodes ?? [];
    this.retryAfterMs = details.retryAfterMs;
    this.temporary = details.temporary ?? false;
    this.tls = details.tls;
    this.maxAttempts = details.maxAttempts ?? Number.POSITIVE_INFINITY;
  }
}

const RETRIED = new Set([408, 429, 500, 502, 503, 504]);

export interface Circumstances {
  readonly retryAfterMs?: number | undefined;
  /** Where the credential that was sent came from. */
  readonly credential?: string | undefined;
}

/** The error of an answer that is not the wanted one. `said` is the registry's own explanation, already harmless. */
export function statusError(
  what: string,
  place: string,
  status: number,
  said: Said,
  { retryAfterMs, credential }: Circumstances = {},
): RegistryError {
  const reason = said.message === '' ? '' : `: ${said.message}`;
  return new RegistryError(codeOfStatus(status), `${what}: ${place} answered ${status}${reason}`, {
    status,
    wireCodes: said.codes,
    retryAfterMs,
    temporary: RETRIED.has(status),
    hint: hintOfStatus(status, said.codes, credential),
  });
}

export interface Said {
  readonly codes: readonly string[];
  readonly message: string;
}

function codeOfStatus(status: number): ErrorCode {
  if (status === 401 || status === 403 || status === 407) return 'DENIED';
  if (status === 404 || status === 410) return 'NOT_FOUND';
  if (status === 413) return 'LIMIT_EXCEEDED';
  if (status === 405 || status === 501) return 'UNSUPPORTED';
  if (status === 429 || status === 408 || status >= 500) return 'NETWORK';
  return 'FAILED';
}

function hintOfStatus(status: number, codes: readonly string[], credential: string | undefined): string | undefined {
  if (status === 401 && credential !== undefined) return `the credential from ${credential} was not accepted`;
  if (status === 401 || status === 403) return 'the repository may not exist, or `tslayer login` may be needed';
  if (status === 429) return 'the registry limits how often it is asked; wait, or log in for a higher limit';
  if (status === 407) return 'the proxy wants credentials: write them into HTTPS_PROXY';
  if (codes.includes('NAME_UNKNOWN')) return 'check the name of the repository';
  return undefined;
}

const DNS = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA', 'EAI_FAIL', 'EAI_NONAME']);
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'the network is unreachable',
  ERR_STREAM_PREMATURE_CLOSE: 'the connection was closed early',
  HPE_HEADER_OVERFLOW: 'the answer has too many headers',
};

export interface ProblemDetails {
  readonly code: ErrorCode;
  readonly temporary: boolean;
  readonly hint?: string;
}

/** What went wrong below: in a connection, a proxy. Only who asked knows what it was for; see transportError. */
export class TransportProblem extends Error {
  readonly details: ProblemDetails;

  constructor(message: string, details: ProblemDetails) {
    super(message);
    this.details = details;
  }
}

/** Failures that mostly mean a wrong name or a server that is not there: nobody wants to wait for six tries. */
const HOPELESS_SOON: Readonly<Record<string, number>> = { ENOTFOUND: 2, ECONNREFUSED: 3 };

/** A failed exchange (no answer, or a broken one) as an error; `NETWORK`, worth another try unless it is TLS. */
export function transportError(what: string, place: string, error: unknown): TslayerError {
  if (error instanceof TslayerError) return error;
  if (error instanceof TransportProblem) {
    const { code, ...rest } = error.details;
    return new RegistryError(code, `${what}: ${place}: ${error.message}`, { ...rest, cause: error });
  }
  const code = errnoIn(error);
  const tls = tlsProblem(code, error);
  if (tls) {
    const { reason, ...rest } = tls;
    return new RegistryError('NETWORK', `${what}: ${place}: ${reason}`, { ...rest, cause: error });
  }
  const known = DNS.has(code) ? 'the host name cannot be resolved' : REASONS[code];
  return new RegistryError('NETWORK', `${what}: ${place}: ${known ?? (code || 'the connection failed')}`, {
    cause: error,
    temporary: true,
    maxAttempts: HOPELESS_SOON[code],
  });
}

/** Failures of encryption: they do not get better by trying again. */
function tlsProblem(code: string, error: unknown): { reason: string; hint: string; tls: TlsFailure } | undefined {
  const text = error instanceof Error ? error.message : '';
  if (code === 'EPROTO' && /wrong version number|packet length|http request|unknown protocol/i.test(text)) {
    return { reason: 'it does not speak TLS', hint: 'give the registry with --plain-http', tls: 'absent' };
  }
  if (/ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|HANDSHAKE_FAILURE|UNKNOWN_CA)/.test(code)) {
    return { reason: `it refused us (${code})`, hint: CLIENT_HINT, tls: 'refused' };
  }
  if (/^(?:CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT|INVALID_CA|HOSTNAME_MISMATCH)/.test(code)) {
    return { reason: `its certificate is not trusted (${code})`, hint: AUTHORITY_HINT, tls: 'refused' };
  }
  if (!/^ERR_(?:SSL|TLS|OSSL)_/.test(code) && code !== 'EPROTO') return undefined;
  return { reason: `TLS failed (${code})`, hint: AUTHORITY_HINT, tls: 'refused' };
}

const CLIENT_HINT = 'it may want a client certificate: certs.d/HOST/NAME.cert and NAME.key';
const AUTHORITY_HINT = 'put its authority into certs.d/HOST/ca.crt, or allow it with --insecure';

/** The first errno or OpenSSL code in an error, its causes and its parts (happy eyeballs gives an AggregateError). */
export function errnoIn(error: unknown, depth = 0): string {
  if (typeof error !== 'object' || error === null || depth > 4) return '';
  // Our own codes are no errnos.
  if (error instanceof TslayerError) return errnoIn(error.cause, depth + 1);
  if ('code' in error && typeof error.code === 'string' && error.code !== '') return error.code;
  const inner = error instanceof AggregateError ? error.errors[0] : 'cause' in error ? error.cause : undefined;
  return errnoIn(inner, depth + 1);
}
