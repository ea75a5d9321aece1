/* SPDX-License-Identifier: MIT */
/*
 * What brings messages to a user, and vIOMMUs, which have such queues: part of
 * ufd/private.h, which includes it.
 */
#ifndef UFD_PRIVATE_QUEUES_H
#define UFD_PRIVATE_QUEUES_H

#include "ufd/private.h"

/* ---- fault queues: ufd/fault_queue.c ------------------------------------------------------------- */

struct ufd_fault_group;

/** Page requests of HWPTs, for a user to read and answer. */
struct ufd_fault_queue {
	struct ufd_object object; /* first; users: HWPTs, and 1, the descriptor's */
	struct ufd_file file;     /* refers to the context */
	struct iommu_lock io_lock;
	struct ufd_fault_group *asked; /* read, not answered: under io_lock, by cookie */
	struct iommu_lock lock;        /* all below */
	struct ufd_fault_group *ready; /* complete, not read, in order */
	struct ufd_fault_group *parts; /* their last request has not come */
	uint32_t waiting;              /* requests in all three lists */
	bool closed;                   /* nobody can read any more */
};

int must_check ufd_call_fault_queue_alloc(struct ufd_call *call);
/** Let page requests of @p hwpt, which is attached nowhere, go to @p queue. */
void ufd_fault_queue_use(struct ufd_fault_queue *queue, struct ufd_hwpt *hwpt);
/** Answer "invalid" to what @p device asked through @p hwpt with @p pasid (IOMMU_NO_PASID:
 *  without), which has been detached from it. device_lock is held, or none. */
void ufd_fault_queue_sweep(const struct ufd_hwpt *hwpt, const struct iommu_device *device,
                           uint32_t pasid);
void ufd_fault_queue_free(struct ufd_fault_queue *queue);
/** The descriptor is closed. */
void ufd_fault_queue_end(struct ufd_fault_queue *queue);
int64_t ufd_fault_queue_read(struct ufd_fault_queue *queue, uint64_t user, uint64_t bytes);
int64_t ufd_fault_queue_write(struct ufd_fault_queue *queue, uint64_t user, uint64_t bytes);
int ufd_fault_queue_poll(struct ufd_fault_queue *queue);
uint32_t ufd_fault_queue_waiting(struct ufd_fault_queue *queue);

/* ---- vIOMMUs: ufd/viommu.c, ufd/event_queue.c, ufd/hw_queue.c ------------------------------------ */

struct ufd_event_queue;

struct ufd_viommu {
	struct ufd_object object; /* first; users: nested HWPTs, vdevices, queues, mappings */
	struct iommu_viommu *viommu;
	struct ufd_hwpt *parent; /* a user of it */
	struct iommu_event_sink sink;
	struct ufd_vdevice *vdevices;   /* under device_lock */
	struct ufd_hw_queue *hw_queues; /* under device_lock */
	struct ufd_event_queue *queues; /* under iommu->lock */
};

/** A device as a vIOMMU knows it. */
struct ufd_vdevice {
	struct ufd_object object;  /* first */
	struct ufd_viommu *viommu; /* a user of it. NULL: only the id is kept */
	struct ufd_device *device;
	struct ufd_vdevice *next;
	uint64_t id;
};

int must_check ufd_call_viommu_alloc(struct ufd_call *call);
int must_check ufd_call_vdevice_alloc(struct ufd_call *call);
int must_check ufd_call_veventq_alloc(struct ufd_call *call);
int must_check ufd_call_hw_queue_alloc(struct ufd_call *call);
int must_check ufd_viommu_invalidate(struct ufd_viommu *viommu, struct iommu_user_array *array);
void ufd_viommu_free(struct ufd_object *object);
void ufd_vdevice_free(struct ufd_object *object);
void ufd_event_queue_free(struct ufd_object *object);
void ufd_hw_queue_free(struct ufd_object *object);
/** The device goes: its vdevice ends, but its id stays taken as long as the context lives,
 *  so that a later object is not destroyed in its place. No lock is held. */
void ufd_vdevice_bury(struct ufd_device *device);
/** The descriptor of an event queue has gone. */
void ufd_event_queue_end(struct ufd_file *file);
int64_t ufd_event_queue_read(struct ufd_file *file, uint64_t user, uint64_t bytes);
int ufd_event_queue_poll(struct ufd_file *file);
/** The event sink of every vIOMMU: ufd/event_queue.c. */
void ufd_viommu_event(struct iommu_event_sink *sink, uint32_t type, const void *data, size_t bytes);
int must_check ufd_viommu_mmap(struct ufd_context *context, uint64_t offset, uint64_t bytes,
                               pa_t *out, struct ufd_mapping **mapping);

#endif
