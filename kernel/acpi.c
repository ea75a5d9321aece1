/* SPDX-License-Identifier: MIT */
/*
 * Finding the ACPI tables: the RSDP, the root table (XSDT, else RSDT), and each table's
 * header and checksum. ACPI 6.5, sections 5.2.5 to 5.2.8.
 *
 * All that firmware says is checked before it is used: memory is read only where the
 * source's `map` grants it, lengths are bounded, and a damaged table is reported and
 * left out, so that one bad table does not cost the others.
 */
#include "kernel/acpi_private.h"

#include "iommu/string.h"

enum {
	RSDP_1_BYTES = 20, /* what ACPI 1.0 has, with a checksum of its own */
	RSDP_2_BYTES = 36,
	RSDP_MAX_BYTES = 4096,
	EBDA_POINTER = 0x40e, /* BIOS data area: segment of the EBDA */
	EBDA_BYTES = 1024,
	BIOS_START = 0xe0000,
	BIOS_BYTES = 0x20000,
	RSDP_ALIGN = 16,
};

static void printf_like(2, 0)
	warn_line(struct acpi_reader *reader, const char *format, va_list args)
{
	struct iommu_print *log = reader->source->log;

	reader->out->warnings++;
	if (!log)
		return;
	iommu_vprintf(log, format, args);
	iommu_printf(log, "\n");
}

static void printf_like(2, 3) warn(struct acpi_reader *reader, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	warn_line(reader, format, args);
	va_end(args);
}

void acpi_warn(struct acpi_reader *reader, const struct acpi_table *table, uint32_t offset,
               const char *format, ...)
{
	va_list args;

	if (reader->source->log)
		iommu_printf(reader->source->log,
		             "ACPI %s at %#llx, offset %#x: ", table->signature,
		             (unsigned long long)table->address, (unsigned)offset);
	va_start(args, format);
	warn_line(reader, format, args);
	va_end(args);
}

static const uint8_t *map(struct acpi_reader *reader, uint64_t address, uint64_t bytes)
{
	if (!address || bytes > UINT64_MAX - address)
		return NULL;
	return reader->source->map(reader->source->ctx, address, bytes);
}

static uint8_t sum_of(const uint8_t *bytes, uint32_t length)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum;
}

bool acpi_table_open(struct acpi_reader *reader, uint64_t address, const char *signature,
                     struct acpi_table *out)
{
	const uint8_t *header = map(reader, address, ACPI_HEADER_BYTES);

	if (!header) {
		warn(reader, "ACPI %s at %#llx: no memory to read there",
		     signature ? signature : "table", (unsigned long long)address);
		return false;
	}
	*out = (struct acpi_table){.length = acpi_get32(header + 4), .address = address};
	for (unsigned i = 0; i < 4; i++)
		out->signature[i] = header[i] > ' ' && header[i] < 0x7f ? (char)header[i] : '?';
	if (signature && memcmp(header, signature, 4) != 0) {
		acpi_warn(reader, out, 0, "signature is not %s", signature);
		return false;
	}
	if (out->length < ACPI_HEADER_BYTES || out->length > ACPI_MAX_TABLE_BYTES) {
		acpi_warn(reader, out, 4, "length %#x, right is %#x to %#x", (unsigned)out->length,
		          (unsigned)ACPI_HEADER_BYTES, (unsigned)ACPI_MAX_TABLE_BYTES);
		return false;
	}
	out->bytes = map(reader, address, out->length);
	if (!out->bytes) {
		acpi_warn(reader, out, 4, "length %#x reaches beyond readable memory",
		          (unsigned)out->length);
		return false;
	}
	uint8_t sum = sum_of(out->bytes, out->length);
	if (sum) {
		acpi_warn(reader, out, 9, "checksum %#x, right is %#x", out->bytes[9],
		          (uint8_t)(out->bytes[9] - sum));
		return false;
	}
	return true;
}

/* ---- the root pointer ---------------------------------------------------------------- */

struct roots {
	uint64_t xsdt; /* 0: none */
	uint32_t rsdt; /* 0: none */
};

/** Read the RSDP at @p at, of which 20 bytes may be read. False if it is none. */
static bool read_rsdp(struct acpi_reader *reader, const uint8_t *at, uint64_t address,
                      struct roots *out)
{
	if (memcmp(at, "RSD PTR ", 8) != 0 || sum_of(at, RSDP_1_BYTES) != 0)
		return false;
	*out = (struct roots){.rsdt = acpi_get32(at + 16)};
	if (at[15] < 2)
		return true;

	const uint8_t *all = map(reader, address, RSDP_2_BYTES);
	uint32_t length = all ? acpi_get32(all + 20) : 0;
	if (length < RSDP_2_BYTES || length > RSDP_MAX_BYTES) {
		warn(reader, "ACPI RSDP at %#llx, offset 0x14: length %#x, right is 0x24 or more",
		     (unsigned long long)address, (unsigned)length);
		return true;
	}
	all = map(reader, address, length);
	if (!all || sum_of(all, length) != 0) {
		warn(reader, "ACPI RSDP at %#llx, offset 0x20: extended checksum is wrong",
		     (unsigned long long)address);
		return true;
	}
	out->xsdt = acpi_get64(all + 24);
	return true;
}

/** Search @p bytes from @p start; an area that cannot be read has no RSDP. */
static bool search_rsdp(struct acpi_reader *reader, uint64_t start, uint32_t bytes,
                        struct roots *out)
{
	const uint8_t *area = map(reader, start, bytes);

	if (!area)
		return false;
	for (uint32_t at = 0; at + RSDP_1_BYTES <= bytes; at += RSDP_ALIGN)
		if (read_rsdp(reader, area + at, start + at, out))
			return true;
	return false;
}

static bool find_rsdp(struct acpi_reader *reader, struct roots *out)
{
	uint64_t given = reader->source->rsdp;

	if (given) {
		const uint8_t *at = map(reader, given, RSDP_1_BYTES);
		if (at && read_rsdp(reader, at, given, out))
			return true;
		warn(reader, "ACPI RSDP at %#llx: the boot loader gave it, but it is not valid",
		     (unsigned long long)given);
	}
	const uint8_t *pointer = map(reader, EBDA_POINTER, 2);
	uint32_t ebda = pointer ? (uint32_t)acpi_get16(pointer) << 4 : 0;
	if (ebda >= 0x400 && ebda < 0xa0000 && search_rsdp(reader, ebda, EBDA_BYTES, out))
		return true;
	return search_rsdp(reader, BIOS_START, BIOS_BYTES, out);
}

/* ---- the root table -------------------------------------------------------------------- */

/** The tables that are read, each once. SSDTs come last: see read_all(). */
static const struct {
	char signature[5];
	void (*read)(struct acpi_reader *reader, const struct acpi_table *table);
} kinds[] = {
	{"APIC", acpi_read_madt},
	{"MCFG", acpi_read_mcfg},
	{"FACP", acpi_read_fadt},
	{"HPET", acpi_read_hpet},
};

static void read_dmar(struct acpi_reader *reader, const struct acpi_table *table)
{
	if (reader->out->dmar) {
		acpi_warn(reader, table, 0, "second table of this signature, ignored");
		return;
	}
	reader->out->dmar = table->bytes;
	reader->out->dmar_bytes = table->length;
}

static bool is(const struct acpi_table *table, const char *signature)
{
	return memcmp(table->bytes, signature, 4) == 0;
}

static void read_table(struct acpi_reader *reader, const struct acpi_table *table, unsigned *seen)
{
	if (is(table, "DMAR"))
		read_dmar(reader, table);
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!is(table, kinds[i].signature))
			continue;
		if (*seen & 1u << i)
			acpi_warn(reader, table, 0, "second table of this signature, ignored");
		else
			kinds[i].read(reader, table);
		*seen |= 1u << i;
	}
}

/** The address in entry @p n of a root table. */
static uint64_t root_entry(const struct acpi_table *root, unsigned entry_bytes, uint32_t n)
{
	const uint8_t *at = root->bytes + ACPI_HEADER_BYTES + n * entry_bytes;

	return entry_bytes == 8 ? acpi_get64(at) : acpi_get32(at);
}

static void read_all(struct acpi_reader *reader, const struct acpi_table *root,
                     unsigned entry_bytes)
{
	uint32_t bytes = root->length - ACPI_HEADER_BYTES, count = bytes / entry_bytes;
	unsigned seen = 0;
	struct acpi_table table;

	if (bytes % entry_bytes)
		acpi_warn(reader, root, root->length - bytes % entry_bytes,
		          "%u bytes after the last entry of %u", (unsigned)(bytes % entry_bytes),
		          entry_bytes);
	for (uint32_t n = 0; n < count; n++) {
		uint64_t address = root_entry(root, entry_bytes, n);
		if (!address)
			acpi_warn(reader, root, ACPI_HEADER_BYTES + n * entry_bytes,
			          "entry is 0, right is the address of a table");
		else if (acpi_table_open(reader, address, NULL, &table))
			read_table(reader, &table, &seen);
	}
	/* \_S5_ is in the DSDT; a few machines keep it in an SSDT. The warnings for
	 * damaged tables were given above. */
	for (uint32_t n = 0; n < count && !reader->out->has_s5; n++) {
		const uint8_t *header =
			map(reader, root_entry(root, entry_bytes, n), ACPI_HEADER_BYTES);
		unsigned warnings = reader->out->warnings;
		struct acpi_source quiet = *reader->source;
		struct acpi_reader second = {&quiet, reader->out};
		quiet.log = NULL;
		if (header && memcmp(header, "SSDT", 4) == 0 &&
		    acpi_table_open(&second, root_entry(root, entry_bytes, n), "SSDT", &table))
			acpi_read_s5(&second, &table);
		reader->out->warnings = warnings;
	}
}

int acpi_read(const struct acpi_source *source, struct acpi *out)
{
	struct acpi_reader reader = {source, out};
	struct roots roots;
	struct acpi_table root;

	memset(out, 0, sizeof(*out));
	if (!find_rsdp(&reader, &roots)) {
		warn(&reader, "ACPI: no valid RSDP");
		return -ENOENT;
	}
	if (roots.xsdt && acpi_table_open(&reader, roots.xsdt, "XSDT", &root)) {
		read_all(&reader, &root, 8);
		return 0;
	}
	if (roots.rsdt && acpi_table_open(&reader, roots.rsdt, "RSDT", &root)) {
		read_all(&reader, &root, 4);
		return 0;
	}
	warn(&reader, "ACPI: the RSDP names no valid XSDT or RSDT");
	return -ENOENT;
}
