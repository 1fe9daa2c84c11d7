/**
 * An upload as the registry sees it: where its next bytes go, and how many have arrived. Distribution Specification,
 * "Pushing a blob in chunks" and "Getting the status of an upload".
 */
import type { UnfinishedUpload } from '../client.ts';
import type { Endpoint } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import { checkedLocation, locationProblem } from '../redirect.ts';
import { discard, type HttpResponse } from '../transport/exchange.ts';

export interface UploadSession {
  /** Where the next request goes; every answer may change it. */
  location: URL;
  /** Bytes that the registry has. */
  received: number;
  /** OCI-Chunk-Min-Length. */
  minChunk: number;
  /** It has bytes that an earlier request brought, and that nobody has looked at since. */
  resumed: boolean;
}

/** The upload after an answer about it. @param what fails when it fails */
export async function sessionOf(
  response: HttpResponse,
  received: number,
  what: string,
  previous?: UploadSession,
): Promise<UploadSession> {
  await discard(response);
  const location = response.header('location');
  if (location === undefined && !previous) throw new RegistryError('FAILED', `${what}: no address to upload to`);
  const minChunk = Number(response.header('oci-chunk-min-length') ?? previous?.minChunk ?? 0);
  return {
    location: location === undefined && previous ? previous.location : checkedLocation(response, location ?? '', what),
    received,
    minChunk: Number.isSafeInteger(minChunk) ? minChunk : 0,
    resumed: previous?.resumed ?? false,
  };
}

/** What another process began, if it was at this endpoint; how far it came is to be asked. */
export function sessionFrom({ endpoint, location }: UnfinishedUpload, { root }: Endpoint): UploadSession | undefined {
  const target = URL.parse(location);
  if (endpoint !== root || !target || locationProblem(target, new URL(root)) !== undefined) return undefined;
  return { location: target, received: 0, minChunk: 0, resumed: true };
}

/** `Range: 0-N`, inclusive. `0-0` is both "one byte" and "nothing yet": the shorter reading costs one byte. */
export function receivedBytes(response: HttpResponse): number | undefined {
  const match = /^(?:bytes=)?0-(-?\d{1,16})$/.exec(response.header('range')?.trim() ?? '');
  if (!match) return undefined;
  const last = Number(match[1]);
  return last <= 0 ? 0 : last + 1;
}
