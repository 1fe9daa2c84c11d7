/** One request for a part of a blob, and the check that the answer is that part. */
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { type Endpoint, endpointName } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import type { Ask, Effort, Requester } from '../requester.ts';
import { pullScope } from '../scopes.ts';
import type { Body } from '../transport/body.ts';
import { discard, type HttpResponse } from '../transport/exchange.ts';
import { bytesToSkip } from './content-range.ts';

export interface Part {
  readonly descriptor: Descriptor;
  /** First byte wanted. */
  readonly start: number;
  /** Byte after the last one wanted. */
  readonly end: number;
  /** A server that sends the whole blob in place of the part is refused. */
  readonly rangesOnly?: boolean;
  /** Chunks are good until the next one is asked for. */
  readonly transient?: boolean;
}

/** An open body; after `skip` bytes it stands at the part's start. */
export interface OpenPart {
  readonly endpoint: Endpoint;
  readonly body: Body;
  skip: number;
}

export async function requestPart(
  requester: Requester,
  endpoint: Endpoint,
  part: Part,
  effort: Effort,
): Promise<OpenPart> {
  const { descriptor, start, end } = part;
  const what = `cannot fetch the blob ${descriptor.digest}`;
  const response = await ask(requester, endpoint, part, what, effort);
  try {
    const skip = bytesToSkip(response, start, end, descriptor.size, `${what}: ${endpointName(endpoint)}`);
    if (skip > 0 && part.rangesOnly)
      throw new RegistryError('UNSUPPORTED', `${what}: ${endpointName(endpoint)} ignores ranges`);
    return { endpoint, skip, body: response.body };
  } catch (error) {
    response.body.destroy();
    throw error;
  }
}

async function ask(
  requester: Requester,
  endpoint: Endpoint,
  part: Part,
  what: string,
  effort: Effort,
): Promise<HttpResponse> {
  const { descriptor, start, end } = part;
  const whole: Ask = {
    method: 'GET',
    path: endpoint.foreign ? new URL(endpoint.foreign.url) : `${endpoint.repository}/blobs/${descriptor.digest}`,
    scopes: [pullScope(endpoint)],
    expect: [200, 206],
    what,
    channel: 'data',
    transient: part.transient,
  };
  if (start === 0 && end === descriptor.size) return await requester.send(endpoint, whole, effort);
  const range = `bytes=${start}-${end === descriptor.size ? '' : end - 1}`;
  const answer = await requester.send(endpoint, { ...whole, headers: { range }, expect: [200, 206, 416] }, effort);
  if (answer.status !== 416) return answer;
  // It does not know ranges, or its blob is shorter: the whole one tells which.
  await discard(answer);
  return await requester.send(endpoint, whole, effort);
}
