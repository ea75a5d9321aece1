/* SPDX-License-Identifier: MIT */
/*
 * DMA of a device behind the server's IOMMU, at a program's command (host/shim/dma.h).
 *
 * A mock device asks the mock for each page; a device behind the model makes its requests
 * to that, which reads and writes memory of this process: pinned memory is brought here
 * before and taken back after (frame.c).
 */
#include "host/server/server.h"

#include <string.h>

#include "host/shim/dma.h"

static int mock_transfer(struct server *server, struct iommu_device *device,
                         const struct nestor_device_dma *dma, uint8_t *data)
{
	bool store = dma->flags & NESTOR_DMA_WRITE;

	for (uint64_t done = 0; done < dma->bytes;) {
		uint64_t at = dma->iova + done;
		uint64_t now = 2048 - at % 2048; /* the mock's smallest page */
		pa_t where;
		if (now > dma->bytes - done)
			now = dma->bytes - done;
		int error = ufd_mock_translate(device, iova(at), store ? IOMMU_WRITE : IOMMU_READ,
		                               &where);
		if (!error)
			error = frame_copy(server, where, data + done, now, store);
		if (error)
			return error;
		done += now;
	}
	return 0;
}

static int page_request(struct server *server, struct iommu_device *device,
                        const struct nestor_device_dma *dma)
{
	const struct iommu_page_request request = {
		.group = (uint16_t)dma->bytes,
		.last = true,
		.address = iova(dma->iova & ~(PAGE_SIZE_4K - 1)),
		.access = dma->flags & NESTOR_DMA_WRITE ? IOMMU_WRITE : IOMMU_READ,
	};

	if (server->has_model)
		return -EOPNOTSUPP;
	if (dma->bytes >= 512 || dma->data)
		return -EINVAL;
	ufd_mock_page_request(device, &request);
	return 0;
}

static struct model_engine *engine_of(struct server *server, const struct iommu_device *device)
{
	for (unsigned i = 0; i < MODEL_DEVICES; i++)
		if (server->model.engines[i].pci.iommu == device)
			return &server->model.engines[i];
	return NULL;
}

static int model_transfer(struct server *server, struct model_engine *engine,
                          const struct nestor_device_dma *dma, uint8_t *data)
{
	bool store = dma->flags & NESTOR_DMA_WRITE;
	struct dma_engine *device = &engine->engine;

	if (store)
		memcpy(engine->buffer, data, dma->bytes);
	(void)iommu_poll(&server->core);
	uint64_t faults = server->core.fault_count;
	frame_load(server);
	int error = store ? device->ops->store(device, iova(dma->iova), (uint32_t)dma->bytes)
	                  : device->ops->fetch(device, iova(dma->iova), (uint32_t)dma->bytes);
	int stored = frame_store(server);
	model_platform_pump(&server->model);
	(void)iommu_poll(&server->core);
	if (server->core.fault_count != faults) /* the device does not know */
		error = -EFAULT;
	if (!store && !error)
		memcpy(data, engine->buffer, dma->bytes);
	if (error)
		return -EFAULT;
	return stored;
}

int dma_call(struct server *server, struct link *link, uint64_t user)
{
	static uint8_t data[NESTOR_DMA_MAX];
	const struct ufd_memory_ops *memory = &server_memory_ops;
	struct nestor_device_dma dma = {0};

	int error = memory->copy_in(server, &dma, user, sizeof(dma));
	if (error)
		return error;
	if (dma.argsz < sizeof(dma) ||
	    dma.flags & ~(uint32_t)(NESTOR_DMA_WRITE | NESTOR_DMA_PAGE_REQUEST))
		return -EINVAL;
	if (dma.flags & NESTOR_DMA_PAGE_REQUEST)
		return page_request(server, link->device, &dma);
	if (!dma.bytes || dma.bytes > sizeof(data) || dma.iova + (dma.bytes - 1) < dma.iova)
		return -EINVAL;
	if (dma.flags & NESTOR_DMA_WRITE)
		error = memory->copy_in(server, data, dma.data, dma.bytes);
	if (error)
		return error;
	struct model_engine *engine = server->has_model ? engine_of(server, link->device) : NULL;
	error = engine ? model_transfer(server, engine, &dma, data)
	               : mock_transfer(server, link->device, &dma, data);
	if (!error && !(dma.flags & NESTOR_DMA_WRITE))
		error = memory->copy_out(server, dma.data, data, dma.bytes);
	return error;
}
