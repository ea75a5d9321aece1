/* SPDX-License-Identifier: MIT */
/*
 * Address translation services of a function: ATS, PASID and page requests. PCI Express
 * Base 6.0 sections 10.5.1 (ATS), 10.5.2 (page requests) and 7.8.9 (PASID).
 *
 * PASID is fixed while ATS is on, and nothing about page requests may change while they
 * are on: so the order on is PASID, ATS, page requests, the order off is the reverse, and
 * what need not change is not touched. Page requests go on only from a clean start: the
 * interface has stopped, was reset, and may have outstanding as many as it can.
 */
#include "iommu/string.h"
#include "kernel/pci_private.h"

enum {
	ATS_CAPABILITY = 4, /* 4:0 invalidations it takes at once, 0: 32 */
	ATS_QUEUE_DEPTH = 0x1f,
	ATS_CONTROL = 6, /* 15 enable, 4:0 smallest translation: 0 is 4 KiB */
	ATS_ENABLE = 1 << 15,

	PASID_CAPABILITY = 4,
	PASID_CAN_EXEC = 1 << 1,
	PASID_CAN_PRIV = 1 << 2,
	PASID_WIDTH_SHIFT = 8,
	PASID_WIDTH = 0x1f,
	PASID_WIDTH_MAX = 20,
	PASID_CONTROL = 6,
	PASID_ENABLE = 1 << 0,
	PASID_EXEC = 1 << 1,
	PASID_PRIV = 1 << 2,

	PRI_CONTROL = 4,
	PRI_ENABLE = 1 << 0,
	PRI_RESET = 1 << 1,
	PRI_STATUS = 6,
	PRI_FAILURES = 1 << 0 | 1 << 1, /* cleared by writing ones */
	PRI_STOPPED = 1 << 8,
	PRI_PASID_IN_RESPONSE = 1 << 15,
	PRI_CAPACITY = 8,
	PRI_ALLOCATION = 12,

	EXPRESS_CAPABILITIES2 = 0x24,
	EXPRESS_CAPABILITIES2_PREFIXES = 1 << 21, /* end-to-end TLP prefixes */

	/** How long a function may take to finish its page requests after it was told to
	 *  send no more: every one of them has been, or will be, answered. */
	PRI_STOP_NS = 100000000,
};

/** What of the three is on, and what is wanted. */
struct services {
	bool ats, pasid, page_requests;
};

static uint32_t reg(const struct pci_device *device, uint16_t capability, unsigned offset,
                    unsigned width)
{
	const struct pci_access *access = device->pci->access;

	return access->read(access->ctx, device->segment, device->rid,
	                    (uint16_t)(capability + offset), width);
}

static bool fits(uint16_t capability, unsigned bytes)
{
	return capability && capability + bytes <= PCI_SPACE_BYTES;
}

/* ---- what there is ------------------------------------------------------------------ */

/** Neither translation requests nor PASIDs cross a bridge to conventional PCI. */
static bool path_translates(const struct pci_device *device)
{
	for (const struct pci_device *above = device->bridge; above; above = above->bridge)
		if (!above->is_express || above->express_type == PCI_EXPRESS_TO_PCI ||
		    above->express_type == PCI_EXPRESS_FROM_PCI)
			return false;
	return true;
}

/** A PASID travels in a TLP prefix, which every port up to the root complex must pass on. */
static bool path_passes_prefixes(const struct pci_device *device)
{
	for (const struct pci_device *above = device->bridge; above; above = above->bridge) {
		bool has_second_set = (reg(above, above->express, 2, 2) & 15) >= 2;
		if (!has_second_set || !(reg(above, above->express, EXPRESS_CAPABILITIES2, 4) &
		                         EXPRESS_CAPABILITIES2_PREFIXES))
			return false;
	}
	return true;
}

static void describe_pasid(const struct pci_device *device, struct iommu_device_desc *out)
{
	if (!fits(device->pasid, 8) || !path_passes_prefixes(device))
		return;
	uint32_t capability = reg(device, device->pasid, PASID_CAPABILITY, 2);
	unsigned bits = capability >> PASID_WIDTH_SHIFT & PASID_WIDTH;
	/* More than 20 bits is no PASID: the register is damaged, or reads all ones. */
	if (bits > PASID_WIDTH_MAX)
		return;
	out->pasid_bits = (uint8_t)bits; /* 0: one PASID, 0, which is of no use */
	out->pasid_exec = bits && capability & PASID_CAN_EXEC;
	out->pasid_priv = bits && capability & PASID_CAN_PRIV;
}

/** A device that uses PASIDs, but cannot take an answer with one, cannot be answered: units
 *  answer a request with the PASID that it came with. */
static bool can_page(const struct pci_device *device, const struct iommu_device_desc *desc)
{
	if (!fits(device->pri, 16) || reg(device, device->pri, PRI_STATUS, 2) == 0xffff ||
	    reg(device, device->pri, PRI_CAPACITY, 4) == 0)
		return false;
	return !desc->pasid_bits || reg(device, device->pri, PRI_STATUS, 2) & PRI_PASID_IN_RESPONSE;
}

/* ---- switching ------------------------------------------------------------------------ */

static uint32_t pasid_control(const struct pci_device *device, bool on)
{
	uint32_t capability = reg(device, device->pasid, PASID_CAPABILITY, 2);

	if (!on)
		return 0;
	return PASID_ENABLE | (capability & PASID_CAN_EXEC ? PASID_EXEC : 0) |
	       (capability & PASID_CAN_PRIV ? PASID_PRIV : 0);
}

/** Write a control register; false if the bits did not take. */
static bool set(struct pci_device *device, uint16_t capability, unsigned offset, uint32_t value,
                uint32_t bits)
{
	pci_write(device, (uint16_t)(capability + offset), 2, value);
	return (reg(device, capability, offset, 2) & bits) == (value & bits);
}

/** Wait until the function has finished its page requests. */
static bool wait_stopped(const struct pci_device *device)
{
	const struct iommu_os *os = device->pci->os;
	uint64_t deadline = os->now_ns(os->ctx) + PRI_STOP_NS;

	for (;;) {
		/* The clock first: who was not scheduled for long still reads once more. */
		bool over = os->now_ns(os->ctx) > deadline;
		uint32_t status = reg(device, device->pri, PRI_STATUS, 2);
		if (status == 0xffff)
			return false;
		if (status & PRI_STOPPED)
			return true;
		if (over)
			return false;
		os->relax(os->ctx);
	}
}

static bool page_requests_on(struct pci_device *device)
{
	uint16_t at = device->pri;

	if (!wait_stopped(device))
		return false;
	pci_write(device, (uint16_t)(at + PRI_CONTROL), 2, PRI_RESET);
	pci_write(device, (uint16_t)(at + PRI_STATUS), 2, PRI_FAILURES);
	pci_write(device, (uint16_t)(at + PRI_ALLOCATION), 4, reg(device, at, PRI_CAPACITY, 4));
	return set(device, at, PRI_CONTROL, PRI_ENABLE, PRI_ENABLE);
}

static struct services services_now(const struct pci_device *device)
{
	return (struct services){
		.ats = fits(device->ats, 8) &&
	               reg(device, device->ats, ATS_CONTROL, 2) & ATS_ENABLE,
		.pasid = fits(device->pasid, 8) &&
	                 reg(device, device->pasid, PASID_CONTROL, 2) & PASID_ENABLE,
		.page_requests = fits(device->pri, 16) &&
	                         reg(device, device->pri, PRI_CONTROL, 2) & PRI_ENABLE,
	};
}

/** Go from what is on to @p wanted; what is wanted exists. False: some bit did not take. */
static bool apply(struct pci_device *device, struct services wanted)
{
	struct services now = services_now(device);
	bool pasid_changes = now.pasid != wanted.pasid;
	bool ats_off = now.ats && (!wanted.ats || pasid_changes);
	bool done = true;

	if (now.page_requests && (!wanted.page_requests || ats_off)) {
		done &= set(device, device->pri, PRI_CONTROL, 0, PRI_ENABLE);
		now.page_requests = false;
	}
	if (ats_off) {
		done &= set(device, device->ats, ATS_CONTROL, 0, ATS_ENABLE);
		now.ats = false;
	}
	if (pasid_changes && done)
		done &= set(device, device->pasid, PASID_CONTROL,
		            pasid_control(device, wanted.pasid),
		            PASID_ENABLE | PASID_EXEC | PASID_PRIV);
	if (wanted.ats && !now.ats && done)
		done &= set(device, device->ats, ATS_CONTROL, ATS_ENABLE, ATS_ENABLE);
	if (wanted.page_requests && !now.page_requests && done)
		done &= page_requests_on(device);
	return done;
}

/** As iommu_device_desc.capabilities_set. */
static int capabilities_set(void *ctx, bool ats, bool pasid, bool page_requests)
{
	struct pci_device *device = ctx;
	struct services wanted = {ats, pasid, page_requests}, before = services_now(device);

	/* A function that went away reads as if all were on. */
	if (pci_read(device, PCI_VENDOR, 2) == 0xffff)
		return -EIO;
	if ((ats && !fits(device->ats, 8)) || (pasid && !fits(device->pasid, 8)) ||
	    (page_requests && (!ats || !fits(device->pri, 16))))
		return -EIO;
	if (apply(device, wanted))
		return 0;
	/* What refused once may refuse to go back as well: nothing more can be done. */
	(void)apply(device, before);
	return -EIO;
}

void pci_describe_services(struct pci_device *device, struct iommu_device_desc *out)
{
	if (!path_translates(device))
		return;
	describe_pasid(device, out);
	if (fits(device->ats, 8)) {
		uint32_t depth = reg(device, device->ats, ATS_CAPABILITY, 2) & ATS_QUEUE_DEPTH;
		out->ats_queue_depth = depth ? (uint8_t)depth : 32;
		out->page_requests = can_page(device, out);
	}
	if (out->ats_queue_depth || out->pasid_bits) {
		out->capabilities_set = capabilities_set;
		out->capabilities_ctx = device;
	}
}
