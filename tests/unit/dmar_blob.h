/* SPDX-License-Identifier: MIT */
/*
 * For the tests of the DMAR parser: building tables byte by byte, and parsing them from
 * an allocation of exactly their size with every finding recorded.
 */
#ifndef TESTS_UNIT_DMAR_BLOB_H
#define TESTS_UNIT_DMAR_BLOB_H

#include <stdint.h>
#include <string.h>

#include "tests/ktap.h"
#include "tests/test_memory.h"
#include "tests/test_os.h"
#include "vtd/dmar.h"

/* ---- building tables ------------------------------------------------------- */

struct blob {
	uint8_t bytes[4096];
	uint32_t length;
};

static inline void put(struct blob *blob, unsigned width, uint64_t value)
{
	for (unsigned i = 0; i < width; i++)
		blob->bytes[blob->length++] = (uint8_t)(value >> 8 * i);
}

static inline void blob_start(struct blob *blob, unsigned width, unsigned flags)
{
	memset(blob, 0, sizeof(*blob));
	memcpy(blob->bytes, "DMAR\0\0\0\0\1\0NESTORTESTDMAR\1\0\0\0TEST\1\0\0\0", 36);
	blob->length = 36;
	put(blob, 1, width - 1);
	put(blob, 1, flags);
	blob->length = 48;
}

/** A structure is open from its first byte until the next structure or the end. */
static inline uint32_t structure_start(struct blob *blob, unsigned type)
{
	uint32_t at = blob->length;
	put(blob, 2, type);
	put(blob, 2, 0);
	return at;
}

static inline void structure_end(struct blob *blob, uint32_t at)
{
	uint32_t length = blob->length - at;
	blob->bytes[at + 2] = (uint8_t)length;
	blob->bytes[at + 3] = (uint8_t)(length >> 8);
}

static inline uint32_t add_drhd(struct blob *blob, unsigned flags, unsigned segment, uint64_t base)
{
	uint32_t at = structure_start(blob, VTD_DMAR_DRHD);
	put(blob, 1, flags);
	put(blob, 1, 0);
	put(blob, 2, segment);
	put(blob, 8, base);
	structure_end(blob, at);
	return at;
}

/** Add a scope to the structure that began at @p structure, which must be the last.
 *  @p path: pairs of device and function. */
static inline uint32_t add_scope(struct blob *blob, uint32_t structure, unsigned type, unsigned id,
                                 unsigned bus, const uint8_t *path, unsigned hops)
{
	uint32_t at = blob->length;
	put(blob, 1, type);
	put(blob, 1, 6 + 2 * hops);
	put(blob, 2, 0);
	put(blob, 1, id);
	put(blob, 1, bus);
	for (unsigned i = 0; i < 2 * hops; i++)
		put(blob, 1, path[i]);
	structure_end(blob, structure);
	return at;
}

static inline uint32_t add_scope1(struct blob *blob, uint32_t structure, unsigned type, unsigned id,
                                  unsigned bus, unsigned device, unsigned function)
{
	uint8_t path[2] = {(uint8_t)device, (uint8_t)function};
	return add_scope(blob, structure, type, id, bus, path, 1);
}

static inline uint32_t add_rmrr(struct blob *blob, unsigned segment, uint64_t base, uint64_t limit)
{
	uint32_t at = structure_start(blob, VTD_DMAR_RMRR);
	put(blob, 2, 0);
	put(blob, 2, segment);
	put(blob, 8, base);
	put(blob, 8, limit);
	structure_end(blob, at);
	return at;
}

/** ATSR, SATC, SIDP. */
static inline uint32_t add_flagged(struct blob *blob, unsigned type, unsigned flags,
                                   unsigned segment)
{
	uint32_t at = structure_start(blob, type);
	put(blob, 1, flags);
	put(blob, 1, 0);
	put(blob, 2, segment);
	structure_end(blob, at);
	return at;
}

static inline uint32_t add_rhsa(struct blob *blob, uint64_t base, unsigned proximity)
{
	uint32_t at = structure_start(blob, VTD_DMAR_RHSA);
	put(blob, 4, 0);
	put(blob, 8, base);
	put(blob, 4, proximity);
	structure_end(blob, at);
	return at;
}

static inline uint32_t add_andd(struct blob *blob, unsigned number, const char *name,
                                unsigned bytes)
{
	uint32_t at = structure_start(blob, VTD_DMAR_ANDD);
	put(blob, 3, 0);
	put(blob, 1, number);
	for (unsigned i = 0; i < bytes; i++)
		put(blob, 1, (uint8_t)name[i]);
	structure_end(blob, at);
	return at;
}

static inline void fix_checksum(uint8_t *table, uint32_t length)
{
	uint8_t sum = 0;
	table[9] = 0;
	for (uint32_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + table[i]);
	table[9] = (uint8_t)-sum;
}

/** Length and checksum of a finished table. */
static inline void blob_finish(struct blob *blob)
{
	for (unsigned i = 0; i < 4; i++)
		blob->bytes[4 + i] = (uint8_t)(blob->length >> 8 * i);
	fix_checksum(blob->bytes, blob->length);
}

/* ---- parsing with everything recorded ------------------------------------------- */

struct seen {
	unsigned count[VTD_DMAR_FINDINGS];
	uint32_t offset[VTD_DMAR_FINDINGS]; /* of the first */
	char text[VTD_DMAR_FINDINGS][VTD_DMAR_ERROR_TEXT];
	unsigned total;
};

static inline void record(void *ctx, const struct vtd_dmar_finding *finding)
{
	struct seen *seen = ctx;
	if (!seen->count[finding->kind]++) {
		seen->offset[finding->kind] = finding->offset;
		snprintf(seen->text[finding->kind], VTD_DMAR_ERROR_TEXT, "%s", finding->text);
	}
	seen->total++;
	KTAP_CHECK(finding->is_defect == (finding->kind >= VTD_DMAR_NOTES));
	KTAP_CHECK(finding->text[0] != 0);
}

/** Visit everything: under AddressSanitizer this proves that iterators stay inside. */
static inline void visit_all(const struct vtd_dmar *dmar)
{
	static const struct iommu_device_desc device = {
		.hop_count = 2,
		.hops = {{0, 0x08}, {1, 0}},
	};
	uint32_t at = 0, structures = 0, scopes = 0;
	struct vtd_dmar_entry entry;

	while (vtd_dmar_next(dmar, VTD_DMAR_ANY, &at, &entry)) {
		uint32_t scope_at = 0;
		struct vtd_dmar_scope scope;
		structures++;
		if (entry.type == VTD_DMAR_ANDD)
			KTAP_CHECK(strlen(entry.name) < entry.length);
		while (vtd_dmar_scope_next(dmar, &entry, &scope_at, &scope)) {
			iommu_rid_t rid;
			scopes++;
			KTAP_CHECK(scope.hop_count >= 1);
			vtd_dmar_scope_names(&scope, &device);
			vtd_dmar_scope_rid(&scope, entry.segment, NULL, NULL, &rid);
		}
		vtd_dmar_claims(dmar, &entry, &device);
	}
	KTAP_EQUAL(structures, dmar->structures);
	KTAP_EQUAL(scopes, dmar->scopes);
	vtd_dmar_allows_ats(dmar, &device);
	vtd_dmar_requires_ats(dmar, &device);
}

static inline void swallow(struct iommu_print *self, const char *text, size_t bytes)
{
	size_t *total = self->ctx;
	(void)text;
	*total += bytes;
}

static inline bool segment_is_0_or_1(void *ctx, uint16_t segment)
{
	(void)ctx;
	return segment <= 1;
}

/** Parse a copy of exactly @p bytes; the copy lives until the next call. */
static inline int parse(const uint8_t *table, size_t bytes, struct vtd_dmar_options *options,
                        struct vtd_dmar *out)
{
	static uint8_t *copy;

	free(copy);
	copy = test_malloc(bytes ? bytes : 1);
	memcpy(copy, table, bytes);
	int error = vtd_dmar_parse(copy, bytes, options, out);
	if (error) {
		KTAP_EQUAL(error, -EINVAL);
		KTAP_CHECK(out->error[0] != 0);
		KTAP_CHECK(out->error_offset <= bytes);
		KTAP_CHECK(!out->table && !out->structures && !out->scopes);
	} else {
		visit_all(out);
	}
	return error;
}

static inline int parse_seen(struct blob *blob, struct seen *seen, struct vtd_dmar *out)
{
	struct vtd_dmar_options options = {.ctx = seen, .report = record};

	memset(seen, 0, sizeof(*seen));
	blob_finish(blob);
	return parse(blob->bytes, blob->length, &options, out);
}

static inline void build_full(struct blob *blob)
{
	static const uint8_t two_hops[] = {0x1c, 0, 0, 0};
	uint32_t at;

	blob_start(blob, 46, VTD_DMAR_INTR_REMAP);
	at = add_drhd(blob, 0, 0, 0xfed90000);
	add_scope1(blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 2, 0);
	add_scope1(blob, at, VTD_SCOPE_BRIDGE, 0, 0, 0x1d, 1);
	add_scope(blob, at, VTD_SCOPE_ENDPOINT, 0, 0, two_hops, 2);
	at = add_drhd(blob, VTD_DRHD_INCLUDE_PCI_ALL, 0, 0xfed91000);
	add_scope1(blob, at, VTD_SCOPE_IOAPIC, 2, 0xf0, 31, 0);
	add_scope1(blob, at, VTD_SCOPE_HPET, 0, 0xf0, 15, 0);
	add_scope1(blob, at, VTD_SCOPE_ANDD, 1, 0, 0x15, 0);
	at = add_rmrr(blob, 0, 0x7b800000, 0x7fffffff);
	add_scope1(blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 2, 0);
	at = add_flagged(blob, VTD_DMAR_ATSR, 0, 0);
	add_scope1(blob, at, VTD_SCOPE_BRIDGE, 0, 0, 0x1d, 1);
	add_rhsa(blob, 0xfed90000, 0);
	add_rhsa(blob, 0xfed91000, 1);
	add_andd(blob, 1, "\\_SB.PCI0.I2C0\0", 16);
	at = add_flagged(blob, VTD_DMAR_SATC, VTD_SATC_ATC_REQUIRED, 0);
	add_scope1(blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 2, 0);
}

#endif
