/**
 * Starts an init process before anything else is known but that a container will be asked for: node's own start is
 * most of what `run` takes, and this way it overlaps the caller's. One that is never taken ends with the caller.
 */
import { bootInit, type InitProcess } from './boot.ts';
import type { BootOptions } from './launcher.ts';

let early: InitProcess | undefined;

/** With the caller's own streams and a PID namespace, as most containers have. Does nothing where that is refused. */
export function bootEarly(): void {
  try {
    const stdio = ['inherit', 'inherit', 'inherit'] as const;
    early ??= bootInit({ stdio, newPid: true, user: 'host', enter: [] });
  } catch {
    // The launch itself will say why.
  }
}

/** The early one, once, if it is what these options ask for. Standard input is closed later where it is not wanted. */
export function takeEarly({ stdio, hostPid, userNamespace }: BootOptions): InitProcess | undefined {
  const [stdin = 'inherit', ...outputs] = stdio ?? [];
  const suits = stdin !== 'pipe' && typeof stdin === 'string' && outputs.every((target) => target === 'inherit');
  if (!suits || hostPid || userNamespace) return undefined;
  const taken = early;
  early = undefined;
  return taken;
}
