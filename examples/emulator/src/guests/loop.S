# Never ends.
.globl _start
_start:
  la a0, hart
  call start_harts
hart:
  addi s0, s0, 1
  j hart
