/** How values look to people: sizes, times, short ids, and text that comes from strangers. */
import prettyBytes from 'pretty-bytes';

/** `7.34 MB`: decimal, as docker and the disk makers count. */
export function size(bytes: number): string {
  return prettyBytes(bytes);
}

/** `1 layer`, `2 layers`. */
export function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`;
}

export function speed(bytesPerSecond: number): string {
  return `${prettyBytes(bytesPerSecond)}/s`;
}

const UNITS: readonly [number, string][] = [
  [365 * 86_400, 'year'],
  [30 * 86_400, 'month'],
  [7 * 86_400, 'week'],
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
];

/** `3 hours ago`; empty for a time that is not known. */
export function ago(time: Date | string | undefined, now: number = Date.now()): string {
  const seconds = Math.floor((now - new Date(time ?? Number.NaN).getTime()) / 1000);
  if (Number.isNaN(seconds)) return '';
  for (const [length, name] of UNITS) {
    const count = Math.floor(seconds / length);
    if (count >= 1) return `${count} ${name}${count === 1 ? '' : 's'} ago`;
  }
  return 'now';
}

/** `1m 5s`: time left or passed. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '--';
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  return `${Math.floor(whole / 3600)}h ${Math.floor((whole % 3600) / 60)}m`;
}

/** The twelve hex digits that people recognize a digest by. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}

/** C0 and C1 controls, and the marks that reorder text: a label could else rewrite the terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** JSON that is harmless on a terminal, too: what JSON itself leaves as it is becomes an escape of the same value. */
export function printableJson(json: string): string {
  return json.replace(/[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** One harmless line: control characters of images, servers and file names are spelled out. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => {
    const code = char.charCodeAt(0);
    if (char === '\n' || char === '\t' || char === '\r') return ' ';
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}
