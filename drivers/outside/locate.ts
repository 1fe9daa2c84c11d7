/** Where the module of a driver from outside lies: a path, or an npm package near the caller or beside tslayer. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire, findPackageJSON } from 'node:module';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { TslayerError } from '../../src/errors.ts';

const PACKAGE = /^((?:@[a-z0-9._~-]+\/)?[a-z0-9._~-]+)(\/.+)?$/;

/**
 * The module's URL.
 *
 * @throws TslayerError NOT_FOUND, INVALID_ARGUMENT for what is neither a path nor a package's name
 */
export function locate(specifier: string, from: string): string {
  const found = isPath(specifier) ? existing(resolve(from, specifier)) : locatePackage(specifier, from);
  if (found !== undefined) return found;
  const hint = isPath(specifier)
    ? undefined
    : 'one that is a package is found where it is installed: from there, or beside tslayer; tslayer drivers lists the others';
  throw new TslayerError('NOT_FOUND', `no storage driver ${specifier} (looked from ${from})`, { hint });
}

function isPath(specifier: string): boolean {
  return isAbsolute(specifier) || specifier.startsWith('./') || specifier.startsWith('../');
}

function existing(path: string): string | undefined {
  return existsSync(path) ? pathToFileURL(path).href : undefined;
}

function locatePackage(specifier: string, from: string): string | undefined {
  const [, name, within] = PACKAGE.exec(specifier) ?? [];
  if (name === undefined) {
    const what = JSON.stringify(specifier);
    throw new TslayerError('INVALID_ARGUMENT', `${what} is neither a driver, a path nor a package`);
  }
  const near = (file: string): string | undefined =>
    requiredFrom(file, specifier) ?? importedFrom(file, name, `.${within ?? ''}`);
  return near(join(from, 'package.json')) ?? near(fileURLToPath(import.meta.url));
}

/** As require() would from there; undefined for what is not installed there, or for `import` alone. */
function requiredFrom(base: string, specifier: string): string | undefined {
  return findOrNothing(() => pathToFileURL(createRequire(base).resolve(specifier)).href);
}

/** As import() would from there; import.meta.resolve() knows its own place alone. */
function importedFrom(base: string, name: string, subpath: string): string | undefined {
  const description = findOrNothing(() => findPackageJSON(name, pathToFileURL(base)));
  if (description === undefined) return undefined;
  const { exports } = JSON.parse(readFileSync(description, 'utf8')) as { exports?: unknown };
  const target = targetOf(exports, subpath);
  return target === undefined ? undefined : existing(resolve(dirname(description), target));
}

/** Node's "Conditional exports", without patterns: a driver is one module. */
function targetOf(exports: unknown, subpath: string): string | undefined {
  if (typeof exports === 'string') return subpath === '.' ? exports : undefined;
  if (typeof exports !== 'object' || exports === null) return undefined;
  const bySubpath = Object.keys(exports).some((key) => key.startsWith('.'));
  if (bySubpath) return targetOf((exports as Record<string, unknown>)[subpath], '.');
  for (const [condition, target] of Object.entries(exports)) {
    const found = ['node', 'import', 'default'].includes(condition) ? targetOf(target, subpath) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function findOrNothing(find: () => string | undefined): string | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}
