/** The package's version, read from package.json beside the sources or above the build. */
import { readFileSync } from 'node:fs';

export function packageVersion(): string {
  const path = import.meta.url.endsWith('.ts') ? '../../package.json' : '../package.json';
  const { version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string };
  return version;
}
