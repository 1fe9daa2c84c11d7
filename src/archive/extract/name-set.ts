/**
 * A set of names in directories (inode number and name), as 64-bit hashes in an open-addressed table: 16 bytes a
 * name where strings would take a hundred. The hash is seeded at random, so that no layer can make two of its names
 * collide on purpose; by chance a million names do with a probability of 10^-8.
 */
import { randomBytes } from 'node:crypto';

const SEEDS = new Uint32Array(randomBytes(8).buffer.slice(0, 8));

export class NameSet {
  #slots = new Uint32Array(2 * 1024);
  #size = 0;
  #high = 0;
  #low = 0;

  add(inode: number, name: Uint8Array): void {
    this.#hash(inode, name);
    if (!this.#insert(this.#high, this.#low)) return;
    this.#size++;
    if (this.#size * 4 > this.#slots.length) this.#grow();
  }

  has(inode: number, name: Uint8Array): boolean {
    this.#hash(inode, name);
    const at = this.#find(this.#high, this.#low);
    return this.#slots[at] !== 0 || this.#slots[at + 1] !== 0;
  }

  /** Index of the hash's slot, or of the free one where it belongs. */
  #find(high: number, low: number): number {
    const slots = this.#slots;
    const mask = slots.length / 2 - 1;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const [a, b] = [slots[slot * 2]!, slots[slot * 2 + 1]!];
      if ((a === high && b === low) || (a === 0 && b === 0)) return slot * 2;
    }
  }

  #insert(high: number, low: number): boolean {
    const at = this.#find(high, low);
    if (this.#slots[at] !== 0 || this.#slots[at + 1] !== 0) return false;
    this.#slots[at] = high;
    this.#slots[at + 1] = low;
    return true;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(old.length * 2);
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] !== 0 || old[i + 1] !== 0) this.#insert(old[i]!, old[i + 1]!);
    }
  }

  /** Leaves the hash in `#high` and `#low`; never both 0, which means a free slot. */
  #hash(inode: number, name: Uint8Array): void {
    let a = SEEDS[0]! ^ inode;
    let b = SEEDS[1]! ^ Math.floor(inode / 2 ** 32);
    for (let i = 0; i < name.length; i++) {
      a = Math.imul(a ^ name[i]!, 0x01000193);
      b = Math.imul(b + name[i]!, 0x85ebca6b) ^ (b >>> 15);
    }
    a = Math.imul(a ^ (a >>> 16) ^ b, 0xc2b2ae35);
    this.#high = (a ^ (a >>> 13)) >>> 0;
    this.#low = ((b ^ (b >>> 16)) | 1) >>> 0;
  }
}
