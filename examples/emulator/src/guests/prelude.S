# What all guests share: calls of the firmware, printing, starting harts. Subroutines keep s registers and change a and t ones.
.option arch, rv64ima_zicsr_zifencei_zihintpause
.text

# Calls the firmware: extension, function; arguments are in a0 and up. Answers an error in a0 and a value in a1.
.macro sbi extension, function
  li a7, \extension
  li a6, \function
  ecall
.endm

.equ HSM, 0x48534d
.equ IPI, 0x735049
.equ RFENCE, 0x52464e43
.equ SRST, 0x53525354
.equ MOVES, 0x09000000

# Prints a string that stands here in the source.
.macro say text
  .section .data
9: .asciz "\text"
  .text
  la a0, 9b
  call puts
.endm

# Ends the machine: 0 well, 1 badly.
.macro shutdown reason
  li a0, 0
  li a1, \reason
  sbi SRST, 0
.endm

# Waits until the double word at \at is \register; changes t6.
.macro await at, register
8: pause
  ld t6, 0(\at)
  bne t6, \register, 8b
  fence
.endm

# Prints the string at a0.
puts:
  mv t0, a0
1: lbu a0, 0(t0)
  beqz a0, 2f
  li a7, 1
  ecall
  addi t0, t0, 1
  j 1b
2: ret

# Prints a0 as a decimal number.
putdec:
  mv t0, a0
  li t1, 1
  li t3, 10
1: divu t2, t0, t1          # the largest power of ten that is not above the number
  bltu t2, t3, 2f
  mul t1, t1, t3
  j 1b
2: divu t2, t0, t1
  addi a0, t2, 48
  li a7, 1
  ecall
  remu t0, t0, t1
  divu t1, t1, t3
  bnez t1, 2b
  ret

# Starts all other harts at a0 and answers how many harts there are.
start_harts:
  mv t0, a0
  li t1, 1
1: mv a0, t1
  mv a1, t0
  li a2, 0
  sbi HSM, 0
  bnez a0, 2f
  addi t1, t1, 1
  j 1b
2: mv a0, t1
  ret

# Waits until all harts, as many as a0 says, have come here as often as a1 says (1, then 2, ...).
barrier:
  mul t0, a0, a1
  la t1, arrived
  li t2, 1
  amoadd.d zero, t2, (t1)
1: pause
  ld t2, 0(t1)
  bltu t2, t0, 1b
  fence
  ret

# Stops this hart.
stop_hart:
  sbi HSM, 1
  j stop_hart

.section .data
.balign 8
arrived: .dword 0
harts: .dword 0
.text
