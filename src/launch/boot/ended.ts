/** How a process ended, as a shell would tell it. */
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { WaitStatus } from '../../sys/spawn.ts';

export interface Ended {
  /** 128+N when signal N ended it. */
  readonly exitCode: number;
  readonly signal?: string;
}

/** Of one that node:child_process started. */
export function endOf(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      if (signal === null) resolve({ exitCode: code ?? 125 });
      else resolve({ exitCode: 128 + constants.signals[signal], signal });
    });
  });
}

/** Of one that sys/spawn.ts started. */
export function endedOf({ exitCode, signal }: WaitStatus): Ended {
  if (signal === undefined) return { exitCode: exitCode ?? 125 };
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
  return { exitCode: 128 + signal, signal: name ?? String(signal) };
}
