/** The flags of `run`, under docker's names, and what they mean to the library. */
import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { TslayerError } from '../../errors.ts';
import type { RunOptions } from '../../index.ts';
import { collect, integer, natural } from '../flags.ts';
import { refuseFlags } from '../foreign-flags.ts';

/** Those that are the launcher's. */
type LaunchFlags = Omit<RunFlags, 'rm' | 'detach' | 'detachKeys' | 'platform' | 'pull' | 'cidfile'>;

type PassedOn = Omit<RunOptions, 'command' | 'env' | 'labels' | 'volumes' | 'netClassId' | 'onExit'>;

export interface RunFlags extends PassedOn {
  readonly rm?: true;
  readonly detach?: true;
  readonly detachKeys?: string;
  readonly platform?: string;
  readonly pull: 'always' | 'missing' | 'never';
  readonly cidfile?: string;
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly label?: readonly string[];
  readonly volume?: readonly string[];
  readonly netClassid?: string;
}

const NETWORKS = 'networks are wired by others: --network host, or ns:PATH of a namespace that ip-netns(8) or CNI made';

/** What is somebody else's work, or has another name. */
const FOREIGN: Readonly<Record<string, string>> = {
  '-p, --publish <ports>': NETWORKS,
  '-P, --publish-all': NETWORKS,
  '--link <container>': NETWORKS,
  '--restart <policy>': 'leave that to a supervisor: systemd, or a loop around run',
  '--mount <mount>': 'write -v SOURCE:DESTINATION[:ro], or --tmpfs DESTINATION[:OPTIONS]',
  '--volumes-from <container>': 'write -v SOURCE:DESTINATION for each volume',
  '-a, --attach <stream>': 'output comes by itself, input with -i; -d leaves both to logs and attach',
  '--gpus <gpus>': 'name the device nodes: --device /dev/dri/renderD128',
};

/** Adds docker's flags to the parser. */
export function defineRunFlags(parser: Command): void {
  parser
    .option('--rm', 'remove the container when it ends')
    .option('-d, --detach', 'run in the background and print the id')
    .option('--detach-keys <keys>', 'keys that leave the container running (default: ctrl-p,ctrl-q)')
    .option('--name <name>', 'name of the container')
    .option('--platform <platform>', 'os/arch[/variant], when the image has several')
    .addOption(
      new Option('--pull <when>', 'fetch the image').choices(['always', 'missing', 'never']).default('missing'),
    )
    .addOption(new Option('--runtime <name>', 'what runs it (default: native)').choices(['native', 'runc', 'crun']))
    .option('--cidfile <file>', 'write the id to this new file')
    .option('-l, --label <key=value>', 'label of the container', collect);
  defineContainerFlags(parser);
  refuseFlags(parser, FOREIGN);
}

/** Those that say what the container is like. */
export function defineContainerFlags(parser: Command): void {
  parser.option('-i, --interactive', 'pass standard input on').option('-t, --tty', 'give the program a terminal');
  defineProcessFlags(parser);
  defineIsolationFlags(parser);
  defineLimitFlags(parser);
}

function defineProcessFlags(parser: Command): void {
  parser
    .optionsGroup('Program:')
    .option('-e, --env <key[=value]>', 'environment; without a value, that of the caller', collect)
    .option('--env-file <file>', 'lines of KEY=VALUE', collect)
    .option('-w, --workdir <dir>', 'working directory')
    .option('-u, --user <name|uid[:group|gid]>', 'user')
    .option('--group-add <group>', 'further group', collect)
    .option('--entrypoint <program>', "replaces the image's entrypoint")
    .option('--init', 'a small init passes signals on and reaps')
    .option('--stop-signal <signal>', 'what stop sends first')
    .option('--stop-timeout <seconds>', 'how long stop waits before it kills', natural)
    .option('--oom-score-adj <number>', '-1000 to 1000', integer)
    .option('--ulimit <name=soft[:hard]>', 'resource limit', collect);
}

function defineIsolationFlags(parser: Command): void {
  parser
    .optionsGroup('Isolation:')
    .option('-h, --hostname <name>', 'host name')
    .option('--net, --network <mode>', 'private (loopback only), none, host, or ns:PATH')
    .option('--pid <mode>', 'private, host or ns:PATH')
    .option('--ipc <mode>', 'private, host or ns:PATH')
    .option('--uts <mode>', 'private, host or ns:PATH')
    .option('--cgroupns <mode>', 'private, host or ns:PATH')
    .option('--userns <mode>', 'host, auto, or UID:GID:COUNT')
    .option('--add-host <name:ip>', 'line of /etc/hosts', collect)
    .option('--dns <address>', 'name server', collect)
    .option('--sysctl <key=value>', "setting of the container's own namespaces", collect)
    .option('--read-only', 'the root file system is read-only')
    .option('-v, --volume <src:dst[:ro]>', 'bind a file or directory', collect)
    .option('--tmpfs <dir[:options]>', 'a tmpfs', collect)
    .option('--shm-size <size>', 'size of /dev/shm')
    .option('--device <path[:inside[:rwm]]>', 'a device', collect)
    .option('--device-cgroup-rule <rule>', 'as in "c 1:3 rwm"', collect)
    .option('--privileged', 'no isolation of devices, capabilities and paths')
    .option('--cap-add <capability>', 'give a capability', collect)
    .option('--cap-drop <capability>', 'take a capability', collect)
    .option('--security-opt <option>', 'seccomp=FILE, seccomp=unconfined, no-new-privileges=false …', collect);
}

function defineLimitFlags(parser: Command): void {
  parser
    .optionsGroup('Limits:')
    .option('-m, --memory <size>', 'memory')
    .option('--memory-reservation <size>', 'soft limit of memory')
    .option('--memory-swap <size>', 'memory and swap together; -1 for no limit on swap')
    .option('--cpus <number>', 'cores, as in 1.5')
    .option('-c, --cpu-shares <weight>', 'relative weight', natural)
    .option('--cpu-period <microseconds>', 'CFS period', natural)
    .option('--cpu-quota <microseconds>', 'CFS quota', integer)
    .option('--cpuset-cpus <list>', 'as in 0-2,4')
    .option('--cpuset-mems <list>', 'NUMA nodes')
    .option('--pids-limit <number>', 'processes and threads', integer)
    .option('--blkio-weight <10-1000>', 'relative weight', natural)
    .option('--device-read-bps <device:rate>', 'bytes a second', collect)
    .option('--device-write-bps <device:rate>', 'bytes a second', collect)
    .option('--device-read-iops <device:rate>', 'reads a second', collect)
    .option('--device-write-iops <device:rate>', 'writes a second', collect)
    .option('--net-classid <id>', 'class of packets, as in 0x100001 (cgroup v1)')
    .option('--cgroup-parent <path>', 'where its cgroups go');
}

/** What the launcher is asked for. */
export function runOptionsOf(flags: LaunchFlags, command: readonly string[]): RunOptions {
  const { volume, label, env, envFile, netClassid, ...rest } = flags;
  return {
    ...rest,
    command,
    env: environment(env ?? [], envFile ?? []),
    ...(volume && { volumes: volume }),
    ...(label && { labels: Object.fromEntries(label.map(splitPair)) }),
    ...(netClassid !== undefined && { netClassId: netClassid }),
  };
}

/** Files first, then flags: the last one wins. A name without a value takes the caller's, if there is one. */
export function environment(
  flags: readonly string[],
  files: readonly string[],
  caller: NodeJS.ProcessEnv = process.env,
): string[] {
  const lines = files.flatMap((file) => readSettings(file));
  return [...lines, ...flags].flatMap((setting) => {
    const [name, value] = splitPair(setting);
    if (name === '') throw new TslayerError('INVALID_ARGUMENT', `${JSON.stringify(setting)} sets no variable`);
    if (setting.includes('=')) return [`${name}=${value}`];
    return caller[name] === undefined ? [] : [`${name}=${caller[name]}`];
  });
}

/** Docker's rules: comments and blank lines are left out, values are taken as they are. */
function readSettings(file: string): string[] {
  const lines = readFileSync(file, 'utf8').split(/\r?\n/);
  return lines.map((line) => line.trimStart()).filter((line) => line !== '' && !line.startsWith('#'));
}

function splitPair(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
