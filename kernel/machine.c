/* SPDX-License-Identifier: MIT */
/* Wiring of the machine: see machine.h. */
#include "kernel/machine.h"

#include "iommu/string.h"
#include "kernel/builtin.h"
#include "kernel/kernel.h"
#include "kernel/memory.h"
#include "kernel/os.h"
#include "kernel/pci_machine.h"
#include "kernel/smp.h"
#include "vtd/vtd.h"

/* ---- firmware tables ------------------------------------------------------------ */

static const void *table_map(void *ctx, uint64_t address, uint64_t bytes)
{
	(void)ctx;
	return vm_map_table(address, bytes);
}

static void acpi_find(struct machine *machine)
{
	const struct acpi_source source = {
		.map = table_map,
		.rsdp = machine->boot->rsdp,
		.log = console_print(),
	};
	machine->has_acpi = acpi_read(&source, &machine->acpi) == 0;
	if (!machine->has_acpi)
		klog(IOMMU_LOG_WARNING, "no ACPI tables: no IOMMU can be found, PCI by ports, one "
		                        "processor");
}

/* ---- devices -------------------------------------------------------------------- */

static void devices_find(struct machine *machine)
{
	struct pci_range ranges[ACPI_MAX_MCFG + 8];
	size_t count = 0;
	int error = pci_machine_init(&machine->acpi, &machine->pci_access, ranges,
	                             ARRAY_SIZE(ranges), &count);
	if (!error)
		error = pci_scan(&machine->pci, &machine->pci_access, &kernel_os, ranges, count,
		                 console_print());
	if (error)
		panic("PCI cannot be scanned: %s", iommu_errno_name(error));
}

static void devices_add(struct machine *machine)
{
	for (struct pci_device *pci = machine->pci.devices; pci; pci = pci->next) {
		struct iommu_device_desc desc;
		pci_describe(pci, &desc);
		int error = iommu_device_add(&machine->iommu, &desc, &pci->iommu);
		if (error == -ENOMEM)
			panic("no memory for device %s", desc.name);
		if (error)
			klog(IOMMU_LOG_WARNING, "%s: not known to the IOMMU core: %s", desc.name,
			     iommu_errno_name(error));
	}
}

/* ---- memory of programs ------------------------------------------------------------ */

static int backing_alloc(void *ctx, unsigned order, pa_t *out)
{
	(void)ctx;
	return memory_page_alloc(order, out);
}

static int backing_free(void *ctx, pa_t run, unsigned order)
{
	return page_free(ctx, run, order);
}

static int backing_pin(void *ctx, pa_t address)
{
	return page_pin(ctx, address);
}

static int backing_unpin(void *ctx, pa_t address)
{
	return page_unpin(ctx, address);
}

static const struct user_backing page_backing = {
	.ctx = &kernel_pages,
	.alloc = backing_alloc,
	.free = backing_free,
	.pin = backing_pin,
	.unpin = backing_unpin,
	.max_order = PAGE_MAX_ORDER,
};

#define ECAP_SMTS (UINT64_C(1) << 43) /* VT-d specification 11.4.3 */

/* ---- the core ------------------------------------------------------------------- */

/* The mock unit and two devices behind it are always there, for scenarios that name them. */
static void mock_init(struct machine *machine)
{
	bool failed = iommu_probe(&machine->iommu, &ufd_mock_driver, NULL) < 0;
	for (unsigned i = 0; i < MACHINE_MOCK_DEVICES && !failed; i++) {
		struct iommu_device *device;
		failed = ufd_mock_device_add(&machine->iommu, RID(0, 1 + i, 0), &device) != 0;
		if (failed)
			break;
		mock_engine_init(&machine->mocks[i], &kernel_os, device);
		if (i)
			machine->mocks[i - 1].engine.next = &machine->mocks[i].engine;
	}
	if (failed)
		panic("no memory for the mock IOMMU");
}

/* The model of a unit, if it was asked for. The core's hooks go through it: it sees only
 * memory that was handed out by them. */
static void model_init(struct machine *machine)
{
	const char *name = machine->options.model;
	const struct model_platform_options options = {.config = model_preset_find(name)};

	if (!name[0])
		return;
	/* A unit that refuses would keep the real ones from being taken over. */
	if (machine->options.mode == IOMMU_MODE_SCALABLE && !(options.config->ecap & ECAP_SMTS)) {
		klog(IOMMU_LOG_ERROR,
		     "model=%s: no model: it has no scalable mode, and vtd=scalable asks for it",
		     name);
		return;
	}
	int error = model_platform_init(&machine->model, &kernel_os, &page_backing, &options);
	if (error)
		klog(IOMMU_LOG_ERROR, "model=%s: no model: %s", name, iommu_errno_name(error));
	machine->has_model = !error;
}

static void model_attach(struct machine *machine)
{
	if (!machine->has_model)
		return;
	int error = model_platform_attach(&machine->model, &machine->iommu);
	if (error == -ENOMEM)
		panic("no memory for the model's devices");
	if (error)
		klog(IOMMU_LOG_ERROR, "model=%s: the driver cannot use this unit: %s",
		     machine->options.model, iommu_errno_name(error));
}

static void units_find(struct machine *machine)
{
	const struct acpi *acpi = &machine->acpi;
	const struct iommu_options options = {.mode = machine->options.mode};

	model_init(machine);
	if (iommu_init(&machine->iommu, machine->has_model ? &machine->model.os : &kernel_os,
	               &options))
		panic("no memory for the IOMMU core");
	mock_init(machine);
	model_attach(machine);
	if (machine->options.vtd_off) {
		klog(IOMMU_LOG_WARNING, "vtd=off: remapping units are left as firmware has them");
		return;
	}
	if (!machine->has_acpi || !acpi->dmar) {
		klog(IOMMU_LOG_WARNING, "no IOMMU: firmware has no DMAR table (in QEMU: -device "
		                        "intel-iommu); the mock IOMMU still works");
		return;
	}
	const struct iommu_firmware firmware = {.table = acpi->dmar, .bytes = acpi->dmar_bytes};
	int units = iommu_probe(&machine->iommu, &vtd_driver, &firmware);
	if (units < 0)
		klog(IOMMU_LOG_ERROR, "no IOMMU: the DMAR table was refused (%s)",
		     iommu_errno_name(units));
	else
		machine->units = (unsigned)units;
}

/* ---- the platform of scenarios ------------------------------------------------------ */

static uint64_t platform_now(void *ctx)
{
	(void)ctx;
	return time_ns();
}

static void platform_wait(void *ctx)
{
	struct machine *machine = ctx;

	time_delay_us(50);
	if (machine->has_model) {
		model_platform_relax(&machine->model, 0); /* time has passed by itself */
		model_platform_pump(&machine->model);
	}
}

static void platform_devices(void *ctx, struct iommu_print *to)
{
	struct machine *machine = ctx;
	for (const struct pci_device *pci = machine->pci.devices; pci; pci = pci->next) {
		const struct iommu_device *device = pci->iommu;
		iommu_printf(to, "%-12s %04x:%04x  group %-3u %-6s %s\n",
		             device ? device->desc.name : "?", pci->vendor, pci->device, pci->group,
		             device && device->unit ? device->unit->name : "-",
		             pci_class_name(pci->class_code));
	}
	if (!machine->has_model)
		return;
	for (const struct dma_engine *engine = model_platform_engines(&machine->model); engine;
	     engine = engine->next)
		iommu_printf(to, "%-12s                      %-6s simulated, behind the model\n",
		             engine->pci->iommu->desc.name,
		             engine->pci->iommu->unit ? engine->pci->iommu->unit->name : "-");
}

static void platform_memory(void *ctx, struct iommu_print *to)
{
	(void)ctx;
	iommu_printf(to, "%llu MiB usable, %llu MiB free, %llu runs pinned\n",
	             (unsigned long long)kernel_pages.usable_pages >> 8,
	             (unsigned long long)page_free_count(&kernel_pages) >> 8,
	             (unsigned long long)page_pinned_count(&kernel_pages));
}

static bool name_matches(const char *wanted, const char *name)
{
	while (*wanted && *wanted == *name)
		wanted++, name++;
	if (*wanted == *name)
		return true;
	/* a module is a file: "x.scn" answers to "x" */
	return !*wanted && name[0] == '.' && name[1] == 's' && name[2] == 'c' && name[3] == 'n' &&
	       !name[4];
}

static const char *module_name(const struct boot_module *module)
{
	const char *name = module->name;
	for (const char *at = module->name; *at; at++)
		if (*at == '/')
			name = at + 1;
	return name;
}

static int platform_file(void *ctx, const char *name, const char **text, size_t *bytes)
{
	const struct machine *machine = ctx;
	for (uint32_t i = 0; i < machine->boot->module_count; i++) {
		const struct boot_module *module = &machine->boot->modules[i];
		if (name_matches(name, module_name(module))) {
			*text = vm_direct(module->start);
			*bytes = module->bytes;
			return 0;
		}
	}
	for (const struct builtin_file *file = builtin_files; file->name; file++) {
		if (name_matches(name, file->name)) {
			*text = file->start;
			*bytes = file->bytes;
			return 0;
		}
	}
	return -ENOENT;
}

static const char *platform_file_name(void *ctx, unsigned index)
{
	const struct machine *machine = ctx;
	if (index < machine->boot->module_count)
		return module_name(&machine->boot->modules[index]);
	index -= machine->boot->module_count;
	for (const struct builtin_file *file = builtin_files; file->name; file++)
		if (index-- == 0)
			return file->name;
	return NULL;
}

void machine_init(struct machine *machine, const struct boot_info *boot,
                  const struct kernel_options *options)
{
	machine->boot = boot;
	machine->options = *options;
	acpi_find(machine);
	apic_init(&machine->acpi);
	time_init(&machine->acpi);
	power_init(&machine->acpi);
	smp_start(&machine->acpi, boot);

	devices_find(machine);
	units_find(machine);
	devices_add(machine);
	int error = iommu_enable(&machine->iommu);
	if (error) {
		klog(IOMMU_LOG_ERROR, "the IOMMU could not be taken over: %s",
		     iommu_errno_name(error));
		machine->units = 0;
	}
	machine->engines = dma_engines_probe(&machine->pci, &kernel_os, console_print());
	smp_join();

	const struct user_backing *backing =
		machine->has_model ? &machine->model.backing : &page_backing;
	if (user_memory_init(&machine->memory, &kernel_os, backing) ||
	    ufd_init(&machine->ufd, &machine->iommu, &user_memory_ops, &machine->memory))
		panic("no memory for the iommufd interface");
	machine->platform = (struct scn_platform){
		.iommu = &machine->iommu,
		.ufd = &machine->ufd,
		.memory = &machine->memory,
		.engines = machine->engines,
		.mock_engines = &machine->mocks[0].engine,
		.mock_by_name = true,
		.out = console_print(),
		.machine = machine->units       ? "hardware"
	                   : machine->has_model ? "no hardware, model"
	                                        : "no IOMMU",
		.model = machine->has_model ? &machine->model.scn : NULL,
		.model_engines =
			machine->has_model ? model_platform_engines(&machine->model) : NULL,
		.model_by_name = machine->units != 0,
		.ctx = machine,
		.now_ns = platform_now,
		.wait = platform_wait,
		.show_devices = platform_devices,
		.show_memory = platform_memory,
		.file = platform_file,
		.file_name = platform_file_name,
	};
}

void machine_exit(struct machine *machine)
{
	dma_engines_remove(machine->engines);
	machine->engines = NULL;
	iommu_disable(&machine->iommu);
}

static const char *const boot_paths[] = {
	[BOOT_MULTIBOOT2] = "Multiboot2",
	[BOOT_PVH] = "PVH",
	[BOOT_EFI] = "UEFI",
};

static bool is_of_machine(uint16_t segment)
{
	return segment != UFD_MOCK_SEGMENT && segment != MODEL_SEGMENT;
}

void machine_print(const struct machine *machine, struct iommu_print *to)
{
	unsigned groups = 0;
	for (const struct iommu_group *group = machine->iommu.groups; group; group = group->next)
		groups += group->devices && is_of_machine(group->devices->desc.segment);
	iommu_printf(to, "boot     %s%s%s\n", boot_paths[machine->boot->path],
	             machine->boot->loader[0] ? ", " : "", machine->boot->loader);
	iommu_printf(to, "memory   %llu MiB, %llu MiB free\n",
	             (unsigned long long)kernel_pages.usable_pages >> 8,
	             (unsigned long long)page_free_count(&kernel_pages) >> 8);
	smp_print(to);
	iommu_printf(to, "pci      %u functions in %u groups\n", machine->pci.count, groups);
	for (struct iommu_unit *unit = machine->iommu.units; unit; unit = unit->next)
		if (unit->enabled && is_of_machine(unit->segment))
			iommu_printf(to, "%-8s %s mode, taken over; every device is blocked\n",
			             unit->name,
			             unit->mode == IOMMU_MODE_SCALABLE ? "scalable" : "legacy");
		else if (unit->enabled && unit->segment == MODEL_SEGMENT)
			iommu_printf(to,
			             "%-8s %s mode, a model, no hardware: %s, with %d devices\n",
			             unit->name,
			             unit->mode == IOMMU_MODE_SCALABLE ? "scalable" : "legacy",
			             machine->options.model, MODEL_DEVICES);
	for (const struct dma_engine *engine = machine->engines; engine; engine = engine->next)
		iommu_printf(to, "engine   %s at %s, masters DMA on command\n", engine->ops->name,
		             engine->pci->iommu ? engine->pci->iommu->desc.name : "?");
}
