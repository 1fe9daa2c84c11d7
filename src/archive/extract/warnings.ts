/** Things worth telling that are no reason to stop: a few in words, the rest counted. */

const SHOWN = 20;

export class Warnings {
  readonly #messages: string[] = [];
  #more = 0;

  add(message: string): void {
    if (this.#messages.length < SHOWN) this.#messages.push(message);
    else this.#more++;
  }

  get list(): readonly string[] {
    return this.#more === 0 ? this.#messages : [...this.#messages, `and ${this.#more} more of the kind`];
  }
}
