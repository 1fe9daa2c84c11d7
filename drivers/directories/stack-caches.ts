/** What is made of whole stacks, for the store's housekeeping: each kind is made once more and compared. */
import { join } from 'node:path';
import { requireUnused } from '../../src/mounts/users.ts';
import type { LayerId, Stack, StackCache, StackCaches } from '../driver.ts';
import { inSlices } from '../tree/slices.ts';
import { treeUsage } from '../tree/usage.ts';
import { differenceOf } from './difference.ts';
import type { Directories } from './directories.ts';
import { STACK, stackNames, stackOf, tryStack } from './stacks.ts';

/** One kind of what is made of stacks. */
export interface StackKind {
  /** What it is called for a stack. */
  nameOf(stack: Stack): string;
  /**
   * How it is made, the same each time; undefined where the stack needs none.
   * @param name of the one that is there
   */
  fill(stack: Stack, name: string): ((path: string) => void) | undefined;
}

export class DirectoryCaches implements StackCaches {
  readonly #directories: Directories;
  readonly #kinds: readonly StackKind[];

  constructor(directories: Directories, kinds: readonly StackKind[]) {
    this.#directories = directories;
    this.#kinds = kinds;
  }

  async *list(): AsyncGenerator<StackCache, void> {
    for (const name of stackNames(this.#directories)) {
      const stack = this.#stackOf(name);
      const { bytes } = await inSlices(treeUsage(this.#path(name)));
      yield { name, stack, bytes };
    }
  }

  async verify(name: string): Promise<string | undefined> {
    const [stack, kind] = [this.#stackOf(name), this.#kindOf(name)];
    if (kind === undefined) return 'it does not tell its layers';
    const fill = kind.fill(stack, name);
    if (fill === undefined) return 'its layers need none';
    return tryStack(this.#directories, fill, (right) => differenceOf(this.#path(name), right, [STACK]));
  }

  async remove(name: string): Promise<void> {
    requireUnused([this.#path(name)], `layers/${name}`);
    await this.#directories.discard(this.#path(name));
  }

  /** What its name confirms: nothing else does. */
  #stackOf(name: string): LayerId[] {
    return this.#kindOf(name) === undefined ? [] : stackOf(this.#directories, name);
  }

  #kindOf(name: string): StackKind | undefined {
    const stack = stackOf(this.#directories, name);
    return this.#kinds.find((kind) => kind.nameOf(stack) === name);
  }

  #path(name: string): string {
    return join(this.#directories.path, name);
  }
}
