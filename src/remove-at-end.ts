/**
 * What the watcher of a detached `--rm` container starts after its end: `node remove-at-end.js ROOT ID`. Whatever
 * goes wrong here, the next command that looks at containers tries again.
 */
import { openTslayer } from './tslayer.ts';

const [root = '', id = ''] = process.argv.slice(2);
await using tslayer = await openTslayer({ root });
await tslayer.rm(id).catch(() => undefined);
