/* SPDX-License-Identifier: MIT */
/*
 * The DMAR parser over the tables of real machines (folder NESTOR_DATA/dmar, by default
 * ../shared/data): all agree with their index, and seeded corruptions of them are
 * refused or read safely.
 */
#include "tests/unit/dmar_blob.h"

/* ---- the tables of real machines --------------------------------------------------- */

struct row {
	char *file, *oddities;
	unsigned length, revision, width, flags, count[VTD_DMAR_TYPES], scopes;
	uint8_t *table;
	size_t bytes;
};

static struct row *rows;
static unsigned row_count;

static uint8_t *read_whole(const char *name, size_t *bytes)
{
	FILE *file = fopen(name, "rb");
	if (!file)
		return NULL;
	fseek(file, 0, SEEK_END);
	long length = ftell(file);
	bool known = length >= 0 && fseek(file, 0, SEEK_SET) == 0;
	uint8_t *data = known ? test_malloc((size_t)length + 1) : NULL;
	*bytes = data ? fread(data, 1, (size_t)length, file) : 0;
	fclose(file);
	if (data)
		data[*bytes] = 0;
	return data;
}

static char *next_field(char **line)
{
	static char line_end[1];
	char *start = *line, *tab = start ? strpbrk(start, "\t\n") : NULL;
	if (tab)
		*tab++ = 0;
	*line = tab;
	return start ? start : line_end;
}

/** Read the index and all tables, once. False, with the case skipped, if the data is
 *  not there; an index without its tables is a failure. */
static bool have_tables(void)
{
	static char *text, skip[600];
	const char *folder = getenv("NESTOR_DATA");
	char name[512];
	size_t bytes;

	if (rows)
		return true;
	snprintf(name, sizeof(name), "%s/dmar/index.tsv", folder ? folder : "../shared/data");
	text = (char *)read_whole(name, &bytes);
	if (!text) {
		snprintf(skip, sizeof(skip), "no real tables here: %s is absent (NESTOR_DATA)",
		         name);
		ktap_skip_reason = skip;
		return false;
	}
	unsigned lines = 0;
	for (char *c = text; *c; c++)
		lines += *c == '\n';
	rows = test_calloc(lines + 1, sizeof(*rows));
	char *line = strchr(text, '\n'); /* the first line names the columns */
	line = line ? line + 1 : NULL;
	while (line && *line) {
		char *end = strchr(line, '\n');
		struct row *row = &rows[row_count++];
		char *cursor = line;
		row->file = next_field(&cursor);
		row->length = (unsigned)strtoul(next_field(&cursor), NULL, 0);
		next_field(&cursor); /* checksum: right in every file */
		row->revision = (unsigned)strtoul(next_field(&cursor), NULL, 0);
		row->width = (unsigned)strtoul(next_field(&cursor), NULL, 0);
		row->flags = (unsigned)strtoul(next_field(&cursor), NULL, 0);
		for (unsigned i = 0; i < VTD_DMAR_TYPES; i++)
			row->count[i] = (unsigned)strtoul(next_field(&cursor), NULL, 0);
		row->scopes = (unsigned)strtoul(next_field(&cursor), NULL, 0);
		row->oddities = next_field(&cursor);
		snprintf(name, sizeof(name), "%s/dmar/%s", folder ? folder : "../shared/data",
		         row->file);
		row->table = read_whole(name, &row->bytes);
		if (!row->table)
			printf("# the index lists %s, which cannot be read\n", row->file);
		KTAP_CHECK(row->table != NULL);
		line = end ? end + 1 : NULL;
	}
	KTAP_CHECK(row_count > 50);
	return true;
}

/** Words of the index's `oddities` column, and the finding that must answer. */
static const struct {
	const char *words;
	int kind; /* -1: nothing that the bytes show */
} oddities[] = {
	{"bytes after the name terminator", VTD_DMAR_NOTE_ANDD_TAIL},
	{"not a multiple of 4", VTD_DMAR_NOTE_ANDD_LENGTH},
	{"RHSA for", VTD_DMAR_NOTE_RHSA_COUNT},
	{"HPET scopes", VTD_DMAR_NOTE_HPET_COUNT},
	{"DRHD register base 0", VTD_DMAR_DEFECT_UNIT_BASE},
	{"DRHD size field", VTD_DMAR_NOTE_WINDOW_SIZE},
	{"without scopes", VTD_DMAR_NOTE_UNIT_WITHOUT_SCOPE},
	{"INTR_REMAP is clear", VTD_DMAR_NOTE_IOAPIC_NO_REMAP},
	{"NUL in OEM id", VTD_DMAR_NOTE_OEM_ID},
	{"RMRR below 1 MiB", VTD_DMAR_NOTE_RMRR_LOW},
	{"device scope reserved byte", VTD_DMAR_NOTE_RESERVED},
	{"multi-hop scope path", VTD_DMAR_NOTE_MULTI_HOP},
	{"revision 2", VTD_DMAR_NOTE_REVISION},
	{"edited by the machine owner", -1},
};

/** One text of the column: count the findings it stands for. */
static void expect_oddity(const struct row *row, const char *text, unsigned *wanted)
{
	for (unsigned i = 0; i < ARRAY_SIZE(oddities); i++)
		if (strstr(text, oddities[i].words)) {
			const char *times = strstr(text, " (x");
			if (oddities[i].kind >= 0)
				wanted[oddities[i].kind] +=
					times ? (unsigned)strtoul(times + 3, NULL, 10) : 1;
			return;
		}
	printf("# %s: the test does not know the oddity \"%s\"\n", row->file, text);
	KTAP_FAIL("the test does not know the oddity");
}

static void check_row(const struct row *row)
{
	struct seen *seen = test_calloc(1, sizeof(*seen));
	struct vtd_dmar_options options = {.ctx = seen, .report = record};
	struct vtd_dmar dmar;
	unsigned wanted[VTD_DMAR_FINDINGS] = {0};

	int error = parse(row->table, row->bytes, &options, &dmar);
	if (error)
		printf("# %s refused at %#x: %s\n", row->file, (unsigned)dmar.error_offset,
		       dmar.error);
	KTAP_EQUAL(error, 0);
	KTAP_EQUAL(dmar.bytes, row->length);
	KTAP_EQUAL(dmar.revision, row->revision);
	KTAP_EQUAL(dmar.host_address_width, row->width);
	KTAP_EQUAL(dmar.flags, row->flags);
	KTAP_EQUAL(dmar.scopes, row->scopes);
	KTAP_EQUAL(dmar.unknown, 0);
	for (unsigned i = 0; i < VTD_DMAR_TYPES; i++)
		KTAP_EQUAL(dmar.count[i], row->count[i]);

	char *copy = strdup(row->oddities);
	for (char *text = strtok(copy, ";"); text; text = strtok(NULL, ";"))
		if (strcmp(text, "-") != 0)
			expect_oddity(row, text, wanted);
	free(copy);
	for (unsigned i = 0; i < VTD_DMAR_FINDINGS; i++)
		if (seen->count[i] != wanted[i]) {
			printf("# %s: %u findings of kind %u, wanted %u (index: %s); first: %s\n",
			       row->file, seen->count[i], i, wanted[i], row->oddities,
			       seen->text[i]);
			ktap_failed = true;
		}
	free(seen);
}

static void test_real_tables(void)
{
	if (!have_tables())
		return;
	unsigned counted = 0;
	for (unsigned i = 0; i < row_count; i++)
		if (rows[i].table) {
			check_row(&rows[i]);
			counted++;
		}
	printf("# %u tables of real machines agree with their index\n", counted);
}

/** Change some bytes, lengths first of all, and often repair the checksum. */
static void corrupt(uint8_t *table, size_t bytes, uint64_t *random)
{
	static const uint8_t favourites[] = {0, 1, 2, 4, 5, 6, 7, 8, 9, 16, 24, 0x7f, 0xfe, 0xff};
	unsigned changes = 1 + (unsigned)(test_random(random) % 6);

	for (unsigned i = 0; i < changes; i++) {
		size_t at = test_random(random) % bytes;
		if (test_random(random) % 16 == 0)
			at = 4 + test_random(random) % 2; /* the table's length */
		else if (bytes > 60 && test_random(random) % 3 == 0)
			at = 48 + test_random(random) % 8; /* the first structure's head */
		if (at >= bytes)
			continue;
		uint64_t value = test_random(random);
		table[at] = value % 2 ? favourites[value / 2 % ARRAY_SIZE(favourites)]
		                      : (uint8_t)(value >> 8);
	}
	if (bytes >= 10 && test_random(random) % 8) {
		uint32_t length = table[4] | (uint32_t)table[5] << 8 | (uint32_t)table[6] << 16 |
		                  (uint32_t)table[7] << 24;
		if (length >= 10 && length <= bytes)
			fix_checksum(table, length);
	}
}

static void corruptions(uint8_t *(*table_of)(unsigned n, size_t *bytes), unsigned tables)
{
	uint64_t random = 0x646d6172;
	unsigned refused = 0, accepted = 0, by_checksum = 0;

	for (unsigned n = 0; n < 4000; n++) {
		size_t bytes, sink_bytes = 0;
		struct vtd_dmar dmar;
		struct seen *seen = test_calloc(1, sizeof(*seen));
		struct vtd_dmar_options options = {
			.ctx = seen, .report = record, .has_segment = segment_is_0_or_1};
		const uint8_t *good = table_of(n % tables, &bytes);
		size_t kept = test_random(&random) % 8 ? bytes : test_random(&random) % (bytes + 1);
		uint8_t *bad = test_malloc(kept + 1);
		memcpy(bad, good, kept);
		if (kept)
			corrupt(bad, kept, &random);
		if (parse(bad, kept, &options, &dmar) == 0) {
			struct iommu_print sink = {swallow, &sink_bytes};
			vtd_dmar_print(&dmar, &sink);
			KTAP_EQUAL(dmar.notes + dmar.defects, seen->total);
			accepted++;
		} else {
			refused++;
			by_checksum += dmar.error_offset == 9;
		}
		free(seen);
		free(bad);
	}
	printf("# 4000 corruptions: %u refused (%u by checksum), %u read safely\n", refused,
	       by_checksum, accepted);
	/* both sides must be reached, and mostly past the checksum */
	KTAP_CHECK(refused - by_checksum > 500 && accepted > 500);
}

static uint8_t *real_table(unsigned n, size_t *bytes)
{
	*bytes = rows[n].bytes;
	return rows[n].table;
}

static void test_real_corruptions(void)
{
	if (have_tables())
		corruptions(real_table, row_count);
}

static uint8_t *built_table(unsigned n, size_t *bytes)
{
	static struct blob blob;
	(void)n;
	build_full(&blob);
	uint32_t at = add_flagged(&blob, VTD_DMAR_SIDP, 0, 0);
	add_scope1(&blob, at, VTD_SCOPE_ENDPOINT, 0, 0, 2, 0);
	blob_finish(&blob);
	*bytes = blob.length;
	return blob.bytes;
}

static void test_built_corruptions(void)
{
	corruptions(built_table, 1);
}

static const struct ktap_case cases[] = {
	{"tables of real machines agree with their index", test_real_tables},
	{"corrupted tables of real machines are refused or read safely", test_real_corruptions},
	{"corrupted built tables are refused or read safely", test_built_corruptions},
};
KTAP_MAIN(cases)
