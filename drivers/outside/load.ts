/** Loads drivers that are no part of tslayer: a module's path, or an npm package. */
import { createRequire } from 'node:module';
import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TslayerError } from '../src/errors.ts';
import type { DriverModule } from './driver.ts';

export async function loadOutside(specifier: string, from: string): Promise<DriverModule> {
  const address = locate(specifier, from);
  let module: Record<string, unknown>;
  try {
    module = (await import(address)) as Record<string, unknown>;
  } catch (error) {
    throw describe(error, specifier, from);
  }
  if (isDriverModule(module.driver)) return module.driver;
  throw new TslayerError('INVALID_ARGUMENT', `${specifier} exports no storage driver`, {
    hint: 'it must export `driver` with name, summary, probe and open: see drivers/README.md',
  });
}

function locate(specifier: string, from: string): string {
  if (isPath(specifier)) return pathToFileURL(resolve(from, specifier)).href;
  if (!/^(@[a-z0-9._~-]+\/)?[a-z0-9._~-]+(\/.+)?$/.test(specifier)) {
    throw new TslayerError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(specifier)} is neither a driver, a path nor a package`,
    );
  }
  try {
    return pathToFileURL(createRequire(join(from, 'package.json')).resolve(specifier)).href;
  } catch {
    // Not installed there, or for `import` alone: import() looks beside tslayer itself.
    return specifier;
  }
}

function isPath(specifier: string): boolean {
  return isAbsolute(specifier) || specifier.startsWith('./') || specifier.startsWith('../');
}

function describe(error: unknown, specifier: string, from: string): TslayerError {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (code === 'ERR_MODULE_NOT_FOUND') {
    const hint = isPath(specifier) ? undefined : 'tslayer drivers lists those that come with tslayer';
    return new TslayerError('NOT_FOUND', `no storage driver ${specifier} (looked from ${from})`, {
      hint,
      cause: error,
    });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new TslayerError('INVALID_ARGUMENT', `cannot load the driver ${specifier}: ${reason}`, { cause: error });
}

function isDriverModule(value: unknown): value is DriverModule {
  if (typeof value !== 'object' || value === null) return false;
  const { name, summary, probe, open } = value as Record<keyof DriverModule, unknown>;
  return (
    typeof name === 'string' &&
    /^[a-z][a-z0-9-]*$/.test(name) &&
    typeof summary === 'string' &&
    typeof probe === 'function' &&
    typeof open === 'function'
  );
}
