/* SPDX-License-Identifier: MIT */
/*
 * The table of engines, finding them on the bus, and what their drivers share.
 *
 * A device has at most one engine: pci->claimed points to it. Whatever probe did,
 * a device that is not an engine in the list is left with bus mastering off and
 * none of its BARs mapped, so a driver's probe simply returns its error.
 */
#include "dev/driver.h"

#include "iommu/string.h"

const struct dma_engine_ops *const dma_engine_table[] = {
	&dma_engine_testdev,
	&dma_engine_edu,
	&dma_engine_nvme,
	NULL,
};

enum {
	PCI_COMMAND = 0x04,
	PCI_COMMAND_MEMORY = 1 << 1,
};

void engine_log(const struct dma_engine *engine, enum iommu_log_level level, const char *format,
                ...)
{
	char text[160];
	va_list args;
	va_start(args, format);
	iommu_vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const struct pci_device *pci = engine->pci;
	iommu_log(engine->os, level, "%s %04x:%02x:%02x.%u: %s", engine->ops->name, pci->segment,
	          RID_BUS(pci->rid), RID_DEVICE(pci->rid), RID_FUNCTION(pci->rid), text);
}

const char *engine_error_name(int error)
{
	const char *name = iommu_errno_name(error);
	return name ? name : "unknown error";
}

int engine_map_bar(struct dma_engine *engine, unsigned index, uint64_t least)
{
	const struct pci_bar *bar = &engine->pci->bars[index];
	if (bar->bytes == 0 || bar->is_port) {
		engine_log(engine, IOMMU_LOG_ERROR, "BAR %u is not a memory BAR", index);
		return -ENODEV;
	}
	if (bar->base == 0) {
		engine_log(engine, IOMMU_LOG_ERROR, "firmware gave BAR %u no address", index);
		return -ENODEV;
	}
	if (bar->bytes < least) {
		engine_log(engine, IOMMU_LOG_ERROR, "BAR %u has %#llx bytes, registers need %#llx",
		           index, (unsigned long long)bar->bytes, (unsigned long long)least);
		return -ENODEV;
	}
	struct mmio *window = &engine->bar[index];
	int error = engine->os->mmio_map(engine->os->ctx, pa(bar->base), bar->bytes, window);
	if (error) {
		*window = (struct mmio){0};
		engine_log(engine, IOMMU_LOG_ERROR, "BAR %u at %#llx cannot be mapped: %s", index,
		           (unsigned long long)bar->base, engine_error_name(error));
	}
	return error;
}

void engine_decode_on(struct dma_engine *engine)
{
	uint32_t command = pci_read(engine->pci, PCI_COMMAND, 2);
	pci_write(engine->pci, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY);
}

int engine_check(const struct dma_engine *engine, iova_t at, uint32_t bytes)
{
	const struct dma_engine_ops *ops = engine->ops;
	if (bytes == 0 || bytes > ops->max_bytes || bytes % ops->granule || at.value % ops->granule)
		return -EINVAL;
	if (at.value + (bytes - 1) < at.value)
		return -EINVAL;
	return 0;
}

int engine_wait32(const struct dma_engine *engine, uint32_t offset, uint32_t mask, uint32_t want,
                  uint32_t stop, uint64_t timeout_ns, uint32_t *last)
{
	const struct iommu_os *os = engine->os;
	uint64_t start = os->now_ns(os->ctx);
	for (;;) {
		/* The time is read before the register: a processor that was held up
		 * between the two must not see a timeout where the device was done. */
		bool late = os->now_ns(os->ctx) - start >= timeout_ns;
		uint32_t value = mmio_read32(&engine->bar[0], offset);
		if (last)
			*last = value;
		if (value == UINT32_MAX)
			return -ENODEV;
		if ((value & mask) == want)
			return 0;
		if (value & stop)
			return -EIO;
		if (late)
			return -ETIMEDOUT;
		os->relax(os->ctx);
	}
}

int engine_fetch_refuse(struct dma_engine *engine, iova_t from, uint32_t bytes)
{
	(void)engine, (void)from, (void)bytes;
	return -EOPNOTSUPP;
}

/* Undo what the driver's probe did outside its device, and forget the engine. */
static void engine_free(struct dma_engine *engine)
{
	const struct iommu_os *os = engine->os;
	pci_master(engine->pci, false);
	for (unsigned i = 0; i < ARRAY_SIZE(engine->bar); i++)
		if (engine->bar[i].bytes)
			os->mmio_unmap(os->ctx, &engine->bar[i]);
	engine->pci->claimed = NULL;
	os->free(os->ctx, engine, sizeof(*engine));
}

static const struct dma_engine_ops *ops_find(const struct pci_device *pci)
{
	for (size_t i = 0; dma_engine_table[i]; i++)
		if (dma_engine_table[i]->match(pci))
			return dma_engine_table[i];
	return NULL;
}

struct dma_engine *dma_engines_probe(struct pci_bus *bus, const struct iommu_os *os,
                                     struct iommu_print *log)
{
	struct dma_engine *first = NULL, **tail = &first;
	for (struct pci_device *pci = bus->devices; pci; pci = pci->next) {
		const struct dma_engine_ops *ops = pci->claimed ? NULL : ops_find(pci);
		if (!ops)
			continue;
		struct dma_engine *engine = os->alloc(os->ctx, sizeof(*engine));
		int error = -ENOMEM;
		if (engine) {
			engine->ops = ops;
			engine->pci = pci;
			engine->os = os;
			pci->claimed = engine;
			error = ops->probe(engine);
			if (error)
				engine_free(engine);
		}
		if (error) {
			iommu_printf(log, "%s %04x:%02x:%02x.%u: not used: %s\n", ops->name,
			             pci->segment, RID_BUS(pci->rid), RID_DEVICE(pci->rid),
			             RID_FUNCTION(pci->rid), engine_error_name(error));
			continue;
		}
		*tail = engine;
		tail = &engine->next;
	}
	return first;
}

void dma_engines_remove(struct dma_engine *engines)
{
	while (engines) {
		struct dma_engine *next = engines->next;
		engines->ops->remove(engines);
		engine_free(engines);
		engines = next;
	}
}
