/* SPDX-License-Identifier: MIT */
/* Mutexes for unit tests in the kernel, which run on one processor: a mutex that is taken
 * twice, or given back by who has not got it, is an error. A thread runs to its end where it
 * is created: what threads do to each other is tested hosted. See tests/kernel/library.c. */
#ifndef TESTS_KERNEL_PTHREAD_H
#define TESTS_KERNEL_PTHREAD_H

typedef struct {
	int held;
} pthread_mutex_t;
typedef int pthread_mutexattr_t, pthread_t;
typedef int pthread_attr_t;

#define PTHREAD_MUTEX_INITIALIZER                                                                  \
	{                                                                                          \
		0                                                                                  \
	}
#define PTHREAD_MUTEX_ERRORCHECK 1

int pthread_mutexattr_init(pthread_mutexattr_t *attributes);
int pthread_mutexattr_settype(pthread_mutexattr_t *attributes, int type);
int pthread_mutexattr_destroy(pthread_mutexattr_t *attributes);
int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int pthread_mutex_destroy(pthread_mutex_t *mutex);
int pthread_mutex_lock(pthread_mutex_t *mutex);
int pthread_mutex_unlock(pthread_mutex_t *mutex);
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument);
int pthread_join(pthread_t thread, void **result);

#endif
