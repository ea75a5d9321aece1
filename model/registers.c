/* SPDX-License-Identifier: MIT */
/*
 * The register file (11.4): accesses of 4 and 8 bytes, split into words of 4, with every
 * register's policy. Registers of an absent feature read 0 and ignore writes.
 */
#include "model/unit.h"

enum { RECORDS, IOTLB_GROUP, FIXED, PERFMON, NOWHERE };

static uint64_t records_at(const struct model_unit *unit)
{
	return unit->caps.fro * 16;
}

static uint64_t iotlb_at(const struct model_unit *unit)
{
	return unit->caps.iro * 16;
}

uint64_t model_register_bytes(const struct model_unit *unit)
{
	uint64_t end = records_at(unit) + unit->caps.records * 16, bytes = MODEL_PAGE;

	if (end < iotlb_at(unit) + 16)
		end = iotlb_at(unit) + 16;
	if (unit->caps.pms)
		end = model_perfmon_base(unit) + (uint64_t)MODEL_PERF_PAGES * MODEL_PAGE;
	while (bytes < end)
		bytes *= 2;
	return bytes;
}

static unsigned region(const struct model_unit *unit, uint64_t offset)
{
	if (offset >= records_at(unit) && offset < records_at(unit) + unit->caps.records * 16)
		return RECORDS;
	if (offset >= iotlb_at(unit) && offset < iotlb_at(unit) + 16)
		return IOTLB_GROUP;
	if (offset < MODEL_PAGE)
		return FIXED;
	return model_perfmon_owns(unit, offset) ? PERFMON : NOWHERE;
}

static uint32_t half(uint64_t word, uint32_t offset)
{
	return (uint32_t)(offset & 4 ? word >> 32 : word);
}

static void set_half(uint64_t *word, uint64_t offset, uint32_t value)
{
	*word = offset & 4 ? (*word & 0xffffffff) | (uint64_t)value << 32
	                   : (*word & ~UINT64_C(0xffffffff)) | value;
}

/* The message group that an offset belongs to: four registers, 4 bytes each. */
static struct model_message *message_at(struct model_unit *unit, uint32_t offset,
                                        enum model_source_kind *source, uint32_t *first)
{
	if (offset >= MODEL_FECTL && offset <= MODEL_FEUADDR) {
		*source = MODEL_SOURCE_FAULT;
		*first = MODEL_FECTL;
		return &unit->fault_event;
	}
	if (unit->caps.qi && offset >= MODEL_IECTL && offset <= MODEL_IEUADDR) {
		*source = MODEL_SOURCE_INVALIDATION;
		*first = MODEL_IECTL;
		return &unit->invalidation_event;
	}
	if (unit->caps.prs && offset >= MODEL_PECTL && offset <= MODEL_PEUADDR) {
		*source = MODEL_SOURCE_PAGE_REQUEST;
		*first = MODEL_PECTL;
		return &unit->page_event;
	}
	if (unit->caps.pms && offset >= MODEL_PERFINTRCTL && offset <= MODEL_PERFINTRUADDR) {
		*source = MODEL_SOURCE_PERFMON;
		*first = MODEL_PERFINTRCTL;
		return &unit->counter_event;
	}
	return NULL;
}

static uint32_t message_read(const struct model_message *message, uint32_t index)
{
	const uint32_t words[4] = {message->control, message->data, message->address,
	                           message->upper};

	return words[index];
}

static void message_write(struct model_unit *unit, struct model_message *message,
                          enum model_source_kind source, uint32_t index, uint32_t value)
{
	switch (index) {
	case 0:
		model_event_write_control(unit, message, source, value);
		break;
	case 1:
		message->data = value & 0xffff;
		break;
	case 2:
		message->address = value & ~3u;
		break;
	default:
		message->upper = value;
		break;
	}
}

/* Registers that hold what was written, within a mask; 0 where the feature is absent. */
static uint64_t storage_mask(const struct model_unit *unit, uint32_t offset)
{
	const struct model_caps *caps = &unit->caps;

	switch (offset & ~7u) {
	case MODEL_RTADDR:
		return model_mask(63, 12) |
		       (caps->smts || caps->adms ? MODEL_BIT(11) | MODEL_BIT(10) : 0) |
		       (caps->ssirws ? MODEL_BIT(7) : 0);
	case MODEL_IRTA:
		if (!caps->ir)
			return 0;
		return model_mask(63, 12) | 0xf | (caps->eim ? MODEL_BIT(11) : 0);
	case MODEL_MTRRDEF:
		return caps->mts ? 0xcff : 0;
	default:
		break;
	}
	if (caps->mts && offset >= MODEL_MTRR_FIX64K && offset < MODEL_MTRR_FIX4K + 0x40)
		return ~UINT64_C(0);
	if (caps->mts && offset >= MODEL_MTRR_PHYSBASE0 && offset < MODEL_MTRR_END)
		return model_mask(unit->config.haw - 1, 12) |
		       (offset & 8 ? MODEL_BIT(11) : UINT64_C(0xff));
	return 0;
}

static uint32_t read_fixed(struct model_unit *unit, uint32_t offset)
{
	enum model_source_kind source;
	uint32_t first;
	const struct model_message *message = message_at(unit, offset, &source, &first);

	if (message)
		return message_read(message, (offset - first) / 4);
	switch (offset) {
	case MODEL_VER:
		return unit->config.version;
	case MODEL_CAP:
	case MODEL_CAP + 4:
		return half(unit->config.cap, offset);
	case MODEL_ECAP:
	case MODEL_ECAP + 4:
		return half(unit->config.ecap, offset);
	case MODEL_GSTS:
		return unit->gsts;
	case MODEL_CCMD:
	case MODEL_CCMD + 4:
		return half(unit->ccmd, offset);
	case MODEL_FSTS:
		return model_fault_read_status(unit);
	case MODEL_PMEN:
	case MODEL_PLMBASE:
	case MODEL_PLMLIMIT:
	case MODEL_PHMBASE:
	case MODEL_PHMBASE + 4:
	case MODEL_PHMLIMIT:
	case MODEL_PHMLIMIT + 4:
		return model_pmr_read(unit, offset);
	case MODEL_IQH:
		return unit->iqh;
	case MODEL_IQT:
		return unit->iqt;
	case MODEL_IQA:
	case MODEL_IQA + 4:
		return half(unit->iqa, offset);
	case MODEL_ICS:
		return unit->ics;
	case MODEL_IQERCD:
	case MODEL_IQERCD + 4:
		return half(unit->iqercd, offset);
	case MODEL_PQH:
		return unit->pqh;
	case MODEL_PQT:
		return unit->pqt;
	case MODEL_PQA:
	case MODEL_PQA + 4:
		return half(unit->pqa, offset);
	case MODEL_PRS:
		return unit->prs;
	case MODEL_MTRRCAP:
		return unit->caps.mts ? 10 | 1u << 8 | 1u << 10 : 0;
	case MODEL_ECRSP:
	case MODEL_ECRSP + 4:
		return half(unit->ecrsp, offset);
	case MODEL_ECCAP3:
	case MODEL_ECCAP3 + 4:
		return half(unit->config.eccap3, offset);
	default:
		break;
	}
	if (offset >= MODEL_PERFCAP && offset < MODEL_ECMD)
		return model_perfmon_read_register(unit, offset);
	return unit->regs[offset / 4];
}

static uint32_t read_word(struct model_unit *unit, uint64_t offset)
{
	switch (region(unit, offset)) {
	case RECORDS:
		return model_fault_read_record(unit, offset - records_at(unit));
	case IOTLB_GROUP: /* IVA is write-only */
		return offset & 8 ? half(unit->iotlb, (uint32_t)offset) : 0;
	case FIXED:
		return read_fixed(unit, (uint32_t)offset);
	case PERFMON:
		return model_perfmon_read(unit, offset);
	default:
		return 0;
	}
}

static void write_ccmd(struct model_unit *unit, uint32_t offset, uint32_t value)
{
	uint64_t word = unit->ccmd;

	set_half(&word, offset, value);
	word = (word & UINT64_C(0xe0000003ffffffff)) | (unit->ccmd & model_mask(60, 59));
	if (unit->ccmd & MODEL_BIT(63)) {
		model_report_register(unit, MODEL_CCMD, "written while an invalidation is pending",
		                      value);
		return;
	}
	if ((offset & 4) && (word & MODEL_BIT(63)))
		model_invalidate_register_context(unit, word);
	else
		unit->ccmd = word & ~MODEL_BIT(63);
}

static void write_iotlb_group(struct model_unit *unit, uint64_t offset, uint32_t value)
{
	uint64_t word = unit->iotlb;

	if (unit->iotlb & MODEL_BIT(63)) {
		model_report_register(unit, offset, "written while an invalidation is pending",
		                      value);
		return;
	}
	if (!(offset & 8)) {
		set_half(&unit->iva, offset, value);
		unit->iva &= UINT64_C(0xfffffffffffff07f);
		unit->iva_written = true;
		return;
	}
	set_half(&word, offset, value);
	word = (word & UINT64_C(0xb003ffff00000000)) | (unit->iotlb & model_mask(58, 57));
	if ((offset & 4) && (word & MODEL_BIT(63)))
		model_invalidate_register_iotlb(unit, word);
	else
		unit->iotlb = word & ~MODEL_BIT(63);
}

static void write_queue_address(struct model_unit *unit, uint32_t offset, uint32_t value)
{
	if (!unit->caps.qi)
		return;
	if (unit->gsts & MODEL_G_QIE) {
		if (value != half(unit->iqa, offset))
			model_report_register(unit, MODEL_IQA, "written while the queue is enabled",
			                      value);
		return;
	}
	set_half(&unit->iqa, offset, value);
	unit->iqa &= model_mask(63, 11) | 7;
}

static void write_pending(struct model_unit *unit, uint32_t offset, uint32_t value)
{
	/* A latched address must not change while the command that latches it is pending. */
	uint32_t command = offset < MODEL_CCMD ? MODEL_G_SRTP : MODEL_G_SIRTP;

	if (unit->gcmd_busy && (unit->gcmd_pending & command) && value != unit->regs[offset / 4])
		model_report_register(unit, offset, "written while it is being latched", value);
}

static void write_fixed(struct model_unit *unit, uint32_t offset, uint32_t value)
{
	enum model_source_kind source;
	uint32_t first;
	struct model_message *message = message_at(unit, offset, &source, &first);

	if (message) {
		message_write(unit, message, source, (offset - first) / 4, value);
		return;
	}
	switch (offset) {
	case MODEL_GCMD:
		model_command_write(unit, value);
		return;
	case MODEL_CCMD:
	case MODEL_CCMD + 4:
		write_ccmd(unit, offset, value);
		return;
	case MODEL_FSTS:
		model_fault_write_status(unit, value);
		return;
	case MODEL_PMEN:
		model_pmr_write_enable(unit, value);
		return;
	case MODEL_PLMBASE:
	case MODEL_PLMLIMIT:
	case MODEL_PHMBASE:
	case MODEL_PHMBASE + 4:
	case MODEL_PHMLIMIT:
	case MODEL_PHMLIMIT + 4:
		model_pmr_write_limit(unit, offset, value);
		return;
	case MODEL_IQT:
		if (unit->caps.qi)
			model_queue_write_tail(unit, value);
		return;
	case MODEL_IQA:
	case MODEL_IQA + 4:
		write_queue_address(unit, offset, value);
		return;
	case MODEL_ICS:
		unit->ics &= ~(value & 1);
		if (!unit->ics)
			unit->invalidation_event.control &= ~(uint32_t)MODEL_EVENT_IP;
		return;
	case MODEL_PQH:
		if (unit->caps.prs)
			model_page_write_head(unit, value);
		return;
	case MODEL_PQT:
		if (unit->caps.prs)
			unit->pqt = value & 0x7ffe0;
		return;
	case MODEL_PQA:
	case MODEL_PQA + 4:
		if (unit->caps.prs) {
			set_half(&unit->pqa, offset, value);
			unit->pqa &= model_mask(63, 12) | 7;
		}
		return;
	case MODEL_PRS:
		model_page_write_status(unit, value);
		return;
	case MODEL_PERFINTRSTS:
		unit->perfintrsts &= ~(value & 1);
		if (!unit->perfintrsts)
			unit->counter_event.control &= ~(uint32_t)MODEL_EVENT_IP;
		return;
	case MODEL_ECMD:
	case MODEL_ECMD + 4:
		if (!unit->caps.ecmds)
			return;
		if (unit->ecrsp & 1) { /* dropped: the command in progress keeps its operands */
			if (!(offset & 4))
				model_report_register(unit, MODEL_ECMD,
				                      "written while a command is in progress",
				                      value);
			return;
		}
		/* The upper half is written first; the lower one starts the command. */
		set_half(&unit->ecmd, offset, value);
		if (!(offset & 4))
			model_ecmd_start(unit);
		return;
	case MODEL_RTADDR:
	case MODEL_RTADDR + 4:
	case MODEL_IRTA:
	case MODEL_IRTA + 4:
		write_pending(unit, offset, value);
		break;
	default:
		break;
	}
	unit->regs[offset / 4] = value & half(storage_mask(unit, offset), offset);
}

static void write_word(struct model_unit *unit, uint64_t offset, uint32_t value)
{
	switch (region(unit, offset)) {
	case RECORDS:
		model_fault_write_record(unit, offset - records_at(unit), value);
		break;
	case IOTLB_GROUP:
		write_iotlb_group(unit, offset, value);
		break;
	case FIXED:
		write_fixed(unit, (uint32_t)offset, value);
		break;
	case PERFMON:
		model_perfmon_write(unit, offset, value);
		break;
	default:
		break;
	}
}

/* 32-bit registers must not be touched by 64-bit accesses (11.2). */
static bool narrow(uint64_t offset)
{
	static const uint16_t ranges[][2] = {
		{MODEL_GCMD, MODEL_GSTS},          {MODEL_FSTS & ~4, MODEL_FEUADDR},
		{MODEL_PMEN & ~4, MODEL_PLMLIMIT}, {MODEL_ICS & ~4, MODEL_IEUADDR},
		{MODEL_PRS & ~4, MODEL_PEUADDR},   {MODEL_PERFCFGOFF, MODEL_PERFINTRUADDR},
	};

	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (offset >= ranges[i][0] && offset <= ranges[i][1])
			return true;
	return false;
}

static bool access_ok(struct model_unit *unit, uint64_t offset, unsigned bytes, uint64_t value)
{
	if (bytes != 4 && bytes != 8)
		model_report_register(unit, offset, "accessed with a width that is not 4 or 8",
		                      bytes);
	else if (offset & (bytes - 1))
		model_report_register(unit, offset, "accessed at an unaligned offset", value);
	else if (offset >= model_register_bytes(unit))
		model_report_register(unit, offset, "accessed beyond the register window", value);
	else
		return true;
	return false;
}

uint64_t model_read(struct model_unit *unit, uint64_t offset, unsigned bytes)
{
	uint64_t value;

	if (!access_ok(unit, offset, bytes, 0))
		return ~UINT64_C(0);
	if (bytes == 8 && narrow(offset))
		model_report_register(unit, offset, "is a 32-bit register, read by 64 bits", 0);
	value = read_word(unit, offset);
	if (bytes == 8)
		value |= (uint64_t)read_word(unit, offset + 4) << 32;
	return value;
}

void model_write(struct model_unit *unit, uint64_t offset, unsigned bytes, uint64_t value)
{
	if (!access_ok(unit, offset, bytes, value))
		return;
	if (bytes == 4) {
		write_word(unit, offset, (uint32_t)value);
		return;
	}
	if (narrow(offset))
		model_report_register(unit, offset, "is a 32-bit register, written by 64 bits",
		                      value);
	if (offset == MODEL_ECMD) { /* the half that starts the command comes last */
		write_word(unit, offset + 4, (uint32_t)(value >> 32));
		write_word(unit, offset, (uint32_t)value);
		return;
	}
	write_word(unit, offset, (uint32_t)value);
	write_word(unit, offset + 4, (uint32_t)(value >> 32));
}
