/**
 * The other image tools, each with storage of its own under a temporary directory, so that a test neither sees nor
 * leaves anything on the machine. Daemons are ended by the process that the test started.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { programPath } from './requires.ts';

const execute = promisify(execFile);

/** Standard output; a status other than 0 is an error with the program's own words. */
export async function runProgram(name: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<string> {
  const path = programPath(name) ?? name;
  const options = { maxBuffer: 64 * 1024 * 1024, timeout: 120_000, env: { ...process.env, ...env } };
  const { stdout } = await execute(path, [...args], options);
  return stdout.toString();
}

export type Peer = (...args: string[]) => Promise<string>;

/** podman or buildah over a private store; vfs, so that nothing stays mounted. */
export function containersTool(name: 'podman' | 'buildah', dir: string): Peer {
  const events = name === 'podman' ? ['--events-backend', 'none', '--tmpdir', join(dir, 'tmp')] : [];
  const store = ['--root', join(dir, 'root'), '--runroot', join(dir, 'run'), '--storage-driver', 'vfs', ...events];
  return (...args) => runProgram(name, [...store, ...args]);
}

export interface Daemon extends AsyncDisposable {
  readonly run: Peer;
}

/** containerd on a private socket, and `ctr` that speaks to it. */
export async function startContainerd(dir: string): Promise<Daemon> {
  await mkdir(dir, { recursive: true });
  const socket = join(dir, 'containerd.sock');
  const config = join(dir, 'config.toml');
  await writeFile(config, containerdConfig(dir, socket));
  const child = spawn(programPath('containerd') ?? 'containerd', ['--config', config], { stdio: 'ignore' });
  await answering(child, socket);
  return {
    run: (...args) => runProgram('ctr', ['--address', socket, ...args]),
    [Symbol.asyncDispose]: () => ended(child),
  };
}

function containerdConfig(dir: string, socket: string): string {
  return [
    'version = 2',
    `root = "${join(dir, 'root')}"`,
    `state = "${join(dir, 'state')}"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.restart"]',
    `[grpc]\n  address = "${socket}"`,
    `[ttrpc]\n  address = "${socket}.ttrpc"`,
  ].join('\n');
}

/** dockerd on a private socket, without networks, and `docker` that speaks to it. */
export async function startDockerd(dir: string): Promise<Daemon> {
  const containerd = await startContainerd(join(dir, 'containerd'));
  const socket = join(dir, 'docker.sock');
  const args = ['--host', `unix://${socket}`, '--containerd', join(dir, 'containerd', 'containerd.sock')];
  args.push('--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '--pidfile', join(dir, 'pid'));
  args.push('--storage-driver', 'vfs', '--bridge', 'none', '--iptables=false', '--ip6tables=false');
  const child = spawn(programPath('dockerd') ?? 'dockerd', args, { stdio: 'ignore' });
  const stop = async () => {
    await ended(child);
    await containerd[Symbol.asyncDispose]();
  };
  try {
    await answering(child, socket);
  } catch (error) {
    await stop();
    throw error;
  }
  // A newer command line speaks the old daemon's version only when told to.
  const env = { DOCKER_API_VERSION: '1.41', DOCKER_CONFIG: join(dir, 'config') };
  return {
    run: (...more) => runProgram('docker', ['--host', `unix://${socket}`, ...more], env),
    [Symbol.asyncDispose]: stop,
  };
}

async function answering(child: ChildProcess, socket: string): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with status ${child.exitCode}`);
    if (await accepts(socket)) return;
    await delay(50);
  }
  await ended(child);
  throw new Error(`${child.spawnfile} does not answer`);
}

function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.on('connect', () => resolve(true)).on('error', () => resolve(false));
    connection.on('connect', () => connection.destroy());
  });
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const hard = setTimeout(() => child.kill('SIGKILL'), 10_000);
    child.once('exit', () => {
      clearTimeout(hard);
      resolve();
    });
    child.kill('SIGTERM');
  });
}
