/* SPDX-License-Identifier: MIT */
/*
 * The mock engine: see scn_mock.h. It behaves as devices on PCI Express do: a
 * blocked read returns all ones, a blocked write vanishes, and the device says
 * done in either case. The truth is in memory and in the fault log.
 */
#include "kernel/scn_mock.h"

#include "iommu/string.h"
#include "ufd/ufd.h"

/* A request does not cross this boundary, as a PCI Express request does not cross 4 KiB. */
enum { REQUEST_BYTES = 4096 };

static struct mock_engine *mock_of(struct dma_engine *engine)
{
	return container_of(engine, struct mock_engine, engine);
}

static int mock_transfer(struct dma_engine *engine, uint64_t at, uint32_t bytes, uint32_t access)
{
	struct mock_engine *mock = mock_of(engine);

	if (bytes == 0 || bytes > sizeof(mock->buffer) || at + (bytes - 1) < at)
		return -EINVAL;
	for (uint32_t done = 0; done < bytes;) {
		uint32_t part = REQUEST_BYTES - (uint32_t)((at + done) % REQUEST_BYTES);
		pa_t to;
		if (part > bytes - done)
			part = bytes - done;
		int error = ufd_mock_translate(mock->pci.iommu, iova(at + done), access, &to);
		if (error && access == IOMMU_READ)
			memset(mock->buffer + done, 0xff, part);
		else if (!error && access == IOMMU_READ)
			memcpy(mock->buffer + done, iommu_os_va(engine->os, to), part);
		else if (!error)
			memcpy(iommu_os_va(engine->os, to), mock->buffer + done, part);
		done += part;
	}
	return 0;
}

static int mock_fetch(struct dma_engine *engine, iova_t from, uint32_t bytes)
{
	return mock_transfer(engine, from.value, bytes, IOMMU_READ);
}

static int mock_store(struct dma_engine *engine, iova_t to, uint32_t bytes)
{
	return mock_transfer(engine, to.value, bytes, IOMMU_WRITE);
}

static const struct dma_engine_ops mock_engine_ops = {
	.name = "mock",
	.abilities = DMA_CAN_FETCH | DMA_CAN_STORE | DMA_CAN_COPY | DMA_IS_FAST,
	.max_bytes = sizeof(((struct mock_engine *)0)->buffer),
	.granule = 1,
	.fetch = mock_fetch,
	.store = mock_store,
};

void mock_engine_init(struct mock_engine *mock, const struct iommu_os *os,
                      struct iommu_device *device)
{
	memset(mock, 0, sizeof(*mock));
	mock->engine.ops = &mock_engine_ops;
	mock->engine.pci = &mock->pci;
	mock->engine.os = os;
	mock->pci.segment = device->desc.segment;
	mock->pci.rid = device->desc.rid;
	mock->pci.iommu = device;
}
