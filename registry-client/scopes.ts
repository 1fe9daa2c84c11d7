/** Token scopes. Distribution, "Token Scope Documentation". */
import type { Endpoint } from './endpoint.ts';

export const CATALOG_SCOPE = 'registry:catalog:*';

export function pullScope({ repository }: Pick<Endpoint, 'repository'>): string {
  return `repository:${repository}:pull`;
}

export function pushScope({ repository }: Pick<Endpoint, 'repository'>): string {
  return `repository:${repository}:pull,push`;
}

export function deleteScope({ repository }: Pick<Endpoint, 'repository'>): string {
  return `repository:${repository}:delete`;
}
