/* SPDX-License-Identifier: MIT */
/*
 * Where control arrives.
 *
 * Multiboot2 (specification 2.0, section 3) and PVH (Xen's HVM start ABI) both enter in
 * 32-bit protected mode without paging, the image at its link-time physical address,
 * with a pointer in EBX. The EFI loader enters in long mode with page tables of its own
 * that have the same layout, the image anywhere.
 *
 * Layout of the early tables: physical 0..4 GiB at 0 (until vm_init) and at
 * DIRECT_MAP_BASE, physical 0..1 GiB at KERNEL_VIRTUAL_BASE; 2 MiB pages, all rights.
 */
#define VIRTUAL_BASE 0xffffffff80000000
#define PHYSICAL(symbol) (symbol - VIRTUAL_BASE)

#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define MULTIBOOT2_LOADER_MAGIC 0x36d76289

	.section .multiboot2, "ax"
	.balign 8
multiboot2_header:
	.long MULTIBOOT2_HEADER_MAGIC
	.long 0				/* protected mode, i386 */
	.long multiboot2_header_end - multiboot2_header
	.long -(MULTIBOOT2_HEADER_MAGIC + (multiboot2_header_end - multiboot2_header))
	/* entry address: the ELF's own is the 64-bit one */
	.balign 8
	.word 3, 0
	.long 12
	.long PHYSICAL(boot_multiboot2_start)
	/* framebuffer: any size, 32 bits a pixel; optional */
	.balign 8
	.word 5, 1
	.long 20
	.long 0, 0, 32
	/* modules on pages of their own */
	.balign 8
	.word 6, 0
	.long 8
	.balign 8
	.word 0, 0
	.long 8
multiboot2_header_end:

	.section .note.pvh, "a"
	.balign 4
	.long 4, 4, 18			/* name size, value size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long PHYSICAL(boot_pvh_start)

/* ---- 32-bit ------------------------------------------------------------------- */

	.section .text.boot, "ax"
	.code32
	.globl boot_multiboot2_start
boot_multiboot2_start:
	xorl %ebp, %ebp			/* enum boot_path: BOOT_MULTIBOOT2 */
	cmpl $MULTIBOOT2_LOADER_MAGIC, %eax
	je enter
	movl $PHYSICAL(text_no_multiboot2), %esi
	jmp refuse
	.globl boot_pvh_start
boot_pvh_start:
	movl $1, %ebp			/* BOOT_PVH */
enter:
	cli
	cld
	movl $PHYSICAL(boot_stack_top), %esp

	/* long mode is there? */
	movl $0x80000000, %eax
	pushl %ebx
	cpuid
	popl %ebx
	cmpl $0x80000001, %eax
	jb no_long_mode
	movl $0x80000001, %eax
	pushl %ebx
	cpuid
	popl %ebx
	testl $(1 << 29), %edx
	jz no_long_mode

	/* four page directories: 0..4 GiB in 2 MiB pages, present | write | large */
	movl $PHYSICAL(boot_directories), %edi
	movl $0x83, %eax
	movl $(4 * 512), %ecx
1:	movl %eax, (%edi)
	movl $0, 4(%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop 1b

	movl $PHYSICAL(boot_directories) + 3, %eax
	movl $PHYSICAL(boot_low_pointers), %edi
	movl $4, %ecx
2:	movl %eax, (%edi)
	addl $4096, %eax
	addl $8, %edi
	loop 2b
	/* KERNEL_VIRTUAL_BASE: slot 511 of the top table, 510 of the next */
	movl $PHYSICAL(boot_directories) + 3, PHYSICAL(boot_high_pointers) + 510 * 8
	movl $PHYSICAL(boot_low_pointers) + 3, PHYSICAL(boot_top_table)
	movl $PHYSICAL(boot_low_pointers) + 3, PHYSICAL(boot_top_table) + 256 * 8
	movl $PHYSICAL(boot_high_pointers) + 3, PHYSICAL(boot_top_table) + 511 * 8

	movl $PHYSICAL(boot_top_table), %eax
	movl %eax, %cr3
	movl %cr4, %eax
	orl $(1 << 5), %eax		/* PAE */
	movl %eax, %cr4
	movl $0xc0000080, %ecx		/* EFER */
	rdmsr
	orl $(1 << 8), %eax		/* LME */
	wrmsr
	movl %cr0, %eax
	orl $0x80000001, %eax		/* PG, PE */
	movl %eax, %cr0
	lgdt PHYSICAL(boot_gdt_pointer)
	ljmp $8, $PHYSICAL(long_mode)

no_long_mode:
	movl $PHYSICAL(text_no_long_mode), %esi
refuse:	/* one line to the first serial port, at whatever speed it has, and stop */
	movw $0x3f8, %dx
3:	movb (%esi), %al
	testb %al, %al
	jz 4f
	outb %al, %dx
	incl %esi
	movl $10000, %ecx		/* no flow control: give the UART time */
5:	loop 5b
	jmp 3b
4:	cli
	hlt
	jmp 4b

/* ---- 64-bit ------------------------------------------------------------------- */

	.code64
long_mode:
	movabsq $high, %rax
	jmp *%rax
high:	movw $16, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	xorl %eax, %eax
	movw %ax, %fs
	movw %ax, %gs
	movq $boot_stack_top, %rsp
	movl %ebp, %edi			/* enum boot_path */
	movl %ebx, %esi			/* physical address of the loader's structure */
	xorl %ebp, %ebp			/* end of the backtrace */
	call boot_entry
	ud2

	/* The EFI loader: RDI is the virtual address of a filled struct boot_info. */
	.globl boot_efi_entry
boot_efi_entry:
	cli
	cld
	movq $boot_stack_top, %rsp
	xorl %ebp, %ebp
	call boot_efi_main
	ud2

	.section .rodata
text_no_multiboot2:
	.asciz "nestor: not started by a Multiboot2 loader; use `multiboot2` in GRUB\r\n"
text_no_long_mode:
	.asciz "nestor: this processor has no 64-bit mode, which is needed\r\n"

	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 8: code, 64-bit */
	.quad 0x00cf93000000ffff	/* 16: data */
boot_gdt_pointer:
	.word . - boot_gdt - 1
	.long PHYSICAL(boot_gdt)

	.bss
	.balign 4096
boot_top_table:
	.skip 4096
boot_low_pointers:
	.skip 4096
boot_high_pointers:
	.skip 4096
boot_directories:
	.skip 4 * 4096
	/* a page below the stack that kernel/vm.c takes away */
	.globl boot_stack_guard, boot_stack, boot_stack_top
boot_stack_guard:
	.skip 4096
boot_stack:
	.skip 65536
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
