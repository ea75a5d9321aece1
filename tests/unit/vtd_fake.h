/* SPDX-License-Identifier: MIT */
/*
 * A small register file that answers like a VT-d unit, for tests of the driver: command
 * handshakes, the invalidation queue, register invalidation, fault records, protected
 * memory. It translates nothing. Every command and descriptor is written down, so that
 * a test can compare their order with what it should be; every status bit can be made
 * to stick.
 */
#ifndef TESTS_UNIT_VTD_FAKE_H
#define TESTS_UNIT_VTD_FAKE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "iommu/iommu.h"
#include "tests/ktap.h"
#include "tests/test_os.h"
#include "vtd/table.h"
#include "vtd/vtd.h"

enum {
	FAKE_VER = 0x00,
	FAKE_CAP = 0x08,
	FAKE_ECAP = 0x10,
	FAKE_GCMD = 0x18,
	FAKE_GSTS = 0x1c,
	FAKE_RTADDR = 0x20,
	FAKE_CCMD = 0x28,
	FAKE_FSTS = 0x34,
	FAKE_FECTL = 0x38,
	FAKE_PMEN = 0x64,
	FAKE_IQH = 0x80,
	FAKE_IQT = 0x88,
	FAKE_IQA = 0x90,
	FAKE_IQERCD = 0xb0,
	FAKE_IVA = 0xf0,
	FAKE_IOTLB = 0xf8,
	FAKE_FRCD = 0x220,
	FAKE_BASE = 0xfed90000,
	FAKE_WINDOW = 0x1000,
};

/* QEMU's capabilities; tests add and take away. */
#define FAKE_PLAIN_CAP     UINT64_C(0x00d2008c222f0606)
#define FAKE_PLAIN_ECAP    UINT64_C(0xf00f4a)
#define FAKE_SCALABLE_ECAP UINT64_C(0x480080f00f4a)
#define FAKE_FIRST_ECAP    UINT64_C(0x880000f00f4a)

struct fake {
	struct test_os test;
	struct iommu iommu;
	struct iommu_options options;
	uint8_t regs[FAKE_WINDOW];
	uint64_t latched_root; /* RTADDR at the last SRTP */
	uint64_t previous_root;
	uint32_t stuck;  /* GSTS bits that never change */
	bool qemu_queue; /* QIE goes off only after a wait */
	bool queue_dead; /* descriptors are not fetched */
	bool vanished;   /* every read is all ones */
	int refuse_in;   /* the n-th descriptor from now sets IQE; 0: none */
	uint64_t refuse; /* whatever has this first word sets IQE; 0: none */
	bool ccmd_stuck;
	bool last_was_wait;
	bool te_fell;
	bool broken_rules; /* something the specification forbids; said in the log */
	uint64_t last_iva;
	unsigned descriptors[VTD_DESC_TYPES];
	unsigned mmio_maps;
	uint64_t mapped_bytes;
	bool time_out; /* the next wait descriptor ends in ITE */
	char events[4096];
	struct iommu_print print;
	char text[16384];
	void (*handler)(void *arg);
	void *handler_arg;
	bool has_msi, msi_taken;
	long cleans;
	char log[8192]; /* errors and warnings, all of them */
};

static inline uint32_t fake_get32(const struct fake *fake, unsigned offset)
{
	uint32_t value;
	memcpy(&value, &fake->regs[offset], 4);
	return value;
}

static inline uint64_t fake_get64(const struct fake *fake, unsigned offset)
{
	uint64_t value;
	memcpy(&value, &fake->regs[offset], 8);
	return value;
}

static inline void fake_set32(struct fake *fake, unsigned offset, uint32_t value)
{
	memcpy(&fake->regs[offset], &value, 4);
}

static inline void fake_set64(struct fake *fake, unsigned offset, uint64_t value)
{
	memcpy(&fake->regs[offset], &value, 8);
}

static inline void fake_event(struct fake *fake, const char *text)
{
	size_t length = strlen(fake->events);
	snprintf(fake->events + length, sizeof(fake->events) - length, "%s%s", length ? " " : "",
	         text);
}

static inline void fake_forbidden(struct fake *fake, const char *what)
{
	printf("# forbidden: %s\n", what);
	fake->broken_rules = true;
}

/** "C3:5:0020": context, granularity 3, domain id 5, source id 20h; and so on. */
static inline void fake_descriptor(struct fake *fake, const uint64_t *words)
{
	unsigned type = (unsigned)(words[0] & 15), g = (unsigned)(words[0] >> 4 & 3);
	unsigned did = (unsigned)(words[0] >> 16 & 0xffff);
	char text[64] = "?";

	fake->descriptors[type < VTD_DESC_TYPES ? type : 0]++;
	fake->last_was_wait = type == VTD_DESC_WAIT;
	switch (type) {
	case VTD_DESC_CONTEXT:
		if (g == 3)
			snprintf(text, sizeof(text), "C3:%u:%04x", did,
			         (unsigned)(words[0] >> 32 & 0xffff));
		else
			snprintf(text, sizeof(text), "C%u:%u", g, did);
		break;
	case VTD_DESC_IOTLB:
		if (g == 3)
			snprintf(text, sizeof(text), "I3:%u:%llx/%u%s", did,
			         (unsigned long long)(words[1] >> 12), (unsigned)(words[1] & 63),
			         words[1] & 64 ? "h" : "");
		else
			snprintf(text, sizeof(text), "I%u:%u", g, did);
		break;
	case VTD_DESC_P_IOTLB:
		if (g == 3)
			snprintf(text, sizeof(text), "P3:%u:%llx/%u%s", did,
			         (unsigned long long)(words[1] >> 12), (unsigned)(words[1] & 63),
			         words[1] & 64 ? "h" : "");
		else
			snprintf(text, sizeof(text), "P%u:%u", g, did);
		break;
	case VTD_DESC_PASID:
		snprintf(text, sizeof(text), "S%u:%u", g, did);
		break;
	case VTD_DESC_WAIT:
		if (words[0] & 32)
			*(uint32_t *)iommu_os_va(&fake->test.os, pa(words[1])) =
				(uint32_t)(words[0] >> 32);
		return; /* not an event: each batch has one */
	default:
		fake_forbidden(fake, "descriptor type");
	}
	fake_event(fake, text);
}

static inline void fake_run_queue(struct fake *fake)
{
	uint64_t iqa = fake_get64(fake, FAKE_IQA);
	unsigned width = iqa & 0x800 ? 32 : 16;
	uint64_t bytes = UINT64_C(4096) << (iqa & 7);
	uint64_t head = fake_get64(fake, FAKE_IQH), tail = fake_get64(fake, FAKE_IQT);

	if (!(fake_get32(fake, FAKE_GSTS) & 1u << 26) || fake->queue_dead ||
	    fake_get32(fake, FAKE_FSTS) & 0x50)
		return;
	if (tail % width || tail >= bytes)
		fake_forbidden(fake, "IQT");
	while (head != tail) {
		const uint64_t *words =
			iommu_os_va(&fake->test.os, pa((iqa & ~UINT64_C(0xfff)) + head));
		unsigned type = (unsigned)(words[0] & 15);
		bool ttm_scalable = (fake->latched_root >> 10 & 3) == 1;
		if ((fake->refuse_in && --fake->refuse_in == 0) ||
		    (fake->refuse && words[0] == fake->refuse)) {
			fake_set32(fake, FAKE_FSTS, fake_get32(fake, FAKE_FSTS) | 0x10);
			fake_set64(fake, FAKE_IQERCD, 4);
			break;
		}
		if (ttm_scalable && width == 16)
			fake_forbidden(fake, "128-bit descriptors in scalable mode");
		if (!ttm_scalable && type >= 6)
			fake_forbidden(fake, "PASID descriptors in legacy mode");
		if (fake->time_out && type == VTD_DESC_WAIT) {
			/* the wait is dropped, fetching stops behind it */
			fake->time_out = false;
			fake_set32(fake, FAKE_FSTS, fake_get32(fake, FAKE_FSTS) | 0x40);
			fake_set64(fake, FAKE_IQERCD, UINT64_C(0x18) << 32);
			fake_set64(fake, FAKE_IQH, (head + width) % bytes);
			break;
		}
		fake_descriptor(fake, words);
		head = (head + width) % bytes;
		fake_set64(fake, FAKE_IQH, head);
	}
}

static inline void fake_toggle(struct fake *fake, uint32_t command, unsigned bit, const char *name)
{
	uint32_t mask = 1u << bit, status = fake_get32(fake, FAKE_GSTS);
	char text[16];

	if (!((command ^ status) & mask))
		return;
	if (fake->stuck & mask)
		return;
	if (bit == 26 && !(command & mask)) {
		if (fake_get64(fake, FAKE_IQH) != fake_get64(fake, FAKE_IQT))
			fake_forbidden(fake, "QIE off with a queue that is not empty");
		if (fake->qemu_queue && !fake->last_was_wait)
			return;
		fake_set64(fake, FAKE_IQH, 0);
	}
	if (bit == 26 && command & mask && fake_get64(fake, FAKE_IQT))
		fake_forbidden(fake, "QIE on with IQT other than 0");
	if (bit == 31 && !(command & mask))
		fake->te_fell = true;
	if (bit == 31 && command & mask && !(status & 1u << 30))
		fake_forbidden(fake, "TE on without SRTP");
	fake_set32(fake, FAKE_GSTS, status ^ mask);
	snprintf(text, sizeof(text), "%s%c", name, command & mask ? '+' : '-');
	fake_event(fake, text);
}

static inline void fake_command(struct fake *fake, uint32_t command)
{
	if (command & ~fake_get32(fake, FAKE_GSTS) & (1u << 30) || command & 1u << 30) {
		fake_event(fake, "SRTP");
		fake_set32(fake, FAKE_GSTS, fake_get32(fake, FAKE_GSTS) & ~(1u << 30));
		if (!(fake->stuck & 1u << 30)) {
			fake->previous_root = fake->latched_root;
			fake->latched_root = fake_get64(fake, FAKE_RTADDR);
			fake_set32(fake, FAKE_GSTS, fake_get32(fake, FAKE_GSTS) | 1u << 30);
		}
	}
	if (command & 1u << 27) {
		fake_event(fake, "WBF");
		if (fake->stuck & 1u << 27)
			fake_set32(fake, FAKE_GSTS, fake_get32(fake, FAKE_GSTS) | 1u << 27);
	}
	if (command & (1u << 29 | 1u << 24))
		fake_forbidden(fake, "a one-shot bit of GSTS written back to GCMD");
	fake_toggle(fake, command, 31, "TE");
	fake_toggle(fake, command, 26, "QIE");
	fake_toggle(fake, command, 25, "IRE");
	fake_run_queue(fake);
}

static inline unsigned fake_records(const struct fake *fake)
{
	return (unsigned)(fake_get64(fake, FAKE_CAP) >> 40 & 0xff) + 1;
}

static inline void fake_update_ppf(struct fake *fake)
{
	uint32_t status = fake_get32(fake, FAKE_FSTS) & ~2u;

	for (unsigned n = 0; n < fake_records(fake); n++)
		if (fake_get32(fake, FAKE_FRCD + 16 * n + 12) >> 31)
			status |= 2;
	fake_set32(fake, FAKE_FSTS, status);
}

static inline uint64_t fake_read(void *ctx, uint32_t offset, unsigned width)
{
	struct fake *fake = ctx;

	if (fake->vanished)
		return width == 4 ? UINT32_MAX : UINT64_MAX;
	if (offset % width || offset + width > FAKE_WINDOW) {
		fake_forbidden(fake, "an access that is not aligned or beyond the window");
		return 0;
	}
	return width == 4 ? fake_get32(fake, offset) : fake_get64(fake, offset);
}

static inline void fake_write(void *ctx, uint32_t offset, unsigned width, uint64_t value)
{
	struct fake *fake = ctx;
	bool queue_on = fake_get32(fake, FAKE_GSTS) & 1u << 26;
	unsigned record = (offset - FAKE_FRCD) / 16;
	bool legacy = (fake->latched_root >> 10 & 3) == 0;
	bool works = legacy && !queue_on && fake_get32(fake, FAKE_VER) < 0x60;
	char text[64];

	if (offset % width || offset + width > FAKE_WINDOW)
		fake_forbidden(fake, "an access that is not aligned or beyond the window");
	switch (offset) {
	case FAKE_VER:
	case FAKE_CAP:
	case FAKE_ECAP:
	case FAKE_GSTS:
	case FAKE_IQH:
	case FAKE_IQERCD:
		fake_forbidden(fake, "a write to a read-only register");
		return;
	case FAKE_GCMD:
		fake_command(fake, (uint32_t)value);
		return;
	case FAKE_FSTS:
		fake_set32(fake, FAKE_FSTS,
		           fake_get32(fake, FAKE_FSTS) & ~((uint32_t)value & 0x71));
		return;
	case FAKE_PMEN:
		snprintf(text, sizeof(text), "EPM%c", value >> 31 ? '+' : '-');
		fake_event(fake, text);
		fake_set32(fake, FAKE_PMEN, (uint32_t)(value & ~1ull) | (uint32_t)(value >> 31));
		return;
	case FAKE_IQT:
		fake_set64(fake, FAKE_IQT, value);
		fake_run_queue(fake);
		return;
	case FAKE_IQA:
		if (queue_on)
			fake_forbidden(fake, "IQA written with the queue on");
		break;
	case FAKE_IVA:
		fake->last_iva = value;
		return;
	case FAKE_CCMD:
		snprintf(text, sizeof(text), "ccmd%u:%u", (unsigned)(value >> 61 & 3),
		         (unsigned)(value & 0xffff));
		fake_event(fake, text);
		if (!fake->ccmd_stuck)
			value = (value & ~(9ull << 60)) | (works ? (value >> 61 & 3) << 59 : 0);
		break;
	case FAKE_IOTLB:
		snprintf(text, sizeof(text), "iotlb%u:%u", (unsigned)(value >> 60 & 3),
		         (unsigned)(value >> 32 & 0xffff));
		fake_event(fake, text);
		value = (value & ~(1ull << 63)) | (works ? (value >> 60 & 3) << 57 : 0);
		break;
	default:
		break;
	}
	if (offset >= FAKE_FRCD && record < fake_records(fake)) {
		if (offset % 16 != 12 || width != 4)
			fake_forbidden(fake, "a write to a read-only part of a fault record");
		if (value >> 31)
			fake_set32(fake, offset, fake_get32(fake, offset) & ~(1u << 31));
		fake_update_ppf(fake);
		return;
	}
	if (width == 4)
		fake_set32(fake, offset, (uint32_t)value);
	else
		fake_set64(fake, offset, value);
}

/** The unit logs a fault into record @p index, as hardware would. */
static inline void fake_fault(struct fake *fake, unsigned index, uint64_t address, uint16_t sid,
                              uint32_t flags, uint32_t top)
{
	uint32_t status = fake_get32(fake, FAKE_FSTS);
	unsigned at = FAKE_FRCD + 16 * index;

	fake_set64(fake, at, address & ~0xfffull);
	fake_set32(fake, at + 8, sid | flags);
	fake_set32(fake, at + 12, top | 1u << 31);
	if (!(status & 2))
		status = (status & ~0xff00u) | index << 8;
	fake_set32(fake, FAKE_FSTS, status | 2);
}

static const struct mmio_ops fake_mmio_ops = {fake_read, fake_write};

static inline int fake_mmio_map(void *ctx, pa_t base, uint64_t bytes, struct mmio *out)
{
	struct fake *fake = container_of((struct test_os *)ctx, struct fake, test);

	if (base.value != FAKE_BASE)
		return -ENODEV;
	fake->mmio_maps++;
	fake->mapped_bytes = bytes;
	*out = (struct mmio){.bytes = bytes, .ops = &fake_mmio_ops, .ctx = fake};
	return 0;
}

static inline void fake_mmio_unmap(void *ctx, struct mmio *window)
{
	struct fake *fake = container_of((struct test_os *)ctx, struct fake, test);
	(void)window;
	fake->mmio_maps--;
}

static inline void fake_clean(void *ctx, const void *start, size_t bytes)
{
	struct fake *fake = container_of((struct test_os *)ctx, struct fake, test);
	(void)start, (void)bytes;
	fake->cleans++;
}

static inline int fake_msi_alloc(void *ctx, void (*handler)(void *arg), void *arg,
                                 struct iommu_msi *out)
{
	struct fake *fake = container_of((struct test_os *)ctx, struct fake, test);

	if (!fake->has_msi)
		return -ENOSPC;
	fake->handler = handler;
	fake->handler_arg = arg;
	fake->msi_taken = true;
	*out = (struct iommu_msi){.address = UINT64_C(0x1fee01000), .data = 0x41};
	return 0;
}

static inline void fake_msi_free(void *ctx, const struct iommu_msi *msi)
{
	struct fake *fake = container_of((struct test_os *)ctx, struct fake, test);
	(void)msi;
	fake->msi_taken = false;
}

static inline void fake_print(struct iommu_print *self, const char *text, size_t bytes)
{
	struct fake *fake = container_of(self, struct fake, print);
	size_t length = strlen(fake->text);
	if (bytes > sizeof(fake->text) - 1 - length)
		bytes = sizeof(fake->text) - 1 - length;
	memcpy(fake->text + length, text, bytes);
	fake->text[length + bytes] = 0;
}

static inline void fake_log(void *ctx, enum iommu_log_level level, const char *line)
{
	struct fake *fake = container_of((struct test_os *)ctx, struct fake, test);
	size_t length = strlen(fake->log);

	fake->test.log_count[level]++;
	if (level <= IOMMU_LOG_WARNING)
		snprintf(fake->log + length, sizeof(fake->log) - length, "%s\n", line);
	if (getenv("VERBOSE"))
		printf("# %s\n", line);
}

/** A unit with these registers, as firmware that did not touch it leaves it. */
static inline void fake_init(struct fake *fake, uint64_t cap, uint64_t ecap)
{
	memset(fake, 0, sizeof(*fake));
	test_os_init(&fake->test);
	fake->test.os.mmio_map = fake_mmio_map;
	fake->test.os.mmio_unmap = fake_mmio_unmap;
	fake->test.os.msi_alloc = fake_msi_alloc;
	fake->test.os.msi_free = fake_msi_free;
	fake->test.os.clean = fake_clean;
	fake->test.os.log = fake_log;
	fake->print.write = fake_print;
	fake->qemu_queue = true;
	fake_set32(fake, FAKE_VER, 0x10);
	fake_set64(fake, FAKE_CAP, cap);
	fake_set64(fake, FAKE_ECAP, ecap);
	fake_set32(fake, FAKE_FECTL, 1u << 31);
}

struct fake_rmrr {
	uint64_t base, limit;
	uint8_t device, function;
};

/** Build a DMAR table: one DRHD with INCLUDE_PCI_ALL (preceded by one at @p second, if not
 *  0), and RMRRs for devices on bus 0. Returns its length. */
static inline size_t fake_dmar(uint8_t *out, uint64_t second, const struct fake_rmrr *rmrrs,
                               unsigned count)
{
	uint8_t *at = out + 48;

	memset(out, 0, 48);
	memcpy(out, "DMAR", 4);
	out[8] = 1;
	memcpy(out + 10, "NESTORNESTTEST", 14);
	out[36] = 47; /* 48 bits: the host of the test is the memory */
	if (second) {
		memset(at, 0, 16);
		at[2] = 16;
		memcpy(at + 8, &second, 8);
		at += 16;
	}
	memset(at, 0, 16);
	at[2] = 16;
	at[4] = 1;
	uint64_t base = FAKE_BASE;
	memcpy(at + 8, &base, 8);
	at += 16;
	for (unsigned i = 0; i < count; i++) {
		memset(at, 0, 32);
		at[0] = 1;
		at[2] = 32;
		memcpy(at + 8, &rmrrs[i].base, 8);
		memcpy(at + 16, &rmrrs[i].limit, 8);
		at[24] = 1;
		at[25] = 8;
		at[30] = rmrrs[i].device;
		at[31] = rmrrs[i].function;
		at += 32;
	}
	uint32_t length = (uint32_t)(at - out);
	memcpy(out + 4, &length, 4);
	uint8_t sum = 0;
	for (uint32_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + out[i]);
	out[9] = (uint8_t)-sum;
	return length;
}

/** Start a core on the unit: init and probe. Returns what probe says. */
static inline int fake_probe(struct fake *fake, const struct fake_rmrr *rmrrs, unsigned count)
{
	uint8_t table[512];
	struct iommu_firmware firmware = {.table = table};

	firmware.bytes = fake_dmar(table, 0, rmrrs, count);
	int err = iommu_init(&fake->iommu, &fake->test.os, &fake->options);
	return err ? err : iommu_probe(&fake->iommu, &vtd_driver, &firmware);
}

/** A device on bus 0, alone in its group. */
static inline int fake_device(struct fake *fake, unsigned device, uint32_t class_code,
                              struct iommu_device **out)
{
	struct iommu_device_desc desc = {
		.rid = RID(0, device, 0),
		.hop_count = 1,
		.hops = {{0, (uint8_t)(device << 3)}},
		.group = device,
		.class_code = class_code,
	};
	snprintf(desc.name, sizeof(desc.name), "00:%02x.0", device);
	return iommu_device_add(&fake->iommu, &desc, out);
}

static inline void fake_forget_events(struct fake *fake)
{
	fake->events[0] = 0;
	memset(fake->descriptors, 0, sizeof(fake->descriptors));
}

/** End of a test: nothing left behind, no rule broken. */
static inline void fake_exit(struct fake *fake)
{
	iommu_exit(&fake->iommu);
	KTAP_CHECK(test_os_is_clean(&fake->test));
	KTAP_EQUAL(fake->mmio_maps, 0);
	KTAP_CHECK(!fake->broken_rules);
}

/** Compare texts, and print both when they differ. */
static inline void fake_expect(const char *got, const char *wanted, int line)
{
	if (strcmp(got, wanted) != 0 && !ktap_failed)
		printf("# line %d: got    \"%s\"\n# line %d: wanted \"%s\"\n", line, got, line,
		       wanted);
	KTAP_CHECK(strcmp(got, wanted) == 0);
}
#define FAKE_EVENTS(fake, wanted) fake_expect((fake)->events, wanted, __LINE__)
#define FAKE_LOG(fake, part)                                                                       \
	do {                                                                                       \
		if (!strstr((fake)->log, part) && !ktap_failed)                                    \
			printf("# line %d: log \"%s\" lacks \"%s\"\n", __LINE__, (fake)->log,      \
			       part);                                                              \
		KTAP_CHECK(strstr((fake)->log, part) != NULL);                                     \
	} while (0)

#endif
