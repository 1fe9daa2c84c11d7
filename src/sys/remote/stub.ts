/**
 * The stub: a process that performs the system calls it is sent over descriptor 3, and does nothing else. It is a
 * static executable of some 400 bytes, because a second node process would take longer to start than everything that
 * it does for a container, and would carry threads and 40 MB into namespaces and cgroups that are not its own.
 *
 * It reads into one block of memory, which holds, from its start:
 *
 *   u64 bytes after this header; u64 number of calls; u64 address and u64 length of the answer
 *   the calls: 8 words each: the system call's number (u32) and whether it may fail (u32), six arguments, room for its
 *   result
 *   what the arguments point to
 *
 * Calls are performed in order, up to the first that fails and may not. The answer is a part of the block: results, and whatever
 * the kernel wrote beside them. The stub ends when the other end of its socket does.
 */
import { executable, type Listings } from '../machine-code.ts';

export const STUB_SOCKET = 3;
/** Where the block lies. A page that is not touched costs nothing. */
export const BLOCK = 0x10000000;
export const BLOCK_BYTES: number = 8 * 1024 * 1024;
export const HEADER_BYTES = 32;
export const CALL_BYTES = 64;
export const MAY_FAIL_AT = 4;
export const RESULT_AT = 56;

const LISTINGS: Listings = {
  // rbx: the block; r12: the call; rbp: calls that are left. MSG_WAITALL is 0x100.
  x64: `
  bb00000010       mov ebx,0x10000000
next:
  4531c9           xor r9d,r9d
  4531c0           xor r8d,r8d
  41ba00010000     mov r10d,0x100
  ba20000000       mov edx,0x20
  4889de           mov rsi,rbx
  bf03000000       mov edi,0x3
  b82d000000       mov eax,0x2d
  0f05             syscall
  83f820           cmp eax,0x20
  7575             jne gone
  488b13           mov rdx,[rbx]
  488d7320         lea rsi,[rbx+0x20]
  b82d000000       mov eax,0x2d
  0f05             syscall
  483b03           cmp rax,[rbx]
  7562             jne gone
  488b6b08         mov rbp,[rbx+0x8]
  4c8d6320         lea r12,[rbx+0x20]
perform:
  418b0424         mov eax,[r12]
  498b7c2408       mov rdi,[r12+0x8]
  498b742410       mov rsi,[r12+0x10]
  498b542418       mov rdx,[r12+0x18]
  4d8b542420       mov r10,[r12+0x20]
  4d8b442428       mov r8,[r12+0x28]
  4d8b4c2430       mov r9,[r12+0x30]
  0f05             syscall
  4989442438       mov [r12+0x38],rax
  483d01f0ffff     cmp rax,-4095
  7208             jb performed
  41807c240400     cmp byte ptr [r12+0x4],0x0
  7408             je reply
performed:
  4983c440         add r12,0x40
  ffcd             dec ebp
  75bf             jne perform
reply:
  488b5318         mov rdx,[rbx+0x18]
  488b7310         mov rsi,[rbx+0x10]
  bf03000000       mov edi,0x3
  b801000000       mov eax,0x1
  0f05             syscall
  e966ffffff       jmp next
gone:
  bf7d000000       mov edi,0x7d
  b8e7000000       mov eax,0xe7
  0f05             syscall
`,
  // x19: the block; x21: the call; x20: calls that are left.
  arm64: `
  1300a2d2         mov x19, #0x10000000
next:
  e5031faa         mov x5, xzr
  e4031faa         mov x4, xzr
  032080d2         mov x3, #0x100
  020480d2         mov x2, #0x20
  e10313aa         mov x1, x19
  600080d2         mov x0, #0x3
  e81980d2         mov x8, #0xcf
  010000d4         svc #0x0
  1f8000f1         cmp x0, #0x20
  01040054         b.ne gone
  e5031faa         mov x5, xzr
  e4031faa         mov x4, xzr
  032080d2         mov x3, #0x100
  620240f9         ldr x2, [x19]
  61820091         add x1, x19, #0x20
  600080d2         mov x0, #0x3
  010000d4         svc #0x0
  620240f9         ldr x2, [x19]
  1f0002eb         cmp x0, x2
  c1020054         b.ne gone
  740640f9         ldr x20, [x19, #0x8]
  75820091         add x21, x19, #0x20
perform:
  a80240b9         ldr w8, [x21]
  a00640f9         ldr x0, [x21, #8]
  a10a41a9         ldp x1, x2, [x21, #16]
  a31242a9         ldp x3, x4, [x21, #32]
  a51a40f9         ldr x5, [x21, #48]
  010000d4         svc #0x0
  a01e00f9         str x0, [x21, #56]
  1ffc3fb1         cmn x0, #0xfff
  63000054         b.cc performed
  a60640b9         ldr w6, [x21, #4]
  86000034         cbz w6, reply
performed:
  b5020191         add x21, x21, #0x40
  940600f1         subs x20, x20, #0x1
  61feff54         b.ne perform
reply:
  610a41a9         ldp x1, x2, [x19, #16]
  600080d2         mov x0, #0x3
  080880d2         mov x8, #0x40
  010000d4         svc #0x0
  d8ffff17         b next
gone:
  a00f80d2         mov x0, #0x7d
  c80b80d2         mov x8, #0x5e
  010000d4         svc #0x0
`,
};

/** @param arch as process.arch */
export function stubProgram(arch?: string): Buffer {
  return executable(LISTINGS, { address: BigInt(BLOCK), bytes: BLOCK_BYTES }, arch);
}
