/** Where requests for a reference would go, and why: nothing is sent. */
import type { Reference } from '../src/oci/reference.ts';
import type { CredentialSource } from './auth/credentials.ts';
import type { EndpointPlan } from './client.ts';
import type { Endpoint } from './endpoint.ts';
import type { Hosts } from './hosts/hosts.ts';

export async function explain(
  hosts: Hosts,
  credentials: CredentialSource,
  reference: Reference,
): Promise<EndpointPlan[]> {
  const endpoints = await hosts.endpoints(reference);
  return await Promise.all(endpoints.map((endpoint) => describe(endpoint, credentials)));
}

async function describe(endpoint: Endpoint, credentials: CredentialSource): Promise<EndpointPlan> {
  const { root, repository, source, capabilities, otherScheme } = endpoint;
  // A helper that fails is worth knowing here, and no reason to explain nothing.
  const credential = await credentials
    .find(endpoint.registry, repository)
    .catch((error: Error) => ({ source: error.message }));
  const skipped = endpoint.skipped ?? (otherScheme ? 'only if the one before it does not speak its scheme' : undefined);
  return {
    url: root,
    repository,
    source,
    capabilities,
    ...(skipped !== undefined && { skipped }),
    ...(credential && { credentials: credential.source }),
  };
}
