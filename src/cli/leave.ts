/** How the command line ends. */
import { flushCompileCache } from 'node:module';

/** Less than this no command has that did more than to look something up. */
const SMALL_HEAP = 32 * 1024 ** 2;

/**
 * As process.exit(), which sometimes never ends: it waits for V8's threads, and one of those that compiles waits for a
 * collection of garbage that only the waiting main thread could do (github.com/nodejs/node/issues/54918). That takes a
 * heap that has grown; where it has not, process.exit() spares loading what would be called in its place.
 */
export async function leave(status: number): Promise<never> {
  const { NODE_V8_COVERAGE } = process.env;
  const isWatched = NODE_V8_COVERAGE !== undefined || process.execArgv.some((option) => option.includes('-prof'));
  // Those write what they have seen when Node ends.
  if (isWatched || process.memoryUsage().heapTotal < SMALL_HEAP) process.exit(status);
  const { endProcess } = await import('../sys/end-process.ts');
  process.exitCode = status;
  process.emit('exit', status);
  flushCompileCache();
  return endProcess(status);
}
