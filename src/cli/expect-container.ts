/** `run` starts its container's first process before it has read its own flags: both take a start of Node. */
import { expectRun } from '../index.ts';

/** Flags, or what looks like one, of containers that another process starts, or that start in another way. */
const LATER = /^(-[a-zA-Z]*[dt]|--(detach|tty|help|userns|pid|runtime)\b)/;

export async function expectContainer(words: readonly string[]): Promise<void> {
  if (process.geteuid?.() === 0 && !words.some((word) => LATER.test(word))) await expectRun();
}
