/** `--ulimit nofile=1024:2048` */
import { TslayerError } from '../../errors.ts';
import type { Rlimit } from '../spec.ts';

const NAMES = [
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
  'as',
];

export function parseUlimit(text: string): Rlimit {
  const [, type, soft, hard = soft] = /^([a-z]+)=(-1|\d+|unlimited)(?::(-1|\d+|unlimited))?$/.exec(text) ?? [];
  if (type === undefined || soft === undefined || !NAMES.includes(type)) {
    throw new TslayerError('INVALID_ARGUMENT', `--ulimit ${JSON.stringify(text)}: write NAME=SOFT[:HARD]`, {
      hint: `names are ${NAMES.join(', ')}`,
    });
  }
  const value = (digits: string): number => (digits === 'unlimited' ? -1 : Number(digits));
  const limit = { type, soft: value(soft), hard: value(hard ?? soft) };
  if (limit.hard !== -1 && (limit.soft === -1 || limit.soft > limit.hard)) {
    throw new TslayerError('INVALID_ARGUMENT', `--ulimit ${text}: the soft limit is above the hard one`);
  }
  return limit;
}
