/** WWW-Authenticate: RFC 9110, 11.6.1. A header may hold several challenges, and several headers are joined. */

export interface Challenge {
  /** In lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Longest header that is looked at. */
const MAX_LENGTH = 16 * 1024;
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const PARAMETER = /\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*/y;
const SEPARATOR = /[\s,]*/y;

/** Reads what it can; what follows a part that it cannot read is left out. */
export function parseChallenges(header: string | undefined): Challenge[] {
  const text = (header ?? '').slice(0, MAX_LENGTH);
  const challenges: Challenge[] = [];
  let at = skip(SEPARATOR, text, 0);
  while (at < text.length) {
    const scheme = match(TOKEN, text, at);
    if (!scheme) break;
    at += scheme[0].length;
    const parameters: Record<string, string> = Object.create(null);
    // A parameter is told from the next challenge by its equals sign.
    for (let found = match(PARAMETER, text, at); found; found = match(PARAMETER, text, at)) {
      const [whole, name = '', quoted, plain = ''] = found;
      parameters[name.toLowerCase()] = quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1');
      at += whole.length;
      const comma = skip(SEPARATOR, text, at);
      if (comma === at) break;
      at = comma;
    }
    challenges.push({ scheme: scheme[0].toLowerCase(), parameters });
    at = skip(SEPARATOR, text, at);
  }
  return challenges;
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function skip(pattern: RegExp, text: string, at: number): number {
  return at + (match(pattern, text, at)?.[0].length ?? 0);
}
