/* SPDX-License-Identifier: MIT */
/*
 * A DMA engine that is no hardware: it makes its accesses through the mock IOMMU, so
 * that every scenario runs where there is neither a unit nor a device.
 */
#ifndef KERNEL_SCN_MOCK_H
#define KERNEL_SCN_MOCK_H

#include "dev/engine.h"

struct mock_engine {
	struct dma_engine engine; /* link this */
	struct pci_device pci;    /* stands for the device: `iommu` is set */
	uint8_t buffer[65536];    /* the device's own */
};

/** Set up an engine for a mock device (ufd_mock_device_add). Memory is reached at
 *  os->direct_map. */
void mock_engine_init(struct mock_engine *mock, const struct iommu_os *os,
                      struct iommu_device *device);

#endif
