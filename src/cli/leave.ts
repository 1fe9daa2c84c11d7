/** How the command line ends. */
import { flushCompileCache } from 'node:module';
import { ffi } from '../sys/ffi-state.ts';

/**
 * As process.exit(), which sometimes never ends: it waits for V8's threads, and one of those that compiles waits for a
 * collection of garbage that only the waiting main thread could do (github.com/nodejs/node/issues/54918). What has not
 * even loaded the FFI, as a help text or a complaint about its words, has made no garbage to speak of.
 */
export async function leave(status: number): Promise<never> {
  const { NODE_V8_COVERAGE } = process.env;
  const isWatched = NODE_V8_COVERAGE !== undefined || process.execArgv.some((option) => option.includes('-prof'));
  // Those write what they have seen when Node ends.
  if (isWatched || !ffi.isLoaded) process.exit(status);
  const { endProcess } = await import('../sys/end-process.ts');
  process.exitCode = status;
  process.emit('exit', status);
  flushCompileCache();
  return endProcess(status);
}
