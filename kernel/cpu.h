/* SPDX-License-Identifier: MIT */
/*
 * The processor, as the kernel's own files see it: registers, features, the
 * frame that an exception or interrupt leaves, stacks and their guard pages.
 * Intel SDM volume 3, chapters 2, 5 and 6.
 */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include <stdbool.h>
#include <stdint.h>

enum {
	GDT_NULL = 0x00,
	GDT_CODE = 0x08,
	GDT_DATA = 0x10,
	GDT_TSS = 0x18, /* two places */
	GDT_BYTES = 0x28,
};

/** Interrupt stack table numbers (TSS), 1 to 7. */
enum { IST_DOUBLE_FAULT = 1, IST_NMI = 2, IST_MACHINE_CHECK = 3, IST_COUNT = 3 };

enum {
	VECTOR_NMI = 2,
	VECTOR_DOUBLE_FAULT = 8,
	VECTOR_PAGE_FAULT = 14,
	VECTOR_MACHINE_CHECK = 18,
	VECTOR_EXCEPTIONS = 32, /* below: the processor's own */
	VECTOR_PIC = 0x20,      /* to 0x2f: the masked 8259s; only spurious ones can come */
	VECTOR_TIMER = 0x30,
	VECTOR_SMP = 0x31,       /* from another processor: there is something to look at */
	VECTOR_IRQ_FIRST = 0x40, /* to VECTOR_IRQ_LAST: message-signalled interrupts */
	VECTOR_IRQ_LAST = 0xef,
	VECTOR_SPURIOUS = 0xff, /* its low four bits are ones, as old local APICs want */
};

/** What trap_entry.S leaves on the stack; it and trap_entry.S agree on the order. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss; /* by the processor */
};

struct cpu_features {
	bool nx, smep, smap, umip, gigabyte_pages, x2apic, tsc_invariant, tsc_deadline;
	bool hypervisor;
	unsigned physical_bits; /* of an address */
	uint32_t max_leaf;
};

/** Filled by cpu_init. */
extern struct cpu_features cpu_features;

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "Intel SDM volume 3, figure 8-11");

/** What each processor needs for itself; the IDT is common. */
struct cpu_tables {
	uint64_t gdt[GDT_BYTES / 8];
	struct tss tss;
} __attribute__((aligned(64)));

struct processor;

/** Load this processor's own tables, the common IDT, and GS; @p self has its stacks. */
void cpu_load(struct processor *self);
/** On another processor than the first: the first one's modes and features. Before this
 *  there is no protection of its own code. */
void cpu_modes(void);

struct cpu_stack {
	const char *name;
	uint64_t guard, bottom, top; /* guard: its page's address, 0: none */
};

/** The stacks that exist, on all processors: number @p index from 0, NULL beyond the
 *  last. */
const struct cpu_stack *cpu_stack(unsigned index);

/** SMEP and SMAP, where present: a page for user mode is neither executed nor touched.
 *  The kernel has none, so a table that says otherwise is damage and shows as a page
 *  fault. For vm_init, once the boot code's tables are gone. */
void cpu_forbid_user(void);

/** From trap_entry.S: entry code, 16 bytes a vector. */
extern const char trap_stubs[];
/** From trap.c: entered with interrupts off. */
void trap_dispatch(struct trap_frame *frame);
/** From irq.c: a message-signalled interrupt's handler. */
void irq_dispatch(unsigned vector);

/** panic() for an exception: with the frame's registers and backtrace. */
void panic_at(const struct trap_frame *frame, const char *format, ...)
	__attribute__((__noreturn__, __format__(__printf__, 2, 3)));
/** One line that says what lies at @p address, into @p out; for people. */
void vm_describe(uint64_t address, char *out, uint64_t size);

static inline uint64_t cpu_msr_read(uint32_t msr)
{
	uint32_t low, high;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void cpu_msr_write(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
	                 :
	                 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
	                 : "memory");
}

struct cpuid {
	uint32_t a, b, c, d;
};

static inline struct cpuid cpu_id(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid id;
	__asm__ volatile("cpuid"
	                 : "=a"(id.a), "=b"(id.b), "=c"(id.c), "=d"(id.d)
	                 : "a"(leaf), "c"(subleaf));
	return id;
}

static inline uint64_t cpu_tsc(void)
{
	uint32_t low, high;
	__asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

#define CPU_CONTROL(number)                                                                        \
	static inline uint64_t cpu_cr##number(void)                                                \
	{                                                                                          \
		uint64_t value;                                                                    \
		__asm__ volatile("movq %%cr" #number ", %0" : "=r"(value));                        \
		return value;                                                                      \
	}                                                                                          \
	static inline void cpu_set_cr##number(uint64_t value)                                      \
	{                                                                                          \
		__asm__ volatile("movq %0, %%cr" #number : : "r"(value) : "memory");               \
	}
CPU_CONTROL(0)
CPU_CONTROL(2)
CPU_CONTROL(3)
CPU_CONTROL(4)
#undef CPU_CONTROL

#endif
