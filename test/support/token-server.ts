/**
 * A token service, as registries name it in `WWW-Authenticate: Bearer realm=…`. It takes Basic credentials or identity
 * tokens, remembers what it gave out, and can sign tokens that docker-registry accepts.
 */
import { createSign, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KeyPair } from './registry-certs.ts';

export interface TokenRequest {
  readonly method: string;
  readonly scopes: readonly string[];
  readonly authorization: string | undefined;
  readonly body: string;
}

export interface TokenServerOptions {
  /** name → password. Without it everybody gets a token. */
  readonly users?: Readonly<Record<string, string>>;
  /** Identity tokens that are exchanged by POST. */
  readonly identityTokens?: readonly string[];
  /** Signs tokens as `issuer` for `service`; opaque ones otherwise. */
  readonly signer?: { readonly keys: KeyPair; readonly issuer: string };
  readonly expiresIn?: number;
  /** Replaces the whole answer. */
  readonly answer?: () => { readonly status: number; readonly body: string } | undefined;
}

export interface TokenServer extends AsyncDisposable {
  readonly realm: string;
  readonly service: string;
  readonly requests: TokenRequest[];
  /** Whether it gave this token out for all of these scopes, and has not taken it back. */
  allows(token: string, scope: string): boolean;
  revokeAll(): void;
}

export async function startTokenServer(options: TokenServerOptions = {}): Promise<TokenServer> {
  const service = 'test-registry';
  const requests: TokenRequest[] = [];
  const issued = new Map<string, string[]>();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://token.invalid');
    const body = await textOf(request);
    const form = new URLSearchParams(body);
    const scopes = request.method === 'POST' ? (form.get('scope')?.split(' ') ?? []) : url.searchParams.getAll('scope');
    const { authorization } = request.headers;
    requests.push({ method: request.method ?? '', scopes, authorization, body });
    const own = options.answer?.();
    if (own) return void response.writeHead(own.status, { 'content-type': 'application/json' }).end(own.body);
    const user = whoIs(options, authorization, form.get('refresh_token'));
    if (user === undefined) {
      const error = JSON.stringify({ details: `who is ${authorization}?` });
      return void response.writeHead(401, { 'content-type': 'application/json' }).end(error);
    }
    const token = options.signer
      ? signed(options.signer, service, user, scopes)
      : randomBytes(24).toString('base64url');
    issued.set(token, scopes);
    const field = request.method === 'POST' ? 'access_token' : 'token';
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ [field]: token, expires_in: options.expiresIn ?? 300 }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    realm: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    service,
    requests,
    allows: (token, scope) => (issued.get(token) ?? []).some((given) => covers(given, scope)),
    revokeAll: () => issued.clear(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function covers(given: string, wanted: string): boolean {
  const [, , actions = ''] = given.split(':');
  const [type, name, wantedActions = ''] = wanted.split(':');
  return (
    given.startsWith(`${type}:${name}:`) &&
    wantedActions.split(',').every((action) => actions.split(',').includes(action))
  );
}

function whoIs(
  options: TokenServerOptions,
  authorization: string | undefined,
  refresh: string | null,
): string | undefined {
  if (refresh !== null) return options.identityTokens?.includes(refresh) ? 'identity' : undefined;
  if (!options.users) return 'anonymous';
  const [name = '', password] = Buffer.from(authorization?.split(' ')[1] ?? '', 'base64')
    .toString()
    .split(':');
  return password !== undefined && options.users[name] === password ? name : undefined;
}

/** A JSON Web Token in the shape that docker-registry verifies: the certificate stands in its header. */
function signed(
  { keys, issuer }: NonNullable<TokenServerOptions['signer']>,
  service: string,
  user: string,
  scopes: readonly string[],
): string {
  const now = Math.floor(Date.now() / 1000);
  const access = scopes.map((scope) => {
    const [type = '', name = '', actions = ''] = scope.split(':');
    return { type, name, actions: actions.split(',') };
  });
  const claims = {
    iss: issuer,
    sub: user,
    aud: service,
    iat: now,
    nbf: now - 10,
    exp: now + 300,
    jti: randomBytes(8).toString('hex'),
    access,
  };
  const der = keys.cert.replace(/-----[^-]+-----|\s/g, '');
  const parts = [{ typ: 'JWT', alg: 'RS256', x5c: [der] }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const signature = createSign('RSA-SHA256').update(parts.join('.')).sign(keys.key, 'base64url');
  return [...parts, signature].join('.');
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}
