/**
 * Disk use of images that share layers: bytes and inodes in each tool's own storage after pulling them all, against
 * what they would take one by one, and what sharing equal files or blocks would save beyond sharing layers:
 *
 *     node bench/disk.ts [--images svc-1,…,svc-10] [--tools erofs,overlayfs,podman,…] [--keep]
 */
import { createReadStream, statfsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { measureSharing, type Sharing } from '../src/bench/sharing.ts';
import { textTable } from '../src/bench/table.ts';
import { Meter } from './lib/meter.ts';
import { startRegistry } from './lib/registry.ts';
import { publish } from './lib/report.ts';
import { ScratchDisk } from './lib/scratch-disk.ts';
import { COPYING, SUBJECTS, type Subject } from './lib/subjects.ts';
import { blobPath, layersOf } from './lib/unpacked.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: Array.from({ length: 10 }, (_, i) => `svc-${i + 1}`).join(',') },
    tools: { type: 'string', default: 'erofs,overlayfs,vfs,podman,podman-vfs,containerd,docker,docker-vfs' },
    layout: { type: 'string', default: '.tmp/bench-images' },
    keep: { type: 'boolean', default: false },
  },
});

interface Occupied {
  readonly tool: string;
  readonly bytes: number;
  readonly inodes: number;
}

/** What a tool's storage came to, on a disk that holds nothing else. */
async function occupied(subject: Subject, address: string, images: readonly string[]): Promise<Occupied> {
  using disk = new ScratchDisk(6 * 2 ** 30);
  await using meter = new Meter();
  const running = await subject.start(disk.path, meter);
  const before = statfsSync(disk.path);
  for (const image of images) await meter.run(running.pull(address, image));
  disk.sync();
  const after = statfsSync(disk.path);
  return {
    tool: subject.name,
    bytes: (before.bfree - after.bfree) * after.bsize,
    inodes: before.ffree - after.ffree,
  };
}

function sharingOf(images: readonly string[]): Promise<Sharing> {
  const { layout } = values;
  return measureSharing(
    images.map((name) => ({
      name,
      layers: layersOf(layout, name).map((digest) => ({
        key: digest,
        open: () => createReadStream(blobPath(layout, digest), { highWaterMark: 1 << 18 }),
      })),
    })),
  );
}

const images = values.images.split(',');
const sharing = await sharingOf(images);
using registry = await startRegistry(values.layout, images);
const tools: Occupied[] = [];
for (const name of values.tools.split(',')) {
  const subject = SUBJECTS[name] ?? COPYING[name];
  if (subject === undefined) throw new Error(`no such tool: ${name}`);
  const missing = subject.missing();
  if (missing !== undefined) process.stderr.write(`left out: ${subject.name} (${missing})\n`);
  else tools.push(await occupied(subject, registry.address, images));
}

const MIB = 2 ** 20;
const { naive, byLayer, byFile, byBlockBytes, layers } = sharing;
const content: Occupied[] = [
  { tool: 'content, each image by itself', bytes: naive.bytes, inodes: naive.files },
  { tool: 'content, each layer once', bytes: byLayer.bytes, inodes: byLayer.files },
  { tool: 'content, each file once', bytes: byFile.bytes, inodes: byFile.files },
  { tool: 'content, each 4 KiB block once', bytes: byBlockBytes, inodes: 0 },
];
publish(
  {
    name: 'disk',
    title: `Disk use of ${images.length} images that share ${layers.references - layers.distinct} of ${layers.references} layers`,
    unit: 'MiB',
    notes: ['In each tool’s own storage, compressed blobs included where it keeps them; content is of regular files.'],
    groups: [
      { title: 'storage', bars: tools.map(bar) },
      { title: 'content of the layers', bars: content.map(bar) },
    ],
    data: { images, sharing, tools },
    table: textTable(
      ['', 'MiB', 'inodes'],
      [...tools, ...content].map(({ tool, bytes, inodes }) => [
        tool,
        (bytes / MIB).toFixed(0),
        inodes ? String(inodes) : '',
      ]),
    ),
  },
  values.keep,
);

function bar({ tool, bytes }: Occupied): { label: string; value: number; highlight: boolean } {
  return { label: tool, value: bytes / MIB, highlight: tool.startsWith('tslayer') };
}
