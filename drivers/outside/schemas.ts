/** What a driver from outside may answer: `driver.ts` and the types it names, as schemas. */
import * as v from 'valibot';

const method = v.function();
const bytes = v.instance(Uint8Array);
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const ModuleSchema: v.GenericSchema = v.looseObject({
  name: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]*$/, 'a name of lower-case letters, digits and hyphens')),
  summary: v.string(),
  probe: method,
  open: method,
});

export const ProbeSchema: v.GenericSchema = v.object({
  available: v.boolean(),
  reason: v.string(),
  features: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
});

export const DriverSchema: v.GenericSchema = v.looseObject({
  name: v.string(),
  stacking: v.picklist(['independent', 'sequential']),
  apply: method,
  prepare: method,
  mounts: method,
  changes: method,
  usage: method,
  remove: method,
  list: method,
  readFile: v.optional(method),
  verify: v.optional(method),
  caches: v.optional(v.looseObject({ list: method, verify: method, remove: method })),
});

export const ApplicationSchema: v.GenericSchema = v.looseObject({
  sink: v.looseObject({
    module: v.string(),
    ownThread: v.boolean(),
    tar: v.optional(v.object({ path: v.string(), at: count, writeBack: v.boolean() })),
  }),
  commit: method,
  abort: method,
});

export const MountsSchema: v.GenericSchema = v.array(
  v.looseObject({
    type: v.string(),
    source: v.string(),
    options: v.array(v.string()),
    stage: v.exactOptional(v.string()),
    lock: v.exactOptional(v.string()),
  }),
);

export const UsageSchema: v.GenericSchema = v.object({ bytes: count, inodes: count });

const EntrySchema = v.looseObject({
  type: v.picklist(['file', 'directory', 'symlink', 'hardlink', 'char', 'block', 'fifo']),
  path: bytes,
  linkname: bytes,
  size: count,
  storedSize: count,
  xattrs: v.array(v.looseObject({ name: bytes, value: bytes })),
});

export const ChangeSchema: v.GenericSchema = v.variant('kind', [
  v.looseObject({ kind: v.picklist(['added', 'modified']), entry: EntrySchema, open: v.optional(method) }),
  v.looseObject({ kind: v.picklist(['deleted', 'opaque']), path: bytes }),
]);
