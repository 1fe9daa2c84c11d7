/**
 * Which Authorization a request carries. It belongs to one origin (scheme, host and port) and is made for that one
 * only: nothing here ever sees where a redirect leads.
 */
import { TslayerError } from '../../src/errors.ts';
import { type Endpoint, originOf } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import type { Secrets } from '../transport/secrets.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import type { Credential, CredentialSource } from './credentials.ts';
import { basicHeader, type TokenService } from './token.ts';

/** What the registry asked for when it was last asked without. */
type Known =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: URL; readonly service: string | undefined };

/** Whether an endpoint is in the public internet, so that it has no business naming private addresses. */
export type IsPublic = (origin: string) => boolean;

const CREDENTIAL_LIFE_MS = 5 * 60 * 1000;

export class Authorizer {
  readonly #credentials: CredentialSource;
  readonly #tokens: TokenService;
  readonly #secrets: Secrets;
  readonly #isPublic: IsPublic;
  readonly #known = new Map<string, Known>();
  readonly #found = new Map<string, { readonly credential: Promise<Credential | undefined>; readonly until: number }>();

  constructor(credentials: CredentialSource, tokens: TokenService, secrets: Secrets, isPublic: IsPublic) {
    this.#credentials = credentials;
    this.#tokens = tokens;
    this.#secrets = secrets;
    this.#isPublic = isPublic;
  }

  /** The header to begin with: nothing until the registry has asked once. */
  async initial(endpoint: Endpoint, scopes: readonly string[], signal?: AbortSignal): Promise<string | undefined> {
    const known = this.#known.get(keyOf(endpoint));
    return known && (await this.#header(endpoint, known, scopes, undefined, signal));
  }

  /**
   * The header to try after a 401, undefined when there is nothing better than what was sent.
   * @param header the answer's WWW-Authenticate
   */
  async answer(
    endpoint: Endpoint,
    header: string | undefined,
    scopes: readonly string[],
    sent: string | undefined,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    const challenges = parseChallenges(header);
    const bearer = challenges.find((challenge) => challenge.scheme === 'bearer' && challenge.parameters.realm);
    const known = bearer
      ? asBearer(endpoint, bearer)
      : challenges.some(isBasic)
        ? ({ scheme: 'basic' } as const)
        : undefined;
    if (!known) return undefined;
    this.#known.set(keyOf(endpoint), known);
    if (sent !== undefined && known.scheme === 'basic')
      this.#found.delete(`${endpoint.registry} ${endpoint.repository}`);
    // A registry that wants more than was asked for says so: insufficient_scope.
    const wanted = union(scopes, bearer?.parameters.scope);
    const next = await this.#header(endpoint, known, wanted, sent, signal);
    return next === sent ? undefined : next;
  }

  /** Where the credential that was used came from, for people. */
  async sourceOf({ registry, repository }: Endpoint): Promise<string | undefined> {
    return (await this.#found.get(`${registry} ${repository}`)?.credential.catch(() => undefined))?.source;
  }

  async #header(
    endpoint: Endpoint,
    known: Known,
    scopes: readonly string[],
    sent: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const credential = await this.#credential(endpoint);
    if (credential?.registryToken) return `Bearer ${credential.registryToken}`;
    if (known.scheme === 'basic') return credential && basicHeader(credential);
    const { realm, service } = known;
    const origin = originOf(endpoint);
    const token = await this.#tokens.token(
      {
        realm,
        service,
        scopes,
        credential,
        // The registry's own certificates are for the registry's own host.
        connection: realm.hostname === new URL(origin).hostname ? endpoint.connection : {},
        guarded: realm.origin !== origin && this.#isPublic(origin),
        signal,
      },
      sent?.startsWith('Bearer ') ? sent.slice('Bearer '.length) : undefined,
    );
    return `Bearer ${token}`;
  }

  /** Helpers are programs: their answers are kept for a while. */
  #credential({ registry, repository }: Endpoint): Promise<Credential | undefined> {
    const key = `${registry} ${repository}`;
    const kept = this.#found.get(key);
    if (kept && kept.until > performance.now()) return kept.credential;
    const credential = this.#credentials.find(registry, repository).then((found) => {
      for (const secret of [found?.password, found?.identityToken, found?.registryToken]) this.#secrets.add(secret);
      if (found) this.#secrets.add(basicHeader(found).slice('Basic '.length));
      return found;
    });
    const told = credential.catch((cause: unknown) => {
      if (cause instanceof TslayerError) throw cause;
      const why = cause instanceof Error ? `: ${cause.message}` : '';
      throw new RegistryError('DENIED', `the credentials for ${registry} could not be read${why}`, { cause });
    });
    this.#found.set(key, { credential: told, until: performance.now() + CREDENTIAL_LIFE_MS });
    // A failure is told to whoever asked, and asked anew the next time.
    told.catch(() => this.#found.delete(key));
    return told;
  }
}

function keyOf(endpoint: Endpoint): string {
  return `${originOf(endpoint)} ${endpoint.registry}`;
}

function isBasic(challenge: Challenge): boolean {
  return challenge.scheme === 'basic';
}

/** A realm is where passwords go: it must be an address, and a registry with TLS may not send them into the clear. */
function asBearer(endpoint: Endpoint, challenge: Challenge): Known {
  const realm = URL.parse(challenge.parameters.realm ?? '');
  if (!realm || !/^https?:$/.test(realm.protocol) || realm.username !== '' || realm.password !== '') {
    throw new RegistryError('DENIED', `${originOf(endpoint)} names a malformed token service`);
  }
  if (realm.protocol === 'http:' && endpoint.root.startsWith('https:')) {
    throw new RegistryError(
      'DENIED',
      `${originOf(endpoint)} names the token service ${realm.origin}, which is not encrypted`,
    );
  }
  return { scheme: 'bearer', realm, service: challenge.parameters.service };
}

function union(scopes: readonly string[], asked: string | undefined): string[] {
  return [...new Set([...scopes, ...(asked?.split(' ').filter(Boolean) ?? [])])].sort();
}
