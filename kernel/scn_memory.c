/* SPDX-License-Identifier: MIT */
/*
 * Commands for buffers: making, filling, comparing. All go through user addresses,
 * so that a scattered buffer is used as a contiguous one is.
 */
#include "iommu/string.h"
#include "kernel/scn_handlers.h"

/* ---- patterns ---------------------------------------------------------------------------------- */

enum pattern { PATTERN_BYTE, PATTERN_COUNTING, PATTERN_RANDOM };

/* The byte at @p offset of the buffer: of a buffer's offset and not of the fill's, so
 * that `holds` may look at a part. */
static uint8_t pattern_byte(enum pattern pattern, uint64_t seed, uint64_t offset)
{
	uint64_t word;

	switch (pattern) {
	case PATTERN_BYTE:
		return (uint8_t)seed;
	case PATTERN_COUNTING: /* 32-bit numbers 0, 1, 2, ... plus the seed */
		return (uint8_t)((offset / 4 + seed) >> 8 * (offset % 4));
	case PATTERN_RANDOM: /* a mix of seed and position: no state to carry */
	default:
		word = (offset / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15) ^
		       (seed + 1) * UINT64_C(0xd1b54a32d192ed03);
		word = (word ^ word >> 31) * UINT64_C(0x94d049bb133111eb);
		return (uint8_t)((word ^ word >> 29) >> 8 * (offset % 8));
	}
}

struct span {
	struct scn_object *object;
	uint64_t offset, bytes;
};

/* Slots: buffer, offset, length. False, and broken, if they do not lie in the buffer. */
static bool span_take(struct scn *scn, const struct scn_line *line, unsigned buffer,
                      unsigned offset, unsigned length, struct scn_result *result, struct span *out)
{
	char size[24];

	out->object = scn_arg_object(scn, line, buffer, result);
	out->offset = scn_arg_number(scn, line, offset, 0, result);
	if (result->broken)
		return false;
	uint64_t all = out->object->buffer->bytes;
	out->bytes = scn_arg_number(scn, line, length, out->offset < all ? all - out->offset : 0,
	                            result);
	if (!result->broken && (out->offset > all || out->bytes > all - out->offset))
		scn_broken(result, "%#llx bytes at %#llx do not lie in %s of %s",
		           (unsigned long long)out->bytes, (unsigned long long)out->offset,
		           out->object->name, scn_size_text(all, size));
	return !result->broken;
}

/* The CPU's view of the span from @p done on, contiguous for *bytes. */
static uint8_t *span_at(struct scn *scn, const struct span *span, uint64_t done, uint64_t *bytes)
{
	*bytes = span->bytes - done;
	return user_memory_at(scn->platform->memory,
	                      span->object->buffer->start + span->offset + done, bytes);
}

/* ---- commands ------------------------------------------------------------------------------------ */

/* buffer NAME:buffer SIZE [align ALIGN] [scattered] */
SCN_HANDLER(buffer)
{
	uint64_t bytes = scn_arg_number(scn, line, 1, 0, result);
	uint64_t align = scn_arg_number(scn, line, 3, 0, result);
	bool scattered = line->args[4].set;
	char size[24];

	if (result->broken)
		return;
	struct scn_object *object = scn_object_add(scn, result, line->args[0].text, SCN_BUFFER);
	if (!object)
		return;
	result->error = user_buffer_create(scn->platform->memory, object->name, bytes, align,
	                                   scattered ? USER_SCATTERED : 0, &object->buffer);
	if (result->error) {
		object->buffer = NULL;
		scn_object_remove(scn, object);
		return;
	}
	const struct user_buffer *buffer = object->buffer;
	if (scattered)
		scn_note(result, "%s in %llu separate pages", scn_size_text(buffer->bytes, size),
		         (unsigned long long)buffer->run_count);
	else
		scn_note(result, "%s at physical %#llx%s", scn_size_text(buffer->bytes, size),
		         (unsigned long long)buffer->runs[0].start.value,
		         buffer->zeroed ? "" : ", not zeroed");
}

/* free BUF */
SCN_HANDLER(free)
{
	struct scn_object *object = scn_arg_object(scn, line, 0, result);

	if (!object)
		return;
	uint64_t pinned = user_buffer_pinned(scn->platform->memory, object->buffer);
	result->error = user_buffer_destroy(scn->platform->memory, object->buffer);
	if (result->error) {
		scn_note(result, "%llu pages pinned", (unsigned long long)pinned);
		return;
	}
	object->buffer = NULL;
	scn_object_remove(scn, object);
}

/* Slots 3 and 4 of fill and holds: BYTE|counting|random [SEED]. */
static enum pattern pattern_take(struct scn *scn, const struct scn_line *line, uint64_t *seed,
                                 struct scn_result *result)
{
	enum pattern pattern = (enum pattern)line->args[3].choice;

	*seed = scn_arg_number(scn, line, pattern == PATTERN_BYTE ? 3 : 4, 0, result);
	if (!result->broken && pattern == PATTERN_BYTE && *seed > 0xff)
		scn_broken(result, "a byte is 0 to 0xff");
	return pattern;
}

/* fill BUF OFF LEN BYTE|counting|random [SEED] */
SCN_HANDLER(fill)
{
	struct span span;
	uint64_t seed, bytes;

	if (!span_take(scn, line, 0, 1, 2, result, &span))
		return;
	enum pattern pattern = pattern_take(scn, line, &seed, result);
	for (uint64_t done = 0; done < span.bytes && !result->broken; done += bytes) {
		uint8_t *at = span_at(scn, &span, done, &bytes);
		if (pattern == PATTERN_BYTE)
			memset(at, (int)seed, bytes);
		else
			for (uint64_t i = 0; i < bytes; i++)
				at[i] = pattern_byte(pattern, seed, span.offset + done + i);
	}
}

static void verdict(struct scn_result *result, bool good, const char *yes, const char *no)
{
	result->has_value = true;
	result->word = good ? yes : no;
	result->value_bad = !good;
}

/* holds BUF OFF LEN BYTE|counting|random [SEED] */
SCN_HANDLER(holds)
{
	struct span span;
	uint64_t seed, bytes;
	bool good = true;

	if (!span_take(scn, line, 0, 1, 2, result, &span))
		return;
	enum pattern pattern = pattern_take(scn, line, &seed, result);
	for (uint64_t done = 0; done < span.bytes && !result->broken && good; done += bytes) {
		const uint8_t *at = span_at(scn, &span, done, &bytes);
		for (uint64_t i = 0; i < bytes && good; i++) {
			uint64_t offset = span.offset + done + i;
			uint8_t wanted = pattern_byte(pattern, seed, offset);
			good = at[i] == wanted;
			if (!good)
				scn_note(result, "0x%02x, not 0x%02x, at offset %#llx", at[i],
				         wanted, (unsigned long long)offset);
		}
	}
	verdict(result, good, "yes", "no");
}

/* compare BUF OFF BUF OFF LEN */
SCN_HANDLER(compare)
{
	struct span a, b;
	bool same = true;
	uint64_t step;

	if (!span_take(scn, line, 0, 1, 4, result, &a) ||
	    !span_take(scn, line, 2, 3, 4, result, &b))
		return;
	for (uint64_t done = 0; done < a.bytes && same; done += step) {
		uint64_t here, there;
		const uint8_t *left = span_at(scn, &a, done, &here);
		const uint8_t *right = span_at(scn, &b, done, &there);
		step = here < there ? here : there;
		if (memcmp(left, right, step) == 0)
			continue;
		uint64_t i = 0;
		while (left[i] == right[i])
			i++;
		same = false;
		scn_note(result, "0x%02x and 0x%02x, %#llx bytes in", left[i], right[i],
		         (unsigned long long)(done + i));
	}
	verdict(result, same, "same", "different");
}

/* A checksum of the whole buffer (FNV-1a over 64-bit words). */
static uint64_t checksum(struct scn *scn, struct scn_object *object)
{
	struct span span = {object, 0, object->buffer->bytes};
	uint64_t sum = UINT64_C(0xcbf29ce484222325), bytes, word;

	for (uint64_t done = 0; done < span.bytes; done += bytes) {
		const uint8_t *at = span_at(scn, &span, done, &bytes);
		for (uint64_t i = 0; i < bytes; i += sizeof(word)) { /* pages: no rest */
			memcpy(&word, at + i, sizeof(word));
			sum = (sum ^ word) * UINT64_C(0x100000001b3);
			sum ^= sum >> 32;
		}
	}
	return sum;
}

/* remember BUF */
SCN_HANDLER(remember)
{
	struct scn_object *object = scn_arg_object(scn, line, 0, result);

	if (!object)
		return;
	object->remembered = true;
	object->checksum = checksum(scn, object);
}

/* unchanged BUF */
SCN_HANDLER(unchanged)
{
	struct scn_object *object = scn_arg_object(scn, line, 0, result);

	if (!object)
		return;
	if (!object->remembered)
		scn_broken(result, "remember %s comes first", object->name);
	else
		verdict(result, checksum(scn, object) == object->checksum, "yes", "no");
}

/* dump BUF OFF [LEN] */
SCN_HANDLER(dump)
{
	struct span span;
	uint8_t row[16];

	if (!span_take(scn, line, 0, 1, 2, result, &span))
		return;
	if (!line->args[2].set && span.bytes > 128)
		span.bytes = 128;
	if (span.bytes > 4096)
		span.bytes = 4096;
	scn_listing(scn);
	for (uint64_t done = 0; done < span.bytes; done += sizeof(row)) {
		uint64_t bytes = span.bytes - done < sizeof(row) ? span.bytes - done : sizeof(row);
		uint64_t user = span.object->buffer->start + span.offset + done;
		result->error = user_memory_copy_in(scn->platform->memory, row, user, bytes);
		if (result->error)
			return;
		iommu_printf(&scn->out.print, "%08llx ", (unsigned long long)(span.offset + done));
		for (uint64_t i = 0; i < bytes; i++)
			iommu_printf(&scn->out.print, "%s%02x", i % 4 ? "" : " ", row[i]);
		iommu_printf(&scn->out.print, "\n");
	}
}

/* physical BUF OFF [-> NAME:number] */
SCN_HANDLER(physical)
{
	struct span span;
	pa_t at;

	if (!span_take(scn, line, 0, 1, SCN_ARGS - 1, result, &span))
		return;
	result->error = user_memory_physical(scn->platform->memory,
	                                     span.object->buffer->start + span.offset, &at);
	if (result->error)
		return;
	result->has_value = true;
	result->number = at.value;
	scn_arg_store(scn, line, 3, at.value, result);
}
