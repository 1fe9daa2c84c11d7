/** Debian's docker-registry on loopback, holding images of an OCI layout. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface Registry extends Disposable {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
}

export async function startRegistry(layout: string, images: readonly string[]): Promise<Registry> {
  const directory = mkdtempSync(join(process.env.TSLAYER_BENCH_DIR ?? tmpdir(), 'tslayer-registry-'));
  const address = `127.0.0.1:${await freePort()}`;
  const config = join(directory, 'config.yml');
  mkdirSync(join(directory, 'data'));
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${directory}/data}}\nhttp: {addr: "${address}"}\n`,
  );
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  const registry: Registry = {
    address,
    [Symbol.dispose]() {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
  try {
    await answering(address);
    for (const image of images) push(layout, image, address);
  } catch (error) {
    registry[Symbol.dispose]();
    throw error;
  }
  return registry;
}

function push(layout: string, image: string, address: string): void {
  const args = ['copy', '--quiet', '--dest-tls-verify=false', '--insecure-policy'];
  execFileSync('skopeo', [...args, `oci:${layout}:${image}`, `docker://${address}/${image}:latest`], { stdio: 'pipe' });
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

async function answering(address: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      await fetch(`http://${address}/v2/`);
      return;
    } catch {
      await delay(25);
    }
  }
  throw new Error('docker-registry does not answer');
}
