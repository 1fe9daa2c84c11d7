/** One step with a detached container, told as JSON on stdout: LAUNCH_ROOT, LAUNCH_SPEC; `start`, `exec` or `end`. */
import { text } from 'node:stream/consumers';
import { type ContainerSpec, createLauncher } from '../../src/launch/index.ts';

const { LAUNCH_ROOT: root = '', LAUNCH_SPEC = '' } = process.env;
const launcher = createLauncher({ root });
const spec = JSON.parse(LAUNCH_SPEC) as ContainerSpec;

async function step(name: string | undefined): Promise<unknown> {
  if (name === 'start') return (await launcher.start(spec)).state;
  if (name === 'end') {
    await launcher.remove(spec.id, { force: true });
    return { left: (await launcher.list()).some(({ id }) => id === spec.id) };
  }
  const running = await launcher.exec(
    spec.id,
    { command: process.argv.slice(3) },
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const output = await text(running.stdout as NodeJS.ReadableStream);
  return { output, ...(await running.exited) };
}

console.log(JSON.stringify(await step(process.argv[2])));
