/** Programs of the host that the launcher needs in rare cases. By absolute path: never found through PATH. */
import { accessSync, constants } from 'node:fs';
import { TslayerError } from '../errors.ts';

const DIRECTORIES = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/local/sbin'];

export function tryFindProgram(name: string): string | undefined {
  return DIRECTORIES.map((directory) => `${directory}/${name}`).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const PACKAGES: Readonly<Record<string, string>> = { newuidmap: 'uidmap', newgidmap: 'uidmap' };

export function findProgram(name: string): string {
  const path = tryFindProgram(name);
  if (path !== undefined) return path;
  throw new TslayerError('UNSUPPORTED', `this needs the program ${name}`, {
    hint: `install the package ${PACKAGES[name] ?? 'util-linux'}`,
  });
}
