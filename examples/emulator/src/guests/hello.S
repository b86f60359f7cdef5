# Each hart prints a line, in turn.
.globl _start
_start:
  la a0, hart
  call start_harts
  la t0, harts
  sd a0, 0(t0)
  fence
  li a0, 0
hart:
  mv s0, a0
  la s1, turn
  await s1, s0
  say "hello from hart "
  mv a0, s0
  call putdec
  say "\n"
  li t0, 1
  fence
  amoadd.d zero, t0, (s1)
  bnez s0, stop_hart
  la t0, harts
  ld s2, 0(t0)
  await s1, s2
  shutdown 0

.section .data
.balign 8
turn: .dword 0
