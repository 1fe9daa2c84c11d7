/** A root file system of one static program: busybox under each of its names, and the few files that programs read. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { programPath } from './requires.ts';

const PASSWD = `root:x:0:0:root:/root:/bin/sh
app:x:1000:1000:app:/home/app:/bin/sh
`;
const GROUP = `root:x:0:
app:x:1000:
staff:x:50:app
`;

export function makeBusyboxRootfs(directory: string): void {
  const busybox = programPath('busybox');
  if (busybox === undefined) throw new Error('busybox is not installed');
  for (const name of ['bin', 'etc', 'root', 'tmp', 'home/app']) mkdirSync(join(directory, name), { recursive: true });
  copyFileSync(busybox, join(directory, 'bin/busybox'));
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n').filter(Boolean);
  for (const name of applets) if (name !== 'busybox') symlinkSync('busybox', join(directory, 'bin', name));
  writeFileSync(join(directory, 'etc/passwd'), PASSWD);
  writeFileSync(join(directory, 'etc/group'), GROUP);
}

/** The same as a tar below `directory`; its path. */
export function makeBusyboxTar(directory: string): string {
  const [rootfs, tar] = [join(directory, 'system'), join(directory, 'system.tar')];
  makeBusyboxRootfs(rootfs);
  execFileSync('tar', ['-C', rootfs, '-cf', tar, '.']);
  return tar;
}
