/**
 * Starts an init process before anything else is known but that a container will be asked for: node's own start is
 * most of what `run` takes, and this way it overlaps the caller's. A program of its own in the build, so that it need
 * not wait until the command line is loaded. One that is never taken ends with the caller.
 */
import { bootInit, type InitProcess } from './boot.ts';
import type { BootOptions } from './launcher.ts';

/** The command line, a program of its own too, finds it here. */
const PLACE: unique symbol = Symbol.for('tslayer.early-boot');
const shared = globalThis as { [PLACE]?: InitProcess | undefined };

/** Global options that are followed by a value. */
const WITH_VALUE = /^--(root|driver|config|log-level)$/;
/** Flags, or what looks like one, of containers that another process starts, or that start in another way. */
const LATER = /^(-[a-zA-Z]*[dt]|--(detach|tty|help|userns|pid|runtime|net|network|ipc|uts)\b)/;

/** Whether these words of a command line run a container that the caller itself will start. */
export function asksForContainer(words: readonly string[]): boolean {
  const at = words.findIndex((word, i) => !word.startsWith('-') && !WITH_VALUE.test(words[i - 1] ?? ''));
  return words[at] === 'run' && !words.some((word) => LATER.test(word));
}

/** With the caller's own streams and a PID namespace, as most containers have. Does nothing where that is refused. */
export function bootEarly(words: readonly string[]): void {
  if (process.geteuid?.() !== 0 || !asksForContainer(words)) return;
  try {
    const stdio = ['inherit', 'inherit', 'inherit'] as const;
    shared[PLACE] ??= bootInit({ stdio, newPid: true, user: 'host', enter: [], early: true });
  } catch {
    // The launch itself will say why.
  }
}

/** The early one, once, if it is what these options ask for. Standard input is closed later where it is not wanted. */
export function takeEarly({ stdio, hostPid, userNamespace }: BootOptions): InitProcess | undefined {
  const [stdin = 'inherit', ...outputs] = stdio ?? [];
  const suits = stdin !== 'pipe' && typeof stdin === 'string' && outputs.every((target) => target === 'inherit');
  if (!suits || hostPid || userNamespace) return undefined;
  const taken = shared[PLACE];
  shared[PLACE] = undefined;
  return taken;
}
