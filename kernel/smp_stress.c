/* SPDX-License-Identifier: MIT */
/*
 * The test of what processors share in the kernel itself: see smp_stress.h.
 *
 * Each part runs one function on all processors and checks an invariant when all are back:
 * a sum that only mutual exclusion keeps right, memory that nobody else may have written,
 * nothing outstanding. smp_stress_map.c has the parts that are about IOASes.
 */
#include "kernel/smp_stress.h"

#include "arch/arch.h"
#include "iommu/string.h"
#include "kernel/heap.h"
#include "kernel/kernel.h"
#include "kernel/lock.h"
#include "kernel/memory.h"
#include "kernel/processor.h"
#include "kernel/smp.h"
#include "kernel/smp_stress_private.h"
#include "kernel/vm.h"

enum {
	LOCK_ROUNDS = 4000,
	LOCK_MS = 3000, /* then they stop: virtual processors that share one pass a lock slowly */
	MEMORY_ROUNDS = 3000,
	MEMORY_SLOTS = 48,
	POST_SLOTS = 16, /* objects on their way from one processor to another */
	TRANSLATION_ROUNDS = 40,
	OBJECT_BYTES_MAX = 2600, /* some are runs of pages */
};

/* ---- a start together ------------------------------------------------------------------- */

void stress_gather(struct stress *stress)
{
	__atomic_add_fetch(&stress->here, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&stress->here, __ATOMIC_SEQ_CST) < stress->processors &&
	       !__atomic_load_n(&stress->failed, __ATOMIC_RELAXED)) {
		arch_pause();
		smp_relax();
		if (time_ns() - stress->start_ns > STRESS_DEADLINE_NS)
			stress_fail(stress, "not all processors came together");
	}
}

void stress_fail(struct stress *stress, const char *why)
{
	const char *none = NULL;

	__atomic_compare_exchange_n(&stress->failed, &none, why, false, __ATOMIC_SEQ_CST,
	                            __ATOMIC_SEQ_CST);
}

/** Run @p function on all; NULL, or why it failed. */
const char *stress_run(struct stress *stress, void (*function)(void *arg, unsigned index))
{
	stress->here = 0;
	stress->failed = NULL;
	stress->start_ns = time_ns();
	int error = smp_run(function, stress, stress->processors, 2 * STRESS_DEADLINE_NS);
	stress->lost = error == -ETIMEDOUT;
	if (error)
		return error == -ETIMEDOUT ? "a processor did not come back"
		                           : "the processors could not be given work";
	return stress->failed;
}

static void verdict(struct stress *stress, const char *name, const char *why)
{
	stress->number++;
	if (why)
		kprintf("# %s\n", why);
	kprintf("%s %u - %s\n", why ? "not ok" : "ok", stress->number, name);
	stress->failures += why != NULL;
}

static void skip(struct stress *stress, const char *name, const char *why)
{
	kprintf("ok %u - %s # SKIP %s\n", ++stress->number, name, why);
}

/* ---- side by side --------------------------------------------------------------------------- */

static void meet(void *arg, unsigned index)
{
	struct stress *stress = arg;

	stress->workers[index].processor = smp_number();
	__atomic_add_fetch(&stress->workers[index].runs, 1, __ATOMIC_SEQ_CST);
	stress_gather(stress);
}

static const char *test_meet(struct stress *stress)
{
	const char *why = stress_run(stress, meet);

	for (unsigned i = 0; i < stress->processors && !why; i++) {
		if (stress->workers[i].runs != 1)
			why = "an index ran another number of times than once";
		for (unsigned j = 0; j < i && !why; j++)
			if (stress->workers[i].processor == stress->workers[j].processor)
				why = "two indices ran on one processor";
	}
	return why;
}

/* ---- locks ------------------------------------------------------------------------------------ */

static void count_up(void *arg, unsigned index)
{
	struct stress *stress = arg;

	stress_gather(stress);
	for (unsigned i = 0; i < LOCK_ROUNDS; i++) {
		if (i && time_ns() - stress->start_ns > LOCK_MS * UINT64_C(1000000))
			break;
		uint64_t flags = spin_lock(&stress->lock);
		/* No atomic access: the lock alone keeps it right. */
		uint64_t sum = *(volatile uint64_t *)&stress->sum;
		*(volatile uint64_t *)&stress->sum = sum + 1;
		stress->workers[index].turns++;
		spin_unlock(&stress->lock, flags);
	}
}

static const char *test_lock(struct stress *stress)
{
	spin_init(&stress->lock, "smp-test");
	stress->sum = 0;
	for (unsigned i = 0; i < stress->processors; i++)
		stress->workers[i].turns = 0; /* of an earlier test */
	const char *why = stress_run(stress, count_up);
	uint64_t turns = 0;

	for (unsigned i = 0; i < stress->processors; i++)
		turns += stress->workers[i].turns;
	if (!why && stress->sum != turns)
		why = "two processors were in one lock";
	if (!why && stress->lock.ticket.owner != turns)
		why = "a lock has served another number of tickets than were drawn";
	return why;
}

/* ---- allocators ------------------------------------------------------------------------------ */

struct thing {
	unsigned char *object; /* NULL: none. Of one size at a time */
	size_t bytes;
	unsigned char mark;
};

/** Every byte is as it was written. */
static bool is_intact(const struct thing *thing)
{
	for (size_t i = 0; i < thing->bytes; i++)
		if (thing->object[i] != thing->mark)
			return false;
	return true;
}

static bool is_zero(const unsigned char *object, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (object[i])
			return false;
	return true;
}

static void drop(struct stress *stress, struct thing *thing)
{
	if (!thing->object)
		return;
	if (!is_intact(thing))
		stress_fail(stress, "an object has changed that nobody else had");
	heap_free(thing->object, thing->bytes);
	thing->object = NULL;
}

/** Take or drop an object, or exchange it with whoever comes by, so that memory goes back
 *  on another processor than it came from. */
static void objects_step(struct stress *stress, struct thing *things, uint64_t *seed)
{
	struct thing *thing = &things[stress_random(seed) % MEMORY_SLOTS];
	uint64_t random = stress_random(seed);

	if (thing->object && random % 3 == 0) {
		/* The object itself says what it is, to whoever gets it. */
		struct thing *letter = (struct thing *)thing->object;
		struct thing whole = *thing;
		if (thing->bytes < sizeof(*letter) || !is_intact(thing))
			return;
		*letter = whole;
		struct thing **post = &stress->post[random / 8 % POST_SLOTS];
		letter = __atomic_exchange_n(post, letter, __ATOMIC_ACQ_REL);
		thing->object = NULL;
		if (letter) {
			*thing = *letter;
			memset(thing->object, thing->mark, sizeof(*letter));
		}
	} else if (thing->object) {
		drop(stress, thing);
	} else {
		thing->bytes = 1 + random / 16 % OBJECT_BYTES_MAX;
		thing->mark = (unsigned char)(random >> 40);
		thing->object = heap_alloc(thing->bytes);
		if (!thing->object) {
			stress_fail(stress, "no memory for an object");
			return;
		}
		if (!is_zero(thing->object, thing->bytes))
			stress_fail(stress, "a new object is not zero");
		memset(thing->object, thing->mark, thing->bytes);
	}
}

/** A run of pages: taken, filled, pinned and unpinned, looked at, given back. */
static void pages_step(struct stress *stress, uint64_t *seed)
{
	uint64_t random = stress_random(seed);
	unsigned order = random % 4 ? 0 : (unsigned)(random / 4 % 4), found;
	pa_t run, start;
	uint32_t pins;

	if (memory_page_alloc(order, &run) != 0) {
		stress_fail(stress, "no memory for pages");
		return;
	}
	uint64_t *words = vm_direct(run.value);
	uint64_t last = (PAGE_SIZE_4K << order) / sizeof(*words) - 1;
	words[0] = words[last] = random;
	pa_t inside = pa_add(run, last * sizeof(*words));
	bool good = page_pin(&kernel_pages, inside) == 0 &&
	            page_free(&kernel_pages, run, order) == -EBUSY &&
	            page_run(&kernel_pages, inside, &start, &found, &pins) == 0 &&
	            start.value == run.value && found == order && pins == 1 && words[0] == random &&
	            words[last] == random && page_unpin(&kernel_pages, inside) == 0 &&
	            page_free(&kernel_pages, run, order) == 0;
	if (!good)
		stress_fail(stress, "a run of pages was not its owner's alone");
}

static void allocate(void *arg, unsigned index)
{
	struct thing things[MEMORY_SLOTS] = {0};
	struct stress *stress = arg;
	uint64_t seed = 0x9e3779b97f4a7c15 * (index + 1);

	stress_gather(stress);
	for (unsigned i = 0; i < MEMORY_ROUNDS && !stress_has_failed(stress); i++) {
		objects_step(stress, things, &seed);
		if (i % 4 == 0)
			pages_step(stress, &seed);
	}
	for (unsigned i = 0; i < MEMORY_SLOTS; i++)
		drop(stress, &things[i]);
}

static const char *test_memory(struct stress *stress)
{
	static struct thing *post[POST_SLOTS];
	struct stress_usage before, after;

	stress->post = post;
	stress_usage_get(&before);
	const char *why = stress_run(stress, allocate);
	for (unsigned i = 0; i < POST_SLOTS; i++) {
		struct thing *letter = post[i];
		post[i] = NULL;
		if (!letter)
			continue;
		struct thing thing = *letter;
		memset(thing.object, thing.mark, sizeof(thing));
		drop(stress, &thing);
		why = why ? why : stress->failed;
	}
	stress_usage_get(&after);
	return why ? why : stress_usage_compare(&before, &after);
}

void stress_usage_get(struct stress_usage *out)
{
	uint64_t pages;

	heap_usage(&out->objects, &pages);
	out->pages = page_free_count(&kernel_pages) + pages;
	out->pinned = page_pinned_count(&kernel_pages);
}

const char *stress_usage_compare(const struct stress_usage *before,
                                 const struct stress_usage *after)
{
	if (after->objects != before->objects)
		return "objects are outstanding";
	if (after->pages != before->pages)
		return "pages are outstanding";
	return after->pinned != before->pinned ? "runs are pinned" : NULL;
}

/* ---- translations ------------------------------------------------------------------------------ */

static void page_give(struct stress *stress, pa_t page)
{
	if (page.value && page_free(&kernel_pages, page, 0) != 0)
		stress_fail(stress, "a page could not be given back");
}

/** Index 0 maps stacks, writes to them, takes them away again, while the others look at
 *  what it has said is there. What has been taken away must not be found any more: it would
 *  be a stack's old page, with another owner. */
static void translate(void *arg, unsigned index)
{
	struct stress *stress = arg;

	stress_gather(stress);
	if (index == 0) {
		pa_t held = pa(0);
		for (unsigned i = 0; i < TRANSLATION_ROUNDS; i++) {
			uint64_t bottom, top;
			if (!vm_stack_alloc(PAGE_SIZE_4K, &bottom, &top)) {
				stress_fail(stress, "no memory for a stack");
				break;
			}
			*(volatile uint64_t *)bottom = i + 1;
			uint64_t flags = spin_lock(&stress->lock);
			stress->there = bottom;
			stress->sum = i + 1;
			spin_unlock(&stress->lock, flags);
			time_delay_us(20);
			flags = spin_lock(&stress->lock);
			stress->there = 0;
			/* With the lock held, which the others wait for with interrupts off. */
			vm_stack_free(bottom);
			spin_unlock(&stress->lock, flags);
			/* The next stack comes to the same address in another page, and
			 * this one's gets another content. */
			pa_t freed;
			if (memory_page_alloc(0, &freed) == 0) {
				memset(vm_direct(freed.value), 0xee, PAGE_SIZE_4K);
				page_give(stress, held);
				held = freed;
			}
		}
		page_give(stress, held);
		__atomic_store_n(&stress->over, true, __ATOMIC_RELEASE);
		return;
	}
	while (!__atomic_load_n(&stress->over, __ATOMIC_ACQUIRE)) {
		uint64_t flags = spin_lock(&stress->lock);
		if (stress->there && *(volatile uint64_t *)stress->there != stress->sum)
			stress_fail(stress, "a translation is stale");
		stress->workers[index].turns += stress->there != 0;
		spin_unlock(&stress->lock, flags);
	}
}

static const char *test_translations(struct stress *stress)
{
	stress->there = 0;
	stress->over = false;
	for (unsigned i = 0; i < stress->processors; i++)
		stress->workers[i].turns = 0;
	const char *why = stress_run(stress, translate);

	uint64_t looks = 0;
	for (unsigned i = 1; i < stress->processors; i++)
		looks += stress->workers[i].turns;
	if (!why && stress->processors > 1 && !looks)
		why = "nobody has looked at a translation";
	return why;
}

/* ---- all ------------------------------------------------------------------------------------------ */

/** What the locks have counted in the parts that @p of names; they begin anew. */
static void print_locks(const char *of)
{
	struct lock_count count;
	const char *name;

	lock_measure(false);
	kprintf("# locks, %s: taken, waited for, turns of waiting, came from another processor\n",
	        of);
	for (unsigned i = 0; (name = lock_count_get(i, &count)) != NULL; i++)
		if (count.acquisitions)
			kprintf("#   %-16s %9llu %8llu %10llu %8llu\n", *name ? name : "(others)",
			        (unsigned long long)count.acquisitions,
			        (unsigned long long)count.contended,
			        (unsigned long long)count.spins,
			        (unsigned long long)count.transfers);
	lock_measure(true);
}

bool smp_stress(struct machine *machine, unsigned processors)
{
	static struct stress_worker workers[SMP_MAX_PROCESSORS];
	static struct stress stress; /* one that is lost may look here still */
	uint64_t start = time_ns();

	memset(&stress, 0, sizeof(stress));
	stress.machine = machine;
	stress.workers = workers;
	stress.processors = processors ? processors : smp_count();
	kprintf("KTAP version 1\n1..8\n");
	if (stress.processors > smp_count()) {
		kprintf("# %u processors are wanted, %u are here\n", stress.processors,
		        smp_count());
		for (unsigned i = 1; i <= 6; i++)
			kprintf("not ok %u - not run\n", i);
		return false;
	}
	memset(workers, 0, sizeof(workers));
	verdict(&stress, "a function runs once on each processor, on all at once",
	        test_meet(&stress));
	lock_measure(true);
	verdict(&stress, "a lock lets one in at a time, and all in turn", test_lock(&stress));
	verdict(&stress, "memory is its owner's alone, and comes back", test_memory(&stress));
	verdict(&stress, "a translation that was taken away is used by nobody",
	        test_translations(&stress));
	static const char *const maps[2][2] = {
		{"disjoint IOASes on the mock", "disjoint ranges of one IOAS on the mock"},
		{"disjoint IOASes on the machine's unit",
	         "disjoint ranges of one IOAS on the machine's unit"}};
	print_locks("the parts so far");
	for (int one = 0; one < 2; one++) {
		verdict(&stress, maps[0][one], stress_map_mock(&stress, one));
		print_locks(maps[0][one]);
	}
	for (int one = 0; one < 2; one++) {
		if (!stress_has_unit(&stress)) {
			skip(&stress, maps[1][one], "no engine behind a unit of this machine");
			continue;
		}
		verdict(&stress, maps[1][one], stress_map_unit(&stress, one));
		print_locks(maps[1][one]);
	}
	lock_measure(false);
	kprintf("# %u processors, %llu ms\n", stress.processors,
	        (unsigned long long)(time_ns() - start) / 1000000);
	return !stress.failures;
}
