/** Progress for logs and pipes: one line a finished step, nothing that moves. */
import type { LayerState, OnProgress, ProgressEvent } from '../../progress.ts';
import { shortDigest, size } from '../format.ts';
import type { LogLevel, Output } from '../output.ts';

const SAID: Readonly<Partial<Record<LayerState, string>>> = {
  exists: 'already here',
  waiting: 'waiting for another process',
  done: 'done',
  pushed: 'pushed',
  mounted: 'mounted from another repository',
};

export class PlainView {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  readonly onProgress: OnProgress = (event) => {
    const line = plainLine(event);
    if (line) this.#output.message(line.text, line.level);
  };

  finish(): void {}
}

/** The line of an event that is worth one. */
export function plainLine(event: ProgressEvent): { text: string; level: LogLevel } | undefined {
  switch (event.type) {
    case 'resolved':
      return info(`${event.reference}: ${event.digest} from ${event.endpoint}`);
    case 'plan':
      return event.layers.every((layer) => layer.present) ? undefined : info(planLine(event));
    case 'layer': {
      const said = SAID[event.state];
      return said === undefined ? undefined : info(`${shortDigest(event.digest)}: ${said} (${size(event.bytes)})`);
    }
    case 'retry':
      return { text: `${event.reason}: trying again in ${(event.delayMs / 1000).toFixed(1)} s`, level: 'warn' };
    case 'warning':
      return { text: event.message, level: 'warn' };
    case 'step':
      return info(event.message);
    case 'transfer':
    case 'unpack':
      return undefined;
  }
}

function info(text: string): { text: string; level: LogLevel } {
  return { text, level: 'info' };
}

function planLine(event: ProgressEvent & { type: 'plan' }): string {
  const missing = event.layers.filter((layer) => !layer.present);
  const bytes = missing.reduce((sum, layer) => sum + layer.size, 0);
  return `${missing.length} of ${event.layers.length} layers are new (${size(bytes)})`;
}
