# Asks the firmware for nonsense, then sets a satp that leads nowhere.
.equ NOT_SUPPORTED, -2
.equ INVALID_PARAMETER, -3
.equ INVALID_ADDRESS, -5

# Calls with four arguments and wants this answer; s0 counts the lies that were answered so.
.macro lie a, b, c, d, extension, function, answer
  li a0, \a
  li a1, \b
  li a2, \c
  li a3, \d
  sbi \extension, \function
  li t0, \answer
  bne a0, t0, wrong
  addi s0, s0, 1
.endm

.globl _start
_start:
  lie -1, 0, 0, 4096, RFENCE, 1, INVALID_PARAMETER
  lie 1, 0xfff, 0, 4096, RFENCE, 1, INVALID_PARAMETER
  lie 2, 0x7fffffffffffffff, 0, 4096, RFENCE, 1, INVALID_PARAMETER
  lie 1, 0xfffffffffffffffe, 0, 4096, RFENCE, 2, INVALID_PARAMETER
  lie 1, 0, 0xfffffffffffff123, 0x7fffffffffffffff, RFENCE, 1, 0
  lie 0, -1, 0xffffffffffffffff, 0xffffffffffffffff, RFENCE, 2, 0
  lie 0, -1, 1, 0, RFENCE, 1, 0
  lie 0, -1, 0, 0, RFENCE, 9, NOT_SUPPORTED
  lie 99, 0x80000000, 0, 0, HSM, 0, INVALID_PARAMETER
  lie 0xffffffffffffffff, 0, 0, 0, HSM, 2, INVALID_PARAMETER
  lie 1, 0x10, 0, 0, HSM, 0, INVALID_ADDRESS
  lie 1, 0x80000002, 0, 0, HSM, 0, INVALID_ADDRESS
  lie -1, 0, 0, 0, IPI, 0, INVALID_PARAMETER
  lie 77, 0, 0, 0, SRST, 0, INVALID_PARAMETER
  lie 1, 2, 3, 4, 0x12345678, 0, NOT_SUPPORTED
  # A mode that there is not: the register stays as it was.
  li t0, 9 << 60
  csrw satp, t0
  csrr t1, satp
  bnez t1, wrong
  addi s0, s0, 1
  say "answered as it should: "
  mv a0, s0
  call putdec
  say " lies\n"
  li t0, (8 << 60) | 0xffffffffff
  csrw satp, t0
  nop
wrong:
  say "an answer was wrong\n"
  shutdown 1
