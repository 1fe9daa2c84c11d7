/** `serve`: the embedded registry in the foreground, until it is interrupted. */
import { readFile } from 'node:fs/promises';
import { TslayerError } from '../../errors.ts';
import type { Cli } from '../cli.ts';
import type { CliCommand } from '../command.ts';
import { port } from '../flags.ts';

interface ServeFlags {
  readonly port?: number;
  readonly host: string;
  readonly writable?: true;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

export const command: CliCommand = {
  define(parser) {
    parser
      .argument('[layout]', 'an OCI image layout; the store itself when left out')
      .option('-p, --port <number>', 'default: a free one', port)
      .option('--host <address>', 'address to listen on', '127.0.0.1')
      .option('--writable', 'take pushes; for a layout of its own, never for the store')
      .option('--tls-cert <file>', 'PEM certificate chain: speak HTTPS')
      .option('--tls-key <file>', 'PEM private key')
      .addHelpText('after', '\nThere is no access control: whoever reaches the address can read everything.');
  },

  async run(cli, [layout]: [string | undefined], flags: ServeFlags) {
    const tls = await readTls(flags);
    const layoutDir = await chooseLayout(cli, layout, flags);
    const { serveRegistry } = await import('../../index.ts');
    await using registry = await serveRegistry({
      layoutDir,
      host: flags.host,
      writable: flags.writable === true,
      ...(flags.port !== undefined && { port: flags.port }),
      ...(tls && { tls }),
      onRequest: ({ method, path, status }) => cli.output.message(`${method} ${path} ${status}`),
    });
    if (cli.json) cli.output.event({ type: 'listening', url: registry.url, host: registry.host, port: registry.port });
    else cli.output.line(registry.url);
    if (!cli.signal.aborted) await new Promise((resolve) => cli.signal.addEventListener('abort', resolve));
  },
};

async function readTls({ tlsCert, tlsKey }: ServeFlags): Promise<{ cert: Buffer; key: Buffer } | undefined> {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new TslayerError('INVALID_ARGUMENT', '--tls-cert and --tls-key belong together');
  }
  return { cert: await readFile(tlsCert), key: await readFile(tlsKey) };
}

async function chooseLayout(cli: Cli, layout: string | undefined, flags: ServeFlags): Promise<string> {
  if (layout !== undefined) return layout;
  // The store's index.json follows its database: a push into it would be lost at the next pull.
  if (flags.writable) {
    throw new TslayerError('INVALID_ARGUMENT', 'the store takes no pushes', {
      hint: 'name a directory for a layout of its own: tslayer serve --writable DIR',
    });
  }
  return (await cli.open()).root;
}
