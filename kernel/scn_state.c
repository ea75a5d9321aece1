/* SPDX-License-Identifier: MIT */
/*
 * A scenario's names, descriptors and calls: what every command needs. Starting
 * opens /dev/iommu and takes a page of user memory for the calls' structures;
 * finishing gives all back in the order that the interface wants.
 */
#include "kernel/scn_state.h"

#include "iommu/string.h"

/* ---- output ---------------------------------------------------------------------- */

static void sink_write(struct iommu_print *self, const char *text, size_t bytes)
{
	struct scn_sink *sink = container_of(self, struct scn_sink, print);

	while (bytes) {
		size_t length = 0;
		while (length < bytes && text[length] != '\n')
			length++;
		if (!sink->in_line) {
			/* an empty line stays free of blanks at its end */
			iommu_printf(sink->to, "%s%*s", sink->prefix,
			             length ? (int)sink->indent : 0, "");
			sink->in_line = true;
		}
		if (length)
			sink->to->write(sink->to, text, length);
		if (length < bytes) {
			sink->to->write(sink->to, "\n", 1);
			sink->in_line = false;
			length++;
		}
		text += length;
		bytes -= length;
	}
}

void scn_sink_init(struct scn_sink *sink, struct iommu_print *to, const char *prefix)
{
	*sink = (struct scn_sink){.print = {.write = sink_write}, .to = to, .prefix = prefix};
}

void scn_broken(struct scn_result *result, const char *format, ...)
{
	va_list args;

	if (result->broken)
		return; /* the first reason is the cause */
	result->broken = true;
	va_start(args, format);
	iommu_vsnprintf(result->text, sizeof(result->text), format, args);
	va_end(args);
}

void scn_note(struct scn_result *result, const char *format, ...)
{
	va_list args;

	if (result->broken)
		return;
	va_start(args, format);
	iommu_vsnprintf(result->text, sizeof(result->text), format, args);
	va_end(args);
}

const char *scn_errno_text(int error, char out[24])
{
	const char *name = iommu_errno_name(error);
	if (name)
		return name;
	iommu_snprintf(out, 24, "error %d", error < 0 ? -error : error);
	return out;
}

/* ---- memory and calls ---------------------------------------------------------------- */

void *scn_alloc(struct scn *scn, size_t bytes)
{
	return scn->os->alloc(scn->os->ctx, bytes);
}

void scn_free(struct scn *scn, void *object, size_t bytes)
{
	scn->os->free(scn->os->ctx, object, bytes);
}

int scn_call(struct scn *scn, int fd, unsigned long command, void *structure, size_t bytes)
{
	struct user_memory *memory = scn->platform->memory;
	uint64_t user = scn->abi->start;

	if (bytes > SCN_ABI_DATA)
		return -EFAULT;
	int result = user_memory_copy_out(memory, user, structure, bytes);
	if (result)
		return result;
	result = ufd_ioctl(scn->platform->ufd, fd, command, user);
	int error = user_memory_copy_in(memory, structure, user, bytes);
	return error ? error : result;
}

uint64_t scn_call_data(const struct scn *scn)
{
	return scn->abi->start + SCN_ABI_DATA;
}

/* ---- objects ---------------------------------------------------------------------------- */

struct scn_object *scn_object_find(struct scn *scn, const char *name)
{
	for (struct scn_object *object = scn->objects; object; object = object->next)
		if (scn_same(object->name, name))
			return object;
	return NULL;
}

struct scn_object *scn_object_by_id(struct scn *scn, uint32_t id, unsigned kinds)
{
	for (struct scn_object *object = scn->objects; object; object = object->next)
		if (kinds & 1u << object->kind && object->id == id)
			return object;
	return NULL;
}

struct scn_object *scn_object_add(struct scn *scn, struct scn_result *result, const char *name,
                                  enum scn_kind kind)
{
	if (scn_object_find(scn, name)) {
		scn_broken(result, "the name \"%s\" is in use", name);
		return NULL;
	}
	struct scn_object *object = scn_alloc(scn, sizeof(*object));
	if (!object) {
		scn_broken(result, "no memory for the interpreter itself");
		return NULL;
	}
	iommu_snprintf(object->name, sizeof(object->name), "%s", name);
	object->kind = kind;
	object->fd = -1;
	object->next = scn->objects;
	scn->objects = object;
	return object;
}

void scn_object_remove(struct scn *scn, struct scn_object *object)
{
	for (struct scn_object **link = &scn->objects; *link; link = &(*link)->next) {
		if (*link == object) {
			*link = object->next;
			break;
		}
	}
	scn_free(scn, object->fetched, object->engine ? object->engine->ops->max_bytes : 0);
	scn_free(scn, object, sizeof(*object));
}

struct scn_object *scn_arg_object(struct scn *scn, const struct scn_line *line, unsigned slot,
                                  struct scn_result *result)
{
	struct scn_object *object = scn_object_find(scn, line->args[slot].text);
	if (!object)
		scn_broken(result, "there is no \"%s\" now: the line that makes it did not",
		           line->args[slot].text);
	return object;
}

uint32_t scn_arg_id(struct scn *scn, const struct scn_line *line, unsigned slot,
                    struct scn_result *result)
{
	if (line->args[slot].is_number) {
		uint64_t id = scn_arg_number(scn, line, slot, 0, result);
		if (id > UINT32_MAX || id == 0)
			scn_broken(result, "object ids are 1 to 0xffffffff");
		return (uint32_t)id;
	}
	struct scn_object *object = scn_arg_object(scn, line, slot, result);
	return object ? object->id : 0;
}

uint64_t scn_arg_number(struct scn *scn, const struct scn_line *line, unsigned slot,
                        uint64_t otherwise, struct scn_result *result)
{
	const struct scn_arg *arg = &line->args[slot];
	uint64_t value = arg->number;

	if (!arg->set)
		return otherwise;
	if (arg->variable) {
		struct scn_object *object = scn_object_find(scn, arg->variable);
		if (!object) {
			scn_broken(result, "\"%s\" has no value yet", arg->variable);
			return 0;
		}
		if (__builtin_add_overflow(value, object->number, &value)) {
			scn_broken(result, "\"%s\" does not fit in 64 bits", arg->text);
			return 0;
		}
	}
	return value;
}

void scn_arg_store(struct scn *scn, const struct scn_line *line, unsigned slot, uint64_t value,
                   struct scn_result *result)
{
	if (!line->args[slot].set)
		return;
	struct scn_object *object = scn_object_find(scn, line->args[slot].text);
	if (!object)
		object = scn_object_add(scn, result, line->args[slot].text, SCN_NUMBER);
	if (object)
		object->number = value;
}

/* ---- engines ---------------------------------------------------------------------------- */

static struct dma_engine *engine_usable(struct dma_engine *engine)
{
	while (engine && !(engine->pci->iommu && engine->pci->iommu->unit))
		engine = engine->next;
	return engine;
}

struct dma_engine *scn_engine_next(const struct scn_platform *platform, struct dma_engine *engine,
                                   bool mocks)
{
	struct dma_engine *lists[3] = {engine_usable(platform->engines)};

	if (mocks || !(lists[0] || platform->model_by_name))
		lists[1] = engine_usable(platform->model_engines);
	if (mocks || !(lists[0] || lists[1] || platform->mock_by_name))
		lists[2] = engine_usable(platform->mock_engines);
	unsigned list = 0;
	if (engine) {
		struct dma_engine *next = engine_usable(engine->next);
		uint16_t segment = engine->pci->iommu->unit->segment;
		if (next)
			return next;
		list = segment == UFD_MOCK_SEGMENT                              ? 3
		       : platform->model && segment == platform->model->segment ? 2
		                                                                : 1;
	}
	while (list < ARRAY_SIZE(lists) && !lists[list])
		list++;
	return list < ARRAY_SIZE(lists) ? lists[list] : NULL;
}

/* ---- life ---------------------------------------------------------------------------------- */

int scn_start(const struct scn_platform *platform, bool shell, struct scn **out)
{
	const struct iommu_os *os = platform->iommu->os;
	struct scn *scn = os->alloc(os->ctx, sizeof(*scn));

	if (!scn)
		return -ENOMEM;
	scn->platform = platform;
	scn->os = os;
	scn->shell = shell;
	scn->nest_any_before = platform->iommu->options.nest_any;
	scn_sink_init(&scn->out, platform->out, shell ? "" : "# ");
	int error = user_buffer_create(platform->memory, ".abi", PAGE_SIZE_4K, 0, 0, &scn->abi);
	if (!error) {
		error = ufd_open(platform->ufd);
		if (error >= 0) {
			scn->fd = error;
			*out = scn;
			return 0;
		}
		(void)!user_buffer_destroy(platform->memory, scn->abi);
	}
	os->free(os->ctx, scn, sizeof(*scn));
	return error;
}

/* Give back a buffer; false and a line if a pin holds it. */
static bool buffer_give_back(struct scn *scn, struct user_buffer *buffer, const char *name)
{
	uint64_t pinned = user_buffer_pinned(scn->platform->memory, buffer);

	if (user_buffer_destroy(scn->platform->memory, buffer) == 0)
		return true;
	iommu_printf(&scn->out.print,
	             "LEAK: every descriptor is closed, and %llu pages of buffer %s are still "
	             "pinned\n",
	             (unsigned long long)pinned, name);
	return false;
}

bool scn_finish(struct scn *scn)
{
	uint64_t pins, unpins;
	const struct iommu_os *os = scn->os;
	struct user_memory *memory = scn->platform->memory;
	bool clean = true;

	/* devices first: they use the HWPTs; then the objects all at once; then memory */
	for (struct scn_object *object = scn->objects; object; object = object->next)
		if (object->kind == SCN_DEVICE)
			scn_device_close(scn, object);
	for (struct scn_object *object = scn->objects; object; object = object->next)
		if (object->kind == SCN_FAULT_QUEUE)
			scn_fault_queue_close(scn, object);
	int error = ufd_close(scn->platform->ufd, scn->fd);
	if (error) {
		char name[24];
		iommu_printf(&scn->out.print, "LEAK: closing /dev/iommu: %s\n",
		             scn_errno_text(error, name));
		clean = false;
	}
	while (scn->objects) {
		struct scn_object *object = scn->objects;
		if (object->scratch &&
		    !buffer_give_back(scn, object->scratch, object->scratch->name))
			clean = false;
		if (object->buffer && !buffer_give_back(scn, object->buffer, object->name))
			clean = false;
		scn_object_remove(scn, object);
	}
	while (scn->mappings) {
		struct scn_mapping *mapping = scn->mappings;
		scn->mappings = mapping->next;
		scn_free(scn, mapping, sizeof(*mapping));
	}
	clean &= buffer_give_back(scn, scn->abi, "for the calls themselves");
	user_memory_pins(memory, &pins, &unpins);
	if (pins != unpins) {
		iommu_printf(&scn->out.print, "LEAK: %llu pages were pinned and %llu unpinned\n",
		             (unsigned long long)pins, (unsigned long long)unpins);
		memory->pins -= pins - unpins; /* said once */
		clean = false;
	}
	scn->platform->iommu->options.nest_any = scn->nest_any_before;
	if (scn->caches_changed)
		scn->platform->model->caches(scn->platform->model->ctx, SCN_CACHES_MADE);
	os->free(os->ctx, scn, sizeof(*scn));
	return clean;
}
