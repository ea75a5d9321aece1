/* SPDX-License-Identifier: MIT */
/*
 * Entry of exceptions and interrupts: 256 stubs of 16 bytes, each leaving a
 * struct trap_frame (kernel/cpu.h), then trap_dispatch(frame), then back.
 *
 * The processor has aligned the stack to 16 before it pushed five words; with
 * error code, vector, fifteen registers and two for the backtrace that makes 24, so
 * trap_dispatch is called with the alignment that the ABI wants. Intel SDM volume 3, 6.14.
 */
	.text

	.globl trap_stubs
	.type trap_stubs, @object
	.balign 16
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	/* 8, 10-14, 17, 21, 29, 30: the processor pushes an error code. */
	.if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
	.else
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr
	.balign 16
	.size trap_stubs, . - trap_stubs

	.type trap_common, @function
trap_common:
	pushq %rax
	pushq %rbx
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %rbp
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	/* What looks like a call from the interrupted place, for backtraces. */
	pushq 136(%rsp)
	pushq %rbp
	movq %rsp, %rbp
	call trap_dispatch
	addq $16, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rbp
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rbx
	popq %rax
	addq $16, %rsp
	iretq
	.size trap_common, . - trap_common

	.section .note.GNU-stack, "", @progbits
