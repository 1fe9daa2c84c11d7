/** Runs a container in the foreground, in a process that a test can kill: LAUNCH_ROOT, LAUNCH_SPEC (JSON). */
import { type ContainerSpec, createLauncher } from '../../src/launch/index.ts';

const { LAUNCH_ROOT: root = '', LAUNCH_SPEC: spec = '' } = process.env;
const running = await createLauncher({ root }).run(JSON.parse(spec) as ContainerSpec);
process.exitCode = (await running.exited).exitCode;
