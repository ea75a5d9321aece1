/* SPDX-License-Identifier: MIT */
/*
 * A processor's tables and modes: GDT, TSS with three interrupt stacks,
 * IDT, no-execute, write protection in supervisor mode, SMEP, SMAP, UMIP.
 * Intel SDM volume 3, 2.5, 3.5, 5.14, 6.10 and 6.14.5.
 *
 * Double fault, NMI and machine check have stacks of their own, because the
 * current one may be the trouble. Below each lies a page that vm_init leaves
 * unmapped.
 */
#include "kernel/cpu.h"

#include "kernel/kernel.h"
#include "kernel/processor.h"
#include "kernel/smp.h"

#define MSR_GS_BASE 0xc0000101

enum { IST_STACK_BYTES = 16384 };

struct guarded_stack {
	uint8_t guard[4096];
	uint8_t stack[IST_STACK_BYTES];
} __attribute__((aligned(4096)));

static struct guarded_stack ist_stacks[IST_COUNT];

/* From linker.ld and boot/start.S. */
extern char boot_stack_guard[], boot_stack[], boot_stack_top[];

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "Intel SDM volume 3, figure 6-8");

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static struct gate idt[256] __attribute__((aligned(16)));

struct cpu_features cpu_features;
struct processor boot_processor = {.self = &boot_processor, .state = PROCESSOR_WORKING};

const struct cpu_stack *cpu_stack(unsigned index)
{
	const struct processor *processor = smp_processor(index / PROCESSOR_STACKS);

	return processor ? &processor->stacks[index % PROCESSOR_STACKS] : NULL;
}

static void boot_stacks(void)
{
	static const char *const names[IST_COUNT] = {"the double-fault stack", "the NMI stack",
	                                             "the machine-check stack"};

	boot_processor.stacks[0] =
		(struct cpu_stack){"the kernel's stack", (uint64_t)boot_stack_guard,
	                           (uint64_t)boot_stack, (uint64_t)boot_stack_top};
	for (unsigned i = 0; i < IST_COUNT; i++) {
		const struct guarded_stack *ist = &ist_stacks[i];
		boot_processor.stacks[1 + i] =
			(struct cpu_stack){names[i], (uint64_t)ist->guard, (uint64_t)ist->stack,
		                           (uint64_t)ist->stack + IST_STACK_BYTES};
	}
}

static void read_features(void)
{
	struct cpu_features *f = &cpu_features;
	struct cpuid one = cpu_id(1, 0);
	uint32_t max_extended = cpu_id(0x80000000, 0).a;

	f->max_leaf = cpu_id(0, 0).a;
	f->x2apic = one.c >> 21 & 1;
	f->tsc_deadline = one.c >> 24 & 1;
	f->hypervisor = one.c >> 31;
	if (f->max_leaf >= 7) {
		struct cpuid seven = cpu_id(7, 0);
		f->smep = seven.b >> 7 & 1;
		f->smap = seven.b >> 20 & 1;
		f->umip = seven.c >> 2 & 1;
	}
	if (max_extended >= 0x80000001) {
		uint32_t d = cpu_id(0x80000001, 0).d;
		f->nx = d >> 20 & 1;
		f->gigabyte_pages = d >> 26 & 1;
	}
	if (max_extended >= 0x80000007)
		f->tsc_invariant = cpu_id(0x80000007, 0).d >> 8 & 1;
	f->physical_bits = 36;
	if (max_extended >= 0x80000008)
		f->physical_bits = cpu_id(0x80000008, 0).a & 0xff;
	if (f->physical_bits < 32 || f->physical_bits > 52)
		f->physical_bits = 52;
}

static void load_gdt(struct processor *self)
{
	struct tss *tss = &self->tables.tss;
	uint64_t *gdt = self->tables.gdt;
	uint64_t base = (uint64_t)tss, limit = sizeof(*tss) - 1;

	gdt[GDT_CODE / 8] = UINT64_C(0x00209a0000000000); /* present, ring 0, code, 64 bits */
	gdt[GDT_DATA / 8] = UINT64_C(0x0000920000000000); /* present, ring 0, writable data */
	gdt[GDT_TSS / 8] = (limit & 0xffff) | (base & 0xffffff) << 16 | UINT64_C(0x89) << 40 |
	                   (base >> 24 & 0xff) << 56;
	gdt[GDT_TSS / 8 + 1] = base >> 32;

	for (unsigned i = 0; i < IST_COUNT; i++)
		tss->ist[i] = self->stacks[1 + i].top;
	tss->rsp[0] = self->stacks[0].top;
	tss->io_map = sizeof(*tss);

	struct table_register gdtr = {GDT_BYTES - 1, (uint64_t)gdt};
	__asm__ volatile("lgdt %0\n\t"
	                 "pushq %1\n\t"
	                 "leaq 1f(%%rip), %%rax\n\t"
	                 "pushq %%rax\n\t"
	                 "lretq\n"
	                 "1:\n\t"
	                 "movl %2, %%ds\n\t"
	                 "movl %2, %%es\n\t"
	                 "movl %2, %%ss\n\t"
	                 "movl %3, %%fs\n\t"
	                 "movl %3, %%gs\n\t"
	                 "ltr %w4"
	                 :
	                 : "m"(gdtr), "i"(GDT_CODE), "r"(GDT_DATA), "r"(0), "r"(GDT_TSS)
	                 : "rax", "memory");
}

static void fill_idt(void)
{
	for (unsigned vector = 0; vector < 256; vector++) {
		uint64_t entry = (uint64_t)trap_stubs + 16 * vector;
		idt[vector] = (struct gate){
			.offset_low = (uint16_t)entry,
			.selector = GDT_CODE,
			.type = 0x8e, /* present, ring 0, interrupt gate: enters with IF clear */
			.offset_middle = (uint16_t)(entry >> 16),
			.offset_high = (uint32_t)(entry >> 32),
		};
	}
	idt[VECTOR_DOUBLE_FAULT].ist = IST_DOUBLE_FAULT;
	idt[VECTOR_NMI].ist = IST_NMI;
	idt[VECTOR_MACHINE_CHECK].ist = IST_MACHINE_CHECK;
}

void cpu_load(struct processor *self)
{
	struct table_register idtr = {sizeof(idt) - 1, (uint64_t)idt};

	load_gdt(self);
	cpu_msr_write(MSR_GS_BASE, (uint64_t)self); /* after the selector, which clears it */
	__asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
}

static void set_modes(void)
{
	enum { MSR_EFER = 0xc0000080 };
	const uint64_t efer_nxe = 1 << 11;
	const uint64_t cr0_wp = 1 << 16, cr0_am = 1 << 18;
	const uint64_t cr4_umip = 1 << 11;

	if (cpu_features.nx)
		cpu_msr_write(MSR_EFER, cpu_msr_read(MSR_EFER) | efer_nxe);
	cpu_set_cr0((cpu_cr0() | cr0_wp) & ~cr0_am);
	if (cpu_features.umip)
		cpu_set_cr4(cpu_cr4() | cr4_umip);
}

void cpu_forbid_user(void)
{
	const uint64_t cr4_smep = 1 << 20, cr4_smap = 1 << 21;
	uint64_t cr4 = cpu_cr4();

	if (cpu_features.smep)
		cr4 |= cr4_smep;
	if (cpu_features.smap)
		cr4 |= cr4_smap;
	cpu_set_cr4(cr4);
}

void cpu_modes(void)
{
	set_modes();
	cpu_forbid_user();
}

void cpu_init(void)
{
	read_features();
	boot_stacks();
	fill_idt();
	cpu_load(&boot_processor);
	set_modes();
}
