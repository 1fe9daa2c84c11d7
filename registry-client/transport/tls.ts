/** How a connection is encrypted, in node:tls's terms. */
import type { ConnectionOptions } from 'node:tls';
import type { Connection } from '../endpoint.ts';

export function tlsOptions({ ca, cert, key, skipVerify }: Connection): ConnectionOptions {
  return {
    // Naming a `ca` replaces the default ones in node:tls; a registry's own authority comes in addition.
    ...(ca !== undefined && { ca: [...process.getBuiltinModule('node:tls').rootCertificates, ca] }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(skipVerify && { rejectUnauthorized: false }),
  };
}
