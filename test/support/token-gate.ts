/** Turns fault-proxy.ts into a registry that wants tokens or passwords. */

import { status } from './fault-kinds.ts';
import { type Fault, passOn } from './fault-proxy.ts';
import type { TokenServer } from './token-server.ts';

/** Lets requests through that carry a token for what they do, and challenges the others. */
export function tokenGate(tokens: TokenServer): Fault {
  return (context) => {
    const { method = 'GET', url = '', headers } = context.request;
    const scope = scopeOf(method, url);
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
    if (token !== undefined && (scope === undefined || tokens.allows(token, scope))) return passOn(context);
    const error = token === undefined ? '' : ',error="insufficient_scope"';
    const asked = scope === undefined ? '' : `,scope="${scope}"`;
    const challenge = `Bearer realm="${tokens.realm}",service="${tokens.service}"${asked}${error}`;
    // A careless server that echoes what it was sent.
    const body = JSON.stringify({
      errors: [{ code: 'UNAUTHORIZED', message: `no access with ${headers.authorization}` }],
    });
    return status(401, { 'www-authenticate': challenge, 'content-type': 'application/json' }, body)(context);
  };
}

function scopeOf(method: string, url: string): string | undefined {
  const name = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(url)?.[1];
  if (name === undefined) return undefined;
  return `repository:${name}:${method === 'GET' || method === 'HEAD' ? 'pull' : 'pull,push'}`;
}

export function basicGate(username: string, password: string): Fault {
  const wanted = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  return (context) => {
    if (context.request.headers.authorization === wanted) return passOn(context);
    return status(401, { 'www-authenticate': 'Basic realm="test"' })(context);
  };
}
