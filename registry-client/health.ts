/**
 * What this client has seen of each origin. One that could not be reached is left alone for a while when there is
 * another endpoint, so that a dead mirror costs its timeout once and not once a layer.
 */
import { type Endpoint, originOf } from './endpoint.ts';

const COOL_DOWN_MS = 30_000;

export class Health {
  readonly #unreachableUntil = new Map<string, number>();
  readonly #answered = new Set<string>();

  markAnswered(endpoint: Endpoint): void {
    this.#answered.add(originOf(endpoint));
  }

  hasAnswered(endpoint: Endpoint): boolean {
    return this.#answered.has(originOf(endpoint));
  }

  markUnreachable(endpoint: Endpoint): void {
    this.#unreachableUntil.set(originOf(endpoint), performance.now() + COOL_DOWN_MS);
  }

  isLeftAlone(endpoint: Endpoint): boolean {
    return (this.#unreachableUntil.get(originOf(endpoint)) ?? 0) > performance.now();
  }
}
