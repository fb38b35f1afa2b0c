/* SPDX-License-Identifier: MIT */
/*
 * A key service that is slow, or down, delays no frame, no start, no opt-out and no erasure: it is asked by a
 * thread that nobody waits for, and when the engine is created.
 */
#include "../support.h"

#include <semaphore.h>
#include <stdio.h>
#include <sys/stat.h>

static struct service {
	_Atomic int rc, held;
	_Atomic size_t wraps, unwraps, destroys;
	sem_t inside, go;
	pthread_t thread; /* of the last wrap */
} service;

static int wrap(uint64_t epoch, const uint8_t key[32], uint8_t *wrapped, size_t *wrapped_bytes, void *user_data)
{
	struct service *s = user_data;

	atomic_fetch_add(&s->wraps, 1);
	s->thread = pthread_self();
	if (atomic_load(&s->held)) {
		(void)sem_post(&s->inside);
		while (sem_wait(&s->go) != 0)
			;
	}
	if (atomic_load(&s->rc) != RCO_OK)
		return rco_error_set_detail(atomic_load(&s->rc), "the service is being moved");
	memcpy(wrapped, key, 32);
	memcpy(wrapped + 32, &epoch, sizeof epoch);
	*wrapped_bytes = 40;
	return RCO_OK;
}

static int unwrap(uint64_t epoch, const uint8_t *wrapped, size_t wrapped_bytes, uint8_t key[32], void *user_data)
{
	struct service *s = user_data;

	atomic_fetch_add(&s->unwraps, 1);
	if (atomic_load(&s->rc) != RCO_OK)
		return atomic_load(&s->rc);
	if (wrapped_bytes != 40 || memcmp(wrapped + 32, &epoch, sizeof epoch) != 0)
		return RCO_E_KEY;
	memcpy(key, wrapped, 32);
	return RCO_OK;
}

static int destroy(uint64_t epoch, void *user_data)
{
	struct service *s = user_data;

	(void)epoch;
	atomic_fetch_add(&s->destroys, 1);
	return atomic_load(&s->rc);
}

static const rco_key_ops ops = {.struct_size = sizeof ops, .wrap = wrap, .unwrap = unwrap, .destroy = destroy};

static void begin(t_world *w, uint32_t flags)
{
	memset(&service, 0, sizeof service);
	assert_int_equal(sem_init(&service.inside, 0, 0), 0);
	assert_int_equal(sem_init(&service.go, 0, 0), 0);
	t_world_init(w, flags);
	w->cfg.keys = &ops;
	w->cfg.keys_user_data = &service;
}

static void take(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		;
}

/* With the threads of an engine: a slot is held until all of a call's life has happened beside it. */
static void a_rotation_that_is_held(void **state)
{
	rco_receipt *receipt = NULL;
	rco_session *kept, *gone;
	size_t wraps, destroys;
	t_world w;
	int i;

	(void)state;
	begin(&w, T_SPOOL | T_WORKERS);
	w.cfg.late_opt_out_ms = 50;
	w.cfg.key_epoch_s = 1;
	t_world_open(&w);
	kept = t_call(&w, "kept"); /* begun before */
	atomic_store(&service.held, 1);
	take(&service.inside);
	assert_false(pthread_equal(service.thread, pthread_self()));
	wraps = atomic_load(&service.wraps);
	destroys = atomic_load(&service.destroys);
	t_push(kept, 0, 3, 0, 50);
	t_wait_buffered(kept);
	for (i = 0; i < 20; i++) {
		char id[32];

		(void)snprintf(id, sizeof id, "gone-%d", i);
		gone = t_call(&w, id);
		t_push(gone, 0, 1, 0, 20);
		t_wait_buffered(gone);
		assert_int_equal(rco_opt_out(gone, NULL, &receipt), RCO_OK);
		assert_true(rco_receipt_facts(receipt) & RCO_FACT_DURABLE); /* and perhaps erased by now */
		rco_receipt_free(receipt);
		rco_session_free(gone);
		t_await(&w, id, RCO_EVENT_VERIFIED, 1); /* whatever shard it is with */
	}
	assert_int_equal(rco_session_end(kept), RCO_OK);
	t_await(&w, "kept", RCO_EVENT_STORED, 1);
	rco_session_free(kept);
	assert_int_equal(atomic_load(&service.wraps), wraps); /* still the same one */
	assert_int_equal(atomic_load(&service.destroys), destroys);
	atomic_store(&service.held, 0);
	(void)sem_post(&service.go);
	t_world_destroy(&w);
}

/* Without threads all of it is inside rco_engine_run(), and nowhere else. */
static void host_driven(void **state)
{
	rco_session *s;
	size_t wraps;
	t_world w;
	int i;

	(void)state;
	begin(&w, T_SPOOL);
	w.cfg.key_epoch_s = 60;
	t_world_open(&w);
	assert_int_equal(atomic_load(&service.wraps), 1);
	for (i = 0; i < 5; i++) {
		char id[32];

		(void)snprintf(id, sizeof id, "call-%d", i);
		t_clock_advance(&w.clock, 61000);
		wraps = atomic_load(&service.wraps);
		s = t_call(&w, id);
		t_push(s, 0, 1, 0, 10);
		assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
		assert_int_equal(atomic_load(&service.wraps), wraps);
		assert_int_equal(rco_engine_run(w.engine, 0, 1), RCO_OK); /* with the smallest budget */
		assert_int_equal(atomic_load(&service.wraps), wraps + 1);
		assert_true(pthread_equal(service.thread, pthread_self()));
		rco_session_free(s);
		t_await(&w, id, RCO_EVENT_VERIFIED, 1);
	}
	t_world_destroy(&w);
}

static void down_when_an_engine_is_created(void **state)
{
	rco_session *s, *kept;
	t_world w;

	(void)state;
	begin(&w, T_SPOOL);
	atomic_store(&service.rc, RCO_E_TIMEOUT);
	assert_int_equal(t_world_try_open(&w), RCO_E_TIMEOUT);
	assert_non_null(strstr(rco_error_detail(), "key provider"));
	assert_non_null(strstr(rco_error_detail(), "the service is being moved"));
	atomic_store(&service.rc, RCO_OK);
	t_world_open(&w);
	s = t_call(&w, "gone");
	kept = t_call(&w, "kept");
	t_push(s, 0, 1, 0, 20);
	t_push(kept, 0, 2, 0, 20);
	t_advance(&w, 300);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK); /* durable, and nothing is erased yet */
	t_world_close(&w);
	rco_session_free(s);
	rco_session_free(kept);
	/* What an earlier process left to be erased is erased without it. */
	atomic_store(&service.rc, RCO_E_TIMEOUT);
	t_world_open(&w);
	t_await(&w, "gone", RCO_EVENT_VERIFIED, 1);
	s = t_call(&w, "new");
	t_push(s, 0, 3, 0, 20);
	t_advance(&w, 2000);
	assert_int_equal(t_events_count(&w.events, "kept", RCO_EVENT_STORED), 0);
	assert_true(t_events_count(&w.events, "new", RCO_EVENT_BUFFER_RETRY) > 0);
	/* It comes back: all goes on, and nothing was lost. */
	atomic_store(&service.rc, RCO_OK);
	t_advance(&w, 120000);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "new", RCO_EVENT_STORED, 1);
	t_await(&w, "kept", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "new", "caller", 3, 20));
	assert_true(t_store_has_noise(&w, "kept", "caller", 2, 20));
	t_world_destroy(&w);
}

/* A spool of the host's, handed in with its own table: the engine keeps its epochs too. */
static void a_spool_of_the_host(void **state)
{
	rco_spool_options o = {.struct_size = (uint32_t)sizeof o, .keys = &ops, .keys_user_data = &service};
	rco_spool *spool;
	char path[256];
	t_world w;

	(void)state;
	begin(&w, 0);
	t_join(path, sizeof path, w.root, "elsewhere");
	o.path = path;
	o.epoch_s = 60;
	o.clock = &w.clock_table;
	assert_int_equal(rco_spool_create(&o, &spool), RCO_OK);
	w.cfg.buffer = rco_spool_buffer_ops();
	w.cfg.buffer_user_data = spool;
	t_world_open(&w);
	assert_int_equal(atomic_load(&service.wraps), 1);
	t_advance(&w, 61000);
	assert_int_equal(atomic_load(&service.wraps), 2);
	assert_int_equal(atomic_load(&service.destroys), 1);
	t_world_close(&w);
	rco_spool_free(spool);
	t_world_destroy(&w);
}

/* The host's spool is where the engine would have its own: it is opened once, and one that is elsewhere beside it.
 */
static void spools_of_the_host(void **state)
{
	rco_spool_options o = {.struct_size = (uint32_t)sizeof o, .keys = &ops, .keys_user_data = &service};
	rco_spool *spool;
	rco_session *s;
	char path[256];
	t_world w;
	int i;

	(void)state;
	begin(&w, 0);
	o.path = path;
	o.clock = &w.clock_table;
	w.cfg.buffer = rco_spool_buffer_ops();
	assert_int_equal(mkdir(w.state, 0700), 0);
	for (i = 0; i < 2; i++) {
		t_join(path, sizeof path, i == 0 ? w.state : w.root, i == 0 ? "spool" : "elsewhere");
		assert_int_equal(rco_spool_create(&o, &spool), RCO_OK);
		w.cfg.buffer_user_data = spool;
		t_world_open(&w);
		s = t_call(&w, i == 0 ? "first" : "second");
		t_push(s, 0, 1, 0, 20);
		t_advance(&w, 400);
		t_world_close(&w); /* the call is left in there */
		rco_session_free(s);
		rco_spool_free(spool);
	}
	assert_int_equal(rco_spool_create(&o, &spool), RCO_OK);
	w.cfg.buffer_user_data = spool;
	t_world_open(&w);
	t_await(&w, "first", RCO_EVENT_STORED, 1);
	t_await(&w, "second", RCO_EVENT_STORED, 1);
	t_world_close(&w);
	rco_spool_free(spool);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rotation_that_is_held),
		cmocka_unit_test(host_driven),
		cmocka_unit_test(down_when_an_engine_is_created),
		cmocka_unit_test(a_spool_of_the_host),
		cmocka_unit_test(spools_of_the_host),
	};

	return cmocka_run_group_tests_name("slow keys", tests, NULL, NULL);
}
