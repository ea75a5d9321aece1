/* SPDX-License-Identifier: MIT */
/*
 * Processors at work: giving it to them, waiting for them, making them forget
 * translations, stopping them.
 *
 * Forgetting: whoever takes translations away counts smp_generation up after the tables
 * were changed. A processor that works is interrupted and reloads its tables; one that
 * waits for a lock with interrupts off looks for itself (smp_relax). One that is parked is
 * left alone and does it before its next work: it says that it works, then reads the
 * generation; the other side writes the generation, then reads who works. So one of the
 * two sees the other.
 */
#include "kernel/smp.h"

#include "arch/arch.h"
#include "kernel/apic.h"
#include "kernel/memory.h"
#include "kernel/smp_private.h"
#include "kernel/vm.h"

#define FLUSH_DEADLINE_NS UINT64_C(10000000000)

struct processor *smp_processors[SMP_MAX_PROCESSORS] = {&boot_processor};
unsigned smp_processor_count = 1, smp_present_count = 1, smp_start_us;

static uint64_t smp_generation; /* atomic */
static uint32_t smp_running;    /* atomic; a function is */
static bool smp_stopping;       /* atomic; in a panic */

unsigned smp_number(void)
{
	return processor_self()->number;
}

struct processor *smp_processor(unsigned number)
{
	return number < __atomic_load_n(&smp_processor_count, __ATOMIC_ACQUIRE)
	               ? smp_processors[number]
	               : NULL;
}

static bool is_available(const struct processor *processor)
{
	return __atomic_load_n(&processor->work, __ATOMIC_ACQUIRE) == WORK_NONE;
}

unsigned smp_count(void)
{
	unsigned count = 1;

	for (unsigned i = 1; i < smp_processor_count; i++)
		count += is_available(smp_processors[i]);
	return count;
}

unsigned smp_present(void)
{
	return smp_present_count;
}

/* ---- translations ------------------------------------------------------------------------ */

static void forget(struct processor *self)
{
	uint64_t generation = __atomic_load_n(&smp_generation, __ATOMIC_SEQ_CST);

	vm_flush();
	__atomic_store_n(&self->flushed, generation, __ATOMIC_SEQ_CST);
}

void smp_relax(void)
{
	struct processor *self = processor_self();

	if (__atomic_load_n(&self->flushed, __ATOMIC_RELAXED) !=
	    __atomic_load_n(&smp_generation, __ATOMIC_RELAXED))
		forget(self);
}

void smp_flush_translations(void)
{
	struct processor *self = processor_self();
	uint64_t wanted = __atomic_add_fetch(&smp_generation, 1, __ATOMIC_SEQ_CST);
	uint64_t start = time_ns();

	forget(self);
	for (unsigned i = 0; i < smp_processor_count; i++) {
		struct processor *other = smp_processors[i];
		if (other == self || smp_state(other) != PROCESSOR_WORKING)
			continue;
		apic_send(other->apic_id, APIC_FIXED | VECTOR_SMP);
		while (smp_state(other) == PROCESSOR_WORKING &&
		       (int64_t)(__atomic_load_n(&other->flushed, __ATOMIC_SEQ_CST) - wanted) < 0) {
			arch_pause();
			smp_relax();
			if (time_ns() - start > FLUSH_DEADLINE_NS)
				panic("processor %u does not forget translations for 10 s", i);
		}
	}
}

void smp_interrupt(void)
{
	smp_relax();
}

/* ---- work -------------------------------------------------------------------------------- */

void smp_work(struct processor *self)
{
	__asm__ volatile("cli" : : : "memory");
	for (;;) {
		uint32_t given = WORK_GIVEN;
		if (!__atomic_compare_exchange_n(&self->work, &given, WORK_TAKEN, false,
		                                 __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
			/* sti takes effect after the next instruction: no wake-up is lost. */
			arch_pause();
			__asm__ volatile("sti; hlt; cli" : : : "memory");
			continue;
		}
		__atomic_store_n(&self->state, PROCESSOR_WORKING, __ATOMIC_SEQ_CST);
		forget(self);
		__asm__ volatile("sti" : : : "memory");
		self->function(self->arg, self->index);
		__asm__ volatile("cli" : : : "memory");
		self->jobs++;
		__atomic_store_n(&self->state, PROCESSOR_PARKED, __ATOMIC_SEQ_CST);
		__atomic_store_n(&self->work, WORK_NONE, __ATOMIC_RELEASE);
	}
}

/** Take back work that was not begun. False if it was. */
static bool take_back(struct processor *processor)
{
	uint32_t given = WORK_GIVEN;

	return __atomic_compare_exchange_n(&processor->work, &given, WORK_NONE, false,
	                                   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/** Wait until the @p count processors of @p chosen have done their work. */
static int wait_for(struct processor *const *chosen, unsigned count, uint64_t start,
                    uint64_t deadline_ns)
{
	int result = 0;

	for (unsigned i = 0; i < count; i++) {
		while (!is_available(chosen[i]) && time_ns() - start < deadline_ns) {
			arch_pause();
			smp_relax();
		}
		if (is_available(chosen[i]))
			continue;
		klog(IOMMU_LOG_ERROR, "processor %u %s", chosen[i]->number,
		     take_back(chosen[i]) ? "did not begin its work in time"
		                          : "did not end its work in time, and gets none until "
		                            "it has");
		result = -ETIMEDOUT;
	}
	return result;
}

int smp_run(void (*function)(void *arg, unsigned index), void *arg, unsigned processors,
            uint64_t deadline_ns)
{
	static struct processor *chosen[SMP_MAX_PROCESSORS]; /* whoever runs has it */
	uint32_t nobody = 0;
	unsigned count = 0;

	if (!processors || processors > smp_present_count)
		return -EINVAL;
	if (smp_number() != 0 || !__atomic_compare_exchange_n(&smp_running, &nobody, 1, false,
	                                                      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return -EBUSY;
	for (unsigned i = 1; i < smp_processor_count && count + 1 < processors; i++)
		if (is_available(smp_processors[i]))
			chosen[count++] = smp_processors[i];
	int result = count + 1 < processors ? -EINVAL : 0;
	uint64_t start = time_ns();
	if (result == 0) {
		for (unsigned i = 0; i < count; i++) {
			chosen[i]->function = function;
			chosen[i]->arg = arg;
			chosen[i]->index = i + 1;
			__atomic_store_n(&chosen[i]->work, WORK_GIVEN, __ATOMIC_SEQ_CST);
			apic_send(chosen[i]->apic_id, APIC_FIXED | VECTOR_SMP);
		}
		function(arg, 0);
		result = wait_for(chosen, count, start, deadline_ns);
	}
	__atomic_store_n(&smp_running, 0, __ATOMIC_RELEASE);
	return result;
}

/* ---- the end ------------------------------------------------------------------------------ */

void smp_stop_others(void)
{
	unsigned me = smp_number();

	__atomic_store_n(&smp_stopping, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < smp_processor_count; i++)
		if (i != me)
			apic_send(smp_processors[i]->apic_id, APIC_NMI);
	if (smp_processor_count > 1)
		time_delay_us(1000); /* for them to stop in */
}

void smp_nmi(void)
{
	/* Only whoever panics sets it, and it does not get the interrupt. */
	while (__atomic_load_n(&smp_stopping, __ATOMIC_SEQ_CST))
		__asm__ volatile("cli; hlt");
}

/* ---- for people ---------------------------------------------------------------------------- */

void smp_print(struct iommu_print *to)
{
	iommu_printf(to, "cpu      %u of %u in use%s\n", smp_count(), smp_present_count,
	             apic_is_x2apic() ? ", x2APIC" : "");
}

void smp_print_all(struct iommu_print *to)
{
	static const char *const states[] = {"starting", "parked", "working", "left out"};
	struct memory_caches caches;

	for (unsigned i = 0; i < smp_processor_count; i++) {
		const struct processor *p = smp_processors[i];
		iommu_printf(to, "processor %-3u APIC id %#-6x %-8s %llu jobs", i, p->apic_id,
		             states[smp_state(p) & 3], (unsigned long long)p->jobs);
		if (p->tsc_offset)
			iommu_printf(to, ", counter off by %lld", (long long)-p->tsc_offset);
		if (i)
			iommu_printf(to, ", came after %llu us",
			             (unsigned long long)p->started_ns / 1000);
		iommu_printf(to, "\n");
	}
	iommu_printf(to, "%u of %u in use; the boot waited %u us for them\n", smp_count(),
	             smp_present_count, smp_start_us);
	memory_caches_count(&caches);
	iommu_printf(to, "page caches    %llu pages; %llu hits, %llu refills, %llu drains\n",
	             (unsigned long long)caches.pages, (unsigned long long)caches.page_hits,
	             (unsigned long long)caches.page_refills,
	             (unsigned long long)caches.page_drains);
	iommu_printf(to, "object caches  %llu objects; %llu hits, %llu refills, %llu drains\n",
	             (unsigned long long)caches.objects, (unsigned long long)caches.object_hits,
	             (unsigned long long)caches.object_refills,
	             (unsigned long long)caches.object_drains);
}
