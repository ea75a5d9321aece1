/* SPDX-License-Identifier: MIT */
/*
 * Attach, replace and detach on the reference model: every kind of translation in place of
 * every other, without and with PASID, in coherent and non-coherent memory and in caching
 * mode; and the same with allocations that fail and invalidations that are refused, which
 * leave everything as it was. The model reports each invalidation that is forgotten.
 */
#include "tests/unit/vtd_model.h"

#define AT   UINT64_C(0x2345678000)
#define HOST UINT64_C(0x30000000)

enum kind { BLOCKED, FIRST, SECOND, SECOND_TOO, NESTED, NESTED_TOO, NESTED_APART, IDENTITY, KINDS };

struct bench {
	struct vm vm;
	struct iommu_device *device, *other;
	struct iommu_domain *domain[KINDS]; /* NULL: there is none on this unit */
};
static struct bench b;

static struct iommu_domain *nest(struct iommu_domain *parent, uint64_t guest)
{
	struct iommu_domain *nested = NULL;
	uint64_t table = vm_guest_page(&b.vm, parent);

	KTAP_EQUAL(vm_nested(b.device, parent, (struct vm_s1){0, table, 48, 0}, &nested), 0);
	vm_stage1(&b.vm, parent, table, 4, AT, 1, guest | 7);
	return nested;
}

/** Each domain sends AT elsewhere: to HOST + its number's page. */
static void make_domains(void)
{
	const char *preset = b.vm.config.name;
	bool scalable = b.vm.iommu.units->mode == IOMMU_MODE_SCALABLE;
	bool nests = scalable && (strstr(preset, "nesting") || strstr(preset, "sapphire"));

	if (nests) {
		b.domain[FIRST] = vm_domain(b.device, 0);
		b.domain[SECOND] = vm_domain(b.device, IOMMU_ALLOC_NEST_PARENT);
		b.domain[SECOND_TOO] = vm_domain(b.device, IOMMU_ALLOC_NEST_PARENT);
		for (unsigned k = 0; k < KINDS; k++) {
			vm_map(b.domain[SECOND], 0x50000000 + 0x1000 * k, HOST + 0x1000 * k,
			       0x1000);
			vm_map(b.domain[SECOND_TOO], 0x50000000 + 0x1000 * k, HOST + 0x1000 * k,
			       0x1000);
		}
		b.domain[NESTED] = nest(b.domain[SECOND], 0x50000000 + 0x1000 * NESTED);
		b.domain[NESTED_TOO] = nest(b.domain[SECOND], 0x50000000 + 0x1000 * NESTED_TOO);
		b.domain[NESTED_APART] =
			nest(b.domain[SECOND_TOO], 0x50000000 + 0x1000 * NESTED_APART);
	} else {
		b.domain[FIRST] = vm_domain(b.device, 0); /* of whatever format */
		b.domain[SECOND] = vm_domain(b.device, 0);
	}
	for (unsigned k = FIRST; k <= SECOND_TOO; k++)
		if (b.domain[k])
			vm_map(b.domain[k], AT, HOST + 0x1000 * k, 0x1000);
	int err = iommu_domain_alloc_identity(b.device, &b.domain[IDENTITY]);
	KTAP_CHECK(!err || err == -EOPNOTSUPP);
}

static void bench_start(const struct model_config *config, enum iommu_mode mode)
{
	memset(&b, 0, sizeof(b));
	vm_prepare(&b.vm, config, mode);
	KTAP_EQUAL(iommu_enable(&b.vm.iommu), 0);
	b.device = vm_device(&b.vm, 3, 20);
	b.other = vm_device(&b.vm, 4, 20);
	make_domains();
}

static void bench_end(void)
{
	for (unsigned k = KINDS; k-- > 0;)
		if (b.domain[k])
			KTAP_EQUAL(iommu_domain_free(b.domain[k]), 0);
	vm_end(&b.vm);
}

static int bind_to(uint32_t pasid, struct iommu_domain *domain)
{
	if (pasid == IOMMU_NO_PASID && domain)
		return iommu_attach(b.device->group, domain);
	if (pasid == IOMMU_NO_PASID)
		iommu_detach(b.device->group);
	else if (domain)
		return iommu_attach_pasid(b.device, pasid, domain);
	else
		iommu_detach_pasid(b.device, pasid);
	return 0;
}

static void works(const struct iommu_device *device, uint32_t pasid, enum kind kind)
{
	int64_t at = vm_dma(&b.vm, device, pasid == IOMMU_NO_PASID ? VM_NO_PASID : (int)pasid, AT);

	if (kind == BLOCKED)
		KTAP_CHECK(at < VM_FAILED);
	else
		KTAP_EQUAL(at, kind == IDENTITY ? AT : HOST + 0x1000 * kind);
}

/* ---- everything in place of everything ------------------------------------------------ */

static void replace(uint32_t pasid, unsigned from, unsigned to)
{
	KTAP_EQUAL(bind_to(pasid, b.domain[from]), 0);
	works(b.device, pasid, from);
	KTAP_EQUAL(bind_to(pasid, b.domain[to]), 0);
	works(b.device, pasid, to);
	/* back and forth once more: nothing of either was left in a cache */
	KTAP_EQUAL(bind_to(pasid, b.domain[from]), 0);
	works(b.device, pasid, from);
	KTAP_EQUAL(bind_to(pasid, b.domain[to]), 0);
	works(b.device, pasid, to);
	works(b.other, IOMMU_NO_PASID, FIRST); /* a neighbour is left alone */
	KTAP_EQUAL(bind_to(pasid, NULL), 0);
	works(b.device, pasid, BLOCKED);
	if (ktap_failed)
		printf("# %s, PASID %#x, kind %u, then %u\n", b.vm.config.name, pasid, from, to);
}

static void all_pairs(const struct model_config *config, enum iommu_mode mode)
{
	static const uint32_t pasids[] = {IOMMU_NO_PASID, 5, 0xfffff};

	bench_start(config, mode);
	KTAP_EQUAL(iommu_attach(b.other->group, b.domain[FIRST]), 0);
	for (size_t p = 0; p < ARRAY_SIZE(pasids); p++) {
		if (pasids[p] && !b.device->pasid_bits)
			break;
		for (unsigned from = 0; from < KINDS && !ktap_failed; from++)
			for (unsigned to = 0; to < KINDS && !ktap_failed; to++)
				if ((b.domain[from] || from == BLOCKED) &&
				    (b.domain[to] || to == BLOCKED))
					replace(pasids[p], from, to);
	}
	iommu_detach(b.other->group);
	bench_end();
}

static void replaces(void)
{
	static const struct {
		const char *preset;
		enum iommu_mode mode;
	} rows[] = {
		{"nesting", IOMMU_MODE_SCALABLE},
		{"nesting-noncoherent", IOMMU_MODE_SCALABLE},
		{"nesting", IOMMU_MODE_LEGACY},
		{"nesting-noncoherent", IOMMU_MODE_LEGACY},
		{"sapphire-rapids", IOMMU_MODE_SCALABLE},
		{"qemu-7.2", IOMMU_MODE_AUTO},
		{"qemu-11.1-scalable", IOMMU_MODE_AUTO},
		{"qemu-11.1-first", IOMMU_MODE_AUTO},
		{"qemu-10.0-caching", IOMMU_MODE_AUTO},
		{"meteor-lake", IOMMU_MODE_AUTO},
		{"client-39", IOMMU_MODE_AUTO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows) && !ktap_failed; i++) {
		struct model_config config = *model_preset_find(rows[i].preset);
		all_pairs(&config, rows[i].mode);
	}
}

static void replaces_in_caching_mode(void)
{
	struct model_config config = *model_preset_find("nesting");

	config.cap |= UINT64_C(1) << 7; /* CM */
	all_pairs(&config, IOMMU_MODE_SCALABLE);
	config = *model_preset_find("nesting-noncoherent");
	config.cap |= UINT64_C(1) << 7;
	all_pairs(&config, IOMMU_MODE_LEGACY);
}

/* ---- failures -------------------------------------------------------------------------- */

/** Every descriptor of a replace refused in turn: the old translation stays, and works. */
static void refused(uint32_t pasid, unsigned from, unsigned to)
{
	unsigned n;

	KTAP_EQUAL(bind_to(pasid, b.domain[from]), 0);
	works(b.device, pasid, from);
	for (n = 1; n < 20; n++) {
		long objects = b.vm.test.objects;
		uint32_t attachments = b.domain[to]->attachments;
		b.vm.refuse_in = n;
		int err = bind_to(pasid, b.domain[to]);
		if (!err) {
			b.vm.refuse_in = 0;
			break;
		}
		KTAP_EQUAL(err, -EIO);
		KTAP_EQUAL(b.vm.refuse_in, 0);
		works(b.device, pasid, from);
		KTAP_EQUAL(b.domain[to]->attachments, attachments);
		KTAP_EQUAL(b.vm.test.objects, objects);
		KTAP_CHECK(iommu_pasid_domain(b.device, pasid) == b.domain[from]);
	}
	KTAP_CHECK(n > 2 && n < 20);
	works(b.device, pasid, to);
	KTAP_EQUAL(bind_to(pasid, NULL), 0);
	works(b.device, pasid, BLOCKED);
	if (ktap_failed)
		printf("# descriptor %u, PASID %#x, kind %u, then %u\n", n, pasid, from, to);
}

static void refused_invalidations(void)
{
	static const unsigned pairs[][2] = {{FIRST, NESTED},    {NESTED, FIRST},
	                                    {NESTED, SECOND},   {SECOND, SECOND_TOO},
	                                    {SECOND, NESTED},   {NESTED, NESTED_TOO},
	                                    {IDENTITY, NESTED}, {NESTED_APART, IDENTITY}};

	for (unsigned i = 0; i < 2; i++) {
		bench_start(model_preset_find(i ? "nesting-noncoherent" : "nesting"),
		            IOMMU_MODE_SCALABLE);
		KTAP_EQUAL(b.device->pasid_bits, 20);
		for (size_t p = 0; p < ARRAY_SIZE(pairs) && !ktap_failed; p++) {
			refused(IOMMU_NO_PASID, pairs[p][0], pairs[p][1]);
			refused(0x1234, pairs[p][0], pairs[p][1]);
		}
		bench_end();
	}
}

/** The queue does not answer at all: the attempt fails, what was attached still works, and
 *  what the unit may go on using is never freed. */
static void dead_queue(void)
{
	bench_start(model_preset_find("nesting"), IOMMU_MODE_SCALABLE);
	KTAP_EQUAL(bind_to(3, b.domain[NESTED]), 0);
	works(b.device, 3, NESTED);
	b.vm.queue_dead = true;
	KTAP_EQUAL(bind_to(3, b.domain[FIRST]), -ETIMEDOUT);
	works(b.device, 3, NESTED);
	KTAP_CHECK(iommu_pasid_domain(b.device, 3) == b.domain[NESTED]);
	KTAP_EQUAL(b.domain[FIRST]->attachments, 0);
	KTAP_EQUAL(b.domain[NESTED]->attachments, 1);
	b.vm.queue_dead = false;
	iommu_disable(&b.vm.iommu);
	KTAP_EQUAL(iommu_enable(&b.vm.iommu), 0);
	works(b.device, 3, NESTED);
	KTAP_EQUAL(bind_to(3, NULL), 0);
	works(b.device, 3, BLOCKED);
	for (unsigned k = KINDS; k-- > 0;)
		if (b.domain[k])
			KTAP_EQUAL(iommu_domain_free(b.domain[k]), 0);
	model_sanitizer_check(b.vm.unit);
	iommu_exit(&b.vm.iommu);
	KTAP_EQUAL(b.vm.test.objects, 0);
	KTAP_EQUAL(b.vm.test.locks, 0);
	KTAP_CHECK(b.vm.test.pages > 0); /* the tables that the unit did not let go of */
	free(b.vm.unit);
	free(b.vm.arena);
	free(b.vm.cleaned);
}

/** Each allocation of an attachment fails in turn. */
static void failing_allocations(void)
{
	unsigned failures = 0;

	bench_start(model_preset_find("nesting"), IOMMU_MODE_SCALABLE);
	for (unsigned kind = FIRST; kind < KINDS; kind++) {
		for (long n = 1;; n++) {
			uint32_t pasid = 1000 * kind + 64 * (uint32_t)n; /* needs a new table */
			long objects = b.vm.test.objects;
			b.vm.test.fail_at = b.vm.test.allocations + n;
			int err = bind_to(pasid, b.domain[kind]);
			b.vm.test.fail_at = 0;
			if (!err) {
				works(b.device, pasid, kind);
				KTAP_EQUAL(bind_to(pasid, NULL), 0);
				break;
			}
			failures++;
			KTAP_EQUAL(err, -ENOMEM);
			KTAP_EQUAL(b.vm.test.objects, objects);
			KTAP_EQUAL(b.domain[kind]->attachments, 0);
			KTAP_CHECK(!b.device->pasids);
			works(b.device, pasid, BLOCKED);
			if (ktap_failed)
				return;
		}
	}
	KTAP_CHECK(failures > 3 * (KINDS - FIRST));
	/* a nested domain itself */
	for (long n = 1;; n++) {
		struct iommu_domain *nested = NULL;
		long objects = b.vm.test.objects, locks = b.vm.test.locks;
		b.vm.test.fail_at = b.vm.test.allocations + n;
		int err = vm_nested(b.device, b.domain[SECOND], (struct vm_s1){0, 0x10000, 48, 0},
		                    &nested);
		b.vm.test.fail_at = 0;
		if (!err) {
			KTAP_EQUAL(iommu_domain_free(nested), 0);
			break;
		}
		KTAP_EQUAL(err, -ENOMEM);
		KTAP_EQUAL(b.vm.test.objects, objects);
		KTAP_EQUAL(b.vm.test.locks, locks);
	}
	bench_end();
}

/** A child's free does not disturb its parent or its siblings. */
static void children(void)
{
	bench_start(model_preset_find("nesting"), IOMMU_MODE_SCALABLE);
	KTAP_EQUAL(b.domain[SECOND]->children, 2);
	KTAP_EQUAL(iommu_domain_free(b.domain[SECOND]), -EBUSY);
	KTAP_EQUAL(bind_to(7, b.domain[NESTED]), 0);
	KTAP_EQUAL(bind_to(8, b.domain[NESTED_TOO]), 0);
	KTAP_EQUAL(iommu_domain_free(b.domain[NESTED]), -EBUSY);
	KTAP_EQUAL(bind_to(7, NULL), 0);
	KTAP_EQUAL(iommu_domain_free(b.domain[NESTED]), 0);
	b.domain[NESTED] = NULL;
	works(b.device, 8, NESTED_TOO);
	KTAP_EQUAL(vm_unmap(b.domain[SECOND], 0x50000000 + 0x1000 * NESTED_TOO, 0x1000), 0);
	works(b.device, 8, BLOCKED);
	KTAP_EQUAL(bind_to(8, NULL), 0);
	bench_end();
}

static const struct ktap_case cases[] = {
	{"every kind in place of every other, on eleven units", replaces},
	{"the same in caching mode", replaces_in_caching_mode},
	{"a refused invalidation: the old translation stays", refused_invalidations},
	{"a queue that does not answer", dead_queue},
	{"each allocation fails in turn", failing_allocations},
	{"children of a parent", children},
};

KTAP_MAIN(cases)
