/** The caller's terminal, or plain streams, joined to a watched container. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { throwIfAborted } from '../errors.ts';
import { KeySequence } from './detach-keys.ts';
import { launchError } from './detached.ts';
import { LaunchError } from './errors.ts';
import { type ClientMessage, controlFrame, encodeFrame, FRAME, readFrames, type WatcherMessage } from './frames.ts';
import type { ExitResult, TerminalInput, TerminalIO } from './launcher.ts';
import { RawTerminal } from './raw-terminal.ts';
import { passTyping } from './typing.ts';

export interface SessionOptions extends Omit<TerminalIO, 'detachKeys'> {
  /** The container has a terminal: keys are passed on raw, and the window's size with them. */
  readonly terminal: boolean;
  /** Whether input is passed on. */
  readonly input: boolean;
  /** Losing this session hangs the container up. */
  readonly owner: boolean;
  /** What leaves a terminal, as `parseKeys` gives it. */
  readonly detachKeys: readonly number[];
}

/** Until the container ends, or the caller detaches. */
export async function attachSession(socket: Socket, options: SessionOptions): Promise<ExitResult> {
  const stdin = options.stdin ?? process.stdin;
  const stdout = options.stdout ?? process.stdout;
  const say = (message: ClientMessage): boolean => socket.write(controlFrame(message));
  const terminal = new RawTerminal(stdin, stdout);
  const session = new AbortController();
  let detached = false;
  const leave = (): void => {
    detached = true;
    say({ type: 'detach' });
    socket.end();
  };
  say({ type: 'attach', owner: options.owner });
  if (options.terminal) terminal.onSize((size) => say({ type: 'resize', size }), session.signal);
  if (options.input && options.terminal) {
    terminal.raw(session.signal);
    const { owner: ends, detachKeys } = options;
    passTyping(stdin, findKeys(stdin, socket, detachKeys, leave), { ends, signal: session.signal });
  } else if (options.input) passInput(stdin, socket, session.signal);
  options.signal?.addEventListener('abort', () => socket.destroy(), { once: true, signal: session.signal });
  try {
    const result = await receive(socket, stdout, options);
    if (result) return result;
    if (detached) return { exitCode: 0, oomKilled: false, detached: true };
    throw new LaunchError(125, 'FAILED', 'the connection to the container broke');
  } catch (error) {
    // Whoever interrupts it breaks the connection.
    throwIfAborted(options.signal);
    throw error;
  } finally {
    session.abort();
    socket.destroy();
  }
}

/** Passes on what is typed but for the keys that leave. */
function findKeys(
  stdin: TerminalInput,
  socket: Socket,
  detachKeys: readonly number[],
  leave: () => void,
): (data: Uint8Array) => void {
  const keys = new KeySequence(detachKeys);
  return (data) => {
    const { pass, found } = keys.push(data);
    if (pass.length > 0) send(stdin, socket, pass);
    if (found) leave();
  };
}

/** A file or pipe is read no faster than the container takes it. */
function send(stdin: TerminalInput, socket: Socket, data: Uint8Array): void {
  if (!socket.writable || socket.write(encodeFrame(FRAME.stdin, data))) return;
  stdin.pause();
  socket.once('drain', () => stdin.resume());
}

function passInput(stdin: TerminalInput, socket: Socket, signal: AbortSignal): void {
  const pass = (data: Uint8Array): void => send(stdin, socket, data);
  const onEnd = (): void => pass(new Uint8Array());
  stdin.on('data', pass).once('end', onEnd);
  signal.addEventListener('abort', () => stdin.off('data', pass).off('end', onEnd).pause(), { once: true });
}

async function receive(
  socket: Socket,
  stdout: NodeJS.WriteStream,
  options: SessionOptions,
): Promise<ExitResult | undefined> {
  for await (const { kind, payload } of readFrames(socket)) {
    if (kind === FRAME.stdout) await show(stdout, payload, options.signal);
    else if (kind === FRAME.stderr) await show(process.stderr, payload, options.signal);
    else {
      const message = JSON.parse(payload.toString()) as WatcherMessage;
      if (message.type === 'exited') return message.result;
      if (message.type === 'warning') options.onWarning?.(message.message);
      if (message.type === 'error') throw launchError(message);
    }
  }
  return undefined;
}

/** No faster than its reader takes it: the program waits meanwhile. */
async function show(target: NodeJS.WriteStream, data: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  if (!target.write(data)) await once(target, 'drain', signal ? { signal } : {});
}
