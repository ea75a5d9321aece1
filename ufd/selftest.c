/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_TEST_CMD: the operations that look at something or trigger something, and the
 * way to the others (ufd/selftest_device.c, ufd/selftest_access.c, ufd/selftest_dmabuf.c).
 */
#include "ufd/selftest_private.h"

/* ---- the caller's memory -------------------------------------------------------------- */

void ufd_selftest_walk_begin(struct ufd_selftest_walk *walk, const struct ufd *ufd, uint64_t user)
{
	*walk = (struct ufd_selftest_walk){
		.ufd = ufd,
		.user = user & ~(PAGE_SIZE_4K - 1),
		.offset = user & (PAGE_SIZE_4K - 1),
	};
}

int ufd_selftest_walk_next(struct ufd_selftest_walk *walk, uint64_t bytes, pa_t *at, uint64_t *got)
{
	const struct ufd *ufd = walk->ufd;

	if (walk->index == walk->count) {
		uint64_t pinned = 0, left = -walk->user, wanted = bytes + walk->offset;
		wanted = (wanted + (PAGE_SIZE_4K - 1)) & ~(PAGE_SIZE_4K - 1);
		if (wanted < bytes || (left && wanted > left))
			return -EFAULT;
		walk->index = walk->count = 0;
		int error = ufd->memory->pin(ufd->memory_ctx, walk->user, wanted, false, walk->run,
		                             ARRAY_SIZE(walk->run), &walk->count, &pinned);
		if (error)
			return error;
		if (!walk->count || !pinned)
			return -EFAULT;
		ufd->memory->unpin(ufd->memory_ctx, walk->user, walk->run, walk->count, false);
		walk->user += pinned;
	}
	const struct iommu_extent *run = &walk->run[walk->index];
	*at = pa_add(run->start, walk->offset);
	*got = run->bytes - walk->offset < bytes ? run->bytes - walk->offset : bytes;
	walk->offset += *got;
	if (walk->offset == run->bytes) {
		walk->offset = 0;
		walk->index++;
	}
	return 0;
}

static int check_refs(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const struct ufd_memory_ops *memory = call->ufd->memory;
	const uint64_t user = arguments->check_refs.uptr, bytes = arguments->check_refs.length;

	if (!memory->pins)
		return ufd_refuse(call->ufd, -EOPNOTSUPP,
		                  "MD_CHECK_REFS: this memory does not tell its pins");
	if ((user | bytes) % PAGE_SIZE_4K || user + bytes < user)
		return -EINVAL;
	for (uint64_t offset = 0; offset < bytes; offset += PAGE_SIZE_4K) {
		uint32_t pins = 0;
		int error = memory->pins(call->ufd->memory_ctx, user + offset, &pins);
		if (error)
			return error;
		if (pins != arguments->check_refs.refs)
			return ufd_refuse(call->ufd, -EIO,
			                  "MD_CHECK_REFS: the page at %#llx is pinned %u times, "
			                  "not %u",
			                  (unsigned long long)(user + offset), pins,
			                  arguments->check_refs.refs);
	}
	return 0;
}

/* ---- IOASes and HWPTs ----------------------------------------------------------------- */

static int add_reserved(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const uint64_t first = arguments->add_reserved.start;
	const uint64_t bytes = arguments->add_reserved.length, last = first + (bytes - 1);
	struct ufd_ioas *ioas = NULL;

	if (!bytes)
		return -EINVAL;
	if (last < first)
		return -EOVERFLOW;
	int error = ufd_object_hold(call->context, arguments->id, UFD_IOAS, &ioas);
	if (error)
		return error;
	ufd_ioas_lock(ioas);
	error = iova_ranges_reserve(&ioas->ranges, first, last, ioas);
	ufd_ioas_unlock(ioas);
	ufd_object_release(&ioas->object);
	return error;
}

/** A paging HWPT of the mock's, held. */
static int mock_hwpt(const struct ufd_call *call, uint32_t id, struct ufd_hwpt **out)
{
	int error = ufd_object_hold(call->context, id, UFD_HWPT_PAGING, out);

	if (!error && !ufd_mock_is_paging((*out)->domain)) {
		ufd_object_release(&(*out)->object);
		return ufd_refuse(call->ufd, -EINVAL, "HWPT %u is not a mock's", id);
	}
	return error;
}

/** Is [at, at + bytes) mapped to memory at @p memory? */
static bool maps_to(struct iommu_domain *domain, uint64_t at, pa_t memory, uint64_t bytes)
{
	struct iommu_leaf leaf;

	for (uint64_t done = 0; done < bytes;) {
		if (!domain->ops->lookup(domain, iova(at + done), &leaf))
			return false;
		uint64_t offset = at + done - leaf.iova.value;
		if (leaf.pa.value + offset != memory.value + done)
			return false;
		done += leaf.bytes - offset;
	}
	return true;
}

static int check_map(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const uint64_t at = arguments->check_map.iova, bytes = arguments->check_map.length;
	const uint64_t user = arguments->check_map.uptr;
	struct ufd_selftest_walk walk;
	struct ufd_hwpt *hwpt = NULL;
	uint64_t got = 0;
	pa_t memory = pa(0);

	if ((at | bytes | user) % MOCK_PAGE_SIZE || at + bytes < at || user + bytes < user)
		return -EINVAL;
	int error = mock_hwpt(call, arguments->id, &hwpt);
	if (error)
		return error;
	ufd_ioas_lock(hwpt->ioas);
	ufd_selftest_walk_begin(&walk, call->ufd, user);
	for (uint64_t done = 0; done < bytes && !error; done += got) {
		error = ufd_selftest_walk_next(&walk, bytes - done, &memory, &got);
		if (!error && !maps_to(hwpt->domain, at + done, memory, got))
			error = ufd_refuse(call->ufd, -EINVAL,
			                   "MD_CHECK_MAP: HWPT %u does not map %#llx to %#llx",
			                   arguments->id, (unsigned long long)(at + done),
			                   (unsigned long long)memory.value);
	}
	ufd_ioas_unlock(hwpt->ioas);
	ufd_object_release(&hwpt->object);
	return error;
}

/** Write to the pages whose bits are set in the user's map. The IOAS is locked. */
static int write_pages(const struct ufd_call *call, struct iommu_domain *domain, uint64_t *count)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const uint64_t pages = arguments->dirty.length / arguments->dirty.page_size;
	const uint64_t user = arguments->dirty.uptr;
	uint8_t bits = 0;

	for (uint64_t i = 0; i < pages; i++) {
		if (i % 8 == 0) {
			int error = user + i / 8 < user ? -EFAULT
			                                : ufd_copy_in(call->ufd, &bits,
			                                              user + i / 8, sizeof(bits));
			if (error)
				return error;
		}
		uint64_t at = arguments->dirty.iova + i * arguments->dirty.page_size;
		if (bits >> i % 8 & 1)
			*count += ufd_mock_set_dirty(domain, iova(at));
	}
	return 0;
}

static int dirty(struct ufd_call *call)
{
	struct iommu_test_cmd *arguments = call->arguments;
	const uint64_t page = arguments->dirty.page_size, at = arguments->dirty.iova;
	const uint64_t bytes = arguments->dirty.length;
	struct ufd_hwpt *hwpt = NULL;
	uint64_t count = 0;

	if (!page || !bytes || at % page || bytes % page || !arguments->dirty.uptr ||
	    arguments->dirty.flags)
		return -EINVAL;
	if (at + (bytes - 1) < at)
		return -EOVERFLOW;
	int error = mock_hwpt(call, arguments->id, &hwpt);
	if (error)
		return error;
	ufd_ioas_lock(hwpt->ioas);
	if (at + (bytes - 1) > hwpt->domain->last.value || !ufd_mock_is_tracking(hwpt->domain))
		error = -EINVAL;
	else
		error = write_pages(call, hwpt->domain, &count);
	ufd_ioas_unlock(hwpt->ioas);
	ufd_object_release(&hwpt->object);
	arguments->dirty.out_nr_dirty = count;
	return error ? error : ufd_respond(call);
}

static int check_iotlb(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	struct ufd_hwpt *hwpt = NULL;

	if (arguments->check_iotlb.id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;
	int error = ufd_object_hold(call->context, arguments->id, UFD_HWPT_NESTED, &hwpt);
	if (error)
		return error;
	if (!ufd_mock_is_nested(hwpt->domain) ||
	    ufd_mock_iotlb(hwpt->domain, arguments->check_iotlb.id) != arguments->check_iotlb.iotlb)
		error = -EINVAL;
	ufd_object_release(&hwpt->object);
	return error;
}

/* ---- devices --------------------------------------------------------------------------- */

/** A mock device bound to the context, held. */
static int mock_device(const struct ufd_call *call, uint32_t id, struct ufd_device **out)
{
	int error = ufd_object_hold(call->context, id, UFD_DEVICE, out);

	if (!error && !ufd_mock_is_device((*out)->device)) {
		ufd_object_release(&(*out)->object);
		return ufd_refuse(call->ufd, -EINVAL, "device %u is not a mock", id);
	}
	return error;
}

static int check_cache(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	struct ufd_device *device = NULL;

	if (arguments->check_dev_cache.id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;
	int error = mock_device(call, arguments->id, &device);
	if (error)
		return error;
	if (ufd_mock_device_cache(device->device, arguments->check_dev_cache.id) !=
	    arguments->check_dev_cache.cache)
		error = -EINVAL;
	ufd_object_release(&device->object);
	return error;
}

static int trigger_iopf(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const uint32_t pasid = arguments->trigger_iopf.pasid, perm = arguments->trigger_iopf.perm;
	struct ufd_mock_answer before, after;
	struct ufd_device *device = NULL;
	const struct iommu_page_request request = {
		.has_pasid = pasid != IOMMU_NO_PASID,
		.pasid = pasid,
		.group = (uint16_t)arguments->trigger_iopf.grpid,
		.last = true,
		.address = iova(arguments->trigger_iopf.addr),
		.access = (perm & IOMMU_PGFAULT_PERM_READ ? IOMMU_READ : 0) |
	                  (perm & IOMMU_PGFAULT_PERM_WRITE ? IOMMU_WRITE : 0) |
	                  (perm & IOMMU_PGFAULT_PERM_EXEC ? IOMMU_EXEC : 0),
		.privileged = perm & IOMMU_PGFAULT_PERM_PRIV,
	};

	if (pasid >> UFD_MOCK_PASID_BITS || arguments->trigger_iopf.grpid >> 9)
		return -EINVAL;
	int error = mock_device(call, arguments->trigger_iopf.dev_id, &device);
	if (error)
		return error;
	ufd_mock_answer(device->device, &before);
	ufd_mock_page_request(device->device, &request);
	ufd_mock_answer(device->device, &after);
	if (after.count != before.count && after.answer == IOMMU_PAGE_INVALID)
		error = ufd_refuse(call->ufd, -EINVAL,
		                   "TRIGGER_IOPF: nobody takes page requests of device %u",
		                   arguments->trigger_iopf.dev_id);
	ufd_object_release(&device->object);
	return error;
}

static int trigger_event(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	struct ufd_device *device = NULL;

	int error = mock_device(call, arguments->trigger_vevent.dev_id, &device);
	if (error)
		return error;
	error = ufd_mock_trigger_event(device->device);
	ufd_object_release(&device->object);
	return error;
}

/* ---- the command ------------------------------------------------------------------------ */

/** Pages of memory that one call of the provider's pin() may be asked for, in runs. */
static int set_memory_limit(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const uint32_t limit = arguments->memory_limit.limit;

	/* Linux's least: a batch of one entry */
	if (limit < sizeof(uint64_t) + sizeof(uint32_t))
		return -EINVAL;
	uint32_t runs = (uint32_t)(limit / sizeof(struct iommu_extent));
	__atomic_store_n(&call->ufd->pin_runs, runs ? runs : 1, __ATOMIC_RELAXED);
	return 0;
}

int ufd_call_selftest(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;

	if (!ufd_mock_unit(call->ufd->iommu))
		return ufd_refuse(call->ufd, -ENOTTY, "the self-test's command needs the mock");
	switch (arguments->op) {
	case IOMMU_TEST_OP_ADD_RESERVED:
		return add_reserved(call);
	case IOMMU_TEST_OP_MOCK_DOMAIN:
		return ufd_selftest_mock_domain(call, false);
	case IOMMU_TEST_OP_MD_CHECK_MAP:
		return check_map(call);
	case IOMMU_TEST_OP_MD_CHECK_REFS:
		return check_refs(call);
	case IOMMU_TEST_OP_CREATE_ACCESS:
		return ufd_selftest_create_access(call);
	case IOMMU_TEST_OP_DESTROY_ACCESS_PAGES:
		return ufd_selftest_destroy_access_pages(call);
	case IOMMU_TEST_OP_ACCESS_PAGES:
		return ufd_selftest_access_pages(call);
	case IOMMU_TEST_OP_ACCESS_RW:
		return ufd_selftest_access_rw(call);
	case IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT:
		return set_memory_limit(call);
	case IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE:
		return ufd_selftest_replace(call);
	case IOMMU_TEST_OP_ACCESS_REPLACE_IOAS:
		return ufd_selftest_access_replace(call);
	case IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS:
		return ufd_selftest_mock_domain(call, true);
	case IOMMU_TEST_OP_DIRTY:
		return dirty(call);
	case IOMMU_TEST_OP_MD_CHECK_IOTLB:
		return check_iotlb(call);
	case IOMMU_TEST_OP_TRIGGER_IOPF:
		return trigger_iopf(call);
	case IOMMU_TEST_OP_DEV_CHECK_CACHE:
		return check_cache(call);
	case IOMMU_TEST_OP_TRIGGER_VEVENT:
		return trigger_event(call);
	case IOMMU_TEST_OP_PASID_ATTACH:
	case IOMMU_TEST_OP_PASID_REPLACE:
	case IOMMU_TEST_OP_PASID_DETACH:
		return ufd_selftest_pasid(call);
	case IOMMU_TEST_OP_DMABUF_GET:
		return ufd_selftest_dmabuf_get(call);
	case IOMMU_TEST_OP_DMABUF_REVOKE:
		return ufd_selftest_dmabuf_revoke(call);
	case IOMMU_TEST_OP_PASID_CHECK_HWPT:
		return ufd_selftest_pasid_check(call);
	default:
		return ufd_refuse(call->ufd, -EOPNOTSUPP, "self-test operation %u is not known",
		                  arguments->op);
	}
}
