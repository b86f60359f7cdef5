# Each hart runs a program in user mode, in an address space of its own: the same addresses lead to different pages. The
# program adds to a number in its page and calls its supervisor, which gives it another page each time.
.equ ROUNDS, 200
.equ CODE, 0x40000000
.equ DATA, 0x40001000
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
  # Three tables and two pages for each hart, from `tables` on.
  la s3, tables
  li t0, 5 * 4096
  mul t0, t0, s0
  add s3, s3, t0            # root
  li t0, 4096
  add s4, s3, t0            # middle
  add s5, s4, t0            # leaves
  add s6, s5, t0            # first page
  add s7, s6, t0            # second page
  li t0, (0x80000000 >> 2) | 0xcf
  sd t0, 16(s3)
  srli t0, s4, 2
  ori t0, t0, 1
  sd t0, 8(s3)
  srli t0, s5, 2
  ori t0, t0, 1
  sd t0, 0(s4)
  la t0, program
  srli t0, t0, 2
  ori t0, t0, 0x5b          # valid, readable, executable, user, accessed
  sd t0, 0(s5)
  srli t0, s6, 2
  ori t0, t0, 0xd7          # valid, readable, writable, user, accessed, dirty
  sd t0, 8(s5)
  srli t0, s3, 12
  addi t1, s0, 1            # ASID
  slli t1, t1, 44
  or t0, t0, t1
  li t1, 8 << 60
  or t0, t0, t1
  csrw satp, t0
  la t0, handler
  csrw stvec, t0
  li t0, 1 << 8             # return to user mode
  csrc sstatus, t0
  li t0, CODE
  csrw sepc, t0
  li s8, 0                  # calls so far
  li s9, DATA
  sret

.balign 4
handler:
  csrr t0, scause
  li t1, 8
  bne t0, t1, wrong
  addi s8, s8, 1
  bne a0, s8, wrong
  # The other page holds what the program counted so far, and the first one nothing any more.
  sd a0, 0(s7)
  sd zero, 0(s6)
  srli t0, s7, 2
  ori t0, t0, 0xd7
  sd t0, 8(s5)
  addi t1, s0, 1
  sfence.vma s9, t1
  mv t0, s6
  mv s6, s7
  mv s7, t0
  csrr t0, sepc
  addi t0, t0, 4
  csrw sepc, t0
  li t0, ROUNDS
  beq s8, t0, done
  sret
done:
  mv a0, s2
  li a1, 1
  call barrier
  bnez s0, stop_hart
  say "each program counted to 200 in its own pages\n"
  shutdown 0
wrong:
  say "a program saw a page that is not its own\n"
  shutdown 1

.balign 4096
program:
1: li t0, DATA              # the supervisor keeps no registers for us
  ld a0, 0(t0)
  addi a0, a0, 1
  sd a0, 0(t0)
  ecall
  j 1b
.balign 4096

.section .bss
.balign 4096
# Enough for 16 harts.
tables: .zero 16 * 5 * 4096
