import { readdir } from 'node:fs';

/**
 * The names in a directory, none where there is no such directory; read by another thread, since tens of thousands take
 * the kernel a while, in which this one can do something else. node:fs/promises would load all that file handles need.
 */
export function readNames(directory: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    readdir(directory, (error, names) => {
      if (error === null) resolve(names);
      else if (error.code === 'ENOENT') resolve([]);
      else reject(error);
    });
  });
}
