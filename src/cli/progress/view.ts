/** What shows an operation's progress, chosen by where the output goes; only that one is loaded. */
import type { OnProgress } from '../../progress.ts';
import type { Output } from '../output.ts';
import { err } from '../streams.ts';

export interface ProgressView {
  readonly onProgress: OnProgress;
  /** Leaves the terminal as a plain line-writer would; idempotent. */
  finish(): void;
}

const SILENT: ProgressView = { onProgress: () => undefined, finish: () => undefined };

export async function openProgress(output: Output): Promise<ProgressView> {
  const { json, quiet } = output.options;
  if (json) return new (await import('./ndjson.ts')).NdjsonView(output);
  if (quiet || !output.shows('info')) return SILENT;
  const isTerminal = err.isTerminal && process.env.TERM !== 'dumb';
  return isTerminal
    ? new (await import('./live.ts')).LiveView(output)
    : new (await import('./plain.ts')).PlainView(output);
}
