/**
 * A container's log: a line for each line, as Kubernetes' container runtimes write them,
 * `TIME STREAM F text`; `P` instead of `F` when the line goes on in the next record of that stream.
 */

import { once } from 'node:events';
import { closeSync, createReadStream, existsSync, openSync, watch, writeSync } from 'node:fs';
import { hasErrno } from '../sys/libc.ts';
import type { LogEntry, LogOptions } from './launcher.ts';

export type LogStream = LogEntry['stream'];

const NEWLINE = 0x0a;

export class LogWriter implements Disposable {
  readonly #fd: number;
  /** The last record has no end. */
  #isTorn = false;

  constructor(path: string) {
    this.#fd = openSync(path, 'a', 0o600);
  }

  /** As text of one byte a character, which V8 cuts and joins several times faster than buffers. */
  write(stream: LogStream, data: Uint8Array): void {
    if (data.length === 0) return;
    const head = `${new Date().toISOString()} ${stream}`;
    const lines = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1').split('\n');
    const rest = lines.pop()!;
    const records = lines.map((line) => `${head} F ${line}\n`);
    if (rest !== '') records.push(`${head} P ${rest}\n`);
    this.#append(records.join(''));
  }

  /** A full disk is no reason to end the program: what has no room is left out. */
  #append(records: string): void {
    const text = this.#isTorn ? `\n${records}` : records;
    try {
      this.#isTorn = writeSync(this.#fd, text, undefined, 'latin1') < text.length;
    } catch (error) {
      if (!hasErrno(error, 'ENOSPC', 'EDQUOT', 'EFBIG')) throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** One record's line, without its newline; undefined for what is none. */
export function parseRecord(line: Uint8Array): LogEntry | undefined {
  const buffer = Buffer.from(line.buffer, line.byteOffset, line.byteLength);
  const head = /^(\S+) (stdout|stderr) ([FP]) /.exec(buffer.toString('latin1', 0, 64));
  if (!head) return undefined;
  const text = buffer.subarray(head[0].length);
  const data = head[3] === 'F' ? Buffer.concat([text, Buffer.of(NEWLINE)]) : text;
  return { time: new Date(head[1]!), stream: head[2] as LogStream, data };
}

/**
 * The log's records, and with `follow` those that come until `isOver`.
 *
 * @param isOver asked when the end is reached: whether nothing more will be written
 */
export async function* readLog(
  path: string,
  options: LogOptions,
  isOver: () => Promise<boolean>,
): AsyncGenerator<LogEntry> {
  const wanted = (entry: LogEntry): boolean => options.since === undefined || entry.time >= options.since;
  const reader = new LogReader(path);
  if (options.tail === undefined) {
    for await (const entry of reader.rest()) if (wanted(entry)) yield entry;
  } else yield* lastLines(reader.rest(), options.tail, wanted);
  while (options.follow && !options.signal?.aborted) {
    const over = await isOver();
    for await (const entry of reader.rest()) if (wanted(entry)) yield entry;
    if (over) return;
    await somethingHappens(path, options.signal);
  }
}

/** Reads on from where it stopped. */
class LogReader {
  readonly #path: string;
  #offset = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async *rest(): AsyncGenerator<LogEntry> {
    if (!existsSync(this.#path)) return;
    let carried = Buffer.alloc(0);
    for await (const chunk of createReadStream(this.#path, { start: this.#offset })) {
      let data = Buffer.concat([carried, chunk as Buffer]);
      for (let end = data.indexOf(NEWLINE); end !== -1; end = data.indexOf(NEWLINE)) {
        const entry = parseRecord(data.subarray(0, end));
        this.#offset += end + 1;
        data = data.subarray(end + 1);
        if (entry) yield entry;
      }
      carried = data;
    }
  }
}

async function* lastLines(
  entries: AsyncIterable<LogEntry>,
  lines: number,
  wanted: (entry: LogEntry) => boolean,
): AsyncGenerator<LogEntry> {
  const kept: LogEntry[] = [];
  let complete = 0;
  const isComplete = (entry: LogEntry | undefined): boolean => entry?.data.at(-1) === NEWLINE;
  for await (const entry of entries) {
    if (!wanted(entry)) continue;
    kept.push(entry);
    if (isComplete(entry)) complete++;
    // One that has not ended yet is a line, too.
    const begun = isComplete(entry) ? 0 : 1;
    while (complete > 0 && complete + begun > lines) if (isComplete(kept.shift())) complete--;
  }
  yield* lines > 0 ? kept : [];
}

const POLL_MS = 250;

/** The log grows, or some time passes: its end is not the file's to tell. */
async function somethingHappens(path: string, signal: AbortSignal | undefined): Promise<void> {
  const timeout = AbortSignal.timeout(POLL_MS);
  const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
  try {
    const watcher = watch(path, { signal: either });
    await once(watcher, 'change', { signal: either });
    watcher.close();
  } catch (error) {
    if (!either.aborted && !hasErrno(error, 'ENOENT')) throw error;
  }
}
