/** Bad input: one clear line, the right status, and nothing left in the store. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type PackedLayer, packLayer, type TreeEntry } from '../../scripts/demo/layout.ts';
import { type Finished, tslayer } from '../support/cli.ts';
import { forAllUsers } from '../support/for-all-users.ts';
import { type ImageServer, serveImages } from '../support/image-server.ts';
import { kernelFs, requires, root } from '../support/requires.ts';
import { tempDir } from '../support/temp-dir.ts';

const big = Buffer.alloc(300_000, 'a layer that can be cut');

/** Images whose blobs are altered after they were made, by name. */
const ALTERED: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  flipped: (bytes) => {
    const copy = Buffer.from(bytes);
    copy[copy.length >> 1]! ^= 1;
    return copy;
  },
  short: (bytes) => bytes.subarray(0, bytes.length - 10),
  long: (bytes) => Buffer.concat([bytes, Buffer.from('and more')]),
};

/** Layers that try to leave their directory. The attacks that drivers and unpackers withstand are tested there. */
const CLIMBING: Readonly<Record<string, readonly TreeEntry[]>> = {
  dots: [{ path: '../../escaped', content: 'x' }],
  link: [
    { path: 'out', symlink: '/tmp' },
    { path: 'out/../../../escaped', content: 'x' },
  ],
};

let server: ImageServer;
let strange: { readonly host: string; close(): void };

/** A registry that lets nobody at /private, and whose other manifests are none. */
async function serveStrangely(): Promise<typeof strange> {
  const registry = createServer((request, response) => {
    if (request.url?.includes('/private/')) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="private"' }).end();
      return;
    }
    const type = 'application/vnd.oci.image.manifest.v1+json';
    const body = '{"schemaVersion":2,"config":{},"layers":"none"}';
    response.writeHead(200, { 'content-type': type, 'content-length': body.length }).end(body);
  });
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  const close = (): void => {
    registry.closeAllConnections();
    registry.close();
  };
  return { host: `127.0.0.1:${(registry.address() as AddressInfo).port}`, close };
}

before(async () => {
  const layer = (name: string, diffID?: string): Promise<PackedLayer> =>
    packLayer([{ path: name, content: Buffer.concat([big, Buffer.from(name)]) }], name).then((packed) => ({
      ...packed,
      ...(diffID !== undefined && { diffID }),
    }));
  const altered = await Promise.all(
    Object.keys(ALTERED).map(async (name) => ({ name: `bad/${name}:1`, layers: [await layer(name)] })),
  );
  const climbing = await Promise.all(
    Object.entries(CLIMBING).map(async ([name, entries]) => ({
      name: `climbs/${name}:1`,
      layers: [await packLayer(entries, name)],
    })),
  );
  server = await serveImages([
    { name: 'good/image:1', layers: [await layer('good')] },
    {
      name: 'good/other:1',
      layers: [await packLayer([{ path: 'good', content: Buffer.concat([big, Buffer.from('bool')]) }], 'other')],
    },
    { name: 'bad/diffid:1', layers: [await layer('diffid', `sha256:${'0'.repeat(64)}`)] },
    ...altered,
    ...climbing,
  ]);
  for (const { name, layers } of altered) {
    const digest = createHash('sha256').update(layers[0]!.blob).digest('hex');
    const path = join(server.layout, 'blobs/sha256', digest);
    writeFileSync(path, ALTERED[name.slice(4, -2)]!(readFileSync(path)));
  }
  strange = await serveStrangely();
  addManifest('bad/platform:1', platformIndex());
});

after(async () => {
  await server[Symbol.asyncDispose]();
  strange.close();
});

/** An index that has nothing for this machine. */
function platformIndex(): Buffer {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const digest = `sha256:${'1'.repeat(64)}`;
  const platform = { os: 'linux', architecture: 'pdp11' };
  return Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType, digest, size: 2, platform }] }));
}

function addManifest(name: string, bytes: Buffer): void {
  const hex = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(join(server.layout, 'blobs/sha256', hex), bytes);
  const path = join(server.layout, 'index.json');
  const index = JSON.parse(readFileSync(path, 'utf8')) as { manifests: object[] };
  const kind = bytes.includes('"manifests"') ? 'index' : 'manifest';
  index.manifests.push({
    mediaType: `application/vnd.oci.image.${kind}.v1+json`,
    digest: `sha256:${hex}`,
    size: bytes.length,
    annotations: { 'org.opencontainers.image.ref.name': name },
  });
  writeFileSync(path, JSON.stringify(index));
}

/** One line that begins as all errors do, and perhaps a hint; no stack. */
function assertOneLine({ stderr }: Finished, message: RegExp): void {
  const lines = stderr
    .trimEnd()
    .split('\n')
    .filter((line) => /^(?:tslayer|hint):/.test(line));
  assert.match(lines[0] ?? stderr, /^tslayer: \S/);
  assert.match(lines[0] ?? stderr, message);
  assert.ok(lines.length <= 2, stderr);
  assert.doesNotMatch(stderr, /\n\s+at /);
}

/** A store that was never opened does not exist: what is wrong in the words alone touches nothing. */
async function assertNothingLeft(store: string): Promise<void> {
  if (!existsSync(store)) return;
  assert.deepEqual(readdirSync(join(store, 'blobs/sha256')), []);
  const fsck = await tslayer(['--root', store, 'fsck', '--quick']);
  assert.equal(fsck.stdout, 'clean\n', fsck.stdout + fsck.stderr);
}

describe('a pull of', () => {
  const cases: [string, () => string[], number, RegExp][] = [
    ['an unknown repository', () => [`${server.host}/no/such`], 3, /404/],
    ['an unknown tag', () => [`${server.host}/good/image:2`], 3, /404/],
    ['an unknown host', () => ['registry.invalid/x'], 9, /registry\.invalid/],
    ['a platform that is not there', () => [`${server.host}/bad/platform:1`], 6, /has no image for linux\//],
    [
      'a platform that is none',
      () => ['--platform', 'linux/a/b/c', `${server.host}/good/image:1`],
      2,
      /not a platform/,
    ],
    ['what is no reference', () => ['library/UPPER'], 2, /must be lower case/],
    ['a blob with a flipped byte', () => [`${server.host}/bad/flipped:1`], 5, /sha256:/],
    ['a blob that is cut short', () => [`${server.host}/bad/short:1`], 5, /bytes/],
    ['a blob that is too long', () => [`${server.host}/bad/long:1`], 5, /bytes/],
    ['a malformed manifest', () => [`${strange.host}/malformed`], 5, /malformed/],
    ['a layer with another diffID', () => [`${server.host}/bad/diffid:1`], 5, /unpacks to/],
    ['a layer that climbs out by ..', () => [`${server.host}/climbs/dots:1`], 5, /\.\./],
    ['a layer that climbs out through a link', () => [`${server.host}/climbs/link:1`], 5, /\.\./],
  ];
  for (const [what, args, status, message] of cases) {
    test(`${what} ends with status ${status}`, async (t) => {
      if (!requires(t, root)) return;
      using dir = tempDir('e2e');
      const config = join(dir.path, 'config.toml');
      writeFileSync(config, '[network]\nattempts = 1\n');
      const store = join(dir.path, 'store');
      const result = await tslayer(['--root', store, '--config', config, 'pull', ...args()]);
      assert.equal(result.status, status, result.stderr);
      assert.equal(result.stdout, '');
      assertOneLine(result, message);
      await assertNothingLeft(store);
    });
  }

  test('an image that access is refused to ends with status 4', async () => {
    using dir = tempDir('e2e');
    const store = join(dir.path, 'store');
    const env = { HOME: dir.path, XDG_RUNTIME_DIR: dir.path, REGISTRY_AUTH_FILE: join(dir.path, 'auth.json') };
    const result = await tslayer(['--root', store, 'pull', '--no-unpack', `${strange.host}/private/x`], { env });
    assert.equal(result.status, 4, result.stderr);
    assertOneLine(result, /401/);
    await assertNothingLeft(store);
  });
});

describe('a machine that lacks', () => {
  test('space ends a pull with status 8, and leaves nothing', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('e2e');
    const noise = await packLayer([{ path: 'noise', content: randomBytes(4_000_000) }], 'noise');
    await using images = await serveImages([{ name: 'noise:1', layers: [noise] }]);
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tslayer-test', dir.path]);
    try {
      const store = join(dir.path, 'store');
      const result = await tslayer(['--root', store, 'pull', '--no-unpack', `${images.host}/noise:1`]);
      assert.equal(result.status, 8, result.stderr);
      assertOneLine(result, /MB free/);
      await assertNothingLeft(store);
    } finally {
      spawnSync('umount', [dir.path]);
    }
  });

  test('the driver that is asked for ends a pull with status 6', async (t) => {
    if (kernelFs('aufs')() === undefined) return t.skip('this kernel has AUFS');
    using dir = tempDir('e2e');
    const args = ['--root', join(dir.path, 'store'), '--driver', 'aufs', 'pull', `${server.host}/good/image:1`];
    const result = await tslayer(args);
    assert.equal(result.status, 6, result.stderr);
    assertOneLine(result, /AUFS/);
  });
});

describe('without root', () => {
  const { prefix, node, support } = forAllUsers;
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const command = [...prefix, ...nobody, node, join(support, 'tslayer-from-source.ts')] as const;
  const asNobody = (args: readonly string[], dir: string): Promise<Finished> =>
    tslayer(args, { command, env: { HOME: dir, TSLAYER_ROOT: join(dir, 'store') } });

  test('an image can be stored and looked at, not mounted or run, and that is said in one line', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('e2e');
    chmodSync(dir.path, 0o777);
    const name = `${server.host}/good/image:1`;
    const pulled = await asNobody(['pull', '--no-unpack', name], dir.path);
    assert.equal(pulled.status, 0, pulled.stderr);
    for (const args of [['images'], ['inspect', name], ['history', name], ['df'], ['ls', name]]) {
      assert.equal((await asNobody(args, dir.path)).status, 0, args.join(' '));
    }
    const other = `${server.host}/good/other:1`;
    assert.equal((await asNobody(['pull', '--no-unpack', other], dir.path)).status, 0);
    const compared = await asNobody(['diff', name, other], dir.path);
    assert.equal(compared.stdout, 'C /good  300 kB  (content)\n', compared.stderr);
    for (const args of [
      ['mount', name],
      ['run', '--rm', name, 'x'],
    ]) {
      const refused = await asNobody(args, dir.path);
      assert.notEqual(refused.status, 0);
      assertOneLine(refused, /root|privilege|permitted/);
    }
  });
});

describe('a mount', () => {
  test('over the store, or a part of it, is refused', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('e2e');
    const store = join(dir.path, 'store');
    assert.equal((await tslayer(['--root', store, 'pull', `${server.host}/good/image:1`])).status, 0);
    for (const target of [dir.path, store, join(store, 'blobs'), join(store, 'new')]) {
      const result = await tslayer(['--root', store, 'mount', '--target', target, `${server.host}/good/image:1`]);
      assert.equal(result.status, 2, target);
      assertOneLine(result, /is no place for a mount/);
    }
    assert.ok(!existsSync(join(store, 'new')));
  });
});

describe('a store', () => {
  test('that was made with one driver is refused by another, and the line says how to change it', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('e2e');
    const store = ['--root', join(dir.path, 'store')];
    assert.equal((await tslayer([...store, '--driver', 'vfs', 'pull', `${server.host}/good/image:1`])).status, 0);
    const refused = await tslayer([...store, '--driver', 'overlayfs', 'images']);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /made with the driver vfs/);
    assert.match(refused.stderr, /hint: .*convert --driver overlayfs/);
    assert.equal((await tslayer([...store, 'images'])).status, 0);
  });

  test('is not made with a driver that the kernel lacks', async (t) => {
    const kernelHasIt = kernelFs('aufs')() === undefined;
    if (!requires(t, root) || kernelHasIt) return;
    using dir = tempDir('e2e');
    const store = join(dir.path, 'store');
    const result = await tslayer(['--root', store, '--driver', 'aufs', 'pull', `${server.host}/good/image:1`]);
    assert.equal(result.status, 6, result.stderr);
    assert.equal(result.stdout, '');
    assertOneLine(result, /aufs .*kernel/);
    await assertNothingLeft(store);
    const { stdout } = await tslayer(['--root', store, '--json', 'info']);
    const info = JSON.parse(stdout) as { store: { driver: string | null } };
    assert.equal(info.store.driver, null, 'another driver may still be chosen');
  });

  test('is not opened with a driver that is none', async () => {
    using dir = tempDir('e2e');
    const args = ['--root', join(dir.path, 'store'), '--driver', 'nonsense', 'pull', `${server.host}/good/image:1`];
    const result = await tslayer(args);
    assert.equal(result.status, 3, result.stderr);
    assertOneLine(result, /nonsense/);
  });
});
