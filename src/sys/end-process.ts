/** The end of the process without anything in between. _exit(2). */
import { native } from './libc.ts';

const cExit = native('int', '_exit', ['int']);

/** No handler runs, no thread is waited for, nothing is written that was not written yet. */
export function endProcess(status: number): never {
  cExit(status);
  throw new Error('the process outlived its end');
}
