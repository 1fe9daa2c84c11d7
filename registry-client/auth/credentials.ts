/** Credentials: what they are, and where to ask for them. Sources are tried in order by `firstOf`. */

export interface Credential {
  readonly username: string;
  readonly password: string;
  /** An OAuth2 refresh token in place of a password: asked for tokens by POST. */
  readonly identityToken?: string;
  /** A bearer token to be sent as it is. */
  readonly registryToken?: string;
  /** Where it was found, for people: a file's path, a helper's name. Never the credential itself. */
  readonly source: string;
}

export interface CredentialSource {
  /**
   * The credential for a repository of a registry (`docker.io`, `ghcr.io`, `127.0.0.1:5000`), undefined for none.
   * A source that fails throws: going on anonymously, or with another source's credential, would hide it.
   */
  find(registry: string, repository: string): Promise<Credential | undefined>;
}

/** One credential for one registry; others get none. */
export function staticCredential(registry: string, username: string, password: string): CredentialSource {
  return {
    async find(asked) {
      return asked === registry ? { username, password, source: 'given' } : undefined;
    },
  };
}

export const anonymous: CredentialSource = {
  async find() {
    return undefined;
  },
};

/** Names that mean Docker Hub in credential files; the first one is docker's own key. */
const HUB_NAMES: readonly string[] = [
  'https://index.docker.io/v1/',
  'index.docker.io',
  'docker.io',
  'registry-1.docker.io',
];

/** The key of a registry in helpers, which know registries only: docker's own for Docker Hub. */
export function helperKey(registry: string): string {
  return (registry === 'docker.io' ? HUB_NAMES[0] : undefined) ?? registry;
}

/** The keys under which a repository's credential may be kept, most specific first. */
export function credentialKeys(registry: string, repository: string): string[] {
  const parts = repository === '' ? [] : repository.split('/');
  const namespaced = parts.map((_, index) => `${registry}/${parts.slice(0, parts.length - index).join('/')}`);
  return [...namespaced, ...(registry === 'docker.io' ? HUB_NAMES : [registry])];
}
