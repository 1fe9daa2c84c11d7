/**
 * Directory data: blocks of 512 bytes, each with its `struct erofs_dirent`s (12 bytes: nid, name offset, type) in
 * front and their names behind. Names ascend bytewise over the whole directory, `.` and `..` among them, because
 * the kernel looks them up by bisection. A block's first name offset tells how many entries it has.
 */
import { BLOCK_SIZE, DIRENT_SIZE } from './layout.ts';

/** One directory's entries in order, as columns; the names lie in a buffer that the caller has. */
export class DirentList {
  count = 0;
  nid: Uint32Array = new Uint32Array(64);
  type: Uint8Array = new Uint8Array(64);
  nameAt: Uint32Array = new Uint32Array(64);
  nameLength: Uint8Array = new Uint8Array(64);

  clear(): void {
    this.count = 0;
  }

  push(nid: number, type: number, nameAt: number, nameLength: number): void {
    const row = this.count++;
    if (row === this.nid.length) this.#grow(row * 2);
    this.nid[row] = nid;
    this.type[row] = type;
    this.nameAt[row] = nameAt;
    this.nameLength[row] = nameLength;
  }

  #grow(rows: number): void {
    const widen = <A extends Uint8Array | Uint32Array>(grown: A, old: A): A => {
      grown.set(old);
      return grown;
    };
    this.nid = widen(new Uint32Array(rows), this.nid);
    this.type = widen(new Uint8Array(rows), this.type);
    this.nameAt = widen(new Uint32Array(rows), this.nameAt);
    this.nameLength = widen(new Uint8Array(rows), this.nameLength);
  }

  /** Where the block ends that begins with entry `from`: as many as fit into 512 bytes. */
  blockEnd(from: number): number {
    let used = 0;
    let row = from;
    for (; row < this.count; row++) {
      used += DIRENT_SIZE + this.nameLength[row]!;
      if (used > BLOCK_SIZE) break;
    }
    return row;
  }

  /** Bytes of the entries `from … to`. */
  bytes(from: number, to: number): number {
    let used = 0;
    for (let row = from; row < to; row++) used += DIRENT_SIZE + this.nameLength[row]!;
    return used;
  }

  /** Bytes of the directory (its size): whole blocks, and what the last one uses. */
  size(): number {
    for (let from = 0, blocks = 0; ; blocks++) {
      const to = this.blockEnd(from);
      if (to === this.count) return blocks * BLOCK_SIZE + this.bytes(from, to);
      from = to;
    }
  }

  /** Writes entries `from … to` into `target` at `at`, where zeros are; `names` holds the names. */
  write(from: number, to: number, target: Uint8Array, view: DataView, at: number, names: Uint8Array): void {
    let offset = (to - from) * DIRENT_SIZE;
    for (let row = from, entry = at; row < to; row++, entry += DIRENT_SIZE) {
      view.setUint32(entry, this.nid[row]!, true);
      view.setUint16(entry + 8, offset, true);
      view.setUint8(entry + 10, this.type[row]!);
      const start = this.nameAt[row]!;
      const length = this.nameLength[row]!;
      for (let i = 0; i < length; i++) target[at + offset + i] = names[start + i]!;
      offset += length;
    }
  }
}
