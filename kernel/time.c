/* SPDX-License-Identifier: MIT */
/*
 * Time: the time-stamp counter, its rate measured against every reference that
 * the machine has, all in one window of about 4 ms; and the local APIC's timer,
 * measured in the same window.
 *
 * References: HPET (IA-PC HPET 1.0a), ACPI timer (ACPI 6.5, 4.8.3.3, 3.579545
 * MHz), PIT channel 2 (8254, 1.193182 MHz), and what CPUID leaf 15h says. Each
 * can be absent, stuck or wrong: the first that agrees with another one to 1 % is
 * believed; if none is confirmed, the window is repeated once. It ends after 24
 * million counts whatever the references do: 24 ms at 1 GHz, less on any faster
 * processor.
 *
 * time_ns() never goes back on one processor, and differs between two by no more than
 * the time that one needs to hear from the other (smp.c measures it). It works before time_init with a guessed rate, so
 * that no early wait is endless.
 */
#include "arch/arch.h"
#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/kernel.h"
#include "kernel/processor.h"

enum { TICKS_PER_SECOND = 1000, WINDOW_NS = 4000000, WINDOW_MAX_COUNTS = 24000000 };

#define NS_PER_SECOND UINT64_C(1000000000)
#define GUESSED_HZ    UINT64_C(2000000000)
#define MIN_HZ        UINT64_C(100000000)
#define MAX_HZ        UINT64_C(20000000000)
#define PM_TIMER_HZ   3579545
#define PIT_HZ        1193182
#define FEMTO         UINT64_C(1000000000000000)

/* time_ns() = base_ns + (tsc - base_tsc) * scale / 2^32 */
static uint64_t base_tsc, base_ns;
static uint64_t scale = (NS_PER_SECOND << 32) / GUESSED_HZ;
static uint64_t tsc_hz = GUESSED_HZ;
static bool tick_runs;

/* ---- references ----------------------------------------------------------------------- */

struct reference {
	const char *name;
	uint32_t (*read)(void); /* counts up */
	uint32_t mask;
	uint64_t hz; /* 0: not there */
	uint32_t value;
	uint64_t tsc;         /* when `value` was read */
	uint64_t measured_hz; /* of the TSC; 0: no result */
};

static uintptr_t hpet;
static uint16_t pm_port;

static uint32_t hpet_read(void)
{
	return arch_mmio_read32(hpet + 0xf0);
}

static uint32_t pm_read(void)
{
	return in32(pm_port);
}

/** Latch and read channel 2; it counts down. */
static uint32_t pit_read(void)
{
	out8(0x43, 0x80);
	uint32_t low = in8(0x42);
	return 0xffff - (low | (uint32_t)in8(0x42) << 8);
}

/** The HPET's rate, and set it going; 0 if there is none that makes sense. */
static uint64_t hpet_start(const struct acpi *acpi)
{
	enum { CAPABILITIES = 0x00, CONFIGURATION = 0x10 };
	const uint32_t longest_period = 100000000; /* fs */

	if (!acpi || !acpi->hpet_address)
		return 0;
	if (!hpet)
		hpet = (uintptr_t)vm_map_mmio(acpi->hpet_address, 0x400, false);
	if (!hpet)
		return 0;
	uint32_t period = arch_mmio_read32(hpet + CAPABILITIES + 4);
	if (period < 1000000 || period > longest_period)
		return 0; /* all ones and zero are among these */
	uint32_t configuration = arch_mmio_read32(hpet + CONFIGURATION);
	if (!(configuration & 1))
		arch_mmio_write32(hpet + CONFIGURATION, configuration | 1);
	return FEMTO / period;
}

/** Channel 2, gated on, speaker off, counting down from 65535 once (mode 0). */
static void pit_start(void)
{
	out8(0x61, (in8(0x61) & ~2u) | 1);
	out8(0x43, 0xb0);
	out8(0x42, 0xff);
	out8(0x42, 0xff);
}

/** Read @p reference and the TSC together: of three tries the one that took least
 *  time, so that an interruption in between (by SMM, by a hypervisor) does not count. */
static void sample(struct reference *reference, uint32_t *value, uint64_t *tsc)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < 3; i++) {
		uint64_t before = cpu_tsc();
		uint32_t now = reference->read() & reference->mask;
		uint64_t took = cpu_tsc() - before;
		if (took < best) {
			best = took;
			*value = now;
			*tsc = before + took / 2;
		}
	}
}

static uint64_t elapsed_ns(const struct reference *reference)
{
	uint32_t counts = (reference->read() - reference->value) & reference->mask;

	return counts * NS_PER_SECOND / reference->hz;
}

/** The TSC's rate as CPUID leaf 15h has it, or 0. */
static uint64_t cpuid_hz(void)
{
	if (cpu_features.max_leaf < 0x15)
		return 0;
	struct cpuid id = cpu_id(0x15, 0);
	if (!id.a || !id.b || !id.c)
		return 0;
	return (uint64_t)id.c * id.b / id.a;
}

static bool is_plausible(uint64_t hz)
{
	return hz >= MIN_HZ && hz <= MAX_HZ;
}

static bool agree(uint64_t a, uint64_t b)
{
	uint64_t difference = a > b ? a - b : b - a;

	return difference <= a / 100;
}

/* ---- the window ------------------------------------------------------------------------- */

/** Run all references side by side; fills measured_hz. @return TSC counts from
 *  beginning to end, during which the APIC's timer made @p apic_counts. */
static uint64_t measure(struct reference *references, unsigned count, uint32_t *apic_counts)
{
	unsigned present = 0;

	if (apic_is_ready())
		apic_timer_measure();
	uint64_t start = cpu_tsc();
	for (unsigned i = 0; i < count; i++) {
		if (!references[i].hz)
			continue;
		present++;
		sample(&references[i], &references[i].value, &references[i].tsc);
	}
	/* Two references that have seen the window are enough, or one that has seen twice
	 * as much: the others may be stuck. */
	unsigned wanted = present < 2 ? present : 2, arrived;
	bool is_long = false;
	do {
		arrived = 0;
		for (unsigned i = 0; i < count; i++) {
			if (!references[i].hz)
				continue;
			uint64_t ns = elapsed_ns(&references[i]);
			arrived += ns >= WINDOW_NS;
			is_long = is_long || ns >= UINT64_C(2) * WINDOW_NS;
		}
	} while (present && arrived < wanted && !is_long && cpu_tsc() - start < WINDOW_MAX_COUNTS);

	for (unsigned i = 0; i < count; i++) {
		struct reference *r = &references[i];
		uint32_t value = 0;
		uint64_t tsc = 0;
		if (!r->hz)
			continue;
		sample(r, &value, &tsc);
		uint32_t counts = (value - r->value) & r->mask;
		r->measured_hz = counts ? (tsc - r->tsc) * r->hz / counts : 0;
		if (!is_plausible(r->measured_hz))
			r->measured_hz = 0;
	}
	*apic_counts = apic_is_ready() ? apic_timer_elapsed() : 0;
	return cpu_tsc() - start;
}

/** The reference to believe: the first that another one confirms, or else the first.
 *  NULL if none has a result. */
static const struct reference *choose(const struct reference *references, unsigned count,
                                      const struct reference **witness)
{
	const struct reference *first = NULL;

	*witness = NULL;
	for (unsigned i = 0; i < count; i++) {
		if (!references[i].measured_hz)
			continue;
		if (!first)
			first = &references[i];
		for (unsigned j = i + 1; j < count; j++) {
			if (references[j].measured_hz &&
			    agree(references[i].measured_hz, references[j].measured_hz)) {
				*witness = &references[j];
				return &references[i];
			}
		}
	}
	return first;
}

/** False if the reference wrapped during a window of @p counts, for then it knows
 *  nothing: a hypervisor may let a guest rest for longer than the PIT's 55 ms. */
static bool covers(const struct reference *reference, uint64_t counts)
{
	if (!reference->hz)
		return true;
	return counts / (tsc_hz / 1000) < reference->mask / (reference->hz / 1000);
}

static void report(const struct reference *references, unsigned count,
                   const struct reference *chosen, const struct reference *witness, uint64_t window)
{
	if (!chosen) {
		klog(IOMMU_LOG_WARNING, "no time source counts: time is guessed at %llu MHz",
		     (unsigned long long)(tsc_hz / 1000000));
		return;
	}
	klog(IOMMU_LOG_DEBUG, "time: TSC at %llu.%03llu MHz by %s%s%s%s",
	     (unsigned long long)(tsc_hz / 1000000), (unsigned long long)(tsc_hz / 1000 % 1000),
	     chosen->name, witness ? ", confirmed by " : "", witness ? witness->name : "",
	     cpu_features.tsc_invariant ? "" : "; the processor does not call it invariant");
	for (unsigned i = 0; i < count; i++) {
		const struct reference *r = &references[i];
		if (r->hz && !r->measured_hz)
			klog(IOMMU_LOG_WARNING, "time: %s does not count, and is not used",
			     r->name);
		else if (r->measured_hz && !agree(tsc_hz, r->measured_hz) && covers(r, window))
			klog(IOMMU_LOG_WARNING, "time: %s says %llu MHz, and is not believed",
			     r->name, (unsigned long long)(r->measured_hz / 1000000));
	}
}

static void start_tick(uint64_t window, uint32_t apic_counts)
{
	enum { FEWEST_COUNTS = 16 };

	if (!apic_is_ready())
		return;
	uint64_t per_tick = apic_counts * (tsc_hz / TICKS_PER_SECOND) / window;
	if (apic_counts == UINT32_MAX || per_tick < FEWEST_COUNTS || per_tick > UINT32_MAX) {
		klog(IOMMU_LOG_WARNING,
		     "the local APIC's timer made %u counts in the time of %llu: no timer "
		     "interrupt",
		     apic_counts, (unsigned long long)window);
		apic_timer_start(0);
		return;
	}
	apic_timer_start((uint32_t)per_tick);
	tick_runs = true;
}

void time_init(const struct acpi *acpi)
{
	struct reference references[] = {
		{.name = "CPUID"},
		{.name = "the HPET", .read = hpet_read, .mask = UINT32_MAX},
		{.name = "the ACPI timer", .read = pm_read, .mask = 0xffffff},
		{.name = "the PIT", .read = pit_read, .mask = 0xffff, .hz = PIT_HZ},
	};
	const unsigned count = ARRAY_SIZE(references);
	const struct reference *witness;
	uint32_t apic_counts = 0;
	uint64_t flags = irq_save();

	references[1].hz = hpet_start(acpi);
	if (acpi && acpi->pm_timer) {
		pm_port = acpi->pm_timer;
		references[2].hz = PM_TIMER_HZ;
		if (acpi->pm_timer_32)
			references[2].mask = UINT32_MAX;
	}
	if (is_plausible(cpuid_hz()))
		references[0].measured_hz = cpuid_hz();

	const struct reference *chosen = NULL;
	uint64_t window = 0, former_hz = 0;
	for (unsigned attempt = 0; attempt < 2; attempt++) {
		pit_start();
		window = measure(&references[1], count - 1, &apic_counts);
		chosen = choose(references, count, &witness);
		/* Confirmed by another one, or by itself; or nothing counts at all. */
		if (!chosen || witness || agree(chosen->measured_hz, former_hz))
			break;
		former_hz = chosen->measured_hz;
	}
	uint64_t now = time_ns();
	if (chosen)
		tsc_hz = chosen->measured_hz;
	base_tsc = cpu_tsc();
	base_ns = now;
	scale = (NS_PER_SECOND << 32) / tsc_hz;
	report(references, count, chosen, witness, window);
	start_tick(window, apic_counts);
	irq_restore(flags);
	if (apic_is_ready())
		__asm__ volatile("sti");
}

/* ---- use --------------------------------------------------------------------------------- */

uint64_t time_ns(void)
{
	struct processor *self = processor_self();
	uint64_t counts = cpu_tsc() + (uint64_t)self->tsc_offset - base_tsc;
	uint64_t now = base_ns + (uint64_t)((unsigned __int128)counts * scale >> 32);
	uint64_t last = __atomic_load_n(&self->last_ns, __ATOMIC_RELAXED);

	/* Firmware that writes the TSC behind our back must not turn time back. Nor may
	 * another processor's counter that is a little behind base_tsc. */
	if ((int64_t)(now - last) < 0 || (int64_t)counts < 0)
		return last;
	__atomic_store_n(&self->last_ns, now, __ATOMIC_RELAXED);
	return now;
}

void time_delay_us(uint64_t us)
{
	uint64_t start = time_ns();
	uint64_t ns = us > UINT64_MAX / 1000 ? UINT64_MAX : us * 1000;

	while (time_ns() - start < ns)
		arch_pause();
}

void timer_tick(void)
{
	console_tick();
}

void cpu_idle(void)
{
	uint64_t flags = irq_save();

	/* sti takes effect after the next instruction: no interrupt can slip between. */
	if (tick_runs)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	else
		console_tick();
	irq_restore(flags);
}
