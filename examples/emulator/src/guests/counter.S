# Harts add to two counters: to one by AMOs, to the other by load-reserved and store-conditional.
.equ ROUNDS, 20000
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
  la s3, by_amo
  la s4, by_pair
  li s5, ROUNDS
  li t0, 1
round:
  amoadd.w zero, t0, (s3)
2: lr.d t1, (s4)
  addi t1, t1, 1
  sc.d t2, t1, (s4)
  bnez t2, 2b
  addi s5, s5, -1
  bnez s5, round
  mv a0, s2
  li a1, 1
  call barrier
  bnez s0, stop_hart
  lwu s6, 0(s3)
  ld s7, 0(s4)
  say "by AMO "
  mv a0, s6
  call putdec
  say ", by LR/SC "
  mv a0, s7
  call putdec
  say "\n"
  li t0, ROUNDS
  mul t0, t0, s2
  bne t0, s6, wrong
  bne t0, s7, wrong
  shutdown 0
wrong:
  say "counts are lost\n"
  shutdown 1

.section .data
.balign 64
by_amo: .dword 0
.balign 64
by_pair: .dword 0
