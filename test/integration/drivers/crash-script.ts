/** What crash.test.ts kills: makes and removes layers and snapshots until then. `node crash-script.ts DRIVER DIRECTORY ROUND`. */
import { join } from 'node:path';
import { encodeLayer } from '../../../drivers/conformance/encode.ts';
import { dir, file } from '../../../drivers/conformance/items.ts';
import { loadDriver } from '../../../drivers/index.ts';
import { Unpacker } from '../../../src/archive/pipeline/unpacker.ts';

const [name = '', directory = '', round = ''] = process.argv.slice(2);
const driver = await (await loadDriver(name)).open(join(directory, 'layers'));
const unpacker = new Unpacker({ threads: 1 });
const files = Array.from({ length: 40 }, (_, at) => file(`d/${at}`, Buffer.alloc(5000, 'x')));
process.stdout.write('at work\n');
for (let at = 0; ; at++) {
  const [layer, snapshot] = [`l${round}x${at}`, `s${round}x${at}`];
  const application = await driver.apply(layer, [], { durable: false });
  const source = encodeLayer([dir('d'), ...files]);
  const { result } = await unpacker.unpack({ source, size: 0, sink: application.sink });
  await application.commit(result);
  await driver.prepare(snapshot, [layer]);
  if (at % 3 === 2) {
    await driver.remove(snapshot);
    await driver.remove(layer);
  }
}
