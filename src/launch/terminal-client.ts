/** The caller's terminal, or plain streams, joined to a watched container. */
import type { Socket } from 'node:net';
import { DEFAULT_DETACH_KEYS, KeySequence, parseKeys } from './detach-keys.ts';
import { launchError } from './detached.ts';
import { LaunchError } from './errors.ts';
import { type ClientMessage, controlFrame, encodeFrame, FRAME, readFrames, type WatcherMessage } from './frames.ts';
import type { ExitResult, TerminalInput, TerminalIO } from './launcher.ts';
import { RawTerminal } from './raw-terminal.ts';

export interface SessionOptions extends TerminalIO {
  /** The container has a terminal: keys are passed on raw, and the window's size with them. */
  readonly terminal: boolean;
  /** Whether input is passed on. */
  readonly input: boolean;
  /** Losing this session hangs the container up. */
  readonly owner: boolean;
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
  if (options.input) {
    if (options.terminal) terminal.raw(session.signal);
    const keys = options.terminal ? parseKeys(options.detachKeys ?? DEFAULT_DETACH_KEYS) : [];
    passInput(stdin, socket, new KeySequence(keys), leave, session.signal);
  }
  options.signal?.addEventListener('abort', () => socket.destroy(), { once: true, signal: session.signal });
  try {
    const result = await receive(socket, stdout, options);
    if (result) return result;
    if (detached) return { exitCode: 0, oomKilled: false, detached: true };
    throw new LaunchError(125, 'FAILED', 'the connection to the container broke');
  } finally {
    session.abort();
    socket.destroy();
  }
}

function passInput(
  stdin: TerminalInput,
  socket: Socket,
  keys: KeySequence,
  leave: () => void,
  signal: AbortSignal,
): void {
  const onData = (data: Buffer): void => {
    const { pass, found } = keys.push(data);
    if (pass.length > 0) socket.write(encodeFrame(FRAME.stdin, pass));
    if (found) leave();
  };
  const onEnd = (): void => {
    if (socket.writable) socket.write(encodeFrame(FRAME.stdin, Buffer.alloc(0)));
  };
  stdin.on('data', onData).once('end', onEnd);
  signal.addEventListener('abort', () => {
    stdin.off('data', onData).off('end', onEnd).pause();
  });
}

async function receive(
  socket: Socket,
  stdout: NodeJS.WriteStream,
  options: SessionOptions,
): Promise<ExitResult | undefined> {
  for await (const { kind, payload } of readFrames(socket)) {
    if (kind === FRAME.stdout) stdout.write(payload);
    else if (kind === FRAME.stderr) process.stderr.write(payload);
    else {
      const message = JSON.parse(payload.toString()) as WatcherMessage;
      if (message.type === 'exited') return message.result;
      if (message.type === 'warning') options.onWarning?.(message.message);
      if (message.type === 'error') throw launchError(message);
    }
  }
  return undefined;
}
