/** A sink that does what its options say, on whatever thread it is opened: for tests of the unpacker. */
import { appendFileSync } from 'node:fs';
import { isMainThread, threadId } from 'node:worker_threads';
import type { TarEntry } from '../../../src/archive/entry.ts';
import type { LayerSink, SinkPlan, TarPlace } from '../../../src/archive/sink.ts';
import { TslayerError } from '../../../src/errors.ts';

export interface ScriptedOptions {
  /** File that `closed` is written to when the sink is closed. */
  readonly log?: string;
  readonly fail?: 'open' | 'entry' | 'finish' | 'exit' | 'errno';
  /** Milliseconds that each entry takes. */
  readonly slow?: number;
}

export function scriptedSink(options: ScriptedOptions = {}, ownThread: boolean = false, tar?: TarPlace): SinkPlan {
  return { module: import.meta.url, options, ownThread, tar };
}

export function openSink(options: unknown): LayerSink {
  const { fail, log, slow } = options as ScriptedOptions;
  if (fail === 'open') throw new TslayerError('IN_USE', 'the sink does not open', { hint: 'come back later' });
  let bytes = 0;
  let inodes = 0;
  return {
    whiteout() {},
    opaque() {},
    entry(_entry: TarEntry) {
      inodes++;
      if (slow) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, slow);
      if (fail === 'entry') throw new TslayerError('NO_SPACE', 'the disk is full', { hint: 'buy a larger one' });
      if (fail === 'errno') throw Object.assign(new Error('it broke'), { code: 'EIO' });
      if (fail === 'exit') process.exit(3);
    },
    data(chunk) {
      bytes += chunk.length;
    },
    finish() {
      if (fail === 'finish') throw new TslayerError('UNSUPPORTED', 'it cannot be finished');
      return { bytes, inodes, warnings: [isMainThread ? 'main' : `worker ${threadId}`] };
    },
    close() {
      if (log) appendFileSync(log, 'closed\n');
    },
  };
}
