/**
 * The device table: a `struct erofs_deviceslot` of 128 bytes for each further file that an image's data lies in. A chunk
 * index names a slot by its number, from 1 on. Which file is which slot the mount says (`device=`, in this order); the
 * 64 bytes of the tag are ours to fill, so the layer's file name stands there: an image tells what it was made of.
 */
import { DEVICE_SLOT_SIZE } from './layout.ts';

export interface DeviceSlot {
  /** Name of the layer's file, at most 63 bytes of ASCII. */
  readonly tag: string;
  /** Its size in blocks. */
  readonly blocks: number;
}

const TAG_SIZE = 64;
const BLOCKS_AT = 64;

export function encodeDevices(slots: readonly DeviceSlot[]): Uint8Array {
  const table = Buffer.alloc(slots.length * DEVICE_SLOT_SIZE);
  for (const [row, { tag, blocks }] of slots.entries()) {
    if (tag === '' || tag.length >= TAG_SIZE) throw new RangeError(`a device tag of ${tag.length} bytes`);
    const at = row * DEVICE_SLOT_SIZE;
    table.write(tag, at, 'latin1');
    table.writeUInt32LE(blocks, at + BLOCKS_AT);
    // The block at which it would begin in one address space of all devices stays 0: chunk indexes name theirs.
  }
  return table;
}

export function decodeDevices(table: Uint8Array): DeviceSlot[] {
  const bytes = Buffer.from(table.buffer, table.byteOffset, table.byteLength);
  return Array.from({ length: Math.floor(bytes.length / DEVICE_SLOT_SIZE) }, (_, row) => {
    const at = row * DEVICE_SLOT_SIZE;
    const tag = bytes.toString('latin1', at, at + TAG_SIZE).replace(/\0.*$/s, '');
    return { tag, blocks: bytes.readUInt32LE(at + BLOCKS_AT) };
  });
}
