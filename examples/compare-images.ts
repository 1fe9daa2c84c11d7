/**
 * What changed between two images, file by file and layer by layer, without mounting or unpacking either. Here the
 * images are made on the spot; with references as arguments they are pulled first.
 *
 *     node examples/compare-images.ts [BEFORE AFTER]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTslayer, type Tslayer } from 'tslayer';

const directory = await mkdtemp(join(tmpdir(), 'compare-images-'));
try {
  await using tslayer = await openTslayer({ root: directory });
  const [before, after] = await images(tslayer, process.argv.slice(2));

  for (const change of await tslayer.diffImages(before, after)) {
    const file = change.change === 'deleted' ? change.before : change.after;
    const what = change.change === 'modified' ? ` (${change.what.join(', ')})` : '';
    console.log(`${change.change.padEnd(8)} ${String(change.bytes).padStart(6)} bytes  /${file.path}${what}`);
  }

  const report = await tslayer.layers(after);
  for (const layer of report.layers) {
    console.log(`layer ${layer.number}: ${layer.files} files, ${layer.bytes} bytes, ${layer.wasted.bytes} wasted`);
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}

async function images(tslayer: Tslayer, [before, after]: string[]): Promise<[string, string]> {
  if (before !== undefined && after !== undefined) {
    await tslayer.pull(before, { unpack: false });
    await tslayer.pull(after, { unpack: false });
    return [before, after];
  }
  const files = { '/etc/version': '1', '/usr/share/data': 'x'.repeat(4000), '/usr/bin/tool': 'old' };
  await tslayer.build('localhost/app:1', { layers: [{ files }], unpack: false });
  const newer = { '/etc/version': '2', '/usr/bin/tool': { content: 'old', mode: 0o755 }, '/usr/bin/more': 'new' };
  await tslayer.build('localhost/app:2', { from: 'localhost/app:1', layers: [{ files: newer }], unpack: false });
  return ['localhost/app:1', 'localhost/app:2'];
}
