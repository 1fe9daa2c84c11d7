/** What is typed at a container's terminal: from the caller's own, or from a file or pipe that takes its place. */
import type { TerminalInput } from './launcher.ts';

const NEWLINE = 0x0a;
/** ^D, termios(3): after an unfinished line the first one only ends that. */
const END_OF_FILE = 0x04;

/** Passes the input on until the signal. With `ends`, its end is typed, too, as whoever sits at a terminal would. */
export function passTyping(
  stdin: TerminalInput,
  pass: (data: Uint8Array) => void,
  { ends, signal }: { readonly ends: boolean; readonly signal: AbortSignal },
): void {
  let last = NEWLINE;
  const onData = (data: Buffer): void => {
    last = data.at(-1) ?? last;
    pass(data);
  };
  const onEnd = (): void => pass(last === NEWLINE ? Buffer.of(END_OF_FILE) : Buffer.of(END_OF_FILE, END_OF_FILE));
  stdin.on('data', onData);
  if (ends) stdin.once('end', onEnd);
  signal.addEventListener('abort', () => stdin.off('data', onData).off('end', onEnd).pause(), { once: true });
}
