/* SPDX-License-Identifier: MIT */
/*
 * The conformance kit: the built-in backends pass, also where every answer comes
 * later and from another thread; and of backends with one fault each the kit
 * says which. Only public headers.
 */
#include "../conforms.h"
#include "../faulty.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

enum { SHORT_MS = 400 };

/* ---- what holds ---- */

static void conforms(void (*make)(t_place *p), int later)
{
	t_place p;

	t_place_init(&p, make);
	if (later >= 0) {
		t_wrapper w;
		rco_conformance kit = t_wrap(&w, &p, T_NONE, later);

		t_conforms(&kit);
		t_unwrap(&w);
	} else {
		t_conforms(&p.kit);
	}
	/* What a check removed is gone from the store's account as well. */
	if (p.memory != NULL)
		assert_int_equal(rco_memory_audio_bytes(p.memory), 0);
	t_place_destroy(&p);
}

static void test_memory(void **state)
{
	(void)state;
	conforms(t_make_memory, -1);
}

static void test_directory(void **state)
{
	(void)state;
	conforms(t_make_directory, -1);
}

static void test_spool(void **state)
{
	(void)state;
	conforms(t_make_spool, -1);
}

static void test_wrapped(void **state)
{
	(void)state;
	conforms(t_make_memory, 0);
}

static void test_memory_later(void **state)
{
	(void)state;
	conforms(t_make_memory, 1);
}

static void test_directory_later(void **state)
{
	(void)state;
	conforms(t_make_directory, 1);
}

static void test_spool_later(void **state)
{
	(void)state;
	conforms(t_make_spool, 1);
}

/* ---- what is found ---- */

typedef struct told {
	int held, broken, not_tried, found;
	const char *name, *seen; /* looked for */
	char text[4096];
} told;

static void listen(const rco_conformance_report *r, void *user_data)
{
	told *t = user_data;
	size_t n = strlen(t->text);

	assert_true(r->obligation[0] != '\0');
	assert_int_equal(r->seen[0] == '\0', r->outcome == RCO_CONFORMANCE_HELD);
	t->held += r->outcome == RCO_CONFORMANCE_HELD;
	t->not_tried += r->outcome == RCO_CONFORMANCE_NOT_TRIED;
	if (r->outcome != RCO_CONFORMANCE_BROKEN)
		return;
	t->broken++;
	t->found |= strcmp(r->name, t->name) == 0 && strstr(r->seen, t->seen) != NULL;
	(void)snprintf(t->text + n, sizeof t->text - n, "  %s: %s, but %s\n", r->name, r->obligation, r->seen);
}

typedef struct planted {
	const char *test;
	t_fault fault;
	int later;
	const char *name, *seen;
} planted;

static const planted faults[] = {
	{"erase confirms and does not erase", T_ERASE_LIES, 0, "buffer.erase", "read still gave audio of leg 0"},
	{"read finds nothing wrong with what was erased", T_ERASED_READ_OK, 0, "buffer.erased-read",
         "read answered RCO_OK"},
	{"revoke does nothing", T_REVOKE_NOTHING, 0, "buffer.revoke", "read still gave audio"},
	{"a repetition is appended twice", T_APPEND_TWICE, 0, "buffer.repetition", "read gave"},
	{"an overlapping append loses its tail", T_OVERLAP_LOSES_TAIL, 0, "buffer.overlap",
         "read gave 3200 bytes"},
	{"a piece lands after erase", T_APPEND_LANDS_LATE, 1, "buffer.erase-append", "read answered RCO_OK"},
	{"append opens what was erased", T_APPEND_OPENS, 0, "buffer.not-open", "answered RCO_OK"},
	{"scan forgets recordings", T_SCAN_FORGETS, 0, "buffer.scan", "scan"},
	{"scan forgets recordings after a restart", T_SCAN_FORGETS_AFTER_RESTART, 0, "buffer.restart",
         "after a restart"},
	{"RCO_OK without a confirmation", T_OK_UNCONFIRMED, 0, "answers.confirmed",
         "seal answered RCO_OK and confirmed nothing"},
	{"the same, answered later", T_OK_UNCONFIRMED, 1, "answers.confirmed",
         "seal answered RCO_OK and confirmed nothing"},
	{"an error that confirms", T_ERROR_CONFIRMS, 0, "answers.error", "append answered with an error"},
	{"an answer that never comes", T_NEVER_ANSWERS, 1, "buffer.flush-seal", "seal did not answer in 400 ms"},
	{"erase confirms what it could not do", T_FAILING_LIES, 0, "buffer.failing", "read still gave audio"},
	{"remove confirms what it could not do", T_FAILING_LIES, 0, "deletion.failing",
         "head saw a file where none is to be seen"},
	{"a file is visible before commit", T_VISIBLE_EARLY, 0, "upload.hidden", "head saw a file"},
	{"list does not count unfinished uploads", T_LIST_BLIND, 0, "upload.list",
         "list counted 0 where there is 1"},
	{"abort leaves a part", T_ABORT_LEAVES, 0, "upload.abort", "list counted 1 where there are 0"},
	{"abort does nothing without an upload id", T_ABORT_NEEDS_ID, 0, "upload.abort-all",
         "list counted 1 where there are 0"},
	{"abort takes a file that was committed", T_ABORT_TAKES_FILE, 0, "upload.abort-file",
         "head saw no file where one was committed"},
	{"a part lands after abort", T_PUT_LANDS_LATE, 1, "upload.abort-put", "list counted 1 where there are 0"},
	{"a commit lands after abort", T_COMMIT_LANDS_LATE, 1, "upload.abort-commit",
         "a file came after abort was confirmed"},
	{"commit answers any error for an upload that is lost", T_COMMIT_ANY_ERROR, 0, "upload.commit-lost",
         "commit of an upload that was given up answered RCO_E_IO"},
	{"commit answers any error after a restart", T_COMMIT_FORGETS, 0, "upload.commit-restart",
         "after a restart commit answered RCO_E_BUSY"},
	{"a part keeps its first size", T_PUT_KEEPS_FIRST, 1, "upload.put-size",
         "head told 3500 bytes of a file of 1700"},
	{"abort does not wait for a begin", T_ABORT_TOO_QUICK, 1, "upload.begin-late",
         "list counted 1 where there are 0"},
	{"commit shows a file that is cut off", T_CUT_OFF, 0, "upload.cut-off",
         "head told 3000 bytes of a file of 3500"},
	{"remove forgets a second version", T_REMOVE_ONE_VERSION, 0, "deletion.versions",
         "list counted 1 where there are 0"},
	{"verify does not look", T_VERIFY_BLIND, 0, "deletion.verify",
         "verify did not confirm PRESENT of a file that is there"},
	{"answers after detach", T_ANSWERS_DETACHED, 1, "deletion.detach",
         "remove was answered after detach had returned"},
#ifndef __SANITIZE_THREAD__ /* it is a race */
	{"result is used after the slot has returned", T_RESULT_LATE, 1, "answers.result", "wrote to `result`"},
#endif
};

enum { FAULTS = sizeof faults / sizeof faults[0] };

static int run_planted(const planted *f, told *t)
{
	rco_conformance kit;
	t_wrapper w;
	t_place p;
	int rc;

	*t = (told){.name = f->name, .seen = f->seen};
	t_place_init(&p, t_make_memory);
	kit = t_wrap(&w, &p, f->fault, f->later);
	kit.timeout_ms = SHORT_MS;
	if (strncmp(f->name, "upload.", 7) == 0 || strncmp(f->name, "deletion.", 9) == 0)
		kit.buffer = NULL;
	else
		kit.upload = NULL, kit.deletion = NULL;
	rc = rco_conformance_run(&kit, listen, t);
	t_unwrap(&w);
	t_place_destroy(&p);
	return rc;
}

static void test_fault(void **state)
{
	const planted *f = *state;
	told t;
	int rc, tries = 0;

	do
		rc = run_planted(
			f, &t); /* one that is a matter of time may come too early on a machine that is busy */
	while (!t.found && f->fault == T_ANSWERS_DETACHED && ++tries < 10);
	if (!t.found || rc <= 0)
		fail_msg("%s is not among %d:\n%s", f->name, rc, t.text);
	assert_int_equal(t.broken, rc);
	assert_true(t.held > 10);
}

/* It is left where it is, and everything else of its table is not tried. */
static void test_never_returns(void **state)
{
	static t_wrapper w; /* for the thread that stays */
	static t_place p;
	told t = {.name = "buffer.flush-seal", .seen = "seal has not returned after 400 ms"};
	rco_conformance kit;

	(void)state;
	t_place_init(&p, t_make_memory);
	kit = t_wrap(&w, &p, T_NEVER_RETURNS, 0);
	kit.timeout_ms = SHORT_MS;
	kit.upload = NULL;
	kit.deletion = NULL;
	assert_true(rco_conformance_run(&kit, listen, &t) > 0);
	assert_true(t.found);
	assert_true(t.not_tried > 20);
	t_place_destroy(&p);
}

/* ---- how it is called ---- */

static void test_arguments(void **state)
{
	rco_conformance kit = {.struct_size = (uint32_t)sizeof kit};
	rco_upload_ops upload = *rco_memory_upload_ops();
	t_place p;

	(void)state;
	assert_int_equal(rco_conformance_run(NULL, NULL, NULL), RCO_E_INVALID);
	assert_int_equal(rco_conformance_run(&kit, NULL, NULL), RCO_E_INVALID);
	t_place_init(&p, t_make_memory);
	kit = p.kit;
	kit.struct_size = 8;
	assert_int_equal(rco_conformance_run(&kit, NULL, NULL), RCO_E_STRUCT_SIZE);
	kit = p.kit;
	kit.flags = 1;
	assert_int_equal(rco_conformance_run(&kit, NULL, NULL), RCO_E_NEWER);
	kit = p.kit;
	upload.list = NULL;
	kit.upload = &upload;
	assert_int_equal(rco_conformance_run(&kit, NULL, NULL), RCO_E_OPS);
	kit = p.kit;
	kit.state_dir = "/nonexistent/recoptout";
	assert_int_equal(rco_conformance_run(&kit, NULL, NULL), RCO_E_NOT_FOUND);
	t_place_destroy(&p);
}

static int refuse(rco_engine *engine, void *user_data)
{
	(void)engine;
	(void)user_data;
	return RCO_E_PERMISSION;
}

static void test_attach_fails(void **state)
{
	rco_deletion_ops deletion = *rco_memory_deletion_ops();
	told t = {.name = "", .seen = ""};
	t_place p;

	(void)state;
	t_place_init(&p, t_make_memory);
	deletion.attach = refuse;
	p.kit.deletion = &deletion;
	assert_int_equal(rco_conformance_run(&p.kit, listen, &t), RCO_E_PERMISSION);
	assert_int_equal(t.held + t.broken + t.not_tried, 0);
	t_place_destroy(&p);
}

/* Again, with a table less, and in a folder of the user's: what is missing is said to be not tried. */
static void test_again(void **state)
{
	told all = {.name = "", .seen = ""}, less = {.name = "", .seen = ""};
	char folder[192];
	t_place p;

	(void)state;
	t_place_init(&p, t_make_memory);
	(void)snprintf(folder, sizeof folder, "%s/state", p.root);
	assert_int_equal(rco_conformance_run(&p.kit, listen, &all), 0);
	p.kit.state_dir = folder;
	p.kit.deletion = NULL;
	assert_int_equal(rco_conformance_run(&p.kit, listen, &less), 0);
	assert_int_equal(access(folder, F_OK), 0);
	assert_int_equal(all.held + all.not_tried, less.held + less.not_tried);
	assert_true(less.held < all.held);
	assert_true(all.held > 30);
	t_place_destroy(&p);
}

int main(void)
{
	const struct CMUnitTest first[] = {
		cmocka_unit_test(test_memory),       cmocka_unit_test(test_directory),
		cmocka_unit_test(test_spool),        cmocka_unit_test(test_wrapped),
		cmocka_unit_test(test_memory_later), cmocka_unit_test(test_directory_later),
		cmocka_unit_test(test_spool_later),  cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_attach_fails), cmocka_unit_test(test_again),
	};
	const struct CMUnitTest last[] = {cmocka_unit_test(test_never_returns)};
	struct CMUnitTest each[FAULTS];
	int i, failed;

	for (i = 0; i < FAULTS; i++)
		each[i] =
			(struct CMUnitTest){faults[i].test, test_fault, NULL, NULL, (void *)(uintptr_t)&faults[i]};
	failed = cmocka_run_group_tests_name("conformance kit", first, NULL, NULL);
	failed += _cmocka_run_group_tests("planted faults", each, FAULTS, NULL, NULL);
	return failed + cmocka_run_group_tests_name("a slot that stays", last, NULL, NULL);
}
