/* SPDX-License-Identifier: MIT */
/*
 * What page-table entries have in common, whatever their format: places by level,
 * loads and stores that a page walker may race with, and runs of entries.
 *
 * Level 1 holds the smallest leaves (4 KiB); an entry of level n covers
 * 2^(9n + 3) bytes. Every store to a live entry is one untorn 64-bit store: x86
 * keeps stores in order, so release order costs nothing there, and it keeps the
 * compiler from moving the contents of a table past the entry that points to it.
 */
#ifndef IOMMU_PT_ENTRY_H
#define IOMMU_PT_ENTRY_H

#include "iommu/pt.h"

#define PT_INLINE      static inline __attribute__((always_inline))
#define PT_LIKELY(x)   __builtin_expect(!!(x), 1)
#define PT_UNLIKELY(x) __builtin_expect(!!(x), 0)

enum { PT_ENTRIES = 512, PT_GROUP = 16, PT_LEVEL_LIMIT = 5 };

/** Why a request is not translated; a format names the reason. */
enum pt_problem {
	PT_PROBLEM_WIDTH,    /* the address is beyond what the table translates */
	PT_PROBLEM_ABSENT,   /* an entry is not present */
	PT_PROBLEM_RESERVED, /* an entry has a reserved bit set */
	PT_PROBLEM_NO_READ,
	PT_PROBLEM_NO_WRITE,
	PT_PROBLEM_PRIVILEGED, /* a user request to a supervisor page */
	PT_PROBLEM_INTERRUPT,  /* the result lies in the interrupt window */
};

struct pt_verdict {
	uint16_t reason;
	const char *mnemonic, *text;
};

PT_INLINE unsigned pt_shift(unsigned level)
{
	assume(level >= 1 && level <= 5); /* init refuses other trees */
	return 9 * level + 3;
}

/** Bytes that an entry of @p level covers. */
PT_INLINE uint64_t pt_size(unsigned level)
{
	return UINT64_C(1) << pt_shift(level);
}

PT_INLINE unsigned pt_index(uint64_t at, unsigned level)
{
	return (unsigned)(at >> pt_shift(level)) % PT_ENTRIES;
}

/** What a present entry leads to was written before: a walk beside a map sees it. */
PT_INLINE uint64_t pt_load(const uint64_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

/** Make @p entry present: all that it leads to was written before. */
PT_INLINE void pt_publish(uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/** Make @p entry not present. */
PT_INLINE void pt_retract(uint64_t *entry)
{
	__atomic_store_n(entry, 0, __ATOMIC_RELEASE);
}

/** The entries of the table at physical address @p address. */
PT_INLINE uint64_t *pt_table(const struct pt *pt, uint64_t address)
{
	return (uint64_t *)(pt->os->direct_map + address);
}

/** What map is told by its rights that is none. */
#define PT_HOW ((uint32_t)(IOMMU_SMALL | IOMMU_BESIDE))

/** Is the table like most, so that the commonest calls can do without what others need: 4
 *  levels, lines cleaned by the processor if at all, nothing counted, and nothing gathered
 *  by map? */
PT_INLINE bool pt_is_usual(const struct pt *pt)
{
	uint32_t all;

	__builtin_memcpy(&all, &pt->levels, sizeof(all));
	return all == 4;
}

_Static_assert(offsetof(struct pt, gather_on_map) == offsetof(struct pt, levels) + 1 &&
                       offsetof(struct pt, counting) == offsetof(struct pt, levels) + 2 &&
                       offsetof(struct pt, hooked) == offsetof(struct pt, levels) + 3,
               "they are read as one");

PT_INLINE void pt_count_stores(struct pt *pt, uint64_t stores)
{
	if (PT_UNLIKELY(pt->counting))
		pt->stores += stores;
}

/** Make @p count entries visible to a unit that does not snoop: each of their cache
 *  lines is written back once, and before any later store. */
static __attribute__((noinline)) void pt_clean_run(struct pt *pt, const uint64_t *entry,
                                                   unsigned count)
{
	const uintptr_t mask = ~(uintptr_t)(ARCH_CACHE_LINE - 1);
	uintptr_t line = (uintptr_t)entry & mask, last = (uintptr_t)(entry + count - 1) & mask;

	if (PT_UNLIKELY(pt->counting))
		pt->cleans += (last - line) / ARCH_CACHE_LINE + 1;
	if (pt->os->clean) {
		pt->os->clean(pt->os->ctx, entry, count * sizeof(*entry));
	} else {
		for (; last - line >= 15 * ARCH_CACHE_LINE; line += 16 * ARCH_CACHE_LINE) {
			arch_clean_4_lines((const void *)line);
			arch_clean_4_lines((const void *)(line + 4 * ARCH_CACHE_LINE));
			arch_clean_4_lines((const void *)(line + 8 * ARCH_CACHE_LINE));
			arch_clean_4_lines((const void *)(line + 12 * ARCH_CACHE_LINE));
			if (last - line < 16 * ARCH_CACHE_LINE) {
				arch_write_barrier();
				return;
			}
		}
		for (; line <= last; line += ARCH_CACHE_LINE)
			arch_clean_line((const void *)line);
	}
	arch_write_barrier();
}

PT_INLINE void pt_clean(struct pt *pt, const uint64_t *entry, unsigned count)
{
	if (PT_LIKELY(count == 1 && !pt->os->clean)) { /* by far the most frequent */
		if (PT_UNLIKELY(pt->counting))
			pt->cleans++;
		arch_clean_line(entry);
		arch_write_barrier();
	} else if (count) {
		pt_clean_run(pt, entry, count);
	}
}

#define PT_REPEAT16(what)                                                                          \
	what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7) what(8) what(9) what(10)   \
		what(11) what(12) what(13) what(14) what(15)

/* Groups of entries are read by plain loads, which a compiler folds into the OR or
 * AND: one instruction an entry. Only hardware changes an entry at the same time,
 * and only its accessed and dirty flags. A race detector gets atomic loads. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1 /* gcc's name for it */
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define PT_GROUP_LOAD(entry) pt_load(&(entry))
#else
#define PT_GROUP_LOAD(entry) (entry)
#endif

/** The OR of a group of PT_GROUP entries. */
PT_INLINE uint64_t pt_group_or(const uint64_t *entry)
{
#define OR(i) | PT_GROUP_LOAD(entry[i])
	return 0 PT_REPEAT16(OR);
#undef OR
}

/** Clear the bits of @p mask in each of a group of PT_GROUP entries, indivisibly. */
PT_INLINE void pt_group_clear(uint64_t *entry, uint64_t mask)
{
#define CLEAR(i) __atomic_fetch_and(&entry[i], ~mask, __ATOMIC_RELAXED);
	PT_REPEAT16(CLEAR)
#undef CLEAR
}

/** The AND of a group of PT_GROUP entries. */
PT_INLINE uint64_t pt_group_and(const uint64_t *entry)
{
#define AND(i) &PT_GROUP_LOAD(entry[i])
	return ~UINT64_C(0) PT_REPEAT16(AND);
#undef AND
}

/** Is a bit of @p mask set in any of @p count entries? */
PT_INLINE bool pt_any(const uint64_t *entry, unsigned count, uint64_t mask)
{
	for (; count >= PT_GROUP; count -= PT_GROUP, entry += PT_GROUP)
		if (pt_group_or(entry) & mask)
			return true;
	for (; count; count--, entry++)
		if (pt_load(entry) & mask)
			return true;
	return false;
}

/* Fill and drain are where large maps and unmaps spend their time: PT_SPAN entries at once, by
 * two instructions each and one for what becomes of the next leaf. They are the same for all
 * formats and levels, so there is one copy of each. */
enum { PT_SPAN = 32 };
#define PT_REPEAT32(what)                                                                          \
	PT_REPEAT16(what)                                                                          \
	what(16) what(17) what(18) what(19) what(20) what(21) what(22) what(23) what(24) what(25)  \
		what(26) what(27) what(28) what(29) what(30) what(31)

_Static_assert(4 * ARCH_CACHE_LINE == PT_SPAN * sizeof(uint64_t), "a span is four lines");

/** Publish up to @p count leaves, each @p step more than the one before, where no bit of
 *  @p present is set yet. Returns how many: less than @p count if one of the next PT_SPAN
 *  entries is present. Check and store in one pass. @p clean: whole spans are cleaned, too, for
 *  pt_clean_rest() to complete. */
PT_INLINE unsigned pt_fill_spans(uint64_t *entry, unsigned count, uint64_t value, uint64_t step,
                                 uint64_t present, const bool clean)
{
	uint64_t *at = entry, *end = entry + (count & ~(PT_SPAN - 1u));

#define OR(i) | PT_GROUP_LOAD(at[i])
#define STORE(i)                                                                                   \
	__atomic_store_n(&at[i], value, __ATOMIC_RELAXED);                                         \
	value += step;
	for (; at != end; at += PT_SPAN) {
		if (PT_UNLIKELY((0 PT_REPEAT32(OR)) & present))
			return (unsigned)(at - entry);
		PT_REPEAT32(STORE)
		if (clean)
			arch_clean_4_lines(at);
	}
#undef STORE
#undef OR
	for (end = entry + count; at != end; at++, value += step) {
		if (PT_UNLIKELY(pt_load(at) & present))
			return (unsigned)(at - entry);
		__atomic_store_n(at, value, __ATOMIC_RELAXED);
	}
	return count;
}

/** Retract entries as long as all bits of @p all are set, @p count at most. Returns how many:
 *  less if one of the next PT_SPAN is different. @p clean as above. */
PT_INLINE unsigned pt_drain_spans(uint64_t *entry, unsigned count, uint64_t all, const bool clean)
{
	uint64_t *at = entry, *end = entry + (count & ~(PT_SPAN - 1u));

#define AND(i)     &PT_GROUP_LOAD(at[i])
#define RETRACT(i) __atomic_store_n(&at[i], 0, __ATOMIC_RELAXED);
	for (; at != end; at += PT_SPAN) {
		if (PT_UNLIKELY(~(~UINT64_C(0) PT_REPEAT32(AND)) & all))
			return (unsigned)(at - entry);
		PT_REPEAT32(RETRACT)
		if (clean)
			arch_clean_4_lines(at);
	}
#undef RETRACT
#undef AND
	for (end = entry + count; at != end; at++) {
		if (PT_UNLIKELY(~pt_load(at) & all))
			return (unsigned)(at - entry);
		__atomic_store_n(at, 0, __ATOMIC_RELAXED);
	}
	return count;
}

/** Of @p done entries that were changed, whole spans are clean but for a line in which they
 *  end: now that line, or what is more than whole spans. */
PT_INLINE void pt_clean_rest(struct pt *pt, const uint64_t *entry, unsigned done)
{
	const uint64_t *end = entry + done;
	const unsigned rest = done % PT_SPAN;

	if (PT_UNLIKELY(rest || (uintptr_t)end % ARCH_CACHE_LINE)) {
		if (rest > 1) {
			pt_clean_run(pt, end - rest, rest);
			return;
		}
		arch_clean_line(end - 1); /* (one too many if there is none) */
	}
	arch_write_barrier();
}

/** Are lines cleaned one by one, by the processor, and is nobody counting? */
PT_INLINE bool pt_cleans_quickly(const struct pt *pt)
{
	return !pt->coherent && !pt->hooked && !pt->counting;
}

/** Fill a table that nobody sees yet, so that there is nothing to check, and clean it if the
 *  table is not snooped. */
static __attribute__((noinline, unused)) void pt_fill_new(struct pt *pt, uint64_t *table,
                                                          uint64_t value, uint64_t step)
{
	const uint64_t *end = table + PT_ENTRIES;
	uint64_t *at = table;

#define STORE(i)                                                                                   \
	at[i] = value;                                                                             \
	value += step;
	if (PT_LIKELY(pt_cleans_quickly(pt))) {
		for (; at != end; at += PT_SPAN) {
			PT_REPEAT32(STORE)
			arch_clean_4_lines(at);
		}
		arch_write_barrier();
		return;
	}
	for (; at != end; at += PT_SPAN) {
		PT_REPEAT32(STORE)
	}
#undef STORE
	if (!pt->coherent)
		pt_clean_run(pt, table, PT_ENTRIES);
}

/** Publish leaves, as above, and clean them if the table is not snooped. */
static __attribute__((noinline, unused)) unsigned pt_fill(struct pt *pt, uint64_t *entry,
                                                          unsigned count, uint64_t value,
                                                          uint64_t step, uint64_t present)
{
	unsigned done;

	if (PT_LIKELY(pt_cleans_quickly(pt))) {
		done = pt_fill_spans(entry, count, value, step, present, true);
		pt_clean_rest(pt, entry, done);
		return done;
	}
	done = pt_fill_spans(entry, count, value, step, present, false);
	pt_count_stores(pt, done);
	if (!pt->coherent)
		pt_clean(pt, entry, done);
	return done;
}

/** Retract leaves, as above, and no more: they are neither counted nor cleaned. */
static __attribute__((noinline, unused)) unsigned pt_drain(uint64_t *entry, unsigned count,
                                                           uint64_t all)
{
	return pt_drain_spans(entry, count, all, false);
}

/** Put @p rights in words for a note. */
static inline const char *pt_rights_text(uint32_t rights)
{
	static const char *const text[] = {"no rights", "read-only", "write-only", "read-write"};

	return text[rights & (IOMMU_READ | IOMMU_WRITE)];
}

/** "4 KiB" and so on for an entry of @p level. */
static inline const char *pt_size_text(unsigned level)
{
	static const char *const text[] = {"?", "4 KiB", "2 MiB", "1 GiB", "512 GiB", "256 TiB"};

	return text[level <= PT_LEVEL_LIMIT ? level : 0];
}

#endif
