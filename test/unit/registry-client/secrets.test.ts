import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { harmless, printableHeader, printableUrl, Secrets } from '../../../registry-client/transport/secrets.ts';

describe('texts without secrets', () => {
  test('what was learnt is replaced wherever it shows up', () => {
    const secrets = new Secrets();
    secrets.add('hunter22');
    secrets.add('');
    secrets.add('abc');
    assert.equal(secrets.redact('a hunter22, b=hunter22 abc'), 'a ***, b=*** abc');
  });
  test('an address loses user info and the values of its query', () => {
    assert.equal(
      printableUrl(new URL('https://u:p@cdn.example/x?sig=1234&exp=9#frag')),
      'https://cdn.example/x?sig=…&exp=…',
    );
  });
  test('of Authorization only the scheme is shown', () => {
    assert.equal(printableHeader('authorization', 'Bearer abcdef'), 'Bearer ***');
    assert.equal(printableHeader('cookie', 'a=b'), '***');
    assert.equal(printableHeader('accept', 'x/y'), 'x/y');
  });
  test("a server's text cannot move a terminal's cursor or begin a line", () => {
    assert.equal(harmless('a\u001b[2J\r\nb\u202ec\u0007'), 'a [2J b c');
    assert.equal(harmless('x'.repeat(500)).length, 201);
  });
});
