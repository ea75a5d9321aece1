/* SPDX-License-Identifier: MIT */
/*
 * The DMAR parser over tables built here: good ones, and one for each malformation.
 * Every table is parsed from an allocation of exactly its size, so that
 * AddressSanitizer sees a read beyond it.
 */
#include "tests/unit/dmar_blob.h"

/* ---- good tables ---------------------------------------------------------------------- */

static void test_full_table(void)
{
	struct blob blob;
	struct seen seen;
	struct vtd_dmar dmar;
	struct vtd_dmar_entry entry;
	struct vtd_dmar_scope scope;
	uint32_t at = 0, scope_at = 0;

	build_full(&blob);
	KTAP_EQUAL(parse_seen(&blob, &seen, &dmar), 0);
	KTAP_EQUAL(dmar.host_address_width, 46);
	KTAP_EQUAL(dmar.flags, VTD_DMAR_INTR_REMAP);
	KTAP_EQUAL(dmar.structures, 8);
	KTAP_EQUAL(dmar.scopes, 9);
	KTAP_EQUAL(dmar.count[VTD_DMAR_DRHD], 2);
	KTAP_EQUAL(dmar.count[VTD_DMAR_RHSA], 2);
	/* one extra byte behind the ANDD's name, and the path of two hops */
	KTAP_EQUAL(seen.count[VTD_DMAR_NOTE_ANDD_TAIL], 1);
	KTAP_EQUAL(seen.count[VTD_DMAR_NOTE_MULTI_HOP], 1);
	KTAP_EQUAL(seen.total, 2);
	KTAP_EQUAL(dmar.notes, 2);
	KTAP_EQUAL(dmar.defects, 0);

	KTAP_CHECK(vtd_dmar_next(&dmar, VTD_DMAR_DRHD, &at, &entry));
	KTAP_CHECK(entry.base == 0xfed90000 && entry.bytes == 4096 && entry.usable);
	KTAP_CHECK(vtd_dmar_scope_next(&dmar, &entry, &scope_at, &scope));
	KTAP_CHECK(scope.type == VTD_SCOPE_ENDPOINT && scope.hop_count == 1);
	KTAP_CHECK(vtd_dmar_next(&dmar, VTD_DMAR_DRHD, &at, &entry));
	KTAP_EQUAL(entry.flags, VTD_DRHD_INCLUDE_PCI_ALL);
	KTAP_CHECK(!vtd_dmar_next(&dmar, VTD_DMAR_DRHD, &at, &entry));
	at = 0;
	KTAP_CHECK(vtd_dmar_next(&dmar, VTD_DMAR_RMRR, &at, &entry));
	KTAP_CHECK(entry.base == 0x7b800000 && entry.limit == 0x7fffffff && entry.usable);
	at = 0;
	KTAP_CHECK(vtd_dmar_next(&dmar, VTD_DMAR_ANDD, &at, &entry));
	KTAP_CHECK(strcmp(entry.name, "\\_SB.PCI0.I2C0") == 0 && entry.device == 1);

	size_t printed = 0;
	struct iommu_print sink = {swallow, &printed};
	vtd_dmar_print(&dmar, &sink);
	KTAP_CHECK(printed > 400);
	KTAP_CHECK(strcmp(vtd_dmar_type_name(VTD_DMAR_SIDP), "SIDP") == 0);
	KTAP_CHECK(strcmp(vtd_dmar_type_name(99), "unknown") == 0);
	KTAP_CHECK(strcmp(vtd_dmar_scope_type_name(0), "unknown") == 0);
}

/* ---- fatal malformations --------------------------------------------------------- */

static void expect_refusal(const struct blob *blob, size_t bytes, uint32_t offset, const char *word)
{
	struct vtd_dmar dmar;

	KTAP_EQUAL(parse(blob->bytes, bytes, NULL, &dmar), -EINVAL);
	KTAP_EQUAL(dmar.error_offset, offset);
	if (!strstr(dmar.error, word))
		printf("# error is \"%s\", it lacks \"%s\"\n", dmar.error, word);
	KTAP_CHECK(strstr(dmar.error, word) != NULL);
}

static void test_fatal(void)
{
	struct blob good, bad;

	build_full(&good);
	blob_finish(&good);
	for (size_t bytes = 0; bytes < good.length; bytes++) {
		struct vtd_dmar dmar;
		KTAP_EQUAL(parse(good.bytes, bytes, NULL, &dmar), -EINVAL);
	}
	expect_refusal(&good, 47, 47, "header");
	expect_refusal(&good, good.length - 1, 4, "only");

	bad = good;
	bad.bytes[0] = 'X';
	expect_refusal(&bad, bad.length, 0, "signature");
	bad = good;
	bad.bytes[9]++;
	expect_refusal(&bad, bad.length, 9, "checksum");
	bad = good;
	bad.bytes[4] = 47, bad.bytes[5] = 0;
	expect_refusal(&bad, bad.length, 4, "length 47");

	/* each structure: length 0, one less than its fields, beyond the end */
	struct vtd_dmar dmar;
	struct vtd_dmar_entry entry;
	uint32_t at = 0;
	static const uint8_t least[VTD_DMAR_TYPES] = {16, 24, 8, 20, 8, 8, 8};
	KTAP_EQUAL(parse(good.bytes, good.length, NULL, &dmar), 0);
	uint32_t offsets[8], count = 0;
	while (vtd_dmar_next(&dmar, VTD_DMAR_ANY, &at, &entry) && count < 8)
		offsets[count++] = entry.offset;
	KTAP_EQUAL(count, 8);
	for (unsigned i = 0; i < count; i++) {
		for (unsigned length = 0; length < least[good.bytes[offsets[i]]]; length++) {
			bad = good;
			bad.bytes[offsets[i] + 2] = (uint8_t)length;
			fix_checksum(bad.bytes, bad.length);
			expect_refusal(&bad, bad.length, offsets[i] + 2, "length");
		}
		bad = good;
		bad.bytes[offsets[i] + 3] = 0xff;
		fix_checksum(bad.bytes, bad.length);
		expect_refusal(&bad, bad.length, offsets[i] + 2, "ends after");
	}

	/* the first scope, at 48 + 16 */
	static const uint8_t wrong_lengths[] = {0, 5, 6, 7, 9};
	for (unsigned i = 0; i < ARRAY_SIZE(wrong_lengths); i++) {
		bad = good;
		bad.bytes[48 + 17] = wrong_lengths[i];
		fix_checksum(bad.bytes, bad.length);
		expect_refusal(&bad, bad.length, 48 + 17, "scope length");
	}
	bad = good;
	bad.bytes[48 + 17] = 254;
	fix_checksum(bad.bytes, bad.length);
	expect_refusal(&bad, bad.length, 48 + 17, "scope of 254 bytes");

	/* bytes that are neither a scope nor a structure */
	blob_start(&bad, 39, 0);
	uint32_t drhd = add_drhd(&bad, 0, 0, 0xfed90000);
	add_scope1(&bad, drhd, VTD_SCOPE_ENDPOINT, 0, 0, 2, 0);
	put(&bad, 4, 0);
	structure_end(&bad, drhd);
	blob_finish(&bad);
	expect_refusal(&bad, bad.length, 48 + 24, "last scope");
	blob_start(&bad, 39, 0);
	add_drhd(&bad, 1, 0, 0xfed90000);
	put(&bad, 3, 0);
	blob_finish(&bad);
	expect_refusal(&bad, bad.length, 48 + 16, "last structure");
}

static void test_limits(void)
{
	uint32_t length = 48 + 4 * (VTD_DMAR_MAX_STRUCTURES + 1);
	struct blob head;
	struct vtd_dmar dmar;
	uint8_t *table = test_calloc(1, length);

	blob_start(&head, 39, 0);
	memcpy(table, head.bytes, 48);
	for (uint32_t at = 48; at < length; at += 4)
		table[at] = 9, table[at + 2] = 4;
	for (unsigned i = 0; i < 4; i++)
		table[4 + i] = (uint8_t)(length >> 8 * i);
	fix_checksum(table, length);
	KTAP_EQUAL(parse(table, length, NULL, &dmar), -EINVAL);
	KTAP_CHECK(strstr(dmar.error, "structures") != NULL);
	length -= 4;
	for (unsigned i = 0; i < 4; i++)
		table[4 + i] = (uint8_t)(length >> 8 * i);
	fix_checksum(table, length);
	KTAP_EQUAL(parse(table, length, NULL, &dmar), 0);
	KTAP_EQUAL(dmar.unknown, VTD_DMAR_MAX_STRUCTURES);
	free(table);

	/* one DRHD with more scopes than the limit */
	length = 48 + 16 + 8 * (VTD_DMAR_MAX_SCOPES + 1);
	table = test_calloc(1, length);
	memcpy(table, head.bytes, 48);
	table[48 + 2] = (uint8_t)(length - 48), table[48 + 3] = (uint8_t)((length - 48) >> 8);
	for (uint32_t at = 64; at < length; at += 8)
		table[at] = VTD_SCOPE_ENDPOINT, table[at + 1] = 8;
	for (unsigned i = 0; i < 4; i++)
		table[4 + i] = (uint8_t)(length >> 8 * i);
	fix_checksum(table, length);
	KTAP_EQUAL(parse(table, length, NULL, &dmar), -EINVAL);
	KTAP_CHECK(strstr(dmar.error, "scopes") != NULL);
	free(table);
}

/* ---- what is odd ------------------------------------------------------------------------- */

/** The table must yield exactly this finding, at this offset, and be refused for it in
 *  strict mode if it is a defect. */
static void expect_only(struct blob *blob, enum vtd_dmar_finding_kind kind, uint32_t offset)
{
	struct seen seen;
	struct vtd_dmar dmar;
	struct vtd_dmar_options strict = {.strict = true};

	KTAP_EQUAL(parse_seen(blob, &seen, &dmar), 0);
	KTAP_EQUAL(seen.count[kind], 1);
	KTAP_EQUAL(seen.offset[kind], offset);
	KTAP_EQUAL(seen.total, 1);
	bool is_defect = kind >= VTD_DMAR_NOTES;
	KTAP_EQUAL(parse(blob->bytes, blob->length, &strict, &dmar), is_defect ? -EINVAL : 0);
	if (is_defect)
		KTAP_EQUAL(dmar.error_offset, offset);
}

static void test_unit_defects(void)
{
	struct blob blob;
	uint32_t at;

	blob_start(&blob, 39, 0);
	expect_only(&blob, VTD_DMAR_DEFECT_NO_UNITS, 48);
	blob_start(&blob, 31, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	expect_only(&blob, VTD_DMAR_DEFECT_WIDTH, 36);

	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0);
	expect_only(&blob, VTD_DMAR_DEFECT_UNIT_BASE, 56);
	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90800);
	expect_only(&blob, VTD_DMAR_DEFECT_UNIT_BASE, 56);
	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfffffffffffff000);
	blob.bytes[48 + 5] = 0; /* exactly up to 2^64: allowed */
	struct seen seen;
	struct vtd_dmar dmar;
	KTAP_EQUAL(parse_seen(&blob, &seen, &dmar), 0);
	KTAP_EQUAL(seen.total, 0);

	blob_start(&blob, 39, 0);
	add_drhd(&blob, 0, 0, 0xfed90000);
	expect_only(&blob, VTD_DMAR_NOTE_UNIT_WITHOUT_SCOPE, 48);

	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	at = add_drhd(&blob, 0, 0, 0xfed91000);
	add_scope1(&blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 2, 0);
	expect_only(&blob, VTD_DMAR_DEFECT_INCLUDE_ALL_ORDER, at);
	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	at = add_drhd(&blob, 1, 0, 0xfed91000);
	expect_only(&blob, VTD_DMAR_DEFECT_INCLUDE_ALL_TWICE, at + 4);
	blob_start(&blob, 39, 0); /* in another segment: no defect */
	add_drhd(&blob, 1, 0, 0xfed90000);
	add_drhd(&blob, 1, 1, 0xfed91000);
	KTAP_EQUAL(parse_seen(&blob, &seen, &dmar), 0);
	KTAP_EQUAL(seen.total, 0);

	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	at = add_drhd(&blob, 1, 1, 0xfed90000);
	expect_only(&blob, VTD_DMAR_DEFECT_UNIT_OVERLAP, at + 8);
	KTAP_EQUAL(parse_seen(&blob, &seen, &dmar), 0);
	uint32_t cursor = 0;
	struct vtd_dmar_entry entry;
	KTAP_CHECK(vtd_dmar_next(&dmar, VTD_DMAR_DRHD, &cursor, &entry) && entry.usable);
	KTAP_CHECK(vtd_dmar_next(&dmar, VTD_DMAR_DRHD, &cursor, &entry) && !entry.usable);

	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfffffffffffff000);
	blob.bytes[48 + 5] = 1; /* 8 KiB: beyond */
	KTAP_EQUAL(parse_seen(&blob, &seen, &dmar), 0);
	KTAP_EQUAL(seen.count[VTD_DMAR_DEFECT_UNIT_BASE], 1);
	KTAP_EQUAL(seen.count[VTD_DMAR_NOTE_WINDOW_SIZE], 1);
	KTAP_EQUAL(seen.total, 2);
	/* two defects: strict mode ends at the first */
	blob_start(&blob, 31, 0);
	add_drhd(&blob, 1, 0, 0);
	struct vtd_dmar_options strict = {.strict = true};
	KTAP_EQUAL(parse_seen(&blob, &seen, &dmar), 0);
	KTAP_EQUAL(seen.total, 2);
	KTAP_EQUAL(parse(blob.bytes, blob.length, &strict, &dmar), -EINVAL);
	KTAP_EQUAL(dmar.error_offset, 36);

	/* 16 KiB at a multiple of 4 KiB that reaches into the next unit */
	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed91000);
	blob.bytes[48 + 5] = 2;
	add_drhd(&blob, 1, 1, 0xfed94000);
	KTAP_EQUAL(parse_seen(&blob, &seen, &dmar), 0);
	KTAP_EQUAL(seen.count[VTD_DMAR_NOTE_WINDOW_SIZE], 1);
	KTAP_EQUAL(seen.count[VTD_DMAR_DEFECT_UNIT_SIZE], 1);
	KTAP_EQUAL(seen.count[VTD_DMAR_DEFECT_UNIT_OVERLAP], 1);
	KTAP_EQUAL(seen.total, 3);
}

static void test_structure_defects(void)
{
	struct blob blob;
	uint32_t at;

	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	at = add_rmrr(&blob, 0, 0x7b800000, 0x7b7fffff);
	add_scope1(&blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 2, 0);
	expect_only(&blob, VTD_DMAR_DEFECT_RMRR_RANGE, at + 16);
	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	at = add_rmrr(&blob, 0, 0x7b800010, 0x7b8fffff);
	add_scope1(&blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 2, 0);
	expect_only(&blob, VTD_DMAR_DEFECT_RMRR_RANGE, at + 8);
	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	at = add_rmrr(&blob, 0, UINT64_C(1) << 39, (UINT64_C(1) << 39) + 0xfff);
	add_scope1(&blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 2, 0);
	expect_only(&blob, VTD_DMAR_DEFECT_RMRR_WIDTH, at + 16);
	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	at = add_rmrr(&blob, 0, 0x7b800000, 0x7b8fffff);
	expect_only(&blob, VTD_DMAR_DEFECT_SCOPE_MISSING, at);

	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	at = add_rhsa(&blob, 0xfed91000, 0);
	expect_only(&blob, VTD_DMAR_DEFECT_RHSA_UNIT, at + 8);
	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	at = add_rhsa(&blob, 0xfed90000, 0);
	put(&blob, 4, 0);
	structure_end(&blob, at);
	expect_only(&blob, VTD_DMAR_NOTE_TRAILING, at + 20);
	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 1, 0xfed90000);
	add_drhd(&blob, 1, 0, 0xfed91000);
	add_rhsa(&blob, 0xfed91000, 0);
	at = add_rhsa(&blob, 0xfed91000, 1);
	expect_only(&blob, VTD_DMAR_DEFECT_RHSA_UNIT, at + 8);

	blob_start(&blob, 39, 0);
	add_flagged(&blob, VTD_DMAR_ATSR, VTD_ATSR_ALL_PORTS, 0);
	at = add_drhd(&blob, 1, 0, 0xfed90000);
	expect_only(&blob, VTD_DMAR_DEFECT_STRUCTURE_ORDER, at);

	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	at = add_andd(&blob, 1, "\\_SB.PCI0.I2C0", 12); /* no NUL */
	expect_only(&blob, VTD_DMAR_DEFECT_ANDD_NAME, at + 8);
	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	at = add_andd(&blob, 1, "\\_SB\033[2JX\0\0", 12);
	expect_only(&blob, VTD_DMAR_DEFECT_ANDD_NAME, at + 8);
	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	add_andd(&blob, 1, "\\_SB.A0", 8);
	at = add_andd(&blob, 1, "\\_SB.A1", 8);
	expect_only(&blob, VTD_DMAR_DEFECT_ANDD_NUMBER, at + 7);

	blob_start(&blob, 39, 0);
	add_drhd(&blob, 1, 0, 0xfed90000);
	at = structure_start(&blob, 7);
	put(&blob, 8, ~UINT64_C(0));
	structure_end(&blob, at);
	expect_only(&blob, VTD_DMAR_NOTE_UNKNOWN_TYPE, at);
}

static void test_scope_defects(void)
{
	struct blob blob;
	uint32_t at, scope;

	blob_start(&blob, 39, 0);
	at = add_drhd(&blob, 0, 0, 0xfed90000);
	scope = add_scope1(&blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 32, 0);
	expect_only(&blob, VTD_DMAR_DEFECT_SCOPE_PATH, scope + 6);
	blob_start(&blob, 39, 0);
	at = add_drhd(&blob, 0, 0, 0xfed90000);
	scope = add_scope1(&blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 1, 8);
	expect_only(&blob, VTD_DMAR_DEFECT_SCOPE_PATH, scope + 6);
	blob_start(&blob, 39, 0);
	at = add_drhd(&blob, 1, 0, 0xfed90000);
	scope = add_scope1(&blob, at, VTD_SCOPE_BRIDGE, 0, 0, 1, 0);
	expect_only(&blob, VTD_DMAR_DEFECT_SCOPE_TYPE, scope);
	blob_start(&blob, 39, 0);
	at = add_drhd(&blob, 0, 0, 0xfed90000);
	scope = add_scope1(&blob, at, 9, 0, 0, 1, 0);
	expect_only(&blob, VTD_DMAR_NOTE_UNKNOWN_SCOPE, scope);
	blob_start(&blob, 39, 0);
	at = add_drhd(&blob, 0, 0, 0xfed90000);
	scope = add_scope1(&blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 1, 0);
	blob.bytes[scope + 2] = 1;
	expect_only(&blob, VTD_DMAR_NOTE_RESERVED, scope + 2);
	blob_start(&blob, 39, 0);
	at = add_drhd(&blob, 1, 0, 0xfed90000);
	scope = add_scope1(&blob, at, VTD_SCOPE_IOAPIC, 2, 0, 1, 0);
	expect_only(&blob, VTD_DMAR_NOTE_IOAPIC_NO_REMAP, scope);
	blob_start(&blob, 39, 0);
	at = add_drhd(&blob, 1, 0, 0xfed90000);
	scope = add_scope1(&blob, at, VTD_SCOPE_ANDD, 4, 0, 1, 0);
	expect_only(&blob, VTD_DMAR_DEFECT_ANDD_NUMBER, scope + 4);
	blob_start(&blob, 39, 0);
	at = add_drhd(&blob, 0, 0, 0xfed90000);
	add_scope1(&blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 1, 0);
	at = add_drhd(&blob, 0, 0, 0xfed91000);
	scope = add_scope1(&blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 1, 0);
	expect_only(&blob, VTD_DMAR_DEFECT_SCOPE_TWICE, scope);

	/* a segment that the machine lacks, in each type that has one */
	static const uint8_t with_segment[] = {VTD_DMAR_ATSR, VTD_DMAR_SATC};
	for (unsigned i = 0; i < ARRAY_SIZE(with_segment); i++) {
		struct seen seen = {.total = 0};
		struct vtd_dmar dmar;
		struct vtd_dmar_options options = {
			.ctx = &seen,
			.report = record,
			.has_segment = segment_is_0_or_1,
		};
		blob_start(&blob, 39, 0);
		add_drhd(&blob, 1, 1, 0xfed90000);
		at = add_flagged(&blob, with_segment[i], 0, 2);
		add_scope1(&blob, at, with_segment[i] == VTD_DMAR_ATSR ? 2 : 1, 0, 0, 1, 0);
		blob_finish(&blob);
		KTAP_EQUAL(parse(blob.bytes, blob.length, &options, &dmar), 0);
		KTAP_EQUAL(seen.count[VTD_DMAR_DEFECT_SEGMENT], 1);
		KTAP_EQUAL(seen.offset[VTD_DMAR_DEFECT_SEGMENT], at + 6);
		KTAP_EQUAL(seen.total, 1);
	}
}

/* ---- which device -------------------------------------------------------------------- */

static struct iommu_device_desc device(unsigned segment, unsigned hops,
                                       const struct iommu_hop *path)
{
	struct iommu_device_desc desc = {
		.segment = (uint16_t)segment,
		.rid = (iommu_rid_t)(path[hops - 1].bus << 8 | path[hops - 1].devfn),
		.hop_count = (uint8_t)hops,
	};
	memcpy(desc.hops, path, hops * sizeof(path[0]));
	return desc;
}

static bool secondary_bus(void *ctx, uint16_t segment, iommu_rid_t bridge, uint8_t *bus)
{
	(void)ctx, (void)segment;
	if (bridge != RID(0, 0x1c, 0))
		return false;
	*bus = 5;
	return true;
}

static void test_matching(void)
{
	/* bridges 00:1d.1 and, below it, 01:00.0 */
	static const struct iommu_hop below_bridge[] = {{0, 0xe9}, {1, 0x00}, {2, 0x18}};
	static const struct iommu_hop by_path[] = {{0, 0xe0}, {7, 0x00}};
	static const struct iommu_hop graphics[] = {{0, 0x10}};
	struct blob blob;
	struct seen seen;
	struct vtd_dmar dmar;
	struct vtd_dmar_entry first, rest, entry;
	uint32_t at = 0;

	build_full(&blob);
	KTAP_EQUAL(parse_seen(&blob, &seen, &dmar), 0);
	KTAP_CHECK(vtd_dmar_next(&dmar, VTD_DMAR_DRHD, &at, &first));
	KTAP_CHECK(vtd_dmar_next(&dmar, VTD_DMAR_DRHD, &at, &rest));

	for (unsigned hops = 1; hops <= 3; hops++) {
		struct iommu_device_desc desc = device(0, hops, below_bridge);
		KTAP_EQUAL(vtd_dmar_claims(&dmar, &first, &desc), IOMMU_CLAIM_EXPLICIT);
		KTAP_EQUAL(vtd_dmar_claims(&dmar, &rest, &desc), IOMMU_CLAIM_REST);
		KTAP_CHECK(vtd_dmar_allows_ats(&dmar, &desc));
		desc.segment = 1;
		KTAP_EQUAL(vtd_dmar_claims(&dmar, &first, &desc), IOMMU_CLAIM_NO);
		KTAP_EQUAL(vtd_dmar_claims(&dmar, &rest, &desc), IOMMU_CLAIM_NO);
	}
	/* an endpoint scope of two hops: that function, not the bridge, whatever its bus */
	struct iommu_device_desc desc = device(0, 2, by_path);
	KTAP_EQUAL(vtd_dmar_claims(&dmar, &first, &desc), IOMMU_CLAIM_EXPLICIT);
	KTAP_CHECK(!vtd_dmar_allows_ats(&dmar, &desc));
	desc.hops[1].devfn = 1;
	KTAP_EQUAL(vtd_dmar_claims(&dmar, &first, &desc), IOMMU_CLAIM_NO);
	desc = device(0, 1, by_path);
	KTAP_EQUAL(vtd_dmar_claims(&dmar, &first, &desc), IOMMU_CLAIM_NO);
	/* an endpoint scope of one hop: nothing below it */
	desc = device(0, 1, graphics);
	KTAP_EQUAL(vtd_dmar_claims(&dmar, &first, &desc), IOMMU_CLAIM_EXPLICIT);
	KTAP_CHECK(vtd_dmar_requires_ats(&dmar, &desc));
	at = 0;
	KTAP_CHECK(vtd_dmar_next(&dmar, VTD_DMAR_RMRR, &at, &entry));
	KTAP_CHECK(vtd_dmar_entry_names(&dmar, &entry, &desc));
	desc.hops[0].bus = 1;
	KTAP_CHECK(!vtd_dmar_entry_names(&dmar, &entry, &desc));
	desc = device(0, 2, (const struct iommu_hop[]){{0, 0x10}, {1, 0}});
	KTAP_EQUAL(vtd_dmar_claims(&dmar, &first, &desc), IOMMU_CLAIM_NO);

	/* a path that starts at a bus below the root */
	static const uint8_t function_0[] = {0, 0};
	struct vtd_dmar_scope scope = {
		.type = VTD_SCOPE_ENDPOINT, .start_bus = 7, .hop_count = 1, .path = function_0};
	desc = device(0, 2, by_path);
	KTAP_CHECK(vtd_dmar_scope_names(&scope, &desc));
	scope.type = VTD_SCOPE_IOAPIC;
	KTAP_CHECK(!vtd_dmar_scope_names(&scope, &desc));
	desc.hop_count = 0;
	scope.type = VTD_SCOPE_BRIDGE;
	KTAP_CHECK(!vtd_dmar_scope_names(&scope, &desc));

	/* source ids */
	static const uint8_t path[] = {0x1c, 0, 0x1f, 3};
	iommu_rid_t rid = 0;
	scope = (struct vtd_dmar_scope){.type = VTD_SCOPE_IOAPIC, .hop_count = 2, .path = path};
	KTAP_CHECK(vtd_dmar_scope_rid(&scope, 0, secondary_bus, NULL, &rid));
	KTAP_EQUAL(rid, RID(5, 0x1f, 3));
	KTAP_CHECK(!vtd_dmar_scope_rid(&scope, 0, NULL, NULL, &rid));
	scope.start_bus = 1;
	KTAP_CHECK(!vtd_dmar_scope_rid(&scope, 0, secondary_bus, NULL, &rid));
	scope.hop_count = 1;
	KTAP_CHECK(vtd_dmar_scope_rid(&scope, 0, NULL, NULL, &rid));
	KTAP_EQUAL(rid, RID(1, 0x1c, 0));
}

static void test_sidp_replaces_satc(void)
{
	static const struct iommu_hop path[] = {{0, 0x10}};
	struct iommu_device_desc desc = device(0, 1, path);
	struct blob blob;
	struct seen seen;
	struct vtd_dmar dmar;

	build_full(&blob);
	uint32_t at = add_flagged(&blob, VTD_DMAR_SIDP, 0, 0);
	uint32_t scope = add_scope1(&blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 2, 0);
	KTAP_EQUAL(parse_seen(&blob, &seen, &dmar), 0);
	KTAP_CHECK(!vtd_dmar_requires_ats(&dmar, &desc));
	blob.bytes[scope + 2] = VTD_SCOPE_ATC_REQUIRED;
	KTAP_EQUAL(parse_seen(&blob, &seen, &dmar), 0);
	KTAP_EQUAL(seen.count[VTD_DMAR_NOTE_RESERVED], 0);
	KTAP_CHECK(vtd_dmar_requires_ats(&dmar, &desc));
}

static const struct ktap_case cases[] = {
	{"a table with most structure types is read", test_full_table},
	{"fatal malformations are refused with offset and reason", test_fatal},
	{"more structures than the limit are refused", test_limits},
	{"odd units are reported, and refused in strict mode", test_unit_defects},
	{"odd structures are reported, and refused in strict mode", test_structure_defects},
	{"odd scopes are reported, and refused in strict mode", test_scope_defects},
	{"scopes name devices by path", test_matching},
	{"SIDP takes the place of SATC", test_sidp_replaces_satc},
};
KTAP_MAIN(cases)
