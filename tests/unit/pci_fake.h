/* SPDX-License-Identifier: MIT */
/*
 * A configuration space for the tests of the PCI scan: functions with their registers
 * and, for each bit, whether it can be written. Nothing answers elsewhere. A BAR that is
 * written while its function decodes is counted as an accident, and so is a register
 * that is not left as it was (fake_check).
 */
#ifndef TESTS_UNIT_PCI_FAKE_H
#define TESTS_UNIT_PCI_FAKE_H

#include <string.h>

#include "kernel/pci.h"
#include "tests/ktap.h"
#include "tests/test_os.h"

enum { FAKE_MAX = 64, FAKE_BYTES = 4096 };

struct fake {
	uint16_t segment;
	iommu_rid_t rid;
	uint8_t last_capability, last_extended_set;
	uint16_t last_extended;
	uint8_t bytes[FAKE_BYTES], writable[FAKE_BYTES];
};

static struct fake_machine {
	struct test_os test;
	struct pci_access access;
	struct pci_bus bus;
	struct iommu_print log;
	char text[16384];
	size_t text_bytes;
	unsigned count, lines, accidents;
	unsigned long reads;
	struct fake functions[FAKE_MAX];
} fm;

static inline struct fake *fake_at(uint16_t segment, iommu_rid_t rid)
{
	for (unsigned i = 0; i < fm.count; i++)
		if (fm.functions[i].segment == segment && fm.functions[i].rid == rid)
			return &fm.functions[i];
	return NULL;
}

static inline uint32_t fake_get(const struct fake *fake, unsigned at, unsigned width)
{
	uint32_t value = 0;
	for (unsigned i = 0; i < width; i++)
		value |= (uint32_t)fake->bytes[at + i] << 8 * i;
	return value;
}

static inline uint32_t fake_read(void *ctx, uint16_t segment, iommu_rid_t rid, uint16_t offset,
                                 unsigned width)
{
	const struct fake *fake = fake_at(segment, rid);
	(void)ctx;
	fm.reads++;
	if ((width != 1 && width != 2 && width != 4) || offset % width || offset >= FAKE_BYTES)
		fm.accidents++;
	else if (fake)
		return fake_get(fake, offset, width);
	return width >= 4 ? UINT32_MAX : (1u << 8 * width) - 1;
}

static inline void fake_write(void *ctx, uint16_t segment, iommu_rid_t rid, uint16_t offset,
                              unsigned width, uint32_t value)
{
	struct fake *fake = fake_at(segment, rid);
	(void)ctx;
	if ((width != 1 && width != 2 && width != 4) || offset % width || offset >= FAKE_BYTES ||
	    !fake) {
		fm.accidents++;
		return;
	}
	if (offset >= 0x10 && offset < 0x28 && fake->bytes[4] & 3)
		fm.accidents++;
	for (unsigned i = 0; i < width; i++) {
		uint8_t mask = fake->writable[offset + i];
		fake->bytes[offset + i] =
			(uint8_t)((fake->bytes[offset + i] & ~mask) | ((value >> 8 * i) & mask));
	}
}

static inline void fake_log(struct iommu_print *self, const char *text, size_t bytes)
{
	(void)self;
	for (size_t i = 0; i < bytes; i++) {
		fm.lines += text[i] == '\n';
		if (fm.text_bytes + 1 < sizeof(fm.text))
			fm.text[fm.text_bytes++] = text[i];
	}
	fm.text[fm.text_bytes] = 0;
}

static inline void fake_start(void)
{
	memset(&fm, 0, sizeof(fm));
	test_os_init(&fm.test);
	fm.access = (struct pci_access){.read = fake_read, .write = fake_write};
	fm.log.write = fake_log;
}

static inline void fake_set(struct fake *fake, unsigned at, unsigned width, uint32_t value)
{
	for (unsigned i = 0; i < width; i++)
		fake->bytes[at + i] = (uint8_t)(value >> 8 * i);
}

static inline void fake_allow(struct fake *fake, unsigned at, unsigned width, uint32_t mask)
{
	for (unsigned i = 0; i < width; i++)
		fake->writable[at + i] = (uint8_t)(mask >> 8 * i);
}

/** A function as firmware leaves it: decoding and bus mastering on. */
static inline struct fake *fake_add(uint16_t segment, unsigned bus, unsigned slot,
                                    unsigned function, uint32_t class_code, unsigned header)
{
	if (fm.count == FAKE_MAX)
		abort();
	struct fake *fake = &fm.functions[fm.count++];
	fake->segment = segment;
	fake->rid = RID(bus, slot, function);
	fake_set(fake, 0, 4, 0x11e81234);
	fake_set(fake, 4, 2, 7);
	fake_allow(fake, 4, 2, 0x0407);
	fake_set(fake, 8, 4, class_code << 8 | 3);
	fake_set(fake, 14, 1, header);
	return fake;
}

/** Append a capability of @p bytes; returns its offset. */
static inline unsigned fake_capability(struct fake *fake, unsigned id, unsigned bytes)
{
	unsigned at = fake->last_capability ? fake->last_capability + 0x20u : 0x40u;
	(void)bytes;
	fake->bytes[6] |= 0x10;
	fake_set(fake, fake->last_capability ? fake->last_capability + 1u : 0x34u, 1, at);
	fake_set(fake, at, 2, id);
	fake->last_capability = (uint8_t)at;
	return at;
}

static inline unsigned fake_express(struct fake *fake, unsigned type)
{
	unsigned at = fake_capability(fake, 0x10, 60);
	fake_set(fake, at + 2, 2, 2 | type << 4);
	return at;
}

/** Append an extended capability of up to 64 bytes; returns its offset. */
static inline unsigned fake_extended(struct fake *fake, unsigned id)
{
	unsigned at = fake->last_extended ? fake->last_extended + 0x40u : 0x100u;
	if (fake->last_extended)
		fake_set(fake, fake->last_extended, 4,
		         (fake_get(fake, fake->last_extended, 4) & 0xfffff) | at << 20);
	fake_set(fake, at, 4, id | 1 << 16);
	fake->last_extended = (uint16_t)at;
	return at;
}

/** ACS with all capabilities, off; returns its offset. */
static inline unsigned fake_acs(struct fake *fake)
{
	unsigned at = fake_extended(fake, 0x0d);
	fake_set(fake, at + 4, 2, 0x5f);
	fake_allow(fake, at + 6, 2, 0x5f);
	return at;
}

static inline struct fake *fake_bridge(uint16_t segment, unsigned bus, unsigned slot,
                                       unsigned function, unsigned secondary, unsigned subordinate)
{
	struct fake *fake = fake_add(segment, bus, slot, function, 0x060400, 1);
	fake_set(fake, 0x18, 4, bus | secondary << 8 | subordinate << 16);
	return fake;
}

/** A PCIe port: @p type, with ACS if @p acs. */
static inline struct fake *fake_port(unsigned bus, unsigned slot, unsigned function,
                                     unsigned secondary, unsigned subordinate, unsigned type,
                                     bool acs)
{
	struct fake *fake = fake_bridge(0, bus, slot, function, secondary, subordinate);
	fake_express(fake, type);
	if (acs)
		fake_acs(fake);
	return fake;
}

/** A PCIe endpoint. */
static inline struct fake *fake_endpoint(unsigned bus, unsigned slot, unsigned function)
{
	struct fake *fake = fake_add(0, bus, slot, function, 0x020000, 0);
	fake_express(fake, PCI_EXPRESS_ENDPOINT);
	return fake;
}

/** A 32-bit register of a BAR: value, and the bits that can be written. */
static inline void fake_bar(struct fake *fake, unsigned n, uint32_t value, uint32_t writable)
{
	fake_set(fake, 0x10 + 4 * n, 4, value);
	fake_allow(fake, 0x10 + 4 * n, 4, writable);
}

static inline int fake_scan_ranges(const struct pci_range *ranges, size_t count)
{
	fm.text_bytes = 0;
	fm.text[0] = 0;
	fm.lines = 0;
	int error = pci_scan(&fm.bus, &fm.access, &fm.test.os, ranges, count, &fm.log);
	KTAP_EQUAL(fm.accidents, 0);
	return error;
}

/** Scan segment 0; the log must have @p lines lines. */
static inline void fake_scan(unsigned lines)
{
	static const struct pci_range all = {0, 0, 255};
	KTAP_EQUAL(fake_scan_ranges(&all, 1), 0);
	if (fm.lines != lines)
		printf("# wanted %u lines, the log is: %s\n", lines, fm.text);
	KTAP_EQUAL(fm.lines, lines);
}

static inline void fake_end(void)
{
	pci_free(&fm.bus);
	KTAP_CHECK(test_os_is_clean(&fm.test));
}

static inline struct pci_device *fake_device(unsigned bus, unsigned slot, unsigned function)
{
	static struct pci_device none;
	struct pci_device *device = pci_find(&fm.bus, 0, RID(bus, slot, function));
	KTAP_CHECK(device != NULL);
	return device ? device : &none;
}

static inline uint32_t group_of(unsigned bus, unsigned slot, unsigned function)
{
	return fake_device(bus, slot, function)->group;
}

#endif
