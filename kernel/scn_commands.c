/* SPDX-License-Identifier: MIT */
/*
 * Every command: its grammar (see scn_parse.h), what it is for, what it may promise.
 * `help` and completion are made from this table, docs/scenarios.md follows it.
 */
#include "iommu/string.h"
#include "kernel/scn_handlers.h"

#define STORY   "Story"
#define BUFFERS "Memory"
#define OBJECTS "Address spaces and tables (/dev/iommu)"
#define STAGE1  "Nested translation"
#define DEVICES "Devices"
#define LOOKING "Looking"

const struct scn_command scn_commands[] = {
	/* ---- story ---- */
	{"step", "TEXT", STORY, "Begin a step: one test point, named by the text.", SCN_IS_STEP,
         NULL, scn_do_nothing},
	{"say", "[TEXT]", STORY, "Print the text.", SCN_IS_SAY, NULL, scn_do_say},
	{"need", "CONDITION [and CONDITION] ...", STORY,
         "Skip the rest of the step if a condition is not met; in front of the first step,\n"
         "the whole scenario. Conditions, each with or without \"not\": legacy, scalable,\n"
         "first-stage, second-stage, nests, dirty-tracking, passthrough, mock, model, hardware,\n"
         "engine copy|fetch|store|fast|pasid|ats|pages, page SIZE, memory SIZE, reach ADDRESS, "
         "have NAME.\n"
         "\"if CONDITION [and CONDITION] ...: command\" runs one command on a condition.",
         SCN_IS_NEED, NULL, scn_do_nothing},
	{"wait", "MS", STORY, "Wait this many milliseconds.", 0, NULL, scn_do_wait},
	/* ---- memory ---- */
	{"buffer", "NAME:buffer SIZE [align ALIGN] [scattered]", BUFFERS,
         "Make a buffer of user memory: one physical run, aligned to its size; or scattered,\n"
         "in single pages that are nowhere neighbours. Zeroed if smaller than 1G.",
         0, NULL, scn_do_buffer},
	{"free", "BUF", BUFFERS, "Give a buffer back. EBUSY while any page of it is mapped.",
         SCN_FORGETS, NULL, scn_do_free},
	{"fill", "BUF OFF LEN BYTE|counting|random [SEED]", BUFFERS,
         "Write a pattern: one byte value, numbers that count up, or random numbers by seed.", 0,
         NULL, scn_do_fill},
	{"holds", "BUF OFF LEN BYTE|counting|random [SEED]", BUFFERS,
         "Does memory hold the pattern that fill would write?", SCN_TAKES_VALUE, "yes no",
         scn_do_holds},
	{"compare", "BUF OFF BUF OFF LEN", BUFFERS, "Compare two pieces of memory.",
         SCN_TAKES_VALUE, "same different", scn_do_compare},
	{"remember", "BUF", BUFFERS, "Take a checksum of a buffer for `unchanged`.", 0, NULL,
         scn_do_remember},
	{"unchanged", "BUF", BUFFERS, "Is the buffer as it was when it was remembered?",
         SCN_TAKES_VALUE, "yes no", scn_do_unchanged},
	{"dump", "BUF OFF [LEN]", BUFFERS, "Show memory in hex (128 bytes unless told).", 0, NULL,
         scn_do_dump},
	{"physical", "BUF OFF [-> NAME:number]", BUFFERS,
         "Show, and keep as a variable, the physical address behind an offset.", SCN_TAKES_VALUE,
         "NUM", scn_do_physical},
	/* ---- objects ---- */
	{"ioas", "NAME:IOAS", OBJECTS, "Make an IO address space (IOMMU_IOAS_ALLOC).", 0, NULL,
         scn_do_ioas},
	{"map", "IOAS any|IOVA BUF [OFF] [LEN] [ro|rw|wo] [-> NAME:number]", OBJECTS,
         "Map a buffer, or a part of it, at an address or at any (IOMMU_IOAS_MAP). The address\n"
         "can be kept as a variable.",
         0, NULL, scn_do_map},
	{"copy", "IOAS any|IOVA from IOAS IOVA LEN [ro|rw|wo] [-> NAME:number]", OBJECTS,
         "Map what another IOAS has mapped (IOMMU_IOAS_COPY).", 0, NULL, scn_do_copy},
	{"unmap", "IOAS all|IOVA [LEN]", OBJECTS,
         "Unmap whole mappings (IOMMU_IOAS_UNMAP); without a length, the one that starts there.", 0,
         NULL, scn_do_unmap},
	{"ranges", "IOAS", OBJECTS,
         "Show the ranges that may be mapped (IOMMU_IOAS_IOVA_RANGES); promises their number.",
         SCN_TAKES_VALUE, "NUM", scn_do_ranges},
	{"allow", "IOAS none|FIRST [LAST] [FIRST LAST] [FIRST LAST]", OBJECTS,
         "Restrict `map IOAS any` to ranges, or lift that (IOMMU_IOAS_ALLOW_IOVAS).", 0, NULL,
         scn_do_allow},
	{"option", "nest-any|huge-pages|process-accounting on|off [for IOAS]", OBJECTS,
         "nest-any: grant NEST_PARENT on hardware that cannot nest, marked so.\n"
         "huge-pages: of one IOAS; process-accounting: of all (IOMMU_OPTION).",
         0, NULL, scn_do_option},
	{"defer", "IOAS MAPPINGS [within US]", OBJECTS,
         "Let devices go on with what was unmapped, until that is so many mappings, or so many\n"
         "microseconds after the first (10000 unless told); 0: strict (IOMMU_OPTION, of\n"
         "ufd/nestor.h).",
         0, NULL, scn_do_defer},
	{"hwpt",
         "NAME:HWPT on PT for DEV [nest-parent] [dirty-tracking] [pasid] [flags FLAGS]"
         " [stage1 S1] [width BITS] [sre] [eafe] [wpe] [fault-queue QUEUE]",
         OBJECTS,
         "Make a hardware page table for a device (IOMMU_HWPT_ALLOC): the driver's\n"
         "domain_alloc_user decides its format. On a nest parent, with the scenario's own\n"
         "stage-1 table: a nested one. Page requests go to the fault queue.",
         0, NULL, scn_do_hwpt},
	{"destroy", "OBJ", OBJECTS, "Destroy an object (IOMMU_DESTROY). EBUSY while it is used.",
         SCN_FORGETS, NULL, scn_do_destroy},
	{"dirty", "HWPT on|off", OBJECTS,
         "Begin, with all pages clean, or end to note which pages devices write\n"
         "(IOMMU_HWPT_SET_DIRTY_TRACKING); the HWPT was made with dirty-tracking.",
         0, NULL, scn_do_dirty},
	{"dirty-pages", "HWPT IOVA LEN [no-clear]", OBJECTS,
         "Show which pages were written, and make them clean (IOMMU_HWPT_GET_DIRTY_BITMAP);\n"
         "promises how many of 4K.",
         SCN_TAKES_VALUE, "NUM", scn_do_dirty_pages},
	/* ---- nested translation ---- */
	{"stage1", "NAME:stage1 in BUF [at GPA] [levels LEVELS]", STAGE1,
         "Make an empty first-stage table in a buffer, as a guest would. GPA is where the\n"
         "parent maps the buffer; left out, where it is mapped. 4 levels unless told.",
         0, NULL, scn_do_stage1},
	{"stage1-map", "S1 IOVA to GPA LEN [page SIZE] [ro|rw] [supervisor]", STAGE1,
         "Write entries that lead to the parent's address GPA, in pages of 4K and 2M, or of\n"
         "SIZE. For user requests too, unless supervisor.",
         0, NULL, scn_do_stage1_map},
	{"stage1-unmap", "S1 IOVA [LEN]", STAGE1,
         "Clear entries; without a length, the page that starts there. Nobody is told: see\n"
         "invalidate.",
         0, NULL, scn_do_stage1_unmap},
	{"stage1-entry", "S1 IOVA LEVEL [VALUE] [-> NAME:number]", STAGE1,
         "Show one raw entry, or write it: anything.", SCN_TAKES_VALUE, "NUM", scn_do_stage1_entry},
	{"stage1-marks", "S1 IOVA [clear]", STAGE1,
         "What has the hardware marked in the page's entry? And clear both flags.", SCN_TAKES_VALUE,
         "none accessed dirty", scn_do_stage1_marks},
	{"stage1-show", "S1", STAGE1, "Show every entry of the table.", 0, NULL,
         scn_do_stage1_show},
	{"invalidate",
         "HWPT all|IOVA [LEN] [IOVA LEN] [IOVA LEN] [leaf] [flags FLAGS] [type TYPE]"
         " [done COUNT]",
         STAGE1,
         "Tell what was changed in a nested table (IOMMU_HWPT_INVALIDATE), in up to three\n"
         "requests; leaf: no table was. Promises how many were done; so does done, also if\n"
         "the call fails.",
         SCN_TAKES_VALUE, "NUM", scn_do_invalidate},
	{"fault-queue", "NAME:fault-queue", STAGE1,
         "Make a queue of page requests (IOMMU_FAULT_QUEUE_ALLOC).", 0, NULL, scn_do_fault_queue},
	{"pages", "QUEUE", STAGE1, "Read the page requests that came in; promises their number.",
         SCN_TAKES_VALUE, "NUM", scn_do_pages},
	{"answer", "QUEUE success|invalid [VALUE]", STAGE1,
         "Answer every group of requests that was read, or the one with this cookie.", 0, NULL,
         scn_do_answer},
	{"resume", "DEV", STAGE1, "The device goes on with a transfer that waits for an answer.",
         SCN_TAKES_FAULT | SCN_TAKES_VALUE, "waits refused", scn_do_resume},
	/* ---- devices ---- */
	{"device",
         "NAME:device [any] [copy] [fetch] [store] [fast] [pasid] [ats] [pages] [named ENGINE]",
         DEVICES,
         "Open and bind a device that can make DMA, by what it shall be able to do, or by name.", 0,
         NULL, scn_do_device},
	{"close", "DEV", DEVICES, "Close the device: detached, unbound, blocked.", SCN_FORGETS,
         NULL, scn_do_close},
	{"attach", "DEV PT [pasid PASID]", DEVICES,
         "Attach to a HWPT, or to an IOAS (a HWPT is made or found); or one PASID alone.", 0, NULL,
         scn_do_attach},
	{"replace", "DEV PT [pasid PASID]", DEVICES,
         "Attach an attached device, or PASID, to another table at once.", 0, NULL, scn_do_replace},
	{"detach", "DEV [pasid PASID]", DEVICES, "Detach: every access is blocked.", 0, NULL,
         scn_do_detach},
	{"passthrough", "DEV on|off", DEVICES,
         "Let the device use physical addresses, past iommufd; or take it back.", 0, NULL,
         scn_do_passthrough},
	{"dma", "DEV fetch|store IOVA [LEN] [pasid PASID] [privileged] [ats] [ask]", DEVICES,
         "The device reads memory into itself, or writes what it holds. Memory is checked.\n"
         "Without a length: one transfer, of 4K or what the device can.\n"
         "ats: by translations that the device asks for and keeps; ask: for pages too.\n"
         "Promises ok, or fault REASON (see help faults).",
         SCN_TAKES_FAULT | SCN_TAKES_VALUE, "waits refused", scn_do_dma},
	{"move", "DEV from FROM to TO [LEN] [pasid PASID] [privileged] [ats]", DEVICES,
         "The device reads in one place and writes in another, piece by piece; memory is\n"
         "compared. A device that writes data of its own only does that.",
         SCN_TAKES_FAULT, NULL, scn_do_move},
	{"window", "DEV IOVA [MS]", DEVICES,
         "The device reads (or writes, if that is all it can), over and over, until it is "
         "blocked:\n"
         "shows how long it was not. Open: it never was, in this many milliseconds (1000 unless\n"
         "told).",
         SCN_TAKES_VALUE, "open closed", scn_do_window},
	/* ---- looking ---- */
	{"format", "TABLE", LOOKING, "Show a table's format, by name.", SCN_TAKES_VALUE,
         "first-stage second-stage nested identity blocked", scn_do_format},
	{"nestable", "TABLE", LOOKING, "Can the hardware nest on this table?", SCN_TAKES_VALUE,
         "yes no", scn_do_nestable},
	{"page-size", "TABLE IOVA", LOOKING, "Show the size of the page that maps an address.",
         SCN_TAKES_VALUE, "NUM none", scn_do_page_size},
	{"rights", "TABLE IOVA", LOOKING, "Show the rights of the page that maps an address.",
         SCN_TAKES_VALUE, "ro rw wo none", scn_do_rights},
	{"walk", "DEV IOVA [read|write] [pasid PASID]", LOOKING,
         "Walk the tables in memory as the hardware would for this device, from the root on.",
         SCN_TAKES_VALUE, "translated blocked", scn_do_walk},
	{"tables", "TABLE", LOOKING, "Show all that a table maps, neighbours merged.", 0, NULL,
         scn_do_tables},
	{"units", "", LOOKING, "List the IOMMU units.", 0, NULL, scn_do_units},
	{"caps", "", LOOKING, "Show each unit's registers and capabilities, decoded.", 0, NULL,
         scn_do_caps},
	{"info", "DEV", LOOKING, "Show hardware information (IOMMU_GET_HW_INFO).", 0, NULL,
         scn_do_info},
	{"devices", "", LOOKING, "List the devices.", 0, NULL, scn_do_devices},
	{"engines", "", LOOKING, "List the devices that can be told to make DMA.", 0, NULL,
         scn_do_engines},
	{"groups", "", LOOKING, "List the groups: devices that cannot be told apart.", 0, NULL,
         scn_do_groups},
	{"objects", "", LOOKING, "List all objects and names.", 0, NULL, scn_do_objects},
	{"faults", "[DEV]", LOOKING,
         "Show the last faults, all or a device's; promises their number. After dma and move,\n"
         "\"=> fault REASON\" takes a reason's number (0x5), its name (LGN.2), any, or a class:\n"
         "not-mapped, no-write, no-read, blocked (by no table at all), too-wide; nested:\n"
         "not-mapped-first, not-mapped-second; supervisor-only.",
         SCN_TAKES_VALUE, "NUM", scn_do_faults},
	{"steps", "DEV [first|second] [formula LEVELS LEVELS] [-> NAME:number]", LOOKING,
         "How many table entries the model read for its last DMA, all or of one stage. formula:\n"
         "it must be n + m * (n + 1), with m levels of the first stage and n of the second.",
         SCN_TAKES_VALUE, "NUM", scn_do_steps},
	{"caches", "on|keep|off", LOOKING,
         "The model's caches remember; keep: until they are told to forget, whatever the model's\n"
         "own manner; off: they drop all that they hold and remember nothing.",
         0, NULL, scn_do_caches},
	{"audit", "", LOOKING,
         "Let the model compare all that it remembers with memory. Any line fails if the\n"
         "model reports a mistake, unless it promises just that: => stale, for example.",
         0, NULL, scn_do_audit},
	{"counts", "", LOOKING, "Show what the model has counted.", 0, NULL, scn_do_counts},
	{"stats", "", LOOKING, "Show counts of invalidations and register accesses.", 0, NULL,
         scn_do_stats},
	{"memory", "", LOOKING, "Show memory and buffers.", 0, NULL, scn_do_memory},
	{.name = NULL},
};

/* ---- help --------------------------------------------------------------------------------- */

static void command_help(struct iommu_print *to, const struct scn_command *command)
{
	const char *text = command->help;
	char usage[SCN_USAGE_BYTES];

	iommu_printf(to, "%s", scn_usage_text(command, usage));
	if (command->flags & SCN_TAKES_FAULT)
		iommu_printf(to, " [=> ok|fault REASON]");
	if (command->values)
		iommu_printf(to, " [=> %s]", command->values);
	iommu_printf(to, "\n");
	while (*text) {
		size_t length = 0;
		while (text[length] && text[length] != '\n')
			length++;
		iommu_printf(to, "    %.*s\n", (int)length, text);
		text += length + (text[length] == '\n');
	}
}

bool scn_help(struct iommu_print *to, const char *name)
{
	const char *group = NULL;
	size_t column = 0;

	if (name) {
		const struct scn_command *command =
			scn_command_find(scn_same(name, "if") ? "need" : name);
		if (command)
			command_help(to, command);
		return command;
	}
	for (const struct scn_command *command = scn_commands; command->name; command++) {
		if (!group || !scn_same(group, command->group)) {
			iommu_printf(to, "%s%s:\n ", group ? "\n" : "", command->group);
			group = command->group;
			column = 1;
		}
		if (column + scn_length(command->name) + 1 > 78) {
			iommu_printf(to, "\n ");
			column = 1;
		}
		iommu_printf(to, " %s", command->name);
		column += scn_length(command->name) + 1;
	}
	iommu_printf(to, "\n");
	return true;
}

/* ---- completion --------------------------------------------------------------------------- */

static void emit_span(void (*emit)(void *arg, const char *text), void *arg, const char *span,
                      size_t length)
{
	char word[32];

	if (length == 0 || length >= sizeof(word) || (span[0] >= 'A' && span[0] <= 'Z') ||
	    span[0] == '[' || span[0] == ']' || span[0] == '.')
		return;
	memcpy(word, span, length);
	word[length] = 0;
	emit(arg, word);
}

/* Each a of a|b|C that is a literal. */
static void emit_element(void (*emit)(void *arg, const char *text), void *arg, const char *span,
                         size_t length)
{
	for (size_t start = 0; start <= length;) {
		size_t end = start;
		while (end < length && span[end] != '|')
			end++;
		emit_span(emit, arg, span + start, end - start);
		start = end + 1;
	}
}

void scn_complete(const struct scn *scn, const char *line, size_t word,
                  void (*emit)(void *arg, const char *text), void *arg)
{
	const struct scn_command *command = NULL;
	bool promise = false;
	size_t at = 0, length;
	char name[24];

	while (line[at] == ' ')
		at++;
	if (at >= word) {
		for (command = scn_commands; command->name; command++)
			if (!(command->flags & (SCN_IS_STEP | SCN_IS_NEED)))
				emit(arg, command->name);
		emit(arg, "if");
		return;
	}
	for (length = 0; line[at + length] && line[at + length] != ' '; length++)
		;
	if (length < sizeof(name)) {
		memcpy(name, line + at, length);
		name[length] = 0;
		command = scn_command_find(name);
	}
	for (size_t i = at; i + 1 < word; i++)
		promise |= line[i] == '=' && line[i + 1] == '>';
	const char *usage = command ? promise ? command->values : command->usage : NULL, *span;
	if (promise) {
		emit(arg, "ok");
		if (command && command->flags & SCN_TAKES_FAULT) {
			emit(arg, "fault");
			for (unsigned i = 0; scn_fault_class(i); i++)
				emit(arg, scn_fault_class(i));
		}
	}
	while (usage && (span = scn_usage_next(&usage, &length)))
		emit_element(emit, arg, span, length);
	if (promise)
		return;
	for (const struct scn_object *object = scn->objects; object; object = object->next)
		emit(arg, object->name);
}
