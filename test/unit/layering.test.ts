/** Imports run one way. The rules are ARCHITECTURE.md's diagram; they are held here, by reading every import. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, test } from 'node:test';

const root = join(import.meta.dirname, '../..');

/** What everything may use. */
const BASE = ['src/errors.ts', 'src/progress.ts', 'src/oci/'];
const SYS = 'src/sys/';

/**
 * What each part may import besides itself and BASE. A name ending in `/` is a directory. Parts are matched from
 * the most specific on.
 */
const RULES: Readonly<Record<string, readonly string[]>> = {
  'src/errors.ts': [],
  'src/progress.ts': [],
  'src/oci/': [],
  'src/sys/': [],
  'src/store-layout.ts': [],
  'src/config/': ['registry-client/options.ts', 'src/archive/sink.ts'],
  'registry-client/': [],
  'src/serve/': [],
  'src/metadata/': [],
  'src/archive/': [SYS],
  'src/mounts/': [SYS],
  'src/blobs/': [SYS, 'src/metadata/', 'src/store-layout.ts'],
  // Probing is trying: a driver's probe mounts something and takes it away again.
  'drivers/': [SYS, 'src/archive/', 'src/mounts/'],
  'src/layers/': [
    SYS,
    'src/archive/',
    'src/blobs/',
    'src/metadata/',
    'src/mounts/mount.ts',
    'src/store-layout.ts',
    'drivers/driver.ts',
  ],
  'src/transports/': [SYS, 'src/archive/', 'src/blobs/blob-store.ts'],
  'src/launch/': [SYS, 'src/mounts/', 'src/store-layout.ts'],
  'src/images/': [
    SYS,
    'src/archive/',
    'src/blobs/',
    'src/layers/',
    'src/metadata/',
    'src/mounts/',
    'src/store-layout.ts',
    'src/transports/',
    'drivers/driver.ts',
    'registry-client/client.ts',
  ],
  'src/containers/': [
    SYS,
    'src/images/',
    'src/layers/',
    'src/launch/',
    'src/metadata/',
    'src/mounts/mount.ts',
    'src/store-layout.ts',
  ],
  'src/bench/': [SYS, 'src/index.ts', 'src/archive/'],
  'src/index.ts': ['src/', 'drivers/', 'registry-client/'],
  'src/tslayer.ts': ['src/', 'drivers/', 'registry-client/'],
  'src/library/': ['src/', 'drivers/index.ts', 'registry-client/'],
  'src/version.ts': [],
  'src/tslayer-options.ts': ['src/', 'registry-client/client.ts'],
  'src/store-driver.ts': ['drivers/driver.ts', 'drivers/index.ts'],
  'src/remove-at-end.ts': ['src/tslayer.ts'],
  'src/cli/': ['src/index.ts', 'src/version.ts'],
  'src/cli/leave.ts': ['src/sys/end-process.ts', 'src/sys/ffi-state.ts'],
};

const PART_OF = Object.keys(RULES).sort((a, b) => b.length - a.length);

function partOf(file: string): string | undefined {
  return PART_OF.find((part) => within(file, part));
}

function within(file: string, part: string): boolean {
  return part.endsWith('/') ? file.startsWith(part) : file === part;
}

interface Import {
  readonly from: string;
  /** Path from the project's root for relative imports, else the package's name. */
  readonly to: string;
}

const SPECIFIER = /(?:\bfrom|\bimport|\bimport\(|\bmoduleUrl\()\s*'([^']+)'/g;

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}

function importsOf(file: string): Import[] {
  const source = withoutComments(readFileSync(join(root, file), 'utf8'));
  return [...source.matchAll(SPECIFIER)].map(([, specifier = '']) => ({
    from: file,
    to: specifier.startsWith('.') ? normalize(join(dirname(file), specifier)) : specifier,
  }));
}

const FILES = globSync(['src/**/*.ts', 'drivers/**/*.ts', 'registry-client/**/*.ts'], { cwd: root }).sort();
const IMPORTS = FILES.flatMap(importsOf);
const RELATIVE = IMPORTS.filter(({ to }) => /^(?:src|drivers|registry-client)\//.test(to));

function list(imports: readonly Import[]): string[] {
  return imports.map(({ from, to }) => `${from} → ${to}`);
}

describe('layering', () => {
  test('imports are found', () => {
    assert.ok(RELATIVE.length > 100, `only ${RELATIVE.length} imports were found`);
  });

  test('every file belongs to a part', () => {
    assert.deepEqual(
      FILES.filter((file) => partOf(file) === undefined),
      [],
    );
  });

  test('every part imports only what its rule names', () => {
    const wrong = RELATIVE.filter(({ from, to }) => {
      const part = partOf(from) ?? '';
      return ![part, ...BASE, ...(RULES[part] ?? [])].some((allowed) => within(to, allowed));
    });
    assert.deepEqual(list(wrong), []);
  });

  test('drivers never import each other', () => {
    const driverOf = (file: string): string | undefined => /^drivers\/(overlayfs|vfs|aufs|erofs)\b/.exec(file)?.[1];
    const wrong = RELATIVE.filter(({ from, to }) => {
      const [own, other] = [driverOf(from), driverOf(to)];
      return own !== undefined && other !== undefined && own !== other;
    });
    assert.deepEqual(list(wrong), []);
  });

  test('only src/sys calls the kernel through FFI', () => {
    const wrong = IMPORTS.filter(({ from, to }) => to === 'koffi' && !from.startsWith(SYS));
    assert.deepEqual(list(wrong), []);
  });

  test('nothing imports the command line', () => {
    const wrong = RELATIVE.filter(({ from, to }) => to.startsWith('src/cli/') && !from.startsWith('src/cli/'));
    assert.deepEqual(list(wrong), []);
  });

  test('no module imports itself through others while it loads', () => {
    const graph = new Map<string, string[]>();
    for (const { from, to } of staticImports()) graph.set(from, [...(graph.get(from) ?? []), to]);
    assert.deepEqual(findCycle(graph), undefined);
  });
});

/** Imports that are executed at load: no types, no `import()`. */
function staticImports(): Import[] {
  const values = /^(?:import|export)\s+(?!type\b)(?:[^'";]*?\bfrom\s*)?'([^']+)'/gm;
  return FILES.flatMap((from) =>
    [...withoutComments(readFileSync(join(root, from), 'utf8')).matchAll(values)]
      .filter(([statement]) => !/\{(?:\s*type\s+[^,}]+,?)+\s*\}/.test(statement))
      .map(([, specifier = '']) => ({ from, to: normalize(join(dirname(from), specifier)) })),
  );
}

function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    done.add(file);
    for (const next of graph.get(file) ?? []) {
      const cycle = visit(next, [...path, file]);
      if (cycle) return cycle;
    }
    return undefined;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return undefined;
}
