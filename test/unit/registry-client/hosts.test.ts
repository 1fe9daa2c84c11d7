/** Where a name leads, by the options and by the files of other tools. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { type Endpoint, isLoopbackHost } from '../../../registry-client/endpoint.ts';
import { configPlaces } from '../../../registry-client/hosts/files.ts';
import { Hosts } from '../../../registry-client/hosts/hosts.ts';
import { expandShortName } from '../../../registry-client/hosts/short-names.ts';
import type { RegistryClientOptions } from '../../../registry-client/index.ts';
import { isTslayerError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { tempDir } from '../../support/temp-dir.ts';

type Files = Readonly<Record<string, string>>;

/** The endpoints for a reference, with files below /etc (or below home/ for the user's). */
async function endpoints(
  reference: string,
  files: Files = {},
  options: RegistryClientOptions = {},
): Promise<readonly Endpoint[]> {
  using dir = tempDir('hosts');
  write(dir.path, files);
  const env = { HOME: join(dir.path, 'home') };
  return await new Hosts({ ...options, env }, configPlaces(env, dir.path)).endpoints(parseReference(reference));
}

function write(dir: string, files: Files): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
}

const brief = (all: readonly Endpoint[]) =>
  all
    .filter(({ otherScheme }) => !otherScheme)
    .map(({ root, repository, skipped }) => `${root} ${repository}${skipped ? ` (${skipped})` : ''}`);

const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('without configuration', () => {
  test('Docker Hub has its API elsewhere', async () => {
    assert.deepEqual(brief(await endpoints('alpine')), ['https://registry-1.docker.io/v2 library/alpine']);
  });
  test('others are where their names say, by HTTPS alone', async () => {
    const all = await endpoints('ghcr.io/o/n');
    assert.deepEqual(
      all.map(({ root }) => root),
      ['https://ghcr.io/v2'],
    );
  });
  test('loopback hosts speak HTTP, and HTTPS where that fails', async () => {
    const all = await endpoints('localhost:5000/n');
    assert.deepEqual(
      all.map(({ root }) => root),
      ['http://localhost:5000/v2', 'https://localhost:5000/v2'],
    );
    for (const host of ['127.0.0.1', '127.1.2.3:80', '[::1]:5000', 'localhost', 'a.localhost:1'])
      assert.ok(isLoopbackHost(host), host);
    for (const host of ['localhost.example.com', '127.0.0.1.example.com', '128.0.0.1', 'xlocalhost'])
      assert.ok(!isLoopbackHost(host), host);
  });
  test('plain HTTP and insecure are for the named hosts', async () => {
    assert.deepEqual(brief(await endpoints('r.local/n', {}, { plainHttp: ['r.local'] })), ['http://r.local/v2 n']);
    const insecure = await endpoints('r.local/n', {}, { insecure: ['r.local'] });
    assert.deepEqual(
      insecure.map(({ root, connection }) => [root, connection.skipVerify]),
      [
        ['https://r.local/v2', true],
        ['http://r.local/v2', undefined],
      ],
    );
    assert.deepEqual(brief(await endpoints('other/n', {}, { plainHttp: ['r.local'] })), [
      'https://registry-1.docker.io/v2 other/n',
    ]);
  });
});

describe('mirrors in the options', () => {
  test('come first, with a path before the repository', async () => {
    const mirrors = {
      'docker.io': ['http://127.0.0.1:5000', 'https://mirror.example/hub'],
      'docker.io/special': ['https://special.example'],
    };
    assert.deepEqual(brief(await endpoints('alpine', {}, { mirrors })), [
      'http://127.0.0.1:5000/v2 library/alpine',
      'https://mirror.example/v2 hub/library/alpine',
      'https://registry-1.docker.io/v2 library/alpine',
    ]);
    assert.deepEqual(brief(await endpoints('special/x', {}, { mirrors })), [
      'https://special.example/v2 special/x',
      'https://registry-1.docker.io/v2 special/x',
    ]);
    assert.deepEqual(brief(await endpoints('ghcr.io/x/y', {}, { mirrors })), ['https://ghcr.io/v2 x/y']);
  });
  test('take no pushes', async () => {
    const all = await endpoints('alpine', {}, { mirrors: { 'docker.io': ['https://m.example'] } });
    assert.deepEqual(
      all.map(({ capabilities }) => capabilities.includes('push')),
      [false, true],
    );
  });
  test('a malformed address is refused without its password', async () => {
    const mirrors = { 'docker.io': ['https://user:secret@m.example'] };
    await assert.rejects(endpoints('alpine', {}, { mirrors }), (error) => {
      return isTslayerError(error, 'INVALID_ARGUMENT') && !error.message.includes('secret');
    });
  });
});

describe('registries.conf', () => {
  const conf = 'containers/registries.conf';
  const mirrored = `
    [[registry]]
    prefix = "example.com/foo"
    location = "internal.example/bar"
    [[registry.mirror]]
    location = "mirror.example/x"
    [[registry.mirror]]
    location = "digests.example"
    pull-from-mirror = "digest-only"
    [[registry.mirror]]
    location = "tags.example"
    pull-from-mirror = "tag-only"
  `;

  test('a prefix is replaced, for mirrors and for the registry', async () => {
    const all = brief(await endpoints('example.com/foo/app:1', { [conf]: mirrored }));
    assert.deepEqual(all, [
      'https://mirror.example/v2 x/app',
      'https://digests.example/v2 app (the mirror is for digests only)',
      'https://tags.example/v2 app',
      'https://internal.example/v2 bar/app',
      'https://example.com/v2 foo/app',
    ]);
  });
  test('reading is redirected, writing is not', async () => {
    const all = await endpoints('example.com/foo/app:1', { [conf]: mirrored });
    assert.deepEqual(
      all.filter(({ capabilities }) => capabilities.includes('push')).map(({ root }) => root),
      ['https://example.com/v2'],
    );
    assert.deepEqual(all.at(-1)?.capabilities, ['push']);
  });
  test('mirrors for digests or for tags only', async () => {
    const all = brief(await endpoints(`example.com/foo/app@${DIGEST}`, { [conf]: mirrored }));
    assert.ok(all.includes('https://digests.example/v2 app'));
    assert.ok(all.includes('https://tags.example/v2 app (the mirror is for tags only)'));
  });
  test('a prefix ends where a component ends', async () => {
    assert.deepEqual(brief(await endpoints('example.com/foobar/app', { [conf]: mirrored })), [
      'https://example.com/v2 foobar/app',
    ]);
  });
  test('mirror-by-digest-only', async () => {
    const text =
      '[[registry]]\nlocation="a.example"\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation="m.example"';
    assert.deepEqual(brief(await endpoints('a.example/x:1', { [conf]: text })), [
      'https://m.example/v2 x (the mirror is for digests only)',
      'https://a.example/v2 x',
    ]);
  });
  test('the longest prefix wins; wildcards cover subdomains', async () => {
    const text = `
      [[registry]]
      prefix = "*.example.com"
      blocked = true
      [[registry]]
      prefix = "good.example.com/team"
      location = "good.example.com/team"
    `;
    assert.deepEqual(brief(await endpoints('a.b.example.com/x', { [conf]: text })).length, 1);
    assert.match(brief(await endpoints('a.b.example.com/x', { [conf]: text }))[0] ?? '', /blocked by/);
    assert.deepEqual(brief(await endpoints('good.example.com/team/x', { [conf]: text })), [
      'https://good.example.com/v2 team/x',
    ]);
    assert.deepEqual(brief(await endpoints('example.com/x', { [conf]: text })), ['https://example.com/v2 x']);
  });
  test('insecure allows any certificate and plain HTTP', async () => {
    const all = await endpoints('a.example/x', { [conf]: '[[registry]]\nlocation="a.example"\ninsecure=true' });
    assert.deepEqual(
      all.map(({ root, connection }) => [root, connection.skipVerify]),
      [
        ['https://a.example/v2', true],
        ['http://a.example/v2', undefined],
      ],
    );
  });
  test('Docker Hub can be a mirror', async () => {
    const all = brief(
      await endpoints('a.example/x', {
        [conf]: '[[registry]]\nlocation="a.example"\n[[registry.mirror]]\nlocation="docker.io/mirrored"',
      }),
    );
    assert.deepEqual(all, ['https://registry-1.docker.io/v2 mirrored/x', 'https://a.example/v2 x']);
  });
  test("drop-ins replace tables of the same prefix; the user's file replaces the system's", async () => {
    const table = (location: string) => `[[registry]]\nprefix="a.example"\nlocation="${location}"`;
    const files = {
      [conf]: table('system.example'),
      'home/.config/containers/registries.conf': table('user.example'),
    };
    assert.deepEqual(brief(await endpoints('a.example/x', files))[0], 'https://user.example/v2 x');
    const more = {
      ...files,
      'containers/registries.conf.d/50.conf': table('fifty.example'),
      'containers/registries.conf.d/60.conf': table('sixty.example'),
    };
    assert.deepEqual(brief(await endpoints('a.example/x', more))[0], 'https://sixty.example/v2 x');
  });
  test('version 1 is refused: what it blocks must not be pulled', async () => {
    const text = '[registries.block]\nregistries = ["a.example"]';
    await assert.rejects(
      endpoints('a.example/x', { [conf]: text }),
      (error) => isTslayerError(error, 'MALFORMED') && error.hint !== undefined,
    );
  });
  for (const [what, text] of [
    ['neither prefix nor location', '[[registry]]\nblocked = true'],
    ['a wildcard in the middle', '[[registry]]\nprefix = "a.*.example"\nlocation="x"'],
    [
      'mirror-by-digest-only with pull-from-mirror',
      '[[registry]]\nlocation="a"\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation="b"\npull-from-mirror="tag-only"',
    ],
    ['a broken line', '[[registry]\nlocation="a"'],
    ['another type', '[[registry]]\nlocation=5'],
  ] as const) {
    test(`${what} is refused, with the file's name`, async () => {
      await assert.rejects(
        endpoints('a.example/x', { [conf]: text }),
        (error) => isTslayerError(error, 'MALFORMED') && error.message.includes('registries.conf'),
      );
    });
  }
  test('short names by alias', async () => {
    using dir = tempDir('aliases');
    write(dir.path, {
      'containers/registries.conf.d/shortnames.conf':
        '[aliases]\n"fedora" = "registry.fedoraproject.org/fedora"\n"a/b" = "quay.io/a/b"',
    });
    const expand = (text: string) => expandShortName(text, { env: { HOME: dir.path }, etc: dir.path });
    assert.equal(await expand('fedora:40'), 'registry.fedoraproject.org/fedora:40');
    assert.equal(await expand(`fedora@${DIGEST}`), `registry.fedoraproject.org/fedora@${DIGEST}`);
    assert.equal(await expand('a/b'), 'quay.io/a/b');
    assert.equal(await expand('alpine'), 'alpine');
    assert.equal(await expand('docker.io/fedora'), 'docker.io/fedora');
    assert.equal(await expand('fedora:5000/x'), 'fedora:5000/x');
  });
});

describe("containerd's hosts.toml", () => {
  const hosts = (registry: string) => `containerd/certs.d/${registry}/hosts.toml`;

  test('hosts in order, then the server', async () => {
    const text = `
      server = "https://registry-1.docker.io"
      [host."https://public-mirror.example.com"]
        capabilities = ["pull"]
      [host."http://10.0.0.1:5000/sub"]
        capabilities = ["pull", "resolve"]
      [host."https://odd.example/api"]
        override_path = true
    `;
    const all = await endpoints('alpine', { [hosts('docker.io')]: text });
    assert.deepEqual(
      all.map(({ root, capabilities, namespace, registry }) => [root, capabilities.join(), namespace, registry]),
      [
        ['https://public-mirror.example.com/v2', 'pull', 'docker.io', 'public-mirror.example.com'],
        ['http://10.0.0.1:5000/sub/v2', 'pull,resolve', 'docker.io', '10.0.0.1:5000'],
        ['https://odd.example/api', 'pull,resolve,push', 'docker.io', 'odd.example'],
        ['https://registry-1.docker.io/v2', 'pull,resolve,push', undefined, 'docker.io'],
      ],
    );
    assert.deepEqual(
      all.map(({ primary }) => primary),
      [false, false, false, true],
    );
  });
  test('_default is for those without one, and upstream is asked last', async () => {
    const files = {
      [hosts('_default')]: '[host."https://m.example"]',
      [hosts('own.example')]: 'server = "https://own.example"',
    };
    assert.deepEqual(brief(await endpoints('a.example/x', files)), [
      'https://m.example/v2 x',
      'https://a.example/v2 x',
    ]);
    assert.deepEqual(brief(await endpoints('own.example/x', files)), ['https://own.example/v2 x']);
  });
  test('a directory may write the port without a colon', async () => {
    const files = { [hosts('a.example_5000_')]: 'server = "http://a.example:5000"' };
    assert.deepEqual(brief(await endpoints('a.example:5000/x', files)), ['http://a.example:5000/v2 x']);
  });
  test('certificates, headers and proxies', async () => {
    const text = `
      server = "https://a.example"
      ca = "ca.pem"
      client = [["client.cert", "client.key"]]
      skip_verify = true
      proxy = "http://p.example:3128"
      [header]
        x-team = ["a", "b"]
    `;
    const dir = 'containerd/certs.d/a.example';
    const files = {
      [`${dir}/hosts.toml`]: text,
      [`${dir}/ca.pem`]: 'CA',
      [`${dir}/client.cert`]: 'CERT',
      [`${dir}/client.key`]: 'KEY',
    };
    const [only] = await endpoints('a.example/x', files);
    assert.deepEqual(only?.connection, {
      ca: 'CA',
      cert: 'CERT',
      key: 'KEY',
      skipVerify: true,
      proxy: 'http://p.example:3128',
    });
    assert.deepEqual(only?.headers, { 'x-team': 'a, b' });
  });
  test('a certificate that is not there is an error, not a connection without it', async () => {
    await assert.rejects(endpoints('a.example/x', { [hosts('a.example')]: 'ca = "missing.pem"' }), (error) =>
      isTslayerError(error, 'NOT_FOUND'),
    );
  });
  test('a header cannot smuggle another one', async () => {
    const text = '[header]\n"x-a" = "1\\r\\nauthorization: yes"';
    await assert.rejects(endpoints('a.example/x', { [hosts('a.example')]: text }), (error) =>
      isTslayerError(error, 'MALFORMED'),
    );
  });
  test('registries.conf goes before it', async () => {
    const files = {
      [hosts('a.example')]: '[host."https://m.example"]',
      'containers/registries.conf': '[[registry]]\nlocation="a.example"',
    };
    assert.deepEqual(brief(await endpoints('a.example/x', files)), ['https://a.example/v2 x']);
  });
});

describe("docker's certs.d", () => {
  test('authorities and a client certificate by host, for mirrors, too', async () => {
    const dir = 'docker/certs.d/m.example';
    const files = { [`${dir}/a.crt`]: 'A', [`${dir}/b.crt`]: 'B', [`${dir}/me.cert`]: 'C', [`${dir}/me.key`]: 'K' };
    const [mirror, registry] = await endpoints('a.example/x', files, {
      mirrors: { 'a.example': ['https://m.example'] },
    });
    assert.deepEqual(mirror?.connection, { ca: 'A\nB', cert: 'C', key: 'K' });
    assert.deepEqual(registry?.connection, {});
  });
  test('a certificate without its key is an error', async () => {
    await assert.rejects(endpoints('m.example/x', { 'docker/certs.d/m.example/me.cert': 'C' }), (error) =>
      isTslayerError(error, 'NOT_FOUND'),
    );
  });
});
