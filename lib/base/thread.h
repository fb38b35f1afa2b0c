/* SPDX-License-Identifier: MIT */
#ifndef RCO_BASE_THREAD_H
#define RCO_BASE_THREAD_H

#include <recoptout.h>

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/*
 * A thread of the library: with all signals blocked, for they are the host's, and with at least RCO__STACK bytes
 * of stack, for it calls backends and libraries that know nothing of small stacks (musl gives 128 KiB). 0, or an
 * errno.
 */
int rco__thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg);

enum { RCO__STACK = 2 << 20 };

/* Who is told of a thread, and what it is called: in the thread's own memory, for it may outlive what started it.
 */
typedef struct rco__thread_hook {
	char name[16]; /* as long as the system's */
	rco_thread_fn fn;
	void *user_data;
} rco__thread_hook;

void rco__thread_begins(const rco__thread_hook *hook);
void rco__thread_ends(void *hook); /* fit for pthread_cleanup_push() */

/* A moment of the system's monotonic clock, for pthread_cond_timedwait(): a wait is real, whatever clock a test
 * has. */
struct timespec rco__deadline_in(uint32_t ms);
int rco__deadline_past(const struct timespec *deadline);

/*
 * Overwrites what the calling thread has in registers that a function may leave as it likes: the C library copies
 * audio by way of vector registers, and some of them nothing else ever uses. On x86 and arm64; elsewhere, where
 * copies do not go through registers that stay untouched, it does nothing.
 */
void rco__clear_registers(void);

#endif
