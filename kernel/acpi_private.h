/* SPDX-License-Identifier: MIT */
/*
 * What the files of the ACPI reader share: a table whose header, length and checksum
 * are right, unaligned reads, and one way to report.
 */
#ifndef KERNEL_ACPI_PRIVATE_H
#define KERNEL_ACPI_PRIVATE_H

#include "kernel/acpi.h"

/** System description table header, ACPI 6.5 section 5.2.6. */
enum { ACPI_HEADER_BYTES = 36, ACPI_MAX_TABLE_BYTES = 16 << 20 };

/** A table: @p length bytes may be read; its bytes add up to 0. */
struct acpi_table {
	const uint8_t *bytes;
	uint32_t length;
	uint64_t address;  /* physical */
	char signature[5]; /* printable: other characters are '?' */
};

struct acpi_reader {
	const struct acpi_source *source;
	struct acpi *out;
};

static inline uint16_t acpi_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t acpi_get32(const uint8_t *at)
{
	return acpi_get16(at) | (uint32_t)acpi_get16(at + 2) << 16;
}

static inline uint64_t acpi_get64(const uint8_t *at)
{
	return acpi_get32(at) | (uint64_t)acpi_get32(at + 4) << 32;
}

/** One line: "ACPI FACP at 0x7ffe0000, offset 0x28: ...". Counted in out->warnings. */
void acpi_warn(struct acpi_reader *reader, const struct acpi_table *table, uint32_t offset,
               const char *format, ...) printf_like(4, 5);

/** The table at @p address, checked: readable, length, checksum, and @p signature unless
 *  NULL. False after a warning. */
bool acpi_table_open(struct acpi_reader *reader, uint64_t address, const char *signature,
                     struct acpi_table *out);

/* Each reads one checked table of its signature into reader->out. */
void acpi_read_madt(struct acpi_reader *reader, const struct acpi_table *table);
void acpi_read_mcfg(struct acpi_reader *reader, const struct acpi_table *table);
void acpi_read_hpet(struct acpi_reader *reader, const struct acpi_table *table);
/** Also opens the DSDT and looks for \_S5_ in it. */
void acpi_read_fadt(struct acpi_reader *reader, const struct acpi_table *table);
/** Look for \_S5_ in the AML of a DSDT or SSDT, unless it is known already. */
void acpi_read_s5(struct acpi_reader *reader, const struct acpi_table *table);

#endif
