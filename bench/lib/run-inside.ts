/**
 * A library's launches without any start of Node: STORE CONFIG DRIVER IMAGE ROUNDS → JSON, milliseconds from the call
 * to the container's removal. The first ones, before V8 has compiled anything, are among them.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

type Library = typeof import('../../src/index.ts');

const [project = '', root = '', config = '', driver = '', image = '', rounds = ''] = process.argv.slice(2);
const built = pathToFileURL(resolve(project, 'dist/index.js')).href;
const { openTslayer } = (await import(built)) as Library;
await using tslayer = await openTslayer({ root, config, driver });
const milliseconds: number[] = [];
for (let round = 0; round < Number(rounds); round++) {
  const before = performance.now();
  const container = await tslayer.run(
    image,
    { command: ['/bin/true'], remove: true, pull: 'never' },
    { stdio: ['ignore', 'ignore', 'ignore'] },
  );
  const { exitCode } = await container.exited;
  if (exitCode !== 0) throw new Error(`status ${exitCode}`);
  milliseconds.push(performance.now() - before);
}
process.stdout.write(JSON.stringify(milliseconds));
