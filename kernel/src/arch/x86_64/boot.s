# QEMU enters at _start by the note below, with 32-bit code and without paging (PVH); other CPUs begin at 0x8000.
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long _start

    .section .text.boot, "ax"
    .code32
    .globl _start
_start:
    cli
    lgdt gdt_pointer
    ljmp $0x18, $enter_long

enter_long:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    # Paging, protection, and write protection for the kernel too: workers write to user pages from here.
    mov %cr0, %eax
    or $0x80010001, %eax
    mov %eax, %cr0
    ljmp $0x08, $start64

    .code64
start64:
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    # The number of the CPU is that of its interrupt controller.
    mov $1, %eax
    cpuid
    shr $24, %ebx
    mov %ebx, %edi
    lea 1(%rdi), %rsp
    shl $16, %rsp
    add $STACKS, %rsp
    xor %ebp, %ebp
    test %edi, %edi
    jnz 1f
    call start_first
1:  call start_other
2:  hlt
    jmp 2b

    .code16
    .globl ap_begin, ap_end
ap_begin:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl ap_gdt_pointer - ap_begin + 0x8000
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $0x18, $enter_long
    .balign 8
ap_gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
ap_end:

    .code64
    .text
# Pushes what the CPU did not, so that all frames look the same: an error code, and the number. Each takes 16 bytes.
    .globl trap_stubs
    .balign 16
trap_stubs:
    .set number, 0
    .rept 65
    .balign 16
    .if (number == 8) || ((number >= 10) && (number <= 14)) || (number == 17) || (number == 21)
    .else
    pushq $0
    .endif
    pushq $number
    jmp trap_common
    .set number, number + 1
    .endr

trap_common:
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    cld
    mov 72(%rsp), %rdi
    mov 88(%rsp), %rsi
    mov 80(%rsp), %rdx
    mov %cr2, %rcx
    call trap
    mov %rax, 88(%rsp)
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

    .globl user_access_begin, user_access_end, user_access_fault, user_load, user_store
user_access_begin:
user_load:
    mov (%rdi), %rax
    xor %edx, %edx
    ret
user_store:
    mov %rsi, (%rdi)
    xor %edx, %edx
    ret
user_access_end:
user_access_fault:
    mov $1, %edx
    ret

    .data
    .balign 4096
boot_pml4:
    .quad boot_pdpt + 3
    .fill 511, 8, 0
boot_pdpt:
    .quad 0x000000e3, 0x400000e3, 0x800000e3, 0xc00000e3
    .fill 508, 8, 0
gdt:
    .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff, 0x00cf9a000000ffff
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
