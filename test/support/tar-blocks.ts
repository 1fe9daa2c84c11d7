/** Tar headers of every dialect, block by block, for what tar-bytes does not write: old, odd and broken ones. */

export interface HeaderFields {
  readonly name?: string | Uint8Array;
  readonly type?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly mtime?: number;
  readonly link?: string;
  readonly prefix?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly dialect?: 'ustar' | 'gnu' | 'v7';
  /** Bytes written over the header at offsets, before the checksum. */
  readonly patch?: Readonly<Record<number, string | Uint8Array>>;
  /** The checksum over signed bytes, as some old tars made it. */
  readonly signedChecksum?: boolean;
}

const MAGIC = { ustar: 'ustar\u000000', gnu: 'ustar  \0', v7: '' } as const;

export function headerBlock(fields: HeaderFields): Buffer {
  const block = Buffer.alloc(512);
  block.set(Buffer.from(fields.name ?? 'name').subarray(0, 100));
  number(block, 100, 8, fields.mode ?? 0o644);
  number(block, 108, 8, fields.uid ?? 0);
  number(block, 116, 8, fields.gid ?? 0);
  number(block, 124, 12, fields.size ?? 0);
  number(block, 136, 12, fields.mtime ?? 0);
  block.write(fields.type ?? '0', 156, 'latin1');
  block.write(fields.link ?? '', 157);
  block.write(MAGIC[fields.dialect ?? 'ustar'], 257);
  if (fields.dialect !== 'v7') {
    number(block, 329, 8, fields.major ?? 0);
    number(block, 337, 8, fields.minor ?? 0);
  }
  if (fields.prefix) block.write(fields.prefix, 345);
  for (const [at, bytes] of Object.entries(fields.patch ?? {})) block.set(Buffer.from(bytes), Number(at));
  block.write('        ', 148);
  let sum = 0;
  for (let i = 0; i < 512; i++) sum += fields.signedChecksum ? block.readInt8(i) : block.readUInt8(i);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** Octal where it fits, else base-256 as GNU tar has it. */
export function number(block: Buffer, at: number, length: number, value: number): void {
  const octal = value.toString(8);
  if (value >= 0 && octal.length < length) block.write(`${octal.padStart(length - 1, '0')}\0`, at);
  else base256(block, at, length, value);
}

export function base256(block: Buffer, at: number, length: number, value: number): void {
  let rest = BigInt(value);
  for (let i = at + length - 1; i >= at; i--, rest >>= 8n) block[i] = Number(rest & 0xffn);
  block[at]! |= 0x80;
}

/** A header and its data, padded. */
export function member(fields: HeaderFields, data: string | Uint8Array = ''): Buffer {
  const bytes = Buffer.from(data);
  return Buffer.concat([headerBlock({ size: bytes.length, ...fields }), bytes, padding(bytes.length)]);
}

/** An extended header of PAX: records in order, also such as repeat. */
export function paxHeader(records: readonly (readonly [string, string | Uint8Array])[], type: string = 'x'): Buffer {
  return member({ name: 'PaxHeaders/x', type }, Buffer.concat(records.map(([key, value]) => paxRecord(key, value))));
}

export function paxRecord(key: string, value: string | Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (`${length}`.length + rest.length !== length) length = `${length}`.length + rest.length;
  return Buffer.concat([Buffer.from(`${length}`), rest]);
}

/** GNU's long name (L) or long link name (K). */
export function gnuLong(type: 'L' | 'K', text: string): Buffer {
  return member({ name: '././@LongLink', type, dialect: 'gnu' }, `${text}\0`);
}

export function padding(length: number): Buffer {
  return Buffer.alloc((512 - (length % 512)) % 512);
}

export const END: Buffer = Buffer.alloc(1024);

export function tar(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...parts, END]);
}
