/* SPDX-License-Identifier: MIT */
/*
 * Looking at addresses, and explaining them to people: for panics, which take no lock.
 */
#include "kernel/cpu.h"
#include "kernel/kernel.h"
#include "kernel/vm.h"
#include "kernel/vm_private.h"

bool vm_readable(uint64_t address, uint64_t bytes)
{
	if (!bytes)
		return true;
	uint64_t last = address + bytes - 1;
	if (last < address)
		return false;
	for (uint64_t page = address >> 12; page <= last >> 12; page++)
		if (!vm_translate(page << 12, NULL, NULL, NULL))
			return false;
	return true;
}

static const char *image_part(uint64_t address)
{
	if (address >= (uint64_t)kernel_text_start && address < (uint64_t)kernel_text_end)
		return "the kernel's code, which is read-only";
	if (address >= (uint64_t)kernel_rodata_start && address < (uint64_t)kernel_rodata_end)
		return "the kernel's constants, which are read-only and not executable";
	if (address >= (uint64_t)kernel_data_start && address < (uint64_t)kernel_end)
		return "the kernel's data, which is not executable";
	return "no part of the kernel's image";
}

void vm_describe(uint64_t address, char *out, uint64_t size)
{
	const struct cpu_stack *stack;

	for (unsigned i = 0; (stack = cpu_stack(i)) != NULL; i++) {
		if (stack->guard && address - stack->guard < PAGE_SIZE_4K) {
			iommu_snprintf(out, size, "the guard page of %s: stack overflow",
			               stack->name);
			return;
		}
	}
	if (address < PAGE_SIZE_4K)
		iommu_snprintf(out, size, "page 0: a null pointer");
	else if (address < UINT64_C(1) << 47)
		iommu_snprintf(out, size, "the lower half, where nothing is mapped");
	else if (address < DIRECT_MAP_BASE)
		iommu_snprintf(out, size, "no address at all (not canonical)");
	else if (address - DIRECT_MAP_BASE < DIRECT_MAP_BYTES)
		iommu_snprintf(out, size, "the direct map, for physical %#llx, which is %s",
		               (unsigned long long)(address - DIRECT_MAP_BASE),
		               vm_is_ram(address - DIRECT_MAP_BASE, 1) ? "RAM" : "no usable RAM");
	else if (address >= DEVICE_BASE && address - DEVICE_BASE < DEVICE_BYTES)
		iommu_snprintf(out, size, "the device area");
	else if (address >= KERNEL_VIRTUAL_BASE)
		iommu_snprintf(out, size, "%s", image_part(address));
	else
		iommu_snprintf(out, size, "an address where nothing is ever mapped");
}
