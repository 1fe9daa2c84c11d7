/**
 * A root file system from what the machine has: busybox where it is installed, else a shell and a few programs with
 * the libraries that they ask for. No internet is needed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TreeEntry } from './layout.ts';

const APPLETS = ['sh', 'ls', 'cat', 'echo', 'id', 'ps', 'hostname', 'mount', 'true', 'false', 'sleep', 'wc', 'env'];
const WITHOUT_BUSYBOX = ['sh', 'ls', 'cat', 'echo', 'id', 'ps', 'hostname', 'true', 'false', 'sleep', 'wc', 'env'];

/** The entries of a base layer, and what it is made of. */
export function baseSystem(): { entries: TreeEntry[]; madeOf: string } {
  const busybox = findProgram('busybox');
  const found = (busybox ? ['busybox'] : WITHOUT_BUSYBOX).flatMap((name) => programFiles(name));
  const links = busybox ? APPLETS.map((name): TreeEntry => ({ path: `bin/${name}`, symlink: 'busybox' })) : [];
  const files = new Map(found.map((entry) => [entry.path, entry]));
  const entries: TreeEntry[] = [
    ...['bin', 'dev', 'etc', 'proc', 'root', 'sys', 'tmp'].map((path) => ({ path: `${path}/` })),
    ...files.values(),
    ...links,
    { path: 'etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' },
    { path: 'etc/group', content: 'root:x:0:\nnogroup:x:65534:\n' },
    { path: 'etc/os-release', content: 'ID=demo\nPRETTY_NAME="An image made on the spot"\n' },
  ];
  return { entries, madeOf: busybox ?? WITHOUT_BUSYBOX.filter((name) => findProgram(name)).join(', ') };
}

function findProgram(name: string): string | undefined {
  const places = ['/bin', '/usr/bin', ...(process.env.PATH ?? '').split(delimiter)];
  return places.map((place) => join(place, name)).find((path) => existsSync(path));
}

/** The program as bin/NAME, and each library where the loader looks for it. */
function programFiles(name: string): TreeEntry[] {
  const path = findProgram(name);
  if (path === undefined) return [];
  const read = (at: string): Buffer => readFileSync(realpathSync(at));
  return [
    { path: `bin/${name}`, content: read(path), mode: 0o755 },
    ...libraries(path).map((library) => ({ path: library.slice(1), content: read(library), mode: 0o755 })),
  ];
}

/** Paths that ldd(1) names; none for a static program. */
function libraries(program: string): string[] {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  return [...(stdout ?? '').matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path = '']) => path);
}
