import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { describe, test } from 'node:test';
import { checkLiteral, guardedLookup, isPrivateAddress } from '../../../registry-client/transport/address-guard.ts';
import { isTslayerError } from '../../../src/errors.ts';

describe('the guard against private addresses', () => {
  const inside = [
    '127.0.0.1',
    '127.9.9.9',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'fd00::1',
    'fc00::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:169.254.169.254',
    '::ffff:7f00:1',
    '64:ff9b::a9fe:a9fe',
    'not an address',
  ];
  const outside = [
    '1.1.1.1',
    '172.15.0.1',
    '172.32.0.1',
    '192.169.0.1',
    '203.0.113.9',
    '2606:4700::1111',
    '64:ff9b::101:101',
    '::ffff:8.8.8.8',
  ];
  for (const address of inside) test(`${address} is refused`, () => assert.equal(isPrivateAddress(address), true));
  for (const address of outside) test(`${address} is taken`, () => assert.equal(isPrivateAddress(address), false));

  for (const url of [
    'http://169.254.169.254/latest',
    'http://[::1]/',
    'https://127.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://localhost/',
    'http://x.localhost/',
  ]) {
    test(`${url} is refused before anything is looked up`, () => {
      assert.throws(
        () => checkLiteral(new URL(url)),
        (error) => isTslayerError(error, 'DENIED'),
      );
    });
  }
  test('a name is left to the lookup', () => checkLiteral(new URL('https://example.com/')));

  test('a name that resolves to a private address is refused, whatever form was asked for', async () => {
    for (const all of [true, false]) {
      const error = await new Promise((resolve) => guardedLookup('localhost', { all }, (failure) => resolve(failure)));
      assert.ok(isTslayerError(error, 'DENIED'), `${error}`);
    }
  });
  test('a name that does not resolve says so', async () => {
    const failed = await new Promise<NodeJS.ErrnoException | null>((resolve) =>
      guardedLookup('nothing.invalid', {}, (failure, _address: string | LookupAddress[]) => resolve(failure)),
    );
    assert.match(failed?.code ?? '', /^(ENOTFOUND|EAI_AGAIN)$/);
  });
});
