/* SPDX-License-Identifier: MIT */
/*
 * What can be wrong with a case: one change to tables that would be valid, at each table
 * and level, chosen so that the specification gives it a reason code of its own (5.10,
 * table 30) or says that it is none. No flaw leads DMA into memory that is not the bench's.
 */
#include "kernel/agree_private.h"

const char *const agree_flaw_names[FLAWS] = {
	[FLAW_NONE] = "none",
	[FLAW_ROOT_UNREADABLE] = "root table where no memory is",
	[FLAW_ROOT_ABSENT] = "root entry not present",
	[FLAW_ROOT_RESERVED] = "reserved bit in the root entry",
	[FLAW_ROOT_HIGH] = "reserved bit in the root entry's other half",
	[FLAW_ROOT_BEYOND] = "context table above the host address width",
	[FLAW_CONTEXT_UNREADABLE] = "context table where no memory is",
	[FLAW_CONTEXT_ABSENT] = "context entry not present",
	[FLAW_CONTEXT_RESERVED] = "reserved bit in the context entry's first word",
	[FLAW_CONTEXT_HIGH] = "reserved bit in the context entry's upper words",
	[FLAW_CONTEXT_BEYOND] = "the context entry's pointer is above the host address width",
	[FLAW_CONTEXT_TYPE] = "translation type not supported",
	[FLAW_CONTEXT_WIDTH] = "address width not supported in the context entry",
	[FLAW_CONTEXT_FLAGS] = "context entry asks for what the unit does not have",
	[FLAW_CONTEXT_RID_PASID] = "RID_PASID set without ECAP.RPS",
	[FLAW_DIRECTORY_UNREADABLE] = "PASID directory where no memory is",
	[FLAW_DIRECTORY_ABSENT] = "PASID directory entry not present",
	[FLAW_DIRECTORY_RESERVED] = "reserved bit in the PASID directory entry",
	[FLAW_DIRECTORY_BEYOND] = "PASID table above the host address width",
	[FLAW_PASID_UNREADABLE] = "PASID table where no memory is",
	[FLAW_PASID_ABSENT] = "PASID entry not present",
	[FLAW_PASID_ZERO] = "PASID entry all zero",
	[FLAW_PASID_RESERVED] = "reserved bit in the PASID entry",
	[FLAW_PASID_TYPE] = "PGTT not supported",
	[FLAW_PASID_WIDTH] = "address width not supported in the PASID entry",
	[FLAW_PASID_PAGING] = "FSPM not supported",
	[FLAW_TOP_UNREADABLE] = "top page table where no memory is",
	[FLAW_TOP_BEYOND] = "top page table above the host address width",
	[FLAW_ENTRY_UNREADABLE] = "page table where no memory is",
	[FLAW_ENTRY_ABSENT] = "page-table entry not present",
	[FLAW_ENTRY_RESERVED] = "reserved bit in a page-table entry",
	[FLAW_ENTRY_BEYOND] = "page-table entry's address above the host address width",
	[FLAW_ENTRY_ALIGN] = "large page not aligned",
	[FLAW_ENTRY_SIZE] = "page size bit at level 4 or 5",
	[FLAW_ENTRY_SNOOP] = "snoop bit without ECAP.SC",
	[FLAW_ENTRY_NO_READ] = "page-table entry without read permission",
	[FLAW_ENTRY_NO_WRITE] = "page-table entry without write permission",
	[FLAW_ENTRY_NO_USER] = "page-table entry for supervisors",
	[FLAW_ENTRY_NOT_ACCESSED] = "accessed flag clear",
	[FLAW_ENTRY_NOT_DIRTY] = "dirty flag clear",
	[FLAW_TARGET_HOLE] = "page where no memory is",
	[FLAW_TARGET_INTERRUPT] = "page in the interrupt range",
	[FLAW_ADDRESS_BEYOND] = "address beyond the width",
	[FLAW_ADDRESS_INTERRUPT] = "address in the interrupt range",
};

enum {
	ROOT = 1,     /* the table above: any mode */
	LEGACY = 2,   /* a legacy context entry */
	SCALABLE = 4, /* scalable tables */
	ENTRY = 8,    /* page tables of either stage */
	FIRST = 16,
	SECOND = 32,
	ADDRESS = 64,
};

static unsigned subject(enum agree_flaw flaw)
{
	if (flaw <= FLAW_ROOT_BEYOND)
		return ROOT;
	switch (flaw) {
	case FLAW_CONTEXT_UNREADABLE:
	case FLAW_CONTEXT_ABSENT:
	case FLAW_CONTEXT_RESERVED:
	case FLAW_CONTEXT_HIGH:
	case FLAW_CONTEXT_BEYOND:
		return ROOT;
	case FLAW_CONTEXT_TYPE:
	case FLAW_CONTEXT_WIDTH:
		return LEGACY;
	case FLAW_TOP_UNREADABLE:
	case FLAW_TOP_BEYOND:
	case FLAW_ENTRY_UNREADABLE:
	case FLAW_ENTRY_ABSENT:
	case FLAW_ENTRY_RESERVED:
	case FLAW_ENTRY_BEYOND:
	case FLAW_ENTRY_ALIGN:
	case FLAW_ENTRY_SIZE:
	case FLAW_ENTRY_NO_WRITE:
	case FLAW_TARGET_HOLE:
	case FLAW_TARGET_INTERRUPT:
		return ENTRY;
	case FLAW_ENTRY_SNOOP:
	case FLAW_ENTRY_NO_READ:
		return SECOND;
	case FLAW_ENTRY_NO_USER:
	case FLAW_ENTRY_NOT_ACCESSED:
	case FLAW_ENTRY_NOT_DIRTY:
		return FIRST;
	case FLAW_ADDRESS_BEYOND:
	case FLAW_ADDRESS_INTERRUPT:
		return ADDRESS;
	default:
		return SCALABLE;
	}
}

bool agree_flaw_fits(const struct agree_case *c, enum agree_flaw flaw)
{
	bool scalable = c->family->scalable, rid_pasid = c->ecap >> 49 & 1;
	unsigned about = subject(flaw);
	enum agree_stage of = c->family->stage;

	if (flaw == FLAW_CONTEXT_RID_PASID && rid_pasid)
		return false;
	if (flaw == FLAW_ENTRY_ALIGN && c->leaf == 1)
		return false;
	if (flaw == FLAW_ENTRY_SIZE && c->levels < 4)
		return false;
	if (flaw == FLAW_ENTRY_SNOOP && c->ecap >> 7 & 1)
		return false;
	if (flaw == FLAW_ENTRY_UNREADABLE && c->leaf == c->levels)
		return false;
	if (flaw == FLAW_PASID_PAGING && c->stage != AGREE_FIRST)
		return false;
	if (flaw == FLAW_PASID_WIDTH && c->stage != AGREE_SECOND)
		return false;
	if (flaw == FLAW_ENTRY_BEYOND && c->bench->haw >= 52)
		return false;
	/* 1 GiB around the interrupt range holds devices. */
	if (flaw == FLAW_TARGET_INTERRUPT && c->leaf == 3)
		return false;
	/* The sub-families of tables keep to their tables; the others to what is below. */
	if (of == AGREE_TABLES_ONLY && c->family->levels)
		return about == SCALABLE && flaw >= FLAW_DIRECTORY_UNREADABLE;
	if (of == AGREE_TABLES_ONLY)
		return about == ROOT || (about == LEGACY && !scalable) ||
		       (about == SCALABLE && scalable && flaw < FLAW_DIRECTORY_UNREADABLE);
	switch (about) {
	case ENTRY:
		return c->levels;
	case FIRST:
		return of == AGREE_FIRST;
	case SECOND:
		return of == AGREE_SECOND;
	case ADDRESS:
		return true;
	case LEGACY:
		return !scalable && of == AGREE_PASS;
	case ROOT:
		return of == AGREE_PASS && flaw >= FLAW_CONTEXT_UNREADABLE;
	default:
		return scalable && of == AGREE_PASS && flaw >= FLAW_DIRECTORY_UNREADABLE;
	}
}

static uint64_t one_of(struct agree_case *c, uint64_t mask)
{
	uint64_t value;

	if (!mask)
		return 0;
	do
		value = AGREE_BIT(agree_below(c, 64));
	while (!(value & mask));
	return value;
}

static uint64_t beyond(struct agree_case *c, unsigned high)
{
	return c->bench->haw > high ? 0 : one_of(c, AGREE_MASK(high, c->bench->haw));
}

static uint64_t hole(struct agree_case *c)
{
	return c->bench->hole + agree_below(c, 512) * UINT64_C(4096);
}

static unsigned level(struct agree_case *c, unsigned lowest)
{
	return lowest + agree_below(c, c->levels - lowest + 1);
}

/* An AW that the unit does not have: another that it has would lead through tables of the
 * wrong level to anywhere. */
static uint64_t bad_width(struct agree_case *c)
{
	unsigned aw;

	do
		aw = agree_below(c, 8);
	while (aw >= 1 && aw <= 3 && AGREE_GET(c->cap, 12, 8) >> aw & 1);
	return aw;
}

/* ---- root, context, PASID ------------------------------------------------------------------- */

static void flaw_root(struct agree_case *c)
{
	unsigned half = c->family->scalable && (c->engine->requester & 0x80);
	uint64_t *used = &c->root[half];

	switch (c->flaw) {
	case FLAW_ROOT_UNREADABLE:
		c->root_table = hole(c);
		break;
	case FLAW_ROOT_ABSENT:
		*used &= ~UINT64_C(1);
		break;
	case FLAW_ROOT_RESERVED:
		*used |= one_of(c, AGREE_MASK(11, 1));
		break;
	case FLAW_ROOT_HIGH:
		c->root[!half] |= one_of(c, c->family->scalable ? AGREE_MASK(11, 1) : ~UINT64_C(0));
		break;
	case FLAW_ROOT_BEYOND:
		*used |= beyond(c, 63);
		break;
	default: /* FLAW_CONTEXT_UNREADABLE */
		*used = hole(c) | 1;
		break;
	}
}

static void flaw_context(struct agree_case *c)
{
	bool scalable = c->family->scalable;
	unsigned bits = 4 + 2 * (unsigned)(c->cap & 7);
	uint64_t flags = 0;

	switch (c->flaw) {
	case FLAW_CONTEXT_ABSENT:
		c->context[0] &= ~UINT64_C(1);
		break;
	case FLAW_CONTEXT_RESERVED:
		c->context[0] |= one_of(c, scalable ? AGREE_MASK(8, 7) : AGREE_MASK(11, 4));
		break;
	case FLAW_CONTEXT_HIGH:
		if (scalable) {
			unsigned word = 1 + agree_below(c, 3);
			c->context[word] |=
				one_of(c, word == 1 ? AGREE_MASK(63, 21) : ~UINT64_C(0));
		} else {
			c->context[1] |=
				one_of(c, AGREE_MASK(63, 24) | AGREE_BIT(7) |
			                          (bits < 16 ? AGREE_MASK(23, 8 + bits) : 0));
		}
		break;
	case FLAW_CONTEXT_BEYOND:
		c->context[0] |= beyond(c, 63);
		break;
	case FLAW_CONTEXT_TYPE:
		/* 3 is reserved, 1 needs ECAP.DT. */
		c->context[0] &= ~AGREE_MASK(3, 2);
		c->context[0] |= c->ecap & 4 || agree_below(c, 2) ? 3 << 2 : 1 << 2;
		break;
	case FLAW_CONTEXT_WIDTH:
		c->context[1] = (c->context[1] & ~UINT64_C(7)) | bad_width(c);
		break;
	case FLAW_CONTEXT_FLAGS:
		flags |= c->ecap >> 2 & 1 ? 0 : AGREE_BIT(2);
		flags |= c->ecap >> 40 & 1 ? 0 : AGREE_BIT(3);
		flags |= c->ecap >> 29 & 1 ? 0 : AGREE_BIT(4);
		flags |= AGREE_BIT(5);
		c->context[0] |= one_of(c, flags);
		break;
	default: /* FLAW_CONTEXT_RID_PASID */
		/* Of those whose PASID entry lies in the same, otherwise empty, table. */
		c->context[1] |= one_of(c, AGREE_MASK(5, 0));
		break;
	}
}

static void flaw_pasid(struct agree_case *c)
{
	static const uint8_t types[] = {0, 3, 5, 6, 7};
	unsigned word;

	switch (c->flaw) {
	case FLAW_DIRECTORY_UNREADABLE:
		c->context[0] = (c->context[0] & 0xfff) | hole(c);
		break;
	case FLAW_DIRECTORY_ABSENT:
		c->directory &= ~UINT64_C(1);
		break;
	case FLAW_DIRECTORY_RESERVED:
		c->directory |= one_of(c, AGREE_MASK(11, 2));
		break;
	case FLAW_DIRECTORY_BEYOND:
		c->directory |= beyond(c, 63);
		break;
	case FLAW_PASID_UNREADABLE:
		c->directory = (c->directory & 0xfff) | hole(c);
		break;
	case FLAW_PASID_ABSENT:
		c->pasid[0] &= ~UINT64_C(1);
		break;
	case FLAW_PASID_ZERO:
		memset(c->pasid, 0, sizeof(c->pasid));
		break;
	case FLAW_PASID_RESERVED:
		word = agree_below(c, 8);
		c->pasid[word] |= one_of(c, word == 0   ? AGREE_MASK(11, 10) | AGREE_BIT(5)
		                            : word == 1 ? AGREE_MASK(31, 27) | AGREE_MASK(22, 16)
		                            : word == 2 ? AGREE_MASK(11, 8)
		                                        : ~UINT64_C(0));
		break;
	case FLAW_PASID_TYPE:
		c->pasid[0] &= ~AGREE_MASK(8, 6);
		c->pasid[0] |=
			(uint64_t)
				types[c->ecap >> 26 & 1 ? agree_below(c, 4) + 1 : agree_below(c, 5)]
			<< 6;
		/* Whoever takes it for another stage finds a table, with nothing in it. */
		if (c->stage == AGREE_PASS)
			c->pasid[0] |= c->pasid[2] = agree_table_page(c);
		if (c->ecap >> 26 & 1 && AGREE_GET(c->pasid[0], 8, 6) == 3)
			c->pasid[0] &= ~AGREE_MASK(8, 6); /* nested exists here: 0 is invalid */
		break;
	case FLAW_PASID_WIDTH:
		c->pasid[0] = (c->pasid[0] & ~AGREE_MASK(4, 2)) | bad_width(c) << 2;
		break;
	default: /* FLAW_PASID_PAGING */
		c->pasid[2] |= c->cap >> 60 & 1 ? 2 << 2 : (uint64_t)(1 + agree_below(c, 3)) << 2;
		break;
	}
}

/* ---- page tables --------------------------------------------------------------------------------- */

static uint64_t reserved(const struct agree_case *c, unsigned at)
{
	bool leaf = at == c->leaf, first = c->stage == AGREE_FIRST;
	uint64_t mask = c->bench->haw < 52 ? AGREE_MASK(51, c->bench->haw) : 0;

	if (at >= 4)
		mask |= AGREE_BIT(7);
	if (!first && !(c->ecap >> 57 & 1))
		mask |= AGREE_BIT(62);
	if (!first && (!leaf || !(c->ecap >> 7 & 1)))
		mask |= AGREE_BIT(11);
	if (leaf && at > 1)
		mask |= AGREE_MASK(12 + 9 * (at - 1) - 1, first ? 13 : 12);
	return mask;
}

static void set_top(struct agree_case *c, uint64_t value, bool add)
{
	uint64_t *word = !c->family->scalable      ? &c->context[0]
	                 : c->stage == AGREE_FIRST ? &c->pasid[2]
	                                           : &c->pasid[0];

	*word = add ? *word | value : (*word & 0xfff) | value;
}

static void flaw_entry(struct agree_case *c)
{
	unsigned at = level(c, c->leaf);
	uint64_t *entry = &c->entry[at];

	switch (c->flaw) {
	case FLAW_TOP_UNREADABLE:
		set_top(c, hole(c), false);
		break;
	case FLAW_TOP_BEYOND:
		set_top(c, beyond(c, 63), true);
		break;
	case FLAW_ENTRY_UNREADABLE:
		entry = &c->entry[level(c, c->leaf + 1)];
		*entry = (*entry & ~AGREE_MASK(51, 12)) | hole(c);
		break;
	case FLAW_ENTRY_ABSENT:
		*entry &= c->stage == AGREE_FIRST ? ~UINT64_C(1) : ~UINT64_C(3);
		break;
	case FLAW_ENTRY_RESERVED:
		*entry |= one_of(c, reserved(c, at));
		break;
	case FLAW_ENTRY_BEYOND:
		*entry |= beyond(c, 51);
		break;
	case FLAW_ENTRY_ALIGN:
		c->entry[c->leaf] |= one_of(c, AGREE_MASK(12 + 9 * (c->leaf - 1) - 1,
		                                          c->stage == AGREE_FIRST ? 13 : 12));
		break;
	case FLAW_ENTRY_SIZE:
		c->entry[c->levels] |= AGREE_BIT(7);
		break;
	case FLAW_ENTRY_SNOOP:
		c->entry[c->leaf] |= AGREE_BIT(11);
		break;
	case FLAW_ENTRY_NO_READ:
		*entry &= ~UINT64_C(1);
		break;
	case FLAW_ENTRY_NO_WRITE:
		*entry &= ~UINT64_C(2);
		break;
	case FLAW_ENTRY_NO_USER:
		*entry &= ~UINT64_C(4);
		break;
	case FLAW_ENTRY_NOT_ACCESSED:
		*entry &= ~AGREE_BIT(5);
		break;
	case FLAW_ENTRY_NOT_DIRTY:
		c->entry[c->leaf] &= ~AGREE_BIT(6);
		break;
	default: /* FLAW_TARGET_HOLE, FLAW_TARGET_INTERRUPT */
		entry = &c->entry[c->leaf];
		at = 12 + 9 * (c->leaf - 1);
		*entry &= ~AGREE_MASK(51, at);
		c->target = c->flaw == FLAW_TARGET_HOLE
		                    ? hole(c) | (c->target & 0xfff)
		                    : (UINT64_C(0xfee00000) | (c->target & 0xfff));
		/* Half of a 2 MiB page there is the range, half is beside it. */
		if (c->flaw == FLAW_TARGET_INTERRUPT && c->leaf == 2)
			c->address ^= agree_below(c, 2) ? AGREE_BIT(20) : 0;
		/* A large page is at the hole (or the range) with the address's own offset. */
		*entry |= c->target & AGREE_MASK(51, at);
		c->target = (*entry & AGREE_MASK(51, at)) | (c->address & (AGREE_BIT(at) - 1));
		break;
	}
}

static void flaw_address(struct agree_case *c)
{
	unsigned width = agree_width(c);

	if (c->flaw == FLAW_ADDRESS_BEYOND) {
		c->address ^= AGREE_BIT(width + agree_below(c, 64 - width));
		return;
	}
	c->bytes = 4; /* what an interrupt request is */
	c->address = UINT64_C(0xfee00000) | (agree_random(c) & 0xff000) | (c->address & 0xffc);
	/* No message of a format that would be remapped, were remapping on. */
	c->address &= ~UINT64_C(0x1c);
}

void agree_flaw_apply(struct agree_case *c)
{
	switch (subject(c->flaw)) {
	case ROOT:
		if (c->flaw == FLAW_NONE)
			return;
		if (c->flaw <= FLAW_CONTEXT_UNREADABLE)
			flaw_root(c);
		else
			flaw_context(c);
		break;
	case LEGACY:
		flaw_context(c);
		break;
	case ENTRY:
	case FIRST:
	case SECOND:
		flaw_entry(c);
		break;
	case ADDRESS:
		flaw_address(c);
		break;
	default:
		if (c->flaw < FLAW_DIRECTORY_UNREADABLE)
			flaw_context(c);
		else
			flaw_pasid(c);
		break;
	}
}
