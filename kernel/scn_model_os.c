/* SPDX-License-Identifier: MIT */
/*
 * The hooks that a core on the model has: those of its surroundings, with memory told to
 * the model, time that it sees pass, its register window, and its messages. See
 * scn_model.h.
 */
#include "iommu/string.h"
#include "kernel/scn_model.h"

enum {
	TURN_NS = 10000, /* own time: what one turn of a wait takes */
	LOOK_NS = 50,    /* own time: what reading the clock takes */
	/* Where messages that no hook below makes are sent: the processor's interrupt range. */
	MESSAGE_ADDRESS = 0xfee00000,
	MESSAGE_DATA = 0x40,
};

static struct model_platform *platform_of(void *ctx)
{
	return ctx;
}

void model_platform_lock(struct model_platform *platform)
{
	platform->base->lock(platform->base->ctx, &platform->lock);
}

void model_platform_unlock(struct model_platform *platform)
{
	platform->base->unlock(platform->base->ctx, &platform->lock);
}

/* ---- hooks: memory --------------------------------------------------------------------- */

static int page_alloc_hook(void *ctx, unsigned order, pa_t *out)
{
	struct model_platform *platform = platform_of(ctx);
	const struct iommu_os *base = platform->base;
	pa_t run;

	int error = base->page_alloc(base->ctx, order, &run);
	if (error)
		return error;
	model_platform_lock(platform);
	error = model_run_add(platform, run, order, true);
	model_platform_unlock(platform);
	if (error)
		base->page_free(base->ctx, run, order);
	else
		*out = run;
	return error;
}

static void page_free_hook(void *ctx, pa_t run, unsigned order)
{
	struct model_platform *platform = platform_of(ctx);

	model_platform_lock(platform);
	bool known = model_run_remove(platform, run);
	model_platform_unlock(platform);
	if (!known)
		iommu_log(platform->base, IOMMU_LOG_ERROR,
		          "page_free(%#llx): no page of the model platform starts there",
		          (unsigned long long)run.value);
	platform->base->page_free(platform->base->ctx, run, order);
}

static int backing_alloc(void *ctx, unsigned order, pa_t *out)
{
	struct model_platform *platform = platform_of(ctx);
	const struct user_backing *backing = platform->base_backing;
	pa_t run;

	int error = backing->alloc(backing->ctx, order, &run);
	if (error)
		return error;
	model_platform_lock(platform);
	error = model_run_add(platform, run, order, false);
	model_platform_unlock(platform);
	if (error)
		(void)!backing->free(backing->ctx, run, order); /* just made: it is not pinned */
	else
		*out = run;
	return error;
}

static int backing_free(void *ctx, pa_t run, unsigned order)
{
	struct model_platform *platform = platform_of(ctx);
	const struct user_backing *backing = platform->base_backing;

	/* Under the lock to the end: the memory may not have a new owner before it is
	 * forgotten here, nor be forgotten if it stays. */
	model_platform_lock(platform);
	int error = backing->free(backing->ctx, run, order);
	if (!error)
		(void)model_run_remove(platform, run);
	model_platform_unlock(platform);
	return error;
}

static int backing_pin(void *ctx, pa_t address)
{
	const struct user_backing *backing = platform_of(ctx)->base_backing;
	return backing->pin(backing->ctx, address);
}

static int backing_unpin(void *ctx, pa_t address)
{
	const struct user_backing *backing = platform_of(ctx)->base_backing;
	return backing->unpin(backing->ctx, address);
}

static void clean_hook(void *ctx, const void *start, size_t bytes)
{
	struct model_platform *platform = platform_of(ctx);
	const struct iommu_os *base = platform->base;
	uintptr_t first = (uintptr_t)start & ~(uintptr_t)(ARCH_CACHE_LINE - 1);

	if (base->clean) /* for the real units beside it */
		base->clean(base->ctx, start, bytes);
	else
		for (uintptr_t line = first; line < (uintptr_t)start + bytes;
		     line += ARCH_CACHE_LINE)
			arch_clean_line((const void *)line);
	model_platform_lock(platform);
	model_memory_clean(platform, iommu_os_pa(base, start).value, bytes);
	model_platform_unlock(platform);
}

/* ---- hooks: objects, locks, log: passed on ------------------------------------------------ */

static void *alloc_hook(void *ctx, size_t bytes)
{
	const struct iommu_os *base = platform_of(ctx)->base;
	return base->alloc(base->ctx, bytes);
}

static void free_hook(void *ctx, void *object, size_t bytes)
{
	const struct iommu_os *base = platform_of(ctx)->base;
	base->free(base->ctx, object, bytes);
}

static int lock_init_hook(void *ctx, struct iommu_lock *lock, const char *name)
{
	const struct iommu_os *base = platform_of(ctx)->base;
	return base->lock_init(base->ctx, lock, name);
}

static void lock_destroy_hook(void *ctx, struct iommu_lock *lock)
{
	const struct iommu_os *base = platform_of(ctx)->base;
	base->lock_destroy(base->ctx, lock);
}

static void lock_hook(void *ctx, struct iommu_lock *lock)
{
	const struct iommu_os *base = platform_of(ctx)->base;
	base->lock(base->ctx, lock);
}

static void unlock_hook(void *ctx, struct iommu_lock *lock)
{
	const struct iommu_os *base = platform_of(ctx)->base;
	base->unlock(base->ctx, lock);
}

/* What follows @p prefix in @p text; all of it, if that is not how it begins. */
static const char *behind(const char *text, const char *prefix)
{
	const char *at = text;

	while (*prefix && *at == *prefix)
		at++, prefix++;
	return *prefix ? text : at;
}

static void log_hook(void *ctx, enum iommu_log_level level, const char *line)
{
	const struct model_platform *platform = platform_of(ctx);

	/* While it is being found, the driver has its own name for it. */
	if (!platform->probing)
		platform->base->log(platform->base->ctx, level, line);
	else
		iommu_log(platform->base, level, MODEL_UNIT_NAME ": %s", behind(line, "vtd0: "));
}

/* ---- hooks: time ----------------------------------------------------------------------------- */

static uint64_t now_ns_hook(void *ctx)
{
	struct model_platform *platform = platform_of(ctx);

	if (platform->options.own_time)
		return __atomic_add_fetch(&platform->time_ns, LOOK_NS, __ATOMIC_RELAXED);
	return platform->base->now_ns(platform->base->ctx);
}

void model_platform_relax(struct model_platform *platform, uint64_t nanoseconds)
{
	if (platform->options.own_time)
		(void)__atomic_add_fetch(&platform->time_ns, nanoseconds, __ATOMIC_RELAXED);
	uint64_t now = now_ns_hook(platform);
	model_platform_lock(platform);
	if (now > platform->ticked_ns) {
		model_tick(platform->unit, now - platform->ticked_ns);
		platform->ticked_ns = now;
	}
	model_platform_unlock(platform);
}

static unsigned processor_hook(void *ctx)
{
	const struct model_platform *platform = ctx;

	return platform->base->processor(platform->base->ctx);
}

static void relax_hook(void *ctx)
{
	struct model_platform *platform = platform_of(ctx);

	model_platform_relax(platform, TURN_NS);
	if (platform->base->relax)
		platform->base->relax(platform->base->ctx);
}

/* ---- hooks: registers -------------------------------------------------------------------------- */

static uint64_t register_read(void *ctx, uint32_t offset, unsigned width)
{
	struct model_platform *platform = platform_of(ctx);

	model_platform_lock(platform);
	uint64_t value = model_read(platform->unit, offset, width);
	model_platform_unlock(platform);
	return value;
}

static void register_write(void *ctx, uint32_t offset, unsigned width, uint64_t value)
{
	struct model_platform *platform = platform_of(ctx);

	model_platform_lock(platform);
	model_write(platform->unit, offset, width, value);
	model_platform_unlock(platform);
}

static const struct mmio_ops register_ops = {.read = register_read, .write = register_write};

static int mmio_map_hook(void *ctx, pa_t base, uint64_t bytes, struct mmio *out)
{
	struct model_platform *platform = platform_of(ctx);

	if (base.value != platform->registers)
		return platform->base->mmio_map(platform->base->ctx, base, bytes, out);
	if (bytes > model_register_bytes(platform->unit))
		return -ENODEV;
	*out = (struct mmio){.bytes = bytes, .ops = &register_ops, .ctx = platform};
	return 0;
}

static void mmio_unmap_hook(void *ctx, struct mmio *window)
{
	struct model_platform *platform = platform_of(ctx);

	if (window->ops == &register_ops)
		*window = (struct mmio){0};
	else
		platform->base->mmio_unmap(platform->base->ctx, window);
}

/* ---- hooks: messages ---------------------------------------------------------------------------- */

static int msi_alloc_hook(void *ctx, void (*handler)(void *arg), void *arg, struct iommu_msi *out)
{
	struct model_platform *platform = platform_of(ctx);
	const struct iommu_os *base = platform->base;
	struct model_message message = {.handler = handler, .arg = arg};
	unsigned i = 0;

	if (base->msi_alloc) {
		int error = base->msi_alloc(base->ctx, handler, arg, &message.msi);
		if (error)
			return error;
	}
	model_platform_lock(platform);
	while (i < MODEL_MESSAGES && platform->messages[i].handler)
		i++;
	if (i < MODEL_MESSAGES) {
		if (!base->msi_alloc) {
			message.made_here = true;
			message.msi = (struct iommu_msi){MESSAGE_ADDRESS, MESSAGE_DATA + i};
		}
		platform->messages[i] = message;
	}
	model_platform_unlock(platform);
	if (i == MODEL_MESSAGES && !base->msi_alloc)
		return -ENOSPC;
	*out = message.msi; /* a real one without a place here is not the model's */
	return 0;
}

static void msi_free_hook(void *ctx, const struct iommu_msi *msi)
{
	struct model_platform *platform = platform_of(ctx);
	bool made_here = false;

	model_platform_lock(platform);
	for (unsigned i = 0; i < MODEL_MESSAGES; i++) {
		struct model_message *message = &platform->messages[i];
		if (message->handler && message->msi.address == msi->address &&
		    message->msi.data == msi->data) {
			made_here = message->made_here;
			*message = (struct model_message){0};
			break;
		}
	}
	model_platform_unlock(platform);
	if (!made_here && platform->base->msi_free)
		platform->base->msi_free(platform->base->ctx, msi);
}

void model_platform_pump(struct model_platform *platform)
{
	for (unsigned i = 0; i < MODEL_MESSAGES; i++) {
		struct model_message *message = &platform->messages[i];
		model_platform_lock(platform);
		void (*handler)(void *arg) = message->pending ? message->handler : NULL;
		void *arg = message->arg;
		message->pending = false;
		model_platform_unlock(platform);
		if (handler)
			handler(arg);
	}
	struct iommu_unit *unit = platform->core_unit;
	if (unit && unit->enabled && unit->ops->poll)
		(void)unit->ops->poll(unit);
}

void model_hooks_fill(struct model_platform *platform)
{
	const struct user_backing *backing = platform->base_backing;

	platform->os = (struct iommu_os){
		.ctx = platform,
		.direct_map = platform->base->direct_map,
		.page_alloc = page_alloc_hook,
		.page_free = page_free_hook,
		.alloc = alloc_hook,
		.free = free_hook,
		.lock_init = lock_init_hook,
		.lock_destroy = lock_destroy_hook,
		.lock = lock_hook,
		.unlock = unlock_hook,
		.processor = platform->base->processor ? processor_hook : NULL,
		.now_ns = now_ns_hook,
		.relax = relax_hook,
		.clean = clean_hook,
		.mmio_map = mmio_map_hook,
		.mmio_unmap = mmio_unmap_hook,
		.msi_alloc = msi_alloc_hook,
		.msi_free = msi_free_hook,
		.log = platform->base->log ? log_hook : NULL,
	};
	if (backing)
		platform->backing = (struct user_backing){
			.ctx = platform,
			.alloc = backing_alloc,
			.free = backing_free,
			.pin = backing_pin,
			.unpin = backing_unpin,
			.max_order = backing->max_order,
		};
}
