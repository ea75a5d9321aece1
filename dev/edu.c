/* SPDX-License-Identifier: MIT */
/*
 * QEMU's `edu` device: a 4096-byte buffer and a DMA engine that moves bytes
 * between it and memory. Registers: QEMU's docs/specs/edu.rst.
 *
 * Each transfer takes 100 ms, because the device runs it from a timer. The
 * device says nothing of a transfer that was blocked: the run bit clears all the
 * same, and a blocked fetch leaves the buffer as it was or clears it. It masks
 * addresses to 28 bits unless QEMU was started with
 * `-device edu,dma_mask=0xffffffffffffffff`, and cannot be asked.
 *
 * QEMU before 8.0 ends the whole machine when a transfer leaves the buffer, and there a
 * transfer up to the buffer's last byte counts as leaving it. So half of the buffer is
 * used: a page takes two transfers, none of which crosses its boundary.
 */
#include "dev/driver.h"

enum {
	EDU_VENDOR = 0x1234,
	EDU_DEVICE = 0x11e8,

	EDU_ID = 0x00,    /* 0xRRrr00ed: major, minor version */
	EDU_CHECK = 0x04, /* reads the inverse of what was written */
	EDU_SOURCE = 0x80,
	EDU_TARGET = 0x88,
	EDU_COUNT = 0x90,
	EDU_COMMAND = 0x98,
	EDU_COMMAND_RUN = 1 << 0,
	EDU_COMMAND_TO_MEMORY = 1 << 1,

	EDU_BUFFER = 0x40000, /* the buffer, as the device's own addresses have it */
	EDU_MAX_BYTES = 2048, /* of its 4096 */
};

/* Fifty times what a transfer takes: the machine may be an emulator on a busy host. */
#define EDU_TIMEOUT_NS (5000 * NS_PER_MS)

static bool edu_match(const struct pci_device *pci)
{
	return pci->vendor == EDU_VENDOR && pci->device == EDU_DEVICE;
}

static int edu_wait_idle(struct dma_engine *engine)
{
	int error = engine_wait32(engine, EDU_COMMAND, EDU_COMMAND_RUN, 0, 0, EDU_TIMEOUT_NS, NULL);
	if (error == -ETIMEDOUT)
		engine_log(engine, IOMMU_LOG_ERROR, "transfer not done after %u ms",
		           (unsigned)(EDU_TIMEOUT_NS / NS_PER_MS));
	else if (error)
		engine_log(engine, IOMMU_LOG_ERROR, "registers read all ones");
	return error;
}

static int edu_probe(struct dma_engine *engine)
{
	int error = engine_map_bar(engine, 0, EDU_COMMAND + 8);
	if (error)
		return error;
	engine_decode_on(engine);

	const struct mmio *bar = &engine->bar[0];
	const uint32_t pattern = 0x5aa51234;
	uint32_t id = mmio_read32(bar, EDU_ID);
	mmio_write32(bar, EDU_CHECK, pattern);
	uint32_t check = mmio_read32(bar, EDU_CHECK);
	if ((id & 0xffff) != 0x00ed || check != ~pattern) {
		engine_log(engine, IOMMU_LOG_ERROR,
		           "not an edu device: identification %#x, wanted 0x....00ed; inverted "
		           "%#x, wanted %#x",
		           id, check, ~pattern);
		return -ENODEV;
	}
	/* A transfer of whoever was here before: it must not end in our memory. */
	error = edu_wait_idle(engine);
	if (error)
		return error;
	pci_master(engine->pci, true);
	return 0;
}

static void edu_remove(struct dma_engine *engine)
{
	/* If it does not end, bus mastering goes off all the same (see engine.c). */
	int error = edu_wait_idle(engine);
	(void)error;
}

static int edu_transfer(struct dma_engine *engine, uint64_t source, uint64_t target, uint32_t bytes,
                        uint32_t direction)
{
	const struct mmio *bar = &engine->bar[0];
	/* While the run bit is set the device ignores every write. */
	int error = edu_wait_idle(engine);
	if (error)
		return error;
	mmio_write64(bar, EDU_SOURCE, source);
	mmio_write64(bar, EDU_TARGET, target);
	mmio_write64(bar, EDU_COUNT, bytes);
	arch_barrier(); /* what the CPU put into memory comes before the device looks */
	mmio_write64(bar, EDU_COMMAND, direction | EDU_COMMAND_RUN);
	error = edu_wait_idle(engine);
	arch_barrier(); /* what the device put there comes before the CPU looks */
	return error;
}

static int edu_fetch(struct dma_engine *engine, iova_t from, uint32_t bytes)
{
	int error = engine_check(engine, from, bytes);
	return error ? error : edu_transfer(engine, from.value, EDU_BUFFER, bytes, 0);
}

static int edu_store(struct dma_engine *engine, iova_t to, uint32_t bytes)
{
	int error = engine_check(engine, to, bytes);
	return error ? error
	             : edu_transfer(engine, EDU_BUFFER, to.value, bytes, EDU_COMMAND_TO_MEMORY);
}

const struct dma_engine_ops dma_engine_edu = {
	.name = "edu",
	.abilities = DMA_CAN_FETCH | DMA_CAN_STORE | DMA_CAN_COPY,
	.max_bytes = EDU_MAX_BYTES,
	.granule = 1,
	.match = edu_match,
	.probe = edu_probe,
	.remove = edu_remove,
	.fetch = edu_fetch,
	.store = edu_store,
};
