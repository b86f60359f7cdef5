    .section .text.boot, "ax"
    .globl _start
_start:
    wrpr %g0, 0x14, %pstate
    wr %g0, 4, %fprs
    wrpr %g0, 15, %pil
    wrpr %g0, 0, %tl
    wrpr %g0, 0, %cwp
    wrpr %g0, 6, %cansave
    wrpr %g0, 0, %canrestore
    wrpr %g0, 0, %otherwin
    wrpr %g0, 7, %cleanwin
    wrpr %g0, 0, %wstate
    ! Locked entries of 4 MiB for the image: valid, 4 MiB, locked, cacheable, privileged, writable.
    sethi %hi(0x40000000), %g1
    mov 7, %g2
    sllx %g2, 61, %g2
    sethi %hi(0x400000), %g3
    or %g2, %g3, %g2
    or %g2, 0x66, %g2
    mov 0x30, %g4
    stxa %g1, [%g4] 0x58
    stxa %g2, [%g0] 0x5c
    membar #Sync
    stxa %g1, [%g4] 0x50
    stxa %g2, [%g0] 0x54
    membar #Sync
    set trap_table, %g1
    wrpr %g1, 0, %tba
    set STACK_END, %g1
    sub %g1, 2047 + 192, %sp
    mov 0, %fp
    call start
    nop
1:  ba 1b
    nop

    .macro other
    ba fatal
    nop
    .skip 24
    .endm

    .macro spill
    stx %l0, [%sp + 2047 + 0]
    stx %l1, [%sp + 2047 + 8]
    stx %l2, [%sp + 2047 + 16]
    stx %l3, [%sp + 2047 + 24]
    stx %l4, [%sp + 2047 + 32]
    stx %l5, [%sp + 2047 + 40]
    stx %l6, [%sp + 2047 + 48]
    stx %l7, [%sp + 2047 + 56]
    stx %i0, [%sp + 2047 + 64]
    stx %i1, [%sp + 2047 + 72]
    stx %i2, [%sp + 2047 + 80]
    stx %i3, [%sp + 2047 + 88]
    stx %i4, [%sp + 2047 + 96]
    stx %i5, [%sp + 2047 + 104]
    stx %i6, [%sp + 2047 + 112]
    stx %i7, [%sp + 2047 + 120]
    saved
    retry
    .skip 56
    .endm

    .macro fill
    ldx [%sp + 2047 + 0], %l0
    ldx [%sp + 2047 + 8], %l1
    ldx [%sp + 2047 + 16], %l2
    ldx [%sp + 2047 + 24], %l3
    ldx [%sp + 2047 + 32], %l4
    ldx [%sp + 2047 + 40], %l5
    ldx [%sp + 2047 + 48], %l6
    ldx [%sp + 2047 + 56], %l7
    ldx [%sp + 2047 + 64], %i0
    ldx [%sp + 2047 + 72], %i1
    ldx [%sp + 2047 + 80], %i2
    ldx [%sp + 2047 + 88], %i3
    ldx [%sp + 2047 + 96], %i4
    ldx [%sp + 2047 + 104], %i5
    ldx [%sp + 2047 + 112], %i6
    ldx [%sp + 2047 + 120], %i7
    restored
    retry
    .skip 56
    .endm

    .macro half
    .rept 0x24
    other
    .endr
    ! 0x24: clean window.
    rdpr %cleanwin, %l0
    inc %l0
    wrpr %l0, 0, %cleanwin
    clr %l0
    retry
    .skip 12
    .rept 0x68 - 0x25
    other
    .endr
    ! 0x68: a data access missed the TLB. The entry that the TSB registers point to is taken if it is of this address; the
    ! context is not compared, as each space has a TSB of its own.
    ldxa [%g0] 0x58, %g2
    ldxa [%g0] 0x59, %g1
    ldx [%g1], %g4
    ldx [%g1 + 8], %g5
    sllx %g2, 16, %g2
    srlx %g2, 16, %g2
    cmp %g4, %g2
    bne,pn %xcc, user_fault
    nop
    brgez,pn %g5, user_fault
    nop
    stxa %g5, [%g0] 0x5c
    membar #Sync
    retry
    .skip 72
    ! 0x6c: a store to what may not be written.
    ba user_fault
    nop
    .skip 120
    .rept 0x80 - 0x70
    other
    .endr
    .rept 16
    spill
    .endr
    .rept 16
    fill
    .endr
    .rept 0x100
    other
    .endr
    .endm

    .section .traps, "ax"
    .balign 32768
    .globl trap_table
trap_table:
    half
    half

user_fault:
    rdpr %tpc, %g1
    set user_load_at, %g2
    cmp %g1, %g2
    be,pn %xcc, 1f
    nop
    set user_store_at, %g2
    cmp %g1, %g2
    bne,pn %xcc, fatal
    nop
1:  set user_access_fault, %g2
    wrpr %g2, 0, %tnpc
    done

fatal:
    rdpr %tt, %o0
    rdpr %tpc, %o1
    rdpr %tl, %o2
    wrpr %g0, 0, %tl
    wrpr %g0, 0x14, %pstate
    call trap
    nop

    .globl user_load, user_store
! %o0: address in the secondary context. Returns the value, and in %o1 whether it faulted.
user_load:
user_load_at:
    ldxa [%o0] 0x81, %o0
    retl
    mov 0, %o1
user_store:
user_store_at:
    stxa %o1, [%o0] 0x81
    retl
    mov 0, %o1
user_access_fault:
    retl
    mov 1, %o1

    .section .bss
    .balign 16
    .skip 65536
STACK_END:
    .text
