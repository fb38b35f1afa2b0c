/* SPDX-License-Identifier: MIT */
/* What every thread of the library has: a stack that suffices, no signals; and registers that are cleared. */
#include "../support_base.h"
#include "../support_registers.h"

#include "../../lib/base/thread.h"

#include <signal.h>
#include <string.h>

typedef struct seen {
	size_t stack;
	int blocked;
} seen;

static void *look(void *arg)
{
	seen *s = arg;
	pthread_attr_t attr;
	sigset_t mask;
	void *at;

	s->blocked = pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0 && sigismember(&mask, SIGTERM) == 1 &&
	             sigismember(&mask, SIGUSR1) == 1;
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		(void)pthread_attr_getstack(&attr, &at, &s->stack);
		(void)pthread_attr_destroy(&attr);
	}
	return NULL;
}

static seen of_new_thread(void)
{
	seen s = {0};
	pthread_t thread;

	assert_int_equal(rco__thread_start(&thread, look, &s), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return s;
}

static void set_default(size_t stack)
{
#ifdef __GLIBC__ /* elsewhere the default is what it is */
	pthread_attr_t attr;

	assert_int_equal(pthread_attr_init(&attr), 0);
	assert_int_equal(pthread_attr_setstacksize(&attr, stack), 0);
	assert_int_equal(pthread_setattr_default_np(&attr), 0);
	assert_int_equal(pthread_attr_destroy(&attr), 0);
#else
	(void)stack;
#endif
}

static void test_stack(void **state)
{
	seen s;

	(void)state;
	set_default(128 << 10); /* as musl has it */
	s = of_new_thread();
	assert_true(s.stack >= RCO__STACK);
	assert_true(s.blocked);
#ifdef __GLIBC__
	set_default(4 << 20); /* the host wants more: so does its backend */
	s = of_new_thread();
	assert_true(s.stack >= 4 << 20);
#endif
}

static void test_signals_of_the_host(void **state)
{
	sigset_t before, after;
	int i;

	(void)state;
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
	(void)of_new_thread();
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
	for (i = 1; i < 32; i++)
		assert_int_equal(sigismember(&before, i), sigismember(&after, i));
}

static void test_registers(void **state)
{
	(void)state;
	if (!t_registers_fill())
		skip();
	assert_true(t_registers_hold() >= 16); /* they are found */
	(void)t_registers_fill();
	rco__clear_registers();
	assert_int_equal(t_registers_hold(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack),
		cmocka_unit_test(test_signals_of_the_host),
		cmocka_unit_test(test_registers),
	};

	return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
