# Hart 0 maps a window to one of two pages in turn and overwrites the page that it has left with a canary. The other harts
# read through the window all the time. FENCES says whether hart 0 fences before the overwriting, as it must.
.equ ROUNDS, 100
.equ WINDOW, 0x40000000
.equ MAGIC, 0x10000
.equ CANARY, 0xdead
.globl _start
_start:
  # Root: the gigapage of memory, and a table for the window.
  la s3, root
  li t0, (0x80000000 >> 2) | 0xcf
  sd t0, 16(s3)
  la t0, middle
  srli t0, t0, 2
  ori t0, t0, 1
  sd t0, 8(s3)
  la t1, leaves
  srli t0, t1, 2
  ori t0, t0, 1
  la t1, middle
  sd t0, 0(t1)
  # The first page holds version 0.
  la s4, page_a
  la s5, page_b
  li t0, MAGIC
  sd t0, 0(s4)
  srli t0, s4, 2
  ori t0, t0, 0xc7
  la s6, leaves
  sd t0, 0(s6)
  la a0, hart
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
  la t0, root
  srli t0, t0, 12
  li t1, 8 << 60
  or t0, t0, t1
  csrw satp, t0
  sfence.vma
  li s7, WINDOW
  la s8, version
  la s9, reads
  bnez s0, reader

  # Hart 0: s10 counts rounds.
  li s10, 1
writer:
  # Each reader has read through the window since the last round.
  ld t0, 0(s9)
  addi t1, s2, -1
  slli t1, t1, 2
  add s11, t0, t1
2: pause
  ld t0, 0(s9)
  bltu t0, s11, 2b
  ld t0, 0(s7)
  # The other page gets the next version, and the window.
  li t0, MAGIC
  add t0, t0, s10
  sd t0, 0(s5)
  srli t1, s5, 2
  ori t1, t1, 0xc7
  fence
  sd t1, 0(s6)
.if FENCES
  sfence.vma s7, zero
  li a0, 0
  li a1, -1
  mv a2, s7
  li a3, 4096
  sbi RFENCE, 1
  bnez a0, refused
.endif
  # Whoever still reads the page that was left reads this.
  li t0, CANARY
  sd t0, 0(s4)
  fence
  sd s10, 0(s8)
  ld t0, 0(s7)
  li t1, MAGIC
  add t1, t1, s10
  bne t0, t1, stale
  mv t0, s4
  mv s4, s5
  mv s5, t0
  addi s10, s10, 1
  li t0, ROUNDS
  bleu s10, t0, writer
  say "100 rounds, and nobody read what the window had left\n"
  shutdown 0
refused:
  say "the fence was refused\n"
  shutdown 1

  # Others: what the window shows is never older than the version that was published before.
reader:
  pause
  ld s10, 0(s8)
  fence
  ld t0, 0(s7)
  li t1, MAGIC
  add t1, t1, s10
  bltu t0, t1, stale
  li t0, 1
  amoadd.d zero, t0, (s9)
  j reader

stale:
  # One hart is enough to say so.
  mv s1, t0
  la t1, said
  li t0, 1
  amoswap.d t0, t0, (t1)
  bnez t0, stop_hart
  say "a hart read "
  mv a0, s1
  call putdec
  say " through a translation that is gone\n"
  shutdown 1

.section .data
.balign 64
version: .dword 0
.balign 64
reads: .dword 0
said: .dword 0

.section .bss
.balign 4096
root: .zero 4096
middle: .zero 4096
leaves: .zero 4096
page_a: .zero 4096
page_b: .zero 4096
