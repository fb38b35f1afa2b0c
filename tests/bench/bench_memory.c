/* SPDX-License-Identifier: MIT */
/*
 * Bytes and descriptors. Memory is what the engine's allocator handed out, each
 * piece with what malloc rounds it up to and keeps beside it, and the rings.
 */
#include "bench.h"
#include "sink.h"

#include "../../lib/media/pool.h"

#include <dirent.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CHUNK_HEADER = 8, /* malloc's own, beside what malloc_usable_size() tells */
	IDLE_CALLS = 2000,
	MINUTE_CALLS = 100,
	HOUR_CALLS = 4,
	FRAME_BYTES = 320,
	FRAMES_A_SECOND = 50,
	DRAIN_FRAMES = 10, /* the flush interval */
	CHUNK = 16384,
	FEW_CALLS = 10,
	MANY_CALLS = 2000
};

/* ---- an allocator that counts ---- */

static _Atomic int64_t live;

static void count(void *ptr, int sign)
{
	if (ptr != NULL)
		atomic_fetch_add(&live, sign * (int64_t)(malloc_usable_size(ptr) + CHUNK_HEADER));
}

static void *counted_alloc(size_t size, void *user_data)
{
	void *ptr = malloc(size);

	(void)user_data;
	count(ptr, 1);
	return ptr;
}

static void *counted_zalloc(size_t n, size_t size, void *user_data)
{
	void *ptr = calloc(n, size);

	(void)user_data;
	count(ptr, 1);
	return ptr;
}

static void *counted_resize(void *old, size_t size, void *user_data)
{
	void *ptr;

	(void)user_data;
	count(old, -1);
	ptr = realloc(old, size);
	count(ptr != NULL ? ptr : old, 1);
	return ptr;
}

static void counted_release(void *ptr, void *user_data)
{
	(void)user_data;
	count(ptr, -1);
	free(ptr);
}

static const rco_allocator counted = {.struct_size = (uint32_t)sizeof counted,
                                      .alloc = counted_alloc,
                                      .zalloc = counted_zalloc,
                                      .resize = counted_resize,
                                      .release = counted_release};

static double live_bytes(void)
{
	return (double)atomic_load(&live);
}

/* ---- sessions ---- */

static double idle(void)
{
	rco_session **calls = calloc(IDLE_CALLS, sizeof(rco_session *));
	char call_id[32];
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = call_id};
	double before, each;
	b_world w;
	int i;

	if (calls == NULL)
		b_die("no memory");
	b_world_init(&w, b_memory_dir(), B_WORLD_DRIVEN | B_WORLD_CLOCK, IDLE_CALLS);
	w.cfg.allocator = &counted;
	b_world_open(&w);
	before = live_bytes();
	for (i = 0; i < IDLE_CALLS; i++) {
		(void)snprintf(call_id, sizeof call_id, "a84b4c76e66710-%06d", i);
		b_check(rco_session_create(w.engine, &o, &calls[i]), "rco_session_create");
	}
	each = (live_bytes() - before) / IDLE_CALLS;
	for (i = 0; i < IDLE_CALLS; i++)
		rco_session_free(calls[i]);
	b_world_end(&w);
	free(calls);
	b_report(&(b_row){.what = "idle session: open, no legs",
	                  .unit = "bytes",
	                  .value = each,
	                  .compared = each / 1024,
	                  .how = "value, KiB",
	                  .kind = B_AT_MOST,
	                  .goal = 1});
	return each;
}

/* What the pool needs for a ring of one unit, with its line and its owner. */
static double ring_bytes(const b_crowd *c)
{
	size_t capacity;

	(void)b_crowd_ring(c, 0, &capacity);
	return (double)capacity + sizeof(rco__ring) + sizeof(rco__ring_owner);
}

/* A frame to leg 1 of each call, which the crowd does not know. */
static void push_second(const b_crowd *c, const uint8_t *frame)
{
	uint32_t i;

	for (i = 0; i < c->count; i++)
		b_check(rco_session_push(c->calls[i], 1, RCO_FORMAT_S16_8K, frame, FRAME_BYTES),
		        "rco_session_push");
}

static void add_second(const b_crowd *c)
{
	uint32_t i, leg;

	for (i = 0; i < c->count; i++)
		b_check(rco_session_add_leg(c->calls[i], "second", RCO_FORMAT_S16_8K, &leg),
		        "rco_session_add_leg");
}

/* All but the idle session of what a call needs after `seconds` of audio, for each of its legs. */
static void active(uint32_t legs, uint32_t calls, uint32_t seconds, double idle_bytes, const char *what,
                   b_goal kind)
{
	b_sound sound = b_sound_get("leg", 120);
	size_t at = 0, frame = FRAME_BYTES / sizeof *sound.samples;
	double before, each;
	uint32_t i;
	char note[160];
	b_crowd c;

	/* What the engine itself keeps once audio flows is not the legs': one call first, in an engine of its own.
	 */
	b_crowd_open(&c, b_memory_dir(), 1, RCO_FORMAT_S16_8K, 0, &counted);
	b_crowd_push(&c, (const uint8_t *)sound.samples, FRAME_BYTES);
	(void)b_crowd_drain(&c);
	before = live_bytes();
	b_crowd_close(&c);
	before -= live_bytes();

	b_crowd_open(&c, b_memory_dir(), calls + 1, RCO_FORMAT_S16_8K, 0, &counted);
	if (legs == 2)
		add_second(&c);
	for (i = 0; i < seconds * FRAMES_A_SECOND; i++) {
		b_crowd_push(&c, (const uint8_t *)(sound.samples + at), FRAME_BYTES);
		if (legs == 2)
			push_second(&c, (const uint8_t *)(sound.samples + sound.count - at - frame));
		at = at + 2 * frame <= sound.count ? at + frame : 0;
		if (i % DRAIN_FRAMES == DRAIN_FRAMES - 1)
			(void)b_crowd_drain(&c);
	}
	(void)b_crowd_drain(&c);
	each = ((live_bytes() - before) / calls - idle_bytes) / legs;
	(void)snprintf(note, sizeof note, "%.0f bytes of it are the ring, %.0f from the allocator", ring_bytes(&c),
	               each);
	each += ring_bytes(&c);
	b_crowd_close(&c);
	b_sound_free(&sound);
	b_report(&(b_row){.what = what,
	                  .unit = "bytes",
	                  .value = each,
	                  .compared = each / 1024,
	                  .how = "value, KiB",
	                  .kind = kind,
	                  .goal = 20,
	                  .note = note});
}

/* ---- descriptors and threads ---- */

static int entries(const char *folder)
{
	DIR *dir = opendir(folder);
	int n = 0;

	if (dir == NULL)
		b_die("cannot list %s", folder);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n - 3; /* ".", "..", and for descriptors the one that lists them */
}

typedef struct held {
	int descriptors, threads;
} held;

/* With worker threads, two legs a call, and audio of every leg in the spool. */
static held held_by(uint32_t calls)
{
	size_t size;
	uint8_t *sound = b_world_speech(10, &size);
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_session **open = calloc(calls, sizeof(rco_session *));
	char call_id[32];
	uint32_t i;
	held h;
	b_world w;

	if (open == NULL)
		b_die("no memory");
	b_world_init(&w, b_memory_dir(), 0, calls);
	b_world_open(&w);
	for (i = 0; i < calls; i++) {
		(void)snprintf(call_id, sizeof call_id, "held-%u", i);
		open[i] = b_world_call(&w, call_id, 2);
		b_world_push(open[i], 2, sound, size, i);
	}
	/* Ended calls are stored, which is told; the first ones stay open meanwhile, and hold what they hold. */
	for (i = 0; i < calls / 10; i++)
		b_check(rco_session_end(open[calls - 1 - i]), "rco_session_end");
	b_world_wait(&w, RCO_EVENT_STORED, calls / 10);
	h.descriptors = entries("/proc/self/fd");
	h.threads = entries("/proc/self/task") + 1;
	b_check(rco_session_get_stats(open[0], &st), "rco_session_get_stats");
	if (st.accepted_frames == 0)
		b_die("no audio flowed");
	for (i = 0; i < calls; i++)
		rco_session_free(open[i]);
	b_world_end(&w);
	free(open);
	free(sound);
	return h;
}

static void constant(const char *what, const char *beside, int many, int few)
{
	b_report(&(b_row){.what = what,
	                  .unit = "",
	                  .value = many,
	                  .beside = beside,
	                  .beside_value = few,
	                  .compared = many - few,
	                  .how = "value - beside",
	                  .kind = B_AT_MOST,
	                  .goal = 0});
}

void b_memory(void)
{
	double idle_bytes = idle();
	held few, many;

	active(2, MINUTE_CALLS, 60, idle_bytes, "active leg of a two-leg call: a minute of L16/8k in the spool",
	       B_AT_MOST);
	active(2, HOUR_CALLS, 3600, idle_bytes, "active leg of a two-leg call: an hour of L16/8k in the spool",
	       B_SHOWN);
	active(1, MINUTE_CALLS, 60, idle_bytes, "active leg of a call that has no other: a minute", B_SHOWN);
	few = held_by(FEW_CALLS);
	many = held_by(MANY_CALLS);
	constant("file descriptors with 2,000 calls", "with 10 calls", many.descriptors, few.descriptors);
	constant("threads with 2,000 calls", "with 10 calls", many.threads, few.threads);
}
