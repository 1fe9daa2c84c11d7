/** Runs a program of Node's as root of a user namespace: LAUNCH_ROOT, and the program with its arguments. */
import { asTslayerError } from '../../src/errors.ts';
import { runAsMappedRoot } from '../../src/launch/rootless.ts';

try {
  const command = [process.execPath, '--no-warnings', ...process.argv.slice(2)];
  process.exitCode = await runAsMappedRoot(command, { root: process.env.LAUNCH_ROOT ?? '' });
} catch (error) {
  const { code, message, hint } = asTslayerError(error);
  console.error(`${code}: ${message}\n${hint ?? ''}`);
  process.exitCode = 99;
}
