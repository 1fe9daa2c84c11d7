/** `info`: the machine and the store; or where a pull of a reference goes, and what stands there. */
import type { Info, ReferenceInfo } from '../../index.ts';
import type { Cli } from '../cli.ts';
import type { CliCommand } from '../command.ts';
import { size } from '../format.ts';

export const command: CliCommand = {
  define(parser) {
    parser.argument('[image]', 'a reference: says where a pull of it goes');
  },

  async run(cli, [reference]: [string | undefined]) {
    const tslayer = await cli.open();
    const info =
      reference === undefined ? await tslayer.info() : await tslayer.explain(reference, { signal: cli.signal });
    if (cli.json) cli.output.document(info);
    else if ('store' in info) showInfo(cli, info);
    else await showReference(cli, info);
  },
};

function showInfo(cli: Cli, info: Info): void {
  const { store } = info;
  const lines: [string, string][] = [
    ['version', info.version],
    ['node', info.node],
    ['kernel', info.kernel],
    ['configuration', info.configFiles.join(', ') || 'none'],
    ['root', store.root],
    ['driver', store.driver ?? 'chosen when it is first needed'],
    ['durability', store.durability],
    ['images', String(store.images)],
    ['blobs', `${store.blobs.count}, ${size(store.blobs.bytes)}`],
    ['layers', `${store.layers.count}, ${size(store.layers.bytes)}`],
    ['mounts', String(store.mounts)],
    ['containers', String(store.containers)],
    ['interrupted', `${store.leases} operations that run, or can go on`],
    ['free', `${size(store.freeBytes)} of ${size(store.sizeBytes)}`],
  ];
  cli.output.lines(lines.map(([name, value]) => `${name.padEnd(14)} ${value}`));
}

async function showReference(cli: Cli, info: ReferenceInfo): Promise<void> {
  const { resolved, rateLimit } = info;
  cli.output.line(info.reference);
  cli.output.line('error' in resolved ? resolved.error : `${resolved.digest} from ${resolved.endpoint}`);
  if (rateLimit) cli.output.line(`rate limit: ${rateLimit.remaining} of ${rateLimit.limit} left`);
  await cli.output.table(
    ['ENDPOINT', 'REPOSITORY', 'FOR', 'FROM', 'CREDENTIALS', 'SKIPPED'],
    info.endpoints.map(({ url, repository, capabilities, source, credentials, skipped }) => [
      url,
      repository,
      capabilities.join(','),
      source,
      credentials ?? '',
      skipped ?? '',
    ]),
  );
}
