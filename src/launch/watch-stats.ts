/** Samples of running containers, one round an interval. */
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerCgroups, cgroupPath } from './cgroups/cgroups.ts';
import type { ContainerStore } from './container-store.ts';
import { listContainers, running } from './inspect.ts';
import type { Container, StatsOptions } from './launcher.ts';
import { sampleUsage } from './sampler.ts';
import type { ContainerStats } from './stats.ts';

/** What the last round saw, for the share of a core since then. */
interface Seen {
  readonly usage: number;
  readonly at: bigint;
}

export async function* watchStats(
  store: ContainerStore,
  names: readonly string[],
  options: StatsOptions = {},
): AsyncGenerator<readonly ContainerStats[]> {
  for (const name of names) await running(store, name);
  const interval = options.interval ?? 1000;
  const seen = new Map<string, Seen>();
  await sampleRound(store, names, seen);
  while (await pause(interval, options.signal)) {
    yield await sampleRound(store, names, seen);
    if (options.once) return;
  }
}

/** False when the caller has had enough. */
async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await delay(milliseconds, undefined, signal ? { signal } : {});
    return true;
  } catch {
    return false;
  }
}

async function sampleRound(
  store: ContainerStore,
  names: readonly string[],
  seen: Map<string, Seen>,
): Promise<ContainerStats[]> {
  const all = await listContainers(store);
  const wanted =
    names.length === 0 ? all : all.filter(({ id, name }) => names.some((n) => n === name || id.startsWith(n)));
  return wanted
    .filter(({ state }) => state.status !== 'exited' && state.status !== 'created')
    .map((each) => sample(each, seen));
}

function sample(container: Container, seen: Map<string, Seen>): ContainerStats {
  const { id, name, spec, state } = container;
  const ownNetwork = spec.namespaces.some(({ type }) => type === 'network');
  const { cpu, ...usage } = sampleUsage(ContainerCgroups.find(cgroupPath(spec)), ownNetwork ? state.pid : undefined);
  const head = { id, name, time: new Date().toISOString() };
  return cpu
    ? { ...head, cpu: { percent: shareOfCore(id, cpu.usage, seen), ...cpu }, ...usage }
    : { ...head, ...usage };
}

/** In percent, since the last sample of this container. */
function shareOfCore(id: string, usage: number, seen: Map<string, Seen>): number {
  const at = process.hrtime.bigint();
  const last = seen.get(id);
  seen.set(id, { usage, at });
  return last ? Math.max(0, ((usage - last.usage) / Number(at - last.at)) * 100) : 0;
}
