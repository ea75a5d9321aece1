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

#endif
