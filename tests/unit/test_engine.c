/* SPDX-License-Identifier: MIT */
/* Engines in odd places: paths that are too long, keys and evidence elsewhere, backends that refuse to be
 * attached, files of the state that are damaged, a journal that cannot be written. */
#include "../support.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static t_fs fs; /* large, so not on the stack */
static t_world w;

/* ---- places ---- */

static void test_paths_too_long(void **state)
{
	char path[1200];

	(void)state;
	t_world_init(&w, T_SPOOL);
	(void)snprintf(path, sizeof path, "%s/%0*d", w.root, 1018 - (int)strlen(w.root), 0);
	w.cfg.state_dir = path;
	assert_int_equal(t_world_try_open(&w), RCO_E_LIMIT);
	w.cfg.state_dir = w.state;
	t_world_open(&w);
	t_world_destroy(&w);
}

static void test_keys_elsewhere(void **state)
{
	char keys[256], usual[256];
	rco_session *s;

	(void)state;
	t_world_init(&w, T_SPOOL);
	t_join(keys, sizeof keys, w.root, "elsewhere");
	t_join(usual, sizeof usual, w.state, "keys");
	w.cfg.key_dir = keys;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 10);
	t_world_close(&w); /* as a restart finds it */
	rco_session_free(s);
	assert_true(t_tree_holds(keys, NULL, 0) > 0);
	assert_false(t_exists(usual));
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 10));
	t_world_destroy(&w);
}

/* Two engines on one key folder, each with a state of its own, and one on the keys in another's state. */
static void test_keys_of_another_engine(void **state)
{
	char keys[256], usual[256];
	t_world other;
	int shared;

	(void)state;
	for (shared = 0; shared < 2; shared++) {
		t_world_init(&w, T_SPOOL);
		t_world_init(&other, T_SPOOL);
		t_join(keys, sizeof keys, w.root, "elsewhere");
		t_join(usual, sizeof usual, w.state, "keys");
		w.cfg.key_dir = shared ? keys : NULL;
		other.cfg.key_dir = shared ? keys : usual;
		t_world_open(&w);
		assert_int_equal(t_world_try_open(&other), RCO_E_BUSY);
		assert_non_null(strstr(rco_error_detail(), other.cfg.key_dir));
		t_world_close(&w);
		t_world_open(&other);
		t_world_destroy(&other);
		t_world_destroy(&w);
	}
}

static void test_evidence_ends(void **state)
{
	rco_session *s;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.ledger_retention_s = 3600;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	rco_session_free(s);
	t_advance(&w, 120000);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED); /* its time has not come */
	t_world_destroy(&w);
}

/* ---- backends ---- */

static int refuse(rco_engine *engine, void *ud)
{
	(void)engine, (void)ud;
	return RCO_E_IO;
}

static struct {
	const void *data;
	size_t size;
	uint8_t copy[1 << 16];
	const void *first; /* of the first put, which nobody answers either */
	size_t first_size;
	uint8_t first_copy[4096];
	int puts, detached, later;
} given;

static int put_kept(const rco_object *object, uint32_t part, const void *data, size_t size, uint64_t op,
                    rco_result *result, void *ud)
{
	(void)object, (void)part, (void)op, (void)result, (void)ud;
	given.later += given.detached;
	if (given.puts++ == 0) {
		given.first = data;
		given.first_size = size < sizeof given.first_copy ? size : sizeof given.first_copy;
		memcpy(given.first_copy, data, given.first_size);
	}
	given.data = data;
	given.size = size < sizeof given.copy ? size : sizeof given.copy;
	memcpy(given.copy, data, given.size);
	return RCO_PENDING;
}

static int append_kept(const rco_chunk *chunk, uint64_t op, rco_result *result, void *ud)
{
	given.later += given.detached;
	return t_fault_buffer_ops.append(chunk, op, result, ud);
}

static void let_go(rco_engine *engine, void *ud)
{
	(void)engine, (void)ud;
	if (given.data != NULL)
		assert_memory_equal(given.data, given.copy, given.size);
	given.detached++;
}

static void test_backends_that_refuse(void **state)
{
	rco_buffer_ops buffer = t_fault_buffer_ops;
	rco_upload_ops upload = t_fault_upload_ops;
	rco_deletion_ops deletion = t_fault_deletion_ops;

	(void)state;
	t_world_init(&w, 0);
	buffer.attach = refuse;
	upload.attach = refuse;
	deletion.attach = refuse;
	buffer.detach = upload.detach = deletion.detach = let_go;
	w.cfg.buffer = &buffer;
	assert_int_equal(t_world_try_open(&w), RCO_E_IO);
	assert_int_equal(given.detached, 0);
	buffer.attach = t_fault_buffer_ops.attach;
	w.cfg.upload = &upload;
	assert_int_equal(t_world_try_open(&w), RCO_E_IO);
	assert_int_equal(given.detached, 1); /* that which was attached */
	upload.attach = t_fault_upload_ops.attach;
	w.cfg.deletion = &deletion;
	assert_int_equal(t_world_try_open(&w), RCO_E_IO);
	assert_int_equal(given.detached, 3);
	deletion.attach = NULL;
	t_world_open(&w);
	t_world_destroy(&w);
	assert_int_equal(given.detached, 6);
}

/* The same of a call record that is sent for longer than the engine waits: it is made again meanwhile. */
static void test_a_record_that_is_sent_for_long(void **state)
{
	rco_upload_ops upload = t_fault_upload_ops;
	rco_session *s;
	int i;

	(void)state;
	memset(&given, 0, sizeof given);
	t_world_init(&w, 0);
	w.cfg.backend_timeout_ms = 1000;
	upload.put = put_kept;
	w.cfg.upload = &upload;
	t_world_open(&w);
	s = t_call(&w, "silent");
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	t_advance(&w, 11000); /* its window */
	t_settle(&w);
	assert_int_equal(given.puts, 1);
	for (i = 0; i < 4 && given.puts < 2; i++)
		t_advance(&w, 1100);
	assert_true(given.puts >= 2);
	assert_memory_equal(given.first, given.first_copy, given.first_size);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A slot that has no operation cannot answer later. */
static int later(rco_engine *engine, void *ud)
{
	(void)engine, (void)ud;
	return RCO_PENDING;
}

static int scan_later(rco_scan_fn found, void *found_user_data, void *ud)
{
	(void)found, (void)found_user_data, (void)ud;
	return RCO_PENDING;
}

static void test_attach_and_scan_answer_at_once(void **state)
{
	rco_buffer_ops buffer = t_fault_buffer_ops;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.buffer = &buffer;
	buffer.attach = later;
	assert_int_equal(t_world_try_open(&w), RCO_E_OPS);
	assert_non_null(strstr(rco_error_detail(), "attach"));
	buffer.attach = t_fault_buffer_ops.attach;
	buffer.scan = scan_later;
	assert_int_equal(t_world_try_open(&w), RCO_E_OPS);
	assert_non_null(strstr(rco_error_detail(), "scan"));
	buffer.scan = NULL;
	w.cfg.deletion = NULL; /* nor can what is stored by one table be erased by another */
	assert_int_equal(t_world_try_open(&w), RCO_E_OPS);
	w.cfg.deletion = &t_fault_deletion_ops;
	t_world_open(&w);
	t_world_destroy(&w);
}

/* What a backend was given and has not answered is there until it is told that nothing is wanted any more, and no
 * slot is called after that. */
static void test_detached(void **state)
{
	rco_buffer_ops buffer = t_fault_buffer_ops;
	rco_upload_ops upload = t_fault_upload_ops;
	rco_session *s;

	(void)state;
	memset(&given, 0, sizeof given);
	t_world_init(&w, 0);
	buffer.detach = upload.detach = let_go;
	buffer.append = append_kept;
	upload.put = put_kept;
	w.cfg.buffer = &buffer;
	w.cfg.upload = &upload;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 50);
	t_advance(&w, 300);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	assert_int_equal(given.puts, 1);
	rco_engine_free(w.engine);
	w.engine = NULL;
	assert_int_equal(given.detached, 2);
	assert_int_equal(given.later, 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* What waits for the engine's work would wait for itself in there, whichever thread it is on. */
static struct {
	rco_engine *engine;
	int attach, scan, revoke;
} inside;

static int attach_inside(rco_engine *engine, void *ud)
{
	inside.engine = engine;
	inside.attach = rco_engine_wait_idle(engine, 0);
	return t_fault_buffer_ops.attach(engine, ud);
}

static int scan_inside(rco_scan_fn found, void *found_user_data, void *ud)
{
	(void)found, (void)found_user_data, (void)ud;
	inside.scan = rco_engine_wait_idle(inside.engine, 0);
	return RCO_OK;
}

static void revoke_inside(const uint8_t id[16], void *ud)
{
	inside.revoke = rco_engine_wait_idle(inside.engine, 0);
	t_fault_buffer_ops.revoke(id, ud);
}

static void test_slots_are_callbacks(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "held", .legal_hold = 1};
	rco_buffer_ops buffer = t_fault_buffer_ops;
	rco_session *s;

	(void)state;
	t_world_init(&w, 0);
	buffer.attach = attach_inside;
	buffer.scan = scan_inside;
	buffer.revoke = revoke_inside;
	w.cfg.buffer = &buffer;
	t_world_open(&w);
	assert_int_equal(inside.attach, RCO_E_REENTRANT);
	assert_int_equal(inside.scan, RCO_E_REENTRANT);
	s = t_call_with(&w, &o);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(inside.revoke, RCO_OK); /* not asked: a hold keeps it */
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	assert_int_equal(inside.revoke, RCO_E_REENTRANT);
	t_await(&w, "held", RCO_EVENT_VERIFIED, 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- damaged state ---- */

static void test_an_id_that_cannot_be_set_aside(void **state)
{
	char path[256];

	(void)state;
	t_world_init(&w, T_SHARED);
	t_world_open(&w);
	t_world_close(&w);
	t_join(path, sizeof path, w.state, "id");
	t_write_file(path, "this is not an identity at all......", 36);
	t_fs_init(&fs, "/id");
	w.fs = &fs;
	atomic_store(&fs.fail, RCO_E_IO);
	assert_true(t_world_try_open(&w) < 0);
	atomic_store(&fs.fail, 0);
	t_world_open(&w);
	assert_int_equal(t_events_count(&w.events, NULL, RCO_EVENT_QUARANTINED), 0);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, NULL, RCO_EVENT_QUARANTINED), 1);
	t_world_destroy(&w);
}

/* ---- the journal ---- */

/* What ends while the journal cannot be written is written when it can be; nothing is lost by it. */
static void test_a_journal_that_fails_for_a_while(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "empty"};
	rco_session *s, *empty = NULL;

	(void)state;
	t_world_init(&w, T_SPOOL | T_SHARED);
	t_fs_init(&fs, "/calls/");
	w.fs = &fs;
	t_world_open(&w);
	s = t_call(&w, "call");
	assert_int_equal(rco_session_create(w.engine, &o, &empty), RCO_OK);
	t_push(s, 0, 1, 0, 10);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_session_end(empty), RCO_OK);
	t_advance(&w, 20000);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 0);
	atomic_store(&fs.fail, 0);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 10));
	rco_session_free(s);
	rco_session_free(empty);
	t_world_destroy(&w);
}

/* The engine is freed while the buffer takes nothing and the journal cannot be written: the rings keep it. */
static void test_freed_while_nothing_can_be_written(void **state)
{
	rco_session *s;

	(void)state;
	t_world_init(&w, T_SPOOL | T_SHARED);
	t_fs_init(&fs, "");
	w.fs = &fs;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_advance(&w, 300);
	t_push(s, 0, 1, 0, 10);
	atomic_store(&fs.fail, RCO_E_IO);
	t_world_close(&w);
	rco_session_free(s);
	atomic_store(&fs.fail, 0);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 10));
	t_world_destroy(&w);
}

/* ---- freed in the middle ---- */

/* A backend never answers: kept audio stays in the rings, and of who objected nothing does. */
static void test_freed_while_a_backend_is_silent(void **state)
{
	rco_session *s;
	int out;

	(void)state;
	for (out = 0; out <= 1; out++) {
		t_world_init(&w, T_WORKERS | T_SHARED);
		w.cfg.backend_timeout_ms = 150;
		t_world_open(&w);
		s = t_call(&w, "call");
		t_fault_set(&w.fault, T_APPEND, T_HOLD, 0, 0);
		t_push(s, 0, 1, 0, 10);
		while (t_fault_held(&w.fault, T_APPEND) == 0)
			assert_int_equal(rco_engine_wait_idle(w.engine, 1), RCO_OK);
		if (out) {
			rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};

			(void)rco_opt_out(s, &o, NULL);
		}
		rco_engine_free(w.engine);
		w.engine = NULL;
		rco_session_free(s);
		t_fault_set(&w.fault, T_APPEND, T_PASS, 0, 0);
		t_world_close(&w);
		t_world_open(&w);
		if (out)
			t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
		else
			t_await(&w, "call", RCO_EVENT_STORED, 1);
		assert_int_equal(t_store_audio(&w), out ? 0 : 1);
		t_world_destroy(&w);
	}
}

/* However many calls wait for a silent buffer, closing takes the time that it was given; nothing is lost by it. */
static void test_closed_in_time(void **state)
{
	enum { CALLS = 8 };
	rco_session *s[CALLS];
	struct timespec before, after;
	char id[24];
	int i;

	(void)state;
	t_world_init(&w, T_WORKERS | T_SHARED);
	t_world_open(&w);
	assert_int_equal(rco_engine_close(NULL, 0), RCO_E_INVALID);
	t_fault_set(&w.fault, T_OPEN, T_HOLD, 0, 0);
	for (i = 0; i < CALLS; i++) {
		(void)snprintf(id, sizeof id, "call-%d", i);
		s[i] = t_call(&w, id);
		t_push(s[i], 0, (uint64_t)i, 0, 10);
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(rco_engine_close(w.engine, 300), RCO_PENDING);
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	assert_in_range(after.tv_sec - before.tv_sec, 0, 20); /* the time-out of one alone is 30 s */
	w.engine = NULL;
	for (i = 0; i < CALLS; i++)
		rco_session_free(s[i]);
	t_fault_set(&w.fault, T_OPEN, T_PASS, 0, 0);
	t_world_close(&w);
	t_world_open(&w);
	for (i = 0; i < CALLS; i++) {
		(void)snprintf(id, sizeof id, "call-%d", i);
		t_await(&w, id, RCO_EVENT_STORED, 1);
	}
	assert_int_equal(t_store_audio(&w), CALLS);
	assert_int_equal(rco_engine_close(w.engine, 10000), RCO_OK);
	w.engine = NULL;
	t_world_destroy(&w);
}

static void test_freed_with_audio_that_was_handed_on(void **state)
{
	rco_session *s;

	(void)state;
	t_world_init(&w, T_SHARED);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_fault_set(&w.fault, T_APPEND, T_HOLD, 0, 0);
	t_push(s, 0, 1, 0, 10);
	t_advance(&w, 300);
	assert_int_equal(t_fault_held(&w.fault, T_APPEND), 1);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_engine_free(w.engine);
	w.engine = NULL;
	rco_session_free(s);
	t_world_close(&w);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_world_destroy(&w);
}

/* ---- a buffer that reads nonsense ---- */

static int nonsense;

static int odd_read(const uint8_t id[16], uint32_t leg, uint64_t position, void *data, size_t cap, uint64_t op,
                    rco_result *result, void *ud)
{
	int rc = t_fault_buffer_ops.read(id, leg, position, data, cap, op, result, ud);

	if (rc == RCO_OK && nonsense > 0)
		result->size_bytes = --nonsense % 2 == 0 ? 0 : cap + 1;
	return rc;
}

static void test_a_buffer_that_reads_nonsense(void **state)
{
	rco_buffer_ops ops = t_fault_buffer_ops;
	rco_session *s;
	uint32_t layout;

	(void)state;
	for (layout = RCO_LAYOUT_PER_LEG; layout <= RCO_LAYOUT_STEREO; layout++) {
		t_world_init(&w, 0);
		ops.read = odd_read;
		w.cfg.buffer = &ops;
		w.cfg.export_layout = layout;
		t_world_open(&w);
		s = t_call(&w, "call");
		t_push(s, 0, 1, 0, 10);
		t_push(s, 1, 1, 0, 10);
		nonsense = 4;
		assert_int_equal(rco_session_end(s), RCO_OK);
		t_await(&w, "call", RCO_EVENT_STORED, 1);
		assert_int_equal(nonsense, 0);
		if (layout == RCO_LAYOUT_PER_LEG)
			assert_true(t_store_has_noise(&w, "call", "caller", 1, 10));
		assert_true(t_events_count(&w.events, "call", RCO_EVENT_UPLOAD_RETRY) >= 2);
		rco_session_free(s);
		t_world_destroy(&w);
	}
}

/* ---- maintenance ---- */

/* The file that a ledger will need next cannot be made for a while: it is told, and tried again. */
static void test_the_next_file_cannot_be_made(void **state)
{
	char name[32];
	int i, k;
	char id[32];

	(void)state;
	if (T_SANITIZED) /* thousands of calls */
		skip();
	for (k = 0; k < 2; k++) {
		t_world_init(&w, 0);
		t_fs_init(&fs, k == 0 ? "/ledger/spare-" : "/calls/spare-");
		fs.quick = 1;
		w.fs = &fs;
		t_world_open(&w);
		for (i = 1; i <= 9000; i++) {
			rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
			rco_session_options so = {.struct_size = (uint32_t)sizeof so, .call_id = id};
			rco_session *s;

			(void)snprintf(id, sizeof id, "call-%d", i);
			(void)snprintf(name, sizeof name, "/x/%d.wav", i);
			if (k == 0) {
				o.flags = i % 250 == 0 ? 0 : o.flags; /* that one waits until all are written */
				assert_true(rco_engine_opt_out(w.engine, id, &o, NULL) >= RCO_OK);
			} else {
				assert_int_equal(rco_session_create(w.engine, &so, &s), RCO_OK);
				if (i % 250 == 0)
					assert_int_equal(
						rco_session_register_artifact(s, RCO_KIND_AUDIO, name, NULL),
						RCO_OK);
				rco_session_free(s);
			}
			if (i % 250 != 0)
				continue;
			atomic_store(&fs.fail, RCO_E_IO);
			t_advance(&w, 1100);
			atomic_store(&fs.fail, 0);
		}
		t_advance(&w, 1100);
		assert_true(atomic_load(&fs.failed) > 0);
		t_world_close(&w);
		t_world_open(&w);
		if (k == 0) {
			assert_int_equal(t_status(&w, "call-1"), RCO_STATUS_NOTED);
			assert_int_equal(t_status(&w, "call-9000"), RCO_STATUS_NOTED);
		}
		t_world_destroy(&w);
	}
}

/* Compacting that has to wait is taken up again soon. */
static void test_compacting_on_a_disk_that_fails(void **state)
{
	rco_session *kept, *gone;
	uint32_t n;
	int i;

	(void)state;
	for (n = 0; n < 12; n++) {
		t_world_init(&w, T_SPOOL);
		t_fs_init(&fs, "/spool");
		fs.quick = 1;
		w.fs = &fs;
		w.cfg.segment_bytes = 20000;
		w.cfg.late_opt_out_ms = RCO_NONE_MS;
		t_world_open(&w);
		kept = t_call(&w, "kept");
		for (i = 0; i < 20; i++) {
			char id[32];

			(void)snprintf(id, sizeof id, "gone-%d", i);
			gone = t_call(&w, id);
			t_push(kept, 0, 1, (size_t)i, 1);
			t_push(gone, 0, 2, 0, 40);
			t_advance(&w, 300);
			assert_int_equal(rco_opt_out(gone, NULL, NULL), RCO_OK);
			rco_session_free(gone);
			t_settle(&w);
		}
		atomic_store(&fs.fail_after, n);
		atomic_store(&fs.fail, RCO_E_IO);
		t_advance(&w, 5000);
		t_advance(&w, 5000);
		atomic_store(&fs.fail, 0);
		t_advance(&w, 5000);
		assert_int_equal(rco_session_end(kept), RCO_OK);
		t_await(&w, "kept", RCO_EVENT_STORED, 1);
		assert_true(t_store_has_noise(&w, "kept", "caller", 1, 20));
		rco_session_free(kept);
		t_world_destroy(&w);
	}
}

/* ---- the call record ---- */

static int armed, allocations, fail_at;

/* What the record's text grows by. */
void *realloc(void *ptr, size_t size)
{
	static void *(*_Atomic real)(void *, size_t);

	if (real == NULL) {
		void *found = dlsym(RTLD_NEXT, "realloc");
		void *(*next)(void *, size_t);

		memcpy(&next, &found, sizeof next);
		real = next;
	}
	return armed && ++allocations == fail_at ? NULL : real(ptr, size);
}

/* Short of memory in any place of it, a call record is whole or not there. */
static void test_a_call_record_for_which_memory_does_not_suffice(void **state)
{
	char whole[8192], buf[8192];
	rco_session *s, *out;
	size_t len;
	int i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	out = t_call(&w, "out");
	t_push(out, 0, 1, 0, 10);
	assert_int_equal(rco_opt_out(out, NULL, NULL), RCO_OK);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 10);
	t_push(s, 1, 1, 0, 10);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	for (i = 0; i < 2; i++) {
		rco_session *one = i == 0 ? s : out;
		int rc;

		assert_int_equal(rco_session_call_record(one, whole, sizeof whole, &len), RCO_OK);
		for (fail_at = 1;; fail_at++) {
			allocations = 0;
			armed = 1;
			rc = rco_session_call_record(one, buf, sizeof buf, &len);
			armed = 0;
			if (rc == RCO_OK)
				assert_string_equal(buf, whole); /* it could do without */
			else
				assert_int_equal(rc, RCO_E_NO_MEMORY);
			if (allocations < fail_at)
				break;
		}
		assert_int_equal(rc, RCO_OK);
		assert_true(fail_at > 4);
	}
	rco_session_free(s);
	rco_session_free(out);
	t_world_destroy(&w);
}

/* ---- who is told ---- */

static int leave_twice;

static void leaving(const rco_event *e, void *user_data)
{
	(void)e;
	if (leave_twice++ > 0)
		return;
	assert_int_equal(rco_engine_remove_listener(w.engine, leaving, user_data), RCO_OK);
	assert_int_equal(rco_engine_remove_listener(w.engine, leaving, user_data),
	                 RCO_E_NOT_FOUND); /* it has left */
}

static void test_a_listener_that_leaves_twice(void **state)
{
	rco_session *s;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(rco_engine_add_listener(w.engine, leaving, &w), RCO_OK);
	s = t_call(&w, "call");
	t_settle(&w);
	rco_session_free(s);
	t_settle(&w);
	assert_int_equal(leave_twice, 1);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_too_long),
		cmocka_unit_test(test_keys_elsewhere),
		cmocka_unit_test(test_keys_of_another_engine),
		cmocka_unit_test(test_evidence_ends),
		cmocka_unit_test(test_backends_that_refuse),
		cmocka_unit_test(test_detached),
		cmocka_unit_test(test_a_record_that_is_sent_for_long),
		cmocka_unit_test(test_attach_and_scan_answer_at_once),
		cmocka_unit_test(test_slots_are_callbacks),
		cmocka_unit_test(test_an_id_that_cannot_be_set_aside),
		cmocka_unit_test(test_a_journal_that_fails_for_a_while),
		cmocka_unit_test(test_freed_while_nothing_can_be_written),
		cmocka_unit_test(test_freed_while_a_backend_is_silent),
		cmocka_unit_test(test_closed_in_time),
		cmocka_unit_test(test_freed_with_audio_that_was_handed_on),
		cmocka_unit_test(test_a_buffer_that_reads_nonsense),
		cmocka_unit_test(test_the_next_file_cannot_be_made),
		cmocka_unit_test(test_compacting_on_a_disk_that_fails),
		cmocka_unit_test(test_a_call_record_for_which_memory_does_not_suffice),
		cmocka_unit_test(test_a_listener_that_leaves_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
