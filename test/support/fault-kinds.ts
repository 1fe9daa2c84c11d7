/** The ways in which fault-proxy.ts breaks an answer. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Answer, Fault } from './fault-proxy.ts';

/** The connection is reset after that many bytes of the body. */
export function cutAfter(bytes: number): Fault {
  return async ({ upstream, send, response }) => {
    await send(await upstream(), bytes);
    response.destroy();
  };
}

/** Cut somewhere, but never without a byte of progress. */
export const cutAtRandom: Fault = async ({ upstream, send, response }) => {
  const answer = await upstream();
  await send(answer, 1 + Math.floor(Math.random() * answer.body.length));
  response.destroy();
};

/** Nothing more comes after that many bytes, and the connection stays. */
export function stallAfter(bytes: number): Fault {
  return async ({ upstream, send }) => {
    await send(await upstream(), bytes);
  };
}

/** Not even the head of an answer comes. */
export const silence: Fault = () => undefined;

/** The connection is reset before any answer. */
export const reset: Fault = ({ request }) => void request.socket.resetAndDestroy();

/** The body trickles: `step` bytes every `everyMs`. */
export function slow(step: number, everyMs: number): Fault {
  return async ({ upstream, exchange, response }) => {
    const answer = await upstream();
    exchange.status = answer.status;
    response.writeHead(answer.status, answer.headers);
    for (let at = 0; at < answer.body.length && !response.destroyed; at += step) {
      const part = answer.body.subarray(at, at + step);
      response.write(part);
      exchange.sent += part.length;
      await delay(everyMs);
    }
    response.end();
  };
}

/** An answer of the proxy's own. */
export function status(code: number, headers: Record<string, string> = {}, body = ''): Fault {
  return ({ exchange, response }) => {
    exchange.status = code;
    response.writeHead(code, { 'content-length': Buffer.byteLength(body), ...headers }).end(body);
  };
}

/** The true answer with something changed. */
export function changed(change: (answer: Answer) => Answer): Fault {
  return async ({ upstream, send, response }) => {
    await send(change(await upstream()));
    response.end();
  };
}

export function withHeaders(headers: Record<string, string | undefined>): Fault {
  return changed((answer) => {
    const all = Object.entries({ ...answer.headers, ...headers });
    return { ...answer, headers: Object.fromEntries(all.filter(([, value]) => value !== undefined)) };
  });
}

/** One byte flipped; lengths stay right. */
export function corruptAt(offset: number): Fault {
  return changed((answer) => {
    const body = Buffer.from(answer.body);
    body[offset] = (body[offset] ?? 0) ^ 0xff;
    return { ...answer, body };
  });
}

/** A body of other length, announced as such. */
export function resized(length: number): Fault {
  return changed((answer) => {
    const body = Buffer.concat([answer.body, Buffer.alloc(Math.max(0, length - answer.body.length))]).subarray(
      0,
      length,
    );
    return { ...answer, body, headers: { ...answer.headers, 'content-length': String(length) } };
  });
}

/** The same, by chunked encoding: no length is announced, and the end looks like a good one. */
export function resizedUnannounced(length: number): Fault {
  return changed((answer) => {
    const body = Buffer.concat([answer.body, Buffer.alloc(Math.max(0, length - answer.body.length))]).subarray(
      0,
      length,
    );
    const { 'content-length': _length, ...headers } = answer.headers;
    return { ...answer, body, headers };
  });
}

/** 200 and the whole blob, whatever range was asked for. */
export const ignoreRange: Fault = async ({ upstream, send, response }) => {
  await send(await upstream({ range: undefined }));
  response.end();
};

/** The same, and cut after that many bytes. */
export function ignoreRangeAndCut(bytes: number): Fault {
  return async ({ upstream, send, response }) => {
    await send(await upstream({ range: undefined }), bytes);
    response.destroy();
  };
}

/** A part that begins one byte late, and says so. */
export const rangeOffByOne: Fault = async ({ request, upstream, send, response }) => {
  const start = Number(/bytes=(\d+)-/.exec(String(request.headers.range))?.[1] ?? 0);
  await send(await upstream({ range: `bytes=${start + 1}-` }));
  response.end();
};

/** A part that begins one byte late under the head of the right one: only the digest can tell. */
export const rangeLies: Fault = async ({ request, upstream, send, response }) => {
  const answer = await upstream();
  const whole = await upstream({ range: undefined });
  const start = Number(/bytes=(\d+)-/.exec(String(request.headers.range))?.[1] ?? 0);
  await send({ ...answer, body: Buffer.concat([whole.body.subarray(start + 1), Buffer.alloc(1)]) });
  response.end();
};

/** A good answer, after which the server ends the connection although it had promised to keep it. */
export const closeAfterwards: Fault = async ({ request, upstream, send, response }) => {
  await send(await upstream());
  response.end(() => setTimeout(() => request.socket.destroy(), 5));
};

export function redirectTo(location: string | ((path: string) => string), code = 307): Fault {
  return ({ exchange, response }) => {
    exchange.status = code;
    const to = typeof location === 'string' ? location : location(exchange.path);
    response.writeHead(code, { location: to, 'content-length': 0 }).end();
  };
}
