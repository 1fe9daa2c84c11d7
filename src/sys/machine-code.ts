/** Small programs that are written as machine code: static executables of some hundred bytes, run from memory. */

/** The bytes of each instruction, then what an assembler calls it; labels end with a colon. By process.arch. */
export type Listings = Readonly<Record<string, string>>;

/** Memory besides the code: zeroed, private, not executable. */
export interface ProgramMemory {
  readonly address: bigint;
  readonly bytes: number;
}

const LOAD_ADDRESS = 0x400000n;
const ELF_HEADER = 64;
const PROGRAM_HEADER = 56;
const MACHINES: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };
/** The largest page there is. */
const ALIGNMENT = 0x10000n;

const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
const READ_WRITE = 6;
const READ_EXECUTE = 5;

/** The whole executable: elf(5). @param arch as process.arch */
export function executable(listings: Listings, memory?: ProgramMemory, arch: string = process.arch): Buffer {
  const [machine, listing] = [MACHINES[arch], listings[arch]];
  if (machine === undefined || listing === undefined) throw new Error(`no program for ${arch}`);
  const code = assemble(listing);
  const segments = memory ? 3 : 2;
  const start = ELF_HEADER + segments * PROGRAM_HEADER;
  const elf = Buffer.alloc(start + code.length);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELF, 64 bits, little endian, version 1
  elf.writeUInt16LE(2, 16); // an executable
  elf.writeUInt16LE(machine, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(LOAD_ADDRESS + BigInt(start), 24); // the entry
  elf.writeBigUInt64LE(BigInt(ELF_HEADER), 32);
  elf.writeUInt16LE(ELF_HEADER, 52);
  elf.writeUInt16LE(PROGRAM_HEADER, 54);
  elf.writeUInt16LE(segments, 56);
  const header = (index: number): Buffer => elf.subarray(ELF_HEADER + index * PROGRAM_HEADER);
  writeSegment(header(0), PT_LOAD, READ_EXECUTE, LOAD_ADDRESS, elf.length, elf.length);
  writeSegment(header(1), PT_GNU_STACK, READ_WRITE, 0n, 0, 0);
  if (memory) writeSegment(header(2), PT_LOAD, READ_WRITE, memory.address, 0, memory.bytes);
  elf.set(code, start);
  return elf;
}

function writeSegment(
  at: Buffer,
  type: number,
  flags: number,
  address: bigint,
  inFile: number,
  inMemory: number,
): void {
  at.writeUInt32LE(type, 0);
  at.writeUInt32LE(flags, 4);
  at.writeBigUInt64LE(address, 16);
  at.writeBigUInt64LE(address, 24);
  at.writeBigUInt64LE(BigInt(inFile), 32);
  at.writeBigUInt64LE(BigInt(inMemory), 40);
  at.writeBigUInt64LE(ALIGNMENT, 48);
}

/** The first word of each line that is no label. */
function assemble(listing: string): Buffer {
  const words = listing.split('\n').map((line) => line.trim().split(' ')[0] ?? '');
  return Buffer.from(words.filter((word) => !word.endsWith(':')).join(''), 'hex');
}
