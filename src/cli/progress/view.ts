/** What shows an operation's progress, chosen by where the output goes. */
import type { OnProgress } from '../../progress.ts';
import type { Output } from '../output.ts';
import { LiveView } from './live.ts';
import { NdjsonView } from './ndjson.ts';
import { PlainView } from './plain.ts';

export interface ProgressView {
  readonly onProgress: OnProgress;
  /** Leaves the terminal as a plain line-writer would; called on success and on failure. */
  finish(): void;
}

const SILENT: ProgressView = { onProgress: () => undefined, finish: () => undefined };

export function openProgress(output: Output): ProgressView {
  const { json, quiet } = output.options;
  if (json) return new NdjsonView(output);
  if (quiet || !output.shows('info')) return SILENT;
  return process.stderr.isTTY && process.env.TERM !== 'dumb' ? new LiveView(output) : new PlainView(output);
}
