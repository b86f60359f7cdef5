# Harts add to a plain counter under a lock, which an AMO takes.
.equ ROUNDS, 5000
.globl _start
_start:
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
  la s3, lock
  la s4, counter
  li s5, ROUNDS
round:
  li t0, 1
2: amoswap.w.aq t1, t0, (s3)
  beqz t1, 3f
  pause
  j 2b
3: ld t2, 0(s4)
  addi t2, t2, 1
  sd t2, 0(s4)
  amoswap.w.rl zero, zero, (s3)
  addi s5, s5, -1
  bnez s5, round
  mv a0, s2
  li a1, 1
  call barrier
  bnez s0, stop_hart
  ld s6, 0(s4)
  say "counted "
  mv a0, s6
  call putdec
  say " under the lock\n"
  li t0, ROUNDS
  mul t0, t0, s2
  bne t0, s6, wrong
  shutdown 0
wrong:
  say "counts are lost\n"
  shutdown 1

.section .data
.balign 64
lock: .dword 0
.balign 64
counter: .dword 0
