/** The tools whose commits and pushes are compared, each over storage of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { programPath } from '../../test/support/requires.ts';
import type { Command, Meter } from './meter.ts';
import { TSLAYER, tslayerMissing } from './tslayer-command.ts';

export interface Committer {
  readonly name: string;
  /** Why it cannot be measured here, or undefined. */
  missing(): string | undefined;
  start(disk: string, meter: Meter): Promise<Committing>;
}

export interface Committing {
  /** Pulls the image. Not measured, like all but commit and push. */
  prepare(image: string): Promise<void>;
  /** Makes a container or mount of the image, and copies the content of `directory` to its root. */
  change(directory: string, round: number): Promise<void>;
  commit(round: number, target: string): Command;
  push?(target: string): Command;
  end(): Promise<void>;
}

const needs =
  (...programs: string[]) =>
  (): string | undefined => {
    const missing = programs.filter((program) => programPath(program) === undefined);
    return missing.length === 0 ? undefined : `not installed: ${missing.join(', ')}`;
  };

function output(argv: readonly string[], env?: NodeJS.ProcessEnv): string {
  const [program = '', ...args] = argv;
  const options = { stdio: 'pipe', encoding: 'utf8', env: { ...process.env, ...env } } as const;
  return execFileSync(program, args, options).trim();
}

function tslayer(driver: string, durability: 'layer' | 'none'): Committer {
  return {
    name: `tslayer ${driver}${durability === 'layer' ? ', synced' : ''}`,
    missing: tslayerMissing,
    async start(disk) {
      const config = join(disk, 'config.toml');
      writeFileSync(config, `[store]\ndurability = "${durability}"\n`);
      const argv = [TSLAYER, '--root', join(disk, 'store'), '--config', config];
      argv.push('--driver', driver, '--quiet');
      let base = '';
      const mounted = new Set<string>();
      return {
        async prepare(image) {
          base = image;
          output([...argv, 'pull', image]);
        },
        async change(directory, round) {
          const name = `round-${round}`;
          const target =
            output([...argv, 'mount', '--name', name, base])
              .split('\n')
              .at(-1) ?? '';
          mounted.add(name);
          cpSync(directory, target, { recursive: true });
        },
        commit: (round, target) => ({ argv: [...argv, 'commit', `round-${round}`, target] }),
        push: (target) => ({ argv: [...argv, 'push', target] }),
        async end() {
          for (const name of mounted) output([...argv, 'umount', name]);
        },
      };
    },
  };
}

function containers(name: 'podman' | 'buildah'): Committer {
  return {
    name: `${name} overlay`,
    missing: needs(name),
    async start(disk) {
      const [root, run, tmp] = ['root', 'run', 'tmp'].map((part) => join(disk, part)) as [string, string, string];
      for (const directory of [root, run, tmp]) mkdirSync(directory);
      const env = { TMPDIR: tmp };
      const base = [name, '--root', root, '--runroot', run, '--storage-driver', 'overlay'];
      const argv = name === 'podman' ? [...base, '--tmpdir', tmp, '--events-backend', 'none'] : base;
      const create = name === 'podman' ? ['create'] : ['from', '--quiet'];
      const made: string[] = [];
      let image = '';
      return {
        async prepare(reference) {
          image = reference;
          output([...argv, 'pull', '-q', '--tls-verify=false', reference], env);
        },
        async change(directory, round) {
          const command = name === 'podman' ? [image, 'true'] : [image];
          const id = output([...argv, ...create, '--name', `round-${round}`, ...command], env);
          made.push(id);
          cpSync(directory, output([...argv, 'mount', id], env), { recursive: true });
        },
        commit: (round, target) => ({ argv: [...argv, 'commit', '-q', `round-${round}`, target], env }),
        push: (target) => ({ argv: [...argv, 'push', '-q', '--tls-verify=false', target], env }),
        async end() {
          for (const id of made) output([...argv, 'umount', id], env);
          output([...argv, 'rm', ...(name === 'podman' ? ['-f', '-a'] : ['-a'])], env);
        },
      };
    },
  };
}

const docker: Committer = {
  name: 'docker overlay2',
  missing: needs('dockerd', 'containerd'),
  async start(disk, meter) {
    const socket = join(disk, 'docker.sock');
    const args = ['--data-root', join(disk, 'root'), '--exec-root', join(disk, 'exec'), '--pidfile', join(disk, 'pid')];
    args.push('--host', `unix://${socket}`, '--storage-driver', 'overlay2');
    args.push('--iptables=false', '--ip-masq=false', '--bridge=none');
    const [program = '', ...rest] = meter.inside(['dockerd', ...args]);
    spawn(program, rest, { stdio: 'ignore', env: { ...process.env, TMPDIR: disk } });
    // Debian's client where a newer one, which the daemon does not understand, comes first on PATH.
    const argv = [existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker', '--host', `unix://${socket}`];
    const env = { DOCKER_API_VERSION: '1.41' };
    for (let tries = 0; ; tries++) {
      try {
        output([...argv, 'version'], env);
        break;
      } catch (error) {
        if (tries > 200) throw error;
        await delay(50);
      }
    }
    let image = '';
    return {
      async prepare(reference) {
        image = reference;
        output([...argv, 'pull', '--quiet', reference], env);
      },
      async change(directory, round) {
        output([...argv, 'create', '--name', `round-${round}`, image, 'true'], env);
        output([...argv, 'cp', `${directory}/.`, `round-${round}:/`], env);
      },
      commit: (round, target) => ({ argv: [...argv, 'commit', `round-${round}`, target], env }),
      push: (target) => ({ argv: [...argv, 'push', '--quiet', target], env }),
      async end() {},
    };
  },
};

/** Works on a layout and an unpacked bundle; the push is skopeo's. */
const umoci: Committer = {
  name: 'umoci, skopeo',
  missing: needs('umoci', 'skopeo'),
  async start(disk) {
    const layout = join(disk, 'oci');
    const copy = ['skopeo', 'copy', '--quiet', '--insecure-policy'];
    return {
      async prepare(image) {
        output([...copy, '--src-tls-verify=false', `docker://${image}`, `oci:${layout}:base`]);
      },
      async change(directory, round) {
        const bundle = join(disk, `bundle-${round}`);
        output(['umoci', 'unpack', '--image', `${layout}:base`, bundle]);
        cpSync(directory, join(bundle, 'rootfs'), { recursive: true });
      },
      commit: (round, target) => ({
        argv: ['umoci', 'repack', '--image', `${layout}:${target.split(':').at(-1)}`, join(disk, `bundle-${round}`)],
      }),
      push: (target) => ({
        argv: [...copy, '--dest-tls-verify=false', `oci:${layout}:${target.split(':').at(-1)}`, `docker://${target}`],
      }),
      async end() {},
    };
  },
};

export const COMMITTERS: Readonly<Record<string, Committer>> = {
  erofs: tslayer('erofs', 'none'),
  'erofs-synced': tslayer('erofs', 'layer'),
  overlayfs: tslayer('overlayfs', 'none'),
  podman: containers('podman'),
  buildah: containers('buildah'),
  docker,
  umoci,
};
