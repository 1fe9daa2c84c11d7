/** `history`: the steps that made an image, the newest first. */
import type { CliCommand } from '../command.ts';
import { ago, size } from '../format.ts';

const STEP_WIDTH = 60;

export const command: CliCommand = {
  define(parser) {
    parser.argument('<image>', 'name or id').option('--no-trunc', 'whole steps');
  },

  async run(cli, [image]: [string], { trunc }: { trunc: boolean }) {
    const tslayer = await cli.open();
    const steps = await tslayer.history(image);
    if (cli.json) return cli.output.document(steps);
    const cut = (text: string): string =>
      trunc && text.length > STEP_WIDTH ? `${text.slice(0, STEP_WIDTH - 1)}…` : text;
    await cli.output.table(
      ['CREATED', 'CREATED BY', 'COMPRESSED', 'COMMENT'],
      steps.map((step) => [ago(step.createdAt ?? undefined), cut(step.createdBy), size(step.size), step.comment]),
    );
  },
};
