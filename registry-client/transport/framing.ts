/** Where a body ends: RFC 9112, 6 and 7. By a length, by chunks, or with the connection. */
import { TransportProblem } from '../errors.ts';

export type Framing = 'chunked' | 'connection' | number;

export interface BodyFrame {
  /**
   * Takes what came, gives the body's part of it to `sink`. Answers how many bytes lie beyond the body's end,
   * undefined while the body goes on.
   */
  take(bytes: Buffer, sink: (chunk: Buffer) => void): number | undefined;
  /** Whether the body is whole when the connection ends now. */
  readonly mayEnd: boolean;
}

export function frameOf(framing: Framing): BodyFrame {
  if (framing === 'chunked') return new ChunkedFrame();
  return framing === 'connection' ? untilClosed : new LengthFrame(framing);
}

const untilClosed: BodyFrame = {
  take(bytes, sink) {
    if (bytes.length > 0) sink(bytes);
    return undefined;
  },
  mayEnd: true,
};

class LengthFrame implements BodyFrame {
  readonly mayEnd = false;
  #remaining: number;

  constructor(length: number) {
    this.#remaining = length;
  }

  take(bytes: Buffer, sink: (chunk: Buffer) => void): number | undefined {
    const own = bytes.length > this.#remaining ? bytes.subarray(0, this.#remaining) : bytes;
    this.#remaining -= own.length;
    if (own.length > 0) sink(own);
    return this.#remaining === 0 ? bytes.length - own.length : undefined;
  }
}

/** Longest line of a size with its extensions, and longest trailer section. */
const MAX_LINE = 8192;
const LF = 10;

class ChunkedFrame implements BodyFrame {
  readonly mayEnd = false;
  #state: 'size' | 'data' | 'after data' | 'trailer' = 'size';
  #line = '';
  #trailer = 0;
  #remaining = 0;

  take(bytes: Buffer, sink: (chunk: Buffer) => void): number | undefined {
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === 'data') {
        const end = Math.min(bytes.length, at + this.#remaining);
        sink(bytes.subarray(at, end));
        this.#remaining -= end - at;
        at = end;
        if (this.#remaining === 0) this.#state = 'after data';
        continue;
      }
      const end = bytes.indexOf(LF, at);
      this.#line += bytes.toString('latin1', at, end < 0 ? bytes.length : end + 1);
      if (this.#line.length > MAX_LINE) throw malformed();
      if (end < 0) return undefined;
      at = end + 1;
      if (this.#endOfLine()) return bytes.length - at;
    }
    return undefined;
  }

  /** Answers whether this was the last line. */
  #endOfLine(): boolean {
    const line = this.#line;
    this.#line = '';
    if (!line.endsWith('\r\n')) throw malformed();
    if (this.#state === 'after data') {
      if (line !== '\r\n') throw malformed();
      this.#state = 'size';
    } else if (this.#state === 'trailer') {
      this.#trailer += line.length;
      if (this.#trailer > MAX_LINE) throw malformed();
      return line === '\r\n';
    } else {
      const [, size] = /^([0-9a-f]{1,12})[ \t]*(?:;.*)?\r\n$/i.exec(line) ?? [];
      if (size === undefined) throw malformed();
      this.#remaining = Number.parseInt(size, 16);
      this.#state = this.#remaining === 0 ? 'trailer' : 'data';
    }
    return false;
  }
}

function malformed(): TransportProblem {
  return new TransportProblem('the answer is malformed', { code: 'NETWORK', temporary: true });
}
