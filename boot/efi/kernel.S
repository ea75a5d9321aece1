/* SPDX-License-Identifier: MIT */
/* The kernel that the EFI loader carries: an ELF file, byte for byte. */
	.section .rodata
	.balign 16
	.globl efi_kernel, efi_kernel_end
	.hidden efi_kernel, efi_kernel_end
efi_kernel:
	.incbin EFI_KERNEL
efi_kernel_end:

	.section .note.GNU-stack, "", @progbits
