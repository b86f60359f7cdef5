# Every core comes here, at the physical address and without translation.
    .section .text.boot, "ax"
    .globl _start
_start:
    # Windows of this privilege level alone: 0x8... for devices, 0x9... for cached memory.
    li.d $t0, 0x8000000000000001
    csrwr $t0, 0x180
    li.d $t0, 0x9000000000000011
    csrwr $t0, 0x181
    # Into the window, then translation on and interrupts off.
    li.d $t0, 0x9000000000000000
    pcaddi $t1, 0
    or $t1, $t1, $t0
    jirl $zero, $t1, 12
    li.w $t0, 0xb0
    csrwr $t0, 0
    # Pages of 16 KiB, as QEMU 7.2 has no smaller ones; two levels of 2048 entries, by the bits of an address from 14 and from 25.
    li.w $t0, 14
    csrwr $t0, 0x1e
    li.w $t0, 14 | 11 << 5 | 25 << 10 | 11 << 15
    csrwr $t0, 0x1c
    csrwr $zero, 0x1d
    la.pcrel $t0, refill
    bstrpick.d $t0, $t0, 47, 0
    csrwr $t0, 0x88
    la.pcrel $t0, exception
    csrwr $t0, 0xc
    # IPIs alone interrupt, to one entry.
    li.w $t0, 1 << 12
    csrwr $t0, 4
    csrrd $a0, 0x20
    bstrpick.d $a0, $a0, 8, 0
    beqz $a0, 2f
    # Others wait for mail: whoever does not come from here has waited in firmware.
    li.w $t0, 0x1020
1:  iocsrrd.w $t1, $t0
    beqz $t1, 1b
2:  la.pcrel $t0, STACKS
    addi.d $t1, $a0, 1
    slli.d $t1, $t1, 16
    add.d $sp, $t0, $t1
    bl start

    .text
    # A TLB miss, with translation off: loads the pair of entries, valid or not.
    .balign 4096
refill:
    csrwr $t0, 0x8b
    csrrd $t0, 0x1b
    lddir $t0, $t0, 1
    ldpte $t0, 0
    ldpte $t0, 1
    tlbfill
    csrrd $t0, 0x8b
    ertn

    .macro each what
    \what $ra, $sp, 0
    \what $a0, $sp, 8
    \what $a1, $sp, 16
    \what $a2, $sp, 24
    \what $a3, $sp, 32
    \what $a4, $sp, 40
    \what $a5, $sp, 48
    \what $a6, $sp, 56
    \what $a7, $sp, 64
    \what $t0, $sp, 72
    \what $t1, $sp, 80
    \what $t2, $sp, 88
    \what $t3, $sp, 96
    \what $t4, $sp, 104
    \what $t5, $sp, 112
    \what $t6, $sp, 120
    \what $t7, $sp, 128
    \what $t8, $sp, 136
    .endm

    # Interrupts, and all exceptions but misses.
    .balign 4096
exception:
    addi.d $sp, $sp, -144
    each st.d
    csrrd $a0, 5
    csrrd $a1, 6
    csrrd $a2, 7
    bstrpick.d $t0, $a0, 21, 16
    bnez $t0, 1f
    bl interrupt
    b 2f
1:  la.pcrel $t0, user_load_at
    bne $a1, $t0, 3f
    # The TLB remembers that the page was not mapped: it forgets, so that the next access looks again.
    csrrd $t0, 0x18
    bstrpick.d $t0, $t0, 9, 0
    invtlb 5, $t0, $a2
    la.pcrel $t0, user_load_failed
    csrwr $t0, 6
2:  each ld.d
    addi.d $sp, $sp, 144
    ertn
3:  bl trap

    .globl user_load
# $a0: address. Returns the value, and in $a1 whether it faulted.
user_load:
user_load_at:
    ld.d $a0, $a0, 0
    move $a1, $zero
    ret
user_load_failed:
    li.w $a1, 1
    ret

    .section .bss
    .balign 16
STACKS:
    .skip 2 << 16
    .text
