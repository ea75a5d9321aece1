/* SPDX-License-Identifier: MIT */
/*
 * Ranges into invalidation descriptors: the blocks cover exactly the range, are naturally
 * aligned and no larger than allowed, and there are no fewer that would do (brute force).
 */
#include <stdint.h>

#include "tests/ktap.h"
#include "tests/test_os.h"
#include "vtd/invalidate.h"

enum { MOST = 4096 };

/** Check the blocks of [first, last]; returns how many there are. */
static unsigned check_cover(uint64_t first, uint64_t last, unsigned max_order)
{
	static struct vtd_block blocks[MOST];
	unsigned count = vtd_split_range(first, last, max_order, blocks, MOST);
	uint64_t next = first;

	KTAP_CHECK(count >= 1 && count <= MOST);
	for (unsigned i = 0; i < count; i++) {
		uint64_t pages = 1ull << blocks[i].order;
		KTAP_CHECK(blocks[i].page == next);
		KTAP_CHECK(blocks[i].page % pages == 0);
		KTAP_CHECK(blocks[i].order <= max_order);
		next = blocks[i].page + pages;
	}
	KTAP_CHECK(next == last + 1);
	return count;
}

/** Fewest aligned blocks that cover exactly [first, last], by trying all. */
static unsigned fewest(unsigned first, unsigned last, unsigned max_order)
{
	unsigned best[66];

	best[last + 1 - first] = 0;
	for (unsigned page = last + 1; page-- > first;) {
		best[page - first] = ~0u;
		for (unsigned order = 0; order <= max_order; order++) {
			unsigned pages = 1u << order;
			if (page % pages || page + pages > last + 1)
				continue;
			unsigned count = 1 + best[page + pages - first];
			if (count < best[page - first])
				best[page - first] = count;
		}
	}
	return best[0];
}

static void all_small_ranges(void)
{
	for (unsigned max_order = 0; max_order <= 6; max_order++)
		for (unsigned first = 0; first < 64; first++)
			for (unsigned last = first; last < 64; last++)
				KTAP_EQUAL(check_cover(first, last, max_order),
				           fewest(first, last, max_order));
}

static void powers_of_two(void)
{
	struct vtd_block blocks[4];

	for (unsigned order = 0; order <= 45; order++)
		for (uint64_t n = 0; n < 5; n++) {
			uint64_t first = n << order;
			KTAP_EQUAL(
				vtd_split_range(first, first + (1ull << order) - 1, 45, blocks, 4),
				1);
			KTAP_EQUAL(blocks[0].page, first);
			KTAP_EQUAL(blocks[0].order, order);
		}
}

static void random_ranges(void)
{
	uint64_t state = 20;

	for (unsigned i = 0; i < 20000; i++) {
		unsigned max_order = 6 + (unsigned)(test_random(&state) % 40);
		uint64_t first = test_random(&state) >> (12 + test_random(&state) % 40);
		uint64_t pages = 1 + (test_random(&state) >> (40 + test_random(&state) % 23));
		if (pages >> max_order > MOST / 4)
			continue;
		check_cover(first, first + pages - 1, max_order);
	}
}

static void ends_of_the_world(void)
{
	struct vtd_block blocks[200];

	KTAP_EQUAL(vtd_split_range(0, (1ull << 52) - 1, 63, blocks, 200), 1);
	KTAP_EQUAL(blocks[0].order, 52);
	KTAP_EQUAL(vtd_split_range(1, (1ull << 52) - 1, 63, blocks, 200), 52);
	KTAP_EQUAL(vtd_split_range(~0ull, ~0ull, 9, blocks, 200), 1);
	KTAP_EQUAL(vtd_split_range(~0ull - 3, ~0ull, 9, blocks, 200), 1);
	KTAP_EQUAL(blocks[0].order, 2);
}

/** More than fit: the answer says so, and nothing beyond the capacity is written. */
static void capacity(void)
{
	struct vtd_block blocks[3] = {{0, 0}, {0, 0}, {77, 7}};

	KTAP_EQUAL(vtd_split_range(1, 14, 9, blocks, 2), 3);
	KTAP_EQUAL(blocks[2].page, 77);
	KTAP_EQUAL(vtd_split_range(1, 2, 9, blocks, 2), 2);
	KTAP_EQUAL(vtd_split_range(5, 5, 9, blocks, 0), 1);
}

static struct vtd_unit unit;

/** What a flush of a range becomes: how many descriptors, and of which granularity. */
static unsigned flush_of(uint64_t first, uint64_t last, unsigned *g)
{
	struct vtd_batch batch;

	vtd_batch_begin(&batch, &unit);
	vtd_batch_add_range(&batch, 5, iova(first), iova(last), true);
	*g = (unsigned)field_get(VTD_DESC_G, batch.descriptors[0].word[0]);
	return batch.count;
}

static void choice_of_granularity(void)
{
	unsigned g;

	unit.caps.psi = true;
	unit.caps.mamv = 9;
	KTAP_EQUAL(flush_of(0x1000, 0x1fff, &g), 1);
	KTAP_EQUAL(g, VTD_IOTLB_PAGE);
	KTAP_EQUAL(flush_of(0x200000, 0x3fffff, &g), 1);
	KTAP_EQUAL(g, VTD_IOTLB_PAGE);
	/* beyond MAMV: by domain, one descriptor */
	KTAP_EQUAL(flush_of(0x200000, 0x5fffff, &g), 1);
	KTAP_EQUAL(g, VTD_IOTLB_DOMAIN);
	KTAP_EQUAL(flush_of(0, (1ull << 48) - 1, &g), 1);
	KTAP_EQUAL(g, VTD_IOTLB_DOMAIN);
	/* 8 descriptors are worth it, 9 are not */
	KTAP_EQUAL(flush_of(0x1000, 0xfffff, &g), 8);
	KTAP_EQUAL(g, VTD_IOTLB_PAGE);
	KTAP_EQUAL(flush_of(0x1000, 0x1fffff, &g), 1);
	KTAP_EQUAL(g, VTD_IOTLB_DOMAIN);
	unit.caps.psi = false;
	KTAP_EQUAL(flush_of(0x1000, 0x1fff, &g), 1);
	KTAP_EQUAL(g, VTD_IOTLB_DOMAIN);
	/* every naturally aligned power of two is one descriptor */
	unit.caps.psi = true;
	for (unsigned mamv = 0; mamv <= 63; mamv += 9)
		for (unsigned order = 0; order <= 36; order++) {
			unit.caps.mamv = (uint8_t)mamv;
			uint64_t bytes = 4096ull << order;
			KTAP_EQUAL(flush_of(bytes, 2 * bytes - 1, &g), 1);
			KTAP_EQUAL(g, order <= mamv ? VTD_IOTLB_PAGE : VTD_IOTLB_DOMAIN);
		}
}

static void descriptor_bits(void)
{
	struct vtd_descriptor desc = vtd_desc_iotlb_page(0xabcd, 0x123456789000, 4, true);

	KTAP_EQUAL(desc.word[0], 0xabcd00f2ull);
	KTAP_EQUAL(desc.word[1], 0x123456789044ull);
	KTAP_EQUAL(vtd_desc_iotlb(VTD_IOTLB_GLOBAL, 0).word[0], 0xd2ull);
	KTAP_EQUAL(vtd_desc_context(VTD_CONTEXT_DEVICE, 7, 0x1234).word[0], 0x123400070031ull);
	KTAP_EQUAL(vtd_desc_pasid(VTD_PASID_CACHE_PASID, 7, 0x54321).word[0], 0x5432100070017ull);
	KTAP_EQUAL(vtd_desc_p_iotlb(7, 0x54321).word[0], 0x5432100070026ull);
	KTAP_EQUAL(vtd_desc_p_iotlb_page(7, 1, 0x2000, 1, false).word[0], 0x100070036ull);
	KTAP_EQUAL(vtd_desc_p_iotlb_page(7, 1, 0x2000, 1, false).word[1], 0x2001ull);
	KTAP_EQUAL(vtd_desc_wait(0x11223344, 0x5000).word[0], 0x1122334400000065ull);
	KTAP_EQUAL(vtd_desc_wait(0x11223344, 0x5000).word[1], 0x5000ull);
}

static const struct ktap_case cases[] = {
	{"every range within 64 pages: exact, aligned, fewest", all_small_ranges},
	{"naturally aligned powers of two are one block", powers_of_two},
	{"random ranges are covered exactly", random_ranges},
	{"first and last pages of the address space", ends_of_the_world},
	{"more blocks than asked for are counted, not written", capacity},
	{"pages or domain, by what is cheaper", choice_of_granularity},
	{"descriptors bit by bit", descriptor_bits},
};
KTAP_MAIN(cases)
