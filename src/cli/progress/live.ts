/**
 * The live display on a terminal: redrawn in place ten times a second while something changes. Lines that must
 * stay (warnings) are printed above it.
 */
import type { OnProgress } from '../../progress.ts';
import { printable } from '../format.ts';
import type { Output } from '../output.ts';
import { err } from '../streams.ts';
import { renderFrame } from './frame.ts';
import { ProgressModel } from './model.ts';
import { plainLine } from './plain.ts';

const INTERVAL_MS = 100;
const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const CLEAR_REST = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';

export class LiveView {
  readonly #output: Output;
  readonly #model = new ProgressModel();
  #timer: NodeJS.Timeout | undefined;
  #drawnLines = 0;
  #finished = false;

  constructor(output: Output) {
    this.#output = output;
  }

  readonly onProgress: OnProgress = (event) => {
    this.#model.update(event, Date.now());
    if (event.type === 'retry' || event.type === 'warning' || event.type === 'resolved') {
      const line = plainLine(event);
      if (line) this.#above(() => this.#output.message(line.text, line.level));
    }
    this.#start();
  };

  /** Draws the last state and leaves it on the terminal. */
  finish(): void {
    this.#finished = true;
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#draw();
    process.off('exit', showCursor);
    showCursor();
    this.#drawnLines = 0;
  }

  #start(): void {
    if (this.#timer || this.#finished) return;
    err.write(HIDE_CURSOR);
    process.once('exit', showCursor);
    this.#timer = setInterval(() => this.#draw(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** Over the old lines, not after clearing them: that flickers, and some terminals file away what is cleared. */
  #draw(): void {
    const { columns = 80, rows = 24 } = err.stream;
    const lines = renderFrame(this.#model, Date.now(), columns - 1, rows - 1).map(printable);
    const text = lines.map((line) => `${line}${CLEAR_REST}\n`).join('');
    err.write(`${this.#rewind()}${text}${CLEAR_BELOW}`);
    this.#drawnLines = lines.length;
  }

  #above(print: () => void): void {
    err.write(`${this.#rewind()}${CLEAR_BELOW}`);
    this.#drawnLines = 0;
    print();
  }

  /** Moves to the first drawn line. */
  #rewind(): string {
    return this.#drawnLines === 0 ? '' : `\x1b[${this.#drawnLines}A\r`;
  }
}

function showCursor(): void {
  err.write(SHOW_CURSOR);
}
