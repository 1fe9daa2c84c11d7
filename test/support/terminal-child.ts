/** Uses the launcher at a terminal, in a process of its own: LAUNCH_ROOT; LAUNCH_SPEC (JSON), or what to join. */
import { type ContainerSpec, createLauncher } from '../../src/launch/index.ts';

const { LAUNCH_ROOT: root = '', LAUNCH_SPEC: spec, LAUNCH_ATTACH: attach, LAUNCH_EXEC: exec = '' } = process.env;
const launcher = createLauncher({ root });
const result =
  spec !== undefined
    ? await launcher.runTerminal(JSON.parse(spec) as ContainerSpec)
    : attach !== undefined
      ? await launcher.attach(attach)
      : await launcher.execTerminal(exec, {
          command: ['sh', '-c', 'stty size; exec sh'],
          interactive: true,
          tty: true,
        });
console.log(result.detached ? 'DETACHED' : `ENDED ${result.exitCode}`);
process.exit(result.exitCode);
