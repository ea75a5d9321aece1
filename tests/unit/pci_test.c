/* SPDX-License-Identifier: MIT */
/*
 * The PCI scan over configuration spaces built here: topologies, aliases, groups, and
 * everything that hardware or firmware can get wrong.
 */
#include "tests/unit/pci_fake.h"

/* ---- topologies ------------------------------------------------------------------------ */

static void test_nothing(void)
{
	fake_start();
	fake_scan(0);
	KTAP_EQUAL(fm.bus.count, 0);
	KTAP_CHECK(!pci_find(&fm.bus, 0, 0));
	/* each of 256 buses is looked at, once a slot */
	KTAP_CHECK(fm.reads <= 256 * 33);
	fake_end();
	KTAP_EQUAL(fake_scan_ranges(NULL, 0), 0);
	fake_end();
}

static void test_nested_bridges(void)
{
	struct iommu_device_desc desc;

	fake_start();
	fake_endpoint(3, 0, 0);
	fake_port(0, 3, 0, 1, 5, PCI_EXPRESS_ROOT_PORT, true);
	fake_port(1, 0, 0, 2, 5, PCI_EXPRESS_UPSTREAM, false);
	fake_port(2, 4, 0, 3, 3, PCI_EXPRESS_DOWNSTREAM, true);
	fake_port(2, 5, 0, 4, 5, PCI_EXPRESS_DOWNSTREAM, true);
	fake_add(0, 0, 0, 0, 0x060000, 0);
	fake_scan(0);
	KTAP_EQUAL(fm.bus.count, 6);
	uint32_t last = 0;
	for (const struct pci_device *device = fm.bus.devices; device; device = device->next) {
		KTAP_CHECK(device == fm.bus.devices || device->rid > last);
		last = device->rid;
		KTAP_EQUAL(device->alias_count, 0);
	}
	struct pci_device *device = fake_device(3, 0, 0);
	KTAP_CHECK(device->bridge == fake_device(2, 4, 0) && !device->is_bridge);
	KTAP_EQUAL(device->class_code, 0x020000);
	KTAP_EQUAL(device->revision, 3);
	KTAP_EQUAL(fake_device(2, 5, 0)->subordinate_bus, 5);
	pci_describe(device, &desc);
	KTAP_CHECK(strcmp(desc.name, "03:00.0") == 0);
	KTAP_EQUAL(desc.hop_count, 4);
	static const struct iommu_hop path[] = {{0, 0x18}, {1, 0}, {2, 0x20}, {3, 0}};
	KTAP_CHECK(memcmp(desc.hops, path, sizeof(path)) == 0);
	KTAP_EQUAL(desc.rid, RID(3, 0, 0));
	KTAP_CHECK(!desc.is_bridge && desc.ats_queue_depth == 0);
	pci_describe(fake_device(0, 3, 0), &desc);
	KTAP_CHECK(desc.is_bridge && desc.hop_count == 1);
	/* bus mastering: off for devices, as it was for bridges */
	KTAP_EQUAL(fake_get(fake_at(0, RID(3, 0, 0)), 4, 2), 3);
	KTAP_EQUAL(fake_get(fake_at(0, RID(2, 4, 0)), 4, 2), 7);
	pci_master(device, true);
	KTAP_EQUAL(fake_get(fake_at(0, RID(3, 0, 0)), 4, 2), 7);
	pci_master(device, false);
	KTAP_EQUAL(fake_get(fake_at(0, RID(3, 0, 0)), 4, 2), 3);
	fake_end();
}

static void test_segments_and_roots(void)
{
	static const struct pci_range ranges[] = {{1, 0, 0x3f}, {0, 0, 0xff}};
	struct iommu_device_desc desc;

	fake_start();
	fake_add(1, 0, 4, 0, 0x010802, 0);
	fake_add(0, 0, 4, 0, 0x010802, 0);
	fake_add(0, 0x80, 1, 0, 0x020000, 0); /* a second root bus */
	fake_bridge(0, 0x80, 2, 0, 0x81, 0x90);
	fake_add(0, 0x81, 3, 0, 0x020000, 0);
	fake_add(0, 0x88, 3, 0, 0x020000, 0); /* behind that bridge, on a bus that has none */
	fake_add(1, 0x40, 0, 0, 0x020000, 0); /* outside of the range */
	KTAP_EQUAL(fake_scan_ranges(ranges, 2), 0);
	KTAP_EQUAL(fm.bus.count, 5);
	KTAP_EQUAL(fm.bus.devices->segment, 0);
	KTAP_CHECK(fake_device(0x80, 1, 0)->bridge == NULL);
	KTAP_CHECK(fake_device(0x81, 3, 0)->bridge == fake_device(0x80, 2, 0));
	struct pci_device *other = pci_find(&fm.bus, 1, RID(0, 4, 0));
	KTAP_CHECK(other != NULL);
	if (other) {
		pci_describe(other, &desc);
		KTAP_CHECK(strcmp(desc.name, "0001:00:04.0") == 0);
		KTAP_EQUAL(desc.segment, 1);
		KTAP_CHECK(desc.group != group_of(0, 4, 0));
	}
	fake_end();
}

static void test_functions(void)
{
	fake_start();
	fake_add(0, 0, 1, 0, 0x020000, 0x80);
	fake_add(0, 0, 1, 7, 0x020000, 0);
	fake_add(0, 0, 2, 0, 0x020000, 0); /* not multi-function: 02.1 is a ghost */
	fake_add(0, 0, 2, 1, 0x020000, 0);
	fake_add(0, 0, 3, 1, 0x020000, 0); /* without function 0 nothing is there */
	fake_port(0, 4, 0, 1, 1, PCI_EXPRESS_ROOT_PORT, true);
	fake_endpoint(1, 0, 0);
	fake_endpoint(1, 1, 0);            /* on a link only device 0 exists */
	fake_add(0, 0, 5, 0, 0x020000, 5); /* unknown header */
	fake_set(fake_add(0, 0, 6, 0, 0x020000, 0), 0, 4, 0x1234ffff);
	fake_set(fake_add(0, 0, 7, 0, 0x020000, 0), 0, 4, 0);
	fake_scan(1);
	KTAP_EQUAL(fm.bus.count, 6);
	KTAP_CHECK(strstr(fm.text, "PCI 00:05.0: header type 0x5") != NULL);
	KTAP_CHECK(fake_device(0, 1, 7)->multi_function);
	KTAP_CHECK(!fake_device(0, 2, 0)->multi_function);
	KTAP_CHECK(!pci_find(&fm.bus, 0, RID(0, 3, 1)));
	fake_end();
}

static void test_ari(void)
{
	fake_start();
	struct fake *port = fake_port(0, 1, 0, 1, 1, PCI_EXPRESS_ROOT_PORT, true);
	fake_set(port, 0x40 + 0x28, 2, 1 << 5);
	static const uint8_t next[] = {2, 9, 0};
	static const uint8_t functions[] = {0, 2, 9};
	for (unsigned i = 0; i < 3; i++) {
		struct fake *fake = fake_endpoint(1, functions[i] >> 3, functions[i] & 7);
		unsigned ari = fake_extended(fake, 0x0e);
		fake_set(fake, ari + 5, 1, next[i]);
	}
	fake_endpoint(1, 0, 1); /* not in the list */
	fake_scan(0);
	KTAP_EQUAL(fm.bus.count, 4);
	KTAP_EQUAL(group_of(1, 1, 1), group_of(1, 0, 0));
	KTAP_EQUAL(group_of(1, 0, 2), group_of(1, 0, 0));
	KTAP_CHECK(group_of(1, 0, 0) != group_of(0, 1, 0));
	fake_end();
	/* a list that runs in a circle */
	fake_set(fake_at(0, RID(1, 1, 1)), 0x105, 1, 2);
	fake_scan(1);
	KTAP_CHECK(strstr(fm.text, "leads from 9 back to 2") != NULL);
	KTAP_EQUAL(fm.bus.count, 4);
	fake_end();
}

/* ---- aliases and groups --------------------------------------------------------------- */

static void test_conventional(void)
{
	struct iommu_device_desc desc;

	fake_start();
	fake_port(0, 1, 0, 1, 3, PCI_EXPRESS_ROOT_PORT, true);
	fake_port(1, 0, 0, 2, 3, PCI_EXPRESS_TO_PCI, false);
	fake_add(0, 2, 0, 0, 0x020000, 0); /* is itself {secondary bus, 0, 0} */
	struct fake *with_ats = fake_add(0, 2, 1, 0, 0x020000, 0);
	fake_express(with_ats, PCI_EXPRESS_ENDPOINT);
	fake_extended(with_ats, 0x0f);
	fake_bridge(0, 2, 2, 0, 3, 3);
	fake_add(0, 3, 7, 0, 0x020000, 0);
	fake_bridge(0, 0, 0x1e, 0, 4, 4); /* conventional, on the root bus */
	fake_add(0, 4, 1, 0, 0x020000, 0);
	fake_add(0, 4, 2, 0, 0x020000, 0);
	fake_scan(0);

	KTAP_EQUAL(fake_device(0, 1, 0)->alias_count, 0);
	KTAP_EQUAL(fake_device(1, 0, 0)->alias_count, 0);
	KTAP_EQUAL(fake_device(2, 0, 0)->alias_count, 0);
	KTAP_EQUAL(fake_device(2, 1, 0)->alias_count, 1);
	KTAP_EQUAL(fake_device(2, 1, 0)->aliases[0], RID(2, 0, 0));
	KTAP_EQUAL(fake_device(3, 7, 0)->alias_count, 2);
	KTAP_EQUAL(fake_device(3, 7, 0)->aliases[0], RID(2, 2, 0));
	KTAP_EQUAL(fake_device(3, 7, 0)->aliases[1], RID(2, 0, 0));
	KTAP_EQUAL(fake_device(4, 1, 0)->alias_count, 1);
	KTAP_EQUAL(fake_device(4, 1, 0)->aliases[0], RID(0, 0x1e, 0));

	/* all behind a bridge to conventional PCI are one group, the bridge included */
	KTAP_EQUAL(group_of(2, 0, 0), group_of(1, 0, 0));
	KTAP_EQUAL(group_of(2, 1, 0), group_of(1, 0, 0));
	KTAP_EQUAL(group_of(3, 7, 0), group_of(1, 0, 0));
	KTAP_CHECK(group_of(0, 1, 0) != group_of(1, 0, 0));
	KTAP_EQUAL(group_of(4, 1, 0), group_of(4, 2, 0));
	KTAP_EQUAL(group_of(4, 1, 0), group_of(0, 0x1e, 0));
	KTAP_CHECK(group_of(4, 1, 0) != group_of(1, 0, 0));

	pci_describe(fake_device(3, 7, 0), &desc);
	KTAP_EQUAL(desc.alias_count, 2);
	KTAP_EQUAL(desc.aliases[1], RID(2, 0, 0));
	KTAP_EQUAL(desc.group, group_of(1, 0, 0));
	pci_describe(fake_device(2, 1, 0), &desc);
	KTAP_EQUAL(desc.ats_queue_depth, 0); /* no ATS behind such a bridge */
	fake_end();
}

static void test_groups_by_acs(void)
{
	/* two root ports, one without ACS; below each a device of two functions */
	fake_start();
	fake_port(0, 1, 0, 1, 1, PCI_EXPRESS_ROOT_PORT, true);
	fake_port(0, 2, 0, 2, 2, PCI_EXPRESS_ROOT_PORT, false);
	for (unsigned bus = 1; bus <= 2; bus++) {
		fake_set(fake_endpoint(bus, 0, 0), 14, 1, 0x80);
		fake_endpoint(bus, 0, 1);
	}
	fake_scan(0);
	KTAP_EQUAL(fm.bus.count, 6);
	KTAP_CHECK(group_of(0, 1, 0) != group_of(1, 0, 0));
	KTAP_EQUAL(group_of(1, 0, 0), group_of(1, 0, 1));
	KTAP_EQUAL(group_of(0, 2, 0), group_of(2, 0, 0));
	KTAP_EQUAL(group_of(0, 2, 0), group_of(2, 0, 1));
	KTAP_CHECK(group_of(0, 1, 0) != group_of(0, 2, 0));
	KTAP_CHECK(group_of(1, 0, 0) != group_of(2, 0, 0));
	/* the scan switched on what separates, and nothing else */
	KTAP_EQUAL(fake_get(fake_at(0, RID(0, 1, 0)), 0x106, 2), 0x1d);
	fake_end();

	/* functions with ACS of their own stand alone; one without stands alone too */
	fake_start();
	fake_port(0, 1, 0, 1, 1, PCI_EXPRESS_ROOT_PORT, true);
	for (unsigned function = 0; function < 3; function++) {
		struct fake *fake = fake_endpoint(1, 0, function);
		fake_set(fake, 14, 1, function ? 0 : 0x80);
		if (function < 2)
			fake_acs(fake);
	}
	fake_scan(0);
	KTAP_CHECK(group_of(1, 0, 0) != group_of(1, 0, 1));
	KTAP_CHECK(group_of(1, 0, 0) != group_of(1, 0, 2));
	KTAP_CHECK(group_of(1, 0, 1) != group_of(1, 0, 2));
	KTAP_EQUAL(fake_get(fake_at(0, RID(1, 0, 1)), 0x106, 2), 0x1d);
	fake_end();

	/* a control that cannot be switched on does not separate */
	fake_start();
	struct fake *port = fake_port(0, 1, 0, 1, 1, PCI_EXPRESS_ROOT_PORT, true);
	fake_allow(port, 0x106, 2, 0x1c);
	fake_endpoint(1, 0, 0);
	fake_scan(0);
	KTAP_EQUAL(group_of(0, 1, 0), group_of(1, 0, 0));
	fake_end();

	/* a single-function endpoint's ACS is left alone */
	fake_start();
	fake_acs(fake_endpoint(0, 1, 0));
	fake_scan(0);
	KTAP_EQUAL(fake_get(fake_at(0, RID(0, 1, 0)), 0x106, 2), 0);
	fake_end();
}

/** A switch with two ports below a root port with ACS. @p acs: the ports have it. */
static void build_switch(bool root_acs, bool acs)
{
	fake_start();
	fake_port(0, 1, 0, 1, 4, PCI_EXPRESS_ROOT_PORT, root_acs);
	fake_port(1, 0, 0, 2, 4, PCI_EXPRESS_UPSTREAM, false);
	fake_port(2, 0, 0, 3, 3, PCI_EXPRESS_DOWNSTREAM, acs);
	fake_port(2, 1, 0, 4, 4, PCI_EXPRESS_DOWNSTREAM, acs);
	fake_endpoint(3, 0, 0);
	fake_endpoint(4, 0, 0);
	fake_scan(0);
	KTAP_EQUAL(fm.bus.count, 6);
}

static void test_groups_of_a_switch(void)
{
	build_switch(true, true);
	KTAP_CHECK(group_of(3, 0, 0) != group_of(4, 0, 0));
	KTAP_CHECK(group_of(3, 0, 0) != group_of(2, 0, 0));
	fake_end();

	/* without ACS the endpoints reach each other through their ports; the ports stand
	 * apart, for the path above them is separated */
	build_switch(true, false);
	KTAP_EQUAL(group_of(3, 0, 0), group_of(2, 0, 0));
	KTAP_EQUAL(group_of(4, 0, 0), group_of(2, 1, 0));
	fake_end();

	build_switch(false, true);
	KTAP_EQUAL(group_of(3, 0, 0), group_of(4, 0, 0));
	KTAP_EQUAL(group_of(3, 0, 0), group_of(0, 1, 0));
	fake_end();
}

static void test_root_bus_functions(void)
{
	/* as in QEMU's q35: 00:1f is one device of three functions without ACS */
	fake_start();
	fake_add(0, 0, 0, 0, 0x060000, 0);
	fake_add(0, 0, 2, 0, 0x020000, 0);
	fake_add(0, 0, 0x1f, 0, 0x060100, 0x80);
	fake_add(0, 0, 0x1f, 2, 0x010601, 0);
	fake_add(0, 0, 0x1f, 3, 0x0c0500, 0);
	fake_scan(0);
	KTAP_EQUAL(group_of(0, 0, 0), 0);
	KTAP_EQUAL(group_of(0, 2, 0), 1);
	KTAP_EQUAL(group_of(0, 0x1f, 0), 2);
	KTAP_EQUAL(group_of(0, 0x1f, 2), 2);
	KTAP_EQUAL(group_of(0, 0x1f, 3), 2);
	fake_end();
}

/* ---- what is wrong ---------------------------------------------------------------------- */

static void test_bad_bridges(void)
{
	static const struct {
		uint8_t secondary, subordinate;
		const char *words;
	} bad[] = {
		{0, 0, "no bus numbers"}, {0, 5, "not followed"}, {2, 2, "not followed"},
		{1, 3, "not followed"},   {5, 3, "not followed"}, {7, 7, "not followed"},
		{3, 255, "not followed"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		fake_start();
		fake_bridge(0, 0, 1, 0, 2, 6);
		fake_bridge(0, 2, 1, 0, bad[i].secondary, bad[i].subordinate);
		fake_add(0, 3, 0, 0, 0x020000, 0); /* no bridge leads here */
		fake_scan(1);
		KTAP_CHECK(strstr(fm.text, "PCI 02:01.0: ") != NULL);
		KTAP_CHECK(strstr(fm.text, bad[i].words) != NULL);
		KTAP_EQUAL(fm.bus.count, 2);
		fake_end();
	}

	/* two bridges to one bus: the first is followed */
	fake_start();
	fake_bridge(0, 0, 1, 0, 1, 1);
	fake_bridge(0, 0, 2, 0, 1, 1);
	fake_add(0, 1, 0, 0, 0x020000, 0);
	fake_scan(1);
	KTAP_CHECK(strstr(fm.text, "PCI 00:02.0: bridge leads to bus 0x1, as 00:01.0 does") !=
	           NULL);
	KTAP_EQUAL(fm.bus.count, 3);
	KTAP_CHECK(fake_device(1, 0, 0)->bridge == fake_device(0, 1, 0));
	fake_end();

	/* deeper than a path can say */
	fake_start();
	for (unsigned bus = 0; bus < 20; bus++)
		fake_port(bus, 0, 0, bus + 1, 20, PCI_EXPRESS_UPSTREAM, false);
	fake_scan(1);
	KTAP_CHECK(strstr(fm.text, "bridges above one another") != NULL);
	KTAP_EQUAL(fm.bus.count, IOMMU_MAX_HOPS);
	struct iommu_device_desc desc;
	pci_describe(fake_device(15, 0, 0), &desc);
	KTAP_EQUAL(desc.hop_count, IOMMU_MAX_HOPS);
	KTAP_EQUAL(desc.hops[0].bus, 0);
	fake_end();
}

static void test_too_many_aliases(void)
{
	fake_start();
	for (unsigned bus = 0; bus < 9; bus++)
		fake_bridge(0, bus, 0, 0, bus + 1, 9);
	fake_add(0, 9, 0, 0, 0x020000, 0);
	fake_scan(1);
	KTAP_CHECK(strstr(fm.text, "PCI 09:00.0: more than 8 requester ids") != NULL);
	const struct pci_device *device = fake_device(9, 0, 0);
	KTAP_EQUAL(device->alias_count, IOMMU_MAX_ALIASES);
	KTAP_EQUAL(device->aliases[0], RID(7, 0, 0));
	KTAP_EQUAL(device->aliases[IOMMU_MAX_ALIASES - 1], RID(0, 0, 0));
	fake_end();
}

static uint32_t same_everywhere(void *ctx, uint16_t segment, iommu_rid_t rid, uint16_t offset,
                                unsigned width)
{
	struct fake *fake = &fm.functions[0];
	(void)ctx, (void)segment, (void)rid;
	return offset + width <= FAKE_BYTES ? fake_get(fake, offset, width) : UINT32_MAX;
}

static void write_nothing(void *ctx, uint16_t segment, iommu_rid_t rid, uint16_t offset,
                          unsigned width, uint32_t value)
{
	(void)ctx, (void)segment, (void)rid, (void)offset, (void)width, (void)value;
}

static void test_same_everywhere(void)
{
	static const struct pci_range range = {0, 0, 3};

	fake_start();
	struct fake *fake = fake_bridge(0, 0, 0, 0, 1, 3);
	fake_set(fake, 14, 1, 0x81);
	fm.access = (struct pci_access){.read = same_everywhere, .write = write_nothing};
	KTAP_EQUAL(fake_scan_ranges(&range, 1), 0);
	KTAP_CHECK(fm.bus.count <= 4 * 256);
	fake_end();
	/* ones without an end: a device that went away under the scan */
	memset(fake->bytes + 4, 0xff, FAKE_BYTES - 4);
	KTAP_EQUAL(fake_scan_ranges(&range, 1), 0);
	fake_end();
}

static void test_no_memory(void)
{
	static const struct pci_range all = {0, 0, 255};

	build_switch(true, true);
	fake_end();
	long allocations = fm.test.allocations;
	KTAP_EQUAL(allocations, 6 + 1 + 1);
	for (long n = 1; n <= allocations; n++) {
		fm.test.allocations = 0;
		fm.test.fail_at = n;
		KTAP_EQUAL(fake_scan_ranges(&all, 1), -ENOMEM);
		KTAP_CHECK(!fm.bus.devices && fm.bus.count == 0);
		KTAP_CHECK(test_os_is_clean(&fm.test));
	}
}

static void test_random_spaces(void)
{
	uint64_t random = 0x706369;
	unsigned long found = 0;

	for (unsigned n = 0; n < 400; n++) {
		fake_start();
		for (unsigned i = 0; i < 24; i++) {
			uint64_t value = test_random(&random);
			unsigned bus = value % 5;
			unsigned function = value >> 16 & 1 ? 0 : value >> 17 & 7;
			struct fake *fake = fake_bridge(0, bus, value >> 8 & 3, function,
			                                value >> 24 & 7, value >> 32 & 7);
			fake_set(fake, 14, 1, value >> 40 & 0x83);
			fake_express(fake, value >> 48 & 15);
			fake_acs(fake);
			for (unsigned k = 0; k < 40; k++) {
				unsigned at = (unsigned)(test_random(&random) % FAKE_BYTES);
				if (k < 20)
					at = 6 + at % 0x80;
				if (at == 4) /* decoding can always be switched off */
					continue;
				fake->bytes[at] = (uint8_t)test_random(&random);
				fake->writable[at] = (uint8_t)test_random(&random);
			}
		}
		static const struct pci_range all = {0, 0, 255};
		KTAP_EQUAL(fake_scan_ranges(&all, 1), 0);
		found += fm.bus.count;
		for (struct pci_device *at = fm.bus.devices; at; at = at->next) {
			struct iommu_device_desc desc;
			pci_describe(at, &desc);
			KTAP_CHECK(desc.hop_count >= 1 && desc.hop_count <= IOMMU_MAX_HOPS);
			KTAP_CHECK(at->group < fm.bus.count);
			KTAP_CHECK(at->alias_count <= IOMMU_MAX_ALIASES);
			KTAP_CHECK(!at->next || at->next->rid > at->rid);
			if (at->bridge)
				KTAP_CHECK(RID_BUS(at->rid) == at->bridge->secondary_bus);
		}
		fake_end();
	}
	printf("# 400 random spaces, %lu functions found\n", found);
	KTAP_CHECK(found > 2000);
}

static void test_class_names(void)
{
	KTAP_CHECK(strcmp(pci_class_name(0x010802), "NVMe controller") == 0);
	KTAP_CHECK(strcmp(pci_class_name(0x020000), "ethernet controller") == 0);
	KTAP_CHECK(strcmp(pci_class_name(0x060400), "PCI bridge") == 0);
	KTAP_CHECK(strcmp(pci_class_name(0x0c0399), "USB controller") == 0);
	KTAP_CHECK(strcmp(pci_class_name(0x01ff00), "storage controller") == 0);
	KTAP_CHECK(strcmp(pci_class_name(0xff0000), "device without a class") == 0);
	KTAP_CHECK(strcmp(pci_class_name(0x770000), "device of unknown class") == 0);
}

static const struct ktap_case cases[] = {
	{"nothing answers", test_nothing},
	{"nested bridges", test_nested_bridges},
	{"segments and further root buses", test_segments_and_roots},
	{"functions of a device, ghosts, unknown headers", test_functions},
	{"ARI functions", test_ari},
	{"bridges to conventional PCI: aliases and groups", test_conventional},
	{"groups by ACS of ports and functions", test_groups_by_acs},
	{"groups of a switch", test_groups_of_a_switch},
	{"functions on the root bus", test_root_bus_functions},
	{"bridges that lead nowhere or in circles", test_bad_bridges},
	{"more aliases than there is room for", test_too_many_aliases},
	{"the same answer everywhere", test_same_everywhere},
	{"no memory at any point", test_no_memory},
	{"random configuration spaces", test_random_spaces},
	{"class codes in words", test_class_names},
};
KTAP_MAIN(cases)
