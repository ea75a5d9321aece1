/* SPDX-License-Identifier: MIT */
/*
 * What is odd in a DMAR table that can be read: notes (harmless) and defects (contrary
 * to VT-d specification 5.10, sections 8.1 to 8.9). Every finding has the offset of the
 * byte that shows it, and one line that names the thing, its value and what is right.
 *
 * The checks compare structures with each other in pairs; the parser's limits on their
 * number bound the time. No memory is used beyond the stack.
 */
#include "iommu/string.h"
#include "vtd/dmar_private.h"

enum {
	OEM_ID_OFFSET = 10,
	OEM_ID_BYTES = 6,
	WIDTH_OFFSET = 36,
	FLAGS_OFFSET = 37,
	RESERVED_OFFSET = 38,
	FIRST_STRUCTURE = 48,
	KNOWN_FLAGS =
		VTD_DMAR_INTR_REMAP | VTD_DMAR_X2APIC_OPT_OUT | VTD_DMAR_DMA_CTRL_PLATFORM_OPT_IN,
	RHSA_BYTES = 20,
};

static void printf_like(4, 5) find(struct vtd_dmar_check *check, enum vtd_dmar_finding_kind kind,
                                   uint32_t offset, const char *format, ...)
{
	const struct vtd_dmar_options *options = check->options;
	bool is_defect = kind >= VTD_DMAR_NOTES;
	va_list args;

	if (check->refused)
		return;
	va_start(args, format);
	iommu_vsnprintf(check->text, sizeof(check->text), format, args);
	va_end(args);
	if (is_defect)
		check->dmar->defects++;
	else
		check->dmar->notes++;
	if (options && options->report) {
		struct vtd_dmar_finding finding = {
			.kind = kind,
			.is_defect = is_defect,
			.offset = offset,
			.text = check->text,
		};
		options->report(options->ctx, &finding);
	}
	if (is_defect && options && options->strict) {
		check->refused = true;
		check->refused_offset = offset;
	}
}

static bool is_set(const uint8_t *from, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		if (from[i])
			return true;
	return false;
}

/** Note reserved bytes of @p entry that are not 0. */
static void check_reserved(struct vtd_dmar_check *check, const struct vtd_dmar_entry *entry,
                           unsigned from, unsigned bytes)
{
	uint32_t offset = entry->offset + from;
	if (is_set(check->dmar->table + offset, bytes))
		find(check, VTD_DMAR_NOTE_RESERVED, offset, "%s: reserved byte%s not 0",
		     vtd_dmar_type_name(entry->type), bytes == 1 ? " is" : "s are");
}

/** Note reserved bits of the byte at @p from. */
static void check_reserved_bits(struct vtd_dmar_check *check, const struct vtd_dmar_entry *entry,
                                unsigned from, unsigned known)
{
	uint32_t offset = entry->offset + from;
	unsigned value = check->dmar->table[offset];
	if (value & ~known)
		find(check, VTD_DMAR_NOTE_RESERVED, offset, "%s: byte is %#x, known bits are %#x",
		     vtd_dmar_type_name(entry->type), value, known);
}

static void check_header(struct vtd_dmar_check *check)
{
	const struct vtd_dmar *dmar = check->dmar;
	const uint8_t *table = dmar->table;

	if (dmar->revision != 0 && dmar->revision != 1)
		find(check, VTD_DMAR_NOTE_REVISION, 8, "revision %u, the specification has 1",
		     dmar->revision);
	for (unsigned i = 0; i < OEM_ID_BYTES; i++)
		if (!table[OEM_ID_OFFSET + i]) {
			find(check, VTD_DMAR_NOTE_OEM_ID, OEM_ID_OFFSET + i,
			     "NUL in the OEM id, which has 6 characters");
			break;
		}
	if (dmar->host_address_width < 32 || dmar->host_address_width > 64)
		find(check, VTD_DMAR_DEFECT_WIDTH, WIDTH_OFFSET,
		     "host address width of %u bits, right is 32 to 64", dmar->host_address_width);
	if (dmar->flags & ~KNOWN_FLAGS)
		find(check, VTD_DMAR_NOTE_RESERVED, FLAGS_OFFSET,
		     "table flags %#x, known bits are %#x", dmar->flags, (unsigned)KNOWN_FLAGS);
	if (is_set(table + RESERVED_OFFSET, FIRST_STRUCTURE - RESERVED_OFFSET))
		find(check, VTD_DMAR_NOTE_RESERVED, RESERVED_OFFSET,
		     "reserved bytes of the header are not 0");
	if (!dmar->count[VTD_DMAR_DRHD])
		find(check, VTD_DMAR_DEFECT_NO_UNITS, FIRST_STRUCTURE,
		     "no DRHD: the table has no remapping unit");
}

static void check_segment(struct vtd_dmar_check *check, const struct vtd_dmar_entry *entry)
{
	const struct vtd_dmar_options *options = check->options;
	if (options && options->has_segment && !options->has_segment(options->ctx, entry->segment))
		find(check, VTD_DMAR_DEFECT_SEGMENT, entry->offset + 6,
		     "%s for PCI segment %u, which this machine does not have",
		     vtd_dmar_type_name(entry->type), entry->segment);
}

/** One INCLUDE_PCI_ALL a segment, and last among the segment's units. */
static void check_include_all(struct vtd_dmar_check *check, const struct vtd_dmar_entry *drhd)
{
	uint32_t at = 0;
	struct vtd_dmar_entry earlier;

	while (vtd_dmar_next_fast(check->dmar, VTD_DMAR_DRHD, &at, &earlier) &&
	       earlier.offset < drhd->offset) {
		if (earlier.segment != drhd->segment || !(earlier.flags & VTD_DRHD_INCLUDE_PCI_ALL))
			continue;
		if (drhd->flags & VTD_DRHD_INCLUDE_PCI_ALL)
			find(check, VTD_DMAR_DEFECT_INCLUDE_ALL_TWICE, drhd->offset + 4,
			     "second DRHD with INCLUDE_PCI_ALL in segment %u, the first is at %#x",
			     drhd->segment, (unsigned)earlier.offset);
		else
			find(check, VTD_DMAR_DEFECT_INCLUDE_ALL_ORDER, drhd->offset,
			     "DRHD after the one with INCLUDE_PCI_ALL (at %#x) of segment %u, "
			     "which "
			     "must be last",
			     (unsigned)earlier.offset, drhd->segment);
		return;
	}
}

/** Several scopes for one HPET: noted once a unit, at the second. */
static void check_hpets(struct vtd_dmar_check *check, const struct vtd_dmar_entry *drhd)
{
	uint32_t at = 0, second_offset = 0;
	struct vtd_dmar_scope scope;
	unsigned count = 0, first_id = 0;

	while (vtd_dmar_scope_next(check->dmar, drhd, &at, &scope)) {
		if (scope.type != VTD_SCOPE_HPET || (count && scope.id != first_id))
			continue;
		first_id = scope.id;
		if (++count == 2)
			second_offset = scope.offset;
	}
	if (count > 1)
		find(check, VTD_DMAR_NOTE_HPET_COUNT, second_offset,
		     "%u scopes for HPET %u: one source id for each timer", count, first_id);
}

static void check_drhd(struct vtd_dmar_check *check, const struct vtd_dmar_entry *drhd)
{
	unsigned long long base = drhd->base, last = drhd->base + drhd->bytes - 1;
	unsigned size = check->dmar->table[drhd->offset + 5];
	uint32_t other;

	check_reserved_bits(check, drhd, 4, VTD_DRHD_INCLUDE_PCI_ALL);
	check_reserved_bits(check, drhd, 5, 15);
	check_segment(check, drhd);
	if (size & 15)
		find(check, VTD_DMAR_NOTE_WINDOW_SIZE, drhd->offset + 5,
		     "DRHD size field %#x: registers of 2^%u pages", size, size & 15);
	if (!base)
		find(check, VTD_DMAR_DEFECT_UNIT_BASE, drhd->offset + 8,
		     "DRHD register base 0: firmware switched the unit off or forgot it");
	else if (base % PAGE_SIZE_4K)
		find(check, VTD_DMAR_DEFECT_UNIT_BASE, drhd->offset + 8,
		     "DRHD register base %#llx, right is a multiple of 0x1000", base);
	else if (last < base)
		find(check, VTD_DMAR_DEFECT_UNIT_BASE, drhd->offset + 8,
		     "DRHD register base %#llx with %#llx bytes goes beyond 2^64", base,
		     (unsigned long long)drhd->bytes);
	else if (base % drhd->bytes)
		find(check, VTD_DMAR_DEFECT_UNIT_SIZE, drhd->offset + 8,
		     "DRHD register base %#llx, right is a multiple of its size %#llx", base,
		     (unsigned long long)drhd->bytes);
	if (vtd_dmar_unit_overlap(check->dmar, drhd, &other))
		find(check, VTD_DMAR_DEFECT_UNIT_OVERLAP, drhd->offset + 8,
		     "DRHD registers %#llx-%#llx overlap those of the DRHD at %#x", base, last,
		     (unsigned)other);
	check_include_all(check, drhd);
	if (drhd->length == drhd->scope_start && !(drhd->flags & VTD_DRHD_INCLUDE_PCI_ALL))
		find(check, VTD_DMAR_NOTE_UNIT_WITHOUT_SCOPE, drhd->offset,
		     "DRHD without INCLUDE_PCI_ALL and without scopes: it translates for nothing");
	check_hpets(check, drhd);
}

static void check_rmrr(struct vtd_dmar_check *check, const struct vtd_dmar_entry *rmrr)
{
	unsigned long long base = rmrr->base, limit = rmrr->limit;
	unsigned width = check->dmar->host_address_width;

	check_reserved(check, rmrr, 4, 2);
	check_segment(check, rmrr);
	if (!rmrr->usable)
		find(check, VTD_DMAR_DEFECT_RMRR_RANGE, rmrr->offset + (limit > base ? 8 : 16),
		     "RMRR %#llx-%#llx: %s", base, limit,
		     limit > base ? "right is whole pages of 0x1000"
		                  : "its limit is not above its base");
	else if (base < 0x100000)
		find(check, VTD_DMAR_NOTE_RMRR_LOW, rmrr->offset + 8,
		     "RMRR %#llx-%#llx lies below 1 MiB", base, limit);
	if (width < 64 && limit >> width)
		find(check, VTD_DMAR_DEFECT_RMRR_WIDTH, rmrr->offset + 16,
		     "RMRR %#llx-%#llx goes beyond the host address width of %u bits", base, limit,
		     width);
}

static void check_rhsa(struct vtd_dmar_check *check, const struct vtd_dmar_entry *rhsa)
{
	uint32_t at = 0;
	struct vtd_dmar_entry other;
	bool found = false;

	check_reserved(check, rhsa, 4, 4);
	if (rhsa->length > RHSA_BYTES)
		find(check, VTD_DMAR_NOTE_TRAILING, rhsa->offset + RHSA_BYTES,
		     "RHSA of %u bytes, its fields have %u", rhsa->length, (unsigned)RHSA_BYTES);
	while (!found && vtd_dmar_next_fast(check->dmar, VTD_DMAR_DRHD, &at, &other))
		found = other.base == rhsa->base;
	if (!found)
		find(check, VTD_DMAR_DEFECT_RHSA_UNIT, rhsa->offset + 8,
		     "RHSA for registers at %#llx, where no DRHD has a unit",
		     (unsigned long long)rhsa->base);
	at = 0;
	while (vtd_dmar_next_fast(check->dmar, VTD_DMAR_RHSA, &at, &other) &&
	       other.offset < rhsa->offset)
		if (other.base == rhsa->base) {
			find(check, VTD_DMAR_DEFECT_RHSA_UNIT, rhsa->offset + 8,
			     "second RHSA for registers at %#llx, the first is at %#x",
			     (unsigned long long)rhsa->base, (unsigned)other.offset);
			break;
		}
}

static void check_andd(struct vtd_dmar_check *check, const struct vtd_dmar_entry *andd)
{
	uint32_t at = 0;
	struct vtd_dmar_entry earlier;

	check_reserved(check, andd, 4, 3);
	if (!andd->usable) {
		find(check, VTD_DMAR_DEFECT_ANDD_NAME, andd->offset + 8,
		     "ANDD %u: name is empty, not printable, or without a final NUL", andd->device);
	} else {
		unsigned used = 8;
		while (check->dmar->table[andd->offset + used])
			used++;
		used++;
		if (andd->length > used)
			find(check, VTD_DMAR_NOTE_ANDD_TAIL, andd->offset + used,
			     "ANDD %u: %u bytes after the name terminator", andd->device,
			     andd->length - used);
	}
	if (andd->length % 4)
		find(check, VTD_DMAR_NOTE_ANDD_LENGTH, andd->offset + 2,
		     "ANDD %u: length %u not a multiple of 4", andd->device, andd->length);
	while (vtd_dmar_next_fast(check->dmar, VTD_DMAR_ANDD, &at, &earlier) &&
	       earlier.offset < andd->offset)
		if (earlier.device == andd->device) {
			find(check, VTD_DMAR_DEFECT_ANDD_NUMBER, andd->offset + 7,
			     "second ANDD with number %u, the first is at %#x", andd->device,
			     (unsigned)earlier.offset);
			break;
		}
}

static bool has_andd(const struct vtd_dmar *dmar, unsigned number)
{
	uint32_t at = 0;
	struct vtd_dmar_entry andd;

	while (vtd_dmar_next_fast(dmar, VTD_DMAR_ANDD, &at, &andd))
		if (andd.device == number)
			return true;
	return false;
}

/** The scope types that a structure may have, as a set. */
static unsigned allowed_scopes(const struct vtd_dmar_entry *entry)
{
	unsigned pci = 1u << VTD_SCOPE_ENDPOINT | 1u << VTD_SCOPE_BRIDGE;
	unsigned other = 1u << VTD_SCOPE_IOAPIC | 1u << VTD_SCOPE_HPET | 1u << VTD_SCOPE_ANDD;

	switch (entry->type) {
	case VTD_DMAR_DRHD:
		return entry->flags & VTD_DRHD_INCLUDE_PCI_ALL ? other : pci | other;
	case VTD_DMAR_RMRR:
		return pci | 1u << VTD_SCOPE_ANDD;
	case VTD_DMAR_ATSR:
		return 1u << VTD_SCOPE_BRIDGE;
	case VTD_DMAR_SATC:
		return 1u << VTD_SCOPE_ENDPOINT;
	default:
		return 1u << VTD_SCOPE_ENDPOINT | 1u << VTD_SCOPE_ANDD;
	}
}

static bool is_same_device(const struct vtd_dmar_scope *a, const struct vtd_dmar_scope *b)
{
	return a->type == b->type && a->start_bus == b->start_bus && a->hop_count == b->hop_count &&
	       (a->type <= VTD_SCOPE_BRIDGE || a->id == b->id) &&
	       memcmp(a->path, b->path, 2u * a->hop_count) == 0;
}

/** A device belongs to one unit. */
static void check_scope_twice(struct vtd_dmar_check *check, const struct vtd_dmar_entry *drhd,
                              const struct vtd_dmar_scope *scope)
{
	uint32_t at = 0;
	struct vtd_dmar_entry unit;

	while (vtd_dmar_next_fast(check->dmar, VTD_DMAR_DRHD, &at, &unit) &&
	       unit.offset <= drhd->offset) {
		uint32_t scope_at = 0;
		struct vtd_dmar_scope earlier;
		if (unit.segment != drhd->segment)
			continue;
		while (vtd_dmar_scope_next(check->dmar, &unit, &scope_at, &earlier) &&
		       earlier.offset < scope->offset)
			if (is_same_device(&earlier, scope)) {
				find(check, VTD_DMAR_DEFECT_SCOPE_TWICE, scope->offset,
				     "%s scope names a device that the scope at %#x has already",
				     vtd_dmar_scope_type_name(scope->type),
				     (unsigned)earlier.offset);
				return;
			}
	}
}

static void check_scope(struct vtd_dmar_check *check, const struct vtd_dmar_entry *entry,
                        const struct vtd_dmar_scope *scope)
{
	const char *in = vtd_dmar_type_name(entry->type);
	const char *kind = vtd_dmar_scope_type_name(scope->type);
	const uint8_t *raw = check->dmar->table + scope->offset;
	unsigned known_flags = entry->type == VTD_DMAR_SIDP ? 0x1f : 0;

	if (scope->type == 0 || scope->type >= VTD_SCOPE_TYPES)
		find(check, VTD_DMAR_NOTE_UNKNOWN_SCOPE, scope->offset,
		     "%s: scope of unknown type %u, skipped", in, scope->type);
	else if (!(allowed_scopes(entry) & 1u << scope->type))
		find(check, VTD_DMAR_DEFECT_SCOPE_TYPE, scope->offset,
		     "%s%s: %s scope, which it may not have", in,
		     entry->type == VTD_DMAR_DRHD ? " with INCLUDE_PCI_ALL" : "", kind);
	if (raw[2] & ~known_flags || raw[3])
		find(check, VTD_DMAR_NOTE_RESERVED, scope->offset + (raw[3] ? 3 : 2),
		     "%s: device scope reserved byte %#04x, right is 0", in,
		     raw[3] ? raw[3] : raw[2]);
	for (unsigned n = 0; n < scope->hop_count; n++)
		if (scope->path[2 * n] > 31 || scope->path[2 * n + 1] > 7) {
			find(check, VTD_DMAR_DEFECT_SCOPE_PATH, scope->offset + 6 + 2 * n,
			     "%s: scope path has device %u function %u, right is 0-31 and 0-7", in,
			     scope->path[2 * n], scope->path[2 * n + 1]);
			break;
		}
	if (scope->hop_count > 1)
		find(check, VTD_DMAR_NOTE_MULTI_HOP, scope->offset + 1,
		     "%s: multi-hop scope path (%u hops)", in, scope->hop_count);
	if (scope->type == VTD_SCOPE_ANDD && !has_andd(check->dmar, scope->id))
		find(check, VTD_DMAR_DEFECT_ANDD_NUMBER, scope->offset + 4,
		     "%s: scope for ANDD device %u, but no ANDD has that number", in, scope->id);
	if (entry->type == VTD_DMAR_DRHD)
		check_scope_twice(check, entry, scope);
}

static void check_scopes(struct vtd_dmar_check *check, const struct vtd_dmar_entry *entry,
                         bool *io_apic_noted)
{
	uint32_t at = 0;
	struct vtd_dmar_scope scope;

	if (entry->type != VTD_DMAR_DRHD && entry->length == entry->scope_start &&
	    !(entry->type == VTD_DMAR_ATSR && entry->flags & VTD_ATSR_ALL_PORTS))
		find(check, VTD_DMAR_DEFECT_SCOPE_MISSING, entry->offset,
		     "%s without scopes: it names no device", vtd_dmar_type_name(entry->type));
	while (!check->refused && vtd_dmar_scope_next(check->dmar, entry, &at, &scope)) {
		check_scope(check, entry, &scope);
		if (scope.type == VTD_SCOPE_IOAPIC && !*io_apic_noted &&
		    !(check->dmar->flags & VTD_DMAR_INTR_REMAP)) {
			*io_apic_noted = true;
			find(check, VTD_DMAR_NOTE_IOAPIC_NO_REMAP, scope.offset,
			     "IOAPIC scopes though INTR_REMAP is clear");
		}
	}
}

static void check_entry(struct vtd_dmar_check *check, const struct vtd_dmar_entry *entry)
{
	switch (entry->type) {
	case VTD_DMAR_DRHD:
		check_drhd(check, entry);
		break;
	case VTD_DMAR_RMRR:
		check_rmrr(check, entry);
		break;
	case VTD_DMAR_ATSR:
	case VTD_DMAR_SATC:
		check_reserved_bits(check, entry, 4, 1);
		check_reserved(check, entry, 5, 1);
		check_segment(check, entry);
		break;
	case VTD_DMAR_RHSA:
		check_rhsa(check, entry);
		break;
	case VTD_DMAR_ANDD:
		check_andd(check, entry);
		break;
	case VTD_DMAR_SIDP:
		check_reserved(check, entry, 4, 2);
		check_segment(check, entry);
		break;
	default:
		find(check, VTD_DMAR_NOTE_UNKNOWN_TYPE, entry->offset,
		     "structure of unknown type %u (%u bytes), skipped", entry->type,
		     entry->length);
		break;
	}
}

void vtd_dmar_check_all(struct vtd_dmar_check *check)
{
	const struct vtd_dmar *dmar = check->dmar;
	uint32_t at = 0;
	struct vtd_dmar_entry entry;
	unsigned last_type = 0;
	bool io_apic_noted = false, rhsa_noted = false;

	check_header(check);
	while (!check->refused && vtd_dmar_next_fast(dmar, VTD_DMAR_ANY, &at, &entry)) {
		if (entry.type < last_type)
			find(check, VTD_DMAR_DEFECT_STRUCTURE_ORDER, entry.offset,
			     "structure of type %u (%s) after one of type %u, types must ascend",
			     entry.type, vtd_dmar_type_name(entry.type), last_type);
		last_type = entry.type;
		check_entry(check, &entry);
		if (entry.type == VTD_DMAR_RHSA && !rhsa_noted &&
		    dmar->count[VTD_DMAR_RHSA] != dmar->count[VTD_DMAR_DRHD]) {
			rhsa_noted = true;
			find(check, VTD_DMAR_NOTE_RHSA_COUNT, entry.offset, "%u RHSA for %u DRHD",
			     (unsigned)dmar->count[VTD_DMAR_RHSA],
			     (unsigned)dmar->count[VTD_DMAR_DRHD]);
		}
		if (entry.scope_start)
			check_scopes(check, &entry, &io_apic_noted);
	}
}
