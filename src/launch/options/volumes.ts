/** `-v` and `--tmpfs` in docker's spelling. */
import { posix } from 'node:path';
import { TslayerError } from '../../errors.ts';
import type { MountSpec } from '../spec.ts';

const BIND_OPTIONS = new Set([
  'ro',
  'rw',
  'nosuid',
  'nodev',
  'noexec',
  'idmap',
  'private',
  'rprivate',
  'slave',
  'rslave',
  'shared',
  'rshared',
]);
/** SELinux labels and caching hints of docker's: accepted, and without meaning here. */
const IGNORED_OPTIONS = new Set(['z', 'Z', 'cached', 'delegated', 'consistent', 'nocopy']);

/** `SRC:DST[:OPTIONS]`; a relative source starts with a dot. */
export function parseVolume(text: string): MountSpec {
  const [source = '', destination, options = '', ...rest] = text.split(':');
  if (destination === undefined) {
    throw wrong(
      text,
      'a volume is SOURCE:DESTINATION[:ro]',
      `--tmpfs ${text} gives an empty one that goes with the container`,
    );
  }
  if (rest.length > 0) throw wrong(text, 'a volume is SOURCE:DESTINATION[:ro]');
  if (!/^[./]/.test(source)) {
    throw wrong(text, 'volumes have no names here: the source is a path', `for a directory here: -v ./${text}`);
  }
  const words = options.split(',').filter((word) => word !== '' && !IGNORED_OPTIONS.has(word));
  const unknown = words.find((word) => !BIND_OPTIONS.has(word));
  if (unknown !== undefined) throw wrong(text, `unknown option ${unknown}`);
  const propagation = words.some((word) => /private|slave|shared/.test(word)) ? [] : ['rprivate'];
  return {
    destination: checkDestination(text, destination),
    type: 'bind',
    source: posix.resolve(source),
    options: ['rbind', ...propagation, ...words],
  };
}

/** `DST[:OPTIONS]`; docker's defaults, and whatever tmpfs(5) knows. */
export function parseTmpfs(text: string): MountSpec {
  const at = text.indexOf(':');
  const destination = at === -1 ? text : text.slice(0, at);
  const words =
    at === -1
      ? []
      : text
          .slice(at + 1)
          .split(',')
          .filter(Boolean);
  return {
    destination: checkDestination(text, destination),
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'nodev', ...(words.includes('exec') ? [] : ['noexec']), ...words],
  };
}

function checkDestination(text: string, destination: string): string {
  const normal = posix.normalize(destination);
  if (!posix.isAbsolute(normal) || normal === '/') throw wrong(text, 'the destination is an absolute path, not /');
  return normal;
}

function wrong(text: string, why: string, hint?: string): TslayerError {
  return new TslayerError('INVALID_ARGUMENT', `${JSON.stringify(text)}: ${why}`, { hint });
}
