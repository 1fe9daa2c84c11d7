/**
 * `--init`: the smallest PID 1 there can be. It starts the program as its child, passes every signal on to it, reaps
 * whatever is orphaned, and ends as the program ends. It is a static executable of some 350 bytes, since nothing can
 * be counted on in an image and a node process would weigh 40 MB; it is executed from memory and needs no file.
 *
 * Called as `init PATH ARGUMENTS…`, the arguments with the program's own name. In steps: block all signals; fork. The
 * child: a process group of its own, in the foreground of the terminal if there is one (else ^C would come twice);
 * unblock; execve. The parent: wait for a signal; send it on, or for SIGCHLD reap until nobody is dead.
 *
 * Below, each line is the bytes of an instruction and what an assembler calls it.
 */

import { executable, type Listings } from '../sys/machine-code.ts';

const LISTINGS: Listings = {
  x64: `
  4889e3           mov rbx,rsp
  6aff             push -1
  41ba08000000     mov r10d,0x8
  31d2             xor edx,edx
  4889e6           mov rsi,rsp
  31ff             xor edi,edi
  b80e000000       mov eax,0xe
  0f05             syscall
  b839000000       mov eax,0x39
  0f05             syscall
  85c0             test eax,eax
  7554             jne parent
  31f6             xor esi,esi
  31ff             xor edi,edi
  b86d000000       mov eax,0x6d
  0f05             syscall
  b827000000       mov eax,0x27
  0f05             syscall
  50               push rax
  4889e2           mov rdx,rsp
  be10540000       mov esi,0x5410
  31ff             xor edi,edi
  b810000000       mov eax,0x10
  0f05             syscall
  58               pop rax
  31d2             xor edx,edx
  4889e6           mov rsi,rsp
  bf01000000       mov edi,0x1
  b80e000000       mov eax,0xe
  0f05             syscall
  488b03           mov rax,[rbx]
  488d54c310       lea rdx,[rbx+rax*8+0x10]
  488d7318         lea rsi,[rbx+0x18]
  488b7b10         mov rdi,[rbx+0x10]
  b83b000000       mov eax,0x3b
  0f05             syscall
  bf7f000000       mov edi,0x7f
  eb5f             jmp exit
parent:
  89c5             mov ebp,eax
wait:
  41ba08000000     mov r10d,0x8
  31d2             xor edx,edx
  31f6             xor esi,esi
  4889e7           mov rdi,rsp
  b880000000       mov eax,0x80
  0f05             syscall
  83f811           cmp eax,0x11
  7411             je reap
  85c0             test eax,eax
  7ee3             jle wait
  89c6             mov esi,eax
  89ef             mov edi,ebp
  b83e000000       mov eax,0x3e
  0f05             syscall
  ebd6             jmp wait
reap:
  6a00             push 0x0
  4531d2           xor r10d,r10d
  ba01000000       mov edx,0x1
  4889e6           mov rsi,rsp
  4883cfff         or rdi,-1
  b83d000000       mov eax,0x3d
  0f05             syscall
  5f               pop rdi
  85c0             test eax,eax
  7eb9             jle wait
  39e8             cmp eax,ebp
  75df             jne reap
  89f8             mov eax,edi
  83e07f           and eax,0x7f
  7408             je exited
  8db880000000     lea edi,[rax+0x80]
  eb03             jmp exit
exited:
  c1ef08           shr edi,0x8
exit:
  b8e7000000       mov eax,0xe7
  0f05             syscall
`,
  arm64: `
  f3030091         mov x19, sp
  14008092         mov x20, #-1
  f40f1ff8         str x20, [sp, #-16]!
  f5030091         mov x21, sp
  030180d2         mov x3, #0x8
  e2031faa         mov x2, xzr
  e10315aa         mov x1, x21
  e0031faa         mov x0, xzr
  e81080d2         mov x8, #0x87
  010000d4         svc #0x0
  e4031faa         mov x4, xzr
  e3031faa         mov x3, xzr
  e2031faa         mov x2, xzr
  e1031faa         mov x1, xzr
  200280d2         mov x0, #0x11
  881b80d2         mov x8, #0xdc
  010000d4         svc #0x0
  80030035         cbnz w0, parent
  e1031faa         mov x1, xzr
  e0031faa         mov x0, xzr
  481380d2         mov x8, #0x9a
  010000d4         svc #0x0
  881580d2         mov x8, #0xac
  010000d4         svc #0x0
  e00f1ff8         str x0, [sp, #-16]!
  e2030091         mov x2, sp
  01828ad2         mov x1, #0x5410
  e0031faa         mov x0, xzr
  a80380d2         mov x8, #0x1d
  010000d4         svc #0x0
  030180d2         mov x3, #0x8
  e2031faa         mov x2, xzr
  e10315aa         mov x1, x21
  200080d2         mov x0, #0x1
  e81080d2         mov x8, #0x87
  010000d4         svc #0x0
  620240f9         ldr x2, [x19]
  620e028b         add x2, x19, x2, lsl #3
  42400091         add x2, x2, #0x10
  61620091         add x1, x19, #0x18
  600a40f9         ldr x0, [x19, #16]
  a81b80d2         mov x8, #0xdd
  010000d4         svc #0x0
  e00f8052         mov w0, #0x7f
  21000014         b exit
parent:
  f403002a         mov w20, w0
wait:
  030180d2         mov x3, #0x8
  e2031faa         mov x2, xzr
  e1031faa         mov x1, xzr
  e00315aa         mov x0, x21
  281180d2         mov x8, #0x89
  010000d4         svc #0x0
  1f440071         cmp w0, #0x11
  00010054         b.eq reap
  1f000071         cmp w0, #0x0
  edfeff54         b.le wait
  e103002a         mov w1, w0
  e003142a         mov w0, w20
  281080d2         mov x8, #0x81
  010000d4         svc #0x0
  f2ffff17         b wait
reap:
  e3031faa         mov x3, xzr
  220080d2         mov x2, #0x1
  a1220091         add x1, x21, #0x8
  00008092         mov x0, #-1
  882080d2         mov x8, #0x104
  010000d4         svc #0x0
  1f000071         cmp w0, #0x0
  4dfdff54         b.le wait
  1f00146b         cmp w0, w20
  e1feff54         b.ne reap
  a00a40b9         ldr w0, [x21, #8]
  01180072         ands w1, w0, #0x7f
  60000054         b.eq exited
  20000211         add w0, w1, #0x80
  02000014         b exit
exited:
  007c0853         lsr w0, w0, #8
exit:
  c80b80d2         mov x8, #0x5e
  010000d4         svc #0x0
`,
};

/** The whole executable. @param arch as process.arch */
export function reaperProgram(arch?: string): Buffer {
  return executable(LISTINGS, undefined, arch);
}
