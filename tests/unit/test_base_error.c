/* SPDX-License-Identifier: MIT */
/* Errors: each code has its own name and sentence, and the detail belongs to the thread (recoptout.h, "Errors").
 */
#include "../support_base.h"

#include "../../lib/base/error.h"

#include <errno.h>
#include <pthread.h>

static void names_are_those_of_the_header(void **state)
{
	(void)state;
	assert_string_equal(rco_error_name(RCO_OK), "RCO_OK");
	assert_string_equal(rco_error_name(RCO_E_BUSY), "RCO_E_BUSY");
	assert_string_equal(rco_error_name(RCO_E_INTERNAL), "RCO_E_INTERNAL");
	assert_string_equal(rco_error_name(RCO_E_POSITION), "RCO_E_POSITION");
	assert_string_equal(rco_error_name(RCO_E_POSITION - 1), "RCO_E_UNKNOWN");
	assert_string_equal(rco_error_name(2), "RCO_E_UNKNOWN");
	assert_string_equal(rco_error_name(INT_MIN), "RCO_E_UNKNOWN");
}

/* A code never changes: the numbers as released. */
static void numbers_are_frozen(void **state)
{
	(void)state;
	assert_int_equal(RCO_OK, 0);
	assert_int_equal(RCO_E_INVALID, -1);
	assert_int_equal(RCO_E_OVERFLOW, -12);
	assert_int_equal(RCO_E_NOT_DURABLE, -19);
	assert_int_equal(RCO_E_INTERNAL, -38);
	assert_int_equal(RCO_E_POSITION, -39);
}

static void every_code_has_a_sentence_of_its_own(void **state)
{
	int a, b;

	(void)state;
	for (a = 0; a >= RCO_E_POSITION; a--) {
		assert_string_not_equal(rco_error_name(a), "RCO_E_UNKNOWN");
		assert_true(strlen(rco_strerror(a)) > 0);
		for (b = a - 1; b >= RCO_E_POSITION; b--) {
			assert_string_not_equal(rco_strerror(a), rco_strerror(b));
			assert_string_not_equal(rco_error_name(a), rco_error_name(b));
		}
	}
	assert_non_null(rco_strerror(RCO_PENDING));
	assert_non_null(rco_strerror(12345));
}

static void fail_remembers_its_sentence(void **state)
{
	(void)state;
	assert_int_equal(rco__fail(RCO_E_BUSY, "folder %s, try %d", "x", 3), RCO_E_BUSY);
	assert_string_equal(rco_error_detail(), "folder x, try 3");
	assert_int_equal(rco__fail(RCO_E_IO, "outer: %s", rco_error_detail()), RCO_E_IO);
	assert_string_equal(rco_error_detail(), "outer: folder x, try 3");
	rco__error_clear();
	assert_string_equal(rco_error_detail(), "");
}

static void a_long_sentence_is_cut_not_overrun(void **state)
{
	char big[2000];

	(void)state;
	memset(big, 'a', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	(void)rco__fail(RCO_E_IO, "%s", big);
	assert_int_equal(strlen(rco_error_detail()), 511);
	(void)rco__fail_errno(ENOSPC, "%s", big); /* the cause is there all the same */
	assert_non_null(strstr(rco_error_detail(), ": No space left on device"));
}

static void system_errors_become_codes(void **state)
{
	static const struct {
		int err, code;
	} map[] = {{ENOSPC, RCO_E_NO_SPACE},  {EDQUOT, RCO_E_NO_SPACE},  {EACCES, RCO_E_PERMISSION},
	           {EPERM, RCO_E_PERMISSION}, {EROFS, RCO_E_PERMISSION}, {ENOENT, RCO_E_NOT_FOUND},
	           {ENOMEM, RCO_E_NO_MEMORY}, {EWOULDBLOCK, RCO_E_BUSY}, {EEXIST, RCO_E_STATE},
	           {EIO, RCO_E_IO},           {ELOOP, RCO_E_IO},         {EMFILE, RCO_E_IO}};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof map / sizeof map[0]; i++)
		assert_int_equal(rco__fail_errno(map[i].err, "x"), map[i].code);
	(void)rco__fail_errno(ENOSPC, "cannot write %s", "/a/b");
	assert_string_equal(rco_error_detail(), "cannot write /a/b: No space left on device");
}

static void *other_thread(void *arg)
{
	(void)arg;
	if (rco_error_detail()[0] != '\0')
		return (void *)1;
	(void)rco__fail(RCO_E_IO, "theirs");
	return NULL;
}

static void the_detail_belongs_to_its_thread(void **state)
{
	pthread_t thread;
	void *seen;

	(void)state;
	(void)rco__fail(RCO_E_IO, "mine");
	assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
	assert_int_equal(pthread_join(thread, &seen), 0);
	assert_null(seen);
	assert_string_equal(rco_error_detail(), "mine");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_the_header),
		cmocka_unit_test(numbers_are_frozen),
		cmocka_unit_test(every_code_has_a_sentence_of_its_own),
		cmocka_unit_test(fail_remembers_its_sentence),
		cmocka_unit_test(a_long_sentence_is_cut_not_overrun),
		cmocka_unit_test(system_errors_become_codes),
		cmocka_unit_test(the_detail_belongs_to_its_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
