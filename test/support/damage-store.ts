/** Damage as disks and people do it: a blob with other bytes, a layer that lost its end, no index.json. */
import { closeSync, openSync, readdirSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { OpenStore } from '../../src/images/store.ts';

export function damageStore({ metadata, blobs, paths }: OpenStore): void {
  const blob = metadata.blobs.list().find((row) => row.kind === 'layer');
  if (!blob) throw new Error('no layer to damage');
  alter(blobs.path(blob.digest));
  // Another layer than the blob's: both are to be found.
  const other = metadata.layers.list().find((row) => row.diffId !== metadata.blobs.diffOf(blob.digest)?.diffId);
  if (other) spoil(join(paths.layers, layerName(paths.layers, other.id)));
  rmSync(paths.index);
}

function alter(path: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.from('damage'), 0, 6, Math.floor(statSync(path).size / 2));
  closeSync(file);
}

function layerName(directory: string, id: string): string {
  const name = readdirSync(directory, { recursive: true, encoding: 'utf8' }).find((entry) =>
    (entry.split('/').at(-1) ?? '').startsWith(id),
  );
  if (name === undefined) throw new Error(`no layer ${id} in ${directory}`);
  return name;
}

function spoil(path: string): void {
  if (statSync(path).isDirectory()) rmSync(path, { recursive: true });
  else truncateSync(path, statSync(path).size / 2);
}
