/** Tars made by hand, entry by entry, also such as no program would write. */

export interface TarMember {
  readonly path: string | Uint8Array;
  /** Type flag of the header: `0` file, `1` hard link, `2` symlink, `3` char, `4` block, `5` directory, `6` fifo. */
  readonly type?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly link?: string | Uint8Array;
  readonly device?: readonly [major: number, minor: number];
  readonly data?: string | Uint8Array;
  /** Size in the header, where it shall not be that of `data`. */
  readonly size?: number;
  readonly xattrs?: Readonly<Record<string, Uint8Array>>;
  /** Further PAX records. */
  readonly pax?: Readonly<Record<string, string | Uint8Array>>;
}

const BLOCK = 512;

/** A whole tar, with its end. */
export function tarBytes(members: readonly TarMember[]): Buffer {
  return Buffer.concat([...members.flatMap(memberBlocks), Buffer.alloc(2 * BLOCK)]);
}

export function memberBlocks(member: TarMember): Buffer[] {
  const path = Buffer.from(member.path);
  const link = Buffer.from(member.link ?? '');
  const records: [string, Buffer][] = Object.entries(member.pax ?? {}).map(([key, value]) => [key, Buffer.from(value)]);
  if (path.length > 100) records.push(['path', path]);
  if (link.length > 100) records.push(['linkpath', link]);
  for (const [name, value] of Object.entries(member.xattrs ?? {})) {
    records.push([`SCHILY.xattr.${name}`, Buffer.from(value)]);
  }
  const data = Buffer.from(member.data ?? '');
  const own = [header({ ...member, size: member.size ?? data.length }, path, link), padded(data)];
  if (records.length === 0) return own;
  const payload = Buffer.concat(records.map(([key, value]) => record(key, value)));
  const extended = header({ path: '', type: 'x', size: payload.length }, Buffer.from('PaxHeaders/x'), Buffer.alloc(0));
  return [extended, padded(payload), ...own];
}

/** `LENGTH key=value\n`, its own length included. */
function record(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function header(member: TarMember, path: Buffer, link: Buffer): Buffer {
  const block = Buffer.alloc(BLOCK);
  path.copy(block, 0, 0, 100);
  octal(block, 100, 8, member.mode ?? (member.type === '5' ? 0o755 : 0o644));
  octal(block, 108, 8, member.uid ?? 0);
  octal(block, 116, 8, member.gid ?? 0);
  octal(block, 124, 12, member.size ?? 0);
  octal(block, 136, 12, member.mtime ?? 0);
  block.write('        ', 148);
  block.write(member.type ?? '0', 156);
  link.copy(block, 157, 0, 100);
  block.write('ustar\u000000', 257);
  octal(block, 329, 8, member.device?.[0] ?? 0);
  octal(block, 337, 8, member.device?.[1] ?? 0);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at);
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK)]);
}
