/** What a registry says about a failure: `{"errors":[{"code","message"}]}`, or a token service's `{"details"}`. */
import type { Said } from './errors.ts';
import { harmless, type Secrets } from './transport/secrets.ts';

const NOTHING: Said = { codes: [], message: '' };

/** Never throws: an error page in HTML, or half of one, says nothing. */
export function said(body: Uint8Array, secrets: Secrets): Said {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return NOTHING;
  }
  if (typeof json !== 'object' || json === null) return NOTHING;
  const errors = 'errors' in json && Array.isArray(json.errors) ? json.errors.slice(0, 3) : [json];
  const codes: string[] = [];
  const messages: string[] = [];
  for (const error of errors as unknown[]) {
    if (typeof error !== 'object' || error === null) continue;
    const fields = error as Record<string, unknown>;
    const code = typeof fields.code === 'string' ? harmless(fields.code, 40) : '';
    const text = [fields.message, fields.details, fields.error_description].find((t) => typeof t === 'string');
    if (code) codes.push(code);
    const message = harmless(secrets.redact(typeof text === 'string' ? text : ''));
    messages.push(message || code.toLowerCase().replaceAll('_', ' '));
  }
  return { codes, message: messages.filter(Boolean).join('; ') };
}
