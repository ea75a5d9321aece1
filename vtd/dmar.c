/* SPDX-License-Identifier: MIT */
/*
 * Reading the DMAR table: what would make it unreadable, and the iterators over what
 * it holds. VT-d specification 5.10, sections 8.1 to 8.9.
 *
 * vtd_dmar_parse() walks all structures and scopes once and refuses the table unless
 * every one of them lies inside its container. From then on the iterators rely on
 * that, yet they still stop at the container's end. What is merely contrary to the
 * specification is found in vtd/dmar_check.c.
 */
#include "vtd/dmar.h"

#include "iommu/string.h"
#include "vtd/dmar_private.h"

enum {
	HEADER_BYTES = 48,
	LENGTH_OFFSET = 4,
	REVISION_OFFSET = 8,
	CHECKSUM_OFFSET = 9,
	WIDTH_OFFSET = 36,
	FLAGS_OFFSET = 37,
	STRUCTURE_HEADER_BYTES = 4,
	SCOPE_HEADER_BYTES = 6,
	SCOPE_LEAST_BYTES = 8, /* with one hop */
};

/** Length of the fixed part of each structure type, and so where its scopes start. */
static const struct {
	const char *name;
	uint8_t fixed_bytes;
	bool has_scopes;
} types[VTD_DMAR_TYPES] = {
	[VTD_DMAR_DRHD] = {"DRHD", 16, true}, [VTD_DMAR_RMRR] = {"RMRR", 24, true},
	[VTD_DMAR_ATSR] = {"ATSR", 8, true},  [VTD_DMAR_RHSA] = {"RHSA", 20, false},
	[VTD_DMAR_ANDD] = {"ANDD", 8, false}, [VTD_DMAR_SATC] = {"SATC", 8, true},
	[VTD_DMAR_SIDP] = {"SIDP", 8, true},
};

const char *vtd_dmar_type_name(uint32_t type)
{
	return type < VTD_DMAR_TYPES ? types[type].name : "unknown";
}

uint16_t vtd_dmar_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

uint32_t vtd_dmar_get32(const uint8_t *at)
{
	return vtd_dmar_get16(at) | (uint32_t)vtd_dmar_get16(at + 2) << 16;
}

uint64_t vtd_dmar_get64(const uint8_t *at)
{
	return vtd_dmar_get32(at) | (uint64_t)vtd_dmar_get32(at + 4) << 32;
}

/** Refuse the table: empty @p out but for the reason. */
static int printf_like(3, 4) refuse(struct vtd_dmar *out, uint32_t offset, const char *format, ...)
{
	va_list args;

	memset(out, 0, sizeof(*out));
	out->error_offset = offset;
	va_start(args, format);
	iommu_vsnprintf(out->error, sizeof(out->error), format, args);
	va_end(args);
	return -EINVAL;
}

/** All scopes of one structure lie in it and have a path. Counts them. */
static int check_scopes(struct vtd_dmar *out, uint32_t offset, uint32_t length, const char *name,
                        uint32_t fixed_bytes)
{
	const uint8_t *structure = out->table + offset;
	uint32_t at = fixed_bytes;

	while (at < length) {
		uint32_t left = length - at;
		if (left < SCOPE_HEADER_BYTES)
			return refuse(out, offset + at,
			              "%s at %#x: %u bytes after its last scope, a scope has 6 or "
			              "more",
			              name, (unsigned)offset, (unsigned)left);
		uint32_t bytes = structure[at + 1];
		if (bytes < SCOPE_LEAST_BYTES || bytes % 2)
			return refuse(
				out, offset + at + 1,
				"%s at %#x: scope length %u, right is 6 + 2 for each hop, one or "
				"more",
				name, (unsigned)offset, (unsigned)bytes);
		if (bytes > left)
			return refuse(
				out, offset + at + 1,
				"%s at %#x: scope of %u bytes, but its structure ends after %u",
				name, (unsigned)offset, (unsigned)bytes, (unsigned)left);
		if (++out->scopes > VTD_DMAR_MAX_SCOPES)
			return refuse(out, offset + at, "more than %u scopes",
			              (unsigned)VTD_DMAR_MAX_SCOPES);
		at += bytes;
	}
	return 0;
}

static int check_structures(struct vtd_dmar *out)
{
	uint32_t offset = HEADER_BYTES;

	while (offset < out->bytes) {
		uint32_t left = out->bytes - offset;
		if (left < STRUCTURE_HEADER_BYTES)
			return refuse(
				out, offset,
				"%u bytes after the last structure, a structure has 4 or more",
				(unsigned)left);
		const uint8_t *structure = out->table + offset;
		uint16_t type = vtd_dmar_get16(structure);
		uint32_t length = vtd_dmar_get16(structure + 2);
		bool known = type < VTD_DMAR_TYPES;
		uint32_t least = known ? types[type].fixed_bytes : STRUCTURE_HEADER_BYTES;
		const char *name = vtd_dmar_type_name(type);

		if (length < least)
			return refuse(
				out, offset + 2,
				"structure of type %u (%s) has length %u, right is %u or more",
				(unsigned)type, name, (unsigned)length, (unsigned)least);
		if (length > left)
			return refuse(out, offset + 2,
			              "structure of type %u (%s) has length %u, but the table ends "
			              "after %u",
			              (unsigned)type, name, (unsigned)length, (unsigned)left);
		if (out->structures == VTD_DMAR_MAX_STRUCTURES)
			return refuse(out, offset, "more than %u structures",
			              (unsigned)VTD_DMAR_MAX_STRUCTURES);
		if (known && types[type].has_scopes) {
			int error = check_scopes(out, offset, length, name, least);
			if (error)
				return error;
		}
		out->structures++;
		if (known)
			out->count[type]++;
		else
			out->unknown++;
		offset += length;
	}
	return 0;
}

static int check_header(struct vtd_dmar *out, const uint8_t *table, size_t bytes)
{
	if (bytes < HEADER_BYTES)
		return refuse(out, (uint32_t)bytes, "only %u bytes, the header has %u",
		              (unsigned)bytes, (unsigned)HEADER_BYTES);
	if (memcmp(table, "DMAR", 4) != 0)
		return refuse(out, 0,
		              "signature %02x %02x %02x %02x, right is 44 4d 41 52 (\"DMAR\")",
		              table[0], table[1], table[2], table[3]);
	uint32_t length = vtd_dmar_get32(table + LENGTH_OFFSET);
	if (length < HEADER_BYTES)
		return refuse(out, LENGTH_OFFSET, "table length %u, the header alone has %u",
		              (unsigned)length, (unsigned)HEADER_BYTES);
	if (length > bytes)
		return refuse(out, LENGTH_OFFSET, "table length %u, but only %llu bytes are there",
		              (unsigned)length, (unsigned long long)bytes);
	uint8_t sum = 0;
	for (uint32_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + table[i]);
	if (sum)
		return refuse(out, CHECKSUM_OFFSET,
		              "checksum %#x, right is %#x: all bytes must add up to 0",
		              table[CHECKSUM_OFFSET], (uint8_t)(table[CHECKSUM_OFFSET] - sum));

	out->table = table;
	out->bytes = length;
	out->revision = table[REVISION_OFFSET];
	out->host_address_width = table[WIDTH_OFFSET] + 1u;
	out->flags = table[FLAGS_OFFSET];
	return 0;
}

int vtd_dmar_parse(const void *table, size_t bytes, const struct vtd_dmar_options *options,
                   struct vtd_dmar *out)
{
	memset(out, 0, sizeof(*out));
	int error = check_header(out, table, bytes);
	if (!error)
		error = check_structures(out);
	if (error)
		return error;

	struct vtd_dmar_check check = {.dmar = out, .options = options};
	vtd_dmar_check_all(&check);
	if (check.refused)
		return refuse(out, check.refused_offset, "%s", check.text);
	return 0;
}

/** Does the window [base, base + bytes) overlap that of a DRHD before @p offset? */
static bool overlaps_earlier(const struct vtd_dmar *dmar, uint32_t offset, uint64_t base,
                             uint64_t last, uint32_t *other)
{
	for (uint32_t at = HEADER_BYTES; at < offset;) {
		const uint8_t *structure = dmar->table + at;
		if (vtd_dmar_get16(structure) == VTD_DMAR_DRHD) {
			uint64_t first = vtd_dmar_get64(structure + 8);
			uint64_t length = PAGE_SIZE_4K << (structure[5] & 15);
			uint64_t end = first + length - 1;
			if (first && end >= first && first <= last && base <= end) {
				*other = at;
				return true;
			}
		}
		at += vtd_dmar_get16(structure + 2);
	}
	return false;
}

bool vtd_dmar_unit_overlap(const struct vtd_dmar *dmar, const struct vtd_dmar_entry *drhd,
                           uint32_t *other)
{
	uint64_t last = drhd->base + drhd->bytes - 1;
	return drhd->base && last >= drhd->base &&
	       overlaps_earlier(dmar, drhd->offset, drhd->base, last, other);
}

static bool is_page_aligned(uint64_t address)
{
	return address % PAGE_SIZE_4K == 0;
}

static void decode_drhd(const uint8_t *structure, struct vtd_dmar_entry *out)
{
	out->flags = structure[4];
	out->segment = vtd_dmar_get16(structure + 6);
	out->base = vtd_dmar_get64(structure + 8);
	out->bytes = PAGE_SIZE_4K << (structure[5] & 15);
	out->usable =
		out->base && is_page_aligned(out->base) && out->base + out->bytes - 1 >= out->base;
}

static void decode_andd(const uint8_t *structure, struct vtd_dmar_entry *out)
{
	uint32_t i = 8;

	out->device = structure[7];
	/* Only a name that can be shown is handed on: it ends up on consoles. */
	while (i < out->length && structure[i] > ' ' && structure[i] < 0x7f)
		i++;
	out->usable = i > 8 && i < out->length && structure[i] == 0;
	out->name = out->usable ? (const char *)structure + 8 : "";
}

static void decode(const struct vtd_dmar *dmar, uint32_t offset, struct vtd_dmar_entry *out)
{
	const uint8_t *structure = dmar->table + offset;

	*out = (struct vtd_dmar_entry){
		.offset = offset,
		.type = vtd_dmar_get16(structure),
		.length = vtd_dmar_get16(structure + 2),
		.usable = true,
	};
	if (out->type < VTD_DMAR_TYPES && types[out->type].has_scopes)
		out->scope_start = types[out->type].fixed_bytes;

	switch (out->type) {
	case VTD_DMAR_DRHD:
		decode_drhd(structure, out);
		break;
	case VTD_DMAR_RMRR:
		out->segment = vtd_dmar_get16(structure + 6);
		out->base = vtd_dmar_get64(structure + 8);
		out->limit = vtd_dmar_get64(structure + 16);
		out->usable = out->limit > out->base && is_page_aligned(out->base) &&
		              is_page_aligned(out->limit + 1);
		break;
	case VTD_DMAR_RHSA:
		out->base = vtd_dmar_get64(structure + 8);
		out->proximity = vtd_dmar_get32(structure + 16);
		break;
	case VTD_DMAR_ANDD:
		decode_andd(structure, out);
		break;
	case VTD_DMAR_ATSR:
	case VTD_DMAR_SATC:
		out->flags = structure[4];
		out->segment = vtd_dmar_get16(structure + 6);
		break;
	case VTD_DMAR_SIDP:
		out->segment = vtd_dmar_get16(structure + 6);
		break;
	default:
		break;
	}
}

bool vtd_dmar_next_fast(const struct vtd_dmar *dmar, uint32_t type, uint32_t *at,
                        struct vtd_dmar_entry *out)
{
	uint32_t offset = *at ? *at : HEADER_BYTES;

	while (offset < dmar->bytes && dmar->bytes - offset >= STRUCTURE_HEADER_BYTES) {
		const uint8_t *structure = dmar->table + offset;
		uint32_t length = vtd_dmar_get16(structure + 2);
		if (length < STRUCTURE_HEADER_BYTES || length > dmar->bytes - offset)
			return false;
		*at = offset + length;
		if (type == VTD_DMAR_ANY || type == vtd_dmar_get16(structure)) {
			decode(dmar, offset, out);
			return true;
		}
		offset += length;
	}
	return false;
}

bool vtd_dmar_next(const struct vtd_dmar *dmar, uint32_t type, uint32_t *at,
                   struct vtd_dmar_entry *out)
{
	uint32_t other;

	if (!vtd_dmar_next_fast(dmar, type, at, out))
		return false;
	if (out->type == VTD_DMAR_DRHD && vtd_dmar_unit_overlap(dmar, out, &other))
		out->usable = false;
	return true;
}

bool vtd_dmar_scope_next(const struct vtd_dmar *dmar, const struct vtd_dmar_entry *entry,
                         uint32_t *at, struct vtd_dmar_scope *out)
{
	uint32_t offset = *at ? *at : entry->scope_start;

	if (!entry->scope_start || offset >= entry->length ||
	    entry->length - offset < SCOPE_LEAST_BYTES)
		return false;
	const uint8_t *scope = dmar->table + entry->offset + offset;
	uint32_t bytes = scope[1];
	if (bytes < SCOPE_LEAST_BYTES || bytes > entry->length - offset)
		return false;
	*at = offset + bytes;
	*out = (struct vtd_dmar_scope){
		.offset = entry->offset + offset,
		.type = scope[0],
		.flags = scope[2],
		.id = scope[4],
		.start_bus = scope[5],
		.hop_count = (uint8_t)((bytes - SCOPE_HEADER_BYTES) / 2),
		.path = scope + SCOPE_HEADER_BYTES,
	};
	return true;
}
