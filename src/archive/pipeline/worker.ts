/**
 * A worker thread's first module: it shares the compiled code that the main thread keeps between runs, which Node does
 * not do by itself (a worker would compile everything anew, 20 ms of each), and loads the work.
 */
import { enableCompileCache } from 'node:module';
import { workerData } from 'node:worker_threads';

const { compileCache } = workerData as { readonly compileCache: string | undefined };
if (compileCache !== undefined) enableCompileCache(compileCache);
await import('./work.ts');
