/**
 * Which driver a store opens with. A store records the name of the driver that it was made with, and a driver from
 * outside by its path, so that the store finds it again without being told. A package stays a name: its files move
 * with its versions, so it is looked for where the caller is, and beside tslayer.
 */
import { isAbsolute, resolve } from 'node:path';
import type { DriverModule } from '../drivers/driver.ts';

/** The driver as it is recorded: a path becomes absolute, names of drivers and packages stay. */
export function driverKey(specifier: string): string {
  return specifier.startsWith('.') || isAbsolute(specifier) ? resolve(specifier) : specifier;
}

/**
 * @param key from driverKey; undefined: the best that works in `directory`
 * @param recorded the store was made with it: it worked, and is not tried once more
 */
export async function findDriver(directory: string, key: string | undefined, recorded: boolean): Promise<DriverModule> {
  const { chooseDriver, loadDriver, requireDriver } = await import('../drivers/index.ts');
  if (key === undefined) return (await chooseDriver(directory)).module;
  return recorded ? loadDriver(key, undefined, key) : (await requireDriver(key, directory, key)).module;
}
