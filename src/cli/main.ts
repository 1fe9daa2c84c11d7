/** The command line's frame: finds the command, parses its words, runs it, and turns what happened into a status. */
import { Command, CommanderError } from 'commander';
import { asTslayerError, isTslayerError, TslayerError } from '../errors.ts';
import { packageVersion } from '../version.ts';
import { Cli } from './cli.ts';
import type { CommandEntry, Privilege } from './command.ts';
import { exitStatusOf, READER_GONE } from './exit-status.ts';
import { addGlobals, type GlobalOptions, splitCommand } from './globals.ts';
import { leave } from './leave.ts';
import { Output } from './output.ts';
import { COMMANDS, findCommand } from './registry.ts';
import { Interruption } from './signals.ts';
import { err, out } from './streams.ts';

/** Runs the process to its end. Nothing is left to wait for: what is open was closed by the command. */
export async function runProcess(argv: readonly string[]): Promise<never> {
  return await leave(await main(argv));
}

/** @returns the exit status */
export async function main(argv: readonly string[]): Promise<number> {
  const { name, rest } = splitCommand(argv);
  const early = new Output({ json: argv.includes('--json'), quiet: false, logLevel: 'info', color: useColor() });
  try {
    if (name === undefined && rest.some((word) => word === '--version' || word === '-V')) return showVersion(early);
    if (name === undefined) return await showOverview(rest);
    if (name === 'help') return await showHelp(rest);
    const entry = findCommand(name);
    return await runCommand(entry, rest);
  } catch (error) {
    const failure = asFailure(error);
    early.error(failure);
    return exitStatusOf(failure.code);
  }
}

async function runCommand(entry: CommandEntry, words: readonly string[]): Promise<number> {
  const command = await entry.load();
  const parser = new Command(`tslayer ${entry.name}`).description(entry.summary);
  command.define(parser);
  addGlobals(parser);
  if (!parse(parser, words)) return 0;
  const options = parser.opts<GlobalOptions>();
  using interruption = new Interruption();
  const cli = new Cli({ ...options, color: options.color && useColor() }, interruption, parser.processedArgs);
  watchReader(interruption);
  try {
    const privilege = command.privilege?.(options) ?? 'none';
    const elsewhere = await runAsUser(entry, words, options, privilege, interruption);
    if (elsewhere !== undefined) return elsewhere;
    await finish(cli, () => command.run(cli, parser.processedArgs, options));
    await outputDone(interruption);
    return cli.exitStatus;
  } catch (error) {
    if (interruption.readerGone) return READER_GONE;
    const failure = interruption.outputFailure ?? asFailure(error);
    cli.output.error(failure);
    // A second signal ends the process while its reader takes its time.
    await Promise.all([out.flushed(), err.flushed()]);
    return failure.code === 'ABORTED' && interruption.exitStatus ? interruption.exitStatus : statusOf(entry, failure);
  }
}

/**
 * For an ordinary user, starts over as root of a user namespace; the status it ended with. Undefined for root, and
 * where there can be no namespace and it is not needed.
 */
async function runAsUser(
  { name }: CommandEntry,
  words: readonly string[],
  { root, config }: GlobalOptions,
  privilege: Privilege,
  interruption: Interruption,
): Promise<number | undefined> {
  if (privilege === 'none' || process.geteuid?.() === 0) return undefined;
  const { unshare } = await import('../index.ts');
  try {
    // Signals are the other process's from here on, or its parent's to pass on.
    interruption[Symbol.dispose]();
    return await unshare([process.execPath, '--', process.argv[1] ?? '', name, ...words], { root, config });
  } catch (error) {
    if (!isTslayerError(error, 'UNSUPPORTED')) throw error;
    interruption.watch();
    if (privilege === 'useful') return undefined;
    const message = `${name} needs root, or a user namespace: ${error.message}`;
    throw new TslayerError('DENIED', message, { hint: error.hint, cause: error });
  }
}

/** The low numbers are the program's own for commands that run one; wrong use of the command itself stays 2. */
function statusOf({ failure: otherwise }: CommandEntry, failure: TslayerError): number {
  const { code } = failure;
  if (otherwise === undefined || code === 'INVALID_ARGUMENT' || code === 'ABORTED') return exitStatusOf(code);
  // The launcher tells 126 and 127 apart itself.
  return 'exitStatus' in failure && typeof failure.exitStatus === 'number' ? failure.exitStatus : otherwise;
}

/** Runs, and closes what was opened; a failed close never hides the first error. */
async function finish(cli: Cli, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    await cli[Symbol.asyncDispose]().catch(() => undefined);
    throw error;
  }
  await cli[Symbol.asyncDispose]();
}

/** @returns false when help was asked for and given */
function parse(parser: Command, words: readonly string[]): boolean {
  parser.exitOverride().configureOutput({ writeErr: () => undefined });
  try {
    parser.parse(words, { from: 'user' });
    return true;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return false;
    throw error;
  }
}

async function showHelp(words: readonly string[]): Promise<number> {
  const topic = words.find((word) => !word.startsWith('-'));
  return topic === undefined || topic === 'help' ? showOverview([]) : runCommand(findCommand(topic), ['--help']);
}

/** @param words what stands in place of a command */
async function showOverview(words: readonly string[]): Promise<number> {
  const asked = words.length === 0 || words.some((word) => word === '-h' || word === '--help');
  if (!asked) {
    throw new TslayerError('INVALID_ARGUMENT', `no command was named, only ${words.join(' ')}`, {
      hint: 'see tslayer --help',
    });
  }
  const { overview } = await import('./help.ts');
  out.write(overview(COMMANDS));
  return 0;
}

/** Alone it is answered by bin/tslayer.js already, before anything is loaded. */
function showVersion(output: Output): number {
  const version = packageVersion();
  out.write(output.options.json ? `${JSON.stringify({ version })}\n` : `tslayer ${version}\n`);
  return 0;
}

/** commander's complaints in our own form. */
function asFailure(error: unknown): TslayerError {
  if (!(error instanceof CommanderError)) return asTslayerError(error);
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const hint = suggestion?.replace(/^\(|\)$/g, '').replace(/^Did you mean /, 'did you mean ');
  return new TslayerError('INVALID_ARGUMENT', message, { hint: hint ?? 'see --help' });
}

function useColor(): boolean {
  return err.isTerminal && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
}

/** A closed pipe ends the operation without a word: `tslayer images | head -1` is no failure. */
function watchReader(interruption: Interruption): void {
  out.onError = (error) => {
    if (error.code === 'EPIPE') interruption.readerLeft();
    else interruption.outputFailed(error);
  };
  // Messages that cannot be written cannot be complained about.
  err.onError = (error) => {
    if (error.code === 'EPIPE') interruption.readerLeft();
  };
}

/**
 * A failed write is told by an event, one turn later: results must not be lost in silence. Whoever reads slowly can be
 * waited for until somebody interrupts that.
 */
async function outputDone(interruption: Interruption): Promise<void> {
  const { signal } = interruption;
  const isOver = new Promise<unknown>((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  const isInterrupted = await Promise.race([out.flushed().then(() => false), isOver.then(() => true)]);
  if (isInterrupted) throw signal.reason;
  await new Promise(setImmediate);
  if (interruption.outputFailure) throw interruption.outputFailure;
}
