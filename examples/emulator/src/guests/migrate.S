# Each hart keeps a counter of its own in each of 64 pages, and looks at what all pages hold, while the host moves them.
.equ PAGES, 64
.equ FIRST, 0x80040000
.equ ENOUGH, 20
.equ STRETCH, 64
.equ PATIENCE, 200
.equ SPARE_ROUNDS, 100
.globl _start
_start:
  # Each page's last double word holds its number.
  li t0, FIRST
  li t1, 0
  li t2, PAGES
1: li t3, 4088
  add t3, t3, t0
  sd t1, 0(t3)
  li t3, 4096
  add t0, t0, t3
  addi t1, t1, 1
  bltu t1, t2, 1b
  la a0, hart
  call start_harts
  la t0, harts
  fence
  sd a0, 0(t0)
  li a0, 0
hart:
  mv s0, a0
  la s1, harts
2: pause
  ld s2, 0(s1)
  beqz s2, 2b
  li s3, 0                  # rounds
  sbi MOVES, 0
  mv s7, a1                 # moves seen
  li s10, 0                 # stretches in which there were some
round:
  li s4, FIRST
  li s5, 0
page:
  slli t0, s0, 3
  add t0, t0, s4
  ld s6, 0(t0)
  bne s6, s3, lost
  addi t1, s6, 1
  sd t1, 0(t0)
  li t3, 4088
  add t3, t3, s4
  ld s6, 0(t3)
  bne s6, s5, lost
  li t3, 4096
  add s4, s4, t3
  addi s5, s5, 1
  li t0, PAGES
  bltu s5, t0, page
  addi s3, s3, 1
  # Even harts go on for a while without leaving guest code; odd ones leave it until a page has been moved.
  andi t0, s0, 1
  bnez t0, 3f
  andi t0, s3, STRETCH - 1
  bnez t0, round
3: li s8, PATIENCE
4: sbi MOVES, 0
  bnez a0, 7f
  andi t0, s0, 1
  beqz t0, 5f
  bne a1, s7, 5f
  addi s8, s8, -1
  beqz s8, 5f
  pause
  j 4b
5: beq a1, s7, 6f
  addi s10, s10, 1
6: mv s7, a1
  # Enough is when pages have been moved in so many stretches.
  li t0, ENOUGH
  bltu s10, t0, round
  j done
7: # This host moves none.
  li t0, SPARE_ROUNDS
  bltu s3, t0, round
done:
  mv a0, s2
  li a1, 1
  call barrier
  bnez s0, stop_hart
  say "all pages are as they were written\n"
  shutdown 0
lost:
  la t1, said
  li t0, 1
  amoswap.d t0, t0, (t1)
  bnez t0, stop_hart
  say "hart "
  mv a0, s0
  call putdec
  say ", page "
  mv a0, s5
  call putdec
  say ": not what was written, but "
  mv a0, s6
  call putdec
  say "\n"
  shutdown 1

.section .data
.balign 8
said: .dword 0
