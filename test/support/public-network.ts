/** Runs in a network namespace of its own, started by address-guard.test.ts: prints what came of each attempt. */
import { createServer } from 'node:http';
import { createRegistryClient } from '../../registry-client/index.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { OCI_LAYER } from '../../src/oci/media-types.ts';

const secret = Buffer.from('the instance metadata');
const descriptor = { mediaType: OCI_LAYER, digest: digestOf(secret), size: secret.length };

/** What stands inside: on loopback and on a private address. */
const inside = createServer((_request, response) => response.end(secret));
inside.listen(80, '::');

/** Registries that send everybody there. */
function registryAt(address: string): void {
  const registry = createServer((request, response) => {
    const target = decodeURIComponent(/^\/v2\/to\/([^/]+)\//.exec(request.url ?? '')?.[1] ?? '');
    response.writeHead(307, { location: `http://${Buffer.from(target, 'hex')}/`, 'content-length': 0 }).end();
  });
  registry.listen(5000, address);
}

const [registries = '', targets = ''] = process.argv.slice(2);
for (const address of registries.split(',')) registryAt(address);
const client = createRegistryClient({
  env: { HOME: '/nonexistent' },
  etc: '/nonexistent',
  retry: { attempts: 1 },
  plainHttp: registries.split(',').map((address) => `${address}:5000`),
});
for (const address of registries.split(',')) {
  for (const target of targets.split(',')) {
    const repository = { registry: `${address}:5000`, repository: `to/${Buffer.from(target).toString('hex')}` };
    let outcome = 'got it';
    try {
      for await (const _chunk of await client.fetchBlob(repository, descriptor));
    } catch (error) {
      outcome = String((error as { code?: string }).code);
    }
    console.log(`${address} ${target} ${outcome}`);
  }
}
process.exit();
