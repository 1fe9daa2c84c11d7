/** Signals as users write them. */
import { constants } from 'node:os';
import { TslayerError } from '../errors.ts';

/** `TERM`, `SIGTERM`, `15` → 15. Real-time signals: `RTMIN+3`. */
export function signalNumber(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, '');
  const realTime = /^RTMIN(?:\+(\d+))?$/.exec(name);
  const known: Readonly<Record<string, number>> = constants.signals;
  const number = realTime ? 34 + Number(realTime[1] ?? 0) : (known[`SIG${name}`] ?? Number(name));
  if (Number.isInteger(number) && number > 0 && number <= 64) return number;
  throw new TslayerError('INVALID_ARGUMENT', `unknown signal ${JSON.stringify(text)}`);
}
