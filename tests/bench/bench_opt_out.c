/* SPDX-License-Identifier: MIT */
/*
 * From the request to silence, and to durable: a single opt-out, one beside
 * bulk work, and ten thousand at once. What is durable is measured on the disk,
 * beside bare fdatasyncs of the same minute.
 */
#include "bench.h"
#include "bench_world.h"

#include "../../lib/session/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	GATE_ROUNDS = 5000,
	GATE_BATCH = 100,
	SINGLE = 1500, /* opt-outs, and as many fdatasyncs between them */
	BATCH = 50,
	LOAD_CALLS = 1000,
	LOADED = 400,
	MASS = 10000,
	MASS_FEW = 8,
	MASS_MANY = 250,  /* threads that wait */
	MASS_SYNCS = 1000 /* measured, and scaled to MASS */
};

static rco_session **calls_new(size_t count)
{
	rco_session **calls = calloc(count, sizeof *calls);

	if (calls == NULL)
		b_die("no memory");
	return calls;
}

static rco_session *numbered_call(b_world *w, const char *kind, uint32_t i)
{
	char id[64];

	(void)snprintf(id, sizeof id, "%s-%u", kind, i);
	return b_world_call(w, id, 2);
}

static void pause_us(long us)
{
	struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	(void)nanosleep(&t, NULL);
}

/* ---- to silence ----
 *
 * Two looks at the same request. The thread that asks: the engine reads its clock (ours) soon after it has stopped
 * the legs, and the first reading at which a frame for the last leg is refused ends the measurement. The thread
 * that pushes the first leg: when its last accepted push had returned. Both are a little later than the truth,
 * neither is earlier. */

static _Thread_local rco_session *probed;
static _Thread_local double stopped_ns;

static void probe(void)
{
	static const uint8_t sample = 0xff;

	/* Before the latch a probe would only be in the way of what is measured. */
	if (probed == NULL || stopped_ns != 0 || atomic_load(&probed->latch) == 0)
		return;
	if (rco_session_push(probed, 1, RCO_FORMAT_PCMU_8K, &sample, sizeof sample) == RCO_E_OPTED_OUT)
		stopped_ns = b_now_ns();
}

static int64_t wall_us(void *user_data)
{
	struct timespec t;

	(void)user_data;
	probe();
	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t monotonic_us(void *user_data)
{
	(void)user_data;
	probe();
	return (int64_t)(b_now_ns() / 1000);
}

typedef struct pusher {
	_Atomic(rco_session *) call; /* set to begin a round, NULL when it is over */
	_Atomic uint32_t accepted;
	_Atomic int quit;
	double last_ns; /* when the last accepted push had returned */
	int overflowed;
} pusher;

static void push_until_refused(pusher *p, rco_session *call)
{
	static const uint8_t frame[B_FRAME] = {1};
	int rc;

	p->last_ns = 0;
	p->overflowed = 0;
	for (;;) {
		rc = rco_session_push(call, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame);
		if (rc == RCO_OK) {
			p->last_ns = b_now_ns();
			atomic_fetch_add_explicit(&p->accepted, 1, memory_order_relaxed);
		} else if (rc == RCO_E_OVERFLOW) {
			p->overflowed = 1;
		} else if (rc == RCO_E_OPTED_OUT) {
			return;
		} else {
			b_die("push: %s", rco_error_name(rc));
		}
	}
}

static void *push_thread(void *arg)
{
	pusher *p = arg;

	while (!atomic_load(&p->quit)) {
		rco_session *call = atomic_load(&p->call);

		if (call == NULL)
			continue; /* both threads have a core of their own, and are awake */
		push_until_refused(p, call);
		atomic_store(&p->call, NULL);
	}
	return NULL;
}

/* 0: the ring was full before the request came, which says nothing. */
static int gate_round(pusher *p, rco_session *call, uint32_t after, double *asker_us, double *pusher_us)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	double begin;

	atomic_store(&p->accepted, 0);
	atomic_store(&p->call, call);
	while (atomic_load_explicit(&p->accepted, memory_order_relaxed) < after)
		;
	stopped_ns = 0;
	probed = call;
	begin = b_now_ns();
	b_check(rco_opt_out(call, &o, NULL), "rco_opt_out");
	probed = NULL;
	while (atomic_load(&p->call) != NULL)
		;
	if (stopped_ns == 0)
		b_die("the engine did not read its clock after the stop: the measurement no longer works");
	*asker_us = (stopped_ns - begin) / 1000;
	*pusher_us = p->last_ns > begin ? (p->last_ns - begin) / 1000 : 0;
	return !p->overflowed;
}

static void report_gate(const char *what, double *us, size_t n, const char *note)
{
	b_spread s = b_spread_of(us, n);

	b_report(&(b_row){.what = what,
	                  .unit = "us",
	                  .value = s.p50,
	                  .low = s.p10,
	                  .high = s.p90,
	                  .compared = s.p99,
	                  .how = "99th percentile, us",
	                  .kind = B_AT_MOST,
	                  .goal = 1,
	                  .note = note});
}

static void to_silence(void)
{
	static double asker[GATE_ROUNDS], seen[GATE_ROUNDS];
	rco_session *calls[GATE_BATCH];
	pusher p = {.last_ns = 0};
	uint32_t i, k, n = 0, full = 0;
	pthread_t thread;
	char note[200];
	b_world w;

	b_world_init(&w, b_memory_dir(), B_WORLD_DRIVEN | B_WORLD_NO_SPOOL, GATE_BATCH);
	w.clock = (rco_clock){
		.struct_size = (uint32_t)sizeof w.clock, .wall_us = wall_us, .monotonic_us = monotonic_us};
	w.cfg.clock = &w.clock;
	b_world_open(&w);
	if (pthread_create(&thread, NULL, push_thread, &p) != 0)
		b_die("cannot start a thread");
	for (i = 0; i < GATE_ROUNDS; i += GATE_BATCH) {
		for (k = 0; k < GATE_BATCH; k++)
			calls[k] = numbered_call(&w, "gate", i + k);
		b_world_settle(&w);
		for (k = 0; k < GATE_BATCH; k++) {
			if (gate_round(&p, calls[k], 1 + (i + k) * 7 % 30, &asker[n], &seen[n]))
				n++;
			else
				full++;
			b_world_hang_up(calls[k]);
		}
		b_world_settle(&w);
	}
	atomic_store(&p.quit, 1);
	(void)pthread_join(thread, NULL);
	b_world_end(&w);
	if (n == 0)
		b_die("the ring was always full first");
	(void)snprintf(
		note, sizeof note,
		"%u requests while another thread pushes as fast as it can; %u more left out because the ring "
		"was full first",
		n, full);
	report_gate("opt_out: call to no frame accepted, by the thread that asks", asker, n, note);
	report_gate(
		"opt_out: call to no frame accepted, by the thread that pushes", seen, n,
		"the same requests: until its last accepted push had returned; 0 if nothing more was accepted");
}

/* ---- to durable, one at a time ---- */

typedef struct pairs {
	double ours[SINGLE], bare[SINGLE]; /* us */
	size_t n;
} pairs;

static double timed_opt_out(rco_session *call)
{
	double begin = b_now_ns();

	b_check(rco_opt_out(call, NULL, NULL), "rco_opt_out");
	return b_now_ns() - begin;
}

/* One of each, in turns as to which is first, so that what the disk does meanwhile hits both. */
static void pair(pairs *p, rco_session *call, int fd)
{
	size_t i = p->n++;

	if (i % 2 == 0)
		p->ours[i] = timed_opt_out(call) / 1000;
	p->bare[i] = b_slots_sync(fd, (uint32_t)i % MASS_SYNCS) / 1000;
	if (i % 2 != 0)
		p->ours[i] = timed_opt_out(call) / 1000;
}

static void unloaded(pairs *p, int fd, const uint8_t *sound, size_t size)
{
	rco_session *calls[BATCH];
	uint32_t i, k;
	b_world w;

	p->n = 0;
	b_world_init(&w, b_disk(), B_WORLD_DRIVEN, BATCH);
	b_world_open(&w);
	for (i = 0; i < SINGLE; i += BATCH) {
		for (k = 0; k < BATCH; k++) {
			calls[k] = numbered_call(&w, "one", i + k);
			b_world_push(calls[k], 2, sound, size, i + k);
		}
		b_world_settle(&w);
		for (k = 0; k < BATCH; k++)
			pair(p, calls[k], fd);
		for (k = 0; k < BATCH; k++)
			b_world_hang_up(calls[k]);
		b_world_settle(&w);
	}
	b_world_end(&w);
}

static void report_single(pairs *p, b_spread *ours)
{
	b_spread bare;
	char note[160];

	*ours = b_spread_of(p->ours, p->n);
	bare = b_spread_of(p->bare, p->n);
	(void)snprintf(note, sizeof note, "%zu of each, in turns", p->n);
	b_report(&(b_row){.what = "opt_out: durable return, median",
	                  .unit = "us",
	                  .value = ours->p50,
	                  .low = ours->p10,
	                  .high = ours->p90,
	                  .beside = "fdatasync of a pre-written slot",
	                  .beside_value = bare.p50,
	                  .compared = ours->p50 / bare.p50,
	                  .how = "value / beside",
	                  .kind = B_AT_MOST,
	                  .goal = 1.2,
	                  .note = note});
	b_report(&(b_row){.what = "opt_out: durable return, 99th percentile",
	                  .unit = "us",
	                  .value = ours->p99,
	                  .beside = "fdatasync of a pre-written slot",
	                  .beside_value = bare.p99,
	                  .compared = ours->p99 / bare.p99,
	                  .how = "value / beside",
	                  .kind = B_AT_MOST,
	                  .goal = 2,
	                  .note = note});
}

/* ---- the same beside a thousand calls ---- */

typedef struct feeder {
	rco_session **calls;
	const uint8_t *sound;
	size_t size;
	_Atomic int quit;
	uint64_t frames, refused, late;
} feeder;

static void feed_all(feeder *f, uint64_t beat)
{
	uint32_t i, leg;

	for (i = 0; i < LOAD_CALLS; i++)
		for (leg = 0; leg < 2; leg++) {
			const uint8_t *frame =
				f->sound + (beat + i * 37 + leg * 1000) % (f->size / B_FRAME) * B_FRAME;
			int rc = rco_session_push(f->calls[i], leg, RCO_FORMAT_PCMU_8K, frame, B_FRAME);

			f->frames++;
			if (rc == RCO_E_OVERFLOW)
				f->refused++;
			else
				b_check(rc, "rco_session_push");
		}
}

/* A frame for each leg every 20 ms, as on the wire. */
static void *feed(void *arg)
{
	feeder *f = arg;
	struct timespec next;
	uint64_t beat = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &next);
	while (!atomic_load(&f->quit)) {
		feed_all(f, beat++);
		next.tv_nsec += 20000000;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) != 0)
			b_die("clock_nanosleep");
	}
	return NULL;
}

static void loaded(pairs *p, int fd, const uint8_t *sound, size_t size, feeder *f)
{
	rco_session **calls = calls_new(LOADED), **others = calls_new(LOAD_CALLS);
	pthread_t thread;
	uint32_t i;
	b_world w;

	p->n = 0;
	b_world_init(&w, b_disk(), 0, LOAD_CALLS + LOADED);
	b_world_open(&w);
	for (i = 0; i < LOAD_CALLS; i++)
		others[i] = numbered_call(&w, "other", i);
	for (i = 0; i < LOADED; i++) {
		calls[i] = numbered_call(&w, "one", i);
		b_world_push(calls[i], 2, sound, size, i);
	}
	*f = (feeder){.calls = others, .sound = sound, .size = size};
	if (pthread_create(&thread, NULL, feed, f) != 0)
		b_die("cannot start a thread");
	pause_us(2000000); /* let it run in; what follows does not rely on it */
	for (i = 0; i < LOADED; i++) {
		pause_us(5000 + i * 7919 % 20000); /* at another point of the engine's beat each time */
		pair(p, calls[i], fd);
	}
	atomic_store(&f->quit, 1);
	(void)pthread_join(thread, NULL);
	for (i = 0; i < LOADED; i++)
		rco_session_free(calls[i]);
	for (i = 0; i < LOAD_CALLS; i++)
		rco_session_free(others[i]);
	b_world_end(&w);
	free(calls);
	free(others);
}

static void report_loaded(pairs *p, const feeder *f, const b_spread *alone)
{
	b_spread ours = b_spread_of(p->ours, p->n), bare = b_spread_of(p->bare, p->n);
	char note[160], note99[80];

	(void)snprintf(
		note, sizeof note,
		"median without them: %.0f us; %zu of each, in turns; %llu of %llu frames refused, the ring "
		"being full",
		alone->p50, p->n, (unsigned long long)f->refused, (unsigned long long)f->frames);
	(void)snprintf(note99, sizeof note99, "without them: %.0f us", alone->p99);
	b_report(&(b_row){.what = "opt_out: durable return while 1,000 other calls are recorded",
	                  .unit = "us",
	                  .value = ours.p50,
	                  .low = ours.p10,
	                  .high = ours.p90,
	                  .beside = "fdatasync of a pre-written slot under the same load",
	                  .beside_value = bare.p50,
	                  .compared = ours.p50 / bare.p50,
	                  .how = "value / beside",
	                  .note = note});
	b_report(&(b_row){.what = "opt_out: the same, 99th percentile",
	                  .unit = "us",
	                  .value = ours.p99,
	                  .beside = "fdatasync of a pre-written slot under the same load",
	                  .beside_value = bare.p99,
	                  .compared = ours.p99 / bare.p99,
	                  .how = "value / beside",
	                  .note = note99});
}

/* ---- ten thousand at once ---- */

static void mass_open(b_world *w, rco_session **calls, const uint8_t *sound, size_t size)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	uint32_t i;

	b_world_init(w, b_disk(), 0, MASS);
	b_world_open(w);
	for (i = 0; i < MASS; i++) {
		calls[i] = numbered_call(w, "mass", i);
		b_world_push(calls[i], 2, sound, size, i);
	}
	for (i = 0; i < MASS; i++) /* until all of it is in the buffer */
		do {
			b_check(rco_session_get_stats(calls[i], &st), "rco_session_get_stats");
			if (st.buffered_bytes < st.accepted_bytes)
				pause_us(10000);
		} while (st.buffered_bytes < st.accepted_bytes);
}

static void mass_close(b_world *w, rco_session **calls)
{
	uint32_t i;

	for (i = 0; i < MASS; i++)
		rco_session_free(calls[i]);
	b_world_end(w);
}

typedef struct asker {
	rco_session **calls;
	uint32_t count;
} asker;

static void *ask(void *arg)
{
	asker *a = arg;
	uint32_t i;

	for (i = 0; i < a->count; i++)
		b_check(rco_opt_out(a->calls[i], NULL, NULL), "rco_opt_out");
	return NULL;
}

static void ask_from_threads(rco_session **calls, uint32_t n)
{
	pthread_t threads[MASS_MANY];
	asker askers[MASS_MANY];
	uint32_t i;

	for (i = 0; i < n; i++) {
		askers[i] = (asker){calls + i * (MASS / n), MASS / n};
		if (pthread_create(&threads[i], NULL, ask, &askers[i]) != 0)
			b_die("cannot start a thread");
	}
	for (i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
}

/* Two moments after the beginning, in ns: all asked and stopped; all on the disk, whether told yet or not. */
static void ask_without_waiting(b_world *w, rco_session **calls, double *asked, double *written)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	double begin = b_now_ns();
	uint64_t count = rco__ledger_last(w->engine->ledger) + MASS;
	uint32_t i;

	for (i = 0; i < MASS; i++)
		b_check(rco_opt_out(calls[i], &o, NULL), "rco_opt_out");
	*asked = b_now_ns() - begin;
	while (rco__ledger_durable(w->engine->ledger) < count)
		pause_us(
			200); /* each of them is one entry; later entries only make this say more than it should */
	*written = b_now_ns() - begin;
	b_world_wait(w, RCO_EVENT_DURABLE, MASS);
}

static double measured_syncs_ms(int fd)
{
	double sum = 0;
	uint32_t i;

	for (i = 0; i < MASS_SYNCS; i++)
		sum += b_slots_sync(fd, i);
	return sum / MASS_SYNCS * MASS / 1e6;
}

static void report_mass(const char *what, double ms, double syncs_ms, b_goal kind, const char *note)
{
	b_report(&(b_row){.what = what,
	                  .unit = "ms",
	                  .value = ms,
	                  .beside = "10,000 single fdatasyncs (1,000 measured, times ten)",
	                  .beside_value = syncs_ms,
	                  .compared = syncs_ms / ms,
	                  .how = "beside / value",
	                  .kind = kind,
	                  .goal = kind == B_SHOWN ? 0 : 20,
	                  .note = note});
}

static void mass_not_blocking(int fd, rco_session **calls, const uint8_t *sound, size_t size)
{
	double begin, ms, asked, written, syncs_ms;
	uint64_t syncs;
	char note[240];
	b_world w;

	mass_open(&w, calls, sound, size);
	syncs_ms = measured_syncs_ms(fd);
	syncs = atomic_load(&w.syncs);
	begin = b_now_ns();
	ask_without_waiting(&w, calls, &asked, &written);
	ms = (b_now_ns() - begin) / 1e6;
	(void)snprintf(note, sizeof note,
	               "one thread; all stopped after %.1f ms, all in the ledger on the disk after %.1f ms, the "
	               "last told "
	               "by the event \"durable\" at the end; %llu syncs of any file until then",
	               asked / 1e6, written / 1e6, (unsigned long long)(atomic_load(&w.syncs) - syncs));
	report_mass("opt_out: 10,000 at once, not blocking", ms, syncs_ms, B_AT_LEAST, note);
	mass_close(&w, calls);
}

static void mass_blocking(int fd, rco_session **calls, uint32_t threads, const uint8_t *sound, size_t size)
{
	double begin, ms, syncs_ms;
	char what[80], note[200];
	uint64_t syncs;
	b_world w;

	mass_open(&w, calls, sound, size);
	syncs_ms = measured_syncs_ms(fd);
	syncs = atomic_load(&w.syncs);
	begin = b_now_ns();
	ask_from_threads(calls, threads);
	ms = (b_now_ns() - begin) / 1e6;
	(void)snprintf(what, sizeof what, "opt_out: 10,000 from %u threads, blocking", threads);
	(void)snprintf(
		note, sizeof note,
		"each thread waits for each of its %u, so that at most %u share a sync; %llu syncs of any file, "
		"erasures included",
		MASS / threads, threads, (unsigned long long)(atomic_load(&w.syncs) - syncs));
	report_mass(what, ms, syncs_ms, threads == MASS_MANY ? B_AT_LEAST : B_SHOWN, note);
	mass_close(&w, calls);
}

static void mass(int fd, const uint8_t *sound, size_t size)
{
	rco_session **calls = calls_new(MASS);

	mass_not_blocking(fd, calls, sound, size);
	mass_blocking(fd, calls, MASS_MANY, sound, size);
	mass_blocking(fd, calls, MASS_FEW, sound, size);
	free(calls);
}

void b_opt_out(void)
{
	static pairs p;
	size_t size;
	uint8_t *sound = b_world_speech(60, &size);
	int fd = b_slots_open(b_disk(), MASS_SYNCS);
	b_spread alone;
	feeder f;

	to_silence();
	unloaded(&p, fd, sound, size);
	report_single(&p, &alone);
	loaded(&p, fd, sound, size, &f);
	report_loaded(&p, &f, &alone);
	mass(fd, sound, size);
	(void)close(fd);
	free(sound);
}
