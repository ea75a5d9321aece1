/* SPDX-License-Identifier: MIT */
/*
 * Words and numbers of the scenario language, and the pieces of its grammar.
 */
#include "iommu/string.h"
#include "kernel/scn_parse.h"

size_t scn_length(const char *text)
{
	size_t length = 0;
	while (text[length])
		length++;
	return length;
}

bool scn_same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

const char *scn_kind_name(enum scn_kind kind)
{
	static const char *const names[SCN_KINDS] = {
		[SCN_IOAS] = "IOAS",     [SCN_HWPT] = "HWPT",     [SCN_DEVICE] = "device",
		[SCN_BUFFER] = "buffer", [SCN_STAGE1] = "stage1", [SCN_FAULT_QUEUE] = "fault-queue",
		[SCN_NUMBER] = "number",
	};
	return names[kind];
}

const char *scn_kind_a(enum scn_kind kind)
{
	static const char *const names[SCN_KINDS] = {
		[SCN_IOAS] = "an IOAS",           [SCN_HWPT] = "a HWPT",
		[SCN_DEVICE] = "a device",        [SCN_BUFFER] = "a buffer",
		[SCN_STAGE1] = "a stage-1 table", [SCN_FAULT_QUEUE] = "a fault queue",
		[SCN_NUMBER] = "a number",
	};
	return names[kind];
}

/* ---- numbers ------------------------------------------------------------------------ */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static unsigned suffix_shift(char c)
{
	switch (c) {
	case 'K':
		return 10;
	case 'M':
		return 20;
	case 'G':
		return 30;
	case 'T':
		return 40;
	default:
		return 0;
	}
}

int scn_number_parse(const char *text, size_t length, uint64_t *out)
{
	uint64_t value = 0;
	unsigned base = 10, shift = 0;
	size_t at = 0;

	if (length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		at = 2;
	} else if (length > 1) {
		shift = suffix_shift(text[length - 1]);
		if (shift)
			length--;
	}
	if (at == length)
		return -EINVAL;
	for (size_t i = at; i < length; i++)
		if (digit_of(text[i]) >= (int)base)
			return -EINVAL;
	for (; at < length; at++)
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit_of(text[at]), &value))
			return -ERANGE;
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	*out = value << shift;
	return 0;
}

const char *scn_size_text(uint64_t bytes, char out[24])
{
	static const struct {
		unsigned shift;
		char letter;
	} units[] = {{40, 'T'}, {30, 'G'}, {20, 'M'}, {10, 'K'}};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (bytes && bytes % (UINT64_C(1) << units[i].shift) == 0 &&
		    bytes >> units[i].shift < 100000) {
			iommu_snprintf(out, 24, "%llu%c",
			               (unsigned long long)(bytes >> units[i].shift),
			               units[i].letter);
			return out;
		}
	}
	iommu_snprintf(out, 24, bytes < 1024 ? "%llu" : "%#llx", (unsigned long long)bytes);
	return out;
}

/* ---- grammar ------------------------------------------------------------------------- */

const char *scn_usage_next(const char **at, size_t *length)
{
	const char *start = *at;

	while (*start == ' ')
		start++;
	if (!*start)
		return NULL;
	size_t end = 1;
	if (*start != '[' && *start != ']')
		while (start[end] && start[end] != ' ' && start[end] != ']')
			end++;
	*length = end;
	*at = start + end;
	return start;
}

const char *scn_usage_text(const struct scn_command *command, char out[SCN_USAGE_BYTES])
{
	const char *usage = command->usage, *span;
	size_t length, at;
	bool blank = true;

	at = (size_t)iommu_snprintf(out, SCN_USAGE_BYTES, "%s", command->name);
	while (at < SCN_USAGE_BYTES && (span = scn_usage_next(&usage, &length))) {
		if (length > 5 && memcmp(span, "NAME:", 5) == 0)
			length = 4;
		at += (size_t)iommu_snprintf(out + at, SCN_USAGE_BYTES - at, "%s%.*s",
		                             blank && *span != ']' ? " " : "", (int)length, span);
		blank = *span != '[';
	}
	return out;
}

#define OBJECT(kind) (1u << (kind))

const struct scn_metavariable scn_metavariables[] = {
	{"IOAS", OBJECT(SCN_IOAS), .means = "an IOAS"},
	{"HWPT", OBJECT(SCN_HWPT), .means = "a HWPT"},
	{"PT", OBJECT(SCN_IOAS) | OBJECT(SCN_HWPT), .means = "an IOAS or a HWPT"},
	{"TABLE", OBJECT(SCN_HWPT) | OBJECT(SCN_DEVICE), .means = "a HWPT or an attached device"},
	{"OBJ", OBJECT(SCN_IOAS) | OBJECT(SCN_HWPT) | OBJECT(SCN_DEVICE) | OBJECT(SCN_FAULT_QUEUE),
         .means = "an IOAS, a HWPT, a device or a fault queue"},
	{"DEV", OBJECT(SCN_DEVICE), .means = "a device"},
	{"BUF", OBJECT(SCN_BUFFER), .means = "a buffer"},
	{"S1", OBJECT(SCN_STAGE1), .means = "a stage-1 table"},
	{"QUEUE", OBJECT(SCN_FAULT_QUEUE), .means = "a fault queue"},
	{"IOVA", .number = true, .means = "an address (IOVA)"},
	{"GPA", .number = true, .means = "an address in the parent's address space"},
	{"FROM", .number = true, .means = "an address (IOVA)"},
	{"TO", .number = true, .means = "an address (IOVA)"},
	{"OFF", .number = true, .means = "an offset"},
	{"LEN", .number = true, .means = "a length"},
	{"SIZE", .number = true, .means = "a size"},
	{"ALIGN", .number = true, .means = "an alignment"},
	{"FIRST", .number = true, .means = "the first address of a range"},
	{"LAST", .number = true, .means = "the last address of a range"},
	{"FLAGS", .number = true, .means = "a number of flag bits"},
	{"BYTE", .number = true, .means = "a byte value"},
	{"SEED", .number = true, .means = "a seed"},
	{"MS", .number = true, .means = "milliseconds"},
	{"PASID", .number = true, .means = "a PASID"},
	{"LEVELS", .number = true, .means = "a number of levels"},
	{"LEVEL", .number = true, .means = "a level (1: the last table)"},
	{"VALUE", .number = true, .means = "a 64-bit value"},
	{"US", .number = true, .means = "microseconds"},
	{"MAPPINGS", .number = true, .means = "a number of mappings"},
	{"BITS", .number = true, .means = "a number of bits"},
	{"COUNT", .number = true, .means = "a number of requests"},
	{"TYPE", .number = true, .means = "a type's number"},
	{"ENGINE", .word = true, .means = "the name of a DMA engine"},
	{"TEXT", .word = true, .means = "text"},
	{.name = NULL},
};

const struct scn_command *scn_command_find(const char *name)
{
	for (const struct scn_command *command = scn_commands; command->name; command++)
		if (scn_same(command->name, name))
			return command;
	return NULL;
}
