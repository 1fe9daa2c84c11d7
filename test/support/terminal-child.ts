/**
 * Uses the launcher at a terminal, or with what takes its place, in a process of its own: LAUNCH_ROOT; LAUNCH_SPEC
 * (JSON), or what to join. LAUNCH_PLAIN: without a terminal of the program's own. LAUNCH_COMMAND: what exec starts.
 */
import { type ContainerSpec, createLauncher, type ExitResult } from '../../src/launch/index.ts';

const { LAUNCH_ROOT: root = '', LAUNCH_SPEC: spec, LAUNCH_ATTACH: attach, LAUNCH_EXEC: exec = '' } = process.env;
const { LAUNCH_PLAIN: plain, LAUNCH_COMMAND: script = 'stty size; exec sh', LAUNCH_KEYS: detachKeys } = process.env;
const launcher = createLauncher({ root });

async function use(): Promise<ExitResult> {
  const command = ['sh', '-c', script];
  if (plain !== undefined) {
    const { exited } = spec
      ? await launcher.run(JSON.parse(spec) as ContainerSpec)
      : await launcher.exec(exec, { command, interactive: true });
    return exited;
  }
  if (spec !== undefined) return launcher.runTerminal(JSON.parse(spec) as ContainerSpec, { detachKeys });
  if (attach !== undefined) return launcher.attach(attach, { detachKeys });
  return launcher.execTerminal(exec, { command, interactive: true, tty: true });
}

const result = await use();
console.log(result.detached ? 'DETACHED' : `ENDED ${result.exitCode}`);
process.exit(result.exitCode);
