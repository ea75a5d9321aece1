/* SPDX-License-Identifier: MIT */
/*
 * The ACPI reader over a machine built in memory: good, with each malformation, and with
 * seeded damage.
 */
#include "tests/unit/acpi_machine.h"

/* ---- cases ------------------------------------------------------------------------------ */

static void check_good(void)
{
	const struct acpi *acpi = &m.acpi;

	KTAP_EQUAL(acpi->warnings, 0);
	KTAP_EQUAL(acpi->lapic_address, 0x1fee00000);
	KTAP_CHECK(acpi->has_8259);
	KTAP_EQUAL(acpi->cpu_count, 4);
	KTAP_EQUAL(acpi->cpus[1].apic_id, 1);
	KTAP_CHECK(acpi->cpus[1].enabled && !acpi->cpus[2].enabled);
	KTAP_CHECK(acpi->cpus[2].online_capable && acpi->cpus[2].apic_id == 3);
	KTAP_EQUAL(acpi->cpus[3].apic_id, 0x100);
	KTAP_EQUAL(acpi->ioapic_count, 1);
	KTAP_EQUAL(acpi->ioapics[0].address, 0xfec00000);
	KTAP_EQUAL(acpi->override_count, 2);
	KTAP_EQUAL(acpi->overrides[0].gsi, 2);
	KTAP_EQUAL(acpi->overrides[1].flags, 13);
	KTAP_EQUAL(acpi->mcfg_count, 2);
	KTAP_EQUAL(acpi->mcfg[0].base, 0xb0000000);
	KTAP_EQUAL(acpi->mcfg[1].segment, 1);
	KTAP_EQUAL(acpi->mcfg[1].last_bus, 0x3f);
	KTAP_EQUAL(acpi->pm1a_control, 0x604);
	KTAP_EQUAL(acpi->pm1b_control, 0);
	KTAP_EQUAL(acpi->pm_timer, 0x608);
	KTAP_CHECK(acpi->pm_timer_32 && acpi->has_reset && acpi->has_s5);
	KTAP_EQUAL(acpi->reset_space, 1);
	KTAP_EQUAL(acpi->reset_address, 0xcf9);
	KTAP_EQUAL(acpi->reset_value, 6);
	KTAP_EQUAL(acpi->s5_a, 5);
	KTAP_EQUAL(acpi->s5_b, 5);
	KTAP_EQUAL(acpi->smi_command, 0xb2);
	KTAP_EQUAL(acpi->acpi_enable, 2);
	KTAP_EQUAL(acpi->hpet_address, 0xfed00000);
	KTAP_EQUAL(acpi->dmar_bytes, 80);
	KTAP_CHECK(acpi->dmar && memcmp(acpi->dmar, "DMAR", 4) == 0);
}

static void test_good(void)
{
	machine_build();
	KTAP_EQUAL(read_machine(), 0);
	check_good();
}

static void test_rsdp(void)
{
	struct region *region;

	/* ACPI 1.0: no XSDT is looked for */
	machine_build();
	memset(m.regions[0].bytes, 0, 36);
	m.regions[0].length = 20;
	write_rsdp(&m.regions[0], 0, 0, TABLES + 0x1000, 0);
	find("XSDT")->bytes[9]++;
	KTAP_EQUAL(read_machine(), 0);
	check_good();

	/* found in the EBDA */
	machine_build();
	m.source.rsdp = 0;
	region = add_region(0x40e, 2);
	put(region, 0, 2, 0x9fc0);
	region = add_region(0x9fc00, 1024);
	write_rsdp(region, 1024 - 48, 2, TABLES + 0x1000, TABLES + 0x2000);
	memcpy(region->bytes + 16, "RSD PTR ", 8); /* its checksum is wrong */
	KTAP_EQUAL(read_machine(), 0);
	check_good();

	/* the loader's is bad: said, and the search goes on */
	m.source.rsdp = TABLES + 0x1000;
	expect_warning("boot loader");
	m.source.rsdp = 0x1234567890;
	expect_warning("boot loader");
	m.source.rsdp = UINT64_MAX - 3;
	expect_warning("boot loader");

	/* extended checksum or length wrong: the RSDT is used */
	machine_build();
	m.regions[0].bytes[32]++;
	expect_warning("extended checksum");
	machine_build();
	put(&m.regions[0], 20, 4, 35);
	expect_warning("length");
	KTAP_EQUAL(m.acpi.cpu_count, 4);
	put(&m.regions[0], 20, 4, 0xffffffff);
	expect_warning("length");
}

/** The whole BIOS area as one region is larger than a region here, so it has a map hook
 *  of its own. */
static uint8_t bios_area[0x20000];

static const void *map_with_bios(void *ctx, uint64_t address, uint64_t bytes)
{
	if (address < BIOS || address >= BIOS + sizeof(bios_area) ||
	    bytes > BIOS + sizeof(bios_area) - address)
		return map(ctx, address, bytes);
	uint8_t *view = test_malloc(bytes);
	memcpy(view, bios_area + (address - BIOS), bytes);
	if (m.view_count == MAX_VIEWS)
		abort();
	m.views[m.view_count++] = view;
	return view;
}

static void test_bios_area(void)
{
	machine_build();
	m.source.rsdp = 0;
	m.source.map = map_with_bios;
	memset(bios_area, 0, sizeof(bios_area));
	memcpy(bios_area + 0x100, m.regions[0].bytes, 8); /* the signature alone */
	bios_area[0x10f] = 1;                             /* a wrong checksum */
	memcpy(bios_area + sizeof(bios_area) - 48, m.regions[0].bytes, 36);
	KTAP_EQUAL(read_machine(), 0);
	check_good();
	/* an RSDP that the area cuts off keeps its first part, the RSDT */
	memset(bios_area, 0, sizeof(bios_area));
	memcpy(bios_area + sizeof(bios_area) - 32, m.regions[0].bytes, 32);
	expect_warning("length");
	KTAP_EQUAL(m.acpi.cpu_count, 4);
	/* not on 16 bytes: none */
	memset(bios_area, 0, sizeof(bios_area));
	memcpy(bios_area + 8, m.regions[0].bytes, 36);
	KTAP_EQUAL(read_machine(), -ENOENT);
}

static void test_root_tables(void)
{
	machine_build();
	find("XSDT")->bytes[9]++;
	expect_warning("ACPI XSDT at 0x7ff02000, offset 0x9: checksum");
	m.acpi.warnings = 0;
	check_good();
	find("RSDT")->bytes[9]++;
	KTAP_EQUAL(read_machine(), -ENOENT);
	KTAP_EQUAL(m.acpi.warnings, 3);

	machine_build();
	memcpy(find("XSDT")->bytes, "XXXX", 4);
	expect_warning("signature is not XSDT");
	machine_build();
	put(find("XSDT"), 4, 4, 35);
	expect_warning("length");
	machine_build();
	put(find("XSDT"), 4, 4, 0x7fffffff);
	expect_warning("length");
	machine_build();
	put(find("XSDT"), 4, 4, 0x10000);
	expect_warning("beyond readable memory");

	machine_build();
	append(find("XSDT"), "\1\2\3", 3);
	expect_warning("3 bytes after the last entry");
	machine_build();
	put(find("XSDT"), 36, 8, 0);
	finish(find("XSDT"));
	expect_warning("entry is 0");
	machine_build();
	put(find("XSDT"), 36 + 40, 8, UINT64_MAX - 10); /* the SSDT */
	finish(find("XSDT"));
	expect_warning("no memory to read there");

	/* one table twice, and each table damaged: the others are read */
	machine_build();
	put(find("XSDT"), 36 + 40, 8, find("DMAR")->address);
	finish(find("XSDT"));
	expect_warning("second table of this signature");
	machine_build();
	put(find("XSDT"), 36 + 40, 8, find("APIC")->address);
	finish(find("XSDT"));
	expect_warning("second table of this signature");
	KTAP_EQUAL(m.acpi.cpu_count, 4);
	static const char *const names[] = {"FACP", "APIC", "MCFG", "HPET", "DMAR", "SSDT", "DSDT"};
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		machine_build();
		find(names[i])->bytes[20]++;
		expect_warning("checksum");
		KTAP_CHECK(strstr(m.text, names[i]) != NULL);
		KTAP_EQUAL(m.acpi.cpu_count, i == 1 ? 0 : 4);
		KTAP_EQUAL(m.acpi.mcfg_count, i == 2 ? 0 : 2);
		KTAP_EQUAL(m.acpi.dmar == NULL, i == 4);
		KTAP_EQUAL(m.acpi.has_s5, i != 0 && i != 6);
	}
}

static void test_madt(void)
{
	machine_build();
	find("APIC")->length = 43;
	finish(find("APIC"));
	expect_warning("length 0x2b");
	KTAP_EQUAL(m.acpi.cpu_count, 0);

	machine_build();
	append(find("APIC"), "\0\0\0\0", 4);
	expect_warning("entry of type 0 has length 0");
	machine_build();
	append(find("APIC"), "\1\14\0", 3);
	expect_warning("entry of type 1 has length 12, 3 bytes are left");
	machine_build();
	append(find("APIC"), "\0", 1);
	expect_warning("length 0, 1 bytes are left");
	static const uint8_t types[] = {0, 1, 2, 5, 9};
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		uint8_t entry[4] = {types[i], 4, 7, 7};
		machine_build();
		append(find("APIC"), entry, 4);
		expect_warning("has length 4, right is");
		KTAP_EQUAL(m.acpi.cpu_count, 4);
	}
	static const uint8_t again[] = {0, 8, 9, 1, 1, 0, 0, 0};
	machine_build();
	append(find("APIC"), again, 8);
	expect_warning("second entry for APIC id 0x1");
	static const uint8_t bad_io_apic[] = {1, 12, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	machine_build();
	append(find("APIC"), bad_io_apic, 12);
	expect_warning("I/O APIC 3 at address 0");
	static const uint8_t bad_override[] = {2, 10, 1, 3, 3, 0, 0, 0, 0, 0};
	machine_build();
	append(find("APIC"), bad_override, 10);
	expect_warning("override of bus 1");

	/* more than there is room for */
	machine_build();
	find("APIC")->length = 44;
	for (unsigned i = 0; i < 200; i++) {
		uint8_t entry[8] = {0, 8, 0, (uint8_t)i, 1};
		append(find("APIC"), entry, 8);
	}
	for (unsigned i = 0; i < ACPI_MAX_IOAPICS + 1; i++) {
		uint8_t entry[12] = {1, 12, (uint8_t)i, 0, 0, 0, 0xc0, 0xfe};
		append(find("APIC"), entry, 12);
	}
	expect_warning("I/O APIC 16 ignored: more than 16");
	KTAP_EQUAL(m.acpi.cpu_count, 200);
	KTAP_EQUAL(m.acpi.ioapic_count, ACPI_MAX_IOAPICS);
}

static void add_window(uint64_t base, unsigned segment, unsigned first, unsigned last)
{
	struct region *mcfg = find("MCFG");
	uint32_t at = mcfg->length;
	mcfg->length += 16;
	put(mcfg, at, 8, base);
	put(mcfg, at + 8, 2, segment);
	put(mcfg, at + 10, 1, first);
	put(mcfg, at + 11, 1, last);
	finish(mcfg);
}

static void test_mcfg(void)
{
	machine_build();
	find("MCFG")->length = 40;
	finish(find("MCFG"));
	expect_warning("length 0x28");
	machine_build();
	append(find("MCFG"), "\0\0\0\0\0", 5);
	expect_warning("5 bytes after the last entry");
	KTAP_EQUAL(m.acpi.mcfg_count, 2);
	machine_build();
	add_window(0, 2, 0, 255);
	expect_warning("base 0");
	machine_build();
	add_window(0xd0080000, 2, 0, 255);
	expect_warning("right is a multiple of 0x100000");
	machine_build();
	add_window(0xfffffffffff00000, 2, 0, 255);
	expect_warning("segment 2: base");
	machine_build();
	add_window(0xd0000000, 2, 9, 8);
	expect_warning("buses 0x9 to 0x8");
	machine_build();
	add_window(0xd0000000, 1, 0x3f, 0x7f);
	expect_warning("in an earlier entry");
	machine_build();
	add_window(0xd0000000, 1, 0x40, 0x7f);
	KTAP_EQUAL(read_machine(), 0);
	KTAP_EQUAL(m.acpi.warnings, 0);
	KTAP_EQUAL(m.acpi.mcfg_count, 3);
	machine_build();
	for (unsigned i = 2; i <= ACPI_MAX_MCFG; i++)
		add_window(0xd0000000, i, 0, 0);
	expect_warning("more than 64 windows");
	KTAP_EQUAL(m.acpi.mcfg_count, ACPI_MAX_MCFG);
}

static void test_fadt(void)
{
	static const uint32_t lengths[] = {116, 128, 129, 132, 148, 244, 268, 276};

	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		machine_build();
		find("FACP")->length = lengths[i];
		finish(find("FACP"));
		if (lengths[i] <= 128)
			expect_warning("ends before it");
		else
			KTAP_EQUAL(read_machine(), 0);
		KTAP_EQUAL(m.acpi.has_reset, lengths[i] > 128);
		KTAP_EQUAL(m.acpi.pm1a_control, 0x604);
		KTAP_CHECK(m.acpi.has_s5);
	}
	machine_build();
	find("FACP")->length = 115;
	finish(find("FACP"));
	expect_warning("length 0x73");

	/* extended fields win, unless they are no port */
	machine_build();
	gas(find("FACP"), 172, 1, 0x1804);
	gas(find("FACP"), 184, 1, 0x1904);
	gas(find("FACP"), 208, 1, 0x1808);
	put(find("FACP"), 40, 4, 0x1000);
	put(find("FACP"), 140, 8, TABLES + 0x10000);
	finish(find("FACP"));
	KTAP_EQUAL(read_machine(), 0);
	KTAP_EQUAL(m.acpi.warnings, 0);
	KTAP_EQUAL(m.acpi.pm1a_control, 0x1804);
	KTAP_EQUAL(m.acpi.pm1b_control, 0x1904);
	KTAP_EQUAL(m.acpi.pm_timer, 0x1808);
	KTAP_CHECK(m.acpi.has_s5);
	gas(find("FACP"), 172, 0, 0xfed40000);
	finish(find("FACP"));
	expect_warning("X_PM1a_CNT_BLK");
	KTAP_EQUAL(m.acpi.pm1a_control, 0x604);
	machine_build();
	put(find("FACP"), 68, 4, 0x10000);
	finish(find("FACP"));
	expect_warning("PM1b_CNT_BLK is 0x10000");
	machine_build();
	put(find("FACP"), 48, 4, 0x10000);
	finish(find("FACP"));
	expect_warning("SMI_CMD is 0x10000");
	machine_build();
	put(find("FACP"), 40, 4, 0);
	finish(find("FACP"));
	expect_warning("no DSDT");

	/* the reset register in each space */
	static const struct {
		unsigned space;
		uint64_t address;
		bool good;
	} resets[] = {{0, 0xfed40000, true}, {1, 0x92, true}, {2, 0x1f00000040, true},
	              {1, 0x10000, false},   {0, 0, false},   {3, 5, false}};
	for (unsigned i = 0; i < ARRAY_SIZE(resets); i++) {
		machine_build();
		gas(find("FACP"), 116, resets[i].space, resets[i].address);
		finish(find("FACP"));
		if (resets[i].good)
			KTAP_EQUAL(read_machine(), 0);
		else
			expect_warning("RESET_REG");
		KTAP_EQUAL(m.acpi.has_reset, resets[i].good);
		KTAP_EQUAL(m.acpi.reset_space, resets[i].good ? resets[i].space : 0);
		KTAP_EQUAL(m.acpi.reset_address, resets[i].good ? resets[i].address : 0);
	}
	machine_build();
	put(find("FACP"), 112, 4, 0);
	finish(find("FACP"));
	KTAP_EQUAL(read_machine(), 0);
	KTAP_CHECK(!m.acpi.has_reset && !m.acpi.pm_timer_32);

	/* hardware-reduced: the PM registers mean nothing */
	machine_build();
	put(find("FACP"), 112, 4, 1 << 20);
	gas(find("FACP"), 244, 0, 0xfed50000);
	finish(find("FACP"));
	KTAP_EQUAL(read_machine(), 0);
	KTAP_EQUAL(m.acpi.warnings, 0);
	KTAP_CHECK(m.acpi.hardware_reduced && !m.acpi.pm1a_control && !m.acpi.pm_timer);
	KTAP_EQUAL(m.acpi.sleep_control, 0xfed50000);
}

/** The DSDT's AML is @p bytes alone. */
static void set_aml(const uint8_t *bytes, uint32_t count)
{
	machine_build();
	find("DSDT")->length = 36;
	append(find("DSDT"), bytes, count);
}

static void test_s5(void)
{
	/* name and package at all lengths of PkgLength and all constants */
	static const struct {
		uint8_t bytes[24];
		uint8_t count;
		int a, b; /* -1: refused with a line, -2: not found */
	} samples[] = {
		{{0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x00, 0x01, 0x00, 0x00}, 12, 0, 1},
		{{0x08, 0x5c, '_', 'S', '5', '_', 0x12, 0x04, 0x02, 0x01, 0x00}, 11, 1, 0},
		{{0x08, '_', 'S', '5', '_', 0x12, 0x47, 0x00, 2, 0x0a, 7, 0x0a, 6}, 13, 7, 6},
		{{0x08, '_', 'S', '5', '_', 0x12, 0x8a, 0, 0, 2, 0x0b, 4, 0, 0x0b, 3, 0}, 16, 4, 3},
		{{0x08, '_', 'S', '5', '_', 0x12, 0xcc, 0, 0, 0, 2, 0x0c, 4, 0, 0, 0, 0x0a, 1},
	         18,
	         4,
	         1},
		{{0x08, '_', 'S', '5', '_', 0x12, 0x0d, 2, 0x0e, 3, 0, 0, 0, 0, 0, 0, 0, 0x01, 0},
	         19,
	         3,
	         1},
		{{0x08, '_', 'S', '5', '_', 0x12, 0x05, 0x01, 0x0b, 0x05, 0x06}, 11, 5, 6},
		{{0x08, '_', 'S', '5', '_', 0x12, 0x06, 2, 0x0a, 8, 0x0a, 0}, 12, -1, 0},
		{{0x08, '_', 'S', '5', '_', 0x12, 0x08, 0x04, 0x0a, 0x05}, 10, -1, 0},
		{{0x08, '_', 'S', '5', '_', 0x12, 0x02, 0x02, 0x00, 0x00}, 10, -1, 0},
		{{0x08, '_', 'S', '5', '_', 0x12, 0x03, 0x02, 0x0a, 0x05}, 10, -1, 0},
		{{0x08, '_', 'S', '5', '_', 0x12, 0x04, 0x02, 0xff, 0xff}, 10, -1, 0},
		{{0x08, '_', 'S', '5', '_', 0x12, 0x02, 0x00}, 8, -1, 0},
		{{0x08, '_', 'S', '5', '_', 0x12, 0xc5, 0x00}, 8, -1, 0},
		{{0x08, '_', 'S', '5', '_', 0x0a, 0x05}, 7, -1, 0},
		{{0x08, '_', 'S', '5', '_', 0x12}, 6, -1, 0},
		{{0x08, '_', 'S', '5', '_'}, 5, -1, 0},
		{{0x14, '_', 'S', '5', '_', 0x12, 0x04, 0x02, 0x00, 0x00}, 10, -2, 0},
		{{'_', 'S', '5', '_', 0x12, 0x04, 0x02, 0x00, 0x00}, 9, -2, 0},
		{{0x08, '_', 'S', '5'}, 4, -2, 0},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(samples); i++) {
		set_aml(samples[i].bytes, samples[i].count);
		if (samples[i].a == -1)
			expect_warning("_S5_");
		else
			KTAP_EQUAL(read_machine(), 0);
		KTAP_EQUAL(m.acpi.has_s5, samples[i].a >= 0);
		if (samples[i].a >= 0) {
			KTAP_EQUAL(m.acpi.s5_a, samples[i].a);
			KTAP_EQUAL(m.acpi.s5_b, samples[i].b);
		}
		if (ktap_failed)
			printf("# sample %u\n", i);
	}
	/* the second occurrence counts if the first is no package; an SSDT can have it */
	set_aml(samples[13].bytes, samples[13].count);
	append(find("DSDT"), s5, sizeof(s5));
	expect_warning("no package");
	KTAP_CHECK(m.acpi.has_s5);
	set_aml((const uint8_t *)"", 0);
	append(find("SSDT"), s5, sizeof(s5));
	KTAP_EQUAL(read_machine(), 0);
	KTAP_CHECK(m.acpi.has_s5 && m.acpi.s5_a == 5 && !m.acpi.warnings);
}

static void test_hpet(void)
{
	machine_build();
	find("HPET")->length = 55;
	finish(find("HPET"));
	expect_warning("length 0x37");
	machine_build();
	gas(find("HPET"), 40, 1, 0xfed00000);
	finish(find("HPET"));
	expect_warning("in space 1");
	KTAP_EQUAL(m.acpi.hpet_address, 0);
}

static void test_corruptions(void)
{
	uint64_t random = 0x61637069;
	unsigned refused = 0, silent = 0;

	for (unsigned n = 0; n < 3000; n++) {
		machine_build();
		unsigned changes = 1 + (unsigned)(test_random(&random) % 8);
		for (unsigned i = 0; i < changes; i++) {
			struct region *region = &m.regions[test_random(&random) % m.count];
			uint32_t at = (uint32_t)(test_random(&random) % region->length);
			uint64_t value = test_random(&random);
			region->bytes[at] = value % 4 == 0   ? 0
			                    : value % 4 == 1 ? 0xff
			                                     : (uint8_t)(value >> 8);
			if (test_random(&random) % 8 == 0)
				region->length =
					1 + (uint32_t)(test_random(&random) % region->length);
			uint32_t length = region->bytes[4] | (uint32_t)region->bytes[5] << 8;
			if (region == &m.regions[0])
				fix(region, 0, 20, 8), fix(region, 0, 36, 32);
			else if (length > 9 && length <= region->length)
				fix(region, 0, length, 9);
		}
		int error = read_machine();
		KTAP_CHECK(error == 0 || error == -ENOENT);
		KTAP_CHECK(m.acpi.cpu_count <= ACPI_MAX_CPUS);
		KTAP_CHECK(m.acpi.ioapic_count <= ACPI_MAX_IOAPICS);
		KTAP_CHECK(m.acpi.mcfg_count <= ACPI_MAX_MCFG);
		KTAP_CHECK(!m.acpi.has_s5 || (m.acpi.s5_a <= 7 && m.acpi.s5_b <= 7));
		refused += error != 0;
		silent += error == 0 && m.acpi.warnings == 0;
	}
	printf("# 3000 damaged machines: %u without tables, %u without a warning\n", refused,
	       silent);
	KTAP_CHECK(refused > 10 && refused < 1500 && silent < 2500);
	forget_views();
}

static const struct ktap_case cases[] = {
	{"a good machine is read", test_good},
	{"the RSDP is found and checked", test_rsdp},
	{"the BIOS area is searched", test_bios_area},
	{"damaged root tables and tables are left out, the rest is used", test_root_tables},
	{"MADT: malformed entries", test_madt},
	{"MCFG: malformed entries", test_mcfg},
	{"FADT: every length, extended fields, reset, hardware-reduced", test_fadt},
	{"_S5_ is found in AML and nothing else is taken for it", test_s5},
	{"HPET: malformed", test_hpet},
	{"damaged machines are read safely", test_corruptions},
};
KTAP_MAIN(cases)
