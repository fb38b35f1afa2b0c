/* SPDX-License-Identifier: MIT */
/* Threads that go on only when told to. */
#undef _FORTIFY_SOURCE /* it takes a jump to another stack for an attack */

#include "sched_internal.h"

#include "../support.h"

#include <setjmp.h>
#include <stdlib.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBERS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBERS_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBERS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBERS_TSAN 1
#endif
#endif

#ifdef FIBERS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBERS_TSAN
#include <sanitizer/tsan_interface.h>
#endif

enum { STACK = 256 * 1024 };

race_fibers_state race_fibers = {.current = RACE_THREADS};

/* The last one is the caller of race_explore(). */
static struct context {
	ucontext_t machine;
	jmp_buf jump;
	int begun; /* there is something in `jump` */
	void *stack;
	size_t stack_size;
	void *fake_stack, *tsan;
} contexts[RACE_THREADS + 1];

static const race_program *running;
static uint32_t came_from;

static void arrived(uint32_t here)
{
	race_fibers.current = here;
#ifdef FIBERS_ASAN
	{
		const void *bottom;
		size_t size;

		__sanitizer_finish_switch_fiber(contexts[here].fake_stack, &bottom, &size);
		if (came_from == RACE_THREADS) {
			contexts[RACE_THREADS].stack = (void *)(uintptr_t)bottom;
			contexts[RACE_THREADS].stack_size = size;
		}
	}
#endif
}

static void switch_to(uint32_t next)
{
	uint32_t here = race_fibers.current;

	if (next == here)
		return;
	came_from = here;
#ifdef FIBERS_ASAN
	__sanitizer_start_switch_fiber(&contexts[here].fake_stack, contexts[next].stack,
	                               contexts[next].stack_size);
#endif
#ifdef FIBERS_TSAN
	__tsan_switch_to_fiber(contexts[next].tsan, 0);
#endif
#if T_SANITIZED
	(void)swapcontext(&contexts[here].machine, &contexts[next].machine);
#else
	/* swapcontext() makes a system call, which costs more than all else here. */
	if (_setjmp(contexts[here].jump) == 0) {
		if (contexts[next].begun)
			_longjmp(contexts[next].jump, 1);
		contexts[next].begun = 1;
		(void)setcontext(&contexts[next].machine);
	}
#endif
	arrived(here);
}

static void body(int number)
{
	uint32_t t = (uint32_t)number;

	arrived(t);
	for (;;) {
		running->run[t]();
		race_fibers.fiber[t].done = 1;
		switch_to(race_fibers.fiber[t].op.kind == UINT32_MAX ? RACE_THREADS : race_pick());
	}
}

static void make(uint32_t t)
{
	struct context *c = &contexts[t];

	memset(c, 0, sizeof *c);
	c->stack_size = STACK;
	c->stack = malloc(STACK);
	assert_non_null(c->stack);
	assert_int_equal(getcontext(&c->machine), 0);
	c->machine.uc_stack.ss_sp = c->stack;
	c->machine.uc_stack.ss_size = STACK;
	c->machine.uc_link = NULL;
	makecontext(&c->machine, (void (*)(void))body, 1, (int)t);
#ifdef FIBERS_TSAN
	c->tsan = __tsan_create_fiber(0);
#endif
}

void race_fibers_make(const race_program *program)
{
	uint32_t t;

	running = program;
	race_fibers.current = RACE_THREADS;
	contexts[RACE_THREADS].begun = 1;
#ifdef FIBERS_TSAN
	contexts[RACE_THREADS].tsan = __tsan_get_current_fiber();
#endif
	for (t = 0; t < program->threads; t++)
		make(t);
}

void race_fibers_drop(uint32_t threads)
{
	uint32_t t;

	for (t = 0; t < threads; t++) {
#ifdef FIBERS_TSAN
		__tsan_destroy_fiber(contexts[t].tsan);
#endif
		free(contexts[t].stack);
	}
}

/* While they are being started no thread does more than say what it would do first. */
void race_fibers_run(uint32_t threads)
{
	uint32_t t;

	for (t = 0; t < threads; t++) {
		race_fibers.fiber[t].done = 0;
		race_fibers.fiber[t].op.kind = UINT32_MAX;
		switch_to(t);
	}
	switch_to(race_pick());
}

void race_point(race_op op)
{
	race_fiber *me = &race_fibers.fiber[race_fibers.current];
	int starting = me->op.kind == UINT32_MAX;

	me->op = op;
	switch_to(starting ? RACE_THREADS : race_pick());
}
