/** Random entries of layers for property tests: everything that a tar can carry. */
import fc from 'fast-check';
import type { TarEntry, Xattr } from '../../src/archive/entry.ts';

const component = fc
  .oneof(
    { weight: 4, arbitrary: fc.stringMatching(/^[a-zA-Z0-9_. +-]{1,12}$/) },
    { weight: 1, arbitrary: fc.stringMatching(/^[a-z]{200,255}$/) },
    {
      weight: 1,
      arbitrary: fc.uint8Array({ minLength: 1, maxLength: 30 }).map((b) => Buffer.from(b).toString('latin1')),
    },
  )
  .filter((name) => !/^\.{1,2}$|[\0/]/.test(name) && !name.startsWith('.wh.'));

export const pathBytes: fc.Arbitrary<Uint8Array> = fc
  .array(component, { minLength: 1, maxLength: 6 })
  .map((parts) => Buffer.from(parts.join('/'), 'latin1'));

const xattr: fc.Arbitrary<Xattr> = fc.record({
  name: fc.stringMatching(/^[a-z.%=]{1,20}$/).map((name) => Buffer.from(`user.${name}`)),
  value: fc.uint8Array({ maxLength: 80 }),
});

const mtime = fc.record(
  {
    seconds: fc.oneof(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: -(2 ** 33), max: 2 ** 36 })),
    nanoseconds: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
  },
  { noNullPrototype: true },
);

const id = fc.oneof(fc.constant(0), fc.nat(70_000), fc.integer({ min: 0, max: 0xffff_fffe }));

const common = fc.record({
  path: pathBytes,
  mode: fc.nat(0o7777),
  uid: id,
  gid: id,
  mtime,
  xattrs: fc.uniqueArray(xattr, { maxLength: 3, selector: ({ name }) => name.toString() }),
});

const linkname = fc.oneof(
  pathBytes,
  fc.stringMatching(/^[a-z/.]{1,200}$/).map((text) => Buffer.from(text)),
);

/** Entries as the reader gives them, but for `dataOffset`. Files have sizes up to 3000. */
export const tarEntry: fc.Arbitrary<TarEntry> = common.chain((base) =>
  fc
    .oneof(
      fc.record({ type: fc.constant('file' as const), size: fc.nat(3000) }),
      fc.record({ type: fc.constant('directory' as const) }),
      fc.record({ type: fc.constant('symlink' as const), linkname }),
      fc.record({ type: fc.constant('hardlink' as const), linkname: pathBytes }),
      fc.record({
        type: fc.constantFrom('char' as const, 'block' as const),
        deviceMajor: fc.integer({ min: 1, max: 4095 }),
        deviceMinor: fc.nat(0xfffff),
      }),
      fc.record({ type: fc.constant('fifo' as const) }),
    )
    .map((rest) => {
      const size = 'size' in rest ? rest.size : 0;
      const xattrs = [...base.xattrs].sort((a, b) => Buffer.compare(a.name, b.name));
      const none = {
        linkname: new Uint8Array(0),
        deviceMajor: 0,
        deviceMinor: 0,
        size,
        storedSize: size,
        dataOffset: 0,
      };
      return { ...none, ...base, xattrs, ...rest };
    }),
);
