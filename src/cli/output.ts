/**
 * The two streams. Results go to stdout, everything else to stderr; with --json, stdout carries JSON and nothing
 * else. Text of strangers (labels, names, a server's messages) is made harmless here, at the last moment.
 */
import { fstatSync } from 'node:fs';
import { styleText } from 'node:util';
import type { ErrorCode, TslayerError } from '../errors.ts';
import { printable, printableJson } from './format.ts';
import { err, out } from './streams.ts';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly logLevel: LogLevel;
  readonly color: boolean;
}

/** For errors from deep below, where it is not known what a user can do. */
const HINTS: { readonly [code in ErrorCode]?: string } = {
  NO_SPACE: 'remove images with rmi, collect with gc, or put the store elsewhere with --root',
};

type Style = Parameters<typeof styleText>[0];

export class Output {
  readonly options: OutputOptions;

  constructor(options: OutputOptions) {
    this.options = options;
  }

  /** A line of the result. */
  line(text: string): void {
    out.write(`${printable(text)}\n`);
  }

  lines(texts: Iterable<string>): void {
    for (const text of texts) this.line(text);
  }

  /** Bytes of the result as they are: a file, a log. */
  raw(bytes: Uint8Array | string): boolean {
    return out.write(bytes);
  }

  /** One document for a listing (indented: people read it, too), or one line of a stream of events. */
  document(value: unknown): void {
    out.write(`${printableJson(asJson(value, 2))}\n`);
  }

  event(value: unknown): void {
    out.write(`${printableJson(asJson(value))}\n`);
  }

  /** Rows under headers. Nothing but the headers when there are no rows, as docker does. */
  async table(headers: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
    const { renderTable } = await import('./table.ts');
    out.write(renderTable(headers, rows));
  }

  /** A message on stderr, for people. */
  message(text: string, level: LogLevel = 'info'): void {
    if (!this.shows(level)) return;
    const label = level === 'warn' ? `${this.#style('yellow', 'warning:')} ` : '';
    err.write(`${label}${printable(text)}\n`);
  }

  shows(level: LogLevel): boolean {
    const limit = this.options.quiet ? 'error' : this.options.logLevel;
    return LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(limit);
  }

  /** One line and perhaps a hint. With --json a last event on stdout, and on stderr unless both are one stream. */
  error(error: TslayerError): void {
    const { code, message, hint = HINTS[code] } = error;
    if (this.options.json) {
      const event = { type: 'error', code, message, ...(hint !== undefined && { hint }) };
      this.event(event);
      if (!sameStream(1, 2)) err.write(`${printableJson(JSON.stringify(event))}\n`);
    } else {
      err.write(`${this.#style('red', 'tslayer:')} ${printable(message)}\n`);
      if (hint) err.write(`${this.#style('cyan', 'hint:')} ${printable(hint)}\n`);
    }
    if (this.options.logLevel === 'debug')
      for (const line of stackOf(error).split('\n')) err.write(`${printable(line)}\n`);
  }

  #style(style: Style, text: string): string {
    return this.options.color ? styleText(style, text, { stream: err.stream }) : text;
  }
}

/** Calling toJson for each value takes as long as all the rest: seldom is there one for it. */
function asJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, isPlain(value) ? undefined : toJson, indent);
}

function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'bigint';
  if (Array.isArray(value)) return value.every(isPlain);
  if (value instanceof Map) return false;
  for (const name in value) if (!isPlain((value as Record<string, unknown>)[name])) return false;
  return true;
}

/** JSON has no bigint and no Map: both have one obvious spelling. */
function toJson(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Map) return Object.fromEntries(value);
  return value;
}

function sameStream(a: number, b: number): boolean {
  try {
    const [one, other] = [fstatSync(a), fstatSync(b)];
    return one.dev === other.dev && one.ino === other.ino && one.rdev === other.rdev;
  } catch {
    return false;
  }
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
