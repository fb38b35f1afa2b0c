/* SPDX-License-Identifier: MIT */
/* The store that readers start from is what storage.h asks for. */
#include <stdio.h>
#include <stdlib.h>

static int quiet(const char *format, ...) __attribute__((format(printf, 1, 2)));
int example_main(int argc, char **argv);
#define main   example_main
#define printf quiet
#include "../../examples/03_own_backend.c"
#undef main
#undef printf

#include "../conforms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int quiet(const char *format, ...)
{
	(void)format;
	return 0;
}

static void test_conforms(void **state)
{
	static struct store s = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	rco_conformance kit = {.struct_size = (uint32_t)sizeof kit};
	pthread_t thread;

	(void)state;
	(void)example_main;
	kit.upload = &upload;
	kit.deletion = &deletion;
	kit.upload_user_data = kit.deletion_user_data = &s;
	assert_int_equal(pthread_create(&thread, NULL, committer, &s), 0);
	t_conforms(&kit);
	pthread_mutex_lock(&s.lock);
	s.closing = 1;
	pthread_cond_broadcast(&s.changed);
	pthread_mutex_unlock(&s.lock);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_conforms)};

	return cmocka_run_group_tests_name("the store of the example", tests, NULL, NULL);
}
