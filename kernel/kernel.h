/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own services, one machine wide. Everything here exists once; the
 * core below (iommu, vtd, ufd) has instances and never includes this.
 */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include "boot/boot_info.h"
#include "iommu/os.h"
#include "iommu/print.h"
#include "kernel/page.h"

struct acpi;

#define noreturn __attribute__((noreturn))

/* ---- console (kernel/console.c): serial and framebuffer ------------------------- */

/** Bring up COM1 (16550, 115200 8n1, found by loopback test) and the framebuffer, as
 *  @p which says: "serial", "fb", "both"; NULL is both. */
void console_init(const struct boot_framebuffer *framebuffer, const char *which);
void console_write(const char *text, size_t bytes);
/** The console as a sink. */
struct iommu_print *console_print(void);
/** One byte of input from the serial line or the PS/2 keyboard, or -1: none now. */
int console_read(void);
/** A serial line whose other end is a terminal or a program that may answer. */
bool console_has_input(void);
void kprintf(const char *format, ...) printf_like(1, 2);

/** Log lines: printed if @p level is at or above the chosen loglevel, as "error: ...",
 *  "warning: ...", plain, "debug: ...". */
extern enum iommu_log_level log_level;
void klog(enum iommu_log_level level, const char *format, ...) printf_like(2, 3);

/* ---- memory (kernel/vm.c, kernel/heap.c) ------------------------------------------ */

extern struct page_allocator kernel_pages;

/** Final page tables: image W^X by section, NX elsewhere, direct map of all RAM
 *  write-back in the largest pages, guard pages under stacks, page 0 absent. */
void vm_init(const struct boot_info *info);
/** Map device registers uncached, NX. @return a virtual address or NULL. */
void *vm_map_mmio(uint64_t physical, uint64_t bytes, bool write_combining);
void vm_unmap_mmio(void *address, uint64_t bytes);
/** Read-only view of firmware tables that may lie outside RAM; never unmapped.
 *  NULL if it cannot be mapped. */
const void *vm_map_table(uint64_t physical, uint64_t bytes);
static inline void *vm_direct(uint64_t physical)
{
	return (void *)(DIRECT_MAP_BASE + physical);
}

/** Zeroed objects of any size from size classes over pages. NULL if none. */
void *heap_alloc(size_t bytes);
void heap_free(void *object, size_t bytes);

/* ---- processor (kernel/cpu.c, kernel/trap.c, kernel/apic.c, kernel/time.c) -------- */

void cpu_init(void); /* GDT, TSS with IST stacks, IDT, NX, WP, SMEP/SMAP where present */
void apic_init(const struct acpi *acpi); /* PIC masked; local APIC; spurious */
/** TSC against PM timer, HPET or PIT; then the timer, and interrupts on. After apic_init. */
void time_init(const struct acpi *acpi);
uint64_t time_ns(void);
void time_delay_us(uint64_t us);
/** Halt until the next interrupt (the timer ticks at 100 Hz at least). */
void cpu_idle(void);

/** An MSI vector of this processor; @p handler runs with interrupts off.
 *  0 or -ENOSPC. */
int must_check irq_alloc(void (*handler)(void *arg), void *arg, struct iommu_msi *out);
void irq_free(const struct iommu_msi *msi);

#define CPU_FLAGS_IF UINT64_C(0x200)
/** Interrupts off, the former state returned (CPU_FLAGS_IF of it); and back. */
static inline uint64_t irq_save(void)
{
	uint64_t flags;
	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}
static inline void irq_restore(uint64_t flags)
{
	if (flags & CPU_FLAGS_IF)
		__asm__ volatile("sti" : : : "memory");
}

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}
static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
static inline uint8_t in8(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}
static inline uint16_t in16(uint16_t port)
{
	uint16_t value;
	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}
static inline uint32_t in32(uint16_t port)
{
	uint32_t value;
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/** Stop with a message, registers and a symbolised backtrace; then as `panic=` says:
 *  halt, reset, or leave QEMU with a failure. */
void noreturn panic(const char *format, ...) printf_like(1, 2);
void backtrace_print(uint64_t rip, uint64_t rbp);
/** Name of the function at @p address and the offset in it; NULL if unknown. */
const char *symbol_find(uint64_t address, uint64_t *offset);

/** What panic() and the end of a run do. */
enum panic_action { PANIC_HALT, PANIC_RESET, PANIC_EXIT };
extern enum panic_action panic_action;

/* ---- power (kernel/power.c) --------------------------------------------------------- */

void power_init(const struct acpi *acpi);
/** Hand the IOMMU back first: the caller's duty. isa-debug-exit, where QEMU has
 *  it, ends with status (code << 1 | 1): 16 is success (33), 17 failure (35);
 *  without it ACPI S5 (FADT and \_S5 in DSDT), then a halt. */
void noreturn power_off(bool success);
void noreturn power_reset(void);

#endif
