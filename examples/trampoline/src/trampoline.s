    .section .text.boot, "ax"
    .globl _start
# a0: hart. Each hart has a stack of 16 KiB, and keeps its number in tp.
_start:
    mv tp, a0
    la sp, STACKS
    addi t1, a0, 1
    slli t1, t1, 14
    add sp, sp, t1
    call start
1:  wfi
    j 1b

    .section .trampoline, "ax"
    .globl trampoline, user_return, traps_of_harts
# From user mode, under the root of the space: loads the kernel's. Of the user's registers only a7 is kept; the program begins
# anew after each trap. sscratch is the address of the hart's record in this page.
trampoline:
    csrrw t0, sscratch, t0
    ld t1, 0(t0)
    ld sp, 8(t0)
    ld tp, 16(t0)
    ld t2, 24(t0)
    csrw sscratch, t0
    csrw satp, t1
    sfence.vma
    jr t2

    .balign 16
# a0: satp of the space, a1: hart. Interrupts are off until sret.
user_return:
    csrw satp, a0
    sfence.vma
    mv a0, a1
    sret

    .balign 16
# For each hart: the kernel's satp, its stack, its number, and where traps go.
traps_of_harts:
    .skip 32 * 4

    .section .user, "ax"
    .globl user_program
# a0: hart. Reads the first word of each of the four data pages over and over; on hart 0 once, and asks for one to be replaced.
user_program:
    li a6, 0x1000
1:  li a2, 0x1000100000
    li a3, 4
2:  ld a4, 0(a2)
    li a5, 0xbad
    beq a4, a5, 3f
    add a2, a2, a6
    addi a3, a3, -1
    bnez a3, 2b
    bnez a0, 1b
    li a7, 0
    ecall
3:  li a7, 1
    ecall
