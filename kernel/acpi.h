/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables: found by the RSDP, checked, and read into one plain structure.
 * The parser is pure: it sees memory only through `map`, so a test can feed it
 * any bytes. Specification: ACPI 6.5, sections 5.2.5 to 5.2.15.
 */
#ifndef KERNEL_ACPI_H
#define KERNEL_ACPI_H

#include "iommu/print.h"
#include "iommu/types.h"

enum { ACPI_MAX_CPUS = 256, ACPI_MAX_IOAPICS = 16, ACPI_MAX_MCFG = 64 };

struct acpi_cpu {
	uint32_t apic_id;
	bool enabled, online_capable;
};

struct acpi_ioapic {
	uint8_t id;
	uint64_t address;
	uint32_t gsi_base;
};

/** One ECAM window: segment, buses, base of bus 0 (as the table has it). */
struct acpi_mcfg {
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
};

struct acpi {
	/* MADT */
	uint64_t lapic_address;
	bool has_8259;
	uint32_t cpu_count;
	struct acpi_cpu cpus[ACPI_MAX_CPUS];
	uint32_t ioapic_count;
	struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
	/* MCFG */
	uint32_t mcfg_count;
	struct acpi_mcfg mcfg[ACPI_MAX_MCFG];
	/* FADT */
	uint16_t pm1a_control, pm1b_control; /* ports; 0: none */
	uint16_t pm_timer;                   /* port; 0: none */
	bool pm_timer_32;
	bool has_reset;
	uint8_t reset_space, reset_value; /* space: 0 memory, 1 port, 2 PCI config */
	uint64_t reset_address;
	bool has_s5;
	uint8_t s5_a, s5_b; /* SLP_TYP values */
	uint64_t hpet_address; /* 0: none */
	/* DMAR: whole table, checksum right; NULL: none */
	const void *dmar;
	size_t dmar_bytes;
	unsigned warnings; /* how many lines went to the log */
};

struct acpi_source {
	void *ctx;
	/** A readable view of physical [address, address+bytes), which stays valid; NULL
	 *  if there is none. */
	const void *(*map)(void *ctx, uint64_t address, uint64_t bytes);
	/** Physical address of the RSDP if the loader gave it, else 0: the BIOS areas
	 *  (EBDA, 0xE0000-0xFFFFF) are searched. */
	uint64_t rsdp;
	struct iommu_print *log; /* one line a finding, with table and offset */
};

/** Read what there is. A damaged table is reported and left out; the rest is used.
 *  0, or -ENOENT if there is no valid RSDP or no root table. */
int must_check acpi_read(const struct acpi_source *source, struct acpi *out);

#endif
