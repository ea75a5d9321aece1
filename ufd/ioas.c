/* SPDX-License-Identifier: MIT */
/*
 * I/O address spaces: which IOVAs may be used, and which HWPTs have the mappings.
 *
 * Invariant: every area of an IOAS is mapped in every HWPT of it, and its memory is
 * pinned if there is any HWPT. Without a HWPT an IOAS is bookkeeping only, and
 * mappings may begin at any byte; the first HWPT brings the alignment of its
 * smallest page, and is refused with -EADDRINUSE if an area does not keep to it.
 */
#include "ufd/nestor.h"
#include "ufd/private.h"

#define LOCK(ioas)   ufd_ioas_lock(ioas)
#define UNLOCK(ioas) ufd_ioas_unlock(ioas)

static struct ufd_area *first_area(const struct ufd_ioas *ioas)
{
	return (struct ufd_area *)iova_space_first(&ioas->areas);
}

static struct ufd_area *next_area(const struct ufd_ioas *ioas, const struct ufd_area *area)
{
	return (struct ufd_area *)iova_space_next(&ioas->areas, &area->node);
}

int ufd_call_ioas_alloc(struct ufd_call *call)
{
	struct iommu_ioas_alloc *arguments = call->arguments;
	const struct iommu_os *os = call->ufd->os;
	struct ufd_ioas *ioas = NULL;

	if (arguments->flags)
		return ufd_refuse(call->ufd, -EOPNOTSUPP, "IOAS_ALLOC: flags %#x, must be 0",
		                  arguments->flags);
	int error = ufd_object_new(call->context, UFD_IOAS, sizeof(*ioas), &ioas);
	if (error)
		return error;
	iova_space_init(&ioas->areas);
	iova_ranges_init(&ioas->ranges, os, &ioas->areas);
	ioas->alignment = 1;
	error = os->lock_init(os->ctx, &ioas->lock, "ufd ioas");
	if (error) {
		ufd_object_free(&ioas->object, sizeof(*ioas));
		return error;
	}
	arguments->out_ioas_id = ioas->object.id;
	error = ufd_respond(call);
	if (error)
		ufd_ioas_free(ioas);
	else
		ufd_object_publish(&ioas->object);
	return error;
}

void ufd_ioas_free(struct ufd_ioas *ioas)
{
	const struct iommu_os *os = ioas->object.context->file.ufd->os;

	ufd_ioas_drop_areas(ioas);
	ufd_ioas_deferral_free(ioas);
	iova_ranges_exit(&ioas->ranges);
	os->lock_destroy(os->ctx, &ioas->lock);
	ufd_object_free(&ioas->object, sizeof(*ioas));
}

void ufd_ioas_info(struct ufd_ioas *ioas, struct ufd_object_info *out)
{
	ufd_lock(ioas->object.context->file.ufd, &ioas->lock); /* a look flushes nothing */
	out->areas = ioas->areas.count - ufd_ioas_deferred(ioas);
	out->mapped_bytes = ioas->mapped_bytes;
	UNLOCK(ioas);
}

/* ---- HWPTs -------------------------------------------------------------------------- */

static uint64_t hwpt_alignment(const struct ufd_hwpt *hwpt)
{
	return hwpt->domain->page_sizes & -hwpt->domain->page_sizes;
}

/** The alignment that @p ioas has with its HWPTs, and @p extra if it is not NULL. */
static uint64_t needed_alignment(const struct ufd_ioas *ioas, const struct ufd_hwpt *extra,
                                 bool small_pages)
{
	uint64_t alignment = small_pages ? PAGE_SIZE_4K : 1;

	if (extra && hwpt_alignment(extra) > alignment)
		alignment = hwpt_alignment(extra);
	for (const struct ufd_hwpt *hwpt = ioas->hwpts; hwpt; hwpt = hwpt->next)
		if (hwpt_alignment(hwpt) > alignment)
			alignment = hwpt_alignment(hwpt);
	for (const struct ufd_access_link *link = ioas->accesses; link; link = link->next)
		if (link->access->ops->unmap && alignment < PAGE_SIZE_4K)
			alignment = PAGE_SIZE_4K; /* it pins whole pages */
	return alignment;
}

/** Does every area keep to @p alignment? 0 or -EADDRINUSE. */
static int check_alignment(const struct ufd_ioas *ioas, uint64_t alignment)
{
	if (alignment <= ioas->alignment)
		return 0;
	for (const struct ufd_area *area = first_area(ioas); area; area = next_area(ioas, area)) {
		/* the place in the user's page is the place in the physical one */
		uint64_t all = area->node.first | ufd_area_bytes(area) |
		               (area->start & (PAGE_SIZE_4K - 1));
		if (all & (alignment - 1))
			return ufd_refuse(ioas->object.context->file.ufd, -EADDRINUSE,
			                  "IOAS %u: the mapping at %#llx is not aligned to %#llx",
			                  ioas->object.id, (unsigned long long)area->node.first,
			                  (unsigned long long)alignment);
	}
	return 0;
}

/** Unpin the areas before @p end (NULL: all). @p safe: no device can reach them. */
static void unpin_areas(struct ufd_ioas *ioas, const struct ufd_area *end, bool safe)
{
	for (struct ufd_area *area = first_area(ioas); area != end; area = next_area(ioas, area))
		ufd_pages_unpin(ioas->object.context, ufd_area_pages(area), safe);
}

/** The areas, which are pinned, stay pinned for good, whoever unmaps them. */
static void keep_areas(struct ufd_ioas *ioas)
{
	for (struct ufd_area *area = first_area(ioas); area; area = next_area(ioas, area))
		if (ufd_pages_pin(ioas->object.context, ufd_area_pages(area)) == 0) /* it counts */
			ufd_pages_unpin(ioas->object.context, ufd_area_pages(area), false);
}

static int pin_areas(struct ufd_ioas *ioas)
{
	for (struct ufd_area *area = first_area(ioas); area; area = next_area(ioas, area)) {
		int error = ufd_pages_pin(ioas->object.context, ufd_area_pages(area));
		if (error) {
			unpin_areas(ioas, area, true);
			return error;
		}
	}
	return 0;
}

/** Map every area. On failure some are mapped: the domain must be freed. */
static int map_areas(struct ufd_ioas *ioas, struct iommu_domain *domain)
{
	struct iommu_gather gather;
	int error = 0;

	iommu_gather_init(&gather, domain);
	for (struct ufd_area *area = first_area(ioas); area && !error; area = next_area(ioas, area))
		error = ufd_pages_map(ufd_area_pages(area), area->start, ufd_area_bytes(area),
		                      domain, iova(area->node.first),
		                      ufd_area_rights(area) | IOMMU_CACHE, ioas->small_pages,
		                      &gather);
	int flushed = iommu_flush(&gather);
	return error ? error : flushed;
}

int ufd_ioas_add_hwpt(struct ufd_ioas *ioas, struct ufd_hwpt *hwpt)
{
	struct iommu_domain *domain = hwpt->domain;

	LOCK(ioas);
	bool first = !ioas->hwpts;
	uint64_t alignment = needed_alignment(ioas, hwpt, ioas->small_pages);
	int error = check_alignment(ioas, alignment);
	if (!error)
		error = iova_ranges_aperture(&ioas->ranges, domain->first.value, domain->last.value,
		                             hwpt);
	if (!error) {
		if (first)
			error = pin_areas(ioas);
		if (!error) {
			error = map_areas(ioas, domain);
			if (error && first)
				unpin_areas(ioas, NULL, true); /* no device ever saw the domain */
		}
		if (error)
			iova_ranges_unreserve(&ioas->ranges, hwpt);
	}
	if (!error) {
		ioas->alignment = alignment;
		iommu_gather_init(&hwpt->deferred, domain);
		hwpt->next = ioas->hwpts;
		ioas->hwpts = hwpt;
		ufd_ioas_changed(ioas);
	}
	UNLOCK(ioas);
	return error;
}

void ufd_ioas_remove_hwpt(struct ufd_ioas *ioas, struct ufd_hwpt *hwpt)
{
	struct ufd_hwpt **link = &ioas->hwpts;

	LOCK(ioas);
	while (*link != hwpt)
		link = &(*link)->next;
	*link = hwpt->next;
	ufd_ioas_changed(ioas);
	/* Attached nowhere: no device reaches the tables, so they go without a flush; unless a
	 * unit has not confirmed that it forgot them. */
	bool safe = !__atomic_load_n(&hwpt->domain->unforgotten, __ATOMIC_ACQUIRE);
	if (iommu_domain_free(hwpt->domain))
		iommu_log(ioas->object.context->file.ufd->os, IOMMU_LOG_ERROR,
		          "ufd: HWPT %u: its domain is busy and is lost", hwpt->object.id);
	iova_ranges_unreserve(&ioas->ranges, hwpt);
	ioas->alignment = needed_alignment(ioas, NULL, ioas->small_pages);
	if (!ioas->hwpts && ioas->areas.count)
		unpin_areas(ioas, NULL, safe);
	else if (!safe)
		keep_areas(ioas);
	UNLOCK(ioas);
}

/* ---- accesses ------------------------------------------------------------------------ */

int ufd_ioas_add_access(struct ufd_ioas *ioas, struct ufd_access_link *link)
{
	LOCK(ioas);
	int error = link->access->ops->unmap ? check_alignment(ioas, PAGE_SIZE_4K) : 0;
	if (!error) {
		link->ioas = ioas;
		link->pins = NULL;
		link->next = ioas->accesses;
		ioas->accesses = link;
		ioas->alignment = needed_alignment(ioas, NULL, ioas->small_pages);
	}
	UNLOCK(ioas);
	return error;
}

void ufd_ioas_remove_access(struct ufd_access_link *link)
{
	struct ufd_ioas *ioas = link->ioas;
	struct ufd_access_link **at = &ioas->accesses;

	LOCK(ioas);
	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	ioas->alignment = needed_alignment(ioas, NULL, ioas->small_pages);
	UNLOCK(ioas);
}

/* ---- what devices cannot use ------------------------------------------------------------ */

/** The part of ufd_ioas_reserve() for one device. */
static int reserve_device(struct ufd_ioas *ioas, const struct iommu_device *device,
                          const void *owner)
{
	int error = 0;

	for (const struct iommu_reserved *reserved = device->reserved; reserved && !error;
	     reserved = reserved->next) {
		if (reserved->kind == IOMMU_RESERVED_RELAXABLE)
			continue;
		error = iova_ranges_reserve(&ioas->ranges, reserved->first.value,
		                            reserved->last.value, owner);
		if (error == -EADDRINUSE)
			(void)ufd_refuse(
				ioas->object.context->file.ufd, error,
				"IOAS %u: device %s reserves %#llx..%#llx, where something "
				"is mapped or allowed",
				ioas->object.id, device->desc.name,
				(unsigned long long)reserved->first.value,
				(unsigned long long)reserved->last.value);
	}
	return error;
}

int ufd_ioas_reserve(struct ufd_ioas *ioas, struct iommu_group *group, const void *owner)
{
	const struct ufd *ufd = ioas->object.context->file.ufd;
	int error = 0;

	LOCK(ioas);
	ufd_lock(ufd, &group->iommu->lock); /* devices join and leave under it */
	for (const struct iommu_device *device = group->devices; device && !error;
	     device = device->next_in_group)
		error = reserve_device(ioas, device, owner);
	ufd_unlock(ufd, &group->iommu->lock);
	if (error)
		iova_ranges_unreserve(&ioas->ranges, owner);
	UNLOCK(ioas);
	return error;
}

void ufd_ioas_unreserve(struct ufd_ioas *ioas, const void *owner)
{
	LOCK(ioas);
	iova_ranges_unreserve(&ioas->ranges, owner);
	UNLOCK(ioas);
}

/* ---- ranges, options ------------------------------------------------------------------------ */

int ufd_call_ioas_iova_ranges(struct ufd_call *call)
{
	struct iommu_ioas_iova_ranges *arguments = call->arguments;
	struct ufd_ioas *ioas = NULL;
	struct iova_range range;
	uint32_t room = arguments->num_iovas, count = 0;

	if (arguments->__reserved)
		return -EOPNOTSUPP;
	int error = ufd_object_hold(call->context, arguments->ioas_id, UFD_IOAS, &ioas);
	if (error)
		return error;
	LOCK(ioas);
	for (uint64_t from = 0; iova_ranges_next(&ioas->ranges, from, &range) && !error;
	     from = range.last + 1, count++) {
		const struct iommu_iova_range out = {range.first, range.last};
		uint64_t user = arguments->allowed_iovas + count * sizeof(out);
		if (count < room)
			error = user < arguments->allowed_iovas
			                ? -EFAULT
			                : ufd_copy_out(call->ufd, user, &out, sizeof(out));
		if (range.last == ~UINT64_C(0)) {
			count++;
			break;
		}
	}
	arguments->out_iova_alignment = ioas->alignment;
	UNLOCK(ioas);
	ufd_object_release(&ioas->object);
	if (error)
		return error;
	arguments->num_iovas = count;
	error = ufd_respond(call);
	return error ? error : count > room ? -EMSGSIZE : 0;
}

/** Ranges from user memory; the block doubles, so that a false count costs no more
 *  than the memory that is really there. */
struct range_list {
	struct iova_range *range;
	size_t capacity;
};

static int read_ranges(const struct ufd *ufd, uint64_t user, uint32_t count,
                       struct range_list *list)
{
	for (uint32_t i = 0; i < count; i++) {
		struct iommu_iova_range in;
		if (user + i * sizeof(in) < user)
			return -EFAULT;
		int error = ufd_copy_in(ufd, &in, user + i * sizeof(in), sizeof(in));
		if (error)
			return error;
		if (in.start >= in.last) /* a single address too: as in Linux */
			return ufd_refuse(ufd, -EINVAL, "allowed range %u: %#llx..%#llx is empty",
			                  i, (unsigned long long)in.start,
			                  (unsigned long long)in.last);
		if (i == list->capacity) {
			size_t capacity = i ? list->capacity * 2 : 4;
			struct iova_range *range = ufd_alloc(ufd, capacity * sizeof(*range));
			if (!range)
				return -ENOMEM;
			for (uint32_t j = 0; j < i; j++)
				range[j] = list->range[j];
			ufd_free(ufd, list->range, list->capacity * sizeof(*range));
			*list = (struct range_list){range, capacity};
		}
		list->range[i] = (struct iova_range){in.start, in.last};
	}
	return 0;
}

int ufd_call_ioas_allow_iovas(struct ufd_call *call)
{
	const struct iommu_ioas_allow_iovas *arguments = call->arguments;
	struct range_list list = {0};
	struct ufd_ioas *ioas = NULL;

	if (arguments->__reserved)
		return -EOPNOTSUPP;
	int error = ufd_object_hold(call->context, arguments->ioas_id, UFD_IOAS, &ioas);
	if (error)
		return error;
	error = read_ranges(call->ufd, arguments->allowed_iovas, arguments->num_iovas, &list);
	if (!error) {
		LOCK(ioas);
		error = iova_ranges_allow(&ioas->ranges, list.range, arguments->num_iovas);
		UNLOCK(ioas);
	}
	ufd_free(call->ufd, list.range, list.capacity * sizeof(*list.range));
	ufd_object_release(&ioas->object);
	return error;
}

static int option_rlimit_mode(const struct ufd_call *call, struct iommu_option *arguments)
{
	struct ufd_context *context = call->context;
	int error = 0;

	if (arguments->object_id)
		return -EOPNOTSUPP;
	ufd_lock(call->ufd, &context->table_lock);
	if (arguments->op == IOMMU_OPTION_OP_GET) {
		arguments->val64 = context->rlimit_by_process;
	} else if (arguments->op != IOMMU_OPTION_OP_SET) {
		error = -EOPNOTSUPP;
	} else {
		for (uint32_t id = 1; id <= context->capacity && !error; id++)
			error = ufd_object_at(context, id) ? -EBUSY : 0;
		if (!error && arguments->val64 > 1)
			error = -EINVAL;
		if (!error)
			context->rlimit_by_process = arguments->val64;
	}
	ufd_unlock(call->ufd, &context->table_lock);
	return error;
}

int ufd_ioas_set_small_pages(struct ufd_ioas *ioas)
{
	uint64_t alignment = needed_alignment(ioas, NULL, true);
	/* what is mapped already is mapped in large pages */
	int error = ioas->hwpts && ioas->areas.count && !ioas->small_pages
	                    ? -EINVAL
	                    : check_alignment(ioas, alignment);

	if (!error) {
		ioas->small_pages = true;
		ioas->alignment = alignment;
	}
	return error;
}

static int option_huge_pages(const struct ufd_call *call, struct iommu_option *arguments)
{
	struct ufd_ioas *ioas = NULL;

	int error = ufd_object_hold(call->context, arguments->object_id, UFD_IOAS, &ioas);
	if (error)
		return error;
	LOCK(ioas);
	if (arguments->op == IOMMU_OPTION_OP_GET) {
		arguments->val64 = !ioas->small_pages;
	} else if (arguments->op != IOMMU_OPTION_OP_SET) {
		error = -EOPNOTSUPP;
	} else if (arguments->val64 > 1) {
		error = -EINVAL;
	} else if (!arguments->val64 && !ioas->small_pages) {
		error = ufd_ioas_set_small_pages(ioas);
	} else if (arguments->val64) {
		ioas->small_pages = false;
		ioas->alignment = needed_alignment(ioas, NULL, false);
	}
	UNLOCK(ioas);
	ufd_object_release(&ioas->object);
	return error;
}

int ufd_call_option(struct ufd_call *call)
{
	struct iommu_option *arguments = call->arguments;
	int error = 0;

	if (arguments->__reserved)
		return -EOPNOTSUPP;
	/* SET answers with what it was given: at once, so that it cannot fail after */
	if (arguments->op == IOMMU_OPTION_OP_SET)
		error = ufd_respond(call);
	if (error)
		return error;
	switch (arguments->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		error = option_rlimit_mode(call, arguments);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		error = option_huge_pages(call, arguments);
		break;
	case IOMMU_OPTION_NESTOR_DEFER_COUNT:
	case IOMMU_OPTION_NESTOR_DEFER_US:
		error = ufd_option_defer(call, arguments);
		break;
	default:
		error = ufd_refuse(call->ufd, -EOPNOTSUPP,
		                   "OPTION: id %u, known are 0 (RLIMIT_MODE) and 1 (HUGE_PAGES), "
		                   "and those of ufd/nestor.h",
		                   arguments->option_id);
	}
	return error || arguments->op == IOMMU_OPTION_OP_SET ? error : ufd_respond(call);
}
