import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import type { Endpoint } from '../../../registry-client/endpoint.ts';
import { Notices, parseRateLimit, parseWarnings } from '../../../registry-client/notices.ts';
import { streamBody } from '../../../registry-client/transport/body.ts';
import { Secrets } from '../../../registry-client/transport/secrets.ts';
import type { ProgressEvent } from '../../../src/progress.ts';

const answer = (headers: Record<string, string>) => ({
  status: 200,
  url: new URL('http://x'),
  header: (name: string) => headers[name],
  body: streamBody(new PassThrough(), 100),
});
const endpoint: Endpoint = {
  root: 'https://r/v2',
  repository: 'x',
  registry: 'r',
  source: 'registry',
  primary: true,
  capabilities: ['pull'],
  connection: {},
};

describe('notices', () => {
  test("Docker Hub's rate limit", () => {
    const headers = {
      'ratelimit-limit': '100;w=21600',
      'ratelimit-remaining': '76;w=21600',
      'docker-ratelimit-source': '203.0.113.7',
    };
    assert.deepEqual(parseRateLimit(answer(headers)), {
      limit: 100,
      remaining: 76,
      windowSeconds: 21_600,
      source: '203.0.113.7',
    });
    assert.equal(parseRateLimit(answer({ 'ratelimit-limit': 'many' })), undefined);
  });

  test('people are warned near the limit, once', () => {
    const notices = new Notices(new Secrets());
    const events: ProgressEvent[] = [];
    const say = (remaining: number) =>
      notices.note(
        endpoint,
        answer({ 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': `${remaining}` }),
        (event) => events.push(event),
      );
    say(50);
    assert.deepEqual(events, []);
    say(9);
    say(9);
    assert.deepEqual(events, [{ type: 'warning', message: 'r allows 9 more of 100 pulls in 6 h' }]);
    assert.equal(notices.rateLimit('r')?.remaining, 9);
    assert.equal(notices.rateLimit('elsewhere'), undefined);
  });

  test('warnings of code 299, without control characters', () => {
    assert.deepEqual(parseWarnings('299 - "move to v2", 110 - "stale", 299 host "say \\"please\\""'), [
      'move to v2',
      'say "please"',
    ]);
    assert.deepEqual(parseWarnings(undefined), []);
    const events: ProgressEvent[] = [];
    new Notices(new Secrets()).note(endpoint, answer({ warning: '299 - "a\u001b[31mb"' }), (event) =>
      events.push(event),
    );
    assert.deepEqual(events, [{ type: 'warning', message: 'r: a [31mb' }]);
  });
});
