    .section .text.boot, "ax"
    .globl _start
_start:
    bl enter_cpu
    bl start_first
1:  wfi
    b 1b

    .globl secondary_start
secondary_start:
    bl enter_cpu
    bl start_other
1:  wfi
    b 1b

// Each CPU keeps its number in TPIDR_EL1, has a stack of 64 KiB, and turns translation on: atomics need it.
enter_cpu:
    mrs x0, mpidr_el1
    ubfx x1, x0, #0, #8
    ubfx x2, x0, #8, #8
    add x19, x1, x2, lsl #4
    msr tpidr_el1, x19
    adrp x1, STACKS
    add x1, x1, :lo12:STACKS
    add x2, x19, #1
    lsl x2, x2, #16
    add x1, x1, x2
    mov sp, x1
    ldr x1, =0xff04
    msr mair_el1, x1
    ldr x1, ={translation}
    msr tcr_el1, x1
    adrp x1, boot_table
    msr ttbr0_el1, x1
    isb
    tlbi vmalle1
    dsb nsh
    isb
    mrs x1, sctlr_el1
    ldr x2, =0x1005
    orr x1, x1, x2
    msr sctlr_el1, x1
    isb
    mov x29, #0
    ret

    .text
    .macro vector target
    .balign 128
    b \target
    .endm

    .globl vectors
    .balign 2048
vectors:
    vector strange_entry
    vector strange_entry
    vector strange_entry
    vector strange_entry
    vector fault_entry
    vector interrupt_entry
    vector strange_entry
    vector strange_entry
    .rept 8
    vector strange_entry
    .endr

    .macro entry name, kind
\name:
    sub sp, sp, #176
    stp x0, x1, [sp]
    mov x0, #\kind
    b trap_common
    .endm
    entry strange_entry, 2
    entry interrupt_entry, 1
    entry fault_entry, 0

trap_common:
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x30, [sp, #144]
    mrs x1, elr_el1
    mrs x2, esr_el1
    mrs x3, far_el1
    bl trap
    msr elr_el1, x0
    ldp x2, x3, [sp, #16]
    ldp x4, x5, [sp, #32]
    ldp x6, x7, [sp, #48]
    ldp x8, x9, [sp, #64]
    ldp x10, x11, [sp, #80]
    ldp x12, x13, [sp, #96]
    ldp x14, x15, [sp, #112]
    ldp x16, x17, [sp, #128]
    ldp x18, x30, [sp, #144]
    ldp x0, x1, [sp]
    add sp, sp, #176
    eret

    .globl user_access_begin, user_access_end, user_access_fault, user_load, user_store
user_access_begin:
user_load:
    ldr x0, [x0]
    mov x1, #0
    ret
user_store:
    str x1, [x0]
    mov x1, #0
    ret
user_access_end:
user_access_fault:
    mov x1, #1
    ret

    .data
    .balign 4096
boot_table:
    .quad 0x401, 0x40000705, 0x80000705, 0xc0000705
    .fill 252, 8, 0
    .quad 0x4000000401
    .fill 255, 8, 0
