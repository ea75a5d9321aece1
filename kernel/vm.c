/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page tables: 4 levels, built once by vm_init and then changed only
 * in the device area. Intel SDM volume 3, 4.5 (paging), 11.12 (PAT).
 *
 * The address space:
 *   DIRECT_MAP_BASE      all usable RAM, write-back, writable, never executable;
 *                        the image's code and constants are read-only here too
 *   DEVICE_BASE          registers (uncached or write-combining), read-only views
 *                        of firmware tables, and the stacks of processors other than
 *                        the first, each with a gap on both sides
 *   KERNEL_VIRTUAL_BASE  the image: code R-X, constants R--, data RW-, and no page
 *                        where a stack's guard is
 * Nothing else is mapped: no page at address 0, no identity map, but for one page while
 * other processors start.
 *
 * Order of building: the boot code maps only the first 4 GiB, and the page
 * allocator writes into the memory that it manages. So the tables come first,
 * their pages cut from the largest usable range below 4 GiB; then the processor
 * is switched to them; then the page allocator is built over all memory but that.
 *
 * Lock order: areas_lock, then the heap's, then the pages'.
 */
#include "kernel/vm.h"

#include "arch/arch.h"
#include "iommu/string.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/kernel.h"
#include "kernel/lock.h"
#include "kernel/memory.h"
#include "kernel/smp.h"
#include "kernel/vm_private.h"

#define PTE_PRESENT   (UINT64_C(1) << 0)
#define PTE_WRITE     (UINT64_C(1) << 1)
#define PTE_PWT       (UINT64_C(1) << 3)
#define PTE_PCD       (UINT64_C(1) << 4)
#define PTE_LARGE     (UINT64_C(1) << 7)  /* levels 2 and 3 */
#define PTE_PAT_SMALL (UINT64_C(1) << 7)  /* level 1 */
#define PTE_PAT_LARGE (UINT64_C(1) << 12) /* levels 2 and 3 */
#define PTE_NX        (UINT64_C(1) << 63)
#define PTE_ADDRESS   UINT64_C(0x000ffffffffff000)

/* What map_range takes: PTE bits of a 4 KiB page. */
#define MAP_CODE    UINT64_C(0)
#define MAP_CONST   PTE_NX
#define MAP_DATA    (PTE_NX | PTE_WRITE)
#define MAP_DEVICE  (PTE_NX | PTE_WRITE | PTE_PCD | PTE_PWT) /* PAT 3: uncacheable */
#define MAP_COMBINE (PTE_NX | PTE_WRITE | PTE_PAT_SMALL) /* PAT 4: write-combining, see load_pat */

#define MSR_PAT     0x277
#define PAT_ENTRIES UINT64_C(0x0007040100070406) /* 0-3 as after reset, 4 is WC */

static uint64_t root; /* physical address of the level 4 table */
static uint64_t nx = PTE_NX;
static uint64_t ram_limit; /* of the direct map, and of the processor's addresses */

/* Page-table pages: from [early_next, early_end) until the page allocator is there. */
static uint64_t early_next, early_end;
static bool has_allocator;

/* The memory map, kept for vm_is_ram. */
static struct boot_memory ram_map[BOOT_MAX_MEMORY];
static size_t ram_map_count;

/* ---- walking ------------------------------------------------------------------------ */

static uint64_t *table_at(uint64_t physical)
{
	return (uint64_t *)(DIRECT_MAP_BASE + (physical & PTE_ADDRESS));
}

static unsigned level_shift(unsigned level)
{
	return 12 + 9 * (level - 1);
}

static uint64_t *entry_at(uint64_t table, uint64_t address, unsigned level)
{
	return &table_at(table)[address >> level_shift(level) & 511];
}

bool vm_translate(uint64_t address, uint64_t *physical, bool *writable, bool *executable)
{
	uint64_t table = cpu_cr3();
	bool write = true, execute = true;

	if ((uint64_t)((int64_t)(address << 16) >> 16) != address)
		return false; /* not canonical */
	for (unsigned level = 4; level >= 1; level--) {
		uint64_t entry = *entry_at(table, address, level);
		if (!(entry & PTE_PRESENT))
			return false;
		write = write && entry & PTE_WRITE;
		execute = execute && !(entry & PTE_NX);
		table = entry;
		if (level == 1 || entry & PTE_LARGE) {
			uint64_t mask = (UINT64_C(1) << level_shift(level)) - 1;
			if (physical)
				*physical = (entry & PTE_ADDRESS & ~mask) | (address & mask);
			break;
		}
	}
	if (writable)
		*writable = write;
	if (executable)
		*executable = execute;
	return true;
}

bool vm_is_ram(uint64_t address, uint64_t bytes)
{
	uint64_t start, end;

	return page_map_next(ram_map, ram_map_count, NULL, 0, address, &start, &end) &&
	       start - address < bytes;
}

/* ---- changing ----------------------------------------------------------------------- */

/** A zeroed page for a table: its physical address, or 0 if there is none. */
static uint64_t table_alloc(void)
{
	pa_t page;

	if (has_allocator) {
		if (page_alloc(&kernel_pages, 0, &page) != 0)
			return 0;
	} else {
		if (early_next == early_end)
			return 0;
		page = pa(early_next);
		early_next += PAGE_SIZE_4K;
	}
	memset(table_at(page.value), 0, PAGE_SIZE_4K);
	return page.value;
}

/** Map one page of 2^shift bytes, unless something is there.
 *  @return how many bytes are now mapped from @p address on, 0 for want of memory. */
static uint64_t map_one(uint64_t address, uint64_t physical, unsigned shift, uint64_t flags)
{
	uint64_t table = root;

	for (unsigned level = 4;; level--) {
		uint64_t *entry = entry_at(table, address, level);
		uint64_t size = UINT64_C(1) << level_shift(level);
		bool leaf = level == 1 || *entry & PTE_LARGE;
		if (*entry & PTE_PRESENT && leaf)
			return size - (address & (size - 1));
		if (!(*entry & PTE_PRESENT)) {
			if (level_shift(level) == shift) {
				if (level > 1 && flags & PTE_PAT_SMALL)
					flags |= PTE_PAT_LARGE;
				if (level > 1)
					flags |= PTE_LARGE;
				*entry = physical | PTE_PRESENT | (flags & ~(PTE_NX & ~nx));
				return size;
			}
			uint64_t page = table_alloc();
			if (!page)
				return 0;
			/* Rights are decided by the last level. */
			*entry = page | PTE_PRESENT | PTE_WRITE;
		}
		table = *entry;
		/* A table is where a large page was wanted: fill it with smaller ones. */
		if (level_shift(level) == shift)
			shift -= 9;
	}
}

static unsigned largest_shift(uint64_t address, uint64_t physical, uint64_t bytes)
{
	uint64_t both = address | physical;

	if (cpu_features.gigabyte_pages && !(both & (PAGE_SIZE_1G - 1)) && bytes >= PAGE_SIZE_1G)
		return PAGE_SHIFT_1G;
	if (!(both & (PAGE_SIZE_2M - 1)) && bytes >= PAGE_SIZE_2M)
		return PAGE_SHIFT_2M;
	return PAGE_SHIFT_4K;
}

/** Map whole pages in the largest sizes that fit. What is mapped already stays as it
 *  is. -ENOMEM leaves a part mapped: the caller unmaps. */
static int map_range(uint64_t address, uint64_t physical, uint64_t bytes, uint64_t flags)
{
	while (bytes) {
		unsigned shift = largest_shift(address, physical, bytes);
		uint64_t done = map_one(address, physical, shift, flags);
		if (!done)
			return -ENOMEM;
		if (done > bytes)
			done = bytes;
		address += done;
		physical += done;
		bytes -= done;
	}
	return 0;
}

/** Clear the entries of [address, last] below @p table and give back tables that
 *  become empty. Only in the device area and in the lower half, where every table is the
 *  allocator's. Every processor forgets a table before its page has another use. */
static void clear_range(uint64_t table, unsigned level, uint64_t address, uint64_t last)
{
	uint64_t size = UINT64_C(1) << level_shift(level);

	for (;;) {
		uint64_t *entry = entry_at(table, address, level);
		uint64_t entry_last = address | (size - 1);
		uint64_t stop = entry_last < last ? entry_last : last;
		if (*entry & PTE_PRESENT && (level == 1 || *entry & PTE_LARGE)) {
			*entry = 0;
		} else if (*entry & PTE_PRESENT) {
			uint64_t below = *entry & PTE_ADDRESS;
			clear_range(below, level - 1, address, stop);
			unsigned i = 0;
			while (i < 512 && !table_at(below)[i])
				i++;
			if (i == 512) {
				*entry = 0;
				smp_flush_translations();
				if (page_free(&kernel_pages, pa(below), 0) != 0)
					klog(IOMMU_LOG_ERROR, "vm: the table at %#llx is kept: %s",
					     (unsigned long long)below,
					     "it is not the allocator's");
			}
		}
		if (entry_last >= last)
			return;
		address = entry_last + 1;
	}
}

/* ---- building ------------------------------------------------------------------------- */

/** Cut the pages for tables from the largest usable range below 4 GiB. */
static void early_pages(const struct boot_info *info, const struct boot_memory *keep,
                        size_t keep_count)
{
	uint64_t start, end, best = 0;

	for (uint64_t at = UINT64_C(0x100000);
	     page_map_next(info->memory, info->memory_count, keep, keep_count, at, &start, &end) &&
	     start < UINT64_C(1) << 32;
	     at = end) {
		uint64_t first = (start + PAGE_SIZE_4K - 1) & ~(PAGE_SIZE_4K - 1);
		uint64_t stop = end & ~(PAGE_SIZE_4K - 1);
		if (stop > UINT64_C(1) << 32)
			stop = UINT64_C(1) << 32;
		if (first < stop && stop - first > best) {
			best = stop - first;
			early_next = first;
			early_end = stop;
		}
	}
	if (!best)
		panic("the memory map has no usable memory between 1 MiB and 4 GiB");
}

static void must_map(uint64_t address, uint64_t physical, uint64_t bytes, uint64_t flags)
{
	if (map_range(address, physical, bytes, flags) != 0)
		panic("the memory below 4 GiB is too small for page tables of all RAM");
}

static bool is_guard(uint64_t address)
{
	const struct cpu_stack *stack;

	for (unsigned i = 0; (stack = cpu_stack(i)) != NULL; i++)
		if (stack->guard && address == stack->guard)
			return true;
	return false;
}

/** The image, by its sections; @p image is where kernel_text_start lies. */
static void map_image(uint64_t image)
{
	const uint64_t base = (uint64_t)kernel_text_start;
	uint64_t text = (uint64_t)kernel_text_end - base;
	uint64_t rodata = (uint64_t)kernel_rodata_start;

	must_map(base, image, (text + 4095) & ~UINT64_C(4095), MAP_CODE);
	must_map(rodata, image + rodata - base,
	         ((uint64_t)kernel_rodata_end - rodata + 4095) & ~UINT64_C(4095), MAP_CONST);
	for (uint64_t at = (uint64_t)kernel_data_start; at < (uint64_t)kernel_end; at += 4096)
		if (!is_guard(at))
			must_map(at, image + at - base, 4096, MAP_DATA);
}

/** RAM, with the image's code and constants read-only. */
static void map_ram(const struct boot_info *info, uint64_t image)
{
	uint64_t fixed_end = image + (uint64_t)kernel_rodata_end - (uint64_t)kernel_text_start;
	uint64_t start, end;

	fixed_end &= ~UINT64_C(4095);
	must_map(DIRECT_MAP_BASE + image, image, fixed_end - image, MAP_CONST);
	for (uint64_t at = PAGE_SIZE_4K;
	     page_map_next(info->memory, info->memory_count, NULL, 0, at, &start, &end); at = end) {
		uint64_t first = (start + PAGE_SIZE_4K - 1) & ~(PAGE_SIZE_4K - 1);
		uint64_t stop = end & ~(PAGE_SIZE_4K - 1);
		if (stop > ram_limit)
			stop = ram_limit;
		if (first < stop)
			must_map(DIRECT_MAP_BASE + first, first, stop - first, MAP_DATA);
	}
	/* Modules are read through the direct map, wherever the loader put them. */
	for (unsigned i = 0; i < info->module_count; i++) {
		const struct boot_module *module = &info->modules[i];
		uint64_t first = module->start & ~(PAGE_SIZE_4K - 1);
		if (module->bytes && module->start < ram_limit &&
		    module->bytes <= ram_limit - module->start)
			must_map(DIRECT_MAP_BASE + first, first,
			         (module->start + module->bytes - first + 4095) & ~UINT64_C(4095),
			         MAP_CONST);
	}
}

void vm_load(void)
{
	const uint64_t cr4_pge = 1 << 7;

	/* Entry 4 has no user yet, so no line is cached under another type. */
	cpu_msr_write(MSR_PAT, PAT_ENTRIES);
	cpu_set_cr4(cpu_cr4() & ~cr4_pge); /* global entries of the old tables go as well */
	cpu_set_cr3(root);
}

static struct boot_memory range(uint64_t start, uint64_t bytes)
{
	return (struct boot_memory){.start = start, .bytes = bytes, .kind = BOOT_MEMORY_RESERVED};
}

void vm_init(const struct boot_info *info)
{
	static struct boot_memory keep[BOOT_MAX_MODULES + 5];
	const uint64_t cr4_la57 = 1 << 12;
	size_t count = 0;
	uint64_t image, image_last, info_at;

	if (cpu_cr4() & cr4_la57)
		panic("vm: the loader left 5-level paging on; 4 levels are wanted");
	uint64_t stack = (uint64_t)__builtin_frame_address(0);
	if (stack < (uint64_t)kernel_data_start || stack >= (uint64_t)kernel_end)
		panic("vm: the stack at %#llx is not in the image", (unsigned long long)stack);
	if (!vm_translate((uint64_t)kernel_text_start, &image, NULL, NULL) ||
	    !vm_translate((uint64_t)kernel_end - 1, &image_last, NULL, NULL) ||
	    image_last - image != (uint64_t)kernel_end - 1 - (uint64_t)kernel_text_start)
		panic("vm: the image is not one piece of physical memory");
	if (!vm_translate((uint64_t)info, &info_at, NULL, NULL))
		panic("vm: the boot information at %p is not mapped", (const void *)info);

	if (!cpu_features.nx) {
		nx = 0;
		klog(IOMMU_LOG_WARNING, "this processor has no NX: data can be executed");
	}
	ram_limit = UINT64_C(1) << cpu_features.physical_bits;
	if (ram_limit > DIRECT_MAP_BYTES)
		ram_limit = DIRECT_MAP_BYTES;
	memcpy(ram_map, info->memory, sizeof(ram_map));
	ram_map_count = info->memory_count;

	keep[count++] = range(info->kernel_start, info->kernel_end - info->kernel_start);
	keep[count++] = range(image, image_last - image + 1);
	keep[count++] = range(info_at & ~UINT64_C(4095), sizeof(*info) + 4096);
	keep[count++] = range(ram_limit, UINT64_MAX - ram_limit);
	for (unsigned i = 0; i < info->module_count; i++)
		keep[count++] = range(info->modules[i].start, info->modules[i].bytes);

	early_pages(info, keep, count);
	uint64_t early_start = early_next;
	root = table_alloc();
	map_image(image);
	map_ram(info, image);
	keep[count++] = range(early_start, early_next - early_start);
	console_unmap();
	vm_load();
	cpu_forbid_user();

	if (memory_init(info->memory, info->memory_count, keep, count) != 0)
		panic("no usable range of memory holds the page allocator's bookkeeping");
	has_allocator = true;
	console_map();
}

/* ---- the device area ------------------------------------------------------------------- */

struct area {
	struct area *next;     /* by ascending address */
	uint64_t start, bytes; /* whole pages */
	uint64_t physical;
	bool is_table;
};

static struct area *areas;
static struct spinlock areas_lock;

/** The first place for @p bytes that begins like @p physical modulo @p alignment and
 *  leaves a page free on both sides. @return where to link it, or NULL. */
static struct area **find_place(uint64_t physical, uint64_t bytes, uint64_t alignment,
                                uint64_t *start)
{
	uint64_t from = DEVICE_BASE + PAGE_SIZE_4K;

	for (struct area **link = &areas;; link = &(*link)->next) {
		uint64_t limit = *link ? (*link)->start : DEVICE_BASE + DEVICE_BYTES;
		uint64_t at = from + ((physical - from) & (alignment - 1));
		if (at < limit && limit - at > bytes) {
			*start = at;
			return link;
		}
		if (!*link)
			return NULL;
		from = (*link)->start + (*link)->bytes + PAGE_SIZE_4K;
	}
}

static void unmap_area(const struct area *area)
{
	clear_range(root, 4, area->start, area->start + area->bytes - 1);
	smp_flush_translations();
}

static struct area *map_area(uint64_t physical, uint64_t bytes, uint64_t flags)
{
	uint64_t alignment = PAGE_SIZE_4K, start;

	if (bytes >= PAGE_SIZE_1G && cpu_features.gigabyte_pages)
		alignment = PAGE_SIZE_1G;
	else if (bytes >= PAGE_SIZE_2M)
		alignment = PAGE_SIZE_2M;
	struct area **link = find_place(physical, bytes, alignment, &start);
	struct area *area = link ? heap_alloc(sizeof(*area)) : NULL;
	if (!area)
		return NULL;
	*area = (struct area){.next = *link, .start = start, .bytes = bytes, .physical = physical};
	if (map_range(start, physical, bytes, flags) != 0) {
		unmap_area(area);
		heap_free(area, sizeof(*area));
		return NULL;
	}
	*link = area;
	return area;
}

/** Round to pages. @return false for an empty range or one beyond the processor's
 *  address bits. */
static bool whole_pages(uint64_t physical, uint64_t bytes, uint64_t *first, uint64_t *size)
{
	uint64_t limit = UINT64_C(1) << cpu_features.physical_bits;

	if (!has_allocator || !bytes || physical >= limit || bytes > limit - physical)
		return false;
	*first = physical & ~(PAGE_SIZE_4K - 1);
	*size = (physical + bytes - *first + PAGE_SIZE_4K - 1) & ~(PAGE_SIZE_4K - 1);
	return true;
}

void *vm_map_mmio(uint64_t physical, uint64_t bytes, bool write_combining)
{
	uint64_t first, size;

	/* RAM is mapped write-back: a second view of another type is undefined. */
	if (!whole_pages(physical, bytes, &first, &size) || vm_is_ram(physical, bytes))
		return NULL;
	uint64_t flags = spin_lock(&areas_lock);
	const struct area *area = map_area(first, size, write_combining ? MAP_COMBINE : MAP_DEVICE);
	spin_unlock(&areas_lock, flags);
	return area ? (void *)(area->start + (physical - first)) : NULL;
}

void vm_unmap_mmio(void *address, uint64_t bytes)
{
	uint64_t at = (uint64_t)address;
	struct area *area, **link;

	if (!address)
		return;
	uint64_t flags = spin_lock(&areas_lock);
	for (link = &areas; (area = *link) != NULL; link = &area->next)
		if (at >= area->start && at - area->start < PAGE_SIZE_4K && !area->is_table &&
		    bytes <= area->bytes)
			break;
	if (area) {
		unmap_area(area);
		*link = area->next;
	}
	spin_unlock(&areas_lock, flags);
	if (!area)
		panic("vm_unmap_mmio(%p, %#llx): no such mapping", address,
		      (unsigned long long)bytes);
	heap_free(area, sizeof(*area));
}

const void *vm_map_table(uint64_t physical, uint64_t bytes)
{
	uint64_t first, size;
	struct area *area;

	if (!whole_pages(physical, bytes, &first, &size))
		return NULL;
	uint64_t flags = spin_lock(&areas_lock);
	/* A table's header is asked for first, then all of it: often the same page. */
	for (area = areas; area; area = area->next)
		if (area->is_table && first >= area->physical && size <= area->bytes &&
		    first - area->physical <= area->bytes - size)
			break;
	if (!area) {
		area = map_area(first, size, MAP_CONST);
		if (area)
			area->is_table = true;
	}
	spin_unlock(&areas_lock, flags);
	return area ? (const void *)(area->start + (physical - area->physical)) : NULL;
}

/* ---- for other processors ---------------------------------------------------------------- */

static unsigned stack_order(uint64_t bytes)
{
	unsigned order = 0;

	while (PAGE_SIZE_4K << order < bytes)
		order++;
	return order;
}

bool vm_stack_alloc(uint64_t bytes, uint64_t *bottom, uint64_t *top)
{
	unsigned order = stack_order(bytes);
	pa_t run;

	if (page_alloc(&kernel_pages, order, &run) != 0)
		return false;
	uint64_t flags = spin_lock(&areas_lock);
	const struct area *area = map_area(run.value, PAGE_SIZE_4K << order, MAP_DATA);
	spin_unlock(&areas_lock, flags);
	if (!area) {
		if (page_free(&kernel_pages, run, order) != 0)
			panic("vm: the run at %#llx cannot be freed",
			      (unsigned long long)run.value);
		return false;
	}
	*bottom = area->start;
	*top = area->start + area->bytes;
	return true;
}

void vm_stack_free(uint64_t bottom)
{
	struct area *area, **link;

	uint64_t flags = spin_lock(&areas_lock);
	for (link = &areas; (area = *link) != NULL && area->start != bottom; link = &area->next)
		;
	if (area) {
		unmap_area(area);
		*link = area->next;
	}
	spin_unlock(&areas_lock, flags);
	if (!area || page_free(&kernel_pages, pa(area->physical), stack_order(area->bytes)) != 0)
		panic("vm: there is no stack at %#llx", (unsigned long long)bottom);
	heap_free(area, sizeof(*area));
}

bool vm_identity_map(uint64_t start, uint64_t bytes, bool code)
{
	uint64_t flags = spin_lock(&areas_lock);
	int result = map_range(start, start, bytes, code ? MAP_CODE : MAP_DATA);
	spin_unlock(&areas_lock, flags);
	if (result != 0)
		vm_identity_unmap(start, bytes);
	return result == 0;
}

void vm_identity_unmap(uint64_t start, uint64_t bytes)
{
	uint64_t flags = spin_lock(&areas_lock);

	clear_range(root, 4, start, start + bytes - 1);
	smp_flush_translations();
	spin_unlock(&areas_lock, flags);
}

uint64_t vm_root(void)
{
	return root;
}

void vm_flush(void)
{
	cpu_set_cr3(root);
}
