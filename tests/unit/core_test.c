/* SPDX-License-Identifier: MIT */
/* The core, with a driver of the test's own: see core_fake.h. */
#include "tests/unit/core_fake.h"

/* ---- cases -------------------------------------------------------------------------- */

static int failing_lock_init(void *ctx, struct iommu_lock *lock, const char *name)
{
	struct test_os *test = ctx, hooks;

	if (test->locks == 1)
		return -ENOMEM;
	test_os_init(&hooks);
	return hooks.os.lock_init(ctx, lock, name);
}

static void set_up(void)
{
	struct bench bench = {0};
	struct iommu_device *extra;

	test_os_init(&bench.test);
	bench.test.os.lock_init = failing_lock_init;
	KTAP_EQUAL(iommu_init(&bench.iommu, &bench.test.os, NULL), -ENOMEM);
	KTAP_CHECK(test_os_is_clean(&bench.test));

	bench_init(&bench);
	/* explicit beats rest, though it comes later */
	KTAP_CHECK(bench.device[0]->unit == &bench.unit[0]->unit);
	KTAP_CHECK(bench.device[1]->unit == &bench.unit[1]->unit);
	KTAP_CHECK(bench.device[3]->unit == &bench.unit[2]->unit);
	KTAP_CHECK(bench.device[0]->group == bench.device[1]->group);
	KTAP_CHECK(bench.device[0]->group != bench.device[2]->group);
	KTAP_EQUAL(bench.device[0]->group->id, 7);
	for (unsigned i = 0; i < 4; i++) {
		const struct iommu_reserved *reserved = bench.device[i]->reserved;
		KTAP_CHECK(reserved && !reserved->next);
		if (!reserved)
			continue;
		KTAP_CHECK(reserved->kind == IOMMU_RESERVED_MSI);
		KTAP_EQUAL(reserved->first.value, 0xfee00000);
		KTAP_EQUAL(reserved->last.value, 0xfeefffff);
	}
	KTAP_EQUAL(iommu_device_reserve(bench.device[0], iova(2), iova(1), IOMMU_RESERVED_NONE),
	           -EINVAL);

	/* the same device again; wrong descriptions; a device without a unit */
	struct iommu_device_desc desc = desc_of(0, RID(1, 0, 0), 20);
	KTAP_EQUAL(iommu_device_add(&bench.iommu, &desc, &extra), -EEXIST);
	desc.rid = RID(3, 0, 0);
	desc.hop_count = IOMMU_MAX_HOPS + 1;
	KTAP_EQUAL(iommu_device_add(&bench.iommu, &desc, &extra), -EINVAL);
	desc.hop_count = 0;
	desc.alias_count = IOMMU_MAX_ALIASES + 1;
	KTAP_EQUAL(iommu_device_add(&bench.iommu, &desc, &extra), -EINVAL);
	desc.alias_count = 2;
	desc.aliases[0] = RID(4, 0, 0);
	desc.aliases[1] = RID(1, 1, 0);
	desc.ats_queue_depth = 33;
	KTAP_EQUAL(iommu_device_add(&bench.iommu, &desc, &extra), -EINVAL);
	desc.ats_queue_depth = 32;
	memset(desc.name, 'x', sizeof(desc.name));
	KTAP_EQUAL(iommu_device_add(&bench.iommu, &desc, &extra), -EINVAL);
	desc.name[15] = '\0';
	KTAP_EQUAL(iommu_device_add(&bench.iommu, &desc, &extra), 0);
	KTAP_CHECK(iommu_device_find(&bench.iommu, 0, RID(4, 0, 0)) == extra);
	KTAP_CHECK(iommu_device_find(&bench.iommu, 0, RID(1, 1, 0)) == bench.device[2]);
	KTAP_CHECK(iommu_device_find(&bench.iommu, 1, RID(4, 0, 0)) == NULL);
	iommu_device_remove(extra);
	KTAP_CHECK(iommu_device_find(&bench.iommu, 0, RID(3, 0, 0)) == NULL);
	desc.segment = 5;
	KTAP_EQUAL(iommu_device_add(&bench.iommu, &desc, &extra), 0);
	KTAP_CHECK(extra->unit == NULL);
	struct iommu_domain *domain = domain_new(bench.device[0], 0), *none = NULL;
	KTAP_EQUAL(iommu_domain_alloc_user(extra, 0, NULL, NULL, &none), -ENODEV);
	KTAP_EQUAL(iommu_domain_alloc_identity(extra, &none), -ENODEV);
	KTAP_EQUAL(iommu_attach(extra->group, domain), -ENODEV);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	bench_exit(&bench);
}

static void enable(void)
{
	struct bench bench;

	bench_init(&bench);
	bench.unit[2]->enable_error = -ETIMEDOUT;
	KTAP_EQUAL(iommu_enable(&bench.iommu), -ETIMEDOUT);
	KTAP_CHECK(!bench.iommu.enabled);
	KTAP_CHECK(strstr(bench.test.last_log, "fake2") &&
	           strstr(bench.test.last_log, "ETIMEDOUT"));
	for (unsigned i = 0; i < 3; i++) {
		KTAP_CHECK(!bench.unit[i]->in_force && !bench.unit[i]->unit.enabled);
		KTAP_EQUAL(bench.unit[i]->disables, i < 2);
	}
	/* the first one fails: nothing to hand back */
	bench.unit[0]->enable_error = -EIO;
	KTAP_EQUAL(iommu_enable(&bench.iommu), -EIO);
	KTAP_EQUAL(bench.unit[0]->disables, 1);
	bench.unit[0]->enable_error = 0;
	bench.unit[2]->enable_error = 0;
	KTAP_EQUAL(iommu_enable(&bench.iommu), 0);
	KTAP_CHECK(bench.iommu.enabled);
	KTAP_EQUAL(iommu_enable(&bench.iommu), 0); /* again: nothing happens */
	KTAP_EQUAL(bench.unit[1]->enables, 2);
	/* a unit that comes later and fails does not take the others along */
	iommu_disable(&bench.iommu);
	KTAP_CHECK(!bench.iommu.enabled && !bench.unit[0]->in_force);
	KTAP_EQUAL(iommu_enable(&bench.iommu), 0);
	fake_disable(&bench.unit[2]->unit);
	bench.unit[2]->unit.enabled = false;
	bench.unit[2]->enable_error = -EIO;
	KTAP_EQUAL(iommu_enable(&bench.iommu), -EIO);
	KTAP_CHECK(bench.unit[0]->in_force && bench.unit[1]->in_force);
	bench_exit(&bench);
}

static void ownership(void)
{
	struct bench bench;
	int one = 1, two = 2;

	bench_init(&bench);
	struct iommu_group *group = bench.device[0]->group;
	struct iommu_domain *domain = domain_new(bench.device[0], 0);
	KTAP_EQUAL(iommu_group_claim(group, &one), 0);
	KTAP_EQUAL(iommu_group_claim(group, &one), 0);
	KTAP_EQUAL(iommu_group_claim(group, &two), -EBUSY);
	KTAP_EQUAL(iommu_attach(group, domain), 0);
	KTAP_EQUAL(domain->attachments, 2);
	iommu_group_release(group, &two); /* not the owner: refused, and said so */
	KTAP_CHECK(strstr(bench.test.last_log, "group 7"));
	iommu_group_release(group, &one);
	KTAP_CHECK(group->domain == domain);
	KTAP_EQUAL(iommu_group_claim(group, &two), -EBUSY);
	iommu_group_release(group, &one); /* the last claim: blocked */
	KTAP_CHECK(group->domain == NULL && bench.device[1]->domain == NULL);
	KTAP_EQUAL(domain->attachments, 0);
	KTAP_EQUAL(iommu_group_claim(group, &two), 0);
	iommu_group_release(group, &two);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	bench_exit(&bench);
}

static void attachment(void)
{
	struct bench bench;

	bench_init(&bench);
	struct iommu_group *group = bench.device[0]->group;
	struct iommu_domain *first = domain_new(bench.device[0], 0);
	struct iommu_domain *second = domain_new(bench.device[0], IOMMU_ALLOC_NEST_PARENT);
	struct iommu_domain *other = domain_new(bench.device[3], 0);

	/* the second device fails: the first gets back what it had, nothing */
	bench.unit[1]->attach_error = -ENOMEM;
	bench.unit[1]->attach_error_rid = RID(2, 0, 0);
	KTAP_EQUAL(iommu_attach(group, first), -ENOMEM);
	KTAP_CHECK(!group->domain && !bench.device[0]->domain && !bench.device[1]->domain);
	KTAP_EQUAL(first->attachments, 0);
	KTAP_EQUAL(iommu_attach(group, first), 0);
	KTAP_EQUAL(first->attachments, 2);
	unsigned attaches = bench.unit[0]->attaches;
	KTAP_EQUAL(iommu_attach(group, first), 0); /* the same: nothing happens */
	KTAP_EQUAL(bench.unit[0]->attaches, attaches);

	/* replace fails half-way */
	bench.unit[1]->attach_error = -EIO;
	KTAP_EQUAL(iommu_attach(group, second), -EIO);
	KTAP_CHECK(group->domain == first && bench.device[0]->domain == first);
	KTAP_EQUAL(first->attachments, 2);
	KTAP_EQUAL(second->attachments, 0);
	KTAP_EQUAL(iommu_domain_free(first), -EBUSY);
	KTAP_EQUAL(iommu_attach(group, second), 0);
	KTAP_EQUAL(first->attachments, 0);
	KTAP_EQUAL(second->attachments, 2);

	/* another driver's domain; and the other way round */
	KTAP_EQUAL(iommu_attach(group, other), -EINVAL);
	KTAP_EQUAL(iommu_attach(bench.device[3]->group, first), -EINVAL);
	KTAP_CHECK(group->domain == second);

	/* a device that joins gets what its group has, or does not join */
	struct iommu_device_desc desc = desc_of(0, RID(1, 2, 0), 7);
	struct iommu_device *joined = NULL;
	bench.unit[0]->attach_error = -EIO;
	bench.unit[0]->attach_error_rid = RID(1, 2, 0);
	unsigned devices = bench.unit[0]->devices;
	KTAP_EQUAL(iommu_device_add(&bench.iommu, &desc, &joined), -EIO);
	KTAP_EQUAL(bench.unit[0]->devices, devices);
	KTAP_EQUAL(iommu_device_add(&bench.iommu, &desc, &joined), 0);
	KTAP_CHECK(joined->domain == second);
	KTAP_EQUAL(second->attachments, 3);
	iommu_device_remove(joined);
	KTAP_EQUAL(second->attachments, 2);

	iommu_detach(group);
	KTAP_CHECK(!group->domain && !bench.device[0]->domain);
	KTAP_EQUAL(second->attachments, 0);
	/* a unit that fails to block is logged, and the books are right all the same */
	KTAP_EQUAL(iommu_attach(group, first), 0);
	bench.unit[0]->attach_error = -ETIMEDOUT;
	bench.unit[0]->attach_error_rid = RID(1, 0, 0);
	iommu_detach(group);
	KTAP_CHECK(strstr(bench.test.last_log, "not blocked: ETIMEDOUT"));
	KTAP_EQUAL(first->attachments, 0);
	KTAP_EQUAL(iommu_domain_free(first), 0);
	KTAP_EQUAL(iommu_domain_free(second), 0);
	KTAP_EQUAL(iommu_domain_free(other), 0);
	bench_exit(&bench);
}

static void direct_regions(void)
{
	struct bench bench;
	struct iommu_domain *identity = NULL;

	for (unsigned kind = 0; kind < 2; kind++) {
		bench_init(&bench);
		bench.unit[0]->direct_region = true;
		bench.unit[0]->region_kind =
			kind ? IOMMU_RESERVED_RELAXABLE : IOMMU_RESERVED_DIRECT;
		struct iommu_device_desc desc = desc_of(0, RID(5, 0, 0), 30);
		struct iommu_device *device;
		KTAP_EQUAL(iommu_device_add(&bench.iommu, &desc, &device), 0);
		struct iommu_domain *domain = domain_new(device, 0);
		KTAP_EQUAL(iommu_attach(device->group, domain), kind ? 0 : -EINVAL);
		if (!kind) {
			KTAP_CHECK(strstr(bench.test.last_log, "05:00.0"));
			KTAP_CHECK(strstr(bench.test.last_log, "[0x7000000, 0x7ffffff]"));
			/* one to one is what firmware asks for */
			KTAP_EQUAL(iommu_domain_alloc_identity(device, &identity), 0);
			KTAP_EQUAL(iommu_attach(device->group, identity), 0);
			iommu_detach(device->group);
			KTAP_EQUAL(iommu_domain_free(identity), 0);
		}
		iommu_detach(device->group);
		KTAP_EQUAL(iommu_domain_free(domain), 0);
		bench_exit(&bench);
	}
}

static void allocation(void)
{
	struct bench bench;
	struct iommu_domain *domain = NULL;
	struct iommu_user_data data = {.type = 1, .bytes = 4, .start = "abc"};
	struct iommu_user_data nothing = {.type = 1};

	bench_init(&bench);
	struct iommu_device *device = bench.device[0];
#define ALLOC(flags, parent, data) iommu_domain_alloc_user(device, flags, parent, data, &domain)
	KTAP_EQUAL(ALLOC(1 << 4, NULL, NULL), -EOPNOTSUPP);
	KTAP_EQUAL(ALLOC(UINT32_C(1) << 31, NULL, NULL), -EOPNOTSUPP);
	KTAP_EQUAL(ALLOC(IOMMU_ALLOC_FAULT_ID_VALID, NULL, NULL), -EOPNOTSUPP); /* the driver's */
	KTAP_CHECK(domain == NULL);

	struct iommu_domain *plain = domain_new(device, 0);
	struct iommu_domain *parent = domain_new(device, IOMMU_ALLOC_NEST_PARENT);
	KTAP_CHECK(parent->stage == IOMMU_STAGE_SECOND);
	KTAP_EQUAL(parent->flags, IOMMU_ALLOC_NEST_PARENT);
	KTAP_EQUAL(ALLOC(0, plain, &data), -EINVAL);
	KTAP_EQUAL(ALLOC(0, parent, NULL), -EOPNOTSUPP);
	KTAP_EQUAL(ALLOC(0, parent, &nothing), -EOPNOTSUPP);
	KTAP_EQUAL(ALLOC(IOMMU_ALLOC_NEST_PARENT, parent, &data), -EOPNOTSUPP);
	KTAP_EQUAL(ALLOC(IOMMU_ALLOC_DIRTY_TRACKING, parent, &data), -EOPNOTSUPP);
	KTAP_EQUAL(iommu_domain_alloc_user(bench.device[3], 0, parent, &data, &domain), -EINVAL);
	KTAP_EQUAL(ALLOC(0, parent, &data), 0);
	KTAP_CHECK(domain->parent == parent && domain->stage == IOMMU_STAGE_NESTED);
	KTAP_EQUAL(parent->children, 1);
	KTAP_EQUAL(iommu_domain_free(parent), -EBUSY);
	struct iommu_domain *nested = domain;
	KTAP_EQUAL(ALLOC(0, nested, &data), -EINVAL); /* nesting goes one deep */
	KTAP_EQUAL(iommu_domain_free(nested), 0);
	KTAP_EQUAL(parent->children, 0);
	KTAP_EQUAL(iommu_domain_free(parent), 0);

	/* granted for experiments: not to be nested on */
	bench.iommu.options.nest_any = true;
	parent = domain_new(device, IOMMU_ALLOC_NEST_PARENT);
	KTAP_CHECK(parent->not_nestable);
	KTAP_EQUAL(ALLOC(0, parent, &data), -EOPNOTSUPP);
	KTAP_EQUAL(iommu_domain_free(parent), 0);

	/* a driver that answers with another format is found out */
	bench.unit[0]->answer_wrong = true;
	bench.unit[0]->wrong_stage = IOMMU_STAGE_FIRST;
	long objects = bench.test.objects;
	KTAP_EQUAL(ALLOC(IOMMU_ALLOC_NEST_PARENT, NULL, NULL), -EOPNOTSUPP);
	bench.unit[0]->wrong_stage = IOMMU_STAGE_NESTED;
	KTAP_EQUAL(ALLOC(0, NULL, NULL), -EOPNOTSUPP);
	KTAP_EQUAL(bench.test.objects, objects);
	bench.unit[0]->answer_wrong = false;

	KTAP_EQUAL(iommu_domain_alloc_identity(bench.device[3], &domain), -EOPNOTSUPP);
	KTAP_EQUAL(iommu_domain_alloc_identity(device, &domain), 0);
	KTAP_CHECK(domain->stage == IOMMU_STAGE_IDENTITY);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	KTAP_EQUAL(iommu_domain_free(plain), 0);
	bench_exit(&bench);
}

static void user_data(void)
{
	uint8_t bytes[24] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
	struct iommu_user_data data = {.type = 3, .bytes = 12, .start = bytes};
	uint8_t out[16];

	KTAP_EQUAL(iommu_user_data_copy(NULL, 3, out, 16, 8), -EINVAL);
	KTAP_EQUAL(iommu_user_data_copy(&data, 2, out, 16, 8), -EINVAL);
	KTAP_EQUAL(iommu_user_data_copy(&data, 3, out, 16, 13), -EINVAL);
	memset(out, 0xff, sizeof(out));
	KTAP_EQUAL(iommu_user_data_copy(&data, 3, out, 16, 12), 0);
	KTAP_CHECK(!memcmp(out, bytes, 16)); /* what is missing is zero */
	memset(out, 0xff, sizeof(out));
	KTAP_EQUAL(iommu_user_data_copy(&data, 3, out, 12, 8), 0);
	KTAP_EQUAL(out[12], 0xff);
	KTAP_EQUAL(iommu_user_data_copy(&data, 3, out, 11, 8), -E2BIG);
	data.bytes = sizeof(bytes);
	KTAP_EQUAL(iommu_user_data_copy(&data, 3, out, 12, 8), 0);
	bytes[23] = 1;
	KTAP_EQUAL(iommu_user_data_copy(&data, 3, out, 12, 8), -E2BIG);
}

static void mapping(void)
{
	struct bench bench;
	struct iommu_gather gather;

	bench_init(&bench);
	struct iommu_domain *domain = domain_new(bench.device[0], 0);
	struct fake_domain *fake = fake_domain_of(domain);
	iommu_gather_init(&gather, domain);
#define MAP(start, extents, count)                                                                 \
	iommu_map(domain, iova(start), extents, count, IOMMU_READ, &gather)
	const struct iommu_extent one = {pa(0x5000), 0x2000};
	KTAP_EQUAL(MAP(0x10000, &one, 0), -EINVAL);
	KTAP_EQUAL(MAP(0x10800, &one, 1), -EINVAL);
	KTAP_EQUAL(MAP(0xf000, &one, 1), -EINVAL);       /* below the aperture */
	KTAP_EQUAL(MAP(0xfffffff000, &one, 1), -EINVAL); /* beyond it */
	KTAP_EQUAL(MAP(0xfffffffffffff000, &one, 1), -EINVAL);
	KTAP_EQUAL(MAP(0x10000, &((struct iommu_extent){pa(0x5800), 0x1000}), 1), -EINVAL);
	KTAP_EQUAL(MAP(0x10000, &((struct iommu_extent){pa(0x5000), 0x800}), 1), -EINVAL);
	KTAP_EQUAL(MAP(0x10000, &((struct iommu_extent){pa(0x5000), 0}), 1), -EINVAL);
	KTAP_EQUAL(MAP(0x10000, &((struct iommu_extent){pa(~UINT64_C(0xfff)), 0x2000}), 1),
	           -EINVAL);
	const struct iommu_extent huge[] = {{pa(0), UINT64_C(1) << 63}, {pa(0), UINT64_C(1) << 63}};
	KTAP_EQUAL(MAP(0x10000, huge, 2), -EINVAL);
	KTAP_EQUAL(fake->ranges, 0);

	/* neighbours in memory are mapped as one */
	const struct iommu_extent list[] = {
		{pa(0x5000), 0x2000}, {pa(0x7000), 0x1000}, {pa(0x20000), 0x3000}, {pa(0), 0x1000}};
	KTAP_EQUAL(MAP(0x10000, list, 4), 0);
	KTAP_EQUAL(fake->ranges, 3);
	KTAP_EQUAL(fake->range[0].bytes, 0x3000);
	KTAP_EQUAL(fake->range[1].first, 0x13000);
	KTAP_EQUAL(fake->range[1].memory, 0x20000);
	KTAP_EQUAL(fake->range[2].first, 0x16000);
	KTAP_EQUAL(iommu_unmap(domain, iova(0x10000), 0x7000, &gather), 0x7000);
	KTAP_EQUAL(iommu_unmap(domain, iova(0x10000), 0, &gather), 0);
	KTAP_EQUAL(iommu_unmap(domain, iova(~UINT64_C(0)), 2, &gather), 0);

	/* the third fails: the first two are taken back, and must be flushed */
	iommu_gather_init(&gather, domain);
	fake->map_error = -EEXIST;
	fake->map_error_at = 3;
	KTAP_EQUAL(MAP(0x10000, list, 4), -EEXIST);
	KTAP_EQUAL(fake->ranges, 0);
	KTAP_CHECK(!iommu_gather_empty(&gather));
	KTAP_EQUAL(iommu_flush(&gather), 0);

	/* a domain without a table of ours */
	struct iommu_domain *identity = NULL;
	KTAP_EQUAL(iommu_domain_alloc_identity(bench.device[0], &identity), 0);
	KTAP_EQUAL(iommu_map(identity, iova(0x10000), &one, 1, IOMMU_READ, &gather), -EINVAL);
	KTAP_EQUAL(iommu_unmap(identity, iova(0x10000), 0x1000, &gather), 0);
	KTAP_EQUAL(iommu_domain_free(identity), 0);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	bench_exit(&bench);
}

static void flushing(void)
{
	struct bench bench;
	struct iommu_gather gather;
	pa_t page[3];

	bench_init(&bench);
	const struct iommu_os *os = &bench.test.os;
	struct iommu_domain *domain = domain_new(bench.device[0], 0);
	struct fake_domain *fake = fake_domain_of(domain);
	iommu_gather_init(&gather, domain);
	KTAP_CHECK(iommu_gather_empty(&gather));
	KTAP_EQUAL(iommu_flush(&gather), 0);
	KTAP_EQUAL(fake->flushes, 0);
	gather.write_buffer = true;
	KTAP_EQUAL(iommu_flush(&gather), 0);
	KTAP_EQUAL(fake->flushes, 1);
	KTAP_CHECK(!gather.write_buffer);

	/* the hull, up to the last address of all */
	iommu_gather_add(&gather, iova(0x5000), iova(0x5fff), false);
	iommu_gather_add(&gather, iova(~UINT64_C(0xfff)), iova(~UINT64_C(0)), true);
	iommu_gather_add(&gather, iova(0x3000), iova(0x3fff), false);
	KTAP_EQUAL(gather.first.value, 0x3000);
	KTAP_EQUAL(gather.last.value, -1);
	KTAP_CHECK(gather.tables);
	for (unsigned i = 0; i < 3; i++) {
		KTAP_EQUAL(os->page_alloc(os->ctx, 0, &page[i]), 0);
		memset(iommu_os_va(os, page[i]), 0xff, 4096);
		iommu_gather_page(&gather, page[i]);
		/* a link looks like an entry that is not present */
		KTAP_EQUAL(*(uint64_t *)iommu_os_va(os, page[i]) & 0xfff, 0);
	}
	KTAP_EQUAL(gather.page_count, 3);
	KTAP_EQUAL(bench.test.pages, 3);
	KTAP_EQUAL(iommu_flush(&gather), 0);
	KTAP_EQUAL(bench.test.pages, 0);
	KTAP_CHECK(iommu_gather_empty(&gather) && !gather.page_count && !gather.tables);

	/* the unit does not answer: the page is never used again */
	KTAP_EQUAL(os->page_alloc(os->ctx, 0, &page[0]), 0);
	iommu_gather_page(&gather, page[0]);
	iommu_gather_add(&gather, iova(0), iova(0xfff), true);
	fake->flush_error = -ETIMEDOUT;
	KTAP_EQUAL(iommu_flush(&gather), -ETIMEDOUT);
	KTAP_EQUAL(bench.test.pages, 1);
	KTAP_CHECK(strstr(bench.test.last_log, "lost"));
	KTAP_CHECK(gather.pages.value == IOMMU_NO_PAGE.value);
	os->page_free(os->ctx, page[0], 0);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	bench_exit(&bench);
}

static char printed[2048];

static void sink_write(struct iommu_print *self, const char *text, size_t bytes)
{
	size_t *length = self->ctx;

	KTAP_CHECK(*length + bytes < sizeof(printed));
	memcpy(printed + *length, text, bytes);
	*length += bytes;
	printed[*length] = '\0';
}

static void faults(void)
{
	struct bench bench;
	struct iommu_fault fault;
	size_t length = 0;
	struct iommu_print sink = {sink_write, &length};

	bench_init(&bench);
	KTAP_EQUAL(iommu_poll(&bench.iommu), 0); /* not enabled: not asked */
	KTAP_EQUAL(iommu_enable(&bench.iommu), 0);
	KTAP_EQUAL(iommu_poll(&bench.iommu), 3);
	KTAP_EQUAL(bench.iommu.fault_count, 3);
	KTAP_EQUAL(bench.seen, 3);
	/* units 0 and 1 share a segment, unit 2 has its own */
	KTAP_EQUAL(bench.device[0]->faults, 2);
	KTAP_EQUAL(bench.device[3]->faults, 1);
	KTAP_EQUAL(bench.device[1]->faults, 0);
	KTAP_CHECK(!iommu_fault_get(&bench.iommu, 0, &fault));
	KTAP_CHECK(!iommu_fault_get(&bench.iommu, 4, &fault));
	KTAP_CHECK(iommu_fault_get(&bench.iommu, 3, &fault));
	KTAP_EQUAL(fault.sequence, 3);
	KTAP_CHECK(fault.device == bench.device[3] && fault.unit == &bench.unit[2]->unit);

	iommu_fault_print(&fault, &sink);
	KTAP_CHECK(!strcmp(printed,
	                   "fault 3: fake2: 01:00.0 write at 0x5000 blocked: LGN.2 "
	                   "(0x5), no write permission\n"
	                   "  > root[0x1] at 0x1000: 0000000000005000  not present for PASID 0\n"
	                   "  fault: LRT.2 (0x1), root entry not present\n"));
	length = 0;
	fault.interrupt = true;
	fault.device = NULL;
	fault.has_pasid = true;
	fault.pasid = 0x42;
	iommu_fault_print(&fault, &sink);
	KTAP_CHECK(!strcmp(printed,
	                   "fault 3: fake2: 0001:01:00.0 (unknown device) PASID 0x42 interrupt "
	                   "request, index 0x5000 blocked: LGN.2 (0x5), no write permission\n"));
	/* another requester id of a device: both are named */
	length = 0;
	fault.device = bench.device[3];
	fault.rid = RID(1, 0, 1);
	iommu_fault_print(&fault, &sink);
	KTAP_CHECK(!strcmp(printed,
	                   "fault 3: fake2: 0001:01:00.1 (for 01:00.0) PASID 0x42 interrupt "
	                   "request, index 0x5000 blocked: LGN.2 (0x5), no write permission\n"));
	/* printing survives a lack of memory */
	length = 0;
	fault.interrupt = false;
	bench.test.fail_at = bench.test.allocations + 1;
	iommu_fault_print(&fault, &sink);
	bench.test.fail_at = 0;
	KTAP_CHECK(strstr(printed, "no memory to walk the tables"));

	/* the ring keeps the last ones */
	for (unsigned i = 0; i < 2 * IOMMU_FAULT_LOG; i++) {
		struct iommu_fault more = {
			.unit = &bench.unit[0]->unit, .rid = RID(9, 9, 1), .address = iova(i)};
		iommu_report_fault(&bench.iommu, &more);
		KTAP_CHECK(more.device == NULL);
	}
	uint64_t count = bench.iommu.fault_count;
	KTAP_CHECK(!iommu_fault_get(&bench.iommu, count - IOMMU_FAULT_LOG, &fault));
	KTAP_CHECK(iommu_fault_get(&bench.iommu, count - IOMMU_FAULT_LOG + 1, &fault));
	KTAP_EQUAL(fault.address.value, IOMMU_FAULT_LOG);

	/* a device that leaves is not named any more */
	KTAP_EQUAL(iommu_poll(&bench.iommu), 3);
	KTAP_CHECK(iommu_fault_get(&bench.iommu, count + 1, &fault));
	KTAP_CHECK(fault.device == bench.device[0]);
	iommu_device_remove(bench.device[0]);
	KTAP_CHECK(iommu_fault_get(&bench.iommu, count + 1, &fault));
	KTAP_CHECK(fault.device == NULL);
	bench_exit(&bench);
}

/** The whole life of a core; ends at the first error, with all undone. */
static int whole_life(struct bench *bench)
{
	struct iommu_domain *parent = NULL, *nested = NULL;
	struct iommu_user_data data = {.type = 1, .bytes = 4, .start = "abc"};
	struct iommu_gather gather;
	const struct iommu_extent extent = {pa(0x5000), 0x2000};
	int self, error;

	error = iommu_init(&bench->iommu, &bench->test.os, NULL);
	if (error)
		return error;
	error = iommu_probe(&bench->iommu, &fake_driver, NULL);
	if (error < 0)
		goto exit;
	bench->unit[0]->direct_region = true;
	bench->unit[0]->region_kind = IOMMU_RESERVED_RELAXABLE;
	error = bench_devices(bench);
	if (error)
		goto exit;
	error = iommu_enable(&bench->iommu);
	if (error)
		goto exit;
	error = iommu_domain_alloc_user(bench->device[0], IOMMU_ALLOC_NEST_PARENT, NULL, NULL,
	                                &parent);
	if (error)
		goto exit;
	error = iommu_domain_alloc_user(bench->device[0], 0, parent, &data, &nested);
	if (error)
		goto free_parent;
	struct iommu_group *group = bench->device[0]->group;
	error = iommu_group_claim(group, &self);
	if (error)
		goto free_nested;
	iommu_gather_init(&gather, parent);
	error = iommu_map(parent, iova(0x100000), &extent, 1, IOMMU_READ, &gather);
	if (!error)
		error = iommu_attach(group, nested);
	iommu_unmap(parent, iova(0x100000), 0x2000, &gather);
	KTAP_EQUAL(iommu_flush(&gather), 0);
	iommu_group_release(group, &self);
free_nested:
	KTAP_EQUAL(iommu_domain_free(nested), 0);
free_parent:
	KTAP_EQUAL(iommu_domain_free(parent), 0);
exit:
	iommu_exit(&bench->iommu);
	return error;
}

static void fail_nth(void)
{
	struct bench bench;
	int error = -ENOMEM;
	long nth;

	for (nth = 1; error && nth < 100; nth++) {
		memset(&bench, 0, sizeof(bench));
		test_os_init(&bench.test);
		bench.test.fail_at = nth;
		error = whole_life(&bench);
		KTAP_EQUAL(error, bench.test.allocations >= nth ? -ENOMEM : 0);
		KTAP_CHECK(test_os_is_clean(&bench.test));
	}
	KTAP_EQUAL(error, 0);
	KTAP_CHECK(nth > 20); /* so many allocations there are, at least */
}

static const struct ktap_case cases[] = {
	{"set-up, units' claims, devices", set_up},
	{"enable all units or none", enable},
	{"a group has one owner", ownership},
	{"attach and replace, for all devices of a group or none", attachment},
	{"firmware's direct regions keep other domains away", direct_regions},
	{"domain_alloc_user: flags, parents, the format asked for", allocation},
	{"structures from a user", user_data},
	{"map by extents, all or nothing", mapping},
	{"gather and flush", flushing},
	{"faults: counted, kept, printed with the walk", faults},
	{"a failure at each allocation leaves nothing behind", fail_nth},
};

KTAP_MAIN(cases)
