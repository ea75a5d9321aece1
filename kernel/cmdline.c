/* SPDX-License-Identifier: MIT */
/* The kernel's command line: see cmdline.h. A loader may put the image's own name
 * first (GRUB and UEFI shells do); a first word without '=' is taken for that. */
#include "kernel/cmdline.h"

#include "iommu/string.h"
#include "model/model.h"

static void complain(struct kernel_options *out, const char *what, const char *word, int length,
                     const char *wanted)
{
	unsigned at = out->complaint_count++;
	if (at < CMDLINE_MAX_COMPLAINTS)
		iommu_snprintf(out->complaints[at], CMDLINE_COMPLAINT,
		               "command line: %s '%.*s'; %s", what, length > 32 ? 32 : length, word,
		               wanted);
}

/* The index of value [text, text+length) in names, a list ended by NULL; -1 if absent. */
static int choice(const char *text, size_t length, const char *const *names)
{
	for (int i = 0; names[i]; i++) {
		size_t at = 0;
		while (at < length && names[i][at] && names[i][at] == text[at])
			at++;
		if (at == length && !names[i][at])
			return i;
	}
	return -1;
}

static bool key_is(const char *word, size_t length, const char *key)
{
	return choice(word, length, (const char *const[]){key, NULL}) == 0;
}

static void copy(char *to, size_t capacity, const char *from, size_t length)
{
	if (length >= capacity)
		length = capacity - 1;
	memcpy(to, from, length);
	to[length] = '\0';
}

static const char *const console_names[] = {"serial", "fb", "both", NULL};
static const char *const level_names[] = {"error", "warning", "info", "debug", NULL};
static const char *const mode_names[] = {"auto", "legacy", "scalable", "off", NULL};
static const char *const panic_names[] = {"halt", "reset", "exit", NULL};
static const char *const after_names[] = {"shell", "off", NULL};

static void word_parse(const char *word, size_t length, struct kernel_options *out)
{
	size_t key = 0;
	while (key < length && word[key] != '=')
		key++;
	const char *value = word + key + 1;
	size_t value_length = key < length ? length - key - 1 : 0;
	int picked = -1;
	const char *wanted = NULL;

	if (key_is(word, key, "scenario") && key < length) {
		if (value_length >= sizeof(out->scenario))
			complain(out, "too long:", word, (int)length, "127 characters fit");
		else
			copy(out->scenario, sizeof(out->scenario), value, value_length);
		return;
	}
	if (key_is(word, key, "bench")) {
		out->bench = value_length < sizeof(out->bench_stage);
		if (out->bench)
			copy(out->bench_stage, sizeof(out->bench_stage), value, value_length);
		else
			complain(out, "too long:", word, (int)length, "31 characters fit");
		return;
	}
	if (key_is(word, key, "smp") && key < length) {
		unsigned count = 0;
		bool good = value_length > 0 && value_length <= 3;
		for (size_t i = 0; i < value_length && good; i++) {
			good = value[i] >= '0' && value[i] <= '9';
			count = count * 10 + (unsigned)(value[i] - '0');
		}
		if (!good)
			complain(out, "wrong value", word, (int)length,
			         "smp= is a number of processors, 0 for all");
		out->smp_test = good;
		out->smp_processors = good ? count : 0;
		return;
	}
	if (key_is(word, key, "agree") && key < length) {
		if (value_length >= sizeof(out->agree))
			complain(out, "too long:", word, (int)length, "47 characters fit");
		else
			copy(out->agree, sizeof(out->agree), value, value_length);
		return;
	}
	if (key_is(word, key, "console")) {
		wanted = "console= is serial, fb or both";
		picked = choice(value, value_length, console_names);
		if (picked >= 0)
			copy(out->console, sizeof(out->console), value, value_length);
	} else if (key_is(word, key, "loglevel")) {
		wanted = "loglevel= is error, warning, info or debug";
		picked = choice(value, value_length, level_names);
		if (picked >= 0)
			out->loglevel = (enum iommu_log_level)picked;
	} else if (key_is(word, key, "vtd")) {
		wanted = "vtd= is auto, legacy, scalable or off";
		picked = choice(value, value_length, mode_names);
		out->vtd_off = picked == 3 || (picked < 0 && out->vtd_off);
		if (picked >= 0 && picked < 3)
			out->mode = (enum iommu_mode)picked;
	} else if (key_is(word, key, "model")) {
		wanted = "model= is a preset, as nesting; docs/model.md lists them";
		if (value_length > 0 && value_length < sizeof(out->model)) {
			char name[sizeof(out->model)];
			copy(name, sizeof(name), value, value_length);
			if (model_preset_find(name)) {
				copy(out->model, sizeof(out->model), value, value_length);
				picked = 0;
			}
		}
	} else if (key_is(word, key, "panic")) {
		wanted = "panic= is halt, reset or exit";
		picked = choice(value, value_length, panic_names);
		if (picked >= 0)
			out->panic = (enum panic_action)picked;
	} else if (key_is(word, key, "after")) {
		wanted = "after= is shell or off";
		picked = choice(value, value_length, after_names);
		if (picked >= 0)
			out->shell_after = picked == 0;
	} else {
		complain(out, "unknown word", word, (int)length,
		         "known: scenario after bench smp agree console loglevel vtd panic");
		return;
	}
	if (picked < 0)
		complain(out, "wrong value", word, (int)length, wanted);
}

void cmdline_parse(const char *text, struct kernel_options *out)
{
	*out = (struct kernel_options){
		.shell_after = true,
		.loglevel = IOMMU_LOG_INFO,
		.mode = IOMMU_MODE_AUTO,
		.panic = PANIC_HALT,
		.console = "both",
	};
	bool first = true;
	for (size_t at = 0; text[at];) {
		while (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n')
			at++;
		size_t end = at;
		bool has_value = false;
		while (text[end] && text[end] != ' ' && text[end] != '\t' && text[end] != '\r' &&
		       text[end] != '\n')
			has_value |= text[end++] == '=';
		bool image_name = first && !has_value &&
		                  (text[at] == '/' || text[at] == '\\' ||
		                   key_is(text + at, end - at, "nestor"));
		if (end > at && !image_name)
			word_parse(text + at, end - at, out);
		first = false;
		at = end;
	}
}
