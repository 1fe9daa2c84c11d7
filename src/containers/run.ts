/** Runs containers: in the foreground, with a terminal, or detached; and removes those that are to go at their end. */
import { isTslayerError } from '../errors.ts';
import type { StoreContext } from '../images/context.ts';
import type { Container, ExitResult, ForegroundIO, Launcher, TerminalIO } from '../launch/launcher.ts';
import type { RunOptions } from '../launch/run-options.ts';
import type { ContainerSpec } from '../launch/spec.ts';
import type { OperationOptions } from '../progress.ts';
import { createContainer } from './create.ts';
import { dropRemains, ignoreGone, removeContainer } from './remove.ts';
import type { RunningContainer } from './running.ts';

export interface RunRequest extends OperationOptions {
  readonly context: StoreContext;
  readonly launcher: Launcher;
  /** In the store already. */
  readonly image: string;
  readonly run: RunOptions;
  /** Remove the container at its end. */
  readonly remove: boolean;
  /** What a watcher starts to do so. */
  readonly removeCommand: (id: string) => readonly string[];
}

/** The caller's child: it ends with the caller. */
export async function runForeground(request: RunRequest, io: ForegroundIO): Promise<RunningContainer> {
  const { context, launcher, remove } = request;
  const spec = await createContainer(context, request.image, { ...request, onExit: undefined });
  const started = await launch(request, spec, () => launcher.run(spec, io, { durable: !remove }));
  const exited = started.exited.then(async (result) => {
    if (remove) await removeContainer(context, launcher, spec.id);
    return result;
  });
  return { ...started, id: spec.id, name: spec.name, exited };
}

/** With the caller's terminal, under a watcher. Leaving it with the detach keys lets it go on. */
export async function runTerminal(request: RunRequest, io: TerminalIO): Promise<ExitResult> {
  const { context, launcher } = request;
  const spec = await createWatched(request);
  const result = await launch(request, spec, () => launcher.runTerminal(spec, io));
  // The watcher does so, too: whoever is first. Here the caller can rely on it.
  if (request.remove && !result.detached) await removeContainer(context, launcher, spec.id).catch(ignoreGone);
  return result;
}

export async function runDetached(
  request: RunRequest,
  options: { readonly onWarning?: (message: string) => void },
): Promise<Container> {
  const spec = await createWatched(request);
  return launch(request, spec, () => request.launcher.start(spec, options));
}

/** Its watcher removes it, as nobody else may be there then. */
function createWatched(request: RunRequest): Promise<ContainerSpec> {
  const onExit = request.remove ? request.removeCommand : undefined;
  return createContainer(request.context, request.image, { ...request, onExit });
}

/** What could not be started leaves nothing. */
async function launch<T>({ context, launcher }: RunRequest, spec: ContainerSpec, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    if (!(await isKnown(launcher, spec.id))) await dropRemains(context, launcher, spec.id);
    throw error;
  }
}

async function isKnown(launcher: Launcher, id: string): Promise<boolean> {
  try {
    await launcher.inspect(id);
    return true;
  } catch (error) {
    if (isTslayerError(error, 'NOT_FOUND')) return false;
    throw error;
  }
}
