import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { proxyFor } from '../../../registry-client/transport/proxy.ts';
import { isTslayerError } from '../../../src/errors.ts';

const via = (url: string, env: Record<string, string>) => proxyFor(new URL(url), env)?.host;

describe('proxies by environment', () => {
  const env = { HTTPS_PROXY: 'http://secure:1', http_proxy: 'plain:2' };
  test('each scheme has its own', () => {
    assert.equal(via('https://ghcr.io/v2/', env), 'secure:1');
    assert.equal(via('http://ghcr.io/v2/', env), 'plain:2');
  });
  test('ALL_PROXY is for the rest', () =>
    assert.equal(via('https://ghcr.io/', { all_proxy: 'http://all:3' }), 'all:3'));
  test('the lower case counts more', () => {
    assert.equal(via('https://ghcr.io/', { HTTPS_PROXY: 'http://upper:1', https_proxy: 'http://lower:1' }), 'lower:1');
  });
  test('loopback is never proxied', () => {
    for (const host of ['localhost', '127.0.0.1:5000', '[::1]:5000', 'a.localhost']) {
      assert.equal(via(`https://${host}/`, { ...env, all_proxy: 'http://all:3' }), undefined);
    }
  });
  test('HTTP_PROXY is ignored where a request may have set it (CVE-2016-5385)', () => {
    assert.equal(via('http://ghcr.io/', { HTTP_PROXY: 'http://evil:1', REQUEST_METHOD: 'GET' }), undefined);
  });
  test('a proxy that is none of ours is refused, and its password not shown', () => {
    assert.throws(
      () => via('https://ghcr.io/', { HTTPS_PROXY: 'socks5://user:secret@host:1080' }),
      (error) => {
        return isTslayerError(error, 'UNSUPPORTED') && !error.message.includes('secret');
      },
    );
  });

  const exempt: readonly (readonly [list: string, url: string, isExempt: boolean])[] = [
    ['*', 'https://any.where/', true],
    ['example.com', 'https://example.com/', true],
    ['example.com', 'https://a.example.com/', true],
    ['example.com', 'https://notexample.com/', false],
    ['.example.com', 'https://a.example.com/', true],
    ['.example.com', 'https://example.com/', false],
    ['*.example.com', 'https://a.example.com/', true],
    ['example.com:8443', 'https://example.com:8443/', true],
    ['example.com:8443', 'https://example.com/', false],
    ['example.com:443', 'https://example.com/', true],
    ['other, 10.0.0.0/8', 'https://10.2.3.4/', true],
    ['10.0.0.0/8', 'https://11.2.3.4/', false],
    ['10.0.0.0/99', 'https://10.2.3.4/', false],
    ['10.2.3.4', 'https://10.2.3.4/', true],
    ['2.3.4', 'https://10.2.3.4/', false],
    ['[fd00::1]', 'https://[fd00::1]/', true],
    ['fd00::/8', 'https://[fd12::9]/', true],
    ['', 'https://example.com/', false],
  ];
  for (const [list, url, isExempt] of exempt) {
    test(`NO_PROXY=${list} ${isExempt ? 'exempts' : 'does not exempt'} ${url}`, () => {
      assert.equal(via(url, { ...env, NO_PROXY: list }) === undefined, isExempt);
    });
  }
});
