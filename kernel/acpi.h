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

enum {
	ACPI_MAX_CPUS = 256,
	ACPI_MAX_IOAPICS = 16,
	ACPI_MAX_OVERRIDES = 16,
	ACPI_MAX_MCFG = 64,
};

struct acpi_cpu {
	uint32_t apic_id;
	bool enabled, online_capable;
};

struct acpi_ioapic {
	uint8_t id;
	uint64_t address;
	uint32_t gsi_base;
};

/** An ISA interrupt that arrives elsewhere than at the GSI of its number. */
struct acpi_override {
	uint8_t irq;
	uint32_t gsi;
	uint16_t flags; /* 1:0 polarity, 3:2 trigger mode, as in the MADT */
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
	uint32_t override_count;
	struct acpi_override overrides[ACPI_MAX_OVERRIDES];
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
	uint8_t s5_a, s5_b;     /* SLP_TYP values */
	bool hardware_reduced;  /* no PM1 registers, no timer; sleep by sleep_control */
	uint16_t smi_command;   /* port; 0: always in ACPI mode */
	uint8_t acpi_enable;    /* value for smi_command that switches to ACPI mode */
	uint8_t sleep_space;    /* as reset_space; of the register of hardware-reduced machines */
	uint64_t sleep_control; /* 0: none */
	uint64_t hpet_address;  /* 0: none */
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
