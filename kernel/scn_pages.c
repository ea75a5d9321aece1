/* SPDX-License-Identifier: MIT */
/*
 * Page requests: a device asks for a page that its tables do not give, a program reads
 * the request from a fault queue (IOMMU_FAULT_QUEUE_ALLOC), maps the page or not, and
 * answers; the device goes on.
 */
#include "iommu/string.h"
#include "kernel/scn_handlers.h"
#include "ufd/iommufd.h"

enum { WAIT_MS = 50 }; /* for the first request to come in */

/* fault-queue NAME:fault-queue */
SCN_HANDLER(fault_queue)
{
	struct iommu_fault_alloc call = {.size = sizeof(call)};

	result->error = scn_call(scn, scn->fd, IOMMU_FAULT_QUEUE_ALLOC, &call, sizeof(call));
	if (result->error)
		return;
	struct scn_object *queue = scn_object_add(scn, result, line->args[0].text, SCN_FAULT_QUEUE);
	if (!queue) { /* the object goes with /dev/iommu, the descriptor does not */
		(void)!ufd_close(scn->platform->ufd, (int)call.out_fault_fd);
		return;
	}
	queue->id = call.out_fault_id;
	queue->fd = (int)call.out_fault_fd;
	scn_note(result, "fault queue with id %u, descriptor %d", queue->id, queue->fd);
}

void scn_fault_queue_close(struct scn *scn, struct scn_object *queue)
{
	if (queue->fd >= 0)
		(void)!ufd_close(scn->platform->ufd, queue->fd);
	queue->fd = -1;
	queue->cookie_count = 0;
}

/* The queue in slot 0; NULL: broken. */
static struct scn_object *queue_of(struct scn *scn, const struct scn_line *line,
                                   struct scn_result *result)
{
	struct scn_object *queue = scn_arg_object(scn, line, 0, result);

	if (queue && queue->fd < 0) {
		scn_broken(result, "%s is closed", queue->name);
		return NULL;
	}
	return queue;
}

/* What is under way arrives. */
static void settle(struct scn *scn)
{
	const struct scn_platform *platform = scn->platform;

	iommu_poll(platform->iommu);
	if (platform->model)
		platform->model->pump(platform->model->ctx);
}

static void request_print(struct scn *scn, const struct iommu_hwpt_pgfault *fault)
{
	const struct scn_object *device = scn_object_by_id(scn, fault->dev_id, 1u << SCN_DEVICE);

	iommu_printf(&scn->out.print, "%s asks for %#llx:%s%s%s%s", device ? device->name : "?",
	             (unsigned long long)fault->addr,
	             fault->perm & IOMMU_PGFAULT_PERM_READ ? " read" : "",
	             fault->perm & IOMMU_PGFAULT_PERM_WRITE ? " write" : "",
	             fault->perm & IOMMU_PGFAULT_PERM_EXEC ? " execute" : "",
	             fault->perm & IOMMU_PGFAULT_PERM_PRIV ? " privileged" : "");
	if (fault->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID)
		iommu_printf(&scn->out.print, ", PASID %#x", fault->pasid);
	iommu_printf(&scn->out.print, ", group %u, cookie %u%s\n", fault->grpid, fault->cookie,
	             fault->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE ? ", last" : "");
}

/* Remember the group for `answer`: it is known by its cookie, in each of its requests. */
static void group_note(struct scn_object *queue, const struct iommu_hwpt_pgfault *fault,
                       struct scn_result *result)
{
	for (unsigned i = 0; i < queue->cookie_count; i++)
		if (queue->cookies[i] == fault->cookie)
			return;
	if (queue->cookie_count == SCN_GROUPS)
		scn_broken(result, "more than %d groups wait for an answer", SCN_GROUPS);
	else
		queue->cookies[queue->cookie_count++] = fault->cookie;
}

/* pages QUEUE */
SCN_HANDLER(pages)
{
	enum { MOST = SCN_ABI_DATA / sizeof(struct iommu_hwpt_pgfault) };
	struct scn_object *queue = queue_of(scn, line, result);
	const struct scn_platform *platform = scn->platform;
	struct iommu_hwpt_pgfault fault;

	if (!queue)
		return;
	uint64_t start = platform->now_ns(platform->ctx);
	int64_t got;
	for (;;) {
		settle(scn);
		got = ufd_read(platform->ufd, queue->fd, scn_call_data(scn), MOST * sizeof(fault));
		if (got != 0 ||
		    platform->now_ns(platform->ctx) - start >= WAIT_MS * UINT64_C(1000000))
			break;
		platform->wait(platform->ctx);
	}
	if (got < 0) {
		result->error = (int)got;
		return;
	}
	result->has_value = true;
	result->number = (uint64_t)got / sizeof(fault);
	scn_note(result, "page request%s", result->number == 1 ? "" : "s");
	if (got)
		scn_listing(scn);
	for (uint64_t i = 0; i < result->number; i++) {
		result->error =
			user_memory_copy_in(platform->memory, &fault,
		                            scn_call_data(scn) + i * sizeof(fault), sizeof(fault));
		if (result->error)
			return;
		request_print(scn, &fault);
		group_note(queue, &fault, result);
	}
}

/* answer QUEUE success|invalid [VALUE]: every group that was read, or this cookie */
SCN_HANDLER(answer)
{
	struct scn_object *queue = queue_of(scn, line, result);
	uint64_t cookie = scn_arg_number(scn, line, 2, 0, result);
	struct iommu_hwpt_page_response answers[SCN_GROUPS];
	unsigned count = 0;

	if (!queue || result->broken)
		return;
	uint32_t code =
		line->args[1].choice == 0 ? IOMMUFD_PAGE_RESP_SUCCESS : IOMMUFD_PAGE_RESP_INVALID;
	if (line->args[2].set)
		answers[count++] = (struct iommu_hwpt_page_response){(uint32_t)cookie, code};
	else
		while (count < queue->cookie_count) {
			answers[count] =
				(struct iommu_hwpt_page_response){queue->cookies[count], code};
			count++;
		}
	if (!count) {
		scn_broken(result, "no request was read from %s that waits", queue->name);
		return;
	}
	size_t bytes = count * sizeof(*answers);
	if (user_memory_copy_out(scn->platform->memory, scn_call_data(scn), answers, bytes) != 0) {
		scn_broken(result, "the answers cannot be put into user memory");
		return;
	}
	int64_t done = ufd_write(scn->platform->ufd, queue->fd, scn_call_data(scn), bytes);
	if (done < 0) {
		result->error = (int)done;
		return;
	}
	if ((uint64_t)done != bytes)
		scn_broken(result, "%llu of %llu bytes were taken", (unsigned long long)done,
		           (unsigned long long)bytes);
	if (!line->args[2].set)
		queue->cookie_count = 0;
	settle(scn);
	scn_note(result, "%u group%s", count, count == 1 ? "" : "s");
}

/* resume DEV */
SCN_HANDLER(resume)
{
	struct scn_object *device = scn_arg_object(scn, line, 0, result);

	if (!device)
		return;
	if (!device->pending.active) {
		scn_broken(result, "no transfer of %s waits for an answer", device->name);
		return;
	}
	settle(scn);
	scn_transfer_resume(scn, line, device, result);
}
