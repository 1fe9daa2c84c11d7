/** Loads drivers that are no part of tslayer: a module's path, or an npm package. */
import * as v from 'valibot';
import { TslayerError } from '../../src/errors.ts';
import type { DriverModule } from '../driver.ts';
import { guardModule } from './guard.ts';
import { locate } from './locate.ts';
import { ModuleSchema } from './schemas.ts';

/** @param as what it is called instead of the name that it has itself */
export async function loadOutside(specifier: string, from: string, as?: string): Promise<DriverModule> {
  const { driver } = await importModule(specifier, locate(specifier, from));
  const { issues } = v.safeParse(ModuleSchema, driver, { abortEarly: true });
  if (issues === undefined) return guardModule(driver as DriverModule, as ?? (driver as DriverModule).name);
  const at = v.getDotPath(issues[0]);
  const wrong = driver === undefined ? '' : ` (${at === null ? 'driver' : `driver.${at}`}: ${issues[0].message})`;
  throw new TslayerError('INVALID_ARGUMENT', `${specifier} exports no storage driver${wrong}`, {
    hint: 'it must export `driver` with name, summary, probe and open: see drivers/README.md',
  });
}

async function importModule(specifier: string, address: string): Promise<Record<string, unknown>> {
  try {
    return (await import(address)) as Record<string, unknown>;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TslayerError('INVALID_ARGUMENT', `cannot load the driver ${specifier}: ${reason}`, { cause: error });
  }
}
