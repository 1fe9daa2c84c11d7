/** The list of commands. Adding one is a file in commands/ and an entry here; the file is loaded when it is called. */
import { TslayerError } from '../errors.ts';
import type { CommandEntry } from './command.ts';
import { LAUNCHER_FAILED } from './exit-status.ts';
import { suggest } from './suggest.ts';

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'pull',
    group: 'Images',
    summary: 'Fetch an image, verify it, and unpack it',
    load: async () => (await import('./commands/pull.ts')).command,
  },
  {
    name: 'images',
    group: 'Images',
    summary: 'List the images of the store',
    load: async () => (await import('./commands/images.ts')).command,
  },
  {
    name: 'inspect',
    group: 'Images',
    summary: 'Show all that is known of images and containers',
    load: async () => (await import('./commands/inspect.ts')).command,
  },
  {
    name: 'history',
    group: 'Images',
    summary: 'Show the steps that made an image',
    load: async () => (await import('./commands/history.ts')).command,
  },
  {
    name: 'layers',
    group: 'Images',
    summary: 'Show what each layer of an image brings, hides and wastes',
    load: async () => (await import('./commands/layers.ts')).command,
  },
  {
    name: 'ls',
    group: 'Images',
    summary: 'List files of an image without mounting it',
    load: async () => (await import('./commands/ls.ts')).command,
  },
  {
    name: 'cat',
    group: 'Images',
    summary: 'Print files of an image without mounting it',
    load: async () => (await import('./commands/cat.ts')).command,
  },
  {
    name: 'diff',
    group: 'Images',
    summary: 'Show what was written to a mount or container, or how two images differ',
    load: async () => (await import('./commands/diff.ts')).command,
  },
  {
    name: 'tag',
    group: 'Images',
    summary: 'Give an image one more name',
    load: async () => (await import('./commands/tag.ts')).command,
  },
  {
    name: 'rmi',
    group: 'Images',
    summary: 'Remove images',
    load: async () => (await import('./commands/rmi.ts')).command,
  },
  {
    name: 'save',
    group: 'Images',
    summary: 'Write images to an archive',
    load: async () => (await import('./commands/save.ts')).command,
  },
  {
    name: 'load',
    group: 'Images',
    summary: 'Read images from an archive',
    load: async () => (await import('./commands/load.ts')).command,
  },
  {
    name: 'commit',
    group: 'Images',
    summary: 'Make an image of what was written to a mount or container',
    load: async () => (await import('./commands/commit.ts')).command,
  },
  {
    name: 'import',
    group: 'Images',
    summary: 'Make an image of a root file system',
    load: async () => (await import('./commands/import.ts')).command,
  },
  {
    name: 'export',
    group: 'Images',
    summary: 'Write the file system of a mount, container or image as a tar',
    load: async () => (await import('./commands/export.ts')).command,
  },
  {
    name: 'squash',
    group: 'Images',
    summary: 'Make one layer of several',
    load: async () => (await import('./commands/squash.ts')).command,
  },
  {
    name: 'rebase',
    group: 'Images',
    summary: 'Put the layers of an image on another base',
    load: async () => (await import('./commands/rebase.ts')).command,
  },
  {
    name: 'mount',
    group: 'File systems',
    summary: 'Mount an image copy-on-write',
    load: async () => (await import('./commands/mount.ts')).command,
  },
  {
    name: 'mounts',
    group: 'File systems',
    summary: 'List what is mounted',
    load: async () => (await import('./commands/mounts.ts')).command,
  },
  {
    name: 'umount',
    group: 'File systems',
    summary: 'Unmount, and drop or keep what was written',
    load: async () => (await import('./commands/umount.ts')).command,
  },
  {
    name: 'run',
    group: 'Containers',
    summary: 'Run a program in a new container',
    failure: LAUNCHER_FAILED,
    load: async () => (await import('./commands/run.ts')).command,
  },
  {
    name: 'bundle',
    group: 'Containers',
    summary: 'Make an OCI bundle of an image, for any runtime',
    load: async () => (await import('./commands/bundle.ts')).command,
  },
  {
    name: 'ps',
    group: 'Containers',
    summary: 'List containers',
    load: async () => (await import('./commands/ps.ts')).command,
  },
  {
    name: 'exec',
    group: 'Containers',
    summary: 'Run a further program in a container',
    failure: LAUNCHER_FAILED,
    load: async () => (await import('./commands/exec.ts')).command,
  },
  {
    name: 'attach',
    group: 'Containers',
    summary: 'Join the terminal or output of a container',
    load: async () => (await import('./commands/attach.ts')).command,
  },
  {
    name: 'logs',
    group: 'Containers',
    summary: 'Show what a container wrote',
    load: async () => (await import('./commands/logs.ts')).command,
  },
  {
    name: 'stats',
    group: 'Containers',
    summary: 'Show what containers use',
    load: async () => (await import('./commands/stats.ts')).command,
  },
  {
    name: 'stop',
    group: 'Containers',
    summary: 'Stop containers',
    load: async () => (await import('./commands/stop.ts')).command,
  },
  {
    name: 'kill',
    group: 'Containers',
    summary: 'Send a signal to containers',
    load: async () => (await import('./commands/kill.ts')).command,
  },
  {
    name: 'pause',
    group: 'Containers',
    summary: 'Freeze containers',
    load: async () => (await import('./commands/pause.ts')).command,
  },
  {
    name: 'unpause',
    group: 'Containers',
    summary: 'Let frozen containers go on',
    load: async () => (await import('./commands/unpause.ts')).command,
  },
  {
    name: 'wait',
    group: 'Containers',
    summary: 'Wait until containers end',
    load: async () => (await import('./commands/wait.ts')).command,
  },
  {
    name: 'rm',
    group: 'Containers',
    summary: 'Remove containers',
    load: async () => (await import('./commands/rm.ts')).command,
  },
  {
    name: 'cgroups',
    group: 'Containers',
    summary: 'Show the cgroup hierarchies and the containers in them',
    load: async () => (await import('./commands/cgroups.ts')).command,
  },
  {
    name: 'push',
    group: 'Registries',
    summary: 'Send an image to a registry',
    load: async () => (await import('./commands/push.ts')).command,
  },
  {
    name: 'login',
    group: 'Registries',
    summary: 'Check and store a credential',
    load: async () => (await import('./commands/login.ts')).command,
  },
  {
    name: 'logout',
    group: 'Registries',
    summary: 'Forget a credential',
    load: async () => (await import('./commands/logout.ts')).command,
  },
  {
    name: 'serve',
    group: 'Registries',
    summary: 'Serve the store, or an OCI layout, as a registry',
    load: async () => (await import('./commands/serve.ts')).command,
  },
  {
    name: 'df',
    group: 'Store',
    summary: 'Show what everything takes on disk',
    load: async () => (await import('./commands/df.ts')).command,
  },
  {
    name: 'bench',
    group: 'Store',
    summary: 'Measure what sharing saves, and how long pulls and mounts take',
    load: async () => (await import('./commands/bench.ts')).command,
  },
  {
    name: 'gc',
    group: 'Store',
    summary: 'Remove what nothing holds',
    load: async () => (await import('./commands/gc.ts')).command,
  },
  {
    name: 'pin',
    group: 'Store',
    summary: 'Keep an image whatever becomes of its names, or list the pins',
    load: async () => (await import('./commands/pin.ts')).command,
  },
  {
    name: 'unpin',
    group: 'Store',
    summary: 'Take pins away',
    load: async () => (await import('./commands/unpin.ts')).command,
  },
  {
    name: 'fsck',
    group: 'Store',
    summary: 'Check the store, and repair it',
    load: async () => (await import('./commands/fsck.ts')).command,
  },
  {
    name: 'convert',
    group: 'Store',
    summary: 'Give the store another driver',
    load: async () => (await import('./commands/convert.ts')).command,
  },
  {
    name: 'info',
    group: 'Store',
    summary: 'Show the machine and the store, or where a pull goes',
    load: async () => (await import('./commands/info.ts')).command,
  },
  {
    name: 'drivers',
    group: 'Store',
    summary: 'Show which storage drivers work here, and why',
    load: async () => (await import('./commands/drivers.ts')).command,
  },
  {
    name: 'unshare',
    group: 'More',
    summary: "Open a shell where an ordinary user's mounts are visible",
    load: async () => (await import('./commands/unshare.ts')).command,
  },
  {
    name: 'completion',
    group: 'More',
    summary: 'Print a script that completes commands and options in bash, zsh or fish',
    load: async () => (await import('./commands/completion.ts')).command,
  },
];

/** Names that habits from other tools bring along. */
const ALIASES: Readonly<Record<string, string>> = {
  unmount: 'umount',
  list: 'images',
  remove: 'rm',
  'image-rm': 'rmi',
};

export function findCommand(name: string): CommandEntry {
  const wanted = ALIASES[name] ?? name;
  const found = COMMANDS.find((command) => command.name === wanted);
  if (found) return found;
  throw new TslayerError('INVALID_ARGUMENT', `unknown command ${JSON.stringify(name)}`, { hint: hintFor(name) });
}

function hintFor(name: string): string {
  const meant = suggest(
    name,
    COMMANDS.map((command) => command.name),
  );
  return meant === undefined ? 'tslayer --help lists the commands' : `did you mean ${meant}?`;
}
