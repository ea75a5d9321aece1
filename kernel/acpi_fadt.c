/* SPDX-License-Identifier: MIT */
/*
 * What power-off and reset need: the FADT's registers and the \_S5_ package of the
 * DSDT. ACPI 6.5, sections 5.2.9 (FADT), 4.8.3 (PM1, sleep and reset registers),
 * 7.4.2 (\_Sx), 20.2 (AML encoding).
 *
 * The FADT grew with every revision, so a field counts as present by the table's
 * length, not by its revision. Extended (X_) fields win when they are not 0.
 *
 * AML is not interpreted. The bytes Name (\_S5_, Package (...) { constants }) are looked
 * for, and everything about a hit is checked before it is believed.
 */
#include "kernel/acpi_private.h"

#include "iommu/string.h"

enum {
	FADT_LEAST = 116, /* ACPI 1.0 */
	FADT_DSDT = 40,
	FADT_SMI_CMD = 48,
	FADT_ACPI_ENABLE = 52,
	FADT_PM1A_CNT = 64,
	FADT_PM1B_CNT = 68,
	FADT_PM_TMR = 76,
	FADT_PM_TMR_LEN = 91,
	FADT_FLAGS = 112,
	FADT_RESET_REG = 116,
	FADT_RESET_VALUE = 128,
	FADT_X_DSDT = 140,
	FADT_X_PM1A_CNT = 172,
	FADT_X_PM1B_CNT = 184,
	FADT_X_PM_TMR = 208,
	FADT_SLEEP_CONTROL = 244,
	GAS_BYTES = 12, /* generic address: space, width, offset, access, address u64 */
	TMR_VAL_EXT = 1 << 8,
	RESET_REG_SUP = 1 << 10,
	HW_REDUCED_ACPI = 1 << 20,
	SPACE_MEMORY = 0,
	SPACE_PORT = 1,
	SPACE_PCI = 2,
};

static bool has_field(const struct acpi_table *table, uint32_t offset, uint32_t bytes)
{
	return table->length >= offset + bytes;
}

/** The port of a register that has a 32-bit and an extended field; 0: none. */
static uint16_t port_of(struct acpi_reader *reader, const struct acpi_table *table,
                        const char *name, uint32_t plain, uint32_t extended)
{
	uint32_t port = acpi_get32(table->bytes + plain);

	if (has_field(table, extended, GAS_BYTES)) {
		const uint8_t *gas = table->bytes + extended;
		uint64_t address = acpi_get64(gas + 4);
		if (address && gas[0] == SPACE_PORT && address <= 0xffff)
			return (uint16_t)address;
		if (address)
			acpi_warn(reader, table, extended,
			          "X_%s is %#llx in space %u, right is a port (1): ignored", name,
			          (unsigned long long)address, gas[0]);
	}
	if (port > 0xffff) {
		acpi_warn(reader, table, plain, "%s is %#x, right is a port: ignored", name,
		          (unsigned)port);
		return 0;
	}
	return (uint16_t)port;
}

/** A register in any of the spaces that one byte can be written to. */
static bool read_register(struct acpi_reader *reader, const struct acpi_table *table,
                          const char *name, uint32_t offset, uint8_t *space, uint64_t *address)
{
	const uint8_t *gas = table->bytes + offset;

	*space = gas[0];
	*address = acpi_get64(gas + 4);
	if (*address && (*space == SPACE_MEMORY || *space == SPACE_PCI ||
	                 (*space == SPACE_PORT && *address <= 0xffff)))
		return true;
	acpi_warn(reader, table, offset, "%s is %#llx in space %u: ignored", name,
	          (unsigned long long)*address, *space);
	*space = 0;
	*address = 0;
	return false;
}

static void read_reset(struct acpi_reader *reader, const struct acpi_table *table, uint32_t flags)
{
	struct acpi *out = reader->out;

	if (!(flags & RESET_REG_SUP))
		return;
	if (!has_field(table, FADT_RESET_VALUE, 1)) {
		acpi_warn(reader, table, FADT_FLAGS,
		          "flags name a reset register, but the table ends before it");
		return;
	}
	out->has_reset = read_register(reader, table, "RESET_REG", FADT_RESET_REG,
	                               &out->reset_space, &out->reset_address);
	if (out->has_reset)
		out->reset_value = table->bytes[FADT_RESET_VALUE];
}

static void read_dsdt(struct acpi_reader *reader, const struct acpi_table *fadt)
{
	uint64_t address = acpi_get32(fadt->bytes + FADT_DSDT);
	struct acpi_table dsdt;

	if (has_field(fadt, FADT_X_DSDT, 8) && acpi_get64(fadt->bytes + FADT_X_DSDT))
		address = acpi_get64(fadt->bytes + FADT_X_DSDT);
	if (!address)
		acpi_warn(reader, fadt, FADT_DSDT, "no DSDT");
	else if (acpi_table_open(reader, address, "DSDT", &dsdt))
		acpi_read_s5(reader, &dsdt);
}

void acpi_read_fadt(struct acpi_reader *reader, const struct acpi_table *table)
{
	struct acpi *out = reader->out;

	if (table->length < FADT_LEAST) {
		acpi_warn(reader, table, 4, "length %#x, right is %#x or more",
		          (unsigned)table->length, (unsigned)FADT_LEAST);
		return;
	}
	uint32_t flags = acpi_get32(table->bytes + FADT_FLAGS);
	out->hardware_reduced = flags & HW_REDUCED_ACPI;
	if (out->hardware_reduced) {
		if (has_field(table, FADT_SLEEP_CONTROL, GAS_BYTES) &&
		    acpi_get64(table->bytes + FADT_SLEEP_CONTROL + 4))
			read_register(reader, table, "SLEEP_CONTROL_REG", FADT_SLEEP_CONTROL,
			              &out->sleep_space, &out->sleep_control);
	} else {
		out->pm1a_control =
			port_of(reader, table, "PM1a_CNT_BLK", FADT_PM1A_CNT, FADT_X_PM1A_CNT);
		out->pm1b_control =
			port_of(reader, table, "PM1b_CNT_BLK", FADT_PM1B_CNT, FADT_X_PM1B_CNT);
		if (table->bytes[FADT_PM_TMR_LEN])
			out->pm_timer =
				port_of(reader, table, "PM_TMR_BLK", FADT_PM_TMR, FADT_X_PM_TMR);
		out->pm_timer_32 = flags & TMR_VAL_EXT;
		uint32_t smi_command = acpi_get32(table->bytes + FADT_SMI_CMD);
		if (smi_command > 0xffff) {
			acpi_warn(reader, table, FADT_SMI_CMD,
			          "SMI_CMD is %#x, right is a port: ignored",
			          (unsigned)smi_command);
		} else {
			out->smi_command = (uint16_t)smi_command;
			out->acpi_enable = table->bytes[FADT_ACPI_ENABLE];
		}
	}
	read_reset(reader, table, flags);
	read_dsdt(reader, table);
}

/* ---- \_S5_ ---------------------------------------------------------------------------- */

enum {
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_WORD = 0x0b,
	AML_DWORD = 0x0c,
	AML_QWORD = 0x0e,
	AML_PACKAGE = 0x12,
	AML_ROOT = 0x5c,
	SLP_TYP_MAX = 7, /* three bits in the PM1 control register */
};

/** A cursor over AML that stops at @p end. */
struct aml {
	const uint8_t *at, *end;
};

/** A constant integer; false at anything else. */
static bool aml_integer(struct aml *aml, uint64_t *out)
{
	unsigned bytes = 0;

	if (aml->at == aml->end)
		return false;
	switch (*aml->at++) {
	case AML_ZERO:
		*out = 0;
		return true;
	case AML_ONE:
		*out = 1;
		return true;
	case AML_BYTE:
		bytes = 1;
		break;
	case AML_WORD:
		bytes = 2;
		break;
	case AML_DWORD:
		bytes = 4;
		break;
	case AML_QWORD:
		bytes = 8;
		break;
	default:
		return false;
	}
	if ((size_t)(aml->end - aml->at) < bytes)
		return false;
	*out = 0;
	for (unsigned i = 0; i < bytes; i++)
		*out |= (uint64_t)*aml->at++ << 8 * i;
	return true;
}

/** Enter a package: its length counts from the length's own first byte. */
static bool aml_enter_package(struct aml *aml, unsigned *elements)
{
	size_t left = (size_t)(aml->end - aml->at);

	if (left < 3 || aml->at[0] != AML_PACKAGE)
		return false;
	const uint8_t *length_at = aml->at + 1;
	unsigned more = length_at[0] >> 6;
	if (left < 3 + more)
		return false;
	uint32_t length = more ? length_at[0] & 0x0fu : length_at[0] & 0x3fu;
	for (unsigned i = 0; i < more; i++)
		length |= (uint32_t)length_at[1 + i] << (4 + 8 * i);
	if (length < 2 + more || length > left - 1)
		return false;
	aml->end = length_at + length;
	aml->at = length_at + 1 + more;
	*elements = *aml->at++;
	return true;
}

/** SLP_TYP values of the package at @p aml. One element alone holds both, in its low
 *  two bytes. */
static bool read_sleep_package(struct aml *aml, uint64_t *a, uint64_t *b)
{
	unsigned elements;

	if (!aml_enter_package(aml, &elements) || elements == 0 || !aml_integer(aml, a))
		return false;
	if (elements == 1) {
		*b = *a >> 8 & 0xff;
		*a &= 0xff;
		return true;
	}
	return aml_integer(aml, b);
}

void acpi_read_s5(struct acpi_reader *reader, const struct acpi_table *table)
{
	const uint8_t *start = table->bytes + ACPI_HEADER_BYTES;
	const uint8_t *end = table->bytes + table->length;

	if (reader->out->has_s5)
		return;
	for (const uint8_t *at = start; end - at >= 4; at++) {
		if (memcmp(at, "_S5_", 4) != 0)
			continue;
		bool named = (at - start >= 1 && at[-1] == AML_NAME) ||
		             (at - start >= 2 && at[-1] == AML_ROOT && at[-2] == AML_NAME);
		if (!named)
			continue;
		struct aml aml = {at + 4, end};
		uint64_t a = 0, b = 0;
		uint32_t offset = (uint32_t)(at - table->bytes);
		if (!read_sleep_package(&aml, &a, &b)) {
			acpi_warn(reader, table, offset, "_S5_ is no package of constants");
		} else if (a > SLP_TYP_MAX || b > SLP_TYP_MAX) {
			acpi_warn(reader, table, offset,
			          "_S5_ has sleep types %#llx and %#llx, right is 0 to 7",
			          (unsigned long long)a, (unsigned long long)b);
		} else {
			reader->out->has_s5 = true;
			reader->out->s5_a = (uint8_t)a;
			reader->out->s5_b = (uint8_t)b;
			return;
		}
	}
}
