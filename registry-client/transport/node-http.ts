/** The transports over node:http, loaded when one is needed: an image that is there already takes one direct HEAD. */
import type { Settings } from '../options.ts';
import { Agents } from './agents.ts';
import { apiExchange } from './api.ts';
import { dataExchange } from './data.ts';
import type { Exchange } from './exchange.ts';
import type { Origins } from './origins.ts';
import type { Secrets } from './secrets.ts';

export interface NodeTransports {
  readonly data: Exchange;
  readonly api: Exchange;
  close(): void;
}

export function nodeTransports(settings: Settings, secrets: Secrets, origins: Origins): NodeTransports {
  const agents = new Agents(settings, secrets, origins);
  return {
    data: dataExchange(agents, settings.timeouts),
    api: apiExchange(agents, settings.timeouts),
    close: () => agents.close(),
  };
}
