/* SPDX-License-Identifier: MIT */
/*
 * A virtual IOMMU: the slice of a unit that a virtual machine is given. It knows devices by
 * the ids that the machine gives them (virtual devices), reports events of theirs, forgets
 * what the machine says, and may lend the machine queues of the hardware's own.
 *
 * A driver that has such slices embeds struct iommu_viommu, as it does a domain. Its ops are
 * called without iommu->lock; all but invalidate_user one at a time for one vIOMMU.
 */
#ifndef IOMMU_VIOMMU_H
#define IOMMU_VIOMMU_H

#include "iommu/ops.h"

struct iommu_viommu;

/** What a vIOMMU's user says of it, and is answered. */
struct iommu_viommu_data {
	uint32_t type;
	uint32_t bytes;       /* 0: none */
	void *start;          /* a copy: what the driver changes goes back to the user */
	uint64_t mmap_offset; /* where the user will find what the driver shares */
};

/** Who takes the events of a vIOMMU; embedded in a structure of its owner. */
struct iommu_event_sink {
	/** An event of @p bytes in @p data, of queue type @p type; iommu->lock is held, so be
	 *  quick. Without a queue of that type it is dropped. */
	void (*event)(struct iommu_event_sink *sink, uint32_t type, const void *data, size_t bytes);
};

struct iommu_viommu_ops {
	/** Nothing refers to it. Cannot fail. */
	void (*free)(struct iommu_viommu *viommu);
	/** NULL: nothing to invalidate. As iommu_domain_ops.invalidate_user. */
	int (*invalidate_user)(struct iommu_viommu *viommu, struct iommu_user_array *array);
	/** @p device has @p id in the machine from now on; both are new here. 0, -EINVAL if
	 *  the id cannot be, -ENOMEM. */
	int (*vdevice_add)(struct iommu_viommu *viommu, struct iommu_device *device, uint64_t id);
	/** No more. Cannot fail. */
	void (*vdevice_remove)(struct iommu_viommu *viommu, struct iommu_device *device);
	/** NULL: none. Bytes of an event of queue type @p type; 0: there is no such type. */
	size_t (*event_bytes)(struct iommu_viommu *viommu, uint32_t type);
	/** NULL: none. Is there a hardware queue of type @p type? */
	bool (*has_hw_queue)(struct iommu_viommu *viommu, uint32_t type);
	/** Use [start, start + bytes) of memory, at @p at in the parent domain, as queue
	 *  @p index of type @p type. Queues are added upwards from 0 and removed downwards.
	 *  0, -EINVAL (no such index, or not such memory), -EEXIST, -EIO (the one before is
	 *  missing). */
	int (*hw_queue_add)(struct iommu_viommu *viommu, uint32_t type, uint32_t index, iova_t at,
	                    pa_t start, uint64_t bytes);
	void (*hw_queue_remove)(struct iommu_viommu *viommu, uint32_t type, uint32_t index);
};

/** The part that the core knows. The driver fills in what is above `parent`. */
struct iommu_viommu {
	const struct iommu_viommu_ops *ops;
	/** Memory that the user may map: of os->page_alloc, 4 KiB times 2^shared_order. */
	bool has_shared;
	unsigned shared_order;
	pa_t shared;
	struct iommu_domain *parent; /* NEST_PARENT: what stands on it may belong to the vIOMMU */
	struct iommu_unit *unit;
	/** Who takes its events; NULL: they are dropped. Set by the owner before a domain is
	 *  made in it, and not changed. */
	struct iommu_event_sink *sink;
};

#endif
