/** `ps`: containers, running ones unless --all asks for the others. */
import type { Container } from '../../index.ts';
import type { CliCommand } from '../command.ts';
import { ago } from '../format.ts';

const COMMAND_WIDTH = 30;

export const command: CliCommand = {
  define(parser) {
    parser.option('-a, --all', 'those that have ended, too').option('--no-trunc', 'whole commands');
  },

  async run(cli, _args, { all, trunc }: { all?: true; trunc: boolean }) {
    const tslayer = await cli.open();
    const containers = await tslayer.ps({ all: all === true });
    if (cli.json) return cli.output.document(containers);
    if (cli.quiet) return cli.output.lines(containers.map(({ id }) => id));
    await cli.output.table(
      ['CONTAINER ID', 'IMAGE', 'COMMAND', 'CREATED', 'STATUS', 'NAME'],
      containers.map((container) => [
        container.id,
        container.image,
        commandOf(container, trunc),
        ago(container.createdAt),
        statusOf(container),
        container.name,
      ]),
    );
  },
};

function commandOf({ spec }: Container, truncate: boolean): string {
  const text = spec.process.args.join(' ');
  return truncate && text.length > COMMAND_WIDTH ? `${text.slice(0, COMMAND_WIDTH - 1)}…` : text;
}

/** As docker words it: `Up 3 minutes`, `Exited (137) 2 hours ago, out of memory`. */
export function statusOf({ state }: Pick<Container, 'state'>): string {
  const up = `Up ${ago(state.startedAt).replace(/ ago$/, '').replace('now', 'less than a second')}`;
  switch (state.status) {
    case 'created':
      return 'Created';
    case 'running':
      return up;
    case 'paused':
      return `${up} (Paused)`;
    case 'exited': {
      const reason = state.oomKilled ? ', out of memory' : '';
      return `Exited (${state.exitCode ?? '?'}) ${ago(state.finishedAt)}${reason}`;
    }
  }
}
