/** Parsers of option values that several commands share. */
import { InvalidArgumentError } from 'commander';

/** For options that may be given several times. */
export function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

export function integer(text: string): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('It is no whole number.');
  return value;
}

export function natural(text: string): number {
  const value = integer(text);
  if (value < 0) throw new InvalidArgumentError('It is negative.');
  return value;
}

export function port(text: string): number {
  const value = natural(text);
  if (value > 65_535) throw new InvalidArgumentError('It is no port number.');
  return value;
}

/** `90`, `90s`, `10m`, `24h` ago, or a date, as docker's `--since` takes them. */
export function moment(text: string): Date {
  const relative = /^(\d+)(s|m|h|d)?$/.exec(text);
  const seconds = { s: 1, m: 60, h: 3600, d: 86_400 }[relative?.[2] ?? 's'] ?? 1;
  const date = relative ? new Date(Date.now() - Number(relative[1]) * seconds * 1000) : new Date(text);
  if (Number.isNaN(date.getTime())) throw new InvalidArgumentError('It is neither a time nor an age such as 10m.');
  return date;
}

const UNITS: Readonly<Record<string, number>> = { b: 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/** `20GB`, `512m`, `1.5g`, decimal as the sizes that are printed; with `i`, as in `20GiB`, binary. */
export function byteSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgt])?(i)?b?$/i.exec(text);
  if (!match) throw new InvalidArgumentError('It is no size such as 20GB.');
  const [, number = '', unit = 'b', binary] = match;
  const factor = UNITS[unit.toLowerCase()] ?? 1;
  return Math.round(Number(number) * (binary ? 1024 ** Math.round(Math.log10(factor) / 3) : factor));
}
