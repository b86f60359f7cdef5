# Handles an illegal instruction and a bad load, then jumps nowhere without a handler.
.globl _start
_start:
  la t0, handler
  csrw stvec, t0
  .word 0
  li t0, 0x1000
  ld t1, 0(t0)
  ld t1, 1(sp)
  say "three traps handled\n"
  csrw stvec, zero
  li t0, 0x1000
  jr t0

.balign 4
handler:
  csrr s0, scause
  say "trap: cause "
  mv a0, s0
  call putdec
  say "\n"
  csrr t0, sepc
  addi t0, t0, 4
  csrw sepc, t0
  sret
