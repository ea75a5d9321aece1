/* SPDX-License-Identifier: MIT */
/*
 * Where control arrives.
 *
 * Multiboot2 (specification 2.0, 3.3) and PVH (Xen's HVM direct boot ABI) both enter in
 * 32-bit protected mode without paging, the image at its link-time physical address,
 * the physical address of a structure in EBX. The EFI loader enters in long mode, with
 * the image mapped at KERNEL_VIRTUAL_BASE but lying anywhere in memory, and the address
 * of a filled struct boot_info in RDI.
 *
 * The early page tables, until vm_init makes better ones: physical 0 to 4 GiB at 0 and
 * at DIRECT_MAP_BASE, and the image at KERNEL_VIRTUAL_BASE; pages of 2 MiB with every
 * right. They are built here for the 32-bit entries and by boot/entry.c for EFI.
 * (Pages of 1 GiB would save 16 KiB and not be everywhere.)
 */
#define VIRTUAL_BASE 0xffffffff80000000
#define PHYSICAL(symbol) (symbol - VIRTUAL_BASE)

#define HEADER_MAGIC 0xe85250d6
#define LOADER_MAGIC 0x36d76289

#define PRESENT_WRITE 0x03
#define LARGE_PAGE    0x83 /* present, write, 2 MiB */

#define EFER     0xc0000080
#define EFER_LME (1 << 8)
#define CR0_PE   (1 << 0)
#define CR0_PG   (1 << 31)
#define CR4_PAE  (1 << 5)
#define CR4_LA57 (1 << 12)

#define SELECTOR_CODE64 0x08
#define SELECTOR_DATA   0x10
#define SELECTOR_CODE32 0x18

#define STACK_BYTES 65536

/* ---- what loaders look for ---------------------------------------------------------- */

	.section .multiboot2, "a"
	.balign 8
header:
	.long HEADER_MAGIC
	.long 0				/* i386, 32-bit protected mode */
	.long header_end - header
	.long 0x100000000 - HEADER_MAGIC - (header_end - header)
	/* Information request: what we read, all of it optional. */
	.balign 8
1:	.word 1, 1
	.long 2f - 1b
	.long 1, 2, 3, 6, 8, 14, 15, 17
2:	/* Framebuffer of any size with 32 bits a pixel, optional. */
	.balign 8
	.word 5, 1
	.long 20
	.long 0, 0, 32
	/* Modules start on pages. */
	.balign 8
	.word 6, 0
	.long 8
	.balign 8
	.word 0, 0
	.long 8
header_end:

	/* Notes: name size, value size, type; name; value. */
	.section .note.boot, "a", @note
	.balign 4
	.long 4, 8, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad boot_pvh_start
	.balign 4
	.long 7, 8, 1			/* ours: the 64-bit entry, a virtual address */
	.asciz "Nestor"
	.balign 4
	.quad boot_efi_start

/* ---- 32-bit --------------------------------------------------------------------------- */

	.section .boot, "ax"
	.code32

	.globl boot_multiboot2_start
	.type boot_multiboot2_start, @function
boot_multiboot2_start:
	cli
	cld
	movl $PHYSICAL(boot_multiboot2_entry), %edi
	cmpl $LOADER_MAGIC, %eax
	je enter
	movl $text_magic, %esi
	jmp refuse

	.globl boot_pvh_start
	.type boot_pvh_start, @function
boot_pvh_start:
	cli
	cld
	movl $PHYSICAL(boot_pvh_entry), %edi

	/* EBX: the loader's structure. EDI: where the function that reads it lies. */
enter:
	movl $PHYSICAL(boot_stack_top), %esp
	movl %ebx, %ebp

	/* CPUID exists if bit 21 of the flags can be changed. */
	pushfl
	popl %eax
	movl %eax, %ecx
	xorl $(1 << 21), %eax
	pushl %eax
	popfl
	pushfl
	popl %eax
	pushl %ecx
	popfl
	xorl %ecx, %eax
	testl $(1 << 21), %eax
	jz no_long_mode
	movl $0x80000000, %eax
	cpuid
	cmpl $0x80000001, %eax
	jb no_long_mode
	movl $0x80000001, %eax
	cpuid
	testl $(1 << 29), %edx
	jz no_long_mode

	/* Loaders zero what the file leaves out; this does not depend on it. */
	movl %edi, %edx
	movl $PHYSICAL(boot_zero_start), %edi
	movl $PHYSICAL(boot_zero_end), %ecx
	subl %edi, %ecx
	shrl $2, %ecx
	xorl %eax, %eax
	rep stosl
	movl %edx, %edi

	movl $PHYSICAL(boot_directories), %edx
	movl $LARGE_PAGE, %eax
1:	movl %eax, (%edx)
	addl $8, %edx
	addl $0x200000, %eax
	jnc 1b				/* up to 4 GiB */
	movl $PHYSICAL(boot_directories) + PRESENT_WRITE, %eax
	xorl %ecx, %ecx
2:	movl %eax, PHYSICAL(boot_low_pointers)(, %ecx, 8)
	addl $4096, %eax
	incl %ecx
	cmpl $4, %ecx
	jb 2b
	movl $PHYSICAL(boot_low_pointers) + PRESENT_WRITE, %eax
	movl %eax, PHYSICAL(boot_top_table)
	movl %eax, PHYSICAL(boot_top_table) + 256 * 8	/* DIRECT_MAP_BASE */
	/* VIRTUAL_BASE is entry 511, then 510; the image lies where it was linked, so
	 * that the first GiB serves here as well. */
	movl $PHYSICAL(boot_high_pointers) + PRESENT_WRITE, PHYSICAL(boot_top_table) + 511 * 8
	movl $PHYSICAL(boot_directories) + PRESENT_WRITE, PHYSICAL(boot_high_pointers) + 510 * 8

	movl %cr4, %eax
	andl $~CR4_LA57, %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $PHYSICAL(boot_top_table), %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl %cr0, %eax
	orl $(CR0_PG | CR0_PE), %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $SELECTOR_CODE64, $long_mode

no_long_mode:
	movl $text_long_mode, %esi

	/* ESI: one line, for the first serial port and for the screen, if it shows text. */
refuse:
	movl $0xb8000, %edi
	movw $0x3f8, %dx
3:	lodsb
	testb %al, %al
	jz 5f
	outb %al, %dx
	movb $0x0f, %ah
	cmpb $' ', %al
	jb 4f
	movw %ax, (%edi)
	addl $2, %edi
4:	inb $0x80, %al			/* takes 1 us; 1024 of them, for a slow UART */
	incl %ecx
	testl $0x3ff, %ecx
	jnz 4b
	jmp 3b
5:	hlt
	jmp 5b

	.code64
long_mode:
	/* EDI: the function, EBP: its argument. */
	movabsq $VIRTUAL_BASE, %rbx
	movl %edi, %edi
	addq %rdi, %rbx
	movabsq $high_half, %rax
	jmp *%rax

/*
 * 5-level paging off, which only works with paging off: down to 32-bit code and back.
 * Runs where it lies, which need not be where it was linked; identity-mapped; below
 * 4 GiB. EDI: physical address of boot_top_table. Goes on at boot_efi_main, on a fresh
 * stack: the way down loses upper halves of registers. Intel SDM volume 1, 3.4.1.1;
 * volume 3, 4.1.2 and 9.8.5.
 */
	.globl boot_leave_5_levels
	.type boot_leave_5_levels, @function
boot_leave_5_levels:
	leaq gdt(%rip), %rax
	movq %rax, gdt_pointer + 2(%rip)
	lgdt gdt_pointer(%rip)
	leaq legacy_stack_top(%rip), %rsp
	leaq 2f(%rip), %rbx
	pushq $SELECTOR_CODE32
	leaq 1f(%rip), %rax
	pushq %rax
	lretq
	.code32
1:	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %ss
	movl %cr0, %eax
	andl $~CR0_PG, %eax
	movl %eax, %cr0
	movl %cr4, %eax
	andl $~CR4_LA57, %eax
	movl %eax, %cr4
	movl %edi, %cr3
	movl %cr0, %eax
	orl $CR0_PG, %eax
	movl %eax, %cr0
	pushl $SELECTOR_CODE64
	pushl %ebx
	lretl
	.code64
2:	movabsq $boot_efi_main, %rbx
	movabsq $high_half, %rax
	jmp *%rax

	.balign 16
	.skip 64
legacy_stack_top:
	.balign 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* code, 64-bit */
	.quad 0x00cf93000000ffff	/* data */
	.quad 0x00cf9b000000ffff	/* code, 32-bit */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt

text_magic:
	.asciz "nestor: entered at its Multiboot2 entry by a loader that is none; in GRUB, `multiboot2` would be right\r\n"
text_long_mode:
	.asciz "nestor: this processor has no 64-bit mode; one that has it would be right\r\n"

/* ---- 64-bit --------------------------------------------------------------------------- */

	.section .text.entry, "ax"
high_half:
	movq $boot_stack_top, %rsp
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl %ebp, %edi
	xorl %ebp, %ebp			/* the end of every backtrace */
	call *%rbx
	ud2

	/* From the EFI loader; RDI: struct boot_info. Its tables and GDT are firmware's
	 * memory, so ours replace them: the tables in boot_efi_entry. */
	.globl boot_efi_start
	.type boot_efi_start, @function
boot_efi_start:
	cli
	cld
	movq $boot_stack_top, %rsp
	xorl %ebp, %ebp
	call boot_efi_entry
	ud2

/* ---- memory ----------------------------------------------------------------------------- */

	.bss
	.balign 4096
	.globl boot_top_table, boot_low_pointers, boot_high_pointers
	.globl boot_directories, boot_image_directory, boot_top_table_5
boot_top_table:
	.skip 4096
boot_low_pointers:
	.skip 4096
boot_high_pointers:
	.skip 4096
boot_directories:
	.skip 4 * 4096
boot_image_directory:			/* EFI only: the image, where it lies */
	.skip 4096
boot_top_table_5:			/* EFI only: above boot_top_table, to leave 5 levels */
	.skip 4096
	/* vm_init takes away the page below the stack. */
	.globl boot_stack_guard, boot_stack, boot_stack_top
boot_stack_guard:
	.skip 4096
boot_stack:
	.skip STACK_BYTES
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
