/* SPDX-License-Identifier: MIT */
/* Address translation, as the kernel's own files use it beyond kernel/kernel.h. */
#ifndef KERNEL_VM_H
#define KERNEL_VM_H

#include <stdbool.h>
#include <stdint.h>

/** Walk the tables that the processor uses now. @p physical is where @p address lies;
 *  @p writable, @p executable: the rights that all levels leave. Each may be NULL.
 *  @return false if the address is not mapped. */
bool vm_translate(uint64_t address, uint64_t *physical, bool *writable, bool *executable);
/** True if each byte of [address, address+bytes) can be read by the kernel. */
bool vm_readable(uint64_t address, uint64_t bytes);
/** True if any byte of physical [address, address+bytes) is usable RAM. After vm_init. */
bool vm_is_ram(uint64_t address, uint64_t bytes);

/** A stack of at least @p bytes in pages of their own, with a page that is not mapped below
 *  and above it. False for want of memory. */
bool vm_stack_alloc(uint64_t bytes, uint64_t *bottom, uint64_t *top);
void vm_stack_free(uint64_t bottom);
/** Map whole pages of memory at the virtual address that is their physical one, to be
 *  executed or to be written: for the start of other processors, and for tests; and the end
 *  of that. False for want of memory. */
bool vm_identity_map(uint64_t start, uint64_t bytes, bool code);
void vm_identity_unmap(uint64_t start, uint64_t bytes);
/** Physical address of the top table. */
uint64_t vm_root(void);
/** On another processor than the first: these tables, and the memory types that their
 *  entries name. */
void vm_load(void);
/** Forget all translations that this processor remembers. */
void vm_flush(void);

#endif
