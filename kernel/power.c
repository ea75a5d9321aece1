/* SPDX-License-Identifier: MIT */
/*
 * The end of the machine's run: off or reset. Each way is tried in turn and given
 * time to act; what is left at the end is a halt. Works in a panic: no locks, no
 * allocation, everything mapped beforehand.
 * ACPI 6.5, 4.8.3.2 (PM1 control), 4.8.3.6 (reset register), 4.8.3.7 (sleep control).
 */
#include "arch/arch.h"
#include "kernel/acpi.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/kernel.h"

enum {
	DEBUG_EXIT_PORT = 0xf4, /* isa-debug-exit,iobase=0xf4,iosize=0x04 */
	EXIT_SUCCESS_CODE = 16, /* QEMU ends with 33 */
	EXIT_FAILURE_CODE = 17, /* with 35 */
	ACT_US = 500000,        /* how long a chipset may take */
};

static struct {
	uint16_t pm1a, pm1b;
	bool has_s5, has_reset;
	uint8_t s5_a, s5_b;
	uint8_t reset_space, reset_value;
	uint64_t reset_address;
	uintptr_t reset_window;
	uint16_t smi_command;
	uint8_t acpi_enable;
	bool sleep_is_port; /* hardware-reduced ACPI: one sleep control register */
	uint64_t sleep_control;
	uintptr_t sleep_window;
} power;

void power_init(const struct acpi *acpi)
{
	if (!acpi)
		return;
	power.pm1a = acpi->pm1a_control;
	power.pm1b = acpi->pm1b_control;
	power.has_s5 = acpi->has_s5;
	power.s5_a = acpi->s5_a;
	power.s5_b = acpi->s5_b;
	power.smi_command = acpi->smi_command;
	power.acpi_enable = acpi->acpi_enable;
	if (acpi->hardware_reduced && acpi->sleep_control) {
		power.sleep_control = acpi->sleep_control;
		power.sleep_is_port = acpi->sleep_space == 1;
		if (acpi->sleep_space == 0)
			power.sleep_window = (uintptr_t)vm_map_mmio(acpi->sleep_control, 1, false);
	}
	power.has_reset = acpi->has_reset;
	power.reset_space = acpi->reset_space;
	power.reset_value = acpi->reset_value;
	power.reset_address = acpi->reset_address;
	if (power.has_reset && power.reset_space == 0) {
		power.reset_window = (uintptr_t)vm_map_mmio(power.reset_address, 1, false);
		power.has_reset = power.reset_window != 0;
	}
}

static void noreturn halt_for_good(const char *why)
{
	kprintf("%s\n", why);
	console_flush();
	for (;;)
		__asm__ volatile("cli; hlt");
}

/** The chipset takes the sleep command only in ACPI mode (SCI_EN). */
static void enter_acpi_mode(void)
{
	enum { SCI_EN = 1 };

	if (in16(power.pm1a) & SCI_EN || !power.smi_command || !power.acpi_enable)
		return;
	out8(power.smi_command, power.acpi_enable);
	for (unsigned i = 0; i < ACT_US / 100 && !(in16(power.pm1a) & SCI_EN); i++)
		time_delay_us(100);
}

static void enter_s5(uint16_t port, uint8_t type)
{
	const uint16_t slp_typ = 7 << 10, slp_en = 1 << 13;
	uint16_t value = (uint16_t)((in16(port) & ~(slp_typ | slp_en)) | (type & 7) << 10);

	out16(port, value);
	out16(port, value | slp_en);
}

static void power_off_by_acpi(void)
{
	const uint8_t slp_en = 1 << 5;
	uint8_t sleep = (uint8_t)((power.s5_a & 7) << 2 | slp_en);

	if (power.sleep_is_port) {
		out8((uint16_t)power.sleep_control, sleep);
	} else if (power.sleep_window) {
		*(volatile uint8_t *)power.sleep_window = sleep;
	} else if (power.pm1a) {
		enter_acpi_mode();
		enter_s5(power.pm1a, power.s5_a);
		if (power.pm1b)
			enter_s5(power.pm1b, power.s5_b);
	}
	time_delay_us(ACT_US);
}

void power_off(bool success)
{
	__asm__ volatile("cli");
	console_flush();
	/* Only below a hypervisor: on a real machine port 0xf4 is somebody else's. */
	if (cpu_features.hypervisor)
		out32(DEBUG_EXIT_PORT, success ? EXIT_SUCCESS_CODE : EXIT_FAILURE_CODE);
	if (power.has_s5)
		power_off_by_acpi();
	halt_for_good("The machine did not switch itself off. It is safe to do so by hand.");
}

/** The FADT's reset register. Space 2 has device, function and offset in bits 47:32,
 *  31:16 and 15:0, on bus 0 of segment 0. */
static void reset_by_acpi(void)
{
	uint64_t a = power.reset_address;

	if (!power.has_reset)
		return;
	switch (power.reset_space) {
	case 0:
		*(volatile uint8_t *)power.reset_window = power.reset_value;
		break;
	case 1:
		if (a <= 0xffff)
			out8((uint16_t)a, power.reset_value);
		break;
	case 2:
		out32(0xcf8, UINT32_C(0x80000000) | (uint32_t)(a >> 32 & 31) << 11 |
		                     (uint32_t)(a >> 16 & 7) << 8 | (uint32_t)(a & 0xfc));
		out8((uint16_t)(0xcfc + (a & 3)), power.reset_value);
		break;
	default:
		break;
	}
	time_delay_us(ACT_US / 5);
}

void power_reset(void)
{
	enum { RESET_CONTROL = 0xcf9, KEYBOARD_STATUS = 0x64, KEYBOARD_FULL = 2, PULSE = 0xfe };

	__asm__ volatile("cli");
	console_flush();
	reset_by_acpi();

	/* The chipset's reset control: full reset, then act. */
	out8(RESET_CONTROL, 0x02);
	time_delay_us(50);
	out8(RESET_CONTROL, 0x06);
	time_delay_us(ACT_US / 5);

	for (unsigned i = 0; i < 100 && in8(KEYBOARD_STATUS) & KEYBOARD_FULL; i++)
		time_delay_us(100);
	out8(KEYBOARD_STATUS, PULSE);
	time_delay_us(ACT_US / 5);

	/* An exception without a table to deliver it: triple fault, shutdown, reset. */
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) empty = {0, 0};
	__asm__ volatile("lidt %0; ud2" : : "m"(empty));
	__builtin_unreachable();
}
