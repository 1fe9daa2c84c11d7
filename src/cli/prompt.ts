/** Questions on the terminal; where there is none, the caller must say it by options. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { TslayerError } from '../errors.ts';
import { err } from './streams.ts';

export function promptLine(question: string): Promise<string> {
  return ask(question, true);
}

/** What is typed is not shown. */
export function promptSecret(question: string): Promise<string> {
  return ask(question, false);
}

async function ask(question: string, echo: boolean): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new TslayerError(
      'INVALID_ARGUMENT',
      `there is no terminal to ask for the ${question.replace(/\W+$/, '').toLowerCase()}`,
      {
        hint: 'use --username and --password-stdin',
      },
    );
  }
  err.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: echo ? err.stream : silent, terminal: true });
  try {
    return await terminal.question('');
  } finally {
    terminal.close();
    if (!echo) err.write('\n');
  }
}
