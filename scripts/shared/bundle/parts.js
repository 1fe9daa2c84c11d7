/**
 * The command line in several files, so that a start reads, and V8 revives, little more than what it runs: a listing
 * or a pull of what is there needs a quarter of the whole. A part is what its roots import, less what lies in an
 * earlier part; imports at the top of a module never lead to a later one, `await import()` may.
 */

/** First to last. What nobody names is in the last part, `rest`. */
const ROOTS = {
  /** Listings, and a pull of what is there. */
  core: [
    'src/cli/main.ts',
    ...['images', 'pull'].map((name) => `src/cli/commands/${name}.ts`),
    ...['plain', 'view'].map((name) => `src/cli/progress/${name}.ts`),
    'src/cli/table.ts',
    'src/index.ts',
    'src/store-driver.ts',
    'src/sys/end-process.ts',
    'src/version.ts',
    'src/archive/sink.ts',
    'src/config/schema.ts',
    ...['find', 'list', 'name-image', 'pull/pull', 'pull/source', 'store'].map((name) => `src/images/${name}.ts`),
    'src/transports/location.ts',
    'registry-client/hosts/short-names.ts',
    'registry-client/registry-client.ts',
  ],
  /** What a mount needs, and so a container. */
  mount: [
    ...['mount', 'umount', 'rmi'].map((name) => `src/cli/commands/${name}.ts`),
    'src/cli/flags.ts',
    ...['collect', 'lease', 'mount', 'remove', 'stack-caches'].map((name) => `src/images/${name}.ts`),
    ...['mountinfo', 'perform', 'shared-stages', 'unmount'].map((name) => `src/mounts/${name}.ts`),
    ...['hash', 'locks'].map((name) => `src/sys/${name}.ts`),
    'drivers/index.ts',
    'drivers/erofs/index.ts',
  ],
  /** A pull of what is new. */
  transfer: ['src/archive/pipeline/unpacker.ts', 'src/blobs/file-ingest.ts', 'src/images/pull/image-fetch.ts'],
  /** A new layer, and its way to a registry. */
  publish: [
    ...['commit', 'push'].map((name) => `src/cli/commands/${name}.ts`),
    ...['commit', 'push'].map((name) => `src/images/${name}.ts`),
    'registry-client/write/writer.ts',
  ],
  launch: [
    ...['exec', 'ps', 'rm', 'run'].map((name) => `src/cli/commands/${name}.ts`),
    ...['remove', 'run'].map((name) => `src/containers/${name}.ts`),
    ...['build-spec', 'create-launcher', 'seccomp/choose'].map((name) => `src/launch/${name}.ts`),
  ],
};

export const FIRST_PART = 'core';
const LAST_PART = 'rest';

/** @param inputs of esbuild's metafile: each module and its imports @returns the part of each module */
export function partsOf(inputs) {
  const parts = new Map();
  for (const [part, roots] of Object.entries(ROOTS)) {
    for (const root of roots) if (inputs[root] === undefined) throw new Error(`part ${part}: there is no ${root}`);
    for (const module of importedBy(inputs, roots)) if (!parts.has(module)) parts.set(module, part);
  }
  for (const module of Object.keys(inputs)) if (!parts.has(module)) parts.set(module, LAST_PART);
  return parts;
}

function importedBy(inputs, roots) {
  const found = new Set(roots);
  for (const module of found) {
    for (const { kind, path, external } of inputs[module].imports) {
      if (kind !== 'dynamic-import' && !external) found.add(path);
    }
  }
  return found;
}

/**
 * Whether the parts have one copy of it between them. Ours have, for their classes and their state, and commander, whose
 * errors are told by their class; of other packages each part has what it uses, and of what a plugin made up.
 */
function isShared(path) {
  if (path.includes(':')) return false;
  return !path.startsWith('node_modules/') || path.startsWith('node_modules/commander/');
}

/** Modules that are imported from another part. */
export function sharedModules(inputs, parts) {
  const shared = new Set();
  for (const [module, { imports }] of Object.entries(inputs)) {
    for (const { path, external } of imports) {
      if (!external && isShared(path) && parts.get(path) !== parts.get(module)) shared.add(path);
    }
  }
  return [...shared].sort();
}
