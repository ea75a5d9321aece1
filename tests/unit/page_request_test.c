/* SPDX-License-Identifier: MIT */
/*
 * Page requests in the core: which sink gets them, and who answers when none takes them.
 * The unit is the mock, which keeps the last answer of each device.
 */
#include <string.h>

#include "iommu/iommu.h"
#include "tests/ktap.h"
#include "tests/test_os.h"
#include "ufd/mock.h"
#include "ufd/ufd.h"

struct sink {
	struct iommu_page_sink base;
	bool refuses;
	unsigned count;
	struct iommu_domain *domain;
	struct iommu_page_request last;
};

static struct world {
	struct test_os test;
	struct iommu core;
	struct iommu_device *device;
} world;

static bool take(struct iommu_page_sink *base, struct iommu_domain *domain,
                 const struct iommu_page_request *request)
{
	struct sink *sink = container_of(base, struct sink, base);

	sink->count++;
	sink->domain = domain;
	sink->last = *request;
	return !sink->refuses;
}

static void begin(void)
{
	memset(&world, 0, sizeof(world));
	test_os_init(&world.test);
	KTAP_EQUAL(iommu_init(&world.core, &world.test.os, NULL), 0);
	KTAP_EQUAL(iommu_probe(&world.core, &ufd_mock_driver, NULL), 1);
	KTAP_EQUAL(ufd_mock_device_add(&world.core, RID(0, 1, 0), &world.device), 0);
	KTAP_EQUAL(iommu_enable(&world.core), 0);
}

static void end(void)
{
	iommu_exit(&world.core);
	KTAP_CHECK(test_os_is_clean(&world.test));
}

static struct iommu_domain *domain_with(struct sink *sink)
{
	struct iommu_domain *domain = NULL;

	KTAP_EQUAL(iommu_domain_alloc_user(world.device, IOMMU_ALLOC_PASID, NULL, NULL, &domain),
	           0);
	if (sink) {
		sink->base.request = take;
		domain->page_sink = &sink->base;
	}
	return domain;
}

static void ask(uint32_t pasid, uint16_t group, bool last)
{
	const struct iommu_page_request request = {
		.device = world.device,
		.has_pasid = pasid != IOMMU_NO_PASID,
		.pasid = pasid,
		.group = group,
		.last = last,
		.address = iova(0x1000),
		.access = IOMMU_READ | IOMMU_WRITE,
	};
	iommu_report_page_request(&world.core, &request);
}

static struct ufd_mock_answer answer_now(void)
{
	struct ufd_mock_answer answer;

	ufd_mock_answer(world.device, &answer);
	return answer;
}

static void expect_answer(uint32_t count, uint32_t pasid, uint16_t group,
                          enum iommu_page_answer answer)
{
	struct ufd_mock_answer now = answer_now();

	KTAP_EQUAL(now.count, count);
	KTAP_EQUAL(now.pasid, pasid);
	KTAP_EQUAL(now.group, group);
	KTAP_EQUAL(now.answer, answer);
}

/** The sink of the domain that the PASID has at that moment. */
static void test_sink(void)
{
	struct sink plain = {.count = 0}, with_pasid = {.count = 0};

	begin();
	struct iommu_domain *first = domain_with(&plain), *second = domain_with(&with_pasid);
	KTAP_EQUAL(iommu_attach(world.device->group, first), 0);
	KTAP_EQUAL(iommu_attach_pasid(world.device, 5, second), 0);

	ask(IOMMU_NO_PASID, 7, true);
	KTAP_EQUAL(plain.count, 1);
	KTAP_CHECK(plain.domain == first && plain.last.device == world.device);
	KTAP_EQUAL(plain.last.group, 7);
	KTAP_EQUAL(plain.last.address.value, 0x1000);
	ask(5, 8, false);
	ask(5, 8, true);
	KTAP_EQUAL(with_pasid.count, 2);
	KTAP_CHECK(with_pasid.domain == second && with_pasid.last.pasid == 5);
	KTAP_EQUAL(answer_now().count, 0); /* taken: nobody but the sink's owner answers */

	KTAP_EQUAL(iommu_page_respond(&plain.last, IOMMU_PAGE_SUCCESS), 0);
	expect_answer(1, IOMMU_NO_PASID, 7, IOMMU_PAGE_SUCCESS);
	KTAP_EQUAL(iommu_page_respond(&with_pasid.last, IOMMU_PAGE_INVALID), 0);
	expect_answer(2, 5, 8, IOMMU_PAGE_INVALID);

	/* another domain: another sink, from now on */
	KTAP_EQUAL(iommu_attach(world.device->group, second), 0);
	ask(IOMMU_NO_PASID, 9, true);
	KTAP_EQUAL(plain.count, 1);
	KTAP_EQUAL(with_pasid.count, 3);
	iommu_detach_pasid(world.device, 5);
	iommu_detach(world.device->group);
	KTAP_EQUAL(iommu_domain_free(first), 0);
	KTAP_EQUAL(iommu_domain_free(second), 0);
	end();
}

/** Nobody there: "invalid", and only where an answer is due. */
static void test_nobody(void)
{
	struct sink sink = {.refuses = true};

	begin();
	ask(IOMMU_NO_PASID, 1, true); /* blocked */
	expect_answer(1, IOMMU_NO_PASID, 1, IOMMU_PAGE_INVALID);
	ask(3, 2, true); /* a PASID without domain */
	expect_answer(2, 3, 2, IOMMU_PAGE_INVALID);
	ask(3, 2, false);
	KTAP_EQUAL(answer_now().count, 2);

	struct iommu_domain *deaf = domain_with(NULL), *full = domain_with(&sink);
	KTAP_EQUAL(iommu_attach(world.device->group, deaf), 0);
	ask(IOMMU_NO_PASID, 3, true);
	expect_answer(3, IOMMU_NO_PASID, 3, IOMMU_PAGE_INVALID);

	/* a sink that cannot take it */
	KTAP_EQUAL(iommu_attach(world.device->group, full), 0);
	ask(IOMMU_NO_PASID, 4, false);
	KTAP_EQUAL(sink.count, 1);
	KTAP_EQUAL(answer_now().count, 3);
	ask(IOMMU_NO_PASID, 4, true);
	KTAP_EQUAL(sink.count, 2);
	expect_answer(4, IOMMU_NO_PASID, 4, IOMMU_PAGE_INVALID);

	iommu_detach(world.device->group);
	ask(IOMMU_NO_PASID, 5, true);
	KTAP_EQUAL(sink.count, 2);
	expect_answer(5, IOMMU_NO_PASID, 5, IOMMU_PAGE_INVALID);
	KTAP_EQUAL(iommu_domain_free(deaf), 0);
	KTAP_EQUAL(iommu_domain_free(full), 0);
	end();
}

/** A unit that does not answer, and devices whose units have no page requests. */
static void test_failures(void)
{
	struct iommu_device *alone = NULL;
	struct iommu_device_desc desc = {.name = "00:09.0", .rid = RID(0, 9, 0), .group = 9};

	begin();
	struct iommu_page_request request = {.device = world.device, .group = 6, .last = true};
	ufd_mock_break(world.device->unit, true);
	KTAP_EQUAL(iommu_page_respond(&request, IOMMU_PAGE_SUCCESS), -ETIMEDOUT);
	long before = world.test.log_count[IOMMU_LOG_ERROR];
	ask(IOMMU_NO_PASID, 6, true);
	KTAP_EQUAL(world.test.log_count[IOMMU_LOG_ERROR], before + 1);
	KTAP_CHECK(strstr(world.test.last_log, world.device->desc.name) != NULL);
	KTAP_CHECK(strstr(world.test.last_log, "group 6") != NULL);
	ufd_mock_break(world.device->unit, false);
	KTAP_EQUAL(answer_now().count, 0);

	KTAP_EQUAL(iommu_device_add(&world.core, &desc, &alone), 0);
	request.device = alone;
	KTAP_EQUAL(iommu_page_respond(&request, IOMMU_PAGE_SUCCESS), -EOPNOTSUPP);
	end();
}

static const struct ktap_case cases[] = {
	{"a request goes to the sink of its PASID's domain", test_sink},
	{"what nobody takes is answered invalid, if an answer is due", test_nobody},
	{"units that do not answer, or cannot", test_failures},
};
KTAP_MAIN(cases)
