/* SPDX-License-Identifier: MIT */
/*
 * P1 stop: once rco_opt_out() has returned no frame is accepted, and no frame that was not accepted before the
 * stop reaches a backend. Media threads push as fast as they can while another thread opts out at a random moment.
 */
#include "../support.h"

#include "../../lib/session/state.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	ROUNDS = T_SANITIZED ? 300 : 1200,
	PUSHES_AT_LEAST = T_SANITIZED ? 100000 : 10000000,
	MOST_BEFORE = 7000, /* frames of a leg before the opt-out */
	AFTER = 500,        /* pushes of a leg after its return */
	NOISE = 65536,
	TABLE = 1 << 14
};

/* ---- a buffer backend that remembers how far each recording came ---- */

struct entry {
	uint8_t id[16];
	int used, erased;
	uint64_t end[2]; /* bytes of each leg that were ever appended */
};

static struct {
	pthread_mutex_t lock;
	struct entry table[TABLE];
	uint8_t noise[2][NOISE];
	uint64_t bytes, wrong_bytes, after_erase;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* lock held */
static struct entry *entry_of(const uint8_t id[16])
{
	size_t at = (size_t)(id[0] | id[1] << 8 | id[2] << 16) % TABLE;

	while (sink.table[at].used && memcmp(sink.table[at].id, id, 16) != 0)
		at = (at + 1) % TABLE;
	memcpy(sink.table[at].id, id, 16);
	sink.table[at].used = 1;
	return &sink.table[at];
}

static int sink_open(const rco_recording *recording, uint64_t op, rco_result *result, void *ud)
{
	(void)recording, (void)op, (void)ud;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int sink_append(const rco_chunk *chunk, uint64_t op, rco_result *result, void *ud)
{
	const uint8_t *p = chunk->data;
	struct entry *e;
	size_t i;

	(void)op, (void)ud;
	(void)pthread_mutex_lock(&sink.lock);
	e = entry_of(chunk->recording_id);
	sink.after_erase += (uint64_t)e->erased;
	sink.bytes += chunk->size_bytes;
	for (i = 0; i < chunk->size_bytes; i++)
		sink.wrong_bytes += p[i] != sink.noise[chunk->leg][(chunk->position_bytes + i) % NOISE];
	if (chunk->position_bytes + chunk->size_bytes > e->end[chunk->leg])
		e->end[chunk->leg] = chunk->position_bytes + chunk->size_bytes;
	(void)pthread_mutex_unlock(&sink.lock);
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int sink_read(const uint8_t id[16], uint32_t leg, uint64_t position, void *data, size_t cap, uint64_t op,
                     rco_result *result, void *ud)
{
	(void)id, (void)leg, (void)position, (void)data, (void)cap, (void)op, (void)ud;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int sink_erase(const uint8_t id[16], uint64_t op, rco_result *result, void *ud)
{
	(void)op, (void)ud;
	(void)pthread_mutex_lock(&sink.lock);
	entry_of(id)->erased = 1;
	(void)pthread_mutex_unlock(&sink.lock);
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

static const rco_buffer_ops sink_ops = {.struct_size = (uint32_t)sizeof(rco_buffer_ops),
                                        .open = sink_open,
                                        .append = sink_append,
                                        .read = sink_read,
                                        .erase = sink_erase};

/* ---- the race ---- */

static struct race {
	pthread_barrier_t begin, end;
	_Atomic(rco_session *) session;
	_Atomic int over; /* rco_opt_out() has returned */
	_Atomic int quit;
	_Atomic uint64_t accepted[2]; /* of this round */
	_Atomic uint64_t pushes, all_accepted, too_late, wrong_answer;
} race;

static void push_until_over(uint32_t leg)
{
	rco_session *s = atomic_load(&race.session);
	uint64_t n = 0, pushes = 0;
	int after = 0;

	while (after < AFTER) {
		int was_over = atomic_load(&race.over); /* seq_cst: set after the return */
		int rc = rco_session_push(s, leg, RCO_FORMAT_PCMU_8K, &sink.noise[leg][n % NOISE], 1);

		pushes++;
		after += was_over;
		if (rc == RCO_OK) {
			atomic_store_explicit(&race.accepted[leg], ++n, memory_order_release);
			if (was_over)
				(void)atomic_fetch_add(&race.too_late, 1);
		} else if (rc != RCO_E_OPTED_OUT && (was_over || rc != RCO_E_OVERFLOW)) {
			(void)atomic_fetch_add(&race.wrong_answer, 1);
		}
	}
	(void)atomic_fetch_add(&race.pushes, pushes);
	(void)atomic_fetch_add(&race.all_accepted, n);
}

static void *pusher(void *arg)
{
	uint32_t leg = (uint32_t)(uintptr_t)arg;

	for (;;) {
		(void)pthread_barrier_wait(&race.begin);
		if (atomic_load(&race.quit))
			return NULL;
		push_until_over(leg);
		(void)pthread_barrier_wait(&race.end);
	}
}

/* One call; returns how many bytes too many a backend got. */
static uint64_t round_of(t_world *w, unsigned n, uint64_t target)
{
	rco_opt_out_options nonblock = {.struct_size = (uint32_t)sizeof nonblock, .flags = RCO_OPT_OUT_NONBLOCK};
	rco_session_stats stats = {.struct_size = (uint32_t)sizeof stats};
	uint64_t extra = 0;
	char id[32];
	rco_session *s;
	int leg, rc;

	(void)snprintf(id, sizeof id, "race-%u", n);
	s = t_call(w, id);
	assert_int_equal(rco_session_get_stats(s, &stats), RCO_OK);
	atomic_store(&race.accepted[0], 0);
	atomic_store(&race.accepted[1], 0);
	atomic_store(&race.over, 0);
	atomic_store(&race.session, s);
	(void)pthread_barrier_wait(&race.begin);
	while (atomic_load(&race.accepted[n % 2]) < target)
		(void)sched_yield();
	rc = rco_opt_out(s, n % 4 == 3 ? &nonblock : NULL, NULL);
	atomic_store(&race.over, 1);
	(void)pthread_barrier_wait(&race.end);
	assert_int_equal(rc, n % 4 == 3 ? RCO_PENDING : RCO_OK);
	/* Once it is erased, everything that will ever reach the backend has reached it. */
	t_await(w, id, RCO_EVENT_ERASED, 1);
	(void)pthread_mutex_lock(&sink.lock);
	for (leg = 0; leg < 2; leg++) {
		uint64_t end = entry_of(stats.recording_id)->end[leg], accepted = atomic_load(&race.accepted[leg]);

		extra += end > accepted ? end - accepted : 0;
	}
	(void)pthread_mutex_unlock(&sink.lock);
	rco_session_free(s);
	return extra;
}

static void test_no_frame_after_the_return(void **state)
{
	uint64_t seed = 88172645463325252u, extra = 0;
	pthread_t threads[2];
	t_world w;
	unsigned n;

	(void)state;
	t_noise(1, 0, sink.noise[0], NOISE);
	t_noise(2, 0, sink.noise[1], NOISE);
	t_world_init(&w, T_WORKERS);
	w.cfg.buffer = &sink_ops;
	w.cfg.flush_interval_ms = 1;
	t_world_open(&w);
	assert_int_equal(pthread_barrier_init(&race.begin, NULL, 3), 0);
	assert_int_equal(pthread_barrier_init(&race.end, NULL, 3), 0);
	for (n = 0; n < 2; n++)
		t_thread(&threads[n], pusher, (void *)(uintptr_t)n);

	for (n = 0; n < ROUNDS || (atomic_load(&race.pushes) < PUSHES_AT_LEAST && n < 100 * ROUNDS); n++) {
		seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
		extra += round_of(&w, n, seed % MOST_BEFORE);
		/* keep the record of events short, it is searched by each wait */
		(void)pthread_mutex_lock(&w.events.lock);
		w.events.n = 0;
		(void)pthread_mutex_unlock(&w.events.lock);
	}
	atomic_store(&race.quit, 1);
	(void)pthread_barrier_wait(&race.begin);
	for (n = 0; n < 2; n++)
		assert_int_equal(pthread_join(threads[n], NULL), 0);

	print_message("    %llu pushes, %llu accepted, %llu bytes reached the backend\n",
	              (unsigned long long)race.pushes, (unsigned long long)race.all_accepted,
	              (unsigned long long)sink.bytes);
	assert_true(atomic_load(&race.pushes) >= PUSHES_AT_LEAST);
	assert_true(atomic_load(&race.all_accepted) > ROUNDS);
	assert_true(sink.bytes > 0); /* or what follows would say nothing */
	assert_int_equal(atomic_load(&race.too_late), 0);
	assert_int_equal(atomic_load(&race.wrong_answer), 0);
	assert_int_equal(extra, 0);
	assert_int_equal(sink.wrong_bytes, 0);
	assert_int_equal(sink.after_erase, 0);
	t_world_destroy(&w);
	(void)pthread_barrier_destroy(&race.begin);
	(void)pthread_barrier_destroy(&race.end);
}

/* A stop holds for legs, formats and answers whatever else goes on in the call. */
static void test_every_leg_is_refused(void **state)
{
	static const char *const labels[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "eight"};
	uint8_t frame[1920] = {0};
	uint32_t leg[8], i;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.ring_pool_bytes = 8u << 20;
	t_world_open(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	for (i = 0; i < 8; i++)
		assert_int_equal(rco_session_add_leg(s, labels[i], 1 + i % 6, &leg[i]), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	for (i = 0; i < 8; i++)
		assert_int_equal(rco_session_push(s, leg[i], 1 + i % 6, frame, 160), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	for (i = 0; i < 8; i++)
		assert_int_equal(rco_session_push(s, leg[i], 1 + i % 6, frame, 160), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_settle(&w);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	t_world_destroy(&w);
}

/* ---- a media thread that is preempted in the middle of a push ---- */

/*
 * The frame's second half lies in a page that cannot be read, so the copy faults inside the push; the handler
 * keeps the thread there until told to go on. Nothing else could stop it so exactly between its look at the gate
 * and its commit.
 */
static struct stuck {
	uint8_t *pages;
	size_t page;
	rco_session *session;
	_Atomic int inside, go;
	int rc;
} stuck;

static void hold_the_thread(int signal_number, siginfo_t *info, void *context)
{
	uint8_t *at = info->si_addr;

	(void)context;
	if (at < stuck.pages || at >= stuck.pages + 2 * stuck.page)
		_exit(128 + signal_number); /* a real crash */
	atomic_store(&stuck.inside, 1);
	while (!atomic_load(&stuck.go))
		(void)sched_yield();
	(void)mprotect(stuck.pages, 2 * stuck.page, PROT_READ | PROT_WRITE);
}

static void *push_and_get_stuck(void *arg)
{
	(void)arg;
	stuck.rc = rco_session_push(stuck.session, 0, RCO_FORMAT_PCMU_8K, stuck.pages + stuck.page - 2000, 4000);
	return NULL;
}

/* Is anything of the frame in the memory of the rings? */
static int rings_hold_the_frame(const t_world *w)
{
	const uint8_t *audio = w->engine->map.audio, *frame = stuck.pages + stuck.page - 2000;
	size_t size = (size_t)rco__pool_bytes(w->engine->pool);

	return memmem(audio, size, frame, 64) != NULL || memmem(audio, size, frame + 4000 - 64, 64) != NULL;
}

static void stuck_while(t_world *w, const char *id, int (*stop)(rco_session *session), int want, int seen_by_push)
{
	struct sigaction mine = {.sa_sigaction = hold_the_thread, .sa_flags = SA_SIGINFO}, segv, bus;
	rco_session_stats before = {.struct_size = (uint32_t)sizeof before}, after = before;
	pthread_t thread;

	stuck.session = t_call(w, id);
	t_push(stuck.session, 0, 1, 0, 10);
	t_noise(3, 0, stuck.pages, 2 * stuck.page);
	assert_int_equal(mprotect(stuck.pages + stuck.page, stuck.page, PROT_NONE), 0);
	atomic_store(&stuck.inside, 0);
	atomic_store(&stuck.go, 0);
	assert_int_equal(sigaction(SIGSEGV, &mine, &segv), 0);
	assert_int_equal(sigaction(SIGBUS, &mine, &bus), 0);
	t_thread(&thread, push_and_get_stuck, NULL);
	while (!atomic_load(&stuck.inside))
		(void)sched_yield();
	/* Nobody waits for it, ... */
	assert_int_equal(stop(stuck.session), want);
	assert_int_equal(t_push_one(stuck.session, 1, 1), seen_by_push);
	assert_int_equal(rco_session_get_stats(stuck.session, &before), RCO_OK);
	t_advance(w, 1000);
	/* ... and it is too late when it goes on. */
	atomic_store(&stuck.go, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	(void)sigaction(SIGSEGV, &segv, NULL);
	(void)sigaction(SIGBUS, &bus, NULL);
	assert_int_equal(stuck.rc, seen_by_push);
	assert_false(rings_hold_the_frame(w));
	assert_int_equal(rco_session_get_stats(stuck.session, &after), RCO_OK);
	assert_int_equal(before.accepted_bytes, 10 * T_FRAME);
	assert_int_equal(after.accepted_bytes, 10 * T_FRAME);
}

static int stop_by_opt_out(rco_session *session)
{
	return rco_opt_out(session, NULL, NULL);
}

static int stop_by_nonblocking(rco_session *session)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};

	return rco_opt_out(session, &o, NULL);
}

static void test_preempted_media_thread(void **state)
{
	t_world w;

	(void)state;
	stuck.page = (size_t)sysconf(_SC_PAGESIZE);
	stuck.pages = mmap(NULL, 2 * stuck.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(stuck.pages, MAP_FAILED);
	t_world_init(&w, 0);
	t_world_open(&w);
	stuck_while(&w, "blocking", stop_by_opt_out, RCO_OK, RCO_E_OPTED_OUT);
	rco_session_free(stuck.session);
	t_await(&w, "blocking", RCO_EVENT_VERIFIED, 1);
	stuck_while(&w, "nonblocking", stop_by_nonblocking, RCO_PENDING, RCO_E_OPTED_OUT);
	rco_session_free(stuck.session);
	t_await(&w, "nonblocking", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	/* the same word orders pause and end */
	stuck_while(&w, "paused", rco_session_pause, RCO_OK, RCO_E_PAUSED);
	rco_session_free(stuck.session);
	stuck_while(&w, "ended", rco_session_end, RCO_OK, RCO_E_ENDED);
	rco_session_free(stuck.session);
	t_await(&w, "ended", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_store_has_noise(&w, "ended", "caller", 1, 10));
	t_world_destroy(&w);
	(void)munmap(stuck.pages, 2 * stuck.page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_frame_after_the_return),
		cmocka_unit_test(test_every_leg_is_refused),
		cmocka_unit_test(test_preempted_media_thread),
	};

	return cmocka_run_group_tests_name("P1 stop", tests, NULL, NULL);
}
