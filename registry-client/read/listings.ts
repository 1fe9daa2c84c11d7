/** Tags, repositories, referrers. */
import * as v from 'valibot';
import { isTslayerError } from '../../src/errors.ts';
import { type Descriptor, DescriptorSchema, parseJson } from '../../src/oci/descriptor.ts';
import { type Digest, hexOf } from '../../src/oci/digest.ts';
import { OCI_INDEX } from '../../src/oci/media-types.ts';
import { nameOf } from '../../src/oci/reference.ts';
import type { OperationOptions } from '../../src/progress.ts';
import type { Repository } from '../client.ts';
import type { Endpoint } from '../endpoint.ts';
import type { Ask, Effort, Requester } from '../requester.ts';
import type { Router } from '../router.ts';
import { CATALOG_SCOPE, pullScope } from '../scopes.ts';
import { harmless } from '../transport/secrets.ts';
import { type Page, pages, readPage } from './pages.ts';

/** Asked for at once: ECR refuses more than 1000. */
const PAGE = 1000;

const Tags = v.object({ tags: v.nullish(v.array(v.string())) });
const Catalog = v.object({ repositories: v.nullish(v.array(v.string())) });
const Index = v.object({ manifests: v.nullish(v.array(DescriptorSchema)) });

export class Listings {
  readonly #router: Router;
  readonly #requester: Requester;

  constructor(router: Router, requester: Requester) {
    this.#router = router;
    this.#requester = requester;
  }

  async *tags(repository: Repository, options?: OperationOptions): AsyncGenerator<string, void, undefined> {
    const what = `cannot list the tags of ${nameOf(repository)}`;
    const ask = (endpoint: Endpoint): Ask =>
      listAsk(`${endpoint.repository}/tags/list?n=${PAGE}`, pullScope(endpoint), what);
    for await (const { bytes } of this.#pages(repository, ask, options)) {
      yield* (parseJson(bytes, Tags, 'the list of tags').tags ?? []).map((tag) => harmless(tag, 300));
    }
  }

  async *catalog(registry: string, options?: OperationOptions): AsyncGenerator<string, void, undefined> {
    const ask = listAsk(`_catalog?n=${PAGE}`, CATALOG_SCOPE, `cannot list the repositories of ${registry}`);
    for await (const { bytes } of this.#pages({ registry, repository: '' }, () => ask, options)) {
      yield* (parseJson(bytes, Catalog, 'the catalog').repositories ?? []).map((name) => harmless(name, 300));
    }
  }

  /** All pages of one endpoint: the first that gives a first page. */
  async *#pages(
    repository: Repository,
    ask: (endpoint: Endpoint) => Ask,
    options: OperationOptions | undefined,
  ): AsyncGenerator<Page, void, undefined> {
    const chain = this.#router.chain(await this.#router.primaries(repository));
    for (let begun = false; !begun; ) {
      try {
        for await (const page of pages(this.#requester, chain.current, ask(chain.current), chain.effort(options))) {
          begun = true;
          yield page;
        }
        return;
      } catch (error) {
        if (begun) throw error;
        chain.advance(error, options?.signal);
      }
    }
  }

  async referrers(
    repository: Repository,
    subject: Digest,
    options: OperationOptions & { readonly artifactType?: string } = {},
  ): Promise<Descriptor[]> {
    const { artifactType, ...rest } = options;
    const found = await this.#router.first(
      { ...repository, digest: subject },
      'resolve',
      rest,
      async (endpoint, effort) => {
        return (
          (await this.#fromApi(endpoint, subject, effort)) ?? (await this.fromFallbackTag(endpoint, subject, effort))
        );
      },
    );
    // A server may or may not have filtered (OCI-Filters-Applied): filtering twice is right in both cases.
    return artifactType === undefined ? found : found.filter((entry) => entry.artifactType === artifactType);
  }

  /** Undefined where the registry does not know the API. */
  async #fromApi(endpoint: Endpoint, subject: Digest, effort: Effort): Promise<Descriptor[] | undefined> {
    const what = `cannot list the referrers of ${subject}`;
    const ask = listAsk(`${endpoint.repository}/referrers/${subject}`, pullScope(endpoint), what);
    const found: Descriptor[] = [];
    try {
      for await (const { bytes, response } of pages(this.#requester, endpoint, ask, effort)) {
        // Some answer every unknown path with a page of their own.
        if (!/json/.test(response.header('content-type') ?? 'json')) return undefined;
        found.push(...(parseJson(bytes, Index, 'the list of referrers').manifests ?? []));
      }
    } catch (error) {
      if (isTslayerError(error, 'NOT_FOUND') || isTslayerError(error, 'UNSUPPORTED')) return undefined;
      throw error;
    }
    return found;
  }

  /** Distribution Specification, "Unavailable Referrers API": an index under the tag `sha256-HEX`. */
  async fromFallbackTag(endpoint: Endpoint, subject: Digest, effort: Effort): Promise<Descriptor[]> {
    const path = `${endpoint.repository}/manifests/${fallbackTag(subject)}`;
    const ask = listAsk(path, pullScope(endpoint), `cannot list the referrers of ${subject}`);
    try {
      const { bytes } = await readPage(this.#requester, endpoint, { ...ask, headers: { accept: OCI_INDEX } }, effort);
      return parseJson(bytes, Index, 'the list of referrers').manifests ?? [];
    } catch (error) {
      if (isTslayerError(error, 'NOT_FOUND')) return [];
      throw error;
    }
  }
}

export function fallbackTag(subject: Digest): string {
  return `${subject.slice(0, subject.indexOf(':'))}-${hexOf(subject)}`.slice(0, 128);
}

function listAsk(path: string, scope: string, what: string): Ask {
  return { method: 'GET', path, scopes: [scope], expect: [200], what, channel: 'api' };
}
