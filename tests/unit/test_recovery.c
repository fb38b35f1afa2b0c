/* SPDX-License-Identifier: MIT */
/*
 * What an earlier process, a damaged or a hostile file of rings, or a buffer of the host's may tell a start, and
 * should not be able to: every part of it ends with kept calls whole, and nothing of those who objected.
 */
#include "../support.h"

#if !T_SANITIZED /* which have wrappers of their own */
#include "../fault/calls.h"
#endif

#include "../../lib/base/bytes.h"
#include "../../lib/media/pool.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static t_world w;

/* Every start that is short of memory at some place fails, until there is enough. */
static void start_until_it_works(void)
{
	int rc;

	for (t_memory.fail_at = 1;; t_memory.fail_at++) {
		atomic_store(&t_memory.count, 0);
		rc = t_world_try_open(&w);
		if (rc == RCO_OK && atomic_load(&t_memory.count) < t_memory.fail_at)
			break;
		if (rc == RCO_OK)
			t_world_close(&w);
		else
			assert_int_equal(rc, RCO_E_NO_MEMORY);
	}
	t_memory.fail_at = 0;
}

/* ---- rings that are left ---- */

static rco__pool *open_rings(void)
{
	char id[RCO_ID_TEXT + 1] = "", name[RCO_ID_TEXT + 32], path[256];
	uint64_t damaged = 0;
	rco__pool *pool = NULL;
	rco__env env;
	FILE *f;

	t_join(path, sizeof path, w.state, "id");
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(id, 1, RCO_ID_TEXT, f), RCO_ID_TEXT);
	(void)fclose(f);
	(void)snprintf(name, sizeof name, "recoptout-%s.rings", id);
	assert_int_equal(rco__env_init(&env, NULL, NULL, NULL, NULL), RCO_OK);
	assert_int_equal(rco__pool_open(&env, w.rings, name, w.cfg.ring_pool_bytes, &damaged, &pool), RCO_OK);
	return pool;
}

/* One with a frame in it, of this recording, as a killed process leaves it. */
static rco__ring *leave_ring(rco__pool *pool, const uint8_t recording_id[16], uint32_t leg, const void *meta,
                             size_t meta_size, uint64_t seed)
{
	rco__ring *ring = NULL;
	uint64_t gate;

	assert_int_equal(rco__pool_get(pool, 16384, recording_id, leg, RCO_FORMAT_PCMU_8K, "caller", meta,
	                               meta_size, &ring),
	                 RCO_OK);
	rco__gate_unshut(&ring->gate);
	t_noise(seed, 0, rco__pool_data(pool, ring), T_FRAME);
	gate = rco__gate_load(&ring->gate);
	assert_true(rco__gate_commit(&ring->gate, &gate, T_FRAME));
	return ring;
}

static void count_one(rco__pool *pool, rco__ring *ring, void *user_data)
{
	(void)pool;
	(void)ring;
	++*(int *)user_data;
}

/* So many rings are in use, as the next process will find them. */
static void assert_rings(int n)
{
	rco__pool *pool = open_rings();
	int found = 0;

	rco__pool_orphans(pool, count_one, &found);
	rco__pool_close(pool);
	rco__pool_free(pool);
	assert_int_equal(found, n);
}

static void done_with(rco__pool *pool)
{
	rco__pool_close(pool);
	rco__pool_free(pool);
}

static void open_world(uint32_t flags)
{
	t_world_init(&w, flags);
	w.cfg.allocator = &t_allocator;
	t_memory.fail_at = 0;
	t_world_open(&w);
}

static void recording_of(rco_session *s, uint8_t id[16])
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	memcpy(id, st.recording_id, 16);
}

static int nowhere(uint64_t seed)
{
	uint8_t marker[64];

	t_noise(seed, 0, marker, sizeof marker);
	return t_tree_holds(w.root, marker, sizeof marker) == 0 &&
	       t_tree_holds(w.rings, marker, sizeof marker) == 0;
}

static void stored_call(const char *call_id, uint64_t seed, uint8_t id[16])
{
	rco_session *s = t_call(&w, call_id);

	recording_of(s, id);
	t_push(s, 0, seed, 0, 5);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, call_id, RCO_EVENT_STORED, 1);
	t_advance(&w, 4000000); /* and forgotten */
}

/* Rings of calls that are done with are given back, and what was in them is wiped: stored and erased ones alike.
 */
static void test_rings_of_calls_that_are_done_with(void **state)
{
	uint8_t stored[16], gone[16];
	rco__pool *pool;
	rco__ring *ring;
	rco_session *s;

	(void)state;
	open_world(T_SPOOL | T_DISK | T_SHARED);
	stored_call("stored", 1, stored);
	s = t_call(&w, "gone");
	recording_of(s, gone);
	t_push(s, 0, 2, 0, 5);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	t_await(&w, "gone", RCO_EVENT_SWEPT, 1);
	t_world_close(&w);
	pool = open_rings();
	ring = leave_ring(pool, stored, 0, "", 0, 11);
	rco__gate_stop(&ring->gate); /* too late: the call is stored, and was told so */
	(void)leave_ring(pool, gone, 0, "", 0, 12);
	done_with(pool);
	assert_false(nowhere(11));
	start_until_it_works();
	t_advance(&w, 120000);
	assert_true(nowhere(11));
	assert_true(nowhere(12));
	assert_int_equal(t_store_audio(&w), 1);
	t_world_destroy(&w);
}

/* Two rings for one leg of one call: no process of ours leaves them. One is kept, the other one's audio goes. */
static void test_two_rings_of_one_leg(void **state)
{
	uint8_t id[16] = {7}, meta[64];
	rco__cursor c;
	rco__pool *pool;

	(void)state;
	open_world(T_SPOOL | T_DISK | T_SHARED);
	t_world_close(&w);
	rco__cursor_writer(&c, meta, sizeof meta);
	rco__w8(&c, 1);
	rco__w64(&c, 1700000000000000);
	rco__w64(&c, 1700000000000000);
	rco__wstr(&c, "twice");
	rco__wbytes(&c, id,
	            sizeof id); /* the receipt's; what says of a hold is missing, as earlier versions wrote it */
	pool = open_rings();
	(void)leave_ring(pool, id, 0, meta, rco__cursor_used(&c, meta), 1);
	(void)leave_ring(pool, id, 0, meta, rco__cursor_used(&c, meta), 1);
	done_with(pool);
	assert_rings(2);
	t_world_open(&w);
	t_await(&w, "twice", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "twice", "caller", 1, 1));
	assert_int_equal(t_store_audio(&w), 1);
	t_world_destroy(&w);
}

/* A ring that claims more than there is, with a checksum that fits: wiped, and nothing beyond is touched. */
static void test_a_ring_that_reaches_beyond_the_pool(void **state)
{
	uint8_t id[16] = {9};
	rco__ring_owner *owner;
	rco__ring *ring;
	rco__pool *pool;
	const uint8_t *from;
	uint32_t leg;

	(void)state;
	t_world_init(&w, T_SPOOL | T_SHARED);
	w.cfg.ring_pool_bytes = 3 * 16384;
	t_world_open(&w);
	t_world_close(&w);
	pool = open_rings();
	ring = leave_ring(pool, id, 0, "", 0, 23);
	for (leg = 1; rco__ring_number(rco__pool_ref(pool, ring)) != 2; leg++) /* the last of three */
		ring = leave_ring(pool, id, leg, "", 0, 23);
	/* The owners lie before the gaps, in whole pages. */
	owner = (rco__ring_owner *)(void *)((uint8_t *)rco__pool_map_of(pool).gaps -
	                                    (3 * sizeof *owner + 4095) / 4096 * 4096) +
	        2;
	assert_int_equal(owner->leg, leg - 1);
	owner->units = 2;
	from = (const uint8_t *)&owner->leg;
	owner->crc = rco__crc32c(0, from, (size_t)((const uint8_t *)owner + sizeof *owner - from));
	done_with(pool);
	t_world_open(&w);
	assert_int_equal(t_events_count(&w.events, NULL, RCO_EVENT_QUARANTINED), 0);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, NULL, RCO_EVENT_QUARANTINED), 1);
	t_advance(&w, 60000);
	assert_true(nowhere(23));
	t_world_destroy(&w);
}

/* ---- a buffer of the host's ---- */

static struct {
	uint8_t id[16];
	uint32_t odd_format;
} told;

static int scan(rco_scan_fn found, void *found_user_data, void *user_data)
{
	rco_scanned more = {.struct_size = (uint32_t)sizeof more};

	memcpy(more.id, told.id, 16);
	more.leg_format[0] = RCO_FORMAT_PCMU_8K;
	more.leg_format[1] = told.odd_format;
	more.leg_bytes[0] = more.leg_bytes[1] = T_FRAME;
	(void)user_data;
	found(&more, found_user_data);
	return RCO_OK;
}

/* A recording of a call that is stored and closed, which the buffer still has: it goes, and the call is not stored
 * again. */
static void test_a_stored_call_that_the_buffer_still_has(void **state)
{
	static const int how[] = {T_PASS, T_FAIL, T_HOLD};
	rco_buffer_ops ops = t_fault_buffer_ops;
	uint64_t before;
	size_t i;

	(void)state;
	open_world(T_DISK);
	stored_call("stored", 1, told.id);
	t_world_close(&w);
	ops.scan = scan;
	told.odd_format = 999; /* a leg that this version does not know */
	w.cfg.buffer = &ops;
	for (i = 0; i < 3; i++) {
		before = t_fault_calls(&w.fault, T_ERASE);
		t_fault_set(&w.fault, T_ERASE, how[i], 1, RCO_E_IO);
		t_world_open(&w);
		assert_int_equal(t_fault_calls(&w.fault, T_ERASE), before + 1);
		t_fault_quiet(&w.fault);
		t_advance(&w, 60000);
		t_world_close(&w);
	}
	start_until_it_works();
	assert_int_equal(t_events_count(&w.events, "stored", RCO_EVENT_RECOVERED), 0);
	assert_int_equal(t_store_audio(&w), 1);
	t_world_destroy(&w);
}

static const uint8_t *pending_id;
static int is_held; /* it is the engine's to give, until it is answered or nothing is wanted any more */

static int erase_later(const uint8_t id[16], uint64_t op, rco_result *result, void *ud)
{
	(void)op, (void)result, (void)ud;
	pending_id = id;
	return RCO_PENDING;
}

static void nothing_is_wanted(rco_engine *engine, void *ud)
{
	(void)engine, (void)ud;
	is_held = pending_id != NULL && memcmp(pending_id, told.id, 16) == 0;
}

/* What that backend was given is there for as long as it has not answered. */
static void test_an_erasure_that_is_answered_later(void **state)
{
	rco_buffer_ops ops = t_fault_buffer_ops;

	(void)state;
	open_world(T_DISK);
	stored_call("stored", 1, told.id);
	t_world_close(&w);
	ops.scan = scan;
	ops.erase = erase_later;
	ops.detach = nothing_is_wanted;
	told.odd_format = 999;
	w.cfg.buffer = &ops;
	pending_id = NULL;
	t_world_open(&w);
	assert_non_null(pending_id);
	assert_memory_equal(pending_id, told.id, 16);
	t_world_close(&w);
	assert_true(is_held);
	w.cfg.buffer = &t_fault_buffer_ops;
	t_world_destroy(&w);
}

/* One of a call that was opted out, erased and closed, which the buffer has all the same: erased once more. */
static void test_an_erased_call_that_the_buffer_still_has(void **state)
{
	rco_buffer_ops ops = t_fault_buffer_ops;
	rco_session *s;
	uint64_t before;

	(void)state;
	open_world(T_DISK);
	s = t_call(&w, "gone");
	recording_of(s, told.id);
	t_push(s, 0, 2, 0, 5);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	t_await(&w, "gone", RCO_EVENT_SWEPT, 1);
	t_advance(&w, 4000000);
	t_world_close(&w);
	ops.scan = scan;
	told.odd_format = 0;
	w.cfg.buffer = &ops;
	before = t_fault_calls(&w.fault, T_ERASE);
	t_world_open(&w);
	t_await(&w, "gone", RCO_EVENT_VERIFIED, 2);
	assert_true(t_fault_calls(&w.fault, T_ERASE) > before);
	assert_int_equal(t_store_audio(&w), 0);
	t_world_destroy(&w);
}

/* A file of rings that is none is wiped and created again, whatever of that fails: the next start does it. */
static void test_a_damaged_file_of_rings(void **state)
{
#if T_SANITIZED
	(void)state;
	skip();
#else
	uint8_t id[16] = {3}, *junk = calloc(1, 300000);
	char path[400], name[RCO_ID_TEXT + 32] = "";
	rco__pool *pool;
	uint64_t n;
	size_t size;

	(void)state;
	assert_non_null(junk);
	t_noise(31, 0, junk, 300000);
	open_world(T_SPOOL | T_DISK | T_SHARED);
	t_world_close(&w);
	pool = open_rings();
	(void)leave_ring(pool, id, 0, "", 0, 1);
	done_with(pool);
	for (n = 1;; n++) {
		uint8_t *text;

		t_join(path, sizeof path, w.state, "id");
		text = t_read_file(path, &size);
		assert_non_null(text);
		(void)snprintf(name, sizeof name, "recoptout-%.36s.rings", (const char *)text);
		free(text);
		t_join(path, sizeof path, w.rings, name);
		t_write_file(path, junk, 300000);
		n_system_calls.arm(0, n);
		if (t_world_try_open(&w) == RCO_OK) {
			uint64_t count = n_system_calls.count();

			n_system_calls.arm(0, 0);
			t_world_close(&w);
			if (count < n)
				break;
		}
		n_system_calls.arm(0, 0);
	}
	assert_true(nowhere(31));
	free(junk);
	t_world_destroy(&w);
#endif
}

/*
 * Two opt-outs that wait for one call, of which the older one lasts longer: its end could not be noted for want of
 * memory, and the clock was put back before the second. A call of that id is opted out all the same.
 */
static void test_two_that_wait_for_one_call(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "late"};
	rco_session *s = NULL;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.allocator = &t_allocator;
	w.cfg.early_opt_out_ttl_s = 1000;
	t_world_open(&w);
	assert_int_equal(rco_engine_opt_out(w.engine, "late", NULL, NULL), RCO_OK);
	t_memory.fail_all = 1;
	atomic_fetch_add(&w.clock.mono_us, INT64_C(1100000000));
	t_settle(&w);
	t_memory.fail_all = 0;
	atomic_fetch_sub(&w.clock.wall_us, INT64_C(500000000));
	assert_int_equal(rco_engine_opt_out(w.engine, "late", NULL, NULL), RCO_OK);
	t_world_close(&w);
	t_world_open(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- journals that are gone ---- */

static void leave_calls(void *arg)
{
	rco_session *s;

	(void)arg;
	t_world_open(&w);
	s = t_call(&w, "gone");
	t_push(s, 0, 2, 0, 5);
	t_advance(&w, 300);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	s = t_call(&w, "silent");
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	s = t_call(&w, "drained");
	t_push(s, 0, 3, 0, 5);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 1000); /* in the buffer alone; its window is open */
	s = t_call(&w, "kept");
	t_push(s, 0, 1, 0, 5);
	t_advance(&w, 300);
	t_push(s, 0, 1, 5, 2);
	T_LAST_WORDS();
	(void)kill(getpid(), SIGKILL);
}

/* Spool, rings and ledger tell enough: without the calls' journal kept audio is stored, and who objected is
 * erased. */
static void test_without_the_journal_of_calls(void **state)
{
	char calls[256];

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	w.cfg.allocator = &t_allocator;
	t_memory.fail_at = 0;
	assert_int_equal(t_reap(t_spawn(leave_calls, NULL)), -SIGKILL);
	t_join(calls, sizeof calls, w.state, "calls");
	t_rmtree(calls);
	start_until_it_works();
	t_await(&w, "kept", RCO_EVENT_STORED, 1);
	t_await(&w, "drained", RCO_EVENT_STORED, 1);
	t_await(&w, "gone", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_status(&w, "silent"), RCO_STATUS_NOT_RECORDING);
	/* the ring knew the leg's name; a start that was too short of memory to note it leaves the leg's number */
	assert_true(t_store_has_noise(&w, "kept", "caller", 1, 7) || t_store_has_noise(&w, "kept", "leg0", 1, 7));
	assert_true(nowhere(2));
	t_world_destroy(&w);
}

/* A copy in several versions is several copies, and one that is registered again is one. */
static void test_versions_of_a_copy_over_a_restart(void **state)
{
	char path[256];
	rco_session *s;

	(void)state;
	open_world(T_SPOOL | T_DISK);
	t_join(path, sizeof path, w.artifacts, "copy.wav");
	t_write_file(path, "audio", 5);
	s = t_call(&w, "copies");
	t_push(s, 0, 1, 0, 5);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, "v1"), RCO_OK);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, "v2"), RCO_OK);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, "v1"), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_world_close(&w);
	rco_session_free(s);
	start_until_it_works();
	t_await(&w, "copies", RCO_EVENT_VERIFIED, 1);
	assert_false(t_exists(path));
	t_world_destroy(&w);
}

/* ---- the pool ---- */

static void test_pools_that_cannot_be(void **state)
{
	static char longest[5000];

	(void)state;
	t_world_init(&w, T_SHARED);
	w.cfg.ring_pool_bytes = 1;
	assert_int_equal(t_world_try_open(&w), RCO_E_INVALID);
	w.cfg.ring_pool_bytes = UINT64_MAX;
	assert_int_equal(t_world_try_open(&w), RCO_E_INVALID);
	w.cfg.ring_pool_bytes = 1u << 20;
	memset(longest, 'x', sizeof longest - 1);
	w.cfg.ring_dir = longest;
	assert_int_not_equal(t_world_try_open(&w), RCO_OK);
	w.cfg.ring_dir = w.rings;
	t_world_open(&w);
	/* somebody removed the file under a running engine: nothing is lost by it at its end */
	t_rmtree(w.rings);
	t_world_close(&w);
	assert_int_equal(mkdir(w.rings, 0700), 0);
	t_world_destroy(&w);
}

/* ---- a key that is lost ---- */

enum { IN_BUFFER = 20, IN_RING = 5 };

static void leave_both(void *arg)
{
	rco_session *s;

	(void)arg;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 7, 0, IN_BUFFER);
	t_settle(&w);
	t_push(s, 0, 7, IN_BUFFER, IN_RING);
	(void)raise(SIGKILL);
}

static void forget_key(const char *file, void *user_data)
{
	assert_int_equal(unlink(file), 0);
	++*(int *)user_data;
}

static void lose_keys(void)
{
	char keys[256];
	int n = 0;

	t_world_init(&w, T_SPOOL | T_SHARED);
	assert_int_equal(t_reap(t_spawn(leave_both, NULL)), -SIGKILL);
	t_join(keys, sizeof keys, w.state, "keys");
	t_tree_each(keys, forget_key, &n);
	assert_true(n > 0);
	t_world_open(&w);
}

static uint64_t uploads_pending(void)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_engine_get_stats(w.engine, &st), RCO_OK);
	return st.uploads_pending;
}

/* What the buffer had cannot be read any more; what the ring has can, and is kept, where it was in the call. */
static void test_key_lost_and_ring_there(void **state)
{
	uint8_t frame[T_FRAME];
	const uint8_t *samples;
	char name[256], key[300];
	size_t size = 0, n = 0, i;
	uint8_t *file;

	(void)state;
	lose_keys();
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_int_equal(uploads_pending(), 0);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_BUFFER_RETRY), 1);
	assert_true(t_store_name(&w, "call", name, sizeof name));
	(void)snprintf(key, sizeof key, "%s.caller.wav", name);
	file = t_store_get(&w, key, &size);
	assert_non_null(file);
	samples = t_wav_samples(file, size, &n);
	assert_int_equal(n, (IN_BUFFER + IN_RING) * T_FRAME);
	for (i = 0; i < IN_RING; i++) {
		t_noise(7, (IN_BUFFER + i) * T_FRAME, frame, sizeof frame);
		assert_memory_equal(samples + (IN_BUFFER + i) * T_FRAME, frame, sizeof frame);
	}
	for (i = 0; i < IN_BUFFER * T_FRAME; i++)
		assert_int_equal(samples[i], 0xff); /* silence */
	free(file);
	t_world_destroy(&w);
}

/* Who objects is told the truth, and nothing stays. */
static void test_key_lost_and_opted_out(void **state)
{
	uint8_t marker[64];

	(void)state;
	lose_keys();
	t_settle(&w);
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(uploads_pending(), 0);
	t_noise(7, IN_BUFFER * T_FRAME, marker, sizeof marker);
	assert_int_equal(t_tree_holds(w.root, marker, sizeof marker), 0);
	assert_int_equal(t_tree_holds(w.rings, marker, sizeof marker), 0);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 0);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rings_of_calls_that_are_done_with),
		cmocka_unit_test(test_two_rings_of_one_leg),
		cmocka_unit_test(test_a_ring_that_reaches_beyond_the_pool),
		cmocka_unit_test(test_a_stored_call_that_the_buffer_still_has),
		cmocka_unit_test(test_an_erasure_that_is_answered_later),
		cmocka_unit_test(test_an_erased_call_that_the_buffer_still_has),
		cmocka_unit_test(test_a_damaged_file_of_rings),
		cmocka_unit_test(test_two_that_wait_for_one_call),
		cmocka_unit_test(test_without_the_journal_of_calls),
		cmocka_unit_test(test_versions_of_a_copy_over_a_restart),
		cmocka_unit_test(test_pools_that_cannot_be),
		cmocka_unit_test(test_key_lost_and_ring_there),
		cmocka_unit_test(test_key_lost_and_opted_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
