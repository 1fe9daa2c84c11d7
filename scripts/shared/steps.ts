/** Running the project's programs one after the other, with their time. */
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';

/** The project's directory. */
export const root: string = join(import.meta.dirname, '../..');

/** Programs of node_modules first, with this very Node for those that ask for `node`. */
export const environment: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: [join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter),
};

export interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

/** Runs a step with its output shown when it fails; false when it failed. */
export function runStep({ name, command: [program, ...args] }: Step, show: boolean): boolean {
  const started = performance.now();
  const result = spawnSync(program, args, {
    cwd: root,
    env: environment,
    stdio: show ? 'inherit' : 'pipe',
    encoding: 'utf8',
    maxBuffer: 1024 ** 3,
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const ok = result.status === 0;
  if (!ok && !show) process.stdout.write(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error ?? ''}`);
  process.stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)\n`);
  return ok;
}
