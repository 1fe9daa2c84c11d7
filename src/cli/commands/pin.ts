/** `pin`: keeps an image whatever becomes of its names; without an image, lists the pins. */
import type { CliCommand } from '../command.ts';
import { ago, shortDigest } from '../format.ts';

export const command: CliCommand = {
  define(parser) {
    parser.argument('[image]', 'name or id; lists the pins when left out').option('--name <name>', 'name of the pin');
  },

  async run(cli, [image]: [string | undefined], { name }: { name?: string }) {
    const tslayer = await cli.open();
    if (image !== undefined) {
      const pin = await tslayer.pin(image, name ?? image);
      cli.result(pin, pin.name);
      return;
    }
    const pins = await tslayer.pins();
    if (cli.json) return cli.output.document(pins);
    await cli.output.table(
      ['PIN', 'MANIFEST', 'CREATED'],
      pins.map((pin) => [pin.name, shortDigest(pin.manifest), ago(pin.createdAt)]),
    );
  },
};
