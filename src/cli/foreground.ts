/** A program in the foreground: its streams are ours, its signals pass through, its exit status becomes our own. */
import { constants } from 'node:os';
import type { ExitResult, ForegroundIO, RunningProcess, TerminalIO } from '../index.ts';
import type { Cli } from './cli.ts';
import { ownStreams } from './streams.ts';

/** Signals that are passed on, as docker does with `--sig-proxy`. */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGWINCH'] as const;

export interface ForegroundProgram {
  readonly terminal: boolean;
  readonly interactive: boolean;
  attach(io: TerminalIO): Promise<ExitResult>;
  start(io: ForegroundIO): Promise<RunningProcess>;
}

/** Runs it to its end and sets the exit status. */
export async function superviseForeground(cli: Cli, program: ForegroundProgram): Promise<ExitResult> {
  const onWarning = (message: string): void => cli.output.message(message, 'warn');
  const result = program.terminal
    ? await program.attach({ stdout: ownStreams(), onWarning, signal: cli.signal })
    : await runPlain(cli, program, { onWarning, signal: cli.signal });
  cli.exitStatus = result.exitCode;
  if (result.oomKilled) cli.output.message('the program was killed: out of memory', 'warn');
  return result;
}

async function runPlain(cli: Cli, program: ForegroundProgram, io: ForegroundIO): Promise<ExitResult> {
  const stdin = program.interactive ? 'inherit' : 'ignore';
  const process_ = await program.start({ ...io, stdio: [stdin, 'inherit', 'inherit'] });
  // From here on an interrupt is the program's: it may want to clean up, or not to stop at all. In this order: a
  // signal that has come and was not told yet is lost when nobody listens for a moment.
  const stop = forwardSignals(process_);
  cli.interruption[Symbol.dispose]();
  try {
    return await process_.exited;
  } finally {
    stop();
  }
}

function forwardSignals(target: RunningProcess): () => void {
  const forward = (name: NodeJS.Signals): void => {
    if (constants.signals[name] !== undefined) target.kill(name);
  };
  for (const name of FORWARDED) process.on(name, forward);
  return () => {
    for (const name of FORWARDED) process.off(name, forward);
  };
}
