/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking on the reference model: who is refused, which pages are marked, in pages of
 * each size, by devices, PASIDs and nested domains; read, clear, flush; and switching that
 * fails in any place and leaves everything as it was.
 */
#include "tests/unit/vtd_model.h"
#include "vtd/domain.h"
#include "vtd/pasid.h"

#define TRACKS     IOMMU_ALLOC_DIRTY_TRACKING
#define PARENT     (IOMMU_ALLOC_DIRTY_TRACKING | IOMMU_ALLOC_NEST_PARENT)
#define BASE       UINT64_C(0x40000000) /* 16 pages of 4 KiB, */
#define LARGE      UINT64_C(0x80000000) /* two of 2 MiB, */
#define HUGE       UINT64_C(0xc0000000) /* one of 1 GiB */
#define HOST       UINT64_C(0x30000000)
#define IOVA       UINT64_C(0x7000001000) /* by stage 1: to BASE + page 5 */
#define ECAP_SSADS (UINT64_C(1) << 45)

enum { PAGES = 16 };

static const char *const presets[] = {"nesting", "nesting-noncoherent", "sapphire-rapids"};

static struct vm vm;

static void map_all(struct iommu_domain *domain)
{
	for (unsigned i = 0; i < PAGES; i++) /* no neighbours */
		vm_map(domain, BASE + i * 0x1000, HOST + 2 * i * 0x1000, 0x1000);
	vm_map(domain, LARGE, HOST + 0x200000, 0x400000);
	vm_map(domain, HUGE, UINT64_C(0x80000000), 0x40000000);
}

static int64_t store(struct iommu_device *device, int pasid, uint64_t at)
{
	return vm_dma(&vm, device, pasid, at);
}

static int64_t fetch(struct iommu_device *device, int pasid, uint64_t at)
{
	uint8_t fault;

	return vm_access(&vm, device, pasid, MODEL_READ, at, &fault);
}

/** A run of pages; its ends are ends of pages. */
static void note(void *arg, iova_t first, iova_t last)
{
	uint32_t *marks = arg;
	uint64_t at = first.value;

	while (at <= last.value) {
		uint64_t bytes = at >= HUGE ? 0x40000000 : at >= LARGE ? 0x200000 : 0x1000;
		uint32_t bit = at >= HUGE    ? PAGES + 2
		               : at >= LARGE ? PAGES + (at - LARGE > 0x1fffff)
		                             : (uint32_t)(at - BASE) >> 12;
		KTAP_EQUAL(at & (bytes - 1), 0);
		*marks |= 1u << bit;
		at += bytes;
	}
	KTAP_EQUAL(at, last.value + 1);
}

/** Which of the pages of map_all() are marked; they are clean afterwards if @p clear. */
static uint32_t marks(struct iommu_domain *domain, bool clear)
{
	struct iommu_gather gather;
	uint32_t found = 0;

	iommu_gather_init(&gather, domain);
	domain->ops->read_dirty(domain, iova(BASE), iova(HUGE + 0x3fffffff), clear, note, &found,
	                        &gather);
	KTAP_EQUAL(iommu_gather_empty(&gather), !clear || !found);
	KTAP_EQUAL(iommu_flush(&gather), 0);
	return found;
}

static int track(struct iommu_domain *domain, bool on)
{
	return domain->ops->dirty_tracking(domain, on);
}

/** SSADE of the entry of (device, pasid). */
static bool ssade(struct iommu_device *device, uint32_t pasid)
{
	return vtd_pasid_entry(vtd_unit_of(device->unit), device->driver_data, pasid)[0] >> 9 & 1;
}

/* ---- who can ------------------------------------------------------------------------ */

static void refusals(void)
{
	static const struct {
		const char *preset;
		enum iommu_mode mode;
		uint64_t ecap_off;
		const char *why; /* NULL: it can */
	} rows[] = {
		{"nesting", IOMMU_MODE_SCALABLE, 0, NULL},
		{"nesting-noncoherent", IOMMU_MODE_SCALABLE, 0, NULL},
		{"sapphire-rapids", IOMMU_MODE_AUTO, 0, NULL},
		{"nesting", IOMMU_MODE_LEGACY, 0, "legacy mode"},
		{"nesting", IOMMU_MODE_SCALABLE, ECAP_SSADS, "ECAP.SSADS"},
		{"qemu-7.2", IOMMU_MODE_AUTO, 0, "legacy mode"},
		{"qemu-11.1-scalable", IOMMU_MODE_SCALABLE, 0, "ECAP.SSADS"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct model_config config = *model_preset_find(rows[i].preset);
		struct iommu_domain *domain = NULL;
		config.ecap &= ~rows[i].ecap_off;
		vm_prepare(&vm, &config, rows[i].mode);
		struct iommu_device *device = vm_device(&vm, 3, 0);
		long objects = vm.test.objects, errors = vm.test.log_count[IOMMU_LOG_ERROR];
		int err = iommu_domain_alloc_user(device, TRACKS, NULL, NULL, &domain);
		KTAP_EQUAL(err, rows[i].why ? -EOPNOTSUPP : 0);
		KTAP_EQUAL(device->unit->ops->can_track_dirty(device), !rows[i].why);
		KTAP_EQUAL(vm.test.log_count[IOMMU_LOG_ERROR], errors + (rows[i].why != NULL));
		if (rows[i].why) {
			KTAP_CHECK(strstr(vm.test.last_log, rows[i].why) != NULL);
			KTAP_EQUAL(vm.test.objects, objects);
		} else {
			KTAP_EQUAL(domain->stage, IOMMU_STAGE_SECOND);
			KTAP_EQUAL(domain->flags, TRACKS);
			KTAP_CHECK(domain->ops->dirty_tracking && domain->ops->read_dirty);
			KTAP_EQUAL(iommu_domain_free(domain), 0);
		}
		vm_end(&vm);
		if (ktap_failed)
			printf("# row %zu\n", i);
	}
}

/** What no model can be made to say: flags without snooped walks, without a second stage. */
static void contradictions(void)
{
	struct vtd_unit *unit = test_malloc(sizeof(*unit));

	memset(unit, 0, sizeof(*unit));
	unit->scalable = unit->caps.ssads = unit->caps.smpwcs = unit->caps.ssts = true;
	unit->caps.levels = 4;
	KTAP_CHECK(!vtd_dirty_misfit(unit));
	unit->caps.smpwcs = false;
	KTAP_CHECK(strstr(vtd_dirty_misfit(unit), "ECAP.SMPWCS is 0") != NULL);
	unit->caps.smpwcs = true;
	unit->caps.ssts = false;
	KTAP_CHECK(strstr(vtd_dirty_misfit(unit), "ECAP.SSTS is 0") != NULL);
	free(unit);
}

/** A domain that tracks, or may, behind a unit that cannot. */
static void other_units(void)
{
	static struct vm other;
	struct model_config config = *model_preset_find("nesting");

	config.ecap &= ~ECAP_SSADS;
	vm_start(&vm, "nesting", IOMMU_MODE_SCALABLE);
	struct iommu_device *device = vm_device(&vm, 3, 0);
	struct iommu_domain *domain = vm_domain(device, TRACKS), *plain = vm_domain(device, 0);
	KTAP_CHECK(!plain->ops->dirty_tracking || plain->stage == IOMMU_STAGE_SECOND);
	for (unsigned legacy = 0; legacy < 2; legacy++) {
		vm_prepare(&other, &config, legacy ? IOMMU_MODE_LEGACY : IOMMU_MODE_SCALABLE);
		KTAP_EQUAL(iommu_enable(&other.iommu), 0);
		struct iommu_device *far = vm_device(&other, 4, 0);
		KTAP_EQUAL(far->unit->ops->attach(far, IOMMU_NO_PASID, domain, NULL), -EINVAL);
		KTAP_CHECK(strstr(other.test.last_log, "dirty tracking") != NULL);
		vm_end(&other);
	}
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	KTAP_EQUAL(iommu_domain_free(plain), 0);
	vm_end(&vm);
}

/* ---- marks -------------------------------------------------------------------------- */

static void exact(void)
{
	for (unsigned p = 0; p < ARRAY_SIZE(presets); p++) {
		vm_start(&vm, presets[p], IOMMU_MODE_SCALABLE);
		struct iommu_device *device = vm_device(&vm, 3, 0);
		struct iommu_domain *domain = vm_domain(device, TRACKS);
		map_all(domain);
		KTAP_EQUAL(iommu_attach(device->group, domain), 0);
		/* not yet: and what is cached now marks nothing later unless it is forgotten */
		KTAP_EQUAL(store(device, VM_NO_PASID, BASE + 0x3008), HOST + 0x6008);
		KTAP_EQUAL(marks(domain, false), 0);
		KTAP_CHECK(!ssade(device, 0));
		KTAP_EQUAL(track(domain, true), 0);
		KTAP_CHECK(ssade(device, 0));
		KTAP_EQUAL(marks(domain, false), 0);
		for (unsigned i = 0; i < PAGES; i++)
			KTAP_CHECK(fetch(device, VM_NO_PASID, BASE + i * 0x1000) != VM_FAILED);
		KTAP_EQUAL(marks(domain, false), 0);
		KTAP_EQUAL(store(device, VM_NO_PASID, BASE + 0x3008), HOST + 0x6008);
		KTAP_EQUAL(store(device, VM_NO_PASID, BASE + 0xf000), HOST + 0x1e000);
		KTAP_EQUAL(store(device, VM_NO_PASID, LARGE + 0x3ffff8), HOST + 0x5ffff8);
		KTAP_EQUAL(marks(domain, false), 1u << 3 | 1u << 15 | 1u << 17);
		KTAP_EQUAL(store(device, VM_NO_PASID, HUGE + 0x12345678), 0x92345678);
		KTAP_EQUAL(marks(domain, true), 1u << 3 | 1u << 15 | 1u << 17 | 1u << 18);
		KTAP_EQUAL(marks(domain, true), 0);
		/* through what the IOTLB would have kept as dirty */
		KTAP_EQUAL(store(device, VM_NO_PASID, BASE + 0x3000), HOST + 0x6000);
		KTAP_EQUAL(store(device, VM_NO_PASID, HUGE), 0x80000000);
		KTAP_EQUAL(marks(domain, true), 1u << 3 | 1u << 18);
		/* off: nothing is marked; on: it begins clean */
		KTAP_EQUAL(store(device, VM_NO_PASID, BASE), HOST);
		KTAP_EQUAL(track(domain, false), 0);
		KTAP_CHECK(!ssade(device, 0));
		KTAP_EQUAL(store(device, VM_NO_PASID, BASE + 0x1000), HOST + 0x2000);
		KTAP_EQUAL(marks(domain, false), 1);
		KTAP_EQUAL(track(domain, true), 0);
		KTAP_EQUAL(marks(domain, false), 0);
		KTAP_EQUAL(store(device, VM_NO_PASID, BASE), HOST);
		/* on twice is on: what was marked stays */
		KTAP_EQUAL(track(domain, true), 0);
		KTAP_EQUAL(marks(domain, false), 1);
		iommu_detach(device->group);
		KTAP_EQUAL(track(domain, false), 0);
		KTAP_EQUAL(iommu_domain_free(domain), 0);
		vm_end(&vm);
	}
}

/** Flags read and cleared, and not flushed: a write is lost, and the model says so. */
static void lost_without_flush(void)
{
	struct iommu_gather gather;
	uint32_t found = 0;

	vm_start(&vm, "nesting", IOMMU_MODE_SCALABLE);
	struct iommu_device *device = vm_device(&vm, 3, 0);
	struct iommu_domain *domain = vm_domain(device, TRACKS);
	map_all(domain);
	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	KTAP_EQUAL(track(domain, true), 0);
	KTAP_EQUAL(store(device, VM_NO_PASID, BASE), HOST);
	iommu_gather_init(&gather, domain);
	domain->ops->read_dirty(domain, iova(BASE), iova(BASE + 0xfff), true, note, &found,
	                        &gather);
	KTAP_EQUAL(found, 1);
	vm.expected = UINT64_C(1) << MODEL_REPORT_STALE;
	unsigned reports = vm.reports;
	KTAP_EQUAL(store(device, VM_NO_PASID, BASE), HOST);
	KTAP_CHECK(vm.reports > reports);
	KTAP_EQUAL(marks(domain, false), 0);
	KTAP_EQUAL(iommu_flush(&gather), 0);
	vm.expected = 0;
	KTAP_EQUAL(store(device, VM_NO_PASID, BASE), HOST);
	KTAP_EQUAL(marks(domain, true), 1);
	iommu_detach(device->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	vm_end(&vm);
}

/** Random stores, fetches, reads of marks, switches and remaps, against a plain set. */
static void random_programs(void)
{
	for (unsigned p = 0; p < ARRAY_SIZE(presets); p++) {
		uint32_t wanted = 0, state = 0x9e3779b9u + p;
		bool on = false;
		vm_start(&vm, presets[p], IOMMU_MODE_SCALABLE);
		struct iommu_device *device = vm_device(&vm, 3, 0);
		struct iommu_domain *domain = vm_domain(device, TRACKS);
		struct iommu_domain *other = vm_domain(device, TRACKS);
		map_all(domain);
		KTAP_EQUAL(iommu_attach(device->group, domain), 0);
		for (unsigned n = 0; n < 1500 && !ktap_failed; n++) {
			state ^= state << 13;
			state ^= state >> 17;
			state ^= state << 5;
			unsigned bit = state >> 8 & 31, what = state >> 16 & 15;
			uint64_t at = bit < PAGES       ? BASE + bit * 0x1000
			              : bit < PAGES + 2 ? LARGE + (bit - PAGES) * 0x200000
			                                : HUGE + (state & 0x3ffff) * 0x1000;
			bit = bit < PAGES + 2 ? bit : PAGES + 2;
			if (what < 7) {
				KTAP_CHECK(store(device, VM_NO_PASID, at + 8) >= 0);
				wanted |= on ? 1u << bit : 0;
			} else if (what < 11) {
				KTAP_CHECK(fetch(device, VM_NO_PASID, at + 8) >= 0);
			} else if (what < 13) {
				KTAP_EQUAL(marks(domain, what == 12), wanted);
				wanted = what == 12 ? 0 : wanted;
			} else if (what == 13 && (state & 3) == 0) {
				wanted = on ? wanted : 0;
				on = !on;
				KTAP_EQUAL(track(domain, on), 0);
			} else if (what == 14 && bit < PAGES) {
				KTAP_EQUAL(vm_unmap(domain, at, 0x1000), 0);
				vm_map(domain, at, HOST + 2 * bit * 0x1000, 0x1000);
				wanted &= ~(1u << bit);
			} else if (what == 15 && (state & 3) == 0) {
				iommu_detach(device->group);
				KTAP_EQUAL(iommu_attach(device->group, other), 0);
				iommu_detach(device->group);
				KTAP_EQUAL(iommu_attach(device->group, domain), 0);
			}
		}
		iommu_detach(device->group);
		KTAP_EQUAL(iommu_domain_free(domain), 0);
		KTAP_EQUAL(iommu_domain_free(other), 0);
		vm_end(&vm);
	}
}

/* ---- everywhere --------------------------------------------------------------------- */

/** A parent with two devices, PASIDs and two nested domains. */
struct bench {
	struct iommu_device *one, *two;
	struct iommu_domain *parent, *nested[2];
};
static struct bench b;

static struct iommu_domain *nest(uint64_t table)
{
	struct iommu_domain *nested = NULL;

	KTAP_EQUAL(vm_nested(b.one, b.parent, (struct vm_s1){0, table, 48, 0}, &nested), 0);
	return nested;
}

static void bench_start(const char *preset)
{
	vm_start(&vm, preset, IOMMU_MODE_SCALABLE);
	b.one = vm_device(&vm, 3, 20);
	b.two = vm_device(&vm, 4, 20);
	b.parent = vm_domain(b.one, PARENT);
	map_all(b.parent);
	uint64_t table = vm_guest_page(&vm, b.parent);
	vm_stage1(&vm, b.parent, table, 4, IOVA, 1, (BASE + 0x5000) | 7);
	for (unsigned i = 0; i < 2; i++)
		b.nested[i] = nest(table);
	KTAP_EQUAL(iommu_attach(b.one->group, b.parent), 0);
	KTAP_EQUAL(iommu_attach(b.two->group, b.nested[0]), 0);
	KTAP_EQUAL(iommu_attach_pasid(b.one, 7, b.nested[1]), 0);
	KTAP_EQUAL(iommu_attach_pasid(b.one, 70000, b.parent), 0);
	KTAP_EQUAL(iommu_attach_pasid(b.two, 7, b.nested[1]), 0);
	KTAP_EQUAL(iommu_attach_pasid(b.two, 8, b.parent), 0);
}

static void bench_end(void)
{
	struct iommu_device *devices[] = {b.one, b.two};

	for (unsigned i = 0; i < 2; i++) {
		iommu_detach(devices[i]->group);
		while (devices[i]->pasids)
			iommu_detach_pasid(devices[i], devices[i]->pasids->pasid);
	}
	for (unsigned i = 0; i < 2; i++)
		KTAP_EQUAL(iommu_domain_free(b.nested[i]), 0);
	KTAP_EQUAL(iommu_domain_free(b.parent), 0);
	vm_end(&vm);
}

/** How many of the bench's six entries have SSADE. */
static unsigned entries_on(void)
{
	return ssade(b.one, 0) + ssade(b.two, 0) + ssade(b.one, 7) + ssade(b.one, 70000) +
	       ssade(b.two, 7) + ssade(b.two, 8);
}

/** Store through each of the six; each must mark its page alone, or none if not @p on. */
static void use_all(bool on)
{
	const struct {
		struct iommu_device *device;
		int pasid;
		uint64_t at;
		unsigned page;
	} rows[] = {
		{b.one, VM_NO_PASID, BASE + 0x1000, 1},
		{b.two, VM_NO_PASID, IOVA, 5},
		{b.one, 7, IOVA, 5},
		{b.one, 70000, BASE + 0x2000, 2},
		{b.two, 7, IOVA, 5},
		{b.two, 8, BASE + 0x1000, 1},
	};

	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			KTAP_EQUAL(store(rows[i].device, rows[i].pasid, rows[i].at),
			           HOST + 2 * rows[i].page * 0x1000);
			KTAP_EQUAL(marks(b.parent, on), on ? 1u << rows[i].page : 0);
			if (ktap_failed) {
				printf("# row %zu, round %u\n", i, round);
				return;
			}
		}
	}
}

static void everywhere(void)
{
	for (unsigned p = 0; p < 2; p++) {
		bench_start(presets[p]);
		use_all(false);
		KTAP_EQUAL(entries_on(), 0);
		KTAP_EQUAL(track(b.parent, true), 0);
		KTAP_EQUAL(entries_on(), 6);
		use_all(true);
		/* domains and attachments that come and go meanwhile */
		struct vtd_domain *first = vtd_domain_of(b.nested[0]);
		struct iommu_domain *late = nest(first->nested.table);
		struct iommu_domain *plain = vm_domain(b.one, 0);
		struct iommu_device *three = vm_device(&vm, 5, 20);
		KTAP_EQUAL(iommu_attach(three->group, late), 0);
		KTAP_EQUAL(iommu_attach_pasid(three, 9, b.parent), 0);
		KTAP_CHECK(ssade(three, 0) && ssade(three, 9));
		KTAP_EQUAL(store(three, VM_NO_PASID, IOVA), HOST + 0xa000);
		KTAP_EQUAL(store(three, 9, BASE + 0x4000), HOST + 0x8000);
		KTAP_EQUAL(marks(b.parent, true), 1u << 5 | 1u << 4);
		KTAP_EQUAL(three->unit->ops->attach(three, 0, plain, late), 0);
		KTAP_CHECK(!ssade(three, 0));
		KTAP_EQUAL(three->unit->ops->attach(three, 0, late, plain), 0);
		KTAP_CHECK(ssade(three, 0));
		KTAP_EQUAL(track(b.parent, false), 0);
		KTAP_CHECK(!ssade(three, 0) && !ssade(three, 9));
		KTAP_EQUAL(entries_on(), 0);
		use_all(false);
		KTAP_EQUAL(track(b.parent, true), 0);
		use_all(true);
		iommu_detach(three->group);
		iommu_detach_pasid(three, 9);
		iommu_device_remove(three);
		KTAP_EQUAL(iommu_domain_free(late), 0);
		KTAP_EQUAL(iommu_domain_free(plain), 0);
		bench_end();
	}
}

/** What a switch costs: one descriptor for each PASID and each domain id, one wait a tag. */
static void cost(void)
{
	bench_start("nesting");
	const uint64_t *types = vm_statistics(&vm)->descriptors;
	uint64_t iotlb = types[2], waits = types[5], p_iotlb = types[6], pasid = types[7];
	KTAP_EQUAL(track(b.parent, true), 0);
	KTAP_EQUAL(types[2] - iotlb, 3);
	KTAP_EQUAL(types[5] - waits, 3);
	KTAP_EQUAL(types[6] - p_iotlb, 0);
	KTAP_EQUAL(types[7] - pasid, 5); /* parent: 0, 8, 70000; nested: 0; 7 */
	KTAP_EQUAL(track(b.parent, false), 0);
	KTAP_EQUAL(types[2] - iotlb, 3);
	KTAP_EQUAL(types[6] - p_iotlb, 5);
	KTAP_EQUAL(types[7] - pasid, 10);
	KTAP_EQUAL(track(b.parent, false), 0); /* nothing to do */
	KTAP_EQUAL(types[5] - waits, 6);
	bench_end();
}

/* ---- failures ----------------------------------------------------------------------- */

static void failures(void)
{
	for (unsigned on = 0; on < 2; on++) {
		for (unsigned n = 1;; n++) {
			bench_start(presets[n % 2]);
			KTAP_EQUAL(track(b.parent, !on), 0);
			long objects = vm.test.objects, pages = vm.test.pages;
			long errors = vm.test.log_count[IOMMU_LOG_ERROR];
			vm.refuse_in = n;
			int err = track(b.parent, on);
			bool spent = !vm.refuse_in;
			vm.refuse_in = 0;
			if (!spent) {
				KTAP_EQUAL(err, 0);
				KTAP_CHECK(n > 8); /* each descriptor was refused once */
				bench_end();
				break;
			}
			KTAP_EQUAL(err, -EIO);
			KTAP_CHECK(vm.test.log_count[IOMMU_LOG_ERROR] > errors);
			KTAP_CHECK(strstr(vm.test.last_log, on ? "stays off" : "stays on") != NULL);
			KTAP_EQUAL(entries_on(), on ? 0 : 6);
			KTAP_EQUAL(vm.test.objects, objects);
			KTAP_EQUAL(vm.test.pages, pages);
			use_all(!on);
			KTAP_EQUAL(track(b.parent, on), 0);
			KTAP_EQUAL(entries_on(), on ? 6 : 0);
			use_all(on);
			bench_end();
			if (ktap_failed) {
				printf("# %s, descriptor %u\n", on ? "on" : "off", n);
				return;
			}
		}
	}
}

/** Behind two units, of which one refuses: neither tracks. */
static void two_units(void)
{
	static struct vm other;

	for (unsigned refuses = 0; refuses < 3; refuses++) {
		vm_start(&vm, "nesting", IOMMU_MODE_SCALABLE);
		vm_start(&other, "nesting", IOMMU_MODE_SCALABLE);
		struct iommu_device *near = vm_device(&vm, 3, 0), *far = vm_device(&other, 4, 0);
		struct iommu_domain *domain = vm_domain(near, TRACKS);
		KTAP_EQUAL(iommu_attach(near->group, domain), 0);
		KTAP_EQUAL(far->unit->ops->attach(far, IOMMU_NO_PASID, domain, NULL), 0);
		vm.refuse_in = refuses == 1;
		other.refuse_in = refuses == 2;
		KTAP_EQUAL(track(domain, true), refuses ? -EIO : 0);
		KTAP_EQUAL(ssade(near, 0), !refuses);
		KTAP_EQUAL(ssade(far, 0), !refuses);
		KTAP_EQUAL(track(domain, true), 0);
		KTAP_CHECK(ssade(near, 0) && ssade(far, 0));
		KTAP_EQUAL(track(domain, false), 0);
		KTAP_CHECK(!ssade(near, 0) && !ssade(far, 0));
		KTAP_EQUAL(far->unit->ops->attach(far, IOMMU_NO_PASID, NULL, domain), 0);
		iommu_detach(near->group);
		KTAP_EQUAL(iommu_domain_free(domain), 0);
		vm_end(&other);
		vm_end(&vm);
	}
}

/** The unit no longer answers: an error after the deadline, and the entries as before. */
static void dead_queue(void)
{
	bench_start("nesting");
	vm.queue_dead = true;
	KTAP_EQUAL(track(b.parent, true), -ETIMEDOUT);
	KTAP_CHECK(strstr(vm.test.last_log, "nor its taking back") != NULL);
	KTAP_EQUAL(entries_on(), 0);
	KTAP_CHECK(!vtd_domain_of(b.parent)->tracking);
	vm.queue_dead = false;
	/* Given up: what it holds is unknown, so nothing that it may hold is given back. */
	vm.expected = ~UINT64_C(0);
	iommu_exit(&vm.iommu);
	free(vm.unit);
	free(vm.arena);
	free(vm.cleaned);
}

static const struct ktap_case cases[] = {
	{"offered where it works, refused with a line elsewhere", refusals},
	{"units whose capabilities contradict each other", contradictions},
	{"attaching behind a unit that cannot", other_units},
	{"writes mark exactly their pages, of each size", exact},
	{"cleared and not flushed: lost, and reported", lost_without_flush},
	{"random programs against a plain set", random_programs},
	{"every device, PASID and nested domain, also those that come later", everywhere},
	{"what a switch costs", cost},
	{"each descriptor refused in turn: all is as before", failures},
	{"two units, one of which refuses", two_units},
	{"a unit that no longer answers", dead_queue},
};

KTAP_MAIN(cases)
