/** Against the reference implementation: reading and writing, each kind of access, mirrors. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { RegistryClient } from '../../../registry-client/client.ts';
import { login, logout, type RegistryClientOptions, staticCredential } from '../../../registry-client/index.ts';
import { isTslayerError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-types.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import type { ProgressEvent } from '../../../src/progress.ts';
import { collect } from '../../support/collect.ts';
import { makeCertificates, type TestCertificates } from '../../support/registry-certs.ts';
import { bytesSource, makeImage, pushImage, readBlob, testClient } from '../../support/registry-content.ts';
import {
  type DockerRegistry,
  type DockerRegistryOptions,
  startDockerRegistry,
} from '../../support/registry-servers.ts';
import { program, requires } from '../../support/requires.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';
import { startTokenServer } from '../../support/token-server.ts';

const PASSWORD = 'open sesame';
const image = makeImage(3_000_000);

interface Setup extends AsyncDisposable {
  readonly dir: TempDir;
  readonly certificates: TestCertificates;
  readonly certificatesDir: string;
  start(options?: Omit<DockerRegistryOptions, 'dir'>): Promise<DockerRegistry>;
  client(options?: RegistryClientOptions): RegistryClient;
}

/** Servers and clients that are gone when the test is over. */
function setup(t: TestContext): Setup | undefined {
  if (!requires(t, program('docker-registry'), program('openssl'))) return undefined;
  const dir = tempDir('docker-registry');
  const stack = new AsyncDisposableStack();
  stack.defer(() => dir[Symbol.dispose]());
  let made: TestCertificates | undefined;
  let count = 0;
  const certificatesDir = join(dir.path, 'certificates');
  return {
    dir,
    certificatesDir,
    get certificates() {
      if (made === undefined) {
        mkdirSync(certificatesDir);
        made = makeCertificates(certificatesDir);
      }
      return made;
    },
    async start(options = {}) {
      const own = join(dir.path, `registry-${++count}`);
      mkdirSync(own);
      return stack.use(await startDockerRegistry({ dir: own, ...options }));
    },
    client(options) {
      const client = testClient(options);
      stack.defer(() => client.close());
      return client;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('docker-registry', () => {
  test('what is pushed comes back, and all of the API works', async (t) => {
    await using at = setup(t);
    if (!at) return;
    const registry = await at.start();
    const client = at.client();
    const reference = parseReference(`${registry.host}/deep/er/app:v1`);
    await client.ping(registry.host);
    await pushImage(client, reference, image);
    assert.deepEqual((await client.resolve(reference)).descriptor, image.descriptor);
    assert.ok(image.manifest.equals((await client.fetchManifest(reference)).bytes));
    assert.ok((await readBlob(client, reference, image.layerDescriptor)).equals(image.layer));
    const tail = await readBlob(client, reference, image.layerDescriptor, { offset: 2_999_999 });
    assert.ok(tail.equals(image.layer.subarray(2_999_999)));
    assert.equal(await client.hasBlob(reference, digestOf('nothing')), false);
    assert.equal(await client.pushBlob(reference, bytesSource(image.layer)), 'exists');
    const elsewhere = { ...reference, repository: 'other' };
    const mountFrom = ['not/there', reference.repository];
    assert.equal(await client.pushBlob(elsewhere, bytesSource(image.layer), { mountFrom }), 'mounted');
    assert.deepEqual(await collect(client.catalog(registry.host)), ['deep/er/app', 'other']);
    await client.deleteBlob(elsewhere, image.layerDescriptor.digest);
    assert.equal(await client.hasBlob(elsewhere, image.layerDescriptor.digest), false);
    await assert.rejects(client.deleteManifest(reference), (error) => isTslayerError(error, 'UNSUPPORTED'));
    await client.deleteManifest({
      registry: reference.registry,
      repository: reference.repository,
      digest: image.descriptor.digest,
    });
    await assert.rejects(client.resolve(reference), (error) => isTslayerError(error, 'NOT_FOUND'));
  });

  test('an index, tags in pages, and a chunked push', async (t) => {
    await using at = setup(t);
    if (!at) return;
    const registry = await at.start();
    const client = at.client({ limits: { monolithicBytes: 0, uploadChunkBytes: 1_000_000 } });
    const reference = parseReference(`${registry.host}/app:v1`);
    await pushImage(client, reference, image);
    assert.ok((await readBlob(client, reference, image.layerDescriptor)).equals(image.layer));
    const platform = { architecture: 'amd64', os: 'linux' };
    const index = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...image.descriptor, platform }] }),
    );
    const tags = Array.from({ length: 120 }, (_, n) => `t${String(n).padStart(4, '0')}`);
    for (const tag of tags) await client.pushManifest({ ...reference, tag }, index, OCI_INDEX);
    assert.deepEqual((await collect(client.listTags(reference))).toSorted(), [...tags, 'v1']);
    const resolved = await client.resolve({ ...reference, tag: 't0007' });
    assert.deepEqual(resolved.descriptor, { mediaType: OCI_INDEX, digest: digestOf(index), size: index.length });
  });

  test('referrers, where the registry does not keep them: the fallback tag', async (t) => {
    await using at = setup(t);
    if (!at) return;
    const registry = await at.start();
    const client = at.client();
    const reference = parseReference(`${registry.host}/app:v1`);
    await pushImage(client, reference, image);
    const empty = bytesSource(Buffer.from('{}'), OCI_CONFIG);
    await client.pushBlob(reference, empty);
    const artifact = (artifactType: string) =>
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: OCI_MANIFEST,
          artifactType,
          config: empty.descriptor,
          layers: [empty.descriptor],
          subject: image.descriptor,
        }),
      );
    for (const type of ['application/vnd.test.sbom', 'application/vnd.test.signature', 'application/vnd.test.sbom']) {
      const bytes = artifact(type);
      const { registry: host, repository } = reference;
      await client.pushManifest({ registry: host, repository, digest: digestOf(bytes) }, bytes, OCI_MANIFEST);
    }
    const all = await client.referrers(reference, image.descriptor.digest);
    assert.deepEqual(all.map((entry) => entry.artifactType).toSorted(), [
      'application/vnd.test.sbom',
      'application/vnd.test.signature',
    ]);
    const some = await client.referrers(reference, image.descriptor.digest, {
      artifactType: 'application/vnd.test.sbom',
    });
    assert.deepEqual(
      some.map((entry) => entry.digest),
      [digestOf(artifact('application/vnd.test.sbom'))],
    );
    assert.deepEqual(await client.referrers(reference, digestOf('nobody refers to this')), []);
  });

  test('htpasswd: login checks, stores and is used; logout forgets', async (t) => {
    if (!requires(t, program('htpasswd'))) return;
    await using at = setup(t);
    if (!at) return;
    const htpasswdFile = join(at.dir.path, 'htpasswd');
    execFileSync('htpasswd', ['-Bbc', htpasswdFile, 'ada', PASSWORD], { stdio: 'ignore' });
    const registry = await at.start({ htpasswdFile });
    const env = { HOME: at.dir.path, XDG_RUNTIME_DIR: join(at.dir.path, 'run'), PATH: process.env.PATH };
    const reference = parseReference(`${registry.host}/app:v1`);
    const options = { env, etc: '/nonexistent' };
    await assert.rejects(at.client(options).resolve(reference), (error) => isTslayerError(error, 'DENIED'));
    await assert.rejects(login(registry.host, { username: 'ada', password: 'wrong', client: options }), (error) =>
      isTslayerError(error, 'DENIED'),
    );
    await assert.rejects(pushImage(at.client(options), reference, image), (error) => isTslayerError(error, 'DENIED'));
    const done = await login(registry.host, { username: 'ada', password: PASSWORD, client: options });
    assert.deepEqual(done, { storedIn: join(at.dir.path, 'run/containers/auth.json'), checked: true });
    await pushImage(at.client(options), reference, image);
    assert.deepEqual(await logout(registry.host, env), { removed: true });
    assert.deepEqual(await logout(registry.host, env), { removed: false });
    await assert.rejects(at.client(options).resolve(reference), (error) => isTslayerError(error, 'DENIED'));
  });

  test("the registry's own token authentication, pull and push", async (t) => {
    await using at = setup(t);
    if (!at) return;
    const { authority } = at.certificates;
    const issuer = 'test issuer';
    await using tokens = await startTokenServer({ users: { ada: PASSWORD }, signer: { keys: authority, issuer } });
    const { realm, service } = tokens;
    const registry = await at.start({ token: { realm, service, issuer, certFile: authority.certFile } });
    const client = at.client({ credentials: staticCredential(registry.host, 'ada', PASSWORD) });
    const reference = parseReference(`${registry.host}/team/app:v1`);
    await pushImage(client, reference, image);
    assert.ok((await readBlob(client, reference, image.layerDescriptor)).equals(image.layer));
    const asked = tokens.requests.length;
    await readBlob(client, reference, image.layerDescriptor);
    assert.equal(tokens.requests.length, asked, 'tokens are kept');
    await assert.rejects(at.client().resolve(reference), (error) => isTslayerError(error, 'DENIED'));
  });

  test('TLS: an unknown authority is refused at once; certs.d makes it known', async (t) => {
    await using at = setup(t);
    if (!at) return;
    const registry = await at.start({ tls: { server: at.certificates.server } });
    const reference = parseReference(`${registry.host}/app:v1`);
    const etc = join(at.dir.path, 'etc');
    const events: ProgressEvent[] = [];
    await assert.rejects(at.client().resolve(reference, { onProgress: (event) => events.push(event) }), (error) => {
      return isTslayerError(error, 'NETWORK') && /certificate/.test(error.message) && error.hint !== undefined;
    });
    assert.ok(!events.some(({ type }) => type === 'retry'), 'a certificate does not get better by waiting');
    mkdirSync(join(etc, 'docker/certs.d', registry.host), { recursive: true });
    writeFileSync(join(etc, 'docker/certs.d', registry.host, 'ca.crt'), at.certificates.authority.cert);
    await pushImage(at.client({ etc }), reference, image);
    assert.ok((await readBlob(at.client({ etc }), reference, image.layerDescriptor)).equals(image.layer));
    assert.deepEqual((await at.client({ insecure: [registry.host] }).resolve(reference)).descriptor, image.descriptor);
  });

  test('TLS with client certificates', async (t) => {
    await using at = setup(t);
    if (!at) return;
    const { server, client: own, authority } = at.certificates;
    const registry = await at.start({ tls: { server, clientAuthority: authority.certFile } });
    const reference = parseReference(`${registry.host}/app:v1`);
    const etc = join(at.dir.path, 'etc');
    const certs = join(etc, 'containers/certs.d', registry.host);
    mkdirSync(certs, { recursive: true });
    writeFileSync(join(certs, 'ca.crt'), authority.cert);
    await assert.rejects(at.client({ etc }).resolve(reference), (error) => isTslayerError(error, 'NETWORK'));
    writeFileSync(join(certs, 'me.cert'), own.cert);
    writeFileSync(join(certs, 'me.key'), own.key);
    await pushImage(at.client({ etc }), reference, image);
    assert.ok((await readBlob(at.client({ etc }), reference, image.layerDescriptor)).equals(image.layer));
  });

  test('an encrypted registry may not send its passwords to a realm in the clear', async (t) => {
    await using at = setup(t);
    if (!at) return;
    const { server, authority } = at.certificates;
    await using tokens = await startTokenServer();
    const { realm, service } = tokens;
    const registry = await at.start({
      tls: { server },
      token: { realm, service, issuer: 'x', certFile: authority.certFile },
    });
    const client = at.client({
      insecure: [registry.host],
      credentials: staticCredential(registry.host, 'ada', PASSWORD),
    });
    await assert.rejects(client.resolve(parseReference(`${registry.host}/app:v1`)), (error) => {
      return isTslayerError(error, 'DENIED') && /not encrypted/.test(error.message);
    });
    assert.equal(tokens.requests.length, 0);
  });

  test('a pull-through mirror in front of a second registry', async (t) => {
    await using at = setup(t);
    if (!at) return;
    const origin = await at.start();
    const mirror = await at.start({ mirrorOf: origin.url });
    await pushImage(at.client(), parseReference(`${origin.host}/library/app:v1`), image);
    const client = at.client({ mirrors: { 'docker.io': [mirror.url] } });
    const reference = parseReference('app:v1');
    const resolved = await client.resolve(reference);
    assert.deepEqual(resolved, { descriptor: image.descriptor, endpoint: mirror.url });
    assert.ok((await readBlob(client, reference, image.layerDescriptor)).equals(image.layer));
    assert.match(mirror.log(), /library\/app/);
  });
});
