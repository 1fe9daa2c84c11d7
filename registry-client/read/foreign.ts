/**
 * Foreign layers: blobs whose descriptor says where else they may be fetched. The addresses come from whoever made the
 * image, so they are used only when asked for, over the guard against private networks, and never with credentials:
 * containerd once answered such a host's challenge with the registry's password (CVE-2020-15157).
 */
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { isForeignLayer } from '../../src/oci/media-types.ts';
import { type Endpoint, originOf } from '../endpoint.ts';

const MOST = 5;

/**
 * Asked after the registry, which may have the blob, too.
 * @param registry the endpoint that the image came from: a public one may not send us into private networks
 */
export function foreignEndpoints(descriptor: Descriptor, registry: Endpoint, allowed: boolean): Endpoint[] {
  if (!allowed || !isForeignLayer(descriptor.mediaType)) return [];
  return (descriptor.urls ?? []).slice(0, MOST).flatMap((text) => {
    const url = URL.parse(text);
    if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') return [];
    return [
      {
        root: url.origin,
        repository: '',
        registry: url.host,
        source: 'the layer itself',
        primary: false,
        capabilities: ['pull'],
        connection: {},
        foreign: { url: url.href, registryOrigin: originOf(registry) },
      },
    ];
  });
}
