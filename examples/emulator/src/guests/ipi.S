# Harts wake one another by interrupts, from the first to the last and round again.
.equ ROUNDS, 20
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
  la t0, handler
  csrw stvec, t0
  csrsi sie, 2
  mv a0, s2
  li a1, 1
  call barrier
  li s3, 0                  # interrupts so far, counted by the handler
  li s4, ROUNDS
  bnez s0, sleep
  call wake_next
sleep:
  # An interrupt that comes between the look at the count and `wfi` must end that, so they are off until then.
  csrci sstatus, 2
  bgeu s3, s4, slept
  wfi
  csrsi sstatus, 2
  j sleep
slept:
  mv a0, s2
  li a1, 2
  call barrier
  bnez s0, stop_hart
  la t0, total
  ld s5, 0(t0)
  say "interrupts: "
  mv a0, s5
  call putdec
  say "\n"
  mul t0, s2, s4
  bne t0, s5, wrong
  shutdown 0
wrong:
  shutdown 1

.balign 4
handler:
  csrci sip, 2
  addi s3, s3, 1
  la t0, total
  li t1, 1
  amoadd.d zero, t1, (t0)
  # Hart 0 began, so its last interrupt is the end.
  bnez s0, 2f
  beq s3, s4, 3f
2: mv s6, ra
  call wake_next
  mv ra, s6
3: sret

# Sends an interrupt to the next hart, the first after the last.
wake_next:
  addi t0, s0, 1
  remu t0, t0, s2
  li a0, 1
  sll a0, a0, t0
  li a1, 0
  sbi IPI, 0
  ret

.section .data
.balign 8
total: .dword 0
