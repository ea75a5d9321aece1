/* SPDX-License-Identifier: MIT */
/*
 * For the tests of the ACPI reader: a machine's memory, a few regions of it, each of
 * which a test can damage. Every view that the reader asks for is a copy of exactly the
 * bytes it asked for, so that AddressSanitizer sees a read beyond them.
 */
#ifndef TESTS_UNIT_ACPI_MACHINE_H
#define TESTS_UNIT_ACPI_MACHINE_H

#include <stdint.h>
#include <string.h>

#include "kernel/acpi.h"
#include "tests/ktap.h"
#include "tests/test_memory.h"
#include "tests/test_os.h"

/* ---- a machine's memory ------------------------------------------------------------ */

enum { MAX_REGIONS = 24, MAX_VIEWS = 512, BIOS = 0xe0000, TABLES = 0x7ff00000 };

struct region {
	uint64_t address;
	uint32_t length;
	uint8_t bytes[2048];
};

static struct machine {
	struct region regions[MAX_REGIONS];
	unsigned count;
	struct acpi_source source;
	struct iommu_print log;
	char text[8192];
	size_t text_bytes;
	void *views[MAX_VIEWS];
	unsigned view_count;
	struct acpi acpi;
} m;

static inline void log_write(struct iommu_print *self, const char *text, size_t bytes)
{
	(void)self;
	for (size_t i = 0; i < bytes && m.text_bytes + 1 < sizeof(m.text); i++)
		m.text[m.text_bytes++] = text[i];
	m.text[m.text_bytes] = 0;
}

static inline const void *map(void *ctx, uint64_t address, uint64_t bytes)
{
	(void)ctx;
	for (unsigned i = 0; i < m.count; i++) {
		const struct region *region = &m.regions[i];
		if (address < region->address || address - region->address >= region->length ||
		    bytes > region->length - (address - region->address))
			continue;
		uint8_t *view = test_malloc(bytes ? bytes : 1);
		memcpy(view, region->bytes + (address - region->address), bytes);
		if (m.view_count == MAX_VIEWS)
			abort();
		m.views[m.view_count++] = view;
		return view;
	}
	return NULL;
}

static inline void forget_views(void)
{
	while (m.view_count)
		free(m.views[--m.view_count]);
}

static inline struct region *add_region(uint64_t address, uint32_t length)
{
	struct region *region = &m.regions[m.count++];
	memset(region, 0, sizeof(*region));
	region->address = address;
	region->length = length;
	return region;
}

static inline void put(struct region *region, uint32_t at, unsigned width, uint64_t value)
{
	for (unsigned i = 0; i < width; i++)
		region->bytes[at + i] = (uint8_t)(value >> 8 * i);
}

static inline void fix(struct region *region, uint32_t from, uint32_t bytes, uint32_t checksum_at)
{
	uint8_t sum = 0;
	region->bytes[checksum_at] = 0;
	for (uint32_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + region->bytes[from + i]);
	region->bytes[checksum_at] = (uint8_t)-sum;
}

/** Length and checksum of a finished table. */
static inline void finish(struct region *region)
{
	put(region, 4, 4, region->length);
	fix(region, 0, region->length, 9);
}

static inline struct region *add_table(uint64_t address, const char *signature, uint32_t length)
{
	struct region *region = add_region(address, length);
	memcpy(region->bytes, signature, 4);
	region->bytes[8] = 1;
	memcpy(region->bytes + 10, "NESTORTESTACPI", 14);
	finish(region);
	return region;
}

static inline struct region *find(const char *signature)
{
	for (unsigned i = 0; i < m.count; i++)
		if (memcmp(m.regions[i].bytes, signature, 4) == 0)
			return &m.regions[i];
	abort();
}

/** Append @p bytes to a table. */
static inline void append(struct region *region, const void *bytes, uint32_t count)
{
	memcpy(region->bytes + region->length, bytes, count);
	region->length += count;
	finish(region);
}

static inline void write_rsdp(struct region *region, uint32_t at, unsigned revision, uint32_t rsdt,
                              uint64_t xsdt)
{
	memcpy(region->bytes + at, "RSD PTR ", 8);
	region->bytes[at + 15] = (uint8_t)revision;
	put(region, at + 16, 4, rsdt);
	fix(region, at, 20, at + 8);
	if (revision >= 2) {
		put(region, at + 20, 4, 36);
		put(region, at + 24, 8, xsdt);
		fix(region, at, 36, at + 32);
	}
}

static const uint8_t madt_entries[] = {
	0, 8,  0,    0,    1, 0, 0,    0,                 /* CPU 0 */
	0, 8,  1,    1,    1, 0, 0,    0,                 /* CPU 1 */
	0, 8,  2,    2,    0, 0, 0,    0,                 /* CPU 2: disabled */
	0, 8,  3,    3,    2, 0, 0,    0,                 /* CPU 3: can come online */
	0, 8,  4,    0xff, 1, 0, 0,    0,                 /* unused slot */
	1, 12, 2,    0,    0, 0, 0xc0, 0xfe, 0,  0, 0, 0, /* I/O APIC 2 at 0xfec00000 */
	2, 10, 0,    0,    2, 0, 0,    0,    0,  0,       /* IRQ 0 is GSI 2 */
	2, 10, 0,    9,    9, 0, 0,    0,    13, 0,       /* IRQ 9: level */
	4, 6,  0xff, 0,    0, 1,                          /* NMI: skipped */
	5, 12, 0,    0,    0, 0, 0xe0, 0xfe, 1,  0, 0, 0, /* local APIC at 0x1fee00000 */
	9, 16, 0,    0,    0, 1, 0,    0,    1,  0, 0, 0, 5, 0, 0, 0, /* x2APIC id 0x100 */
};

static const uint8_t s5[] = {0x08, '_',  'S',  '5',  '_',  0x12, 0x08,
                             0x04, 0x0a, 0x05, 0x0a, 0x05, 0x00, 0x00};

static inline void gas(struct region *region, uint32_t at, unsigned space, uint64_t address)
{
	put(region, at, 1, space);
	put(region, at + 1, 1, 32);
	put(region, at + 4, 8, address);
}

/** A good machine. The XSDT's entries are 36 bytes after its start: never aligned to 8. */
static inline void machine_build(void)
{
	forget_views();
	memset(&m, 0, sizeof(m));
	m.log.write = log_write;
	m.source = (struct acpi_source){.map = map, .log = &m.log};

	struct region *rsdp = add_region(TABLES, 36);
	write_rsdp(rsdp, 0, 2, TABLES + 0x1000, TABLES + 0x2000);
	m.source.rsdp = TABLES;

	static const char *const names[] = {"FACP", "APIC", "MCFG", "HPET", "DMAR", "SSDT"};
	static const uint32_t lengths[] = {276, 44, 44, 56, 80, 36};
	struct region *rsdt = add_table(TABLES + 0x1000, "RSDT", 36 + 4 * 6);
	struct region *xsdt = add_table(TABLES + 0x2000, "XSDT", 36 + 8 * 6);
	for (unsigned i = 0; i < 6; i++) {
		uint64_t address = TABLES + 0x3000 + 0x1000 * i;
		add_table(address, names[i], lengths[i]);
		put(rsdt, 36 + 4 * i, 4, address);
		put(xsdt, 36 + 8 * i, 8, address);
	}
	finish(rsdt);
	finish(xsdt);

	struct region *fadt = find("FACP");
	put(fadt, 40, 4, TABLES + 0x10000);
	put(fadt, 48, 4, 0xb2);
	put(fadt, 52, 1, 2);
	put(fadt, 64, 4, 0x604);
	put(fadt, 76, 4, 0x608);
	put(fadt, 91, 1, 4);
	put(fadt, 112, 4, 1 << 8 | 1 << 10);
	gas(fadt, 116, 1, 0xcf9);
	put(fadt, 128, 1, 6);
	finish(fadt);
	append(add_table(TABLES + 0x10000, "DSDT", 36), s5, sizeof(s5));

	struct region *madt = find("APIC");
	put(madt, 36, 4, 0xfee00000);
	put(madt, 40, 4, 1);
	append(madt, madt_entries, sizeof(madt_entries));

	struct region *mcfg = find("MCFG");
	static const uint8_t windows[] = {0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0,
	                                  0, 0, 0, 0xc0, 0, 0, 0, 0, 1, 0, 0, 0x3f, 0, 0, 0, 0};
	append(mcfg, windows, sizeof(windows));
	gas(find("HPET"), 40, 0, 0xfed00000);
	finish(find("HPET"));
}

static inline int read_machine(void)
{
	forget_views();
	m.text_bytes = 0;
	m.text[0] = 0;
	int error = acpi_read(&m.source, &m.acpi);
	unsigned lines = 0;
	for (size_t i = 0; i < m.text_bytes; i++)
		lines += m.text[i] == '\n';
	KTAP_EQUAL(lines, m.acpi.warnings);
	return error;
}

/** Read; the log must have one line, with @p words in it. */
static inline void expect_warning(const char *words)
{
	KTAP_EQUAL(read_machine(), 0);
	if (m.acpi.warnings != 1 || !strstr(m.text, words))
		printf("# wanted one line with \"%s\", the log is: %s\n", words, m.text);
	KTAP_EQUAL(m.acpi.warnings, 1);
	KTAP_CHECK(strstr(m.text, words) != NULL);
}

#endif
