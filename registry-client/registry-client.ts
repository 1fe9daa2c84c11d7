/** Puts the parts together: the only file that names them all. What a mere look at a registry needs not is loaded late. */
import { fileCredentials } from './auth/auth-file.ts';
import { Authorizer } from './auth/authorizer.ts';
import { TokenService } from './auth/token.ts';
import type { RegistryClient } from './client.ts';
import { Health } from './health.ts';
import { configPlaces } from './hosts/files.ts';
import { Hosts } from './hosts/hosts.ts';
import { Notices } from './notices.ts';
import { type RegistryClientOptions, type Settings, settingsOf } from './options.ts';
import { ping } from './ping.ts';
import { BlobReader } from './read/blobs.ts';
import { Listings } from './read/listings.ts';
import { ManifestReader } from './read/manifests.ts';
import { Requester } from './requester.ts';
import { Router } from './router.ts';
import { DirectExchange } from './transport/direct.ts';
import type { Exchange } from './transport/exchange.ts';
import { Origins } from './transport/origins.ts';
import { Secrets } from './transport/secrets.ts';
import { Slots } from './transport/slots.ts';
import { Throttle } from './transport/throttle.ts';
import { traced } from './transport/trace.ts';

/** A client for any number of registries. It opens connections as it needs them; `close` ends them. */
export function createRegistryClient(options: RegistryClientOptions = {}): RegistryClient {
  const settings = settingsOf(options);
  const secrets = new Secrets();
  const origins = new Origins();
  const transports = openTransports(settings, secrets, origins);
  const data = traced(transports.data, secrets, options.trace);
  const api = traced(transports.api, secrets, options.trace);
  const isPublic = (origin: string): boolean => origins.isPublic(origin);
  const credentials = options.credentials ?? fileCredentials(settings.env);
  const authorizer = new Authorizer(credentials, new TokenService(api, settings, secrets), secrets, isPublic);
  const notices = new Notices(secrets);
  const health = new Health();
  const requester = new Requester({ settings, data, api, authorizer, secrets, notices, health, isPublic });
  const hosts = new Hosts(options, configPlaces(settings.env, options.etc));
  const router = new Router(hosts, health, settings);
  const slots = new Slots(settings.limits.transfers);
  const throttle = new Throttle(settings.limits.bytesPerSecond);
  const manifests = new ManifestReader(router, requester);
  const foreignLayers = options.foreignLayers ?? false;
  const blobs = new BlobReader({ router, requester, slots, throttle, foreignLayers });
  const listings = new Listings(router, requester);
  const write = once(async () => {
    const { openWriter } = await import('./write/writer.ts');
    return openWriter({ router, requester, listings, slots, throttle });
  });
  return {
    resolve: (reference, rest) => manifests.resolve(reference, rest),
    fetchManifest: (reference, rest) => manifests.fetch(reference, rest),
    fetchBlob: (repository, descriptor, rest) => blobs.fetch(repository, descriptor, rest),
    hasBlob: (repository, digest, rest) => blobs.has(repository, digest, rest),
    listTags: (repository, rest) => listings.tags(repository, rest),
    catalog: (registry, rest) => listings.catalog(registry, rest),
    referrers: (repository, digest, rest) => listings.referrers(repository, digest, rest),
    pushBlob: async (repository, source, rest) => (await write()).pushBlob(repository, source, rest),
    pushManifest: async (reference, bytes, type, rest) => (await write()).pushManifest(reference, bytes, type, rest),
    deleteManifest: async (reference, rest) => (await write()).deleteManifest(reference, rest),
    deleteBlob: async (repository, digest, rest) => (await write()).deleteBlob(repository, digest, rest),
    ping: (registry, rest) => ping(router, requester, registry, rest),
    explain: async (reference) => (await import('./explain.ts')).explain(hosts, credentials, reference),
    rateLimit: (registry) => notices.rateLimit(registry),
    close: () => transports.close(),
  };
}

interface Transports {
  readonly data: Exchange;
  readonly api: Exchange;
  close(): Promise<void>;
}

/** Direct connections at once, node:http and node-fetch when they are first needed. */
function openTransports(settings: Settings, secrets: Secrets, origins: Origins): Transports {
  let isLoaded = false;
  const node = once(async () => {
    isLoaded = true;
    const { nodeTransports } = await import('./transport/node-http.ts');
    return nodeTransports(settings, secrets, origins);
  });
  const direct = new DirectExchange(settings, origins, async (request) => (await node()).data(request));
  return {
    data: direct.exchange,
    api: async (request) => (await node()).api(request),
    async close() {
      direct.close();
      if (isLoaded) (await node()).close();
    },
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
