/**
 * What AUFS answers to lists of options: asked of the kernel that files play, and of a real one, so that the first
 * is held to the second.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

export interface Question {
  readonly name: string;
  /** Options of the mount, then of each remount. */
  readonly calls: readonly (readonly string[])[];
  /** `ok`, or the errno of the first call that fails. */
  readonly answer: string;
}

/** @param directory an empty one, for branches */
export function questions(directory: string): Question[] {
  const path = (name: string): string => {
    mkdirSync(join(directory, name), { recursive: true });
    return join(directory, name);
  };
  const many = Array.from({ length: 130 }, (_, at) => `${path(`b${at}`)}=ro+wh`);
  const first = `br:${many.slice(0, 60).join(':')}`;
  const append = (from: number, to: number): string[] => many.slice(from, to).map((branch) => `append:${branch}`);
  const ask = (name: string, answer: string, ...calls: string[][]): Question => ({ name, calls, answer });
  return [
    ask('127 branches in three calls', 'ok', [first], append(60, 120), append(120, 127)),
    ask('a branch more', 'ENOSPC', [first], append(60, 120), append(120, 128)),
    ask('83 options in one call', 'ok', [`br:${many[0]}`], append(1, 84)),
    ask('86 options in one call', 'E2BIG', [`br:${many[0]}`], append(1, 87)),
    ask('a branch twice', 'EINVAL', [`br:${many[0]}:${many[0]}`]),
    ask('a branch in another', 'EINVAL', [`br:${many[0]}:${path('b0/nested')}=ro+wh`]),
    ask('an option that nobody knows', 'EINVAL', [`br:${many[0]}`, 'volatile']),
    ask('a comma in a path', 'EINVAL', [`br:${path('with,comma')}=ro`]),
    ask('a colon in a path', 'EINVAL', [`br:${path('with:colon')}=ro`]),
    ask('an equals sign in a path', 'EINVAL', [`br:${path('with=sign')}=ro`]),
    ask('white space, backslash and UTF-8 in a path', 'ok', [`br:${path('with space+\\ä')}=ro`]),
    ask('a branch that is not there', 'EINVAL', [`br:${directory}/missing=ro`]),
    ask('a remount that fails in part', 'EINVAL', [`br:${many[0]}`], [...append(1, 3), 'volatile']),
  ];
}
