/** How each tool makes, mounts, compares and removes a snapshot. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { programPath } from '../../test/support/requires.ts';
import type { Meter } from '../lib/meter.ts';
import { TSLAYER, tslayerMissing } from '../lib/tslayer-command.ts';

export interface Peer {
  readonly name: string;
  /** Why it cannot be measured here. */
  missing(): string | undefined;
  /** Takes the image in from the layout (and `LAYOUT.tar`). */
  start(disk: string, layout: string, meter: Meter): Promise<Steps>;
}

/** The command of each step, for a snapshot that is called `key`. */
export interface Steps {
  readonly env?: NodeJS.ProcessEnv;
  mount(key: string): readonly string[];
  /** Where it is mounted, once it is. */
  target(key: string): string;
  diff?(key: string): readonly string[];
  remove(key: string): readonly string[];
}

const needs =
  (...programs: string[]) =>
  (): string | undefined => {
    const missing = programs.filter((program) => programPath(program) === undefined);
    return missing.length === 0 ? undefined : `not installed: ${missing.join(', ')}`;
  };

/** One shell line as one command. */
const shell = (line: string, ...args: readonly string[]): string[] => ['sh', '-ec', line, 'sh', ...args];

const tslayer = (driver: string): Peer => ({
  name: `tslayer ${driver}`,
  missing: tslayerMissing,
  async start(disk, layout, meter) {
    const own = [TSLAYER, '--root', join(disk, 'store'), '--driver', driver, '-q'];
    await meter.run({ argv: [...own, 'pull', `oci:${layout}:latest`] });
    const target = (key: string): string => join(disk, `mnt-${key}`);
    return {
      mount: (key) => [...own, 'mount', '--name', key, '--target', target(key), imageId(layout)],
      target,
      diff: (key) => [...own, 'diff', key],
      remove: (key) => [...own, 'umount', key],
    };
  },
});

/** podman and buildah share containers/storage; the mountpoint is told by the first command. */
function containersStorage(name: 'podman' | 'buildah', create: readonly string[], pull: readonly string[]): Peer {
  return {
    name,
    missing: needs(name),
    async start(disk, layout, meter) {
      const directories = ['root', 'run', 'tmp'].map((part) => join(disk, `${name}-${part}`));
      for (const directory of directories) mkdirSync(directory);
      const [root = '', run = '', tmp = ''] = directories;
      const own = [name, '--root', root, '--runroot', run, '--storage-driver', 'overlay'];
      const env = { TMPDIR: tmp };
      await meter.run({ argv: [...own, ...pull, `oci:${layout}:latest`], env });
      const image = `localhost${layout}:latest`;
      const command = own.map((word) => `'${word}'`).join(' ');
      return {
        env,
        mount: (key) =>
          shell(
            `${command} ${create.join(' ')} --name "$1" "$2" >/dev/null; ${command} mount "$1" > "$3"`,
            key,
            image,
            join(disk, key),
          ),
        target: (key) => readFileSync(join(disk, key), 'utf8').trim(),
        ...(name === 'podman' ? { diff: (key: string) => [...own, 'diff', key] } : {}),
        remove: (key) => shell(`${command} umount "$1" >/dev/null; ${command} rm "$1" >/dev/null`, key),
      };
    },
  };
}

const containerd: Peer = {
  name: 'containerd',
  missing: needs('containerd', 'ctr'),
  async start(disk, layout, meter) {
    const socket = join(disk, 'containerd.sock');
    const lines = [
      'version = 2',
      `root = "${disk}/containerd"`,
      `state = "${disk}/state"`,
      'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
      `[grpc]\n  address = "${socket}"`,
    ];
    writeFileSync(join(disk, 'config.toml'), lines.join('\n'));
    const [program = '', ...args] = meter.inside(['containerd', '--config', join(disk, 'config.toml')]);
    const child = spawn(program, args, { stdio: 'ignore' });
    for (let tries = 0; !existsSync(socket); tries++) {
      if (tries > 400 || child.exitCode !== null) throw new Error('containerd does not start');
      await delay(25);
    }
    const ctr = ['ctr', '--address', socket];
    await meter.run({ argv: [...ctr, 'images', 'import', '--index-name', 'bench:latest', `${layout}.tar`] });
    const command = ctr.map((word) => `'${word}'`).join(' ');
    const target = (key: string): string => join(disk, `mnt-${key}`);
    return {
      // It mounts by itself: mount(8), which `ctr snapshots mounts` prints a line for, takes no 60 layers.
      mount(key) {
        mkdirSync(target(key));
        return shell(`${command} images mount --rw "$1" "$2" >/dev/null`, 'bench:latest', target(key));
      },
      target,
      diff: (key) => shell(`${command} snapshots diff "$1" >/dev/null`, target(key)),
      remove: (key) => shell(`${command} images unmount --rm "$1" >/dev/null`, target(key)),
    };
  },
};

function readBlob(layout: string, digest: string): unknown {
  return JSON.parse(readFileSync(join(layout, 'blobs', digest.replace(':', '/')), 'utf8'));
}

function configDigest(layout: string): string {
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
  return (readBlob(layout, index.manifests[0]!.digest) as { config: { digest: string } }).config.digest;
}

/** What images are called by everywhere. */
function imageId(layout: string): string {
  return configDigest(layout).slice('sha256:'.length, 'sha256:'.length + 16);
}

export const PEERS: Readonly<Record<string, Peer>> = {
  erofs: tslayer('erofs'),
  overlayfs: tslayer('overlayfs'),
  podman: containersStorage('podman', ['create'], ['pull', '-q']),
  buildah: containersStorage('buildah', ['from'], ['pull', '-q']),
  containerd,
};
