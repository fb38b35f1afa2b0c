/* SPDX-License-Identifier: MIT */
/*
 * Bad days of a state folder: not writable, full, and every file in it truncated, flipped, foreign or gone.
 * Whatever it is, the engine opens (or says in one clear error why not), nothing is dropped silently, what was
 * opted out stays so, and a second opening is no worse than the first.
 */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static t_fs fs;

enum damage { CUT_IN_HALF, EMPTIED, FLIPPED_EARLY, FLIPPED_LATE, FOREIGN, GONE, DAMAGES };

static const char *const damage_names[DAMAGES] = {"cut in half",  "emptied", "flipped early",
                                                  "flipped late", "foreign", "gone"};

/* A folder with an opted-out call whose erasure is not done, a kept one not yet uploaded, and one still to come.
 */
static void leave_work(t_world *w, int in_output_dir)
{
	rco_session *gone, *kept;

	t_world_init(w, T_SPOOL | T_DISK);
	if (in_output_dir) {
		w->cfg.upload = NULL;
		w->cfg.output_dir = w->out;
	}
	t_world_open(w);
	gone = t_call(w, "gone");
	kept = t_call(w, "kept");
	t_push(gone, 0, 1, 0, 50);
	t_push(kept, 0, 2, 0, 50);
	t_advance(w, 300);
	assert_int_equal(rco_session_end(kept), RCO_OK);
	t_fault_set(&w->fault, T_REMOVE, T_FAIL, 0, RCO_E_IO);
	assert_int_equal(rco_session_register_artifact(gone, RCO_KIND_AUDIO, "/nonexistent/mix.wav", NULL),
	                 RCO_OK);
	assert_int_equal(rco_opt_out(gone, NULL, NULL), RCO_OK);
	assert_int_equal(rco_engine_opt_out(w->engine, "unborn", NULL, NULL), RCO_OK);
	t_settle(w);
	t_world_close(w);
	rco_session_free(gone);
	rco_session_free(kept);
}

static void leave_work_behind(t_world *w)
{
	leave_work(w, 0);
}

static void damage_file(const char *path, enum damage how)
{
	size_t size = 0, i;
	uint8_t *data = t_read_file(path, &size);

	assert_non_null(data);
	switch (how) {
	case CUT_IN_HALF:
		t_write_file(path, data, size / 2);
		break;
	case EMPTIED:
		t_write_file(path, "", 0);
		break;
	case FLIPPED_EARLY:
		if (size > 0)
			data[size > 5 ? 5 : 0] ^= 0x10;
		t_write_file(path, data, size);
		break;
	case FLIPPED_LATE:
		/* the last byte that says anything */
		for (i = size; i > 0 && data[i - 1] == 0; i--)
			;
		if (i > 0)
			data[i - 1] ^= 0x10;
		t_write_file(path, data, size);
		break;
	case FOREIGN:
		t_write_file(path, "#!/bin/sh\necho this is some other file\n", 39);
		break;
	default:
		assert_int_equal(unlink(path), 0);
	}
	free(data);
}

struct files {
	char path[64][256];
	size_t n;
};

static void collect(const char *path, void *ud)
{
	struct files *f = ud;

	if (f->n < 64)
		(void)snprintf(f->path[f->n++], sizeof f->path[0], "%s", path);
}

/* What the damaged folder must still do. */
static void assert_usable(t_world *w, const char *what)
{
	rco_session *s;
	int i, rc = t_world_try_open(w);

	if (rc != RCO_OK)
		print_error("after %s: %s: %s\n", what, rco_error_name(rc), rco_error_detail());
	assert_int_equal(rc, RCO_OK);
	for (i = 0; i < 60; i++)
		t_advance(w, 2000);
	/* never is a recording of the opted-out call put into the store */
	assert_false(t_store_has_noise(w, "gone", "caller", 1, 50));
	s = t_call(w, "new");
	t_push(s, 0, 9, 0, 20);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(w, "new", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(w, "new", "caller", 9, 20));
}

/* Each file of the folder is damaged in each way. */
static void test_each_file_damaged(void **state)
{
	struct files first = {.n = 0};
	t_world w;
	size_t n, count, silent = 0;
	int how;

	(void)state;
	leave_work_behind(&w);
	t_tree_each(w.state, collect, &first);
	count = first.n;
	t_world_destroy(&w);
	assert_true(count >= 4);
	for (n = 0; n < count; n++)
		for (how = 0; how < DAMAGES; how++) {
			struct files f = {.n = 0};
			rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};
			char what[400];
			int quarantined;

			leave_work_behind(&w);
			t_tree_each(w.state, collect, &f);
			assert_true(n < f.n);
			(void)snprintf(what, sizeof what, "%s %s", f.path[n], damage_names[how]);
			damage_file(f.path[n], (enum damage)how);
			assert_usable(&w, what);
			assert_int_equal(rco_engine_get_stats(w.engine, &st), RCO_OK);
			quarantined = (int)st.quarantined_files;
			/* told, if anything was set aside */
			if (quarantined > 0 && t_events_count(&w.events, NULL, RCO_EVENT_QUARANTINED) == 0) {
				print_error("%s: %d set aside, no event\n", what, quarantined);
				silent++;
			}
			t_world_close(&w);
			/* the second opening finds nothing to set aside any more */
			assert_int_equal(t_world_try_open(&w), RCO_OK);
			assert_int_equal(rco_engine_get_stats(w.engine, &st), RCO_OK);
			assert_int_equal(st.quarantined_files, 0);
			t_world_destroy(&w);
		}
	assert_int_equal(silent, 0);
}

static void find_in(const char *path, void *ud)
{
	char *found = ud;

	/* the largest file below the folder is the one that holds the data */
	struct stat st, best;

	if (found[0] != '\0' && stat(found, &best) == 0 && stat(path, &st) == 0 && st.st_size <= best.st_size)
		return;
	(void)snprintf(found, 256, "%s", path);
}

/* A foreign or flipped segment is set aside by name, where it can be looked at. */
static void test_segment_goes_to_quarantine(void **state)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};
	char dir[256], path[256] = "", quarantine[256];
	t_world w;

	(void)state;
	leave_work_behind(&w);
	t_join(dir, sizeof dir, w.state, "spool");
	t_tree_each(dir, find_in, path);
	assert_string_not_equal(path, "");
	damage_file(path, FOREIGN);
	t_world_open(&w);
	assert_int_equal(rco_engine_get_stats(w.engine, &st), RCO_OK);
	assert_true(st.quarantined_files >= 1);
	t_join(quarantine, sizeof quarantine, w.state, "quarantine");
	assert_true(t_tree_holds(quarantine, "some other file", 15) >= 1);
	t_settle(&w);
	assert_true(t_events_count(&w.events, NULL, RCO_EVENT_QUARANTINED) >= 1);
	t_world_destroy(&w);
}

/* A flipped bit in the ledger must not bring a recording back: tombstones behind and before it are found. */
static void test_ledger_flip_keeps_tombstones(void **state)
{
	size_t at, step, size = 0, end;
	char dir[256], path[256];
	uint8_t *data;
	t_world w;

	(void)state;
	for (at = 0, step = T_SANITIZED ? 193 : 23;; at += step) {
		leave_work_behind(&w);
		path[0] = '\0';
		t_join(dir, sizeof dir, w.state, "ledger");
		t_tree_each(dir, find_in, path);
		data = t_read_file(path, &size);
		assert_non_null(data);
		for (end = size; end > 0 && data[end - 1] == 0; end--)
			;
		if (at >= end) {
			free(data);
			t_world_destroy(&w);
			break;
		}
		data[at] ^= 0x04;
		t_write_file(path, data, size);
		free(data);
		t_world_open(&w);
		t_advance(&w, 60000);
		t_advance(&w, 60000);
		assert_int_equal(t_store_has_noise(&w, "gone", "caller", 1, 50), 0);
		assert_true(t_store_has_noise(&w, "kept", "caller", 2, 50)); /* nor is anything else lost */
		t_world_destroy(&w);
	}
	assert_true(at > 0);
}

/* ---- folders ---- */

static void test_folders_that_cannot_be_used(void **state)
{
	char path[256];
	t_world w;
	int rc;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_join(path, sizeof path, w.root, "file");
	t_write_file(path, "x", 1);
	w.cfg.state_dir = path; /* a file */
	rc = t_world_try_open(&w);
	assert_true(rc == RCO_E_IO || rc == RCO_E_PERMISSION || rc == RCO_E_STATE);
	assert_non_null(strstr(rco_error_detail(), path));
	t_join(path, sizeof path, w.root, "no/such/parent");
	w.cfg.state_dir = path;
	rc = t_world_try_open(&w);
	assert_true(rc == RCO_E_IO || rc == RCO_E_NOT_FOUND);
	w.cfg.state_dir = w.state;
	w.cfg.flags &= ~(uint32_t)RCO_ENGINE_PRIVATE_RINGS;
	w.cfg.ring_dir = "/nonexistent";
	assert_int_equal(t_world_try_open(&w), RCO_E_SHARED_MEMORY);
	w.cfg.flags |= RCO_ENGINE_PRIVATE_RINGS;
	t_world_open(&w);
	t_world_destroy(&w);
}

static void test_folder_without_permission(void **state)
{
	t_world w;

	(void)state;
	if (geteuid() == 0)
		skip(); /* root may write anywhere */
	t_world_init(&w, T_SPOOL | T_DISK);
	assert_int_equal(mkdir(w.state, 0500), 0);
	assert_int_equal(t_world_try_open(&w), RCO_E_PERMISSION);
	assert_int_equal(chmod(w.state, 0700), 0);
	t_world_open(&w);
	t_world_destroy(&w);
}

/* Opening with each change to the disk failing in turn: the disk's error, or none; the next opening is fine. */
static void opening_fails(int code, int fresh)
{
	uint32_t n, failures = 0;
	int rc = -1;

	for (n = 0; n < 400; n += T_SANITIZED ? 11 : 1) {
		uint64_t failed;
		t_world w;

		if (fresh)
			t_world_init(&w, T_SPOOL | T_DISK);
		else
			leave_work(&w, 1);
		w.cfg.upload = NULL;
		w.cfg.deletion = NULL;
		w.cfg.output_dir = w.out;
		t_fs_init(&fs, "");
		w.fs = &fs;
		atomic_store(&fs.fail_after, n);
		atomic_store(&fs.fail, code);
		rc = t_world_try_open(&w);
		failed = atomic_load(&fs.failed);
		if (rc != RCO_OK) {
			failures++;
			assert_int_equal(rc, code);
		}
		atomic_store(&fs.fail, 0);
		if (rc == RCO_OK)
			t_world_close(&w);
		t_world_open(&w);
		t_advance(&w, 60000);
		t_advance(&w, 60000);
		assert_int_equal(t_store_has_noise(&w, "gone", "caller", 1, 50), 0);
		assert_int_equal(t_store_has_noise(&w, "kept", "caller", 2, 50), !fresh); /* nothing is lost */
		t_world_destroy(&w);
		if (failed == 0)
			break;
	}
	assert_int_equal(rc, RCO_OK);
	if (fresh)
		assert_true(failures > 0);
}

static void test_opening_on_a_failing_disk(void **state)
{
	static const int codes[] = {RCO_E_NO_SPACE, RCO_E_PERMISSION, RCO_E_IO};
	size_t c;

	(void)state;
	for (c = 0; c < 3; c++) {
		opening_fails(codes[c], 1);
		opening_fails(codes[c], 0);
	}
}

/* The spool fills up during a call: frames wait in the ring, overflow is told, nothing accepted is lost. */
static void test_full_spool(void **state)
{
	uint8_t frame[T_FRAME];
	size_t accepted = 0;
	rco_session *s;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_fs_init(&fs, "/spool");
	w.fs = &fs;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 20);
	accepted = 20;
	t_advance(&w, 300);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	for (i = 0; i < 400; i++) {
		int rc;

		t_noise(1, accepted * T_FRAME, frame, sizeof frame);
		rc = rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame);
		assert_true(rc == RCO_OK || rc == RCO_E_OVERFLOW);
		accepted += rc == RCO_OK;
		if (i % 10 == 0)
			t_advance(&w, 200);
	}
	assert_true(accepted < 420);
	assert_true(t_events_count(&w.events, "call", RCO_EVENT_BUFFER_RETRY) >= 1);
	assert_true(t_events_count(&w.events, "call", RCO_EVENT_OVERFLOW) >= 1);
	atomic_store(&fs.fail, 0);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, accepted));
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_file_damaged),
		cmocka_unit_test(test_segment_goes_to_quarantine),
		cmocka_unit_test(test_ledger_flip_keeps_tombstones),
		cmocka_unit_test(test_folders_that_cannot_be_used),
		cmocka_unit_test(test_folder_without_permission),
		cmocka_unit_test(test_opening_on_a_failing_disk),
		cmocka_unit_test(test_full_spool),
	};

	return cmocka_run_group_tests_name("bad files", tests, NULL, NULL);
}
