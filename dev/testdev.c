/* SPDX-License-Identifier: MIT */
/*
 * QEMU's `iommu-testdev` (from 11.1 on): writes a fixed word, over and over, at
 * an IOVA, at once. Registers: QEMU's docs/specs/iommu-testdev.rst.
 *
 * Writing the doorbell arms a transfer and reading the trigger runs it before the
 * read returns. After its write the device reads memory back at a physical
 * address that it is told, past the IOMMU, and compares. This driver does not know
 * where the IOVA leads, so that part of the result is ignored; the caller compares
 * memory. The device only writes, so it cannot fetch.
 */
#include "dev/driver.h"

enum {
	TESTDEV_VENDOR = 0x1b36,
	TESTDEV_DEVICE = 0x0005, /* pci-testdev has the same */
	TESTDEV_CLASS = 0x00ff,

	TESTDEV_TRIGGER = 0x00,
	TESTDEV_IOVA_LOW = 0x04,
	TESTDEV_IOVA_HIGH = 0x08,
	TESTDEV_LENGTH = 0x0c,
	TESTDEV_RESULT = 0x10,
	TESTDEV_DOORBELL = 0x14,
	TESTDEV_ATTRIBUTES = 0x18, /* for Arm; 0: none */
	TESTDEV_CHECK_LOW = 0x1c,
	TESTDEV_CHECK_HIGH = 0x20,
	TESTDEV_BYTES = 0x24,
};

#define TESTDEV_RESULT_OK       UINT32_C(0)
#define TESTDEV_RESULT_BUSY     UINT32_C(0xfffffffe)
#define TESTDEV_RESULT_BLOCKED  UINT32_C(0xdead0002) /* the write was refused */
#define TESTDEV_RESULT_UNREAD   UINT32_C(0xdead0003) /* written; not read back */
#define TESTDEV_RESULT_MISMATCH UINT32_C(0xdead0004) /* written; read back otherwise */
#define TESTDEV_WORD            UINT32_C(0x12345678)

static bool testdev_match(const struct pci_device *pci)
{
	return pci->vendor == TESTDEV_VENDOR && pci->device == TESTDEV_DEVICE &&
	       pci->class_code >> 8 == TESTDEV_CLASS && pci->bars[0].bytes &&
	       !pci->bars[0].is_port && pci->bars[1].bytes == 0;
}

static int testdev_probe(struct dma_engine *engine)
{
	int error = engine_map_bar(engine, 0, TESTDEV_BYTES);
	if (error)
		return error;
	engine_decode_on(engine);

	/* An address register that keeps what it is given tells the device from an empty
	 * window and from pci-testdev; disarmed, the result must not read "busy". */
	const struct mmio *bar = &engine->bar[0];
	const uint32_t pattern = 0x5aa51234;
	mmio_write32(bar, TESTDEV_DOORBELL, 0);
	mmio_write32(bar, TESTDEV_IOVA_LOW, pattern);
	mmio_write32(bar, TESTDEV_IOVA_HIGH, ~pattern);
	uint32_t low = mmio_read32(bar, TESTDEV_IOVA_LOW);
	uint32_t high = mmio_read32(bar, TESTDEV_IOVA_HIGH);
	uint32_t result = mmio_read32(bar, TESTDEV_RESULT);
	if (low != pattern || high != ~pattern || result == TESTDEV_RESULT_BUSY) {
		engine_log(engine, IOMMU_LOG_ERROR,
		           "not an iommu-testdev: address reads %#x%08x, wanted %#x%08x; result "
		           "%#x",
		           high, low, ~pattern, pattern, result);
		return -ENODEV;
	}
	pci_master(engine->pci, true);
	return 0;
}

static void testdev_remove(struct dma_engine *engine)
{
	mmio_write32(&engine->bar[0], TESTDEV_DOORBELL, 0); /* disarm */
}

static int testdev_store(struct dma_engine *engine, iova_t to, uint32_t bytes)
{
	const struct mmio *bar = &engine->bar[0];
	int error = engine_check(engine, to, bytes);
	if (error)
		return error;
	mmio_write32(bar, TESTDEV_IOVA_LOW, (uint32_t)to.value);
	mmio_write32(bar, TESTDEV_IOVA_HIGH, (uint32_t)(to.value >> 32));
	mmio_write32(bar, TESTDEV_LENGTH, bytes);
	mmio_write32(bar, TESTDEV_ATTRIBUTES, 0);
	mmio_write32(bar, TESTDEV_CHECK_LOW, 0);
	mmio_write32(bar, TESTDEV_CHECK_HIGH, 0);
	mmio_write32(bar, TESTDEV_DOORBELL, 1);
	arch_barrier(); /* what the CPU put into memory comes before the device writes */
	mmio_read32(bar, TESTDEV_TRIGGER);
	arch_barrier();
	uint32_t result = mmio_read32(bar, TESTDEV_RESULT);
	switch (result) {
	case TESTDEV_RESULT_OK:
	case TESTDEV_RESULT_UNREAD:
	case TESTDEV_RESULT_MISMATCH:
		return 0;
	case TESTDEV_RESULT_BLOCKED:
		return -EIO;
	default:
		mmio_write32(bar, TESTDEV_DOORBELL, 0);
		engine_log(engine, IOMMU_LOG_ERROR, "unexpected result %#x", result);
		return result == UINT32_MAX ? -ENODEV : -EIO;
	}
}

static bool testdev_stored_ok(struct dma_engine *engine, const void *actual, uint32_t bytes)
{
	const uint8_t *byte = actual;
	(void)engine;
	for (uint32_t i = 0; i < bytes; i++)
		if (byte[i] != (uint8_t)(TESTDEV_WORD >> (i % 4 * 8)))
			return false;
	return true;
}

const struct dma_engine_ops dma_engine_testdev = {
	.name = "testdev",
	.abilities = DMA_CAN_STORE | DMA_IS_FAST,
	.max_bytes = 64 * 1024,
	.granule = 4,
	.match = testdev_match,
	.probe = testdev_probe,
	.remove = testdev_remove,
	.fetch = engine_fetch_refuse,
	.store = testdev_store,
	.stored_ok = testdev_stored_ok,
};
