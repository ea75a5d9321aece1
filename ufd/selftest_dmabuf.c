/* SPDX-License-Identifier: MIT */
/*
 * Memory that a device lends (Linux's dmabuf), as far as IOMMU_TEST_CMD makes it: a
 * descriptor of some pages that are nobody's user memory, which IOAS_MAP_FILE maps.
 *
 * The lender may take it back. Then what maps it is unmapped in every HWPT at once, stays
 * so, and maps nothing in later ones; only the IOVAs remain taken. When it is lent again,
 * that is a new loan: it must be mapped anew.
 *
 * A loan is counted by who maps it and by the descriptor; the memory belongs to the first
 * loan, to which later ones refer. A descriptor belongs to the context that it was made in.
 */
#include "ufd/selftest_private.h"

enum {
	MAX_ORDER = 12,           /* 16 MiB */
	OPEN_FLAGS = 3 | 0x80000, /* Linux's O_ACCMODE, O_CLOEXEC */
};

struct ufd_loan {
	struct ufd_loan *first; /* whose memory it is; NULL: its own */
	uint32_t refs;          /* atomic */
	bool ended;             /* atomic */
	bool kept;              /* atomic: its own memory is never given back */
	unsigned order;         /* of its own memory */
	pa_t start;
	uint64_t bytes;
};

struct lender {
	struct ufd_file file;
	struct ufd_context *context; /* a reference to its file */
	struct ufd_loan *loan;       /* the newest; under ufd->lock */
};

static struct lender *lender_of(struct ufd_file *file)
{
	return container_of(file, struct lender, file);
}

void ufd_loan_put(const struct ufd *ufd, struct ufd_loan *loan)
{
	while (loan && !__atomic_sub_fetch(&loan->refs, 1, __ATOMIC_ACQ_REL)) {
		struct ufd_loan *first = loan->first;
		if (!first && !__atomic_load_n(&loan->kept, __ATOMIC_RELAXED))
			ufd->os->page_free(ufd->os->ctx, loan->start, loan->order);
		ufd_free(ufd, loan, sizeof(*loan));
		loan = first;
	}
}

void ufd_loan_keep(struct ufd_loan *loan)
{
	struct ufd_loan *first = loan->first ? loan->first : loan;

	__atomic_store_n(&first->kept, true, __ATOMIC_RELAXED);
}

bool ufd_loan_ended(const struct ufd_loan *loan)
{
	return __atomic_load_n(&loan->ended, __ATOMIC_ACQUIRE);
}

pa_t ufd_loan_memory(const struct ufd_loan *loan)
{
	return loan->start;
}

/** The newest loan of a lender, with a reference. */
static struct ufd_loan *newest(struct lender *self)
{
	ufd_lock(self->file.ufd, &self->file.ufd->lock);
	struct ufd_loan *loan = self->loan;
	__atomic_fetch_add(&loan->refs, 1, __ATOMIC_RELAXED);
	ufd_unlock(self->file.ufd, &self->file.ufd->lock);
	return loan;
}

/** The lender with descriptor @p fd, with a reference. -EBADF if it is none. */
static int lender_get(struct ufd *ufd, int fd, struct lender **out)
{
	struct ufd_file *file = NULL;

	int error = ufd_file_get(ufd, fd, &file);
	if (!error && file->kind != UFD_FILE_LENDER) {
		ufd_file_put(file);
		error = -EBADF;
	}
	if (!error)
		*out = lender_of(file);
	return error;
}

int ufd_loan_get(struct ufd_context *context, int fd, uint64_t start, uint64_t bytes,
                 struct ufd_loan **out)
{
	struct ufd *ufd = context->file.ufd;
	struct lender *self = NULL;

	int error = lender_get(ufd, fd, &self);
	if (error)
		return error;
	struct ufd_loan *loan = newest(self);
	if (self->context != context || start > loan->bytes || bytes > loan->bytes - start)
		error = ufd_refuse(ufd, -EINVAL,
		                   "the memory of descriptor %d has %#llx bytes, and is for the "
		                   "/dev/iommu that it was made in",
		                   fd, (unsigned long long)loan->bytes);
	else if (ufd_loan_ended(loan))
		error = ufd_refuse(ufd, -ENODEV, "the memory of descriptor %d is taken back", fd);
	ufd_file_put(&self->file);
	if (error)
		ufd_loan_put(ufd, loan);
	else
		*out = loan;
	return error;
}

void ufd_lender_end(struct ufd_file *file)
{
	struct lender *self = lender_of(file);
	struct ufd_context *context = self->context;
	struct ufd *ufd = file->ufd;

	ufd_loan_put(ufd, self->loan);
	ufd_free(ufd, self, sizeof(*self));
	ufd_file_put(&context->file);
}

int ufd_selftest_dmabuf_get(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const uint64_t bytes = arguments->dmabuf_get.length;
	const struct iommu_os *os = call->ufd->os;
	unsigned order = 0;

	if (!bytes || bytes % PAGE_SIZE_4K ||
	    arguments->dmabuf_get.open_flags & ~(uint32_t)OPEN_FLAGS)
		return ufd_refuse(call->ufd, -EINVAL, "DMABUF_GET: %#llx bytes, flags %#x",
		                  (unsigned long long)bytes, arguments->dmabuf_get.open_flags);
	while (PAGE_SIZE_4K << order < bytes)
		if (++order > MAX_ORDER)
			return -ENOMEM;
	struct lender *self = ufd_alloc(call->ufd, sizeof(*self));
	struct ufd_loan *loan = ufd_alloc(call->ufd, sizeof(*loan));
	int error = !self || !loan ? -ENOMEM : os->page_alloc(os->ctx, order, &loan->start);
	if (error) {
		ufd_free(call->ufd, loan, sizeof(*loan));
		ufd_free(call->ufd, self, sizeof(*self));
		return error;
	}
	loan->refs = 1;
	loan->order = order;
	loan->bytes = bytes;
	self->file = (struct ufd_file){.ufd = call->ufd, .kind = UFD_FILE_LENDER, .refs = 1};
	self->context = call->context;
	self->loan = loan;
	ufd_file_hold(&call->context->file);
	int fd = ufd_file_install(call->ufd, &self->file);
	if (fd < 0)
		ufd_file_put(&self->file);
	return fd;
}

/** Lend again what was taken back. */
static int lend(struct lender *self, struct ufd_loan *old)
{
	struct ufd *ufd = self->file.ufd;
	struct ufd_loan *first = old->first ? old->first : old;
	struct ufd_loan *loan = ufd_alloc(ufd, sizeof(*loan));

	if (!loan)
		return -ENOMEM;
	*loan = (struct ufd_loan){
		.first = first, .refs = 1, .start = old->start, .bytes = old->bytes};
	__atomic_fetch_add(&first->refs, 1, __ATOMIC_RELAXED);
	ufd_lock(ufd, &ufd->lock);
	struct ufd_loan *was = self->loan;
	if (was == old)
		self->loan = loan;
	ufd_unlock(ufd, &ufd->lock);
	ufd_loan_put(ufd, was == old ? was : loan); /* else another call was faster */
	return 0;
}

int ufd_selftest_dmabuf_revoke(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	struct lender *self = NULL;

	int error = lender_get(call->ufd, arguments->dmabuf_revoke.dmabuf_fd, &self);
	if (error)
		return error;
	struct ufd_loan *loan = newest(self);
	if (self->context != call->context) {
		error = -EINVAL;
	} else if (arguments->dmabuf_revoke.revoked) {
		__atomic_store_n(&loan->ended, true, __ATOMIC_RELEASE);
		ufd_ioas_unmap_loan(call->context, loan);
	} else if (ufd_loan_ended(loan)) {
		error = lend(self, loan);
	}
	ufd_loan_put(call->ufd, loan);
	ufd_file_put(&self->file);
	return error;
}
