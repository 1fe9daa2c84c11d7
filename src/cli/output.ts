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

const CLEAR_SCREEN = '\x1b[H\x1b[J';

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
    out.write(jsonLine(JSON.stringify(value, undefined, 2)));
  }

  event(value: unknown): void {
    out.write(jsonLine(JSON.stringify(value)));
  }

  /** Rows under headers. Nothing but the headers when there are no rows, as docker does. */
  async table(headers: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
    const { renderTable } = await import('./table.ts');
    out.write(renderTable(headers, rows));
  }

  /** The same on a terminal, in the place of what it shows. */
  async screen(headers: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
    const { renderScreen } = await import('./table.ts');
    // A terminal that does not know its size says 0.
    const size = { columns: out.stream.columns || 80, rows: out.stream.rows || 24 };
    out.write(`${CLEAR_SCREEN}${renderScreen(headers, rows, size)}`);
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

/**
 * A line of JSON as bytes. What is ASCII needs no escapes to be harmless, and is told by its length: no look at each
 * character, and no copy, of what may be tens of megabytes.
 */
function jsonLine(json: string): Buffer {
  // Room for one character more than fit if each takes a byte, whatever it takes, and for the end of the line.
  const bytes = Buffer.allocUnsafe(json.length + LONGEST_CHARACTER + 1);
  const length = bytes.write(json);
  if (length !== json.length || bytes.subarray(0, length).includes(DELETE))
    return Buffer.from(`${printableJson(json)}\n`);
  bytes[length] = LINE_FEED;
  return bytes.subarray(0, length + 1);
}

const LONGEST_CHARACTER = 4;
const DELETE = 0x7f;
const LINE_FEED = 0x0a;

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
