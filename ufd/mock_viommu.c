/* SPDX-License-Identifier: MIT */
/*
 * The mock's vIOMMU: a page that its user can map, cache words of devices by the ids that
 * the user gave them, events that a test triggers, two hardware queues that do nothing.
 */
#include "ufd/mock_private.h"

#include "iommu/string.h"

struct mock_vdevice {
	struct mock_vdevice *next;
	struct iommu_device *device;
	uint32_t id;
};

struct mock_viommu {
	struct iommu_viommu viommu;
	struct mock_vdevice *vdevices; /* this and queues under the unit's lock */
	unsigned queues;               /* 0 .. queues - 1 are there */
};

static struct mock_viommu *mock_viommu(struct iommu_viommu *viommu)
{
	return container_of(viommu, struct mock_viommu, viommu);
}

static void viommu_free(struct iommu_viommu *viommu)
{
	const struct iommu_os *os = viommu->unit->iommu->os;

	os->page_free(os->ctx, viommu->shared, viommu->shared_order);
	os->free(os->ctx, mock_viommu(viommu), sizeof(struct mock_viommu));
}

/** The device with @p id, or NULL. The unit's lock is held. */
static struct iommu_device *find(const struct mock_viommu *self, uint32_t id)
{
	const struct mock_vdevice *vdevice = self->vdevices;

	while (vdevice && vdevice->id != id)
		vdevice = vdevice->next;
	return vdevice ? vdevice->device : NULL;
}

bool ufd_mock_viommu_knows(struct iommu_viommu *viommu, const struct iommu_device *device)
{
	const struct mock_vdevice *vdevice = viommu ? mock_viommu(viommu)->vdevices : NULL;

	while (vdevice && vdevice->device != device)
		vdevice = vdevice->next;
	return !viommu || vdevice;
}

/** Forget what one entry names. */
static int invalidate_one(struct iommu_viommu *viommu, struct iommu_user_array *array,
                          uint32_t index)
{
	struct mock_unit *unit = mock_unit(viommu->unit);
	struct iommu_viommu_invalidate_selftest entry;

	int error = iommu_user_array_get(array, index, &entry, sizeof(entry), sizeof(entry));
	if (error)
		return error;
	if (entry.flags & ~(uint32_t)IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (entry.cache_id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;
	mock_lock(unit);
	struct iommu_device *device = find(mock_viommu(viommu), entry.vdev_id);
	struct mock_device *known = device ? device->driver_data : NULL;
	if (!known)
		error = -EINVAL;
	else if (unit->broken)
		error = -ETIMEDOUT;
	for (uint32_t i = 0; i < UFD_MOCK_DEVICE_CACHE && !error; i++)
		if (entry.flags || i == entry.cache_id)
			known->cache[i] = 0;
	mock_unlock(unit);
	return error;
}

static int viommu_invalidate_user(struct iommu_viommu *viommu, struct iommu_user_array *array)
{
	const uint32_t bytes = sizeof(struct iommu_viommu_invalidate_selftest);
	int error = array->type == IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST ? 0 : -EINVAL;

	array->done = 0;
	if (array->count && array->entry_bytes != bytes)
		error = -EINVAL;
	while (!error && array->done < array->count) {
		error = invalidate_one(viommu, array, array->done);
		array->done += !error;
	}
	return error;
}

static int viommu_vdevice_add(struct iommu_viommu *viommu, struct iommu_device *device, uint64_t id)
{
	const struct iommu_os *os = device->iommu->os;
	struct mock_viommu *self = mock_viommu(viommu);

	if (id > UINT32_MAX)
		return -EINVAL;
	struct mock_vdevice *vdevice = os->alloc(os->ctx, sizeof(*vdevice));
	if (!vdevice)
		return -ENOMEM;
	*vdevice = (struct mock_vdevice){.device = device, .id = (uint32_t)id};
	mock_lock(mock_unit(viommu->unit));
	vdevice->next = self->vdevices;
	self->vdevices = vdevice;
	mock_unlock(mock_unit(viommu->unit));
	return 0;
}

static void viommu_vdevice_remove(struct iommu_viommu *viommu, struct iommu_device *device)
{
	const struct iommu_os *os = device->iommu->os;
	struct mock_vdevice **link = &mock_viommu(viommu)->vdevices;

	mock_lock(mock_unit(viommu->unit));
	while ((*link)->device != device)
		link = &(*link)->next;
	struct mock_vdevice *vdevice = *link;
	*link = vdevice->next;
	mock_unlock(mock_unit(viommu->unit));
	os->free(os->ctx, vdevice, sizeof(*vdevice));
}

static size_t viommu_event_bytes(struct iommu_viommu *viommu, uint32_t type)
{
	(void)viommu;
	return type == IOMMU_VEVENTQ_TYPE_SELFTEST ? sizeof(struct iommu_viommu_event_selftest) : 0;
}

static bool viommu_has_hw_queue(struct iommu_viommu *viommu, uint32_t type)
{
	(void)viommu;
	return type == IOMMU_HW_QUEUE_TYPE_SELFTEST;
}

static int viommu_hw_queue_add(struct iommu_viommu *viommu, uint32_t type, uint32_t index,
                               iova_t at, pa_t start, uint64_t bytes)
{
	struct mock_viommu *self = mock_viommu(viommu);
	pa_t memory;
	int error = 0;

	(void)type;
	if (index >= IOMMU_TEST_HW_QUEUE_MAX || !bytes)
		return -EINVAL;
	/* this hardware reads the memory by itself: what the parent maps must be what it gets */
	if (!iommu_iova_to_phys(viommu->parent, at, &memory) || memory.value != start.value)
		return -EINVAL;
	mock_lock(mock_unit(viommu->unit));
	if (index < self->queues)
		error = -EEXIST;
	else if (index > self->queues)
		error = -EIO;
	else
		self->queues++;
	mock_unlock(mock_unit(viommu->unit));
	return error;
}

static void viommu_hw_queue_remove(struct iommu_viommu *viommu, uint32_t type, uint32_t index)
{
	(void)type;
	mock_lock(mock_unit(viommu->unit));
	mock_viommu(viommu)->queues = index;
	mock_unlock(mock_unit(viommu->unit));
}

static const struct iommu_viommu_ops mock_viommu_ops = {
	.free = viommu_free,
	.invalidate_user = viommu_invalidate_user,
	.vdevice_add = viommu_vdevice_add,
	.vdevice_remove = viommu_vdevice_remove,
	.event_bytes = viommu_event_bytes,
	.has_hw_queue = viommu_has_hw_queue,
	.hw_queue_add = viommu_hw_queue_add,
	.hw_queue_remove = viommu_hw_queue_remove,
};

/** Answer the user's data, if there is any. */
static int answer(struct iommu_viommu *viommu, struct iommu_viommu_data *data)
{
	const struct iommu_user_data given = {data->type, data->bytes, data->start};
	struct iommu_viommu_selftest words;

	int error = iommu_user_data_copy(&given, IOMMU_VIOMMU_TYPE_SELFTEST, &words, sizeof(words),
	                                 offsetof(struct iommu_viommu_selftest, out_mmap_offset));
	if (error)
		return error;
	words.out_data = words.in_data;
	words.out_mmap_offset = data->mmap_offset;
	words.out_mmap_length = PAGE_SIZE_4K;
	memcpy(data->start, &words, data->bytes < sizeof(words) ? data->bytes : sizeof(words));
	memcpy(iommu_os_va(viommu->unit->iommu->os, viommu->shared), &words.in_data,
	       sizeof(words.in_data));
	return 0;
}

int ufd_mock_viommu_alloc(struct iommu_device *device, struct iommu_domain *parent,
                          struct iommu_viommu_data *data, struct iommu_viommu **out)
{
	const struct iommu_os *os = device->iommu->os;

	if (data->type != IOMMU_VIOMMU_TYPE_SELFTEST)
		return -EOPNOTSUPP;
	struct mock_viommu *self = os->alloc(os->ctx, sizeof(*self));
	if (!self)
		return -ENOMEM;
	self->viommu = (struct iommu_viommu){.ops = &mock_viommu_ops,
	                                     .has_shared = true,
	                                     .parent = parent,
	                                     .unit = device->unit};
	int error = os->page_alloc(os->ctx, 0, &self->viommu.shared);
	if (error) {
		os->free(os->ctx, self, sizeof(*self));
		return error;
	}
	memset(iommu_os_va(os, self->viommu.shared), 0, PAGE_SIZE_4K);
	if (data->bytes)
		error = answer(&self->viommu, data);
	if (error) {
		viommu_free(&self->viommu);
		return error;
	}
	*out = &self->viommu;
	return 0;
}

int ufd_mock_trigger_event(struct iommu_device *device)
{
	struct mock_unit *unit = mock_unit(device->unit);
	const struct iommu_os *os = device->iommu->os;
	const struct mock_device *known = device->driver_data;
	struct iommu_viommu_event_selftest event = {0};
	int error = -ENOENT;

	os->lock(os->ctx, &device->iommu->lock);
	mock_lock(unit);
	struct iommu_viommu *viommu = known->domain ? known->domain->domain.viommu : NULL;
	const struct mock_vdevice *vdevice = viommu ? mock_viommu(viommu)->vdevices : NULL;
	while (vdevice && vdevice->device != device)
		vdevice = vdevice->next;
	if (vdevice) {
		event.virt_id = vdevice->id;
		error = 0;
	}
	mock_unlock(unit);
	if (!error && viommu->sink)
		viommu->sink->event(viommu->sink, IOMMU_VEVENTQ_TYPE_SELFTEST, &event,
		                    sizeof(event));
	os->unlock(os->ctx, &device->iommu->lock);
	return error;
}
