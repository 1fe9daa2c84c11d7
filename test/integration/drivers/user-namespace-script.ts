/** What user-namespace.test.ts runs inside: `node user-namespace-script.ts DIRECTORY`. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeLayer, type LayerItem } from '../../../drivers/conformance/encode.ts';
import { dir, file, opaque, whiteout } from '../../../drivers/conformance/items.ts';
import { describeChange } from '../../../drivers/conformance/kit.ts';
import { driver } from '../../../drivers/overlayfs/index.ts';
import { Unpacker } from '../../../src/archive/pipeline/unpacker.ts';
import { performMounts } from '../../../src/mounts/perform.ts';
import { unmount } from '../../../src/mounts/unmount.ts';

const [directory = ''] = process.argv.slice(2);
const layers = join(directory, 'layers');
const probe = await driver.probe(layers);
assert.equal(probe.available, true, probe.reason);
assert.equal(probe.features.userxattr, true);

const opened = await driver.open(layers);
const unpacker = new Unpacker({ threads: 1 });

async function layer(id: string, items: readonly LayerItem[]): Promise<void> {
  const application = await opened.apply(id, [], { durable: false });
  const { result } = await unpacker.unpack({ source: encodeLayer(items), size: 0, sink: application.sink });
  await application.commit(result);
}

await layer('base', [dir('d'), file('d/a', 'a', { uid: 1000 }), dir('o'), file('o/hidden'), file('gone')]);
await layer('top', [whiteout('gone'), dir('o'), opaque('o'), file('o/new')]);
await opened.prepare('snap', ['top', 'base']);
const target = join(directory, 'target');
mkdirSync(target);
performMounts(await opened.mounts('snap', ['top', 'base'], {}), target, { scratch: directory });
assert.deepEqual(readdirSync(target).sort(), ['d', 'o']);
assert.deepEqual(readdirSync(join(target, 'o')), ['new']);
rmSync(join(target, 'd'), { recursive: true });
mkdirSync(join(target, 'd'));
writeFileSync(join(target, 'd/b'), '');
rmSync(join(target, 'o/new'));
const changes: string[] = [];
for await (const change of opened.changes('snap', ['top', 'base'])) changes.push(describeChange(change));
assert.deepEqual(
  changes.filter((line) => !line.startsWith('~')),
  ['- d/a', '+ d/b', '- o/new'],
);
unmount(target);
await unpacker[Symbol.asyncDispose]();
process.stdout.write('all right\n');
