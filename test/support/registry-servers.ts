/** Debian's docker-registry on loopback, with the access control that a test asks for. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { KeyPair } from './registry-certs.ts';
import { programPath } from './requires.ts';

export interface DockerRegistryOptions {
  /** A directory of the test's own: configuration and content. */
  readonly dir: string;
  readonly htpasswdFile?: string;
  readonly token?: {
    readonly realm: string;
    readonly service: string;
    readonly issuer: string;
    readonly certFile: string;
  };
  /** `clientAuthority`: only clients with a certificate of that authority may connect. */
  readonly tls?: { readonly server: KeyPair; readonly clientAuthority?: string };
  /** Makes it a pull-through mirror of that registry. */
  readonly mirrorOf?: string;
  /** Addresses that it gives out lead through whatever stands before it. */
  readonly relativeUrls?: boolean;
}

export interface DockerRegistry extends AsyncDisposable {
  /** As it stands in a reference. */
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** What it logged so far. */
  readonly log: () => string;
}

export async function startDockerRegistry(options: DockerRegistryOptions): Promise<DockerRegistry> {
  const port = await freePort();
  const config = join(options.dir, 'config.json');
  // YAML is a superset of JSON.
  writeFileSync(config, JSON.stringify(configOf(options, port)));
  const child = spawn(programPath('docker-registry') ?? 'docker-registry', ['serve', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += chunk));
  await listening(child, port, () => log);
  const host = `127.0.0.1:${port}`;
  return {
    host,
    port,
    url: `${options.tls ? 'https' : 'http'}://${host}`,
    log: () => log,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function configOf(
  { dir, htpasswdFile, token, tls, mirrorOf, relativeUrls }: DockerRegistryOptions,
  port: number,
): unknown {
  return {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: join(dir, 'data') }, delete: { enabled: true } },
    http: {
      addr: `127.0.0.1:${port}`,
      ...(relativeUrls && { relativeurls: true }),
      ...(tls && {
        tls: {
          certificate: tls.server.certFile,
          key: tls.server.keyFile,
          ...(tls.clientAuthority !== undefined && { clientcas: [tls.clientAuthority] }),
        },
      }),
    },
    ...(htpasswdFile !== undefined && { auth: { htpasswd: { realm: 'test', path: htpasswdFile } } }),
    ...(token && { auth: { token: { ...token, certFile: undefined, rootcertbundle: token.certFile } } }),
    ...(mirrorOf !== undefined && { proxy: { remoteurl: mirrorOf } }),
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

async function listening(child: ChildProcess, port: number, log: () => string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Error(`docker-registry ended with status ${child.exitCode}: ${log()}`);
    if (await accepts(port)) return;
    await delay(25);
  }
  child.kill('SIGKILL');
  throw new Error(`docker-registry does not listen: ${log()}`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
