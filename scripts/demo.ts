/**
 * `npm run demo`: the main job from an empty directory to a running program, with nothing but this machine. Every
 * command that is shown is run as a user would run it; the store and the registry are in a temporary directory.
 */
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { packLayer, writeLayout } from './demo/layout.ts';
import { baseSystem } from './demo/programs.ts';
import { environment, root, runStep } from './shared/steps.ts';

if (!runStep({ name: 'tslayer is built', command: ['node', 'scripts/build.js', '--if-stale'] }, false)) process.exit(1);

const isRoot = process.getuid?.() === 0;
const bin = join(root, 'bin/tslayer.cjs');
const work = mkdtempSync(join(tmpdir(), 'tslayer-demo-'));
const store = join(work, 'store');

function say(text: string): void {
  process.stdout.write(`\n${styleText('bold', `# ${text}`)}\n`);
}

/** Shows a command and runs it; a status other than the expected one ends the demonstration. */
function tslayer(args: readonly string[], expected = 0): SpawnSyncReturns<string> {
  process.stdout.write(`${styleText('green', `$ tslayer ${args.map(quote).join(' ')}`)}\n`);
  const result = spawnSync(process.execPath, [bin, '--root', store, ...args], {
    env: environment,
    stdio: ['inherit', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  process.stdout.write(result.stdout);
  if (result.status !== expected) throw new Error(`status ${result.status} instead of ${expected}`);
  return result;
}

function shell(command: string): void {
  process.stdout.write(`${styleText('green', `$ ${command}`)}\n`);
  const { status } = spawnSync('/bin/sh', ['-c', command], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`status ${status}`);
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** `tslayer serve` as a process of its own; the address that it prints, and how to end it. */
async function serve(layout: string): Promise<{ host: string; stop: () => void }> {
  const child = spawn(process.execPath, [bin, 'serve', '--quiet', layout], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stop = (): void => void child.kill();
  for await (const chunk of child.stdout) return { host: String(chunk).trim().replace('http://', ''), stop };
  throw new Error('the registry did not start');
}

async function makeImages(layout: string): Promise<void> {
  const { entries, madeOf } = baseSystem();
  const base = await packLayer(entries, 'a shell and its friends');
  const config = await packLayer(
    [
      { path: 'etc/motd', content: 'Good morning!\n' },
      { path: 'app/' },
      { path: 'app/greet', content: '#!/bin/sh\ncat /etc/motd\n', mode: 0o755 },
    ],
    'an application',
  );
  const changed = await packLayer(
    [{ path: 'etc/motd', content: 'Good evening!\n' }, { path: 'etc/.wh.os-release' }],
    'its second version',
  );
  const env = { Env: ['PATH=/bin'], WorkingDir: '/app', Cmd: ['/app/greet'] };
  await writeLayout(layout, [
    { name: 'demo/app:1', layers: [base, config], config: env },
    { name: 'demo/app:2', layers: [base, config, changed], config: env },
  ]);
  say(`Two images were made of ${madeOf}: demo/app:1 with two layers, and demo/app:2 with one more on top of them.`);
}

async function demonstrate(): Promise<void> {
  const layout = join(work, 'layout');
  await makeImages(layout);
  say('An embedded registry serves them on loopback. It is part of tslayer.');
  const registry = await serve(layout);
  try {
    const app = `${registry.host}/demo/app`;
    pull(app);
    if (isRoot) runAndMount(app);
    else say('Mounting and running need root: sudo npm run demo shows the rest.');
    look(app);
  } finally {
    registry.stop();
  }
}

function pull(app: string): void {
  const unpack = isRoot ? [] : ['--no-unpack'];
  say('A pull checks every byte against its digest while it streams, and prints what it verified.');
  tslayer(['pull', ...unpack, `${app}:1`]);
  say('The second image shares two layers with the first: only what is new is fetched.');
  tslayer(['pull', ...unpack, `${app}:2`]);
  say('Once more: one request, nothing to do.');
  tslayer(['pull', ...unpack, `${app}:2`]);
  tslayer(['images']);
}

function runAndMount(app: string): void {
  say("Two mounts of one image share its layers, and see none of each other's writes.");
  const one = tslayer(['mount', '--name', 'one', `${app}:1`]).stdout.trim();
  const two = tslayer(['mount', '--name', 'two', `${app}:1`]).stdout.trim();
  shell(`echo 'Hello from the first mount' > ${one}/etc/motd; head ${one}/etc/motd ${two}/etc/motd`);
  say('What was written in it:');
  tslayer(['diff', 'one']);
  say("A container has its own processes, host name and network; it ends with the program's exit status.");
  tslayer(['run', '--rm', `${app}:2`]);
  tslayer(['run', '--rm', '--hostname', 'demo', `${app}:2`, '/bin/sh', '-c', 'hostname; id; ls /app; exit 7'], 7);
  say('The layers that both images share are on the disk once.');
  tslayer(['df']);
  say('Unmounting drops what was written.');
  tslayer(['umount', 'one', 'two']);
}

function look(app: string): void {
  say('Files can be looked at without mounting anything, and images compared.');
  tslayer(['cat', `${app}:2`, '/etc/motd']);
  tslayer(['diff', `${app}:1`, `${app}:2`]);
  say('Nothing is left but what is asked to stay.');
  tslayer(['rmi', `${app}:1`, `${app}:2`]);
  tslayer(['fsck']);
}

// Ctrl-C ends the command that runs; what was made is taken away all the same.
process.on('SIGINT', () => undefined);
try {
  await demonstrate();
  say('That was it. npx tslayer --help shows the other commands.');
} finally {
  spawnSync(process.execPath, [bin, '--root', store, 'umount', '--force', 'one', 'two'], { env: environment });
  rmSync(work, { recursive: true, force: true });
}
