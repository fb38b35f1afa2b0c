/* SPDX-License-Identifier: MIT */
/*
 * An engine that is started with other places than the one before it: another store, another buffer, other rings.
 * What is in the earlier ones is erased or kept there, or said to be still there; never is one called erased
 * because another has nothing of it.
 */
#include "../support.h"

#include <recoptout/storage.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALL = 7 };

static t_world w;
static rco_upload_ops upload;
static rco_deletion_ops deletion;

static void to_folder(void)
{
	w.cfg.upload = NULL;
	w.cfg.deletion = NULL;
	w.cfg.output_dir = w.out;
}

/* Objects in memory stand for a store of the host's. */
static void to_store(void)
{
	w.cfg.upload = &upload;
	w.cfg.deletion = &deletion;
}

static void make_world(uint32_t flags)
{
	t_world_init(&w, flags);
	upload = *w.cfg.upload;
	deletion = *w.cfg.deletion;
	w.cfg.late_opt_out_ms = 10000;
}

static rco_session *call(int held, size_t frames)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = "call", .legal_hold = (uint32_t)held};
	rco_session *s = t_call_with(&w, &o);

	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, CALL, 0, frames);
	return s;
}

static void end(rco_session *s)
{
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_settle(&w);
}

static void opt_out(void)
{
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, NULL), RCO_OK);
	t_settle(&w);
}

/* However long it is tried. */
static void is_pending(uint32_t event)
{
	t_event e;

	t_advance(&w, 120000);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_VERIFIED), 0);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASED), 0);
	assert_int_equal(t_events_last(&w.events, "call", event, &e), 1);
	assert_int_equal(e.code, RCO_E_NOT_FOUND);
}

/* ---- stores ---- */

static void sent_to_the_one_erased_by_neither(void (*one)(void), void (*other)(void), int held)
{
	rco_session *s;

	make_world(T_SPOOL);
	one();
	t_world_open(&w);
	s = call(held, 10);
	if (held)
		assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	end(s);
	if (held)
		t_await(&w, "call", RCO_EVENT_STORED, 1);
	t_world_close(&w);
	other();
	t_world_open(&w);
	if (held)
		assert_int_equal(rco_engine_lift_legal_hold(w.engine, "call"), RCO_OK);
	else
		opt_out();
	is_pending(RCO_EVENT_ERASE_RETRY);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_RETRYING);
	t_world_close(&w);
	one();
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 0);
	assert_int_equal(t_store_audio(&w), 0);
	t_world_destroy(&w);
}

static void test_stores(void **state)
{
	(void)state;
	sent_to_the_one_erased_by_neither(to_folder, to_store, 0);
	sent_to_the_one_erased_by_neither(to_folder, to_store, 1);
	sent_to_the_one_erased_by_neither(to_store, to_folder, 0);
	sent_to_the_one_erased_by_neither(to_store, to_folder, 1);
}

/* Half in the one: it waits, and comes to its end there. */
static void test_a_kept_call_in_the_other_store(void **state)
{
	(void)state;
	make_world(T_SPOOL);
	to_folder();
	t_world_open(&w);
	end(call(0, 10));
	t_world_close(&w);
	to_store();
	t_world_open(&w);
	is_pending(RCO_EVENT_UPLOAD_RETRY);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 0);
	t_world_close(&w);
	to_folder();
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 1);
	t_world_destroy(&w);
}

/* A store that is no more, as an operator says. */
static void test_a_store_is_given_up(void **state)
{
	char file[256];
	static const char ids[] = "11111111-1111-4111-8111-111111111111\nstore-of-the-host\n";

	(void)state;
	make_world(T_SPOOL);
	to_store();
	t_world_open(&w);
	end(call(0, 10));
	t_world_close(&w);
	to_folder();
	t_world_open(&w);
	opt_out();
	is_pending(RCO_EVENT_ERASE_RETRY);
	t_join(file, sizeof file, w.out, ".recoptout-store");
	t_write_file(file, ids, strlen(ids));
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_world_destroy(&w);
}

/* ---- buffers ---- */

/* The built-in one in memory, as one of the host's that outlives engines. */
static int host_open(const rco_recording *recording, uint64_t op, rco_result *result, void *user_data)
{
	return rco_memory_buffer_ops()->open(recording, op, result, user_data);
}

static void with_spool(void)
{
	w.cfg.buffer = NULL;
}

static void with_hosts(void)
{
	static rco_buffer_ops table;
	rco_memory_options o = {.struct_size = (uint32_t)sizeof o};

	table = *rco_memory_buffer_ops();
	table.open = host_open;
	if (w.memory == NULL)
		assert_int_equal(rco_memory_create(&o, &w.memory), RCO_OK);
	w.cfg.buffer = &table;
	w.cfg.buffer_user_data = w.memory;
}

/* Audio of a call that goes on, as a process leaves it that ends then. */
static void left_in(void (*buffer)(void))
{
	rco_session *s;

	make_world(0);
	buffer();
	t_world_open(&w);
	s = call(0, 10);
	t_advance(&w, 1000);
	t_world_close(&w);
	rco_session_free(s);
}

static void test_the_spool_erases_what_it_has(void **state)
{
	rco_session *s;

	(void)state;
	left_in(with_spool);
	with_hosts();
	t_world_open(&w);
	s = t_call(&w, "new"); /* is the host's */
	t_push(s, 0, 8, 0, 10);
	t_advance(&w, 1000);
	opt_out();
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "new", RCO_EVENT_VERIFIED, 1);
	t_await(&w, "call", RCO_EVENT_SWEPT, 1);
	rco_session_free(s);
	t_world_close(&w);
	/* and it has nothing of them now */
	with_spool();
	t_world_open(&w);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_RECOVERED), 1);
	t_world_destroy(&w);
}

static void test_the_spool_keeps_what_it_has(void **state)
{
	(void)state;
	left_in(with_spool);
	with_hosts();
	w.cfg.late_opt_out_ms = 1000;
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", CALL, 10));
	t_world_close(&w);
	/* and is closed when it has nothing any more */
	t_world_open(&w);
	t_settle(&w);
	t_world_destroy(&w);
}

static void test_a_buffer_of_the_hosts_is_missed(void **state)
{
	(void)state;
	left_in(with_hosts);
	with_spool();
	t_world_open(&w);
	opt_out();
	is_pending(RCO_EVENT_ERASE_RETRY);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_RETRYING);
	t_world_close(&w);
	with_hosts();
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_world_destroy(&w);
}

static void test_kept_in_a_buffer_of_the_hosts(void **state)
{
	(void)state;
	left_in(with_hosts);
	with_spool();
	w.cfg.late_opt_out_ms = 1000;
	t_world_open(&w);
	is_pending(RCO_EVENT_BUFFER_RETRY);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 0);
	t_world_close(&w);
	with_hosts();
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", CALL, 10));
	t_world_destroy(&w);
}

/* ---- rings ---- */

static char rings[2][256];

static void in_rings(int i)
{
	w.cfg.flags &= ~(uint32_t)RCO_ENGINE_PRIVATE_RINGS;
	w.cfg.ring_dir = rings[i];
}

static void in_private_rings(int i)
{
	(void)i;
	w.cfg.flags |= RCO_ENGINE_PRIVATE_RINGS;
	w.cfg.ring_dir = NULL;
}

static void killed_with_audio(void *objects)
{
	rco_session *s;

	t_world_open(&w);
	s = call(0, 10);
	t_advance(&w, 1000);
	t_push(s, 0, CALL, 10, 10); /* is in the rings alone */
	/* nor is the objection anywhere else: it waits for nobody */
	if (objects != NULL) {
		rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};

		assert_true(rco_opt_out(s, &o, NULL) >= 0);
	}
	T_LAST_WORDS();
	(void)kill(getpid(), SIGKILL);
}

static void open_and_die(void *unused)
{
	(void)unused;
	t_world_open(&w);
	T_LAST_WORDS();
	(void)kill(getpid(), SIGKILL);
}

static void killed(void *objects)
{
	pid_t child;
	int status, i;

	make_world(T_SPOOL | T_DISK);
	to_folder();
	w.cfg.late_opt_out_ms = 1000;
	for (i = 0; i < 2; i++) {
		(void)snprintf(rings[i], sizeof rings[i], "%s/rings%d", w.root, i);
		assert_int_equal(mkdir(rings[i], 0700), 0);
	}
	in_rings(0);
	child = t_spawn(killed_with_audio, objects);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(t_tree_holds(rings[0], NULL, 0), 1);
}

static void erased_from(void (*now)(int))
{
	killed(NULL);
	now(1);
	t_world_open(&w);
	assert_int_equal(t_tree_holds(rings[0], NULL, 0), 0);
	opt_out();
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 0);
	t_world_destroy(&w);
}

static void kept_from(void (*now)(int))
{
	killed(NULL);
	now(1);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", CALL, 20));
	t_world_close(&w);
	assert_int_equal(t_tree_holds(rings[1], NULL, 0), 0);
	t_world_destroy(&w);
}

/* The objection is in the rings alone, and outlives another crash at once: wherever they are now. */
static void objected_in(void (*now)(int))
{
	pid_t child;
	int status;

	killed(&w);
	now(1);
	child = t_spawn(open_and_die, NULL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(t_tree_holds(rings[0], NULL, 0), 0);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 0);
	t_world_destroy(&w);
}

static void test_rings_elsewhere(void **state)
{
	(void)state;
	erased_from(in_rings);
	erased_from(in_private_rings);
	kept_from(in_rings);
	kept_from(in_private_rings);
	objected_in(in_rings);
	objected_in(in_private_rings);
}

/* Of a build that did not say which folder it was. */
static void test_rings_of_an_earlier_version(void **state)
{
	char file[256];

	(void)state;
	killed(NULL);
	t_join(file, sizeof file, w.state, "rings");
	assert_int_equal(unlink(file), 0);
	in_private_rings(0);
	w.cfg.ring_dir = rings[0];
	t_world_open(&w);
	assert_int_equal(t_tree_holds(rings[0], NULL, 0), 0);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", CALL, 20));
	t_world_destroy(&w);
}

/* Cut short: the same rings in both, and the later ones are not whole. */
static void test_rings_in_both(void **state)
{
	char from[512], to[512], file[512];
	uint8_t *bytes;
	size_t size;

	(void)state;
	killed(NULL);
	/* as if the earlier start had got as far as copying */
	t_join(file, sizeof file, w.state, "id");
	bytes = t_read_file(file, &size);
	assert_non_null(bytes);
	(void)snprintf(from, sizeof from, "%s/recoptout-%.36s.rings", rings[0], (const char *)bytes);
	(void)snprintf(to, sizeof to, "%s/recoptout-%.36s.rings", rings[1], (const char *)bytes);
	free(bytes);
	bytes = t_read_file(from, &size);
	assert_non_null(bytes);
	memset(bytes + size / 2, 0, size - size / 2); /* audio that is not there yet */
	t_write_file(to, bytes, size);
	free(bytes);
	assert_int_equal(chmod(to, 0600), 0);
	in_rings(1);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", CALL, 20));
	t_world_close(&w);
	assert_int_equal(t_tree_holds(rings[0], NULL, 0), 0);
	assert_int_equal(t_tree_holds(rings[1], NULL, 0), 0);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stores),
		cmocka_unit_test(test_a_kept_call_in_the_other_store),
		cmocka_unit_test(test_a_store_is_given_up),
		cmocka_unit_test(test_the_spool_erases_what_it_has),
		cmocka_unit_test(test_the_spool_keeps_what_it_has),
		cmocka_unit_test(test_a_buffer_of_the_hosts_is_missed),
		cmocka_unit_test(test_kept_in_a_buffer_of_the_hosts),
		cmocka_unit_test(test_rings_elsewhere),
		cmocka_unit_test(test_rings_of_an_earlier_version),
		cmocka_unit_test(test_rings_in_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
