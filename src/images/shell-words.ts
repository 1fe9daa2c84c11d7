/**
 * Words as a Dockerfile's instructions have them: quotes, backslashes, and `$NAME`, `${NAME}`, `${NAME:-default}`,
 * `${NAME:+other}` from an environment. Nothing is ever executed. Dockerfile reference, "Environment replacement".
 */
import { TslayerError } from '../errors.ts';

export type Environment = ReadonlyMap<string, string>;

/** Splits at spaces outside of quotes, and expands variables outside of single quotes. */
export function splitWords(text: string, environment: Environment): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; ) {
    const char = text[at] ?? '';
    if (char === quote) {
      quote = '';
      at++;
    } else if (quote === '' && (char === '"' || char === "'")) {
      quote = char;
      word ??= '';
      at++;
    } else if (quote === '' && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at++;
    } else {
      const piece = quote === "'" ? { value: char, end: at + 1 } : readPiece(text, at, quote, environment);
      word = (word ?? '') + piece.value;
      at = piece.end;
    }
  }
  if (quote !== '') throw new TslayerError('INVALID_ARGUMENT', `a quote is not closed: ${text.slice(0, 200)}`);
  if (word !== undefined) words.push(word);
  return words;
}

interface Piece {
  readonly value: string;
  readonly end: number;
}

const VARIABLE = /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:[-+])([^}]*))?\})/y;

function readPiece(text: string, at: number, quote: string, environment: Environment): Piece {
  const char = text[at] ?? '';
  if (char === '\\' && at + 1 < text.length) {
    const next = text[at + 1] ?? '';
    // Inside double quotes a backslash is itself unless it guards something.
    const guards = quote === '' || next === '"' || next === '\\' || next === '$';
    return { value: guards ? next : `\\${next}`, end: at + 2 };
  }
  VARIABLE.lastIndex = at;
  const found = VARIABLE.exec(text);
  if (!found) return { value: char, end: at + 1 };
  return { value: expand(found, environment), end: VARIABLE.lastIndex };
}

function expand([, bare, braced, operator, word = '']: RegExpExecArray, environment: Environment): string {
  const value = environment.get(bare ?? braced ?? '') ?? '';
  if (operator === ':-') return value === '' ? word : value;
  if (operator === ':+') return value === '' ? '' : word;
  return value;
}
