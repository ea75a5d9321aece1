/* SPDX-License-Identifier: MIT */
/*
 * The bench in the kernel. The clock is the TSC: under QEMU's -icount shift=0 it counts
 * instructions, on a real machine cycles. Interrupts stay away while it runs.
 */
#include "kernel/bench.h"

#include "bench/bench.h"
#include "kernel/cpu.h"
#include "kernel/kernel.h"
#include "kernel/memory.h"
#include "vtd/domain.h"
#include "vtd/unit.h"

enum { MOST_LIVE = 1000000 };

static uint64_t tsc(void)
{
	return cpu_tsc();
}

static uint64_t heap_bytes(void)
{
	uint64_t objects, pages;

	heap_usage(&objects, &pages);
	return pages * PAGE_SIZE_4K;
}

/** Is this QEMU's own translator? Its processor leaf says so (CPUID 40000000h). */
static bool is_emulated(void)
{
	const struct cpuid id = cpu_id(UINT32_C(0x40000000), 0);

	return id.b == UINT32_C(0x54474354) && id.c == UINT32_C(0x43544743) &&
	       id.d == UINT32_C(0x47435447); /* "TCGTCGTCGTCG" */
}

/** Does the clock count instructions? Then a loop takes the same time again and again, and
 *  two instructions more take two more. */
static bool counts_instructions(void)
{
	uint64_t flags = irq_save(), wanted = 0;
	bool same = true;

	for (unsigned i = 0; i < 16 && same; i++) {
		uint64_t start = cpu_tsc();
		__asm__ volatile("movl $1000, %%ecx\n1:\tdecl %%ecx\n\tjnz 1b" : : : "ecx", "cc");
		uint64_t took = cpu_tsc() - start;
		if (i == 1)
			wanted = took;
		else if (i > 1)
			same = took == wanted && took > 2000 && took < 2020;
	}
	irq_restore(flags);
	return same;
}

/** An engine's device behind one of the machine's units; engines are the only devices that
 *  are known to be quiet. */
static struct iommu_device *device_find(const struct machine *machine)
{
	for (const struct dma_engine *engine = machine->engines; engine; engine = engine->next) {
		struct iommu_device *device = engine->pci->iommu;
		if (device && device->unit && device->unit->enabled)
			return device;
	}
	return NULL;
}

bool bench_machine(struct machine *machine, const char *selection, bool raw)
{
	struct iommu_device *device = device_find(machine);
	struct bench bench = {
		.core = &machine->iommu,
		.ufd = &machine->ufd,
		.memory = &machine->memory,
		.device = device,
		.mock = machine->mocks[0].engine.pci->iommu,
		.vtd = device ? vtd_unit_of(device->unit) : NULL,
		.unit = "cycles",
		.column = !device                                     ? "mock"
	                  : device->unit->mode == IOMMU_MODE_SCALABLE ? "scalable"
	                                                              : "legacy",
		.clock = tsc,
		.quiet = irq_save,
		.loud = irq_restore,
		.heap_bytes = heap_bytes,
		.out = console_print(),
		.raw = raw,
		.simulated = is_emulated(),
		.most_live = MOST_LIVE,
		.selection = selection,
	};

	bench.exact = bench.simulated && counts_instructions();
	if (bench.exact)
		bench.unit = "instructions";
	if (device)
		kprintf("bench: device %s at %s, %s mode, table walks %s; in %s\n",
		        device->desc.name, device->unit->name, bench.column,
		        vtd_walks_snoop(bench.vtd) ? "snoop" : "do not snoop: lines are cleaned",
		        bench.unit);
	else
		kprintf("bench: no engine behind a unit, so all is about the mock; in %s\n",
		        bench.unit);
	return bench_run(&bench);
}
