/** GET /v2/: whether a registry answers, speaks the API and takes the credentials. */
import type { OperationOptions } from '../src/progress.ts';
import type { Requester } from './requester.ts';
import type { Router } from './router.ts';
import { discard } from './transport/exchange.ts';

export async function ping(
  router: Router,
  requester: Requester,
  registry: string,
  options?: OperationOptions,
): Promise<void> {
  const endpoints = await router.primaries({ registry, repository: '' });
  await router.firstOf(endpoints, options, async (endpoint, effort) => {
    const what = `cannot reach ${registry}`;
    const ask = { method: 'GET', path: '', scopes: [], expect: [200], what, channel: 'api' } as const;
    await discard(await requester.send(endpoint, ask, effort));
  });
}
