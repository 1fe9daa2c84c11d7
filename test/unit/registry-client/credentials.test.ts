/** Credentials in the files of docker and podman, and from helper programs. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileCredentials } from '../../../registry-client/auth/auth-file.ts';
import { login, logout } from '../../../registry-client/auth/login.ts';
import { isTslayerError } from '../../../src/errors.ts';
import { startRegistry } from '../../support/registry-content.ts';
import { tempDir } from '../../support/temp-dir.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

/** A home directory with files and helper programs (shell scripts) in it. */
function home(files: Readonly<Record<string, unknown>>, helpers: Readonly<Record<string, string>> = {}) {
  const dir = tempDir('credentials');
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir.path, name)), { recursive: true });
    writeFileSync(join(dir.path, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  const bin = join(dir.path, 'bin');
  mkdirSync(bin);
  for (const [name, script] of Object.entries(helpers)) {
    writeFileSync(join(bin, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, `docker-credential-${name}`), 0o755);
  }
  const env: Record<string, string> = {
    HOME: dir.path,
    XDG_RUNTIME_DIR: join(dir.path, 'run'),
    PATH: `${bin}:/usr/bin:/bin`,
  };
  const find = (registry: string, repository = '') => fileCredentials(env).find(registry, repository);
  return { dir, env, find, [Symbol.dispose]: () => dir[Symbol.dispose]() };
}

describe('credential files', () => {
  test('user and password, and where they were found', async () => {
    using at = home({ '.docker/config.json': { auths: { 'ghcr.io': { auth: base64('ada:pass:with:colons') } } } });
    assert.deepEqual(await at.find('ghcr.io'), {
      username: 'ada',
      password: 'pass:with:colons',
      source: join(at.dir.path, '.docker/config.json'),
    });
    assert.equal(await at.find('quay.io'), undefined);
  });
  test("Docker Hub's key, as docker and as podman write it", async () => {
    for (const key of ['https://index.docker.io/v1/', 'docker.io', 'index.docker.io']) {
      using at = home({ '.docker/config.json': { auths: { [key]: { auth: base64('ada:x') } } } });
      assert.equal((await at.find('docker.io', 'library/alpine'))?.username, 'ada', key);
    }
  });
  test('keys that are addresses', async () => {
    using at = home({ '.docker/config.json': { auths: { 'https://r.example:5000/v2/': { auth: base64('ada:x') } } } });
    assert.equal((await at.find('r.example:5000'))?.username, 'ada');
    assert.equal(await at.find('r.example'), undefined);
  });
  test('the most specific namespace wins', async () => {
    const auths = Object.fromEntries(
      ['r.example', 'r.example/team', 'r.example/team/app'].map((key) => [key, { auth: base64(`${key}:x`) }]),
    );
    using at = home({ '.config/containers/auth.json': { auths } });
    assert.equal((await at.find('r.example', 'team/app'))?.username, 'r.example/team/app');
    assert.equal((await at.find('r.example', 'team/other'))?.username, 'r.example/team');
    assert.equal((await at.find('r.example', 'teammate/app'))?.username, 'r.example');
  });
  test('the first file that has one decides; REGISTRY_AUTH_FILE alone counts where it is set', async () => {
    const file = (name: string) => ({ auths: { 'r.example': { auth: base64(`${name}:x`) } } });
    using at = home({
      'run/containers/auth.json': file('runtime'),
      '.config/containers/auth.json': file('config'),
      '.docker/config.json': file('docker'),
      'own.json': { auths: {} },
    });
    assert.equal((await at.find('r.example'))?.username, 'runtime');
    at.env.REGISTRY_AUTH_FILE = join(at.dir.path, 'own.json');
    assert.equal(await at.find('r.example'), undefined);
  });
  test('identity tokens and plain members', async () => {
    using at = home({
      '.docker/config.json': {
        auths: { a: { auth: base64('u:'), identitytoken: 'T' }, b: { username: 'u', password: 'p' }, c: {}, d: null },
      },
    });
    assert.equal((await at.find('a'))?.identityToken, 'T');
    assert.equal((await at.find('b'))?.password, 'p');
    assert.equal(await at.find('c'), undefined);
    assert.equal(await at.find('d'), undefined);
  });
  test('a file that cannot be understood is fatal', async () => {
    for (const content of ['{', '{"auths":5}', '{"auths":{"r.example":{"auth":"bm9jb2xvbg=="}}}']) {
      using at = home({ '.docker/config.json': content });
      await assert.rejects(at.find('r.example'), (error) => isTslayerError(error, 'MALFORMED'), content);
    }
  });
});

describe('credential helpers', () => {
  const answer = 'read host; echo "{\\"Username\\":\\"user of $host\\",\\"Secret\\":\\"s\\"}"';

  test('by registry, before a store for all', async () => {
    using at = home(
      { '.docker/config.json': { credHelpers: { 'r.example': 'one' }, credsStore: 'all' } },
      { one: answer, all: answer },
    );
    assert.deepEqual(await at.find('r.example'), {
      username: 'user of r.example',
      password: 's',
      source: 'docker-credential-one',
    });
    assert.equal((await at.find('other.example', 'x/y'))?.username, 'user of other.example');
    assert.equal((await at.find('docker.io'))?.username, 'user of https://index.docker.io/v1/');
  });
  test('an identity token', async () => {
    using at = home(
      { '.docker/config.json': { credsStore: 'all' } },
      { all: 'echo \'{"Username":"<token>","Secret":"T"}\'' },
    );
    assert.equal((await at.find('r.example'))?.identityToken, 'T');
  });
  test('one that has nothing is no failure', async () => {
    using at = home(
      { '.docker/config.json': { credsStore: 'all', auths: { 'r.example': { auth: base64('ada:x') } } } },
      { all: 'echo credentials not found in native keychain; exit 1' },
    );
    assert.equal((await at.find('r.example'))?.username, 'ada');
  });
  for (const [what, helpers] of [
    ['that fails', { all: 'echo "the keychain is locked"; exit 1' }],
    ['that is missing', {}],
    ['that floods', { all: 'head -c 3000000 /dev/zero' }],
    ['that is killed', { all: 'kill -9 $$' }],
  ] as const) {
    test(`one ${what} is fatal, never an anonymous try`, async () => {
      using at = home({ '.docker/config.json': { credsStore: 'all' } }, helpers);
      await assert.rejects(at.find('r.example'), (error) => isTslayerError(error, 'DENIED'));
    });
  }
  test('a name with a path in it is refused (CVE-2021-41092 and its kin)', async () => {
    for (const name of ['../../evil', 'a b', '-x', 'a/b', '']) {
      using at = home({ '.docker/config.json': { credHelpers: { 'r.example': name } } });
      if (name === '') assert.equal(await at.find('r.example'), undefined);
      else await assert.rejects(at.find('r.example'), (error) => isTslayerError(error, 'DENIED'), name);
    }
  });
  test('a host with a line break in it is refused (CVE-2020-5260)', async () => {
    using at = home({ '.docker/config.json': { credsStore: 'all' } }, { all: answer });
    await assert.rejects(at.find('evil.example\nhost=good.example'), (error) => isTslayerError(error, 'DENIED'));
  });
});

describe('login and logout', () => {
  test('a helper that is configured keeps the credential, and no file does', async () => {
    await using started = await startRegistry();
    const { host } = started.registry;
    const keep = `cat > "$HOME/kept-$1"`;
    using at = home({ 'run/containers/auth.json': { credHelpers: { [host]: 'keep' } } }, { keep });
    const done = await login(host, {
      username: 'ada',
      password: 'secret',
      client: { env: at.env, etc: '/nonexistent' },
    });
    // The registry asks for nothing: stored, but not checked.
    assert.deepEqual(done, { storedIn: 'docker-credential-keep', checked: false });
    assert.deepEqual(JSON.parse(readFileSync(join(at.dir.path, 'kept-store'), 'utf8')), {
      ServerURL: host,
      Username: 'ada',
      Secret: 'secret',
    });
    assert.ok(!readFileSync(join(at.dir.path, 'run/containers/auth.json'), 'utf8').includes('secret'));
    await assert.rejects(
      logout(host, at.env).then(() => at.find(host)),
      (error) => isTslayerError(error),
    );
    assert.equal(readFileSync(join(at.dir.path, 'kept-erase'), 'utf8'), host);
  });
  test('the file is its owner’s alone, and what else stands in it stays', async () => {
    await using started = await startRegistry();
    const { host } = started.registry;
    const path = 'run/containers/auth.json';
    using at = home({
      [path]: { auths: { 'other.example': { auth: base64('a:b'), more: 1 } }, HttpHeaders: { x: 'y' } },
    });
    await login(host, { username: 'ada', password: 'secret', client: { env: at.env, etc: '/nonexistent' } });
    const file = JSON.parse(readFileSync(join(at.dir.path, path), 'utf8'));
    assert.deepEqual(file, {
      auths: { 'other.example': { auth: base64('a:b'), more: 1 }, [host]: { auth: base64('ada:secret') } },
      HttpHeaders: { x: 'y' },
    });
    assert.equal(statSync(join(at.dir.path, path)).mode & 0o777, 0o600);
    assert.deepEqual(await logout(host, at.env), { removed: true });
    assert.equal(await at.find(host), undefined);
    assert.equal((await at.find('other.example'))?.username, 'a');
  });
  test('a credential that stands elsewhere is told of', async () => {
    using at = home({ '.docker/config.json': { auths: { 'r.example': { auth: base64('ada:x') } } } });
    assert.deepEqual(await logout('r.example', at.env), {
      removed: false,
      remaining: join(at.dir.path, '.docker/config.json'),
    });
  });
  test('a registry that cannot be reached stores nothing', async () => {
    using at = home({});
    const client = { env: at.env, etc: '/nonexistent', retry: { attempts: 1 } };
    await assert.rejects(login('127.0.0.1:1', { username: 'ada', password: 'secret', client }), (error) =>
      isTslayerError(error, 'NETWORK'),
    );
    assert.ok(!existsSync(join(at.dir.path, 'run')));
  });
  for (const [username, password] of [
    ['', 'x'],
    ['a:b', 'x'],
    ['ada', ''],
  ] as const) {
    test(`the user ${JSON.stringify(username)} with the password ${JSON.stringify(password)} is refused`, async () => {
      await assert.rejects(login('r.example', { username, password }), (error) =>
        isTslayerError(error, 'INVALID_ARGUMENT'),
      );
    });
  }
});
