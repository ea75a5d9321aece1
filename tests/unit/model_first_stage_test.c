/* SPDX-License-Identifier: MIT */
/*
 * First-stage translation of the model (3.6, 9.7): four and five levels, every page size,
 * rights of users and supervisors with SRE and WPE, accessed, extended-accessed and dirty
 * flags, entries that change under the unit, the paging-structure cache.
 */
#include "tests/unit/model_scalable.h"

static void sizes_and_levels(void)
{
	static const uint64_t iovas[] = {0x40000000, UINT64_C(0xffffff8000000000)};

	for (unsigned i = 0; i < 12; i++) {
		unsigned levels = 4 + i % 2, level = 1 + i / 2 % 3;
		uint64_t size = BIT(12 + 9 * (level - 1)), iova = iovas[i / 6] + 3 * size;
		uint64_t page = UINT64_C(0x700000000) & ~(size - 1);
		struct bench *b = bench_new("nesting");

		scalable_context(b);
		pasid_entry(b, 0, FIRST_STAGE, 0, 0, levels == 5 ? 1 << 2 : 0);
		put(b, way(b, FIRST, levels, iova, level, 7), page | 7 | (level > 1 ? 0x80 : 0));
		start(b, SCALABLE_MODE);
		READS(b, iova + 0x234, page + 0x234);
		KTAP_EQUAL(b->result.page_bytes, size);
		KTAP_CHECK(b->result.read && b->result.write && b->result.snoop);
		KTAP_CHECK(!b->result.no_snoop && !b->result.privileged);
		KTAP_EQUAL(b->result.first_stage_reads, levels - level + 1);
		KTAP_EQUAL(b->result.second_stage_reads, 0);
		READS(b, iova + size - 8, page + size - 8);
		KTAP_CHECK(b->result.cached);
		KTAP_EQUAL(b->reports, 0);
		bench_end(b);
	}
}

/* 1 GiB pages and five levels are capabilities. */
static void without_capabilities(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.cap &= ~(BIT(56) | BIT(60));
	b = bench_make(&config);
	scalable_context(b);
	pasid_entry(b, 0, FIRST_STAGE, 0, 0, 0);
	pasid_entry(b, 7, FIRST_STAGE, 0, 0, 1 << 2);
	put(b, way(b, FIRST, 4, 0x40000000, 3, 7), 0x40000087);
	start(b, SCALABLE_MODE);
	FAULTS(b, MODEL_READ, 0x40000000, 0x72);
	dma_pasid(b, MODEL_READ, 7, 0x40000000);
	KTAP_EQUAL(b->result.fault, 0x5b);
	bench_end(b);
}

/* With a host width below 52 bits the address field has reserved bits. */
static void host_width(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.haw = 46;
	b = bench_make(&config);
	scalable_tables(b, FIRST_STAGE, 0, 0, 0);
	put(b, FIRST_LEAF, GUEST | 7 | BIT(46));
	put(b, FIRST_LEAF + 8, GUEST | 7 | BIT(45) | BIT(52) | BIT(62));
	start(b, SCALABLE_MODE);
	FAULTS(b, MODEL_READ, IOVA, 0x72);
	READS(b, IOVA + 0x1000, GUEST | BIT(45)); /* 62:52 are ignored */
	bench_end(b);

	b = bench_make(&config);
	scalable_tables(b, SECOND_STAGE, 0, 0, 0);
	put(b, SECOND_LEAF, HOST | 3 | BIT(46));
	start(b, SCALABLE_MODE);
	FAULTS(b, MODEL_READ, IOVA, 0x7a);
	bench_end(b);
}

/* Rights: R/W and U/S of the table and of the leaf, by who asks for what. */
static void rights(void)
{
	for (unsigned i = 0; i < 256; i++) {
		bool table_write = i & 1, table_user = i & 2, leaf_write = i & 4, leaf_user = i & 8;
		bool supervisor = i & 16, wpe = i & 32;
		enum model_access access = (enum model_access)(i >> 6);
		bool user = table_user && leaf_user, write = table_write && leaf_write;
		struct bench *b;
		struct model_request request = {.access = access,
		                                .requester = DEVICE,
		                                .has_pasid = true,
		                                .pasid = 7,
		                                .bytes = 8,
		                                .privileged = supervisor,
		                                .address = IOVA};
		uint8_t reason = 0;

		if (access > MODEL_ATOMIC)
			break;
		if (!supervisor && !user)
			reason = 0x81;
		else if (access != MODEL_READ && !write && (!supervisor || wpe))
			reason = 0x85;
		b = bench_scalable(FIRST_STAGE, 0, 0, SRE | (wpe ? WPE : 0));
		put(b, FIRST + 0x2000,
		    (FIRST + 0x3000) | 1 | (table_write ? 2 : 0) | (table_user ? 4 : 0));
		put(b, FIRST_LEAF, GUEST | 1 | (leaf_write ? 2 : 0) | (leaf_user ? 4 : 0));
		for (unsigned again = 0; again < 2; again++) {
			ask(b, &request);
			KTAP_EQUAL(b->result.fault, reason);
			if (!reason) {
				KTAP_EQUAL(b->result.address, GUEST);
				KTAP_CHECK(b->result.read);
				KTAP_EQUAL(b->result.write, write || (supervisor && !wpe));
				KTAP_EQUAL(b->result.privileged, supervisor);
				KTAP_EQUAL(b->result.cached, again);
			}
		}
		/* the same page for the other kind of user is another matter */
		request.privileged = !supervisor;
		request.access = MODEL_READ;
		ask(b, &request);
		KTAP_EQUAL(b->result.fault, supervisor && !user ? 0x81 : 0);
		KTAP_CHECK(!b->result.cached);
		KTAP_EQUAL(b->reports, 0);
		bench_end(b);
	}
}

/* RID_PRIV makes requests without a PASID privileged. */
static void requester_privilege(void)
{
	struct bench *b = bench_new("nesting");

	scalable_tables(b, FIRST_STAGE, 0, 0, SRE);
	put(b, CONTEXT_AT + 8, BIT(20));
	put(b, FIRST_LEAF, GUEST | 1);
	start(b, SCALABLE_MODE);
	READS(b, IOVA, GUEST);
	KTAP_CHECK(b->result.privileged && b->result.write);
	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).fault, 0x81);
	bench_end(b);
}

enum { A = 1 << 5, D = 1 << 6, EA = 1 << 10 };

/* Flags are set on the way, in the leaf, and no more than the access asks for. */
static void flags(void)
{
	for (unsigned extended = 0; extended < 2; extended++) {
		struct bench *b = bench_scalable(FIRST_STAGE, 0, 0, extended ? EAFE : 0);
		uint64_t seen = A | (extended ? EA : 0);
		struct model_request request = {
			.kind = MODEL_TRANSLATION, .requester = DEVICE, .address = IOVA + 0x1000};

		READS(b, IOVA, GUEST);
		for (unsigned i = 0; i < 3; i++)
			KTAP_EQUAL(get(b, FIRST + 0x1000 * i),
			           (FIRST + 0x1000 * (i + 1)) | 7 | seen);
		KTAP_EQUAL(get(b, FIRST_LEAF), GUEST | 7 | seen);
		KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
		KTAP_CHECK(!b->result.cached); /* the dirty flag was not known to be set */
		KTAP_EQUAL(get(b, FIRST_LEAF), GUEST | 7 | seen | D);
		KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).cached, true);
		/* refused: the way counts as used, the page does not */
		put(b, FIRST_LEAF + 8, GUEST | 5);
		FAULTS(b, MODEL_WRITE, IOVA + 0x1000, 0x85);
		KTAP_EQUAL(get(b, FIRST_LEAF + 8), GUEST | 5);
		/* a translation request reads, and writes where it may */
		KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS);
		KTAP_EQUAL(get(b, FIRST_LEAF + 8), GUEST | 5 | seen);
		put(b, FIRST_LEAF + 16, GUEST | 7);
		request.address += 0x1000;
		request.no_write = true;
		KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS);
		KTAP_EQUAL(get(b, FIRST_LEAF + 16), GUEST | 7 | seen);
		request.no_write = false;
		KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS);
		KTAP_EQUAL(get(b, FIRST_LEAF + 16), GUEST | 7 | seen | D);
		request.no_write = true; /* and the answer may come from the IOTLB */
		KTAP_CHECK(ask(b, &request).cached);
		KTAP_EQUAL(b->reports, 0);
		bench_end(b);
	}
}

/* Without NWFS the no-write flag is not looked at. */
static void no_write_flag(void)
{
	struct model_config config = *model_preset_find("nesting");
	const struct model_request request = {
		.kind = MODEL_TRANSLATION, .requester = DEVICE, .address = IOVA, .no_write = true};
	struct bench *b;

	config.ecap &= ~BIT(33);
	b = bench_make(&config);
	scalable_tables(b, FIRST_STAGE, 0, 0, 0);
	start(b, SCALABLE_MODE);
	KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS);
	KTAP_EQUAL(get(b, FIRST_LEAF), GUEST | 7 | A | D);
	bench_end(b);
}

/* An entry that changes between look and swap is looked at again, but not for ever. */
static void changed_meanwhile(void)
{
	struct bench *b = bench_scalable(FIRST_STAGE, 0, 0, 0);

	b->swap_changes = 3;
	READS(b, IOVA, GUEST);
	KTAP_EQUAL(b->result.first_stage_reads, 4 + 3);
	b->swap_changes = 1000;
	FAULTS(b, MODEL_READ, IOVA + 0x200000, 0x71); /* the way is marked already */
	put(b, FIRST_LEAF + 8, GUEST | 7);
	FAULTS(b, MODEL_READ, IOVA + 0x1000, 0x91);
	KTAP_EQUAL(b->swap_changes, 1000 - 16);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

/* Not-snooped tables serve where every flag is set already. */
static void not_snooped(void)
{
	struct bench *b = bench_scalable(FIRST_STAGE, 0, PWSNP, 0);

	for (unsigned i = 0; i < 3; i++)
		put(b, FIRST + 0x1000 * i, (FIRST + 0x1000 * (i + 1)) | 7 | A);
	put(b, FIRST_LEAF, GUEST | 7 | A);
	READS(b, IOVA, GUEST);
	FAULTS(b, MODEL_WRITE, IOVA, 0x90);
	put(b, FIRST_LEAF, GUEST | 7 | A | D);
	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

/* IH of a PASID-based invalidation keeps the way to a table. */
static void table_cache(void)
{
	struct bench *b = bench_scalable(FIRST_STAGE, 0, 0, 0);
	const uint64_t pages = 6 | 3 << 4 | DID << 16;

	put(b, 0x38008, HOST | 7); /* another last table */
	READS(b, IOVA, GUEST);
	put(b, FIRST + 0x2000, 0x38000 | 7);
	KTAP_CHECK(submit(b, pages, IOVA | BIT(6)));
	READS(b, IOVA, GUEST);
	KTAP_EQUAL(b->result.first_stage_reads, 1);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 1);
	KTAP_CHECK(submit(b, pages, IOVA));
	READS(b, IOVA, HOST);
	KTAP_EQUAL(b->result.first_stage_reads, 4);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 1);
	/* the same tables under another PASID are walked anew */
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).address, HOST);
	KTAP_EQUAL(b->result.first_stage_reads, 4);
	/* a smaller step is used where there is one */
	put(b, 0x38010, HOST | 0x1007);
	READS(b, IOVA + 0x1000, HOST + 0x1000);
	KTAP_EQUAL(b->result.first_stage_reads, 1);
	put(b, FIRST + 0x2008, 0x39000 | 7);
	put(b, 0x39000, HOST | 0x2007);
	READS(b, 0x200000, HOST + 0x2000);
	KTAP_EQUAL(b->result.first_stage_reads, 2);
	bench_end(b);
}

/* Revision 4.x: execute requests (ERS, ERE) with NXE. */
static void execute(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct model_request request = {.requester = DEVICE,
	                                .has_pasid = true,
	                                .pasid = 7,
	                                .execute = true,
	                                .address = IOVA,
	                                .bytes = 8};
	struct bench *b;

	config.ecap |= BIT(30);
	for (unsigned nxe = 0; nxe < 2; nxe++) {
		b = bench_make(&config);
		scalable_tables(b, FIRST_STAGE, 0, 0, BIT(1) | (nxe ? BIT(5) : 0));
		pasid_entry(b, 8, FIRST_STAGE, 0, 0, 0);
		put(b, FIRST_LEAF + 8, GUEST | 7 | BIT(63));
		start(b, SCALABLE_MODE);
		request.pasid = 7;
		request.address = IOVA;
		ask(b, &request);
		KTAP_CHECK(b->result.response == MODEL_SUCCESS && b->result.execute);
		KTAP_CHECK(ask(b, &request).cached && b->result.execute);
		request.address = IOVA + 0x1000;
		ask(b, &request);
		KTAP_EQUAL(b->result.fault, nxe ? 0x82 : 0);
		/* not enabled: refused, also where a read is in the IOTLB */
		KTAP_EQUAL(dma_pasid(b, MODEL_READ, 8, IOVA).response, MODEL_SUCCESS);
		request.pasid = 8;
		request.address = IOVA;
		KTAP_EQUAL(ask(b, &request).fault, 0x5c);
		KTAP_EQUAL(b->reports, 0);
		bench_end(b);
	}
	/* second-stage pages can be executed where they can be read */
	b = bench_make(&config);
	scalable_tables(b, SECOND_STAGE, 0, 0, BIT(1));
	put(b, SECOND_LEAF + 8, HOST | 2);
	start(b, SCALABLE_MODE);
	request.pasid = 7;
	KTAP_CHECK(ask(b, &request).execute);
	request.address = IOVA + 0x1000;
	request.access = MODEL_WRITE;
	KTAP_EQUAL(ask(b, &request).fault, 0x82);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"both depths, every page size, both halves", sizes_and_levels},
	{"1 GiB pages and five levels need capabilities", without_capabilities},
	{"address bits beyond the host width", host_width},
	{"R/W and U/S, users and supervisors, WPE", rights},
	{"RID_PRIV", requester_privilege},
	{"accessed, extended-accessed and dirty flags", flags},
	{"the no-write flag needs NWFS", no_write_flag},
	{"entries that change under the unit", changed_meanwhile},
	{"tables that are not snooped", not_snooped},
	{"paging-structure cache", table_cache},
	{"execute requests of revision 4.x", execute},
};

KTAP_MAIN(cases)
