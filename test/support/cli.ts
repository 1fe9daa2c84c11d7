/** The command line as a process of its own, as a user starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const ENTRY = join(import.meta.dirname, 'tslayer-from-source.ts');

export interface Finished {
  /** 128+N when signal N ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
  /** Milliseconds; then it is killed. Default 60,000. */
  readonly timeout?: number;
  /** What is run instead of the sources, as a command and its first arguments. */
  readonly command?: readonly [string, ...string[]];
  /** Gets the process, to send it signals. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** The caller's environment without settings of its own tslayer. */
function cleanEnvironment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(?:TSLAYER_|NODE_TEST_CONTEXT$|FORCE_COLOR$)/.test(name),
  );
  return { ...Object.fromEntries(own), ...extra };
}

/** Runs it to its end; a non-zero status is a result, not an error. */
export async function tslayer(args: readonly string[], options: CliOptions = {}): Promise<Finished> {
  const [program, ...first] = options.command ?? [process.execPath, ENTRY];
  const child = spawn(program, [...first, ...args], {
    cwd: options.cwd,
    env: cleanEnvironment(options.env),
    timeout: options.timeout ?? 60_000,
    killSignal: 'SIGKILL',
  });
  options.onStart?.(child);
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), ended(child)]);
  return { status, stdout, stderr };
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? (signal === null ? -1 : 128 + signalNumber(signal))));
  });
}

function signalNumber(name: NodeJS.Signals): number {
  return constants.signals[name];
}

/** The lines of an NDJSON stream. */
export function events(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
