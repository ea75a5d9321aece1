/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controllers: both 8259s moved out of the exceptions' way and
 * masked, the boot processor's local APIC in the mode that firmware left (xAPIC
 * or x2APIC: leaving x2APIC would take a reset, and entering it may be against
 * firmware's wish; where there are APIC ids that need it, firmware has to leave it
 * on). The other processors follow the first one. Intel SDM volume 3, 11.4 to 11.12; Intel 8259A data sheet.
 *
 * The I/O APICs are not used: devices interrupt by message.
 */
#include "kernel/apic.h"

#include "arch/arch.h"
#include "kernel/acpi.h"
#include "kernel/cpu.h"
#include "kernel/kernel.h"

#define MSR_APIC_BASE     0x1b
#define APIC_BASE_ENABLE  (UINT64_C(1) << 11)
#define APIC_BASE_X2APIC  (UINT64_C(1) << 10)
#define APIC_BASE_ADDRESS UINT64_C(0x000ffffffffff000)
#define MSR_X2APIC        0x800 /* + register offset / 16 */
#define X2APIC_SELF_IPI   0x83f

enum {
	REG_ID = 0x20,
	REG_VERSION = 0x30,
	REG_TPR = 0x80,
	REG_EOI = 0xb0,
	REG_SPURIOUS = 0xf0,
	REG_ESR = 0x280,
	REG_LVT_CMCI = 0x2f0,
	REG_ICR = 0x300,
	REG_ICR_HIGH = 0x310,
	REG_LVT_TIMER = 0x320,
	REG_LVT_THERMAL = 0x330,
	REG_LVT_PERFORMANCE = 0x340,
	REG_LVT_LINT0 = 0x350,
	REG_LVT_LINT1 = 0x360,
	REG_LVT_ERROR = 0x370,
	REG_TIMER_INITIAL = 0x380,
	REG_TIMER_CURRENT = 0x390,
	REG_TIMER_DIVIDE = 0x3e0,
};

enum {
	LVT_MASKED = 1 << 16,
	LVT_PERIODIC = 1 << 17,
	LVT_NMI = 4 << 8,
	SPURIOUS_ENABLE = 1 << 8,
	ICR_PENDING = 1 << 12,
	ICR_ASSERT = 1 << 14,
	ICR_SELF = 1 << 18,
	DIVIDE_BY_16 = 3,
};

static bool ready, is_x2apic;
static uintptr_t window;
static uint32_t boot_id;
static unsigned spurious_count;

static uint32_t apic_read(unsigned reg)
{
	if (is_x2apic)
		return (uint32_t)cpu_msr_read(MSR_X2APIC + reg / 16);
	return arch_mmio_read32(window + reg);
}

static void apic_write(unsigned reg, uint32_t value)
{
	if (is_x2apic)
		cpu_msr_write(MSR_X2APIC + reg / 16, value);
	else
		arch_mmio_write32(window + reg, value);
}

/** Initialise both 8259s to vectors 0x20-0x2f, then mask every line. What is masked
 *  can still raise its line 7 by mistake; that ends in apic_spurious. */
static void silence_8259(void)
{
	enum { MASTER = 0x20, SLAVE = 0xa0, ICW1 = 0x11, ICW4_8086 = 1 };

	out8(MASTER, ICW1);
	out8(SLAVE, ICW1);
	out8(MASTER + 1, VECTOR_PIC);
	out8(SLAVE + 1, VECTOR_PIC + 8);
	out8(MASTER + 1, 1 << 2); /* the slave is on line 2 */
	out8(SLAVE + 1, 2);
	out8(MASTER + 1, ICW4_8086);
	out8(SLAVE + 1, ICW4_8086);
	out8(MASTER + 1, 0xff);
	out8(SLAVE + 1, 0xff);
}

/** Mask a local interrupt, unless firmware has it delivered as an SMI: then it is
 *  firmware's (thermal throttling often is). */
static void mask_unless_smi(unsigned reg)
{
	enum { DELIVERY = 7 << 8, SMI = 2 << 8 };

	if ((apic_read(reg) & DELIVERY) != SMI)
		apic_write(reg, LVT_MASKED);
}

/** This processor's local APIC, once its mode is settled. */
static void prepare(uint32_t lint1)
{
	unsigned lvt_last = apic_read(REG_VERSION) >> 16 & 0xff;

	apic_write(REG_TPR, 0);
	apic_write(REG_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	apic_write(REG_LVT_LINT0, LVT_MASKED);
	apic_write(REG_LVT_LINT1, lint1);
	if (lvt_last >= 3)
		apic_write(REG_LVT_ERROR, LVT_MASKED | VECTOR_SPURIOUS);
	if (lvt_last >= 4)
		mask_unless_smi(REG_LVT_PERFORMANCE);
	if (lvt_last >= 5)
		mask_unless_smi(REG_LVT_THERMAL);
	if (lvt_last >= 6)
		mask_unless_smi(REG_LVT_CMCI);
	apic_write(REG_ESR, 0);
	apic_write(REG_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	/* Something that firmware left in service would block everything below it. */
	for (unsigned i = 0; i < 256; i++) {
		bool in_service = false;
		for (unsigned reg = 0x100; reg < 0x180; reg += 0x10)
			in_service = in_service || apic_read(reg);
		if (!in_service)
			break;
		apic_write(REG_EOI, 0);
	}
}

void apic_init(const struct acpi *acpi)
{
	uint64_t base = cpu_msr_read(MSR_APIC_BASE);

	silence_8259();
	if (!(cpu_id(1, 0).d >> 9 & 1))
		panic("this processor has no local APIC");
	if (!(base & APIC_BASE_ENABLE)) {
		base |= APIC_BASE_ENABLE;
		cpu_msr_write(MSR_APIC_BASE, base);
	}
	is_x2apic = base & APIC_BASE_X2APIC;
	if (!is_x2apic) {
		uint64_t address = base & APIC_BASE_ADDRESS;
		if (acpi && acpi->lapic_address && acpi->lapic_address != address)
			klog(IOMMU_LOG_WARNING,
			     "the MADT puts the local APIC at %#llx, the processor has it at %#llx",
			     (unsigned long long)acpi->lapic_address, (unsigned long long)address);
		if (!window)
			window = (uintptr_t)vm_map_mmio(address, PAGE_SIZE_4K, false);
		if (!window)
			panic("the local APIC at %#llx cannot be mapped",
			      (unsigned long long)address);
	}

	boot_id = apic_id();
	prepare(LVT_NMI); /* platform failures are NMIs: keep them */
	ready = true;
}

bool apic_init_other(void)
{
	uint64_t base = cpu_msr_read(MSR_APIC_BASE);

	if (base & APIC_BASE_ENABLE && base & APIC_BASE_X2APIC && !is_x2apic)
		return false;
	if (!(base & APIC_BASE_ENABLE)) {
		base |= APIC_BASE_ENABLE;
		cpu_msr_write(MSR_APIC_BASE, base);
	}
	if (is_x2apic && !(base & APIC_BASE_X2APIC))
		cpu_msr_write(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	prepare(LVT_MASKED);
	return true;
}
bool apic_is_ready(void)
{
	return ready;
}

void apic_eoi(void)
{
	apic_write(REG_EOI, 0);
}

void apic_spurious(unsigned vector)
{
	enum { LOGGED = 4 };

	spurious_count++;
	if (spurious_count <= LOGGED)
		klog(IOMMU_LOG_DEBUG, "spurious interrupt, vector %#x%s", vector,
		     spurious_count == LOGGED ? "; further ones are not logged" : "");
}

uint32_t apic_id(void)
{
	uint32_t id = apic_read(REG_ID);

	return is_x2apic ? id : id >> 24;
}

uint32_t apic_boot_id(void)
{
	return boot_id;
}

bool apic_is_x2apic(void)
{
	return is_x2apic;
}

/** Wait until the last interrupt has left; the bound is against a dead window. */
static void wait_sent(void)
{
	for (unsigned i = 0; i < 100000 && apic_read(REG_ICR) & ICR_PENDING; i++)
		arch_pause();
}

void apic_send(uint32_t to, uint32_t what)
{
	uint64_t flags = irq_save();

	if (is_x2apic) {
		/* A write of this register waits for no earlier store, and what the other
		 * processor is to see must be there. Intel SDM volume 3, 11.12.3. */
		__asm__ volatile("mfence\n\tlfence" : : : "memory");
		cpu_msr_write(MSR_X2APIC + REG_ICR / 16, (uint64_t)to << 32 | what);
	} else {
		wait_sent();
		apic_write(REG_ICR_HIGH, to << 24);
		apic_write(REG_ICR, what);
		wait_sent();
	}
	irq_restore(flags);
}

void apic_send_self(unsigned vector)
{
	if (is_x2apic) {
		cpu_msr_write(X2APIC_SELF_IPI, vector);
		return;
	}
	wait_sent();
	apic_write(REG_ICR, ICR_SELF | ICR_ASSERT | vector);
}

void apic_timer_measure(void)
{
	apic_write(REG_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	apic_write(REG_TIMER_DIVIDE, DIVIDE_BY_16);
	apic_write(REG_TIMER_INITIAL, UINT32_MAX);
}

uint32_t apic_timer_elapsed(void)
{
	return UINT32_MAX - apic_read(REG_TIMER_CURRENT);
}

void apic_timer_start(uint32_t counts)
{
	apic_write(REG_TIMER_DIVIDE, DIVIDE_BY_16);
	apic_write(REG_LVT_TIMER, (counts ? LVT_PERIODIC : LVT_MASKED) | VECTOR_TIMER);
	apic_write(REG_TIMER_INITIAL, counts);
}

void apic_timer_once(uint32_t counts)
{
	apic_write(REG_TIMER_DIVIDE, DIVIDE_BY_16);
	apic_write(REG_LVT_TIMER, VECTOR_TIMER);
	apic_write(REG_TIMER_INITIAL, counts);
}
