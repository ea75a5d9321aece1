/* SPDX-License-Identifier: MIT */
/*
 * Rows about many devices on one domain, on the mock: what IOAS_UNMAP of a page costs with 1 to
 * 256 of them. They are made by the self-test's command and go with the descriptor.
 */
#include "bench/bench.h"

#include "bench/calls.h"
#include "ufd/selftest.h"

#define AT UINT64_C(0x40000000)

static int setup(struct bench *bench)
{
	bench->live = 0;
	bench->hwpt = 0;
	bench->at = AT;
	bench->bytes = PAGE_SIZE_4K;
	bench->user = bench_page(bench);
	return bench->user ? bench_open(bench, bench->mock) : -ENOMEM;
}

/** One more device on the IOAS; all must share the HWPT that the first one got. */
static int device_add(struct bench *bench)
{
	struct iommu_test_cmd call = {
		.size = sizeof(call), .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = bench->ioas};

	int error = bench_call(bench, bench->fd, IOMMU_TEST_CMD, &call, sizeof(call));
	if (error)
		return error;
	if (bench->live++ && call.mock_domain.out_hwpt_id != bench->hwpt)
		return -EIO;
	bench->hwpt = call.mock_domain.out_hwpt_id;
	return 0;
}

static int before(struct bench *bench)
{
	int error = 0;

	while (bench->live < bench->row->size && !error)
		error = device_add(bench);
	bench_prepare_unmap(bench);
	return error ? error : bench_map_at(bench, bench->at, bench->user, bench->bytes);
}

#define DEVICES(count)                                                                             \
	{                                                                                          \
		.name = "devices.unmap 4K (mock) " #count, .before = before,                       \
		.run = bench_run_unmap, .after = bench_unmapped, .size = (count),                  \
		.series = "devices.unmap",                                                         \
	}

static const struct bench_row rows[] = {
	DEVICES(1),  DEVICES(2),  DEVICES(4),   DEVICES(8),   DEVICES(16),
	DEVICES(32), DEVICES(64), DEVICES(128), DEVICES(256), {.name = NULL},
};

const struct bench_stage bench_device_stages[] = {
	{"devices", setup, bench_close, rows, .coherent = false},
	{.name = NULL},
};
