    .section .text.boot, "ax"
    .globl _start
# a0: hart. Each hart has a stack of 64 KiB, and keeps its number in tp.
_start:
    call enter_hart
    call start_first
1:  wfi
    j 1b

    .globl secondary_start
secondary_start:
    call enter_hart
    call start_other
1:  wfi
    j 1b

enter_hart:
    mv tp, a0
    la sp, STACKS
    addi t1, a0, 1
    slli t1, t1, 16
    add sp, sp, t1
    li s0, 0
    ret

    .text
    .globl trap_entry
    .balign 4
trap_entry:
    addi sp, sp, -128
    sd ra, 0(sp)
    sd t0, 8(sp)
    sd t1, 16(sp)
    sd t2, 24(sp)
    sd t3, 32(sp)
    sd t4, 40(sp)
    sd t5, 48(sp)
    sd t6, 56(sp)
    sd a0, 64(sp)
    sd a1, 72(sp)
    sd a2, 80(sp)
    sd a3, 88(sp)
    sd a4, 96(sp)
    sd a5, 104(sp)
    sd a6, 112(sp)
    sd a7, 120(sp)
    csrr a0, scause
    csrr a1, sepc
    csrr a2, stval
    call trap
    csrw sepc, a0
    ld ra, 0(sp)
    ld t0, 8(sp)
    ld t1, 16(sp)
    ld t2, 24(sp)
    ld t3, 32(sp)
    ld t4, 40(sp)
    ld t5, 48(sp)
    ld t6, 56(sp)
    ld a0, 64(sp)
    ld a1, 72(sp)
    ld a2, 80(sp)
    ld a3, 88(sp)
    ld a4, 96(sp)
    ld a5, 104(sp)
    ld a6, 112(sp)
    ld a7, 120(sp)
    addi sp, sp, 128
    sret

    .globl user_access_begin, user_access_end, user_access_fault, user_load, user_store
user_access_begin:
user_load:
    ld a0, 0(a0)
    li a1, 0
    ret
user_store:
    sd a1, 0(a0)
    li a1, 0
    ret
user_access_end:
user_access_fault:
    li a1, 1
    ret
