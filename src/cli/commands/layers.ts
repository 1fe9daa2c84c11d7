/** `layers`: what each layer of an image brings, what it hides, and what is wasted. */
import type { CliCommand } from '../command.ts';
import { shortDigest, size } from '../format.ts';

export const command: CliCommand = {
  define(parser) {
    parser.argument('<image>', 'name or id').option('--wasted', 'the largest files that higher layers hide');
  },

  async run(cli, [image]: [string], { wasted }: { wasted?: true }) {
    const tslayer = await cli.open();
    const report = await tslayer.layers(image, { signal: cli.signal });
    if (cli.json) return cli.output.document(report);
    await cli.output.table(
      ['LAYER', 'DIGEST', 'FILES', 'SIZE', 'COMPRESSED', 'HIDES', 'WASTED', 'CREATED BY'],
      report.layers.map((layer) => [
        String(layer.number),
        shortDigest(layer.digest),
        String(layer.files),
        size(layer.bytes),
        size(layer.compressedBytes),
        size(layer.hides.bytes),
        size(layer.wasted.bytes),
        (layer.createdBy ?? '').slice(0, 50),
      ]),
    );
    if (wasted) {
      for (const { number, largestWasted } of report.layers) {
        for (const file of largestWasted) {
          cli.output.line(`${size(file.bytes)}  layer ${number}, hidden by ${file.hiddenBy}  /${file.path}`);
        }
      }
    }
    cli.output.message(`${size(report.wastedBytes)} of ${size(report.bytes)} are hidden by higher layers`);
  },
};
