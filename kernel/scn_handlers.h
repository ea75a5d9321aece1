/* SPDX-License-Identifier: MIT */
/*
 * One function a command; slots are those of its usage text in scn_commands.c.
 * Private to the interpreter.
 */
#ifndef KERNEL_SCN_HANDLERS_H
#define KERNEL_SCN_HANDLERS_H

#include "kernel/scn_state.h"

#define SCN_HANDLER(name)                                                                          \
	void scn_do_##name(struct scn *scn, const struct scn_line *line, struct scn_result *result)

/* scn_objects.c */
SCN_HANDLER(ioas);
SCN_HANDLER(map);
SCN_HANDLER(copy);
SCN_HANDLER(unmap);
SCN_HANDLER(ranges);
SCN_HANDLER(allow);
SCN_HANDLER(option);
SCN_HANDLER(hwpt);
SCN_HANDLER(destroy);
/* scn_stage1.c, scn_stage1_words.c */
SCN_HANDLER(stage1);
SCN_HANDLER(stage1_map);
SCN_HANDLER(stage1_unmap);
SCN_HANDLER(stage1_entry);
SCN_HANDLER(stage1_marks);
SCN_HANDLER(stage1_show);
/* scn_nested.c */
SCN_HANDLER(invalidate);
/* scn_dirty.c */
SCN_HANDLER(dirty);
SCN_HANDLER(dirty_pages);
/* scn_pages.c */
SCN_HANDLER(fault_queue);
SCN_HANDLER(pages);
SCN_HANDLER(answer);
SCN_HANDLER(resume);
/* scn_report.c */
SCN_HANDLER(steps);
SCN_HANDLER(audit);
SCN_HANDLER(caches);
SCN_HANDLER(counts);
/* scn_device.c */
SCN_HANDLER(device);
SCN_HANDLER(attach);
SCN_HANDLER(replace);
SCN_HANDLER(detach);
SCN_HANDLER(close);
SCN_HANDLER(passthrough);
SCN_HANDLER(info);
/* scn_dma.c */
SCN_HANDLER(dma);
SCN_HANDLER(move);
/* scn_window.c */
SCN_HANDLER(defer);
SCN_HANDLER(window);
/* scn_memory.c */
SCN_HANDLER(buffer);
SCN_HANDLER(free);
SCN_HANDLER(fill);
SCN_HANDLER(holds);
SCN_HANDLER(compare);
SCN_HANDLER(remember);
SCN_HANDLER(unchanged);
SCN_HANDLER(dump);
SCN_HANDLER(physical);
/* scn_look.c */
SCN_HANDLER(format);
SCN_HANDLER(nestable);
SCN_HANDLER(page_size);
SCN_HANDLER(rights);
SCN_HANDLER(walk);
SCN_HANDLER(tables);
SCN_HANDLER(units);
SCN_HANDLER(caps);
SCN_HANDLER(devices);
SCN_HANDLER(groups);
SCN_HANDLER(engines);
SCN_HANDLER(objects);
SCN_HANDLER(faults);
SCN_HANDLER(stats);
SCN_HANDLER(memory);
SCN_HANDLER(say);
SCN_HANDLER(wait);
SCN_HANDLER(nothing);

#endif
