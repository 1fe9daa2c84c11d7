/** Tokens and passwords: who gets them, how often they are asked for, and that they show up nowhere else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CredentialSource, RegistryClientOptions } from '../../../registry-client/index.ts';
import { staticCredential } from '../../../registry-client/index.ts';
import { isTslayerError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import type { ProgressEvent } from '../../../src/progress.ts';
import * as kinds from '../../support/fault-kinds.ts';
import { faultyRegistry } from '../../support/faulty-registry.ts';
import { bytesSource, makeImage, readBlob, testClient } from '../../support/registry-content.ts';
import { basicGate, tokenGate } from '../../support/token-gate.ts';
import { startTokenServer, type TokenServerOptions } from '../../support/token-server.ts';

const image = makeImage(100_000);
const blob = image.layerDescriptor;
const PASSWORD = 'pa55-word-of-ada';

describe('authorization', () => {
  const proxy = faultyRegistry(image);
  const repository = () => ({ registry: proxy.host, repository: 'library/test' });
  const reference = () => parseReference(`${proxy.host}/library/test:v1`);
  const ada = () => staticCredential(proxy.host, 'ada', PASSWORD);

  async function withTokens(options: TokenServerOptions, clientOptions: RegistryClientOptions = {}) {
    const tokens = await startTokenServer(options);
    proxy.fault({ act: tokenGate(tokens), times: 999 });
    const client = testClient(clientOptions);
    return {
      tokens,
      client,
      async [Symbol.asyncDispose]() {
        await client.close();
        await tokens[Symbol.asyncDispose]();
      },
    };
  }

  test('an anonymous token is fetched once and used for everything in its scope', async () => {
    await using at = await withTokens({});
    await at.client.resolve(reference());
    await at.client.fetchManifest(reference());
    await readBlob(at.client, repository(), blob);
    assert.equal(at.tokens.requests.length, 1);
    assert.equal(at.tokens.requests[0]?.authorization, undefined);
    assert.deepEqual(at.tokens.requests[0]?.scopes, ['repository:library/test:pull']);
    assert.equal(proxy.exchanges.filter(({ status }) => status === 401).length, 1);
  });

  test('many blobs at once share one token request', async () => {
    await using at = await withTokens({});
    await Promise.all(Array.from({ length: 6 }, () => readBlob(at.client, repository(), blob)));
    assert.equal(at.tokens.requests.length, 1);
  });

  test('a password goes to the token service, a token to the registry', async () => {
    await using at = await withTokens({ users: { ada: PASSWORD } }, { credentials: ada() });
    await at.client.fetchManifest(reference());
    assert.match(at.tokens.requests[0]?.authorization ?? '', /^Basic /);
    assert.ok(proxy.exchanges.every(({ headers }) => !headers.authorization?.includes('Basic')));
  });

  test('an identity token is exchanged by POST and stands in no address', async () => {
    const identity: CredentialSource = {
      find: async () => ({ username: '', password: '', identityToken: 'identity-of-ada', source: 'test' }),
    };
    await using at = await withTokens({ identityTokens: ['identity-of-ada'] }, { credentials: identity });
    await at.client.fetchManifest(reference());
    assert.equal(at.tokens.requests[0]?.method, 'POST');
    assert.match(at.tokens.requests[0]?.body ?? '', /grant_type=refresh_token/);
  });

  test('a token that is taken back in the middle of a blob is replaced, and the blob goes on', async () => {
    await using at = await withTokens({});
    proxy.reset();
    proxy.fault(
      { act: tokenGate(at.tokens) },
      {
        act: async (context) => {
          await kinds.cutAfter(40_000)(context);
          at.tokens.revokeAll();
        },
      },
      { act: tokenGate(at.tokens), times: 99 },
    );
    assert.ok((await readBlob(at.client, repository(), blob)).equals(image.layer));
    assert.equal(at.tokens.requests.length, 2);
    assert.equal(proxy.blobBytes, blob.size);
  });

  test('a token that claims to live a second is used for the minute that the specification grants', async () => {
    await using at = await withTokens({ expiresIn: 1 });
    await at.client.resolve(reference());
    await at.client.resolve(reference());
    assert.equal(at.tokens.requests.length, 1);
  });

  test('a wider scope is asked for when the registry says insufficient_scope', async () => {
    await using at = await withTokens({});
    await at.client.resolve(reference());
    assert.equal(await at.client.pushBlob(repository(), bytesSource(Buffer.from('new'))), 'uploaded');
    const scopes = at.tokens.requests.flatMap((request) => request.scopes);
    assert.ok(scopes.includes('repository:library/test:pull,push'));
    assert.ok(proxy.exchanges.length < 12, `${proxy.exchanges.length} requests`);
  });

  test('a wrong password is refused at once, and told in one line', async () => {
    await using at = await withTokens({ users: { ada: 'another' } }, { credentials: ada() });
    await assert.rejects(at.client.resolve(reference()), (error) => {
      return isTslayerError(error, 'DENIED') && !error.message.includes('\n');
    });
    assert.equal(at.tokens.requests.length, 1);
  });

  test('a registry that refuses every token is asked a bounded number of times', async () => {
    await using at = await withTokens({});
    proxy.reset();
    const challenge = `Bearer realm="${at.tokens.realm}",service="x",scope="repository:library/test:pull"`;
    proxy.fault({ act: kinds.status(401, { 'www-authenticate': challenge }), times: 99 });
    await assert.rejects(at.client.resolve(reference()), (error) => isTslayerError(error, 'DENIED'));
    assert.ok(proxy.exchanges.length <= 3, `${proxy.exchanges.length} requests`);
  });

  test('a token service that fails once is asked again', async () => {
    let failures = 1;
    await using at = await withTokens({ answer: () => (failures-- > 0 ? { status: 503, body: '{}' } : undefined) });
    assert.equal((await at.client.resolve(reference())).descriptor.digest, image.descriptor.digest);
  });

  for (const [what, body, code] of [
    ['a token with a line break in it', JSON.stringify({ token: 'abc\r\nX-Evil: yes' }), 'DENIED'],
    ['no token', '{}', 'DENIED'],
    ['no JSON', '<html>', 'MALFORMED'],
    ['megabytes', JSON.stringify({ token: 'x'.repeat(2_000_000) }), 'LIMIT_EXCEEDED'],
  ] as const) {
    test(`a token service that answers with ${what} is refused`, async () => {
      await using at = await withTokens({ answer: () => ({ status: 200, body }) });
      await assert.rejects(at.client.resolve(reference()), (error) => isTslayerError(error, code));
    });
  }

  for (const realm of ['not an address', 'file:///etc/passwd', 'http://user:pass@127.0.0.1:1/token']) {
    test(`the realm ${realm} is refused`, async () => {
      proxy.fault({ act: kinds.status(401, { 'www-authenticate': `Bearer realm="${realm}"` }), times: 99 });
      const client = testClient({ credentials: ada() });
      await assert.rejects(client.resolve(reference()), (error) => isTslayerError(error, 'DENIED'));
      await client.close();
    });
  }

  test('Basic: the password is sent after the registry asked, and then at once', async () => {
    proxy.fault({ act: basicGate('ada', PASSWORD), times: 99 });
    const client = testClient({ credentials: ada() });
    await client.resolve(reference());
    await client.resolve(reference());
    assert.deepEqual(
      proxy.exchanges.map(({ headers }) => headers.authorization !== undefined),
      [false, true, true],
    );
    await client.close();
  });

  test('without a credential, Basic is refused with a hint', async () => {
    proxy.fault({ act: basicGate('ada', PASSWORD), times: 99 });
    const client = testClient();
    await assert.rejects(
      client.resolve(reference()),
      (error) => isTslayerError(error, 'DENIED') && error.hint !== undefined,
    );
    assert.equal(proxy.exchanges.length, 1);
    await client.close();
  });

  test('a credential source that fails is fatal: nothing goes on anonymously', async () => {
    proxy.fault({ act: basicGate('ada', PASSWORD), times: 99 });
    const credentials: CredentialSource = { find: () => Promise.reject(new Error('the keychain is locked')) };
    const client = testClient({ credentials });
    await assert.rejects(client.resolve(reference()), /keychain/);
    await client.close();
  });

  test('no secret in traces, events and errors, even from a server that echoes them', async () => {
    const texts: string[] = [];
    const onProgress = (event: ProgressEvent) => texts.push(JSON.stringify(event));
    const trace = (line: string) => texts.push(line);
    await using at = await withTokens({ users: { ada: PASSWORD } }, { credentials: ada(), trace });
    await at.client.fetchManifest(reference(), { onProgress });
    const sent = proxy.exchanges.map(({ headers }) => headers.authorization).find(Boolean);
    const token = String(sent).split(' ')[1] ?? '';
    // The gate answers with what it was sent once the token is gone, the token service, too.
    at.tokens.revokeAll();
    proxy.reset();
    proxy.fault({
      act: kinds.status(503, {}, JSON.stringify({ errors: [{ message: `Bearer ${token}` }] })),
      times: 99,
    });
    const error: unknown = await at.client
      .fetchManifest(reference(), { onProgress })
      .catch((thrown: unknown) => thrown);
    assert.ok(isTslayerError(error, 'NETWORK'));
    texts.push(error.message, error.hint ?? '', String(error.stack));
    const all = texts.join('\n');
    assert.ok(all.includes('***'), 'the traces show that there was something');
    for (const secret of [PASSWORD, Buffer.from(`ada:${PASSWORD}`).toString('base64'), token]) {
      assert.ok(secret.length > 10 && !all.includes(secret), 'a secret shows up');
    }
  });
});
