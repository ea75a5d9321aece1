/* SPDX-License-Identifier: MIT */
/*
 * Starting the other processors: INIT, STARTUP, and once more STARTUP for those who have
 * not heard it (Intel SDM volume 3, 9.4), all of them side by side.
 *
 * Each has its memory before it is sent for: struct processor, four stacks. It comes
 * through smp_trampoline.S into smp_main, makes itself a processor of this kernel, and
 * says so by one exchange of its state. A processor that is late finds PROCESSOR_LEFT_OUT
 * there instead and halts; it is also sent INIT, which ends whatever it does, before the
 * page that it starts in is taken from the tables. Until it has come it takes no lock. The
 * memory of one that was left out stays its own: nobody can be sure that it is gone.
 *
 * Counters: time-stamp counters of processors can differ where firmware wrote to them. A
 * newcomer asks the boot processor for its counter and notes its own before and after; an
 * answer from outside of these two is a difference, and is corrected. Virtual machines
 * have one clock for all, and no time to answer at once.
 */
#include "arch/arch.h"
#include "iommu/string.h"
#include "kernel/apic.h"
#include "kernel/memory.h"
#include "kernel/smp_private.h"
#include "kernel/vm.h"

enum {
	STACK_BYTES = 65536,
	EXCEPTION_STACK_BYTES = 16384,
	LOW_END = 0xa0000, /* of memory that STARTUP can name, and that is RAM */
	INIT_US = 10000,
	INIT_US_SIMULATED = 100, /* a hypervisor's processors need no time to settle */
	XAPIC_IDS = 0xff,        /* the highest one is broadcast */
	MSR_EFER = 0xc0000080,
	EFER_LME = 1 << 8,
	EFER_NXE = 1 << 11,
	CR4_PAE = 1 << 5,
	SELECTOR_CODE64 = 0x08, /* of the trampoline's GDT */
	SELECTOR_CODE32 = 0x18,
	TRAMPOLINE_GDT_BYTES = 32,
};
#define STARTUP_NS  UINT64_C(1000000) /* after that, once more */
#define DEADLINE_NS UINT64_C(1000000000)

/** What smp_trampoline.S and smp_start.c agree on. */
struct far_pointer {
	uint32_t offset;
	uint16_t selector;
} __attribute__((packed));

struct parameters {
	uint64_t entry;
	uint32_t cr0, cr3, cr4, efer;
	struct far_pointer far32, far64;
	uint16_t gdt_limit;
	uint32_t gdt_base;
} __attribute__((packed));

/** What smp_entry reads. */
struct entry {
	uint32_t apic_id, unused;
	uint64_t stack;
	struct processor *processor;
};
_Static_assert(sizeof(struct entry) == 24, "as smp_entry has it");

extern const char smp_trampoline[], smp_trampoline_end[], smp_trampoline_parameters[];
extern const char smp_trampoline_32[], smp_trampoline_64[], smp_trampoline_gdt[];
extern void smp_entry(void);

/* For smp_trampoline.S. */
extern struct entry smp_entries[SMP_MAX_PROCESSORS];
extern uint32_t smp_entry_count;
void noreturn smp_main(struct processor *self);

static uint64_t start_page, sent_ns; /* sent_ns: when STARTUP was sent; 0: it was not */

struct entry smp_entries[SMP_MAX_PROCESSORS];
uint32_t smp_entry_count;

/* ---- on the new processor ------------------------------------------------------------------ */

static void noreturn halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

/** Compare the time-stamp counters. Without an answer within a deadline, by this one's own
 *  counter, they are taken to be the same. */
static void compare_counters(struct processor *self)
{
	const uint64_t patience = UINT64_C(1) << 32;
	uint64_t before = cpu_tsc(), after;

	__atomic_store_n(&self->clock_asked, 1, __ATOMIC_SEQ_CST);
	do {
		arch_pause();
		after = cpu_tsc();
		if (after - before > patience)
			return;
	} while (__atomic_load_n(&self->clock_asked, __ATOMIC_SEQ_CST) != 2);
	after = cpu_tsc();
	uint64_t answer = self->clock_answer;
	if ((int64_t)(answer - before) < 0 || (int64_t)(after - answer) < 0)
		self->tsc_offset = (int64_t)(answer - (before + (after - before) / 2));
}

void smp_main(struct processor *self)
{
	uint32_t starting = PROCESSOR_STARTING;

	cpu_load(self);
	vm_load();
	cpu_modes();
	if (!apic_init_other())
		halt();
	if (!cpu_features.hypervisor)
		compare_counters(self);
	self->started_ns = time_ns() - sent_ns;
	if (!__atomic_compare_exchange_n(&self->state, &starting, PROCESSOR_PARKED, false,
	                                 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		halt();
	smp_work(self);
}

/* ---- preparation --------------------------------------------------------------------------- */

/** The highest page below 640 KiB that is free memory and no part of what the loader left. */
static uint64_t find_page(const struct boot_info *boot)
{
	static struct boot_memory keep[BOOT_MAX_MODULES + 2];
	uint64_t start, end, found = 0, info = 0;
	size_t count = 0;

	keep[count++] = (struct boot_memory){
		boot->kernel_start, boot->kernel_end - boot->kernel_start, BOOT_MEMORY_RESERVED};
	if (vm_translate((uint64_t)boot, &info, NULL, NULL))
		keep[count++] =
			(struct boot_memory){info & ~(PAGE_SIZE_4K - 1),
		                             sizeof(*boot) + PAGE_SIZE_4K, BOOT_MEMORY_RESERVED};
	for (uint32_t i = 0; i < boot->module_count; i++)
		keep[count++] = (struct boot_memory){boot->modules[i].start, boot->modules[i].bytes,
		                                     BOOT_MEMORY_RESERVED};
	for (uint64_t at = PAGE_SIZE_4K;
	     page_map_next(boot->memory, boot->memory_count, keep, count, at, &start, &end) &&
	     start < LOW_END;
	     at = end) {
		uint64_t stop = (end < LOW_END ? end : LOW_END) & ~(PAGE_SIZE_4K - 1);
		uint64_t page = stop - PAGE_SIZE_4K;
		if (stop > start && page >= start)
			found = page;
	}
	return found;
}

/** How far into the trampoline @p symbol lies. */
static size_t offset_of(const char *symbol)
{
	return (size_t)((uintptr_t)symbol - (uintptr_t)smp_trampoline);
}

static void fill_page(uint64_t page)
{
	const size_t bytes = offset_of(smp_trampoline_end);
	char *at = vm_direct(page);
	struct parameters parameters = {
		.entry = (uint64_t)smp_entry,
		.cr0 = (uint32_t)cpu_cr0(),
		.cr3 = (uint32_t)vm_root(),
		.cr4 = CR4_PAE,
		.efer = EFER_LME | (cpu_features.nx ? EFER_NXE : 0),
		.far32 = {(uint32_t)(page + offset_of(smp_trampoline_32)), SELECTOR_CODE32},
		.far64 = {(uint32_t)(page + offset_of(smp_trampoline_64)), SELECTOR_CODE64},
		.gdt_limit = TRAMPOLINE_GDT_BYTES - 1,
		.gdt_base = (uint32_t)(page + offset_of(smp_trampoline_gdt)),
	};

	memcpy(at, smp_trampoline, bytes);
	memcpy(at + offset_of(smp_trampoline_parameters), &parameters, sizeof(parameters));
}

static void stacks_free(struct processor *processor)
{
	for (unsigned i = 0; i < PROCESSOR_STACKS; i++)
		if (processor->stacks[i].bottom)
			vm_stack_free(processor->stacks[i].bottom);
}

static bool stacks_alloc(struct processor *processor)
{
	static const char *const names[PROCESSOR_STACKS] = {"stack", "double-fault stack",
	                                                    "NMI stack", "machine-check stack"};

	for (unsigned i = 0; i < PROCESSOR_STACKS; i++) {
		struct cpu_stack *stack = &processor->stacks[i];
		if (!vm_stack_alloc(i ? EXCEPTION_STACK_BYTES : STACK_BYTES, &stack->bottom,
		                    &stack->top))
			return false;
		iommu_snprintf(processor->stack_names[i], sizeof(processor->stack_names[i]),
		               "processor %u's %s", processor->number, names[i]);
		stack->name = processor->stack_names[i];
		stack->guard = stack->bottom - PAGE_SIZE_4K;
	}
	return true;
}

/** A processor with all that it needs to start; NULL for want of memory. */
static struct processor *processor_make(unsigned number, uint32_t apic_id)
{
	unsigned order = 0;
	pa_t run;

	while (PAGE_SIZE_4K << order < sizeof(struct processor))
		order++;
	if (page_alloc(&kernel_pages, order, &run) != 0)
		return NULL;
	struct processor *processor = vm_direct(run.value);
	memset(processor, 0, sizeof(*processor));
	processor->self = processor;
	processor->number = number;
	processor->apic_id = apic_id;
	processor->state = PROCESSOR_STARTING;
	if (stacks_alloc(processor))
		return processor;
	stacks_free(processor);
	if (page_free(&kernel_pages, run, order) != 0)
		panic("smp: the run at %#llx cannot be freed", (unsigned long long)run.value);
	return NULL;
}

/** Fill smp_entries with the processors to start. */
static void entries_make(const struct acpi *acpi)
{
	for (uint32_t i = 0; i < acpi->cpu_count; i++) {
		uint32_t id = acpi->cpus[i].apic_id;
		if (!acpi->cpus[i].enabled || id == boot_processor.apic_id)
			continue;
		smp_present_count++;
		if (!apic_is_x2apic() && id >= XAPIC_IDS) {
			klog(IOMMU_LOG_WARNING,
			     "the processor with APIC id %#x is left out: firmware left x2APIC "
			     "mode off, which such an id needs",
			     (unsigned)id);
			continue;
		}
		struct processor *processor = processor_make(smp_entry_count + 1, id);
		if (!processor) {
			klog(IOMMU_LOG_WARNING,
			     "the processor with APIC id %#x is left out: no memory for its "
			     "stacks",
			     (unsigned)id);
			continue;
		}
		smp_entries[smp_entry_count++] =
			(struct entry){id, 0, processor->stacks[0].top, processor};
	}
}

/* ---- starting -------------------------------------------------------------------------------- */

/** Answer whoever asks for the time; how many have not come. */
static unsigned watch(void)
{
	unsigned missing = 0;

	for (uint32_t i = 0; i < smp_entry_count; i++) {
		struct processor *processor = smp_entries[i].processor;
		if (__atomic_load_n(&processor->clock_asked, __ATOMIC_SEQ_CST) == 1) {
			processor->clock_answer = cpu_tsc();
			__atomic_store_n(&processor->clock_asked, 2, __ATOMIC_SEQ_CST);
		}
		missing += smp_state(processor) == PROCESSOR_STARTING;
	}
	return missing;
}

/** Wait for all of them until @p ns after they were sent for. False: some are missing. */
static bool watch_until(uint64_t ns)
{
	while (watch()) {
		if (time_ns() - sent_ns >= ns)
			return false;
		/* A virtual machine's processors may need this one's time to come. */
		if (cpu_features.hypervisor)
			cpu_idle();
		else
			arch_pause();
	}
	return true;
}

static void send_missing(uint32_t what)
{
	for (uint32_t i = 0; i < smp_entry_count; i++)
		if (smp_state(smp_entries[i].processor) == PROCESSOR_STARTING)
			apic_send(smp_entries[i].apic_id, what);
}

/** Leave out who has not come, whatever it does now. */
static void give_up(void)
{
	for (uint32_t i = 0; i < smp_entry_count; i++) {
		uint32_t starting = PROCESSOR_STARTING;
		struct processor *processor = smp_entries[i].processor;
		if (!__atomic_compare_exchange_n(&processor->state, &starting, PROCESSOR_LEFT_OUT,
		                                 false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		apic_send(processor->apic_id, APIC_INIT);
		klog(IOMMU_LOG_WARNING,
		     "the processor with APIC id %#x is left out: it did not start within 1 s",
		     (unsigned)processor->apic_id);
	}
	time_delay_us(INIT_US);
}

/** Those who have come get their numbers, without gaps, and their caches. */
static void admit(void)
{
	unsigned count = 1;

	for (uint32_t i = 0; i < smp_entry_count; i++) {
		struct processor *processor = smp_entries[i].processor;
		if (smp_state(processor) != PROCESSOR_PARKED)
			continue;
		processor->number = count;
		smp_processors[count++] = processor;
		memory_use_caches(processor);
	}
	__atomic_store_n(&smp_processor_count, count, __ATOMIC_RELEASE);
}

/** Send for all of them. */
static void send_all(void)
{
	fill_page(start_page);
	send_missing(APIC_INIT);
	time_delay_us(cpu_features.hypervisor ? INIT_US_SIMULATED : INIT_US);
	sent_ns = time_ns();
	send_missing(APIC_STARTUP | (uint32_t)(start_page >> PAGE_SHIFT_4K));
	/* On a real machine they are here before anything else is done, and have the time. */
	if (!cpu_features.hypervisor)
		(void)watch_until(STARTUP_NS);
}

void smp_start(const struct acpi *acpi, const struct boot_info *boot)
{
	uint64_t start = time_ns();

	if (!apic_is_ready())
		return;
	boot_processor.apic_id = apic_id();
	entries_make(acpi);
	if (!smp_entry_count)
		return;
	start_page = find_page(boot);
	if (!start_page || vm_root() >> 32)
		klog(IOMMU_LOG_WARNING, "the other processors are left out: no page below 640 KiB "
		                        "is free for them to start in");
	else if (!vm_identity_map(start_page, PAGE_SIZE_4K, true))
		klog(IOMMU_LOG_WARNING, "the other processors are left out: no memory for tables");
	else
		send_all();
	smp_start_us = (unsigned)((time_ns() - start) / 1000);
}

void smp_join(void)
{
	uint64_t start = time_ns();

	if (!sent_ns)
		return;
	if (!watch_until(STARTUP_NS)) {
		send_missing(APIC_STARTUP | (uint32_t)(start_page >> PAGE_SHIFT_4K));
		if (!watch_until(DEADLINE_NS))
			give_up();
	}
	admit();
	vm_identity_unmap(start_page, PAGE_SIZE_4K);
	smp_start_us += (unsigned)((time_ns() - start) / 1000);
	klog(IOMMU_LOG_DEBUG, "%u of %u processors, through %#llx; the boot waited %u us for them",
	     smp_count(), smp_present(), (unsigned long long)start_page, smp_start_us);
}
