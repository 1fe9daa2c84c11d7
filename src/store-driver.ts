/**
 * Which driver a store opens with. A store records the name of the driver that it was made with, and a driver from
 * outside is recorded by where it was loaded from, so that the store finds it again without being told.
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
  const { builtInDrivers, chooseDriver, loadDriver, requireDriver } = await import('../drivers/index.ts');
  if (key === undefined) return (await chooseDriver(directory)).module;
  const module = recorded ? await loadDriver(key) : (await requireDriver(key, directory)).module;
  if (builtInDrivers.includes(key)) return module;
  const { summary } = module;
  return { name: key, summary, probe: (at) => module.probe(at), open: (at, settings) => module.open(at, settings) };
}
