/** `df`: what each image takes, shared with others and alone, and what the store takes in all. */
import { TslayerError } from '../../errors.ts';
import type { DiskUsage, ImageUsage, Tslayer } from '../../index.ts';
import type { Cli } from '../cli.ts';
import type { CliCommand } from '../command.ts';
import { count, size } from '../format.ts';

export const command: CliCommand = {
  privilege: () => 'useful',

  define(parser) {
    parser
      .option('-v, --verbose', 'blobs and layers apart, inodes, what was written, and each difference to du')
      .option('--what-if <command>', 'what a removal would free, as in "rmi alpine:3.19"');
  },

  async run(cli, _args, { verbose, whatIf }: { verbose?: true; whatIf?: string }) {
    const tslayer = await cli.open();
    if (whatIf !== undefined) return showWhatIf(cli, tslayer, whatIf);
    const usage = await tslayer.df({ signal: cli.signal, reconcile: verbose === true });
    if (cli.json) return cli.output.document(usage);
    if (verbose) await showVerbose(cli, usage);
    else await showImages(cli, usage);
    await showTotals(cli, usage);
  },
};

async function showWhatIf(cli: Cli, tslayer: Tslayer, whatIf: string): Promise<void> {
  const [verb, ...images] = whatIf.trim().split(/\s+/);
  if (verb !== 'rmi' || images.length === 0) {
    throw new TslayerError('INVALID_ARGUMENT', 'only rmi can be tried out', {
      hint: 'as in --what-if "rmi alpine:3.19"',
    });
  }
  const removal = await tslayer.previewRmi(images);
  if (cli.json) return cli.output.document(removal);
  const { untagged, blobs, chains, freedBytes } = removal;
  cli.output.line(
    `${size(freedBytes)} would be freed: ${count(blobs.length, 'blob')}, ${count(chains.length, 'layer')}`,
  );
  cli.output.lines(untagged.map((name) => `untagged ${name}`));
}

async function showImages(cli: Cli, { images }: DiskUsage): Promise<void> {
  await cli.output.table(
    ['IMAGE', 'UNIQUE', 'SHARED', 'RECLAIMABLE', 'USED BY'],
    images.map((image) => [
      image.names.join(', '),
      size(image.blobs.unique.bytes + image.layers.unique.bytes),
      size(image.blobs.shared.bytes + image.layers.shared.bytes),
      size(image.reclaimable.bytes),
      image.usedBy.join(', '),
    ]),
  );
}

async function showVerbose(cli: Cli, usage: DiskUsage): Promise<void> {
  const row = (image: ImageUsage, kind: 'blobs' | 'layers'): string[] => [
    image.names.join(', '),
    kind,
    size(image[kind].unique.bytes),
    String(image[kind].unique.inodes),
    size(image[kind].shared.bytes),
    String(image[kind].shared.inodes),
  ];
  await cli.output.table(
    ['IMAGE', 'WHAT', 'UNIQUE', 'INODES', 'SHARED', 'INODES'],
    usage.images.flatMap((image) => [row(image, 'blobs'), row(image, 'layers')]),
  );
  cli.output.line('');
  await cli.output.table(
    ['WRITTEN IN', 'USED BY', 'IMAGE', 'SIZE', 'INODES'],
    usage.snapshots.map((snapshot) => [
      snapshot.name,
      snapshot.usedBy,
      snapshot.image ?? '',
      size(snapshot.bytes),
      String(snapshot.inodes),
    ]),
  );
}

async function showTotals(cli: Cli, usage: DiskUsage): Promise<void> {
  const { blobs, layers, written, overhead, total, naiveBytes, reclaimableBytes, freeBytes } = usage;
  cli.output.line('');
  await cli.output.table(
    ['', 'SIZE', 'INODES', ''],
    [
      ['blobs', size(blobs.bytes), String(blobs.inodes), count(blobs.count, 'blob')],
      ['layers', size(layers.bytes), String(layers.inodes), count(layers.count, 'layer')],
      ['written', size(written.bytes), String(written.inodes), 'in mounts and containers'],
      ['overhead', size(overhead.bytes), String(overhead.inodes), 'database, reserve, directories, unfinished pulls'],
      ['total', size(total.bytes), String(total.inodes), `without sharing ${size(naiveBytes)}`],
      ['reclaimable', size(reclaimableBytes), '', 'by gc'],
      ['free', size(freeBytes), '', 'on the file system'],
    ],
  );
  if (!usage.reconciliation) return;
  const { du, differences } = usage.reconciliation;
  cli.output.line('');
  cli.output.line(`du finds ${size(du.bytes)} in ${du.inodes} inodes${differences.length === 0 ? ', the same' : ''}`);
  cli.output.lines(
    differences.map(({ area, bytes, inodes, because }) => `${area}: ${bytes} B, ${inodes} inodes: ${because}`),
  );
}
