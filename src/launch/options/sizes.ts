/** Docker's numbers: sizes with a unit, decimals of a processor. */
import { TslayerError } from '../../errors.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** `512m`, `1.5g`, `64kb`, `4GiB` → bytes: powers of 1024, as docker counts. */
export function parseBytes(text: string, what: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?) ?([bkmgt]?)(?:i?b)?$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN));
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new TslayerError('INVALID_ARGUMENT', `${what}: ${JSON.stringify(text)} is no size`, {
    hint: 'write a number with b, k, m or g, as in 512m',
  });
}

/** The same, where -1 stands for no limit. */
export function parseBytesOrUnlimited(text: string, what: string): number {
  return text.trim() === '-1' ? -1 : parseBytes(text, what);
}

/** `1.5` processors → microseconds of each 100 ms. */
export function parseCpus(text: string): { quota: number; period: number } {
  const cpus = Number(text);
  if (!Number.isFinite(cpus) || cpus < 0.01 || text.trim() === '') {
    throw new TslayerError('INVALID_ARGUMENT', `--cpus: ${JSON.stringify(text)} is no number of processors`);
  }
  return { quota: Math.round(cpus * 100_000), period: 100_000 };
}

export function parseInteger(text: string, what: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && text.trim() !== '') return value;
  throw new TslayerError('INVALID_ARGUMENT', `${what}: ${JSON.stringify(text)} is no whole number`);
}
