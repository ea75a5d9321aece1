/* SPDX-License-Identifier: MIT */
/*
 * The machine's side of the agreement test: its only unit, pages, engines. The drivers hand
 * the unit back first and take it over again afterwards, so the shell works as ever.
 */
#include "kernel/agree.h"

#include "dev/engine.h"
#include "iommu/string.h"
#include "kernel/kernel.h"
#include "kernel/machine.h"
#include "kernel/os.h"
#include "kernel/vm.h"

enum {
	ENGINES = 4,
	DMAR_HEADER = 48,
	DMAR_HAW = 36,
	DMAR_DRHD = 0, /* type of a structure that describes a unit */
	DRHD_SEGMENT = 6,
	DRHD_BASE = 8,
	DRHD_BYTES = 16,
};

struct wiring {
	struct machine *machine;
	struct agree_engine engines[ENGINES];
	uint64_t base; /* of the unit's registers */
};

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void *memory_at(void *ctx, uint64_t address, uint64_t bytes)
{
	(void)ctx;
	/* The caller's ranges lie within a page; RAM comes in whole pages. */
	return vm_is_ram(address, bytes) ? vm_direct(address) : NULL;
}

static uint64_t now(void *ctx)
{
	(void)ctx;
	return time_ns();
}

static void *object_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	return heap_alloc(bytes);
}

static void object_free(void *ctx, void *object, size_t bytes)
{
	(void)ctx;
	heap_free(object, bytes);
}

static int engine_fetch(void *ctx, uint64_t address, uint32_t bytes)
{
	struct dma_engine *engine = ctx;
	return engine->ops->fetch(engine, iova(address), bytes);
}

static int engine_store(void *ctx, uint64_t address, uint32_t bytes)
{
	struct dma_engine *engine = ctx;
	return engine->ops->store(engine, iova(address), bytes);
}

/* Engines whose words and silence are known: others put what they like into memory. */
static unsigned engines_find(struct wiring *wiring)
{
	unsigned count = 0;

	for (struct dma_engine *at = wiring->machine->engines; at && count < ENGINES;
	     at = at->next) {
		if (!same(at->ops->name, "testdev") && !same(at->ops->name, "edu"))
			continue;
		wiring->engines[count++] = (struct agree_engine){
			.name = at->ops->name,
			.requester = at->pci->alias_count ? at->pci->aliases[0] : at->pci->rid,
			.can_fetch = at->ops->abilities & DMA_CAN_FETCH,
			.fast = at->ops->abilities & DMA_IS_FAST,
			.ctx = at,
			.fetch = engine_fetch,
			.store = engine_store,
		};
	}
	return count;
}

/* Host address width and the only unit's registers (VT-d specification 5.10, 8.1, 8.3). */
static const char *unit_find(struct wiring *wiring, uint8_t *haw)
{
	const struct acpi *acpi = &wiring->machine->acpi;
	const uint8_t *table = acpi->dmar;
	unsigned units = 0;

	if (!wiring->machine->has_acpi || !table || acpi->dmar_bytes < DMAR_HEADER)
		return "no VT-d unit: firmware has no DMAR table";
	*haw = (uint8_t)(table[DMAR_HAW] + 1);
	for (size_t at = DMAR_HEADER; at + 4 <= acpi->dmar_bytes;) {
		uint16_t type, bytes, segment;
		memcpy(&type, table + at, sizeof(type));
		memcpy(&bytes, table + at + 2, sizeof(bytes));
		if (bytes < 4 || bytes > acpi->dmar_bytes - at)
			return "the DMAR table has a structure of a wrong length";
		if (type == DMAR_DRHD && bytes >= DRHD_BYTES) {
			memcpy(&segment, table + at + DRHD_SEGMENT, sizeof(segment));
			memcpy(&wiring->base, table + at + DRHD_BASE, sizeof(wiring->base));
			units++;
			if (segment)
				return "the unit is not on PCI segment 0";
		}
		at += bytes;
	}
	return units == 1 ? NULL : "it takes a machine with exactly one VT-d unit";
}

static bool refuse(const char *why)
{
	kprintf("KTAP version 1\n1..1\nnot ok 1 - agreement: %s\n", why);
	return false;
}

static bool run(struct wiring *wiring, uint8_t haw, const struct agree_options *options)
{
	struct agree_bench bench = {
		.ctx = wiring,
		.haw = haw,
		/* Three quarters up the host's addresses: far above any RAM or device. */
		.hole = UINT64_C(3) << (haw - 2),
		.memory = memory_at,
		.now_ns = now,
		.alloc = object_alloc,
		.free = object_free,
		.engines = wiring->engines,
		.engine_count = engines_find(wiring),
		.out = console_print(),
		.replay = options->count == 1,
	};
	void *window = vm_map_mmio(wiring->base, 4096, false);
	uint64_t start_ns = time_ns();
	pa_t pages;
	bool good;

	if (!window)
		return refuse("the unit's registers cannot be mapped");
	if (vm_is_ram(bench.hole, UINT64_C(1) << 30)) {
		vm_unmap_mmio(window, 4096);
		return refuse("there is memory where no memory was expected");
	}
	if (kernel_os.page_alloc(kernel_os.ctx, 9, &pages)) {
		vm_unmap_mmio(window, 4096);
		return refuse("no 2 MiB of contiguous memory");
	}
	bench.unit = (struct mmio){.base = (uintptr_t)window, .bytes = 4096};
	bench.start = pages.value;
	good = agree_run(&bench, options, NULL);
	kprintf("# %u ms\n", (unsigned)((time_ns() - start_ns) / 1000000));
	/* A unit that did not switch off may still walk the tables: they are lost. */
	if (!(mmio_read32(&bench.unit, 0x1c) >> 31))
		kernel_os.page_free(kernel_os.ctx, pages, 9);
	vm_unmap_mmio(window, 4096);
	return good;
}

bool agree_machine(struct machine *machine, const char *text)
{
	struct wiring wiring = {.machine = machine};
	struct agree_options options;
	uint8_t haw = 0;
	const char *why;
	bool good;

	if (!agree_options_parse(text, &options))
		return refuse(
			"agree= is SEED,COUNT or SEED,COUNT,FIRST: numbers, decimal or 0x..., "
			"COUNT from 1 to 1000000");
	why = unit_find(&wiring, &haw);
	if (why)
		return refuse(why);
	if (haw < 36 || haw > 52)
		return refuse("the DMAR table's host address width is not from 36 to 52");
	iommu_disable(&machine->iommu);
	good = run(&wiring, haw, &options);
	if (iommu_enable(&machine->iommu)) {
		klog(IOMMU_LOG_ERROR, "agree: the units could not be taken over again");
		good = false;
	}
	return good;
}
