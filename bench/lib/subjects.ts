/** The tools that are compared: how each is started on an empty disk, and the command that pulls an image with it. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { programPath } from '../../test/support/requires.ts';
import type { Command, Meter } from './meter.ts';
import { PROJECT, TSLAYER, tslayerMissing } from './tslayer-command.ts';

export interface Subject {
  readonly name: string;
  /** Why it cannot be measured here, or undefined. */
  missing(): string | undefined;
  /** Starts what must run before a pull, on the disk at `disk`, inside the meter's group. */
  start(disk: string, meter: Meter): Promise<Pulling>;
}

export interface Pulling {
  /** Pulls `image` from the registry at `address`, until it is unpacked. */
  pull(address: string, image: string): Command;
  /** Mounts a pulled image once, where that is a step of its own. */
  mount?(address: string, image: string): Command;
  remove?(address: string, image: string): Command;
  /** Asked for anew for each run. Runs /bin/true in a new container of a pulled image, without network set-up, and removes it. */
  run?(address: string, image: string): Command;
  /** The same by the library, in one process, so many times; prints milliseconds as JSON. */
  runInside?(address: string, image: string, rounds: number): readonly string[];
}

/** Containers of containerd have names, and may run at the same time. */
let serial = 0;

const needs =
  (...programs: string[]) =>
  (): string | undefined => {
    const missing = programs.filter((program) => programPath(program) === undefined);
    return missing.length === 0 ? undefined : `not installed: ${missing.join(', ')}`;
  };

/** Its default runtime gives up where both versions of cgroups are mounted; its default limits take CAP_SYS_RESOURCE. */
function podmanRun(): string[] {
  const mounts = readFileSync('/proc/mounts', 'utf8');
  const hybrid = /^cgroup /m.test(mounts) && /^cgroup2 /m.test(mounts);
  const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
  return [...(hybrid ? ['--runtime', 'runc'] : []), 'run', '--rm', '--network', 'none', ...limits];
}

const podman = (storage: 'overlay' | 'vfs'): Subject => ({
  name: `podman ${storage}`,
  missing: needs('podman'),
  async start(disk) {
    const directories = ['root', 'run', 'tmp'].map((name) => join(disk, name));
    for (const directory of directories) mkdirSync(directory);
    const [root, run, tmp] = directories as [string, string, string];
    const base = ['podman', '--root', root, '--runroot', run, '--storage-driver', storage, '--tmpdir', tmp];
    const argv = [...base, '--events-backend', 'none'];
    const env = { TMPDIR: tmp };
    const reference = (address: string, image: string): string => `${address}/${image}:latest`;
    return {
      pull: (address, image) => ({
        argv: [...argv, 'pull', '-q', '--tls-verify=false', reference(address, image)],
        env,
      }),
      mount: (address, image) => ({ argv: [...argv, 'image', 'mount', reference(address, image)] }),
      remove: (address, image) => ({ argv: [...argv, 'rmi', '-f', reference(address, image)] }),
      run: (address, image) => ({ argv: [...argv, ...podmanRun(), reference(address, image), '/bin/true'] }),
    };
  },
});

/** Starts a daemon in the group and waits for its socket. It ends with the group. */
async function daemon(meter: Meter, argv: readonly string[], socket: string, env?: NodeJS.ProcessEnv): Promise<void> {
  const [program = '', ...args] = meter.inside(argv);
  const child = spawn(program, args, { stdio: 'ignore', env: { ...process.env, ...env } });
  for (let tries = 0; !existsSync(socket); tries++) {
    if (tries > 400 || child.exitCode !== null) throw new Error(`${argv[0]} does not start`);
    await delay(25);
  }
}

const containerd: Subject = {
  name: 'containerd overlayfs',
  missing: needs('containerd', 'ctr'),
  async start(disk, meter) {
    const socket = join(disk, 'containerd.sock');
    const config = join(disk, 'config.toml');
    const lines = [
      'version = 2',
      `root = "${disk}/root"`,
      `state = "${disk}/state"`,
      'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
      `[grpc]\n  address = "${socket}"`,
    ];
    writeFileSync(config, lines.join('\n'));
    await daemon(meter, ['containerd', '--config', config], socket);
    const ctr = ['ctr', '--address', socket, 'images'];
    const run = ['ctr', '--address', socket, 'run', '--rm'];
    return {
      pull: (address, image) => ({
        argv: [...ctr, 'pull', '--plain-http', '--snapshotter', 'overlayfs', `${address}/${image}:latest`],
      }),
      remove: (address, image) => ({ argv: [...ctr, 'rm', '--sync', `${address}/${image}:latest`] }),
      run: (address, image) => ({
        argv: [...run, '--snapshotter', 'overlayfs', `${address}/${image}:latest`, `bench-${serial++}`, '/bin/true'],
      }),
    };
  },
};

const docker = (storage: 'overlay2' | 'vfs'): Subject => ({
  name: `docker ${storage}`,
  missing: needs('dockerd', 'containerd'),
  async start(disk, meter) {
    const socket = join(disk, 'docker.sock');
    const daemonArgs = ['--data-root', join(disk, 'root'), '--exec-root', join(disk, 'exec')];
    const quiet = ['--iptables=false', '--ip-masq=false', '--bridge=none', '--storage-driver', storage];
    const files = ['--pidfile', join(disk, 'pid'), '--host', `unix://${socket}`];
    await daemon(meter, ['dockerd', ...daemonArgs, ...quiet, ...files], socket, { TMPDIR: disk });
    // Debian's client where a newer one, which the daemon does not understand, comes first on PATH.
    const client = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker';
    const argv = [client, '--host', `unix://${socket}`];
    await answering(meter, [...argv, 'version']);
    return {
      pull: (address, image) => ({ argv: [...argv, 'pull', '--quiet', `${address}/${image}:latest`] }),
      remove: (address, image) => ({ argv: [...argv, 'rmi', `${address}/${image}:latest`] }),
      run: (address, image) => ({
        argv: [...argv, 'run', '--rm', '--network', 'none', `${address}/${image}:latest`, '/bin/true'],
      }),
    };
  },
});

async function answering(meter: Meter, argv: readonly string[]): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await meter.run({ argv });
      return;
    } catch (error) {
      if (tries > 100) throw error;
      await delay(50);
    }
  }
}

const umoci: Subject = {
  name: 'skopeo + umoci',
  missing: needs('skopeo', 'umoci'),
  async start(disk) {
    const script =
      'skopeo copy --quiet --insecure-policy --src-tls-verify=false "docker://$1" "oci:$0/oci:latest" && ' +
      'umoci unpack --image "$0/oci:latest" "$0/bundle" && sleep 0';
    return {
      pull: (address, image) => ({
        argv: ['sh', '-ec', script, disk, `${address}/${image}:latest`],
        env: { TMPDIR: disk },
      }),
    };
  },
};

/** The least that anyone could do: each layer through curl, sha256sum, gzip and tar, one after the other. */
const pipeline: Subject = {
  name: 'curl | sha256sum | gzip -dc | tar -x',
  missing: needs('curl', 'tar', 'jq', 'bash'),
  async start(disk) {
    const script = [
      'set -eo pipefail; mkdir "$0/fs"; mkfifo "$0/fifo"; base="http://$1/v2/$2"',
      'accept="Accept: application/vnd.oci.image.manifest.v1+json"',
      'for d in $(curl -sfH "$accept" "$base/manifests/latest" | jq -r ".layers[].digest"); do',
      '  sha256sum < "$0/fifo" > "$0/sum" &',
      '  curl -sf "$base/blobs/$d" | tee "$0/fifo" | gzip -dc | tar -x --numeric-owner -C "$0/fs"',
      '  wait $!; read -r got _ < "$0/sum"; test "sha256:$got" = "$d"',
      'done',
    ].join('\n');
    return { pull: (address, image) => ({ argv: ['bash', '-c', script, disk, address, image] }) };
  },
};

function tslayer(driver: string, durability: 'layer' | 'none'): Subject {
  return {
    name: `tslayer ${driver}${durability === 'layer' ? ', synced' : ''}`,
    missing: tslayerMissing,
    async start(disk) {
      const root = join(disk, 'store');
      const config = join(disk, 'config.toml');
      writeFileSync(config, `[store]\ndurability = "${durability}"\n`);
      const argv = [TSLAYER, '--root', root, '--config', config];
      const own = [...argv, '--driver', driver, '--quiet'];
      const reference = (address: string, image: string): string => `${address}/${image}:latest`;
      return {
        pull: (address, image) => ({ argv: [...own, 'pull', reference(address, image)] }),
        mount: (address, image) => ({ argv: [...own, 'mount', reference(address, image)] }),
        remove: (address, image) => ({ argv: [...own, 'rmi', reference(address, image)] }),
        run: (address, image) => ({ argv: [...own, 'run', '--rm', reference(address, image), '/bin/true'] }),
        runInside: (address, image, rounds) => {
          const program = [process.execPath, '--no-warnings', join(import.meta.dirname, 'run-inside.ts')];
          return [...program, PROJECT, root, config, driver, reference(address, image), String(rounds)];
        },
      };
    },
  };
}

export const SUBJECTS: Readonly<Record<string, Subject>> = {
  erofs: tslayer('erofs', 'none'),
  'erofs-synced': tslayer('erofs', 'layer'),
  overlayfs: tslayer('overlayfs', 'none'),
  podman: podman('overlay'),
  containerd,
  docker: docker('overlay2'),
  umoci,
  pipeline,
};

/** Those that make a full copy of each layer: slow to pull, and only of interest for their disk use. */
export const COPYING: Readonly<Record<string, Subject>> = {
  vfs: tslayer('vfs', 'none'),
  'podman-vfs': podman('vfs'),
  'docker-vfs': docker('vfs'),
};
