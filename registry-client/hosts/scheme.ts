/**
 * Which scheme a host speaks when nobody says so. Loopback hosts speak HTTP, and HTTPS where that fails: nothing can
 * be overheard there. Hosts that are allowed to be insecure speak HTTPS, and HTTP where that fails.
 */
import { type Endpoint, isLoopbackHost } from '../endpoint.ts';

/** The endpoint, and the same one by the other scheme where that is allowed. */
export function withOtherScheme(endpoint: Endpoint, insecure: boolean): Endpoint[] {
  const { root, connection } = endpoint;
  if (root.startsWith('https:')) {
    if (!insecure) return [endpoint];
    return [endpoint, { ...endpoint, root: root.replace(/^https:/, 'http:'), connection: {}, otherScheme: true }];
  }
  if (!isLoopbackHost(new URL(root).host)) return [endpoint];
  return [endpoint, { ...endpoint, root: root.replace(/^http:/, 'https:'), connection, otherScheme: true }];
}
