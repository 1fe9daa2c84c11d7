/**
 * The list of drivers, and how one is chosen. Adding a driver is a folder, a line here, and a call of the
 * conformance suite. Modules load when they are needed: a listing never waits for a driver.
 */
import { asTslayerError, TslayerError, throwIfAborted } from '../src/errors.ts';
import type { DriverModule, Probe } from './driver.ts';
import { loadOutside } from './outside/load.ts';

export type * from './driver.ts';

/** In the order of preference. */
const BUILT_IN: Readonly<Record<string, () => Promise<{ readonly driver: DriverModule }>>> = {
  erofs: () => import('./erofs/index.ts'),
  overlayfs: () => import('./overlayfs/index.ts'),
  aufs: () => import('./aufs/index.ts'),
  vfs: () => import('./vfs/index.ts'),
};

export const builtInDrivers: readonly string[] = Object.keys(BUILT_IN);

/**
 * A driver by its name, by the path of a module (`./my-driver.js`, relative to `from`), or by the name of an npm
 * package that is installed there. Such a module exports `driver`, a DriverModule.
 *
 * @param as what a driver from outside is called instead of the name that it has itself
 * @throws TslayerError NOT_FOUND when there is none, INVALID_ARGUMENT when the module exports no driver.
 */
export async function loadDriver(specifier: string, from: string = process.cwd(), as?: string): Promise<DriverModule> {
  const builtIn = Object.hasOwn(BUILT_IN, specifier) ? BUILT_IN[specifier] : undefined;
  if (builtIn) return (await builtIn()).driver;
  const driver = await loadOutside(specifier, from, as);
  if (Object.hasOwn(BUILT_IN, driver.name)) {
    throw new TslayerError('INVALID_ARGUMENT', `${specifier}: the name ${driver.name} is that of a driver of tslayer`);
  }
  return driver;
}

/** One driver as `tslayer drivers` shows it. */
export interface DriverReport extends Probe {
  readonly name: string;
  readonly summary: string;
  /** Whether a new store here would use it. */
  readonly chosen: boolean;
  /** Why it is chosen or not, one line. */
  readonly why: string;
}

export interface ProbeOptions {
  /** Drivers from outside to ask too, as `loadDriver` takes them; built-in ones are preferred. */
  readonly outside?: readonly string[];
  /** The driver that the user named. */
  readonly wanted?: string | undefined;
  /** The driver that the store was made with. It may be gone: the others are told of all the same. */
  readonly recorded?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Asks every driver whether it works for a store whose driver directory is `directory`. */
export async function probeAll(directory: string, options: ProbeOptions = {}): Promise<DriverReport[]> {
  const { outside = [], recorded, signal } = options;
  const wanted = recorded ?? options.wanted;
  const found: (Answer & { readonly specifier: string })[] = [];
  for (const specifier of new Set([...builtInDrivers, ...outside, ...(wanted === undefined ? [] : [wanted])])) {
    throwIfAborted(signal);
    const answer = ask(specifier, directory);
    found.push({ specifier, ...(await (specifier === recorded ? answer.catch(missingDriver(specifier)) : answer)) });
  }
  const chosen = wanted ?? found.find(({ probe }) => probe.available)?.specifier;
  return found.map(({ specifier, name, summary, probe }) => {
    const isChosen = specifier === chosen;
    return { name, summary, ...probe, chosen: isChosen, why: whyOf(probe, isChosen, wanted, chosen) };
  });
}

interface Answer extends Pick<DriverModule, 'name' | 'summary'> {
  readonly probe: Probe;
}

async function ask(specifier: string, directory: string): Promise<Answer> {
  const module = await loadDriver(specifier);
  return { name: module.name, summary: module.summary, probe: await module.probe(directory) };
}

function missingDriver(name: string): (error: unknown) => Answer {
  return (error) => ({
    name,
    summary: '',
    probe: { available: false, reason: asTslayerError(error).message, features: {} },
  });
}

function whyOf(probe: Probe, chosen: boolean, wanted: string | undefined, best: string | undefined): string {
  if (chosen && wanted !== undefined) return 'the store was made with it, or it was asked for';
  if (chosen) return `the first that works here of ${builtInDrivers.join(', ')}`;
  if (!probe.available) return 'does not work here';
  return wanted === undefined ? `${best} is preferred` : `${wanted} is asked for`;
}

/**
 * The preferred driver that works for `directory`.
 *
 * @throws TslayerError UNSUPPORTED with every driver's reason when none does.
 */
export async function chooseDriver(directory: string): Promise<{ module: DriverModule; probe: Probe }> {
  const reasons: string[] = [];
  for (const name of builtInDrivers) {
    const module = await loadDriver(name);
    const probe = await module.probe(directory);
    if (probe.available) return { module, probe };
    reasons.push(`${name}: ${probe.reason}`);
  }
  throw new TslayerError('UNSUPPORTED', `no storage driver works here (${reasons.join('; ')})`, {
    hint: 'run as root; pull --no-unpack works without a driver',
  });
}

/**
 * The driver `specifier`, if it works for `directory`; `as` as for `loadDriver`.
 *
 * @throws TslayerError UNSUPPORTED with the driver's reason when it does not.
 */
export async function requireDriver(
  specifier: string,
  directory: string,
  as?: string,
): Promise<{ module: DriverModule; probe: Probe }> {
  const module = await loadDriver(specifier, undefined, as);
  const probe = await module.probe(directory);
  if (probe.available) return { module, probe };
  throw new TslayerError('UNSUPPORTED', `the driver ${module.name} does not work here: ${probe.reason}`, {
    hint: 'tslayer drivers shows which do',
  });
}
