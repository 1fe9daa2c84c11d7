/** The program that a container runs: what the image says, and what the caller says instead. */
import { posix } from 'node:path';
import { TslayerError } from '../../errors.ts';
import type { RuntimeConfig } from '../../oci/config.ts';
import { chooseCapabilities, parseCapability } from '../capabilities.ts';
import { DEFAULT_PATH } from '../defaults.ts';
import type { SpecHost } from '../host.ts';
import { mergeEnvironment } from '../options/environment.ts';
import type { SecurityOptions } from '../options/security.ts';
import { parseUlimit } from '../options/ulimits.ts';
import type { RunOptions } from '../run-options.ts';
import { chooseProfile } from '../seccomp/choose.ts';
import type { ProcessSpec } from '../spec.ts';

const MAX_OOM_SCORE = 1000;

export function buildProcess(
  image: RuntimeConfig,
  options: RunOptions,
  hostname: string,
  security: SecurityOptions,
  host: SpecHost,
): ProcessSpec {
  const privileged = options.privileged ?? false;
  const add = options.capAdd ?? [];
  const capabilities = chooseCapabilities({ add, drop: options.capDrop ?? [], privileged });
  const named = add.filter((name) => name.toUpperCase() !== 'ALL').map(parseCapability);
  const profile = chooseProfile(security.seccomp, capabilities, host.readText);
  return {
    args: chooseArguments(image, options),
    env: mergeEnvironment(
      [`PATH=${DEFAULT_PATH}`, `HOSTNAME=${hostname}`, ...(options.tty ? ['TERM=xterm'] : [])],
      (image.Env ?? []).filter((entry) => entry.indexOf('=') > 0),
      options.env ?? [],
    ),
    cwd: posix.resolve('/', options.workdir ?? image.WorkingDir ?? '/'),
    user: options.user ?? image.User ?? '',
    additionalGroups: options.groupAdd ?? [],
    terminal: options.tty ?? false,
    stdin: options.interactive ?? false,
    capabilities,
    addedCapabilities: named.filter((name) => capabilities.includes(name)),
    noNewPrivileges: security.noNewPrivileges,
    rlimits: (options.ulimit ?? []).map(parseUlimit),
    ...(options.oomScoreAdj !== undefined && { oomScoreAdj: checkOomScore(options.oomScoreAdj) }),
    init: options.init ?? false,
    ...(profile && { seccomp: profile }),
  };
}

/** An entrypoint of the caller's own also sets the image's Cmd aside. */
function chooseArguments(image: RuntimeConfig, options: RunOptions): string[] {
  const ownEntrypoint = options.entrypoint !== undefined;
  const entrypoint = ownEntrypoint ? [options.entrypoint].filter((x) => x !== '') : (image.Entrypoint ?? []);
  const given = options.command ?? [];
  const command = given.length > 0 ? given : ownEntrypoint ? [] : (image.Cmd ?? []);
  const args = [...entrypoint, ...command].filter((x) => x !== undefined);
  if (args.length === 0) {
    throw new TslayerError('INVALID_ARGUMENT', 'there is no program to run: the image names none', {
      hint: 'say one after the image',
    });
  }
  return args;
}

function checkOomScore(score: number): number {
  if (Number.isInteger(score) && Math.abs(score) <= MAX_OOM_SCORE) return score;
  throw new TslayerError('INVALID_ARGUMENT', `--oom-score-adj goes from -${MAX_OOM_SCORE} to ${MAX_OOM_SCORE}`);
}
