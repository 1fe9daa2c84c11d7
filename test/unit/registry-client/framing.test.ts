/** Where an answer's head and body end. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Framing, frameOf } from '../../../registry-client/transport/framing.ts';
import { parseHead } from '../../../registry-client/transport/response-head.ts';

const head = (...lines: string[]) => parseHead(['HTTP/1.1 200 OK', ...lines].join('\r\n'), 'GET');

describe('the head of an answer', () => {
  test('status, headers, and what ends the body', () => {
    const { status, headers, framing, keepAlive } = head('Content-Length: 12', 'X-A:  b ', 'x-a: c');
    assert.deepEqual([status, headers.get('x-a'), framing, keepAlive], [200, 'b, c', 12, true]);
  });
  test('bodies that end otherwise', () => {
    assert.equal(head('transfer-encoding: Chunked').framing, 'chunked');
    assert.equal(head().framing, 'connection');
    assert.equal(head('content-length: 5, 5').framing, 5);
    assert.equal(parseHead('HTTP/1.1 200 OK\r\ncontent-length: 99', 'HEAD').framing, 0);
    for (const status of [204, 304, 103]) assert.equal(parseHead(`HTTP/1.1 ${status} X`, 'GET').framing, 0);
  });
  test('whether the connection stays', () => {
    assert.equal(head('connection: Close').keepAlive, false);
    assert.equal(parseHead('HTTP/1.0 200 OK', 'GET').keepAlive, false);
    assert.equal(parseHead('HTTP/1.0 200 OK\r\nconnection: keep-alive', 'GET').keepAlive, true);
  });

  const refused: readonly (readonly [string, string])[] = [
    ['response smuggling: two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6'],
    [
      'response smuggling: a length and an encoding',
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked',
    ],
    ['response smuggling: an encoding that is not alone', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked'],
    ['response smuggling: a folded line', 'HTTP/1.1 200 OK\r\nx: y\r\n content-length: 5'],
    ['response smuggling: a bare line feed', 'HTTP/1.1 200 OK\r\nx: y\ncontent-length: 5'],
    ['response smuggling: a space before the colon', 'HTTP/1.1 200 OK\r\ncontent-length : 5'],
    ['a negative length', 'HTTP/1.1 200 OK\r\ncontent-length: -5'],
    ['a length in hex', 'HTTP/1.1 200 OK\r\ncontent-length: 0x5'],
    ['a length with a sign', 'HTTP/1.1 200 OK\r\ncontent-length: +5'],
    ['a length beyond all bounds', 'HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999'],
    ['a NUL', 'HTTP/1.1 200 OK\r\nx: a\0b'],
    ['no colon', 'HTTP/1.1 200 OK\r\nnonsense'],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2'],
    ['HTTP/2', 'HTTP/2 200 OK'],
    ['a status that is none', 'HTTP/1.1 2x0 OK'],
    ['a thousand headers', `HTTP/1.1 200 OK${'\r\na: b'.repeat(1000)}`],
  ];
  for (const [what, text] of refused) test(`${what} is refused`, () => assert.throws(() => parseHead(text, 'GET')));
});

/** What a frame makes of bytes that come in the given pieces. */
function receive(
  framing: Framing,
  wire: Buffer,
  cuts: readonly number[],
): { body: Buffer; surplus: number | undefined } {
  const frame = frameOf(framing);
  const body: Buffer[] = [];
  const ends = [...cuts.map((cut) => cut % (wire.length + 1)), wire.length].sort((a, b) => a - b);
  let at = 0;
  for (const end of ends) {
    const surplus = frame.take(wire.subarray(at, end), (chunk) => body.push(chunk));
    if (surplus !== undefined) return { body: Buffer.concat(body), surplus: surplus + wire.length - end };
    at = end;
  }
  return { body: Buffer.concat(body), surplus: undefined };
}

const chunked = (parts: readonly Uint8Array[], trailer = '') =>
  Buffer.concat([
    ...parts.flatMap((part) => [Buffer.from(`${part.length.toString(16)};ext="x"\r\n`), part, Buffer.from('\r\n')]),
    Buffer.from(`0\r\n${trailer}\r\n`),
  ]);

describe('the body of an answer', () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const cuts = fc.array(fc.nat(2000), { maxLength: 20 });

  test('by a length, in whatever pieces it comes', () => {
    fc.assert(
      fc.property(bytes, bytes, cuts, (body, rest, at) => {
        const wire = Buffer.concat([body, rest]);
        const got = receive(body.length, wire, at);
        assert.deepEqual(got, { body: Buffer.from(body), surplus: rest.length });
      }),
    );
  });

  test('by chunks, in whatever pieces they come', () => {
    const parts = fc.array(fc.uint8Array({ minLength: 1, maxLength: 100 }), { maxLength: 8 });
    fc.assert(
      fc.property(
        parts,
        bytes,
        cuts,
        fc.constantFrom('', 'a: b\r\n', 'a: b\r\nc: d\r\n'),
        (list, rest, at, trailer) => {
          const got = receive('chunked', Buffer.concat([chunked(list, trailer), rest]), at);
          assert.deepEqual(got, { body: Buffer.concat(list), surplus: rest.length });
        },
      ),
    );
  });

  test('by chunks, cut short: not over', () => {
    const wire = chunked([Buffer.from('hello'), Buffer.from('world')]);
    for (let end = 0; end < wire.length; end++) {
      assert.equal(receive('chunked', wire.subarray(0, end), []).surplus, undefined, `${end} bytes`);
    }
  });

  for (const wire of [
    'x\r\nhello\r\n',
    '5\nhello\r\n',
    '5\r\nhelloo\r\n',
    '-5\r\n',
    '\r\n',
    '5 5\r\nhello',
    `${'f'.repeat(13)}\r\n`,
    `5;${'x'.repeat(9000)}\r\n`,
  ]) {
    test(`by chunks: ${JSON.stringify(wire.slice(0, 20))} is refused`, () => {
      assert.throws(() => receive('chunked', Buffer.from(wire), [1, 2, 3]));
    });
  }

  test('only a body that nothing else ends may end with the connection', () => {
    assert.equal(frameOf('connection').mayEnd, true);
    assert.equal(frameOf('chunked').mayEnd, false);
    assert.equal(frameOf(5).mayEnd, false);
  });
});
