/* SPDX-License-Identifier: MIT */
/*
 * Reading MADT, MCFG and HPET. ACPI 6.5 section 5.2.12 (MADT); PCI Firmware 3.3 section
 * 4.1.2 (MCFG); IA-PC HPET 1.0a section 3.2.4.
 *
 * The tables come here with header and checksum right; every length inside them is
 * still checked against the table's end.
 */
#include "kernel/acpi_private.h"

enum {
	MADT_LOCAL_APIC = 0,
	MADT_IO_APIC = 1,
	MADT_OVERRIDE = 2,
	MADT_ADDRESS = 5,
	MADT_X2APIC = 9,
	MADT_FIRST = 44,
	MADT_PCAT_COMPAT = 1 << 0,
	CPU_ENABLED = 1 << 0,
	CPU_ONLINE_CAPABLE = 1 << 1,
};

/** Smallest length of the entries that are read; 0: type is skipped. */
static const uint8_t madt_least[] = {
	[MADT_LOCAL_APIC] = 8, [MADT_IO_APIC] = 12, [MADT_OVERRIDE] = 10,
	[MADT_ADDRESS] = 12,   [MADT_X2APIC] = 16,
};

static void add_cpu(struct acpi_reader *reader, const struct acpi_table *table, uint32_t offset,
                    uint32_t apic_id, uint32_t flags)
{
	struct acpi *out = reader->out;
	struct acpi_cpu cpu = {
		.apic_id = apic_id,
		.enabled = flags & CPU_ENABLED,
		.online_capable = flags & CPU_ONLINE_CAPABLE,
	};

	/* Firmware fills unused slots with disabled entries, all with one id. */
	if (!cpu.enabled && !cpu.online_capable)
		return;
	for (uint32_t i = 0; i < out->cpu_count; i++)
		if (out->cpus[i].apic_id == apic_id) {
			acpi_warn(reader, table, offset, "second entry for APIC id %#x, ignored",
			          (unsigned)apic_id);
			return;
		}
	if (out->cpu_count == ACPI_MAX_CPUS) {
		acpi_warn(reader, table, offset, "APIC id %#x ignored: more than %u processors",
		          (unsigned)apic_id, (unsigned)ACPI_MAX_CPUS);
		return;
	}
	out->cpus[out->cpu_count++] = cpu;
}

static void add_io_apic(struct acpi_reader *reader, const struct acpi_table *table, uint32_t offset,
                        const uint8_t *entry)
{
	struct acpi *out = reader->out;
	struct acpi_ioapic ioapic = {
		.id = entry[2],
		.address = acpi_get32(entry + 4),
		.gsi_base = acpi_get32(entry + 8),
	};

	if (!ioapic.address || ioapic.address % 16) {
		acpi_warn(reader, table, offset + 4, "I/O APIC %u at address %#llx, ignored",
		          ioapic.id, (unsigned long long)ioapic.address);
		return;
	}
	if (out->ioapic_count == ACPI_MAX_IOAPICS) {
		acpi_warn(reader, table, offset, "I/O APIC %u ignored: more than %u", ioapic.id,
		          (unsigned)ACPI_MAX_IOAPICS);
		return;
	}
	out->ioapics[out->ioapic_count++] = ioapic;
}

static void add_override(struct acpi_reader *reader, const struct acpi_table *table,
                         uint32_t offset, const uint8_t *entry)
{
	struct acpi *out = reader->out;

	if (entry[2] != 0 || entry[3] > 15) {
		acpi_warn(reader, table, offset + 2,
		          "override of bus %u interrupt %u, right is bus 0 (ISA) and 0-15",
		          entry[2], entry[3]);
		return;
	}
	if (out->override_count == ACPI_MAX_OVERRIDES) {
		acpi_warn(reader, table, offset, "override ignored: more than %u",
		          (unsigned)ACPI_MAX_OVERRIDES);
		return;
	}
	out->overrides[out->override_count++] = (struct acpi_override){
		.irq = entry[3],
		.gsi = acpi_get32(entry + 4),
		.flags = acpi_get16(entry + 8),
	};
}

static void read_madt_entry(struct acpi_reader *reader, const struct acpi_table *table,
                            uint32_t offset)
{
	const uint8_t *entry = table->bytes + offset;

	switch (entry[0]) {
	case MADT_LOCAL_APIC:
		if (entry[3] != 0xff) /* the broadcast id: an unused slot */
			add_cpu(reader, table, offset, entry[3], acpi_get32(entry + 4));
		break;
	case MADT_IO_APIC:
		add_io_apic(reader, table, offset, entry);
		break;
	case MADT_OVERRIDE:
		add_override(reader, table, offset, entry);
		break;
	case MADT_ADDRESS:
		reader->out->lapic_address = acpi_get64(entry + 4);
		break;
	case MADT_X2APIC:
		if (acpi_get32(entry + 4) != 0xffffffff)
			add_cpu(reader, table, offset, acpi_get32(entry + 4),
			        acpi_get32(entry + 8));
		break;
	default:
		break;
	}
}

void acpi_read_madt(struct acpi_reader *reader, const struct acpi_table *table)
{
	if (table->length < MADT_FIRST) {
		acpi_warn(reader, table, 4, "length %#x, right is %#x or more",
		          (unsigned)table->length, (unsigned)MADT_FIRST);
		return;
	}
	reader->out->lapic_address = acpi_get32(table->bytes + 36);
	reader->out->has_8259 = acpi_get32(table->bytes + 40) & MADT_PCAT_COMPAT;

	uint32_t offset = MADT_FIRST;
	while (offset < table->length) {
		uint32_t left = table->length - offset;
		uint32_t length = left >= 2 ? table->bytes[offset + 1] : 0;
		uint8_t type = table->bytes[offset];
		if (length < 2 || length > left) {
			acpi_warn(reader, table, offset,
			          "entry of type %u has length %u, %u bytes are left: the rest is "
			          "ignored",
			          type, (unsigned)length, (unsigned)left);
			return;
		}
		if (type < ARRAY_SIZE(madt_least) && length < madt_least[type])
			acpi_warn(reader, table, offset + 1,
			          "entry of type %u has length %u, right is %u: ignored", type,
			          (unsigned)length, madt_least[type]);
		else
			read_madt_entry(reader, table, offset);
		offset += length;
	}
}

enum { MCFG_FIRST = 44, MCFG_ENTRY_BYTES = 16, ECAM_BUS_SHIFT = 20 };

static void read_mcfg_entry(struct acpi_reader *reader, const struct acpi_table *table,
                            uint32_t offset)
{
	const uint8_t *entry = table->bytes + offset;
	struct acpi *out = reader->out;
	struct acpi_mcfg window = {
		.base = acpi_get64(entry),
		.segment = acpi_get16(entry + 8),
		.first_bus = entry[10],
		.last_bus = entry[11],
	};
	uint64_t bytes = (uint64_t)(window.last_bus + 1u) << ECAM_BUS_SHIFT;

	if (!window.base || window.base % (1u << ECAM_BUS_SHIFT) ||
	    window.base > UINT64_MAX - bytes) {
		acpi_warn(reader, table, offset,
		          "segment %u: base %#llx, right is a multiple of 0x100000: ignored",
		          window.segment, (unsigned long long)window.base);
		return;
	}
	if (window.last_bus < window.first_bus) {
		acpi_warn(reader, table, offset + 10, "segment %u: buses %#x to %#x: ignored",
		          window.segment, window.first_bus, window.last_bus);
		return;
	}
	for (uint32_t i = 0; i < out->mcfg_count; i++)
		if (out->mcfg[i].segment == window.segment &&
		    out->mcfg[i].first_bus <= window.last_bus &&
		    window.first_bus <= out->mcfg[i].last_bus) {
			acpi_warn(reader, table, offset + 10,
			          "segment %u: buses %#x to %#x are in an earlier entry: ignored",
			          window.segment, window.first_bus, window.last_bus);
			return;
		}
	if (out->mcfg_count == ACPI_MAX_MCFG) {
		acpi_warn(reader, table, offset, "segment %u ignored: more than %u windows",
		          window.segment, (unsigned)ACPI_MAX_MCFG);
		return;
	}
	out->mcfg[out->mcfg_count++] = window;
}

void acpi_read_mcfg(struct acpi_reader *reader, const struct acpi_table *table)
{
	uint32_t offset = MCFG_FIRST;

	if (table->length < MCFG_FIRST) {
		acpi_warn(reader, table, 4, "length %#x, right is %#x or more",
		          (unsigned)table->length, (unsigned)MCFG_FIRST);
		return;
	}
	for (; table->length - offset >= MCFG_ENTRY_BYTES; offset += MCFG_ENTRY_BYTES)
		read_mcfg_entry(reader, table, offset);
	if (offset != table->length)
		acpi_warn(reader, table, offset, "%u bytes after the last entry of %u",
		          (unsigned)(table->length - offset), (unsigned)MCFG_ENTRY_BYTES);
}

void acpi_read_hpet(struct acpi_reader *reader, const struct acpi_table *table)
{
	enum { HPET_BYTES = 56, HPET_ADDRESS = 40 };

	if (table->length < HPET_BYTES) {
		acpi_warn(reader, table, 4, "length %#x, right is %#x or more",
		          (unsigned)table->length, (unsigned)HPET_BYTES);
		return;
	}
	const uint8_t *address = table->bytes + HPET_ADDRESS;
	uint64_t base = acpi_get64(address + 4);
	if (address[0] != 0 || !base || base % 8) {
		acpi_warn(reader, table, HPET_ADDRESS,
		          "registers at %#llx in space %u, right is memory (0), aligned to 8",
		          (unsigned long long)base, address[0]);
		return;
	}
	reader->out->hpet_address = base;
}
