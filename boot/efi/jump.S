/* SPDX-License-Identifier: MIT */
/*
 * void efi_jump(uint64_t root, uint64_t entry, uint64_t info): into the kernel, with the
 * page tables under `root`, which have as many levels as the firmware's. Does not return.
 */
#define CR4_PAE (1 << 5)
#define CR4_LA57 (1 << 12)

	.text
	.balign 64			/* on one page: the tables map that of efi_jump */
	.globl efi_jump
	.hidden efi_jump
	.type efi_jump, @function
efi_jump:
	cli
	cld
	/* The firmware's choices go: PCIDs, global pages, control-flow enforcement, ... */
	movq %cr4, %rax
	andl $CR4_LA57, %eax
	orl $CR4_PAE, %eax
	movq %rax, %cr4
	movq %rdi, %cr3
	movq %rdx, %rdi
	jmp *%rsi

	.section .note.GNU-stack, "", @progbits
