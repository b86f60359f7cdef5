# Two windows on the same memory: one is a leaf of 1 GiB, the other a leaf of 2 MiB. All harts write to two pages through
# both. Then both leaves are made read-only, and one address in each is fenced: by each hart for itself, or, where REMOTE is
# set, by hart 0 for all. A fence for an address drops the leaf that maps it, all of it, so that stores to the other page
# must fault too.
.equ GIGA, 0x40000000
.equ MEGA, 0xc0000000
.equ MEMORY, 0x80000000
.globl _start
_start:
  la a0, hart
  # Root: memory, the leaf of 1 GiB, and a table for the leaf of 2 MiB.
  la t1, root
  li t0, (MEMORY >> 2) | 0xcf
  sd t0, 16(t1)
  sd t0, 8(t1)
  la t2, middle
  sd t0, 0(t2)
  srli t0, t2, 2
  ori t0, t0, 1
  sd t0, 24(t1)
  call start_harts
  la t0, harts
  fence
  sd a0, 0(t0)
  li a0, 0
hart:
  mv s0, a0
  la s1, harts
1: pause
  ld s2, 0(s1)
  beqz s2, 1b
  la t0, trap
  csrw stvec, t0
  la s3, root
  srli t0, s3, 12
  li t1, 8 << 60
  or t0, t0, t1
  csrw satp, t0
  sfence.vma
  # The fenced page and the other one, through either window.
  li t2, MEMORY
  la t0, fenced
  sub t0, t0, t2
  la t1, other
  sub t1, t1, t2
  li t2, GIGA
  add s4, t0, t2
  add s5, t1, t2
  li t2, MEGA
  add s6, t0, t2
  add s7, t1, t2
  sd zero, 0(s4)
  sd zero, 0(s5)
  sd zero, 0(s6)
  sd zero, 0(s7)
  li s8, 0                  # faults so far
  mv a0, s2
  li a1, 1
  call barrier

  # Hart 0 takes the right to write away.
  bnez s0, taken
  li t0, (MEMORY >> 2) | 0xcb
  sd t0, 8(s3)
  la t1, middle
  sd t0, 0(t1)
  fence
.if REMOTE
  mv s9, s4
  call fence_all
  mv s9, s6
  call fence_all
.endif
taken:
  mv a0, s2
  li a1, 2
  call barrier
.if REMOTE == 0
  sfence.vma s4, zero
  sfence.vma s6, zero
.endif
  li t0, 77
  sd t0, 0(s4)
  sd t0, 0(s5)
  sd t0, 0(s6)
  sd t0, 0(s7)
  # Reads are still allowed, and nothing was written.
  ld t0, 0(s5)
  ld t1, 0(s7)
  or t0, t0, t1
  li t1, 4
  bne s8, t1, through
  bnez t0, through
  mv a0, s2
  li a1, 3
  call barrier
  bnez s0, stop_hart
  say "every store to the leaves faulted\n"
  shutdown 0
through:
  la t1, said
  li t0, 1
  amoswap.d t0, t0, (t1)
  bnez t0, stop_hart
  say "stores that faulted: "
  mv a0, s8
  call putdec
  say " of 4\n"
  shutdown 1

# Fences the address in s9 on all harts, by their mask.
fence_all:
  li a0, 1
  sll a0, a0, s2
  addi a0, a0, -1
  li a1, 0
  mv a2, s9
  li a3, 4096
  sbi RFENCE, 1
  bnez a0, refused
  ret
refused:
  say "the fence was refused\n"
  shutdown 1

# Counts store page faults and skips the store.
.balign 4
trap:
  csrr s10, scause
  li s11, 15
  bne s10, s11, through
  addi s8, s8, 1
  csrr s10, sepc
  addi s10, s10, 4
  csrw sepc, s10
  sret

.section .data
.balign 8
said: .dword 0

.section .bss
.balign 4096
root: .zero 4096
middle: .zero 4096
fenced: .zero 4096
other: .zero 4096
.text
