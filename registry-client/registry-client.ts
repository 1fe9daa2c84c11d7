/** Puts the parts together: the only file that names them all. */
import { fileCredentials } from './auth/auth-file.ts';
import { Authorizer } from './auth/authorizer.ts';
import { TokenService } from './auth/token.ts';
import type { RegistryClient } from './client.ts';
import { explain } from './explain.ts';
import { Health } from './health.ts';
import { configPlaces } from './hosts/files.ts';
import { Hosts } from './hosts/hosts.ts';
import { Notices } from './notices.ts';
import { type RegistryClientOptions, settingsOf } from './options.ts';
import { ping } from './ping.ts';
import { BlobReader } from './read/blobs.ts';
import { Listings } from './read/listings.ts';
import { ManifestReader } from './read/manifests.ts';
import { Requester } from './requester.ts';
import { Router } from './router.ts';
import { Agents } from './transport/agents.ts';
import { apiExchange } from './transport/api.ts';
import { dataExchange } from './transport/data.ts';
import { DirectExchange } from './transport/direct.ts';
import { Origins } from './transport/origins.ts';
import { Secrets } from './transport/secrets.ts';
import { Slots } from './transport/slots.ts';
import { Throttle } from './transport/throttle.ts';
import { traced } from './transport/trace.ts';
import { ManifestWriter } from './write/manifests.ts';
import { BlobPusher } from './write/uploads.ts';

/** A client for any number of registries. It opens connections as it needs them; `close` ends them. */
export function createRegistryClient(options: RegistryClientOptions = {}): RegistryClient {
  const settings = settingsOf(options);
  const secrets = new Secrets();
  const origins = new Origins();
  const agents = new Agents(settings, secrets, origins);
  const direct = new DirectExchange(settings, origins, dataExchange(agents, settings.timeouts));
  const data = traced(direct.exchange, secrets, options.trace);
  const api = traced(apiExchange(agents, settings.timeouts), secrets, options.trace);
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
  const blobs = new BlobReader({ router, requester, slots, throttle, foreignLayers: options.foreignLayers ?? false });
  const listings = new Listings(router, requester);
  const pusher = new BlobPusher(router, requester, slots, throttle);
  const writer = new ManifestWriter(router, requester, listings);
  return {
    resolve: (reference, rest) => manifests.resolve(reference, rest),
    fetchManifest: (reference, rest) => manifests.fetch(reference, rest),
    fetchBlob: (repository, descriptor, rest) => blobs.fetch(repository, descriptor, rest),
    hasBlob: (repository, digest, rest) => blobs.has(repository, digest, rest),
    listTags: (repository, rest) => listings.tags(repository, rest),
    catalog: (registry, rest) => listings.catalog(registry, rest),
    referrers: (repository, digest, rest) => listings.referrers(repository, digest, rest),
    pushBlob: (repository, source, rest) => pusher.push(repository, source, rest),
    pushManifest: (reference, bytes, mediaType, rest) => writer.push(reference, bytes, mediaType, rest),
    deleteManifest: (reference, rest) => writer.delete(reference, rest),
    deleteBlob: (repository, digest, rest) => writer.deleteBlob(repository, digest, rest),
    ping: (registry, rest) => ping(router, requester, registry, rest),
    explain: async (reference) => await explain(hosts, credentials, reference),
    rateLimit: (registry) => notices.rateLimit(registry),
    async close() {
      direct.close();
      agents.close();
    },
  };
}
