/* SPDX-License-Identifier: MIT */
/*
 * Capability decode: against every CAP/ECAP pair of real machines that is at hand, by an
 * independent recomputation, and against decode vectors that were worked out by hand.
 * The pairs are read from $NESTOR_DATA/vtd-caps.tsv (default ../shared/data).
 */
#include <stdint.h>
#include <string.h>

#include "tests/ktap.h"
#include "vtd/caps.h"
#include "vtd/regs.h"

/** Bits high..low of a word, the slow way. */
static uint64_t bits(uint64_t word, unsigned high, unsigned low)
{
	uint64_t out = 0;

	for (unsigned bit = high + 1; bit-- > low;)
		out = out * 2 + (word >> bit & 1);
	return out;
}

static void check_cap(const struct vtd_caps *caps, uint64_t cap)
{
	KTAP_EQUAL(caps->domain_bits, 4 + 2 * bits(cap, 2, 0));
	KTAP_EQUAL(caps->afl, bits(cap, 3, 3));
	KTAP_EQUAL(caps->rwbf, bits(cap, 4, 4));
	KTAP_EQUAL(caps->plmr, bits(cap, 5, 5));
	KTAP_EQUAL(caps->phmr, bits(cap, 6, 6));
	KTAP_EQUAL(caps->cm, bits(cap, 7, 7));
	KTAP_EQUAL(caps->sagaw, bits(cap, 12, 8));
	KTAP_EQUAL(caps->mgaw, bits(cap, 21, 16) + 1);
	KTAP_EQUAL(caps->zlr, bits(cap, 22, 22));
	KTAP_EQUAL(caps->fault_offset, 16 * bits(cap, 33, 24));
	KTAP_EQUAL(caps->ss_2m, bits(cap, 34, 34));
	KTAP_EQUAL(caps->ss_1g, bits(cap, 35, 35));
	KTAP_EQUAL(caps->psi, bits(cap, 39, 39));
	KTAP_EQUAL(caps->fault_records, bits(cap, 47, 40) + 1);
	KTAP_EQUAL(caps->mamv, bits(cap, 53, 48));
	KTAP_EQUAL(caps->dwd, bits(cap, 54, 54));
	KTAP_EQUAL(caps->drd, bits(cap, 55, 55));
	KTAP_EQUAL(caps->fs_1g, bits(cap, 56, 56));
	KTAP_EQUAL(caps->pi, bits(cap, 59, 59));
	KTAP_EQUAL(caps->fs_5_level, bits(cap, 60, 60));
	KTAP_EQUAL(caps->ecmds, bits(cap, 61, 61));
	KTAP_EQUAL(caps->esirtps, bits(cap, 62, 62));
	KTAP_EQUAL(caps->esrtps, bits(cap, 63, 63));
}

static void check_ecap(const struct vtd_caps *caps, uint64_t ecap)
{
	const struct {
		bool got;
		unsigned bit;
	} flags[] = {
		{caps->c, 0},     {caps->qi, 1},      {caps->dt, 2},      {caps->ir, 3},
		{caps->eim, 4},   {caps->pt, 6},      {caps->sc, 7},      {caps->mts, 25},
		{caps->nest, 26}, {caps->prs, 29},    {caps->srs, 31},    {caps->nwfs, 33},
		{caps->eafs, 34}, {caps->pasid, 40},  {caps->dit, 41},    {caps->pds, 42},
		{caps->smts, 43}, {caps->vcs, 44},    {caps->ssads, 45},  {caps->ssts, 46},
		{caps->fsts, 47}, {caps->smpwcs, 48}, {caps->rps, 49},    {caps->tdxcs, 50},
		{caps->pms, 51},  {caps->adms, 52},   {caps->rprivs, 53}, {caps->hpts, 55},
		{caps->ptrs, 56}, {caps->ssirws, 57}, {caps->sms, 58},    {caps->hpt1gps, 59},
		{caps->rdts, 60}, {caps->eimer, 61},  {caps->irreq, 62},
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		KTAP_EQUAL(flags[i].got, bits(ecap, flags[i].bit, flags[i].bit));
	KTAP_EQUAL(caps->iotlb_offset, 16 * bits(ecap, 17, 8));
	KTAP_EQUAL(caps->mhmv, bits(ecap, 23, 20));
	if (bits(ecap, 40, 40) && bits(ecap, 43, 43))
		KTAP_EQUAL(caps->pasid_bits, bits(ecap, 39, 35) + 1);
	else
		KTAP_EQUAL(caps->pasid_bits, 0);
}

/** Table depth: the least that covers MGAW, or the deepest. */
static void check_depth(const struct vtd_caps *caps, uint64_t cap)
{
	unsigned width = (unsigned)bits(cap, 21, 16) + 1, chosen = 0, deepest = 0;

	for (unsigned levels = 5; levels >= 3; levels--) {
		if (!bits(cap, 8 + levels - 2, 8 + levels - 2))
			continue;
		if (!deepest)
			deepest = levels;
		if (!chosen || 12 + 9 * levels >= width)
			chosen = levels;
	}
	KTAP_EQUAL(caps->levels, chosen);
	KTAP_EQUAL(caps->max_levels, deepest);
	if (chosen)
		KTAP_EQUAL(caps->address_bits, 12 + 9 * chosen < width ? 12 + 9 * chosen : width);
	KTAP_EQUAL(caps->second_sizes, 1ull << 12 | (bits(cap, 34, 34) ? 1ull << 21 : 0) |
	                                       (bits(cap, 35, 35) ? 1ull << 30 : 0));
}

static void check_all(uint32_t ver, uint64_t cap, uint64_t ecap)
{
	struct vtd_caps caps;

	vtd_caps_decode(ver, cap, ecap, &caps);
	KTAP_EQUAL(caps.major, bits(ver, 7, 4));
	KTAP_EQUAL(caps.minor, bits(ver, 3, 0));
	KTAP_EQUAL(caps.register_invalidation, bits(ver, 7, 4) < 6);
	check_cap(&caps, cap);
	check_ecap(&caps, ecap);
	check_depth(&caps, cap);
}

/** Collect printed text; the widest line and whether everything fitted. */
struct page {
	struct iommu_print print;
	char text[8192];
	size_t length;
};

static void page_write(struct iommu_print *self, const char *text, size_t bytes)
{
	struct page *page = container_of(self, struct page, print);
	if (bytes > sizeof(page->text) - 1 - page->length)
		bytes = sizeof(page->text) - 1 - page->length;
	memcpy(page->text + page->length, text, bytes);
	page->length += bytes;
	page->text[page->length] = 0;
}

static void print_caps(struct page *page, const struct vtd_caps *caps)
{
	memset(page, 0, sizeof(*page));
	page->print.write = page_write;
	vtd_caps_print(caps, &page->print, "  ");
}

static unsigned widest_line(const char *text)
{
	unsigned widest = 0, column = 0;

	for (; *text; text++) {
		column = *text == '\n' ? 0 : column + 1;
		widest = column > widest ? column : widest;
	}
	return widest;
}

static unsigned lines_reported;
static char last_reported[256];

static void count_line(void *ctx, const char *line)
{
	(void)ctx;
	lines_reported++;
	snprintf(last_reported, sizeof(last_reported), "%s", line);
}

static void real_machines(void)
{
	const char *folder = getenv("NESTOR_DATA");
	char path[512], line[4096];
	unsigned rows = 0, refused = 0, warned = 0;

	snprintf(path, sizeof(path), "%s/vtd-caps.tsv", folder ? folder : "../shared/data");
	FILE *file = fopen(path, "r");
	if (!file)
		KTAP_SKIP("no vtd-caps.tsv: set NESTOR_DATA to the folder of real machines' data");
	while (fgets(line, sizeof(line), file)) {
		unsigned major, minor;
		unsigned long long cap, ecap;
		struct vtd_caps caps;
		struct page page;
		if (sscanf(line, "%u:%u\t%llx\t%llx", &major, &minor, &cap, &ecap) != 4)
			continue;
		rows++;
		check_all(major << 4 | minor, cap, ecap);
		vtd_caps_decode(major << 4 | minor, cap, ecap, &caps);
		const char *refusal = vtd_caps_refusal(&caps);
		if (refusal)
			printf("# CAP %#llx ECAP %#llx refused: %s\n", cap, ecap, refusal);
		refused += refusal != NULL;
		lines_reported = 0;
		unsigned found = vtd_caps_check(&caps, count_line, NULL);
		KTAP_EQUAL(found, lines_reported);
		if (found)
			printf("# CAP %#llx ECAP %#llx: %s\n", cap, ecap, last_reported);
		warned += found != 0;
		print_caps(&page, &caps);
		KTAP_CHECK(page.length > 100);
		KTAP_CHECK(widest_line(page.text) <= 100);
	}
	fclose(file);
	printf("# %u pairs, %u with contradictions, %u refused\n", rows, warned, refused);
	KTAP_CHECK(rows >= 30);
	KTAP_EQUAL(refused, 0);
}

static void sapphire_rapids(void)
{
	struct vtd_caps caps;

	vtd_caps_decode(0x60, 0x19ed008c40780c66, 0x003ee9e86f050df, &caps);
	KTAP_EQUAL(caps.major, 6);
	KTAP_EQUAL(caps.domain_bits, 16);
	KTAP_CHECK(!caps.rwbf && caps.plmr && caps.phmr && !caps.cm && caps.zlr);
	KTAP_EQUAL(caps.sagaw, 0xc);
	KTAP_EQUAL(caps.mgaw, 57);
	KTAP_EQUAL(caps.levels, 5);
	KTAP_EQUAL(caps.fault_offset, 0x400);
	KTAP_CHECK(caps.ss_2m && caps.ss_1g && caps.psi);
	KTAP_EQUAL(caps.fault_records, 1);
	KTAP_EQUAL(caps.mamv, 45);
	KTAP_CHECK(caps.dwd && caps.drd && caps.fs_1g && caps.pi && caps.fs_5_level);
	KTAP_CHECK(!caps.ecmds && !caps.esirtps && !caps.esrtps);
	KTAP_CHECK(caps.c && caps.qi && caps.dt && caps.ir && caps.eim && caps.pt && caps.sc);
	KTAP_EQUAL(caps.iotlb_offset, 0x500);
	KTAP_EQUAL(caps.mhmv, 15);
	KTAP_CHECK(caps.mts && caps.nest && caps.srs && caps.nwfs && caps.eafs);
	KTAP_CHECK(!caps.pasid && !caps.prs && caps.dit && caps.pds && caps.smts);
	KTAP_CHECK(caps.ssads && caps.ssts && caps.fsts && caps.smpwcs && caps.rps);
	KTAP_EQUAL(caps.pasid_bits, 0);
	KTAP_CHECK(!caps.register_invalidation);
	KTAP_CHECK(!vtd_caps_refusal(&caps));
}

static void qemu(void)
{
	struct vtd_caps caps;

	vtd_caps_decode(0x10, 0x00d2008c222f0606, 0xf00f4a, &caps);
	KTAP_EQUAL(caps.mgaw, 48);
	KTAP_EQUAL(caps.levels, 4);
	KTAP_EQUAL(caps.mamv, 18);
	KTAP_EQUAL(caps.fault_offset, 0x220);
	KTAP_EQUAL(caps.iotlb_offset, 0xf0);
	KTAP_CHECK(caps.qi && caps.ir && caps.pt && !caps.c && !caps.smts && !caps.sc);
	vtd_caps_decode(0x10, 0x00d2008c222f0606, 0x880000f00f4a, &caps);
	KTAP_CHECK(caps.smts && caps.fsts && !caps.ssts && !caps.nest);
	KTAP_EQUAL(caps.first_sizes, 1ull << 12 | 1ull << 21);
	KTAP_EQUAL(vtd_caps_check(&caps, NULL, NULL), 0);
}

static void contradictions(void)
{
	const uint64_t cap = 0x00d2008c222f0606;
	struct vtd_caps caps;

	/* each alone, by its line */
	const struct {
		uint64_t ecap;
		const char *says;
	} cases[] = {
		{VTD_ECAP_IR | 0xf00f00, "ECAP.IR is set but ECAP.QI"},
		{VTD_ECAP_QI | VTD_ECAP_PASID | 0xf00f00, "ECAP.PASID is set but ECAP.SMTS"},
		{VTD_ECAP_QI | VTD_ECAP_EIM | 0xf00f00, "ECAP.EIM is set but ECAP.IR"},
		{VTD_ECAP_QI | VTD_ECAP_PRS | 0xf00f00, "ECAP.PRS is set but ECAP.DT"},
		{VTD_ECAP_QI | VTD_ECAP_PMS | 0xf00f00, "ECAP.PMS is set but CAP.ECMDS"},
		{VTD_ECAP_QI, "ECAP.IRO places"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		vtd_caps_decode(0x10, cap, cases[i].ecap, &caps);
		lines_reported = 0;
		KTAP_EQUAL(vtd_caps_check(&caps, count_line, NULL), 1);
		KTAP_EQUAL(lines_reported, 1);
		KTAP_CHECK(strstr(last_reported, cases[i].says) == last_reported);
	}
}

static void refusals(void)
{
	struct vtd_caps caps;

	vtd_caps_decode(~0u, ~0ull, ~0ull, &caps);
	KTAP_CHECK(strstr(vtd_caps_refusal(&caps), "all ones"));
	vtd_caps_decode(0, 0, 0, &caps);
	KTAP_CHECK(strstr(vtd_caps_refusal(&caps), "read 0"));
	vtd_caps_decode(0x10, 0x00d2008c222f0006, 0xf00f4a, &caps);
	KTAP_CHECK(strstr(vtd_caps_refusal(&caps), "SAGAW"));
	vtd_caps_decode(0x60, 0x00d2008c222f0606, 0xf00f00, &caps);
	KTAP_CHECK(strstr(vtd_caps_refusal(&caps), "ECAP.QI"));
	vtd_caps_decode(0x50, 0x00d2008c222f0606, 0xf00f00, &caps);
	KTAP_CHECK(!vtd_caps_refusal(&caps));
}

/** Registers as the driver declares them: aligned, within a page of their block, and no
 *  two on one another. */
static void registers(void)
{
	static const struct {
		const char *name, *block, *policy, *section;
		uint32_t offset, width, count, stride;
	} all[] = {
#define ROW(name, block, offset, width, policy, count, stride, section)                            \
	{#name, #block, #policy, section, offset, width, count, stride},
		VTD_REGISTERS(ROW)
#undef ROW
	};
	unsigned seen = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		KTAP_CHECK(all[i].offset % (all[i].width / 8) == 0);
		KTAP_CHECK(all[i].count == 1 || all[i].stride >= all[i].width / 8);
		KTAP_CHECK(strncmp(all[i].section, "11.4", 4) == 0);
		for (uint32_t n = 0; n < all[i].count; n++, seen++) {
			uint32_t start = all[i].offset + n * all[i].stride;
			KTAP_CHECK(start + all[i].width / 8 <= 4096);
			for (size_t k = 0; k < i; k++)
				for (uint32_t m = 0; m < all[k].count; m++) {
					uint32_t other = all[k].offset + m * all[k].stride;
					bool apart = start >= other + all[k].width / 8 ||
					             other >= start + all[i].width / 8 ||
					             strcmp(all[i].block, all[k].block) != 0;
					if (!apart)
						printf("# %s overlaps %s\n", all[i].name,
						       all[k].name);
					KTAP_CHECK(apart);
				}
		}
	}
	KTAP_CHECK(seen > 100);
}

static const struct ktap_case cases[] = {
	{"CAP and ECAP of real machines decode as recomputed", real_machines},
	{"Sapphire Rapids by hand", sapphire_rapids},
	{"QEMU by hand", qemu},
	{"contradictory capabilities are reported, each by its line", contradictions},
	{"capabilities that no driver can use are refused", refusals},
	{"registers do not overlap and lie where their width allows", registers},
};
KTAP_MAIN(cases)
