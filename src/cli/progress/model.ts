/** What is known of a running operation, gathered from its events: the state behind the live display. */
import type { LayerState, ProgressEvent } from '../../progress.ts';

export interface LayerProgress {
  readonly digest: string;
  /** Compressed bytes. */
  size: number;
  bytes: number;
  /** Uncompressed bytes unpacked so far. */
  unpacked: number;
  state: LayerState | 'planned' | 'transferring';
  readonly speed: Speedometer;
}

const FINISHED: ReadonlySet<LayerProgress['state']> = new Set(['exists', 'done', 'pushed', 'mounted']);
/** Speed is that of the last seconds: long enough to be calm, short enough to be true. */
const WINDOW_MS = 3_000;

/** How fast a count grows. */
class Speedometer {
  /** [time, bytes], oldest first. */
  readonly #samples: [number, number][] = [];

  add(now: number, bytes: number): void {
    this.#samples.push([now, bytes]);
    while (this.#samples.length > 1 && now - (this.#samples[0]?.[0] ?? now) > WINDOW_MS) this.#samples.shift();
  }

  /** Bytes a second; 0 when nothing moves. */
  at(now: number): number {
    const recent = this.#samples.filter(([time]) => now - time <= WINDOW_MS);
    const [first] = recent;
    const last = recent.at(-1);
    if (!first || !last || now <= first[0]) return 0;
    return ((last[1] - first[1]) / (now - first[0])) * 1000;
  }
}

export function isFinished(layer: LayerProgress): boolean {
  return FINISHED.has(layer.state);
}

export class ProgressModel {
  readonly #layers = new Map<string, LayerProgress>();
  readonly #speed = new Speedometer();
  #message = '';

  get layers(): Iterable<LayerProgress> {
    return this.#layers.values();
  }

  get message(): string {
    return this.#message;
  }

  update(event: ProgressEvent, now: number): void {
    switch (event.type) {
      case 'plan':
        for (const planned of event.layers) {
          const layer = this.#layer(planned.digest);
          layer.size = planned.size;
          if (planned.present) this.#settle(layer, 'exists');
        }
        break;
      case 'transfer':
        this.#transfer(this.#layer(event.digest), event.bytes, event.total, now);
        break;
      case 'unpack':
        this.#layer(event.digest).unpacked = event.bytes;
        break;
      case 'layer':
        this.#settle(this.#layer(event.digest), event.state);
        break;
      case 'step':
        this.#message = event.message;
        break;
      case 'resolved':
      case 'retry':
      case 'warning':
        break;
    }
  }

  totals(): { bytes: number; size: number; finished: number; layers: number } {
    const sum = { bytes: 0, size: 0, finished: 0, layers: this.#layers.size };
    for (const layer of this.#layers.values()) {
      sum.bytes += layer.bytes;
      sum.size += layer.size;
      if (isFinished(layer)) sum.finished++;
    }
    return sum;
  }

  /** Bytes a second over the last few seconds; 0 when nothing moves. */
  speed(now: number): number {
    return this.#speed.at(now);
  }

  #layer(digest: string): LayerProgress {
    let layer = this.#layers.get(digest);
    if (!layer) {
      layer = { digest, size: 0, bytes: 0, unpacked: 0, state: 'planned', speed: new Speedometer() };
      this.#layers.set(digest, layer);
    }
    return layer;
  }

  #transfer(layer: LayerProgress, bytes: number, total: number, now: number): void {
    layer.bytes = bytes;
    layer.size = total;
    layer.state = 'transferring';
    layer.speed.add(now, bytes);
    this.#speed.add(now, this.totals().bytes);
  }

  #settle(layer: LayerProgress, state: LayerState): void {
    layer.state = state;
    if (isFinished(layer) || state === 'downloaded') layer.bytes = layer.size;
  }
}
