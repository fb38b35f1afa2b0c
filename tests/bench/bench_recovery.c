/* SPDX-License-Identifier: MIT */
/*
 * Starting after a crash: a process is killed that had ten thousand calls
 * going on, and ten thousand more opted out and durable but not yet erased.
 * Then other processes open the folder, one after the other.
 */
#include "bench.h"
#include "bench_world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CALLS = 10000,
	LEGS = 2,
	BEAT_MS = 200,
	FRAMES = 10 /* in a beat */,
	THREADS = 8,
	STARTS = 5,
	NEW_CALLS = 8
};

typedef struct shared {
	int ready; /* the child got as far as it should */
	double create_ms[STARTS], first_ms[STARTS], create_cpu_ms[STARTS];
	double erased_ms;
} shared;

typedef struct asker {
	rco_session **calls;
	uint32_t first;
} asker;

static void run_child(void (*fn)(b_world *w, shared *sh, int n), b_world *w, shared *sh, int n, int signal)
{
	pid_t pid;
	int status;

	sh->ready = 0;
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		b_die("fork: %s", strerror(errno));
	if (pid == 0) {
		fn(w, sh, n);
		sh->ready = 1;
		if (signal != 0)
			(void)kill(getpid(), signal);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		b_die("waitpid: %s", strerror(errno));
	if (!sh->ready || (signal != 0 ? !WIFSIGNALED(status) : !WIFEXITED(status)))
		b_die("a child process ended with status %d", status);
}

/* ---- the process that is killed ---- */

static void *ask(void *arg)
{
	asker *a = arg;
	uint32_t i;

	for (i = 0; i < CALLS / THREADS; i++)
		b_check(rco_opt_out(a->calls[a->first + i], NULL, NULL), "rco_opt_out");
	return NULL;
}

/* Durable, and nobody runs the engine: nothing is erased. */
static void opt_out_all(rco_session **calls)
{
	pthread_t threads[THREADS];
	asker askers[THREADS];
	uint32_t i;

	for (i = 0; i < THREADS; i++) {
		askers[i] = (asker){calls, i * (CALLS / THREADS)};
		if (pthread_create(&threads[i], NULL, ask, &askers[i]) != 0)
			b_die("cannot start a thread");
	}
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
}

static void push_all(rco_session **calls, const uint8_t *sound, size_t size, uint32_t beat)
{
	uint32_t i, f;

	for (i = 0; i < 2 * CALLS; i++)
		for (f = 0; f < FRAMES; f++)
			b_world_push(calls[i], LEGS, sound, size, (uint64_t)i + beat * FRAMES + f);
}

/* `n` beats of audio of each call are in the spool, and one more in the rings. */
static void fill(b_world *w, shared *sh, int n)
{
	rco_session **calls = calloc(2 * (size_t)CALLS, sizeof *calls);
	size_t size;
	uint8_t *sound = b_world_speech(60, &size);
	uint32_t i;
	char id[32];

	(void)sh;
	if (calls == NULL)
		b_die("no memory");
	b_world_open(w);
	for (i = 0; i < 2 * CALLS; i++) {
		(void)snprintf(id, sizeof id, "call-%u", i);
		calls[i] = b_world_call(w, id, LEGS);
	}
	for (i = 0; i < (uint32_t)n; i++) {
		push_all(calls, sound, size, i);
		b_world_advance(w, BEAT_MS);
	}
	b_world_settle(w);
	push_all(calls, sound, size, (uint32_t)n);
	opt_out_all(calls);
}

/* ---- those that start after it ---- */

static void check_found(b_world *w, uint64_t unfinished)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};

	b_check(rco_engine_get_stats(w->engine, &st), "rco_engine_get_stats");
	if (st.uploads_pending != unfinished || st.erasures_pending != CALLS)
		b_die("%llu unfinished calls and %llu erasures were taken up, instead of %llu and %d",
		      (unsigned long long)st.uploads_pending, (unsigned long long)st.erasures_pending,
		      (unsigned long long)unfinished, CALLS);
}

/* It ends without a word, so that the next one finds the same. */
static void start(b_world *w, shared *sh, int n)
{
	static const uint8_t frame[B_FRAME];
	double begin, cpu;
	rco_session *call;

	w->cfg.clock = NULL; /* time goes on again */
	begin = b_now_ns();
	cpu = b_cpu_ns();
	b_world_open(w);
	sh->create_ms[n] = (b_now_ns() - begin) / 1e6;
	sh->create_cpu_ms[n] = (b_cpu_ns() - cpu) / 1e6;
	call = b_world_call(w, "the next call", LEGS);
	b_check(rco_session_push(call, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame), "rco_session_push");
	sh->first_ms[n] = (b_now_ns() - begin) / 1e6;
	check_found(w, (uint64_t)CALLS + (uint64_t)n); /* the new calls of the starts before are unfinished, too */
}

/* The last one has a worker, and goes on until all is erased that was to be erased. */
static void start_and_erase(b_world *w, shared *sh, int n)
{
	double begin = b_now_ns();

	(void)n;
	w->cfg.clock = NULL;
	w->cfg.flags &= ~(uint32_t)RCO_ENGINE_HOST_DRIVEN;
	b_world_open(w);
	b_world_wait(w, RCO_EVENT_VERIFIED, CALLS);
	sh->erased_ms = (b_now_ns() - begin) / 1e6;
}

/* ---- the rows ---- */

static void report(shared *sh, int beats)
{
	b_spread first = b_spread_of(sh->first_ms, STARTS), create = b_spread_of(sh->create_ms, STARTS);
	double seconds = beats * BEAT_MS / 1000.0;
	char what[120], note[200];

	(void)snprintf(
		what, sizeof what,
		"recovery: 10,000 unfinished calls, 10,000 tombstones, %.1f s of audio each, to the first frame",
		seconds);
	(void)snprintf(note, sizeof note,
	               "%d starts on the same folder, its files still in the page cache as after any kill -9; "
	               "rco_engine_create() is %.0f ms of it, %.0f ms of that CPU time",
	               STARTS, create.p50, b_spread_of(sh->create_cpu_ms, STARTS).p50);
	b_report(&(b_row){.what = what,
	                  .unit = "ms",
	                  .value = first.p50,
	                  .low = first.p10,
	                  .high = first.p90,
	                  .compared = first.p50 / 1000,
	                  .how = "value, s",
	                  .kind = B_AT_MOST,
	                  .goal = 1,
	                  .note = note});
	b_point("recovery", "10,000 unfinished, 10,000 opted out: seconds of audio each, ms to the first frame",
	        seconds, first.p50);
}

static void report_erased(shared *sh)
{
	b_report(
		&(b_row){.what = "recovery: until the 10,000 are erased and verified",
	                 .unit = "ms",
	                 .value = sh->erased_ms,
	                 .note = "by one worker, which goes on to upload the others; frames are taken meanwhile"});
}

static void crash_and_start(shared *sh, int beats, int erase)
{
	b_world w;
	int i;

	b_world_init(&w, b_disk(), B_WORLD_DRIVEN | B_WORLD_CLOCK, 2 * CALLS + NEW_CALLS);
	run_child(fill, &w, sh, beats, SIGKILL);
	for (i = 0; i < STARTS; i++)
		run_child(start, &w, sh, i, SIGKILL);
	report(sh, beats);
	if (erase) {
		run_child(start_and_erase, &w, sh, 0, SIGKILL);
		report_erased(sh);
	}
	b_world_end(&w);
}

void b_recovery(void)
{
	shared *sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (sh == MAP_FAILED)
		b_die("mmap: %s", strerror(errno));
	b_axes("recovery", "Starting with 10,000 unfinished calls and 10,000 tombstones",
	       "seconds of audio of each", "ms");
	crash_and_start(sh, 1, 1);
	crash_and_start(sh, 10, 0);
	(void)munmap(sh, sizeof *sh);
}
