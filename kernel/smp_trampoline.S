/* SPDX-License-Identifier: MIT */
/*
 * Where a processor begins that was sent a STARTUP interrupt: in real mode, at the start
 * of a page below 1 MiB, its own address nowhere but in CS. smp.c copies what lies
 * between smp_trampoline and smp_trampoline_end there and fills in the parameters at the
 * end; many processors may run through it at a time, so nothing is written here, and no
 * stack is used. Real mode, protected mode, long mode with the kernel's own tables (in
 * which the page is mapped where it lies), then smp_entry in the kernel proper.
 * Intel SDM volume 3, 9.4 and 10.8.5.
 */
#define OFFSET(symbol) (symbol - smp_trampoline)

#define EFER 0xc0000080

#define SELECTOR_CODE64 0x08
#define SELECTOR_DATA   0x10

	.section .rodata, "a"
	.balign 16
	.globl smp_trampoline, smp_trampoline_end, smp_trampoline_parameters
	.globl smp_trampoline_32, smp_trampoline_64, smp_trampoline_gdt
	.type smp_trampoline, @object
smp_trampoline:
	.code16
	cli
	cld
	xorl %ebx, %ebx
	movw %cs, %bx
	movw %bx, %ds
	shll $4, %ebx			/* the page's address, from here on */
	lgdtl OFFSET(parameter_gdt)
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl *OFFSET(parameter_far32)

	.code32
smp_trampoline_32:
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl OFFSET(parameter_cr4)(%ebx), %eax
	movl %eax, %cr4
	movl OFFSET(parameter_cr3)(%ebx), %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	movl OFFSET(parameter_efer)(%ebx), %eax
	xorl %edx, %edx
	wrmsr
	movl OFFSET(parameter_cr0)(%ebx), %eax
	movl %eax, %cr0
	ljmpl *OFFSET(parameter_far64)(%ebx)

	.code64
smp_trampoline_64:
	movq OFFSET(parameter_entry)(%rbx), %rax
	jmp *%rax

	/* Accessed bits are set, so that the processor does not write them. */
	.balign 8
smp_trampoline_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* code, 64-bit */
	.quad 0x00cf93000000ffff	/* data */
	.quad 0x00cf9b000000ffff	/* code, 32-bit */

	/* struct parameters of smp.c */
	.balign 8
smp_trampoline_parameters:
parameter_entry:
	.quad 0
parameter_cr0:
	.long 0
parameter_cr3:
	.long 0
parameter_cr4:
	.long 0
parameter_efer:
	.long 0
parameter_far32:
	.long 0
	.word 0
parameter_far64:
	.long 0
	.word 0
parameter_gdt:
	.word 0
	.long 0
smp_trampoline_end:
	.size smp_trampoline, . - smp_trampoline

/*
 * In the kernel, in long mode, without a stack: find this processor's by its APIC id
 * (CPUID leaf 0bh where it is there, as it has all 32 bits, else leaf 1) in
 * smp_entries[smp_entry_count]: id, flag, top of stack, argument for smp_main. One that
 * is not listed halts for good.
 */
	.text
	.globl smp_entry
	.type smp_entry, @function
smp_entry:
	xorl %eax, %eax
	cpuid
	cmpl $0x0b, %eax
	jb 1f
	movl $0x0b, %eax
	xorl %ecx, %ecx
	cpuid
	testw %bx, %bx
	jz 1f
	movl %edx, %esi
	jmp 2f
1:	movl $1, %eax
	cpuid
	shrl $24, %ebx
	movl %ebx, %esi

2:	movq $smp_entries, %rdi
	movl smp_entry_count, %ecx
3:	testl %ecx, %ecx
	jz 4f
	cmpl %esi, (%rdi)
	je 5f
	addq $24, %rdi
	decl %ecx
	jmp 3b
4:	cli
	hlt
	jmp 4b

5:	movq 8(%rdi), %rsp
	movq 16(%rdi), %rdi
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	xorl %ebp, %ebp			/* the end of every backtrace */
	call smp_main
	ud2
	.size smp_entry, . - smp_entry

	.section .note.GNU-stack, "", @progbits
