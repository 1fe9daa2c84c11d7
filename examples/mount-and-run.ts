/**
 * The main job from a program: an image is made, mounted, changed, and run. Needs root, and busybox for something to
 * run.
 *
 *     sudo node examples/mount-and-run.ts
 */
import { existsSync, readFileSync } from 'node:fs';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { openTslayer } from 'tslayer';

if (process.getuid?.() !== 0 || !existsSync('/bin/busybox')) {
  console.log('this example needs root and /bin/busybox');
  process.exit(0);
}

const directory = await mkdtemp(join(tmpdir(), 'mount-and-run-'));
try {
  await using tslayer = await openTslayer({ root: join(directory, 'store') });
  const busybox = { content: readFileSync('/bin/busybox'), mode: 0o755 };
  await tslayer.build('hello:1', {
    layers: [{ files: { '/bin/busybox': busybox } }, { files: { '/etc/motd': 'hello\n' } }],
    changes: ['CMD ["/bin/busybox", "cat", "/etc/motd"]'],
  });

  const { name, target } = await tslayer.mount('hello:1');
  await appendFile(join(target, 'etc/motd'), 'and good bye\n');
  for (const { change, path } of await tslayer.diff(name)) console.log(`${change} ${path}`);
  await tslayer.commit(name, 'hello:2');
  await tslayer.umount(name);

  const { stdout, exited } = await tslayer.run('hello:2', { remove: true }, { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = stdout === null ? '' : await text(stdout);
  console.log(`${said}exit status ${(await exited).exitCode}`);
} finally {
  await rm(directory, { recursive: true, force: true });
}
