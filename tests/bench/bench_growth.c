/* SPDX-License-Identifier: MIT */
/*
 * From a hundred calls to fifty thousand: what a frame, an opt-out and opening a
 * call cost each. A server has done other things by the time a call's next
 * frame comes, whether it has a hundred calls or fifty thousand. So the caches
 * are swept before each round: else a hundred calls would be measured in the
 * nearest cache, where they never are.
 */
#include "bench.h"
#include "sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SIZES = 4,
	FRAME_BYTES = 160,
	DRAIN_FRAMES = 10, /* 200 ms */
	MIN_CYCLES = 3,
	ENOUGH_FRAMES = 60000,
	OPT_OUTS = 60,
	SWEEP_BYTES = 64 << 20
};

static const uint32_t sizes[SIZES] = {100, 1000, 10000, 50000};

typedef struct figures {
	b_spread push, plain, work, opt_out; /* a frame; a frame; a frame; a call. ns */
	double open;                         /* a call; ns */
} figures;

typedef struct plain_ring {
	_Alignas(64) uint8_t *ring;
	uint64_t index;
	size_t capacity;
} plain_ring;

static void sweep(void)
{
	static uint8_t *room;
	size_t i;

	if (room == NULL)
		room = malloc(SWEEP_BYTES);
	if (room == NULL)
		b_die("no memory");
	for (i = 0; i < SWEEP_BYTES; i += 64)
		room[i]++;
	b_use(room);
}

static __attribute__((noinline)) void plain_push(plain_ring *to, const uint8_t *data, size_t size)
{
	size_t at = (size_t)(to->index & (to->capacity - 1)), first = to->capacity - at;

	/* As unknown as in the library: else this is not the C library's memcpy. */
	__asm__ volatile("" : "+r"(data), "+r"(size));
	memcpy(to->ring + at, data, size < first ? size : first);
	if (size > first)
		memcpy(to->ring, data + first, size - first);
	to->index += size;
}

static plain_ring *plain_rings(const b_crowd *c)
{
	plain_ring *rings = aligned_alloc(64, c->count * sizeof *rings);
	uint32_t i;

	if (rings == NULL)
		b_die("no memory");
	for (i = 0; i < c->count; i++) {
		rings[i].ring = b_crowd_ring(c, i, &rings[i].capacity);
		rings[i].index = rings[i].capacity / 2;
	}
	return rings;
}

/* Speech, so that the worker has something to code; every frame of a cycle is the same for all calls. */
static void measure_frames(b_crowd *c, const uint8_t *sound, size_t sound_bytes, figures *f)
{
	size_t cycles = ENOUGH_FRAMES / (c->count * DRAIN_FRAMES), n = 0, cycle, i, at = 0;
	plain_ring *rings = plain_rings(c);
	double *push, *plain, *work, begin;

	cycles = cycles < MIN_CYCLES ? MIN_CYCLES : cycles;
	push = malloc(3 * cycles * DRAIN_FRAMES * sizeof *push);
	if (push == NULL)
		b_die("no memory");
	plain = push + cycles * DRAIN_FRAMES;
	work = plain + cycles * DRAIN_FRAMES;
	for (cycle = 0; cycle < cycles; cycle++) {
		for (i = 0; i < DRAIN_FRAMES; i++, n++) {
			const uint8_t *frame = sound + at;

			at = at + 2 * FRAME_BYTES <= sound_bytes ? at + FRAME_BYTES : 0;
			sweep();
			begin = b_thread_ns();
			b_crowd_push(c, frame, FRAME_BYTES);
			push[n] = (b_thread_ns() - begin) / c->count;
		}
		for (i = 0; i < DRAIN_FRAMES; i++) {
			uint32_t k;

			sweep();
			begin = b_thread_ns();
			for (k = 0; k < c->count; k++)
				plain_push(&rings[c->order[k]], sound, FRAME_BYTES);
			plain[n - DRAIN_FRAMES + i] = (b_thread_ns() - begin) / c->count;
		}
		sweep();
		work[cycle] = b_crowd_drain(c) / ((double)c->count * DRAIN_FRAMES);
	}
	f->push = b_spread_of(push, n);
	f->plain = b_spread_of(plain, n);
	f->work = b_spread_of(work, cycles);
	free(rings);
	free(push);
}

/* Until the call returns: no frame has been accepted since before that. */
static void measure_opt_outs(const b_crowd *c, const uint8_t *frame, figures *f)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	double took[OPT_OUTS], begin;
	uint32_t i;
	int rc;

	for (i = 0; i < OPT_OUTS; i++) {
		rco_session *call = c->calls[c->order[i]];

		sweep();
		begin = b_now_ns();
		rc = rco_opt_out(call, &o, NULL);
		took[i] = b_now_ns() - begin;
		if (rc != RCO_PENDING && rc != RCO_OK)
			b_die("rco_opt_out: %s: %s", rco_error_name(rc), rco_error_detail());
		rc = rco_session_push(call, 0, c->format, frame, FRAME_BYTES);
		if (rc != RCO_E_OPTED_OUT)
			b_die("a frame after the opt-out: %s", rco_error_name(rc));
	}
	f->opt_out = b_spread_of(took, OPT_OUTS);
}

static figures measure(uint32_t count, const uint8_t *sound, size_t sound_bytes)
{
	figures f;
	b_crowd c;

	b_crowd_open(&c, b_disk(), count, RCO_FORMAT_PCMU_8K, 0, NULL);
	f.open = c.open_ns;
	measure_frames(&c, sound, sound_bytes, &f);
	measure_opt_outs(&c, sound, &f);
	b_crowd_close(&c);
	return f;
}

static void draw(uint32_t count, const figures *f)
{
	b_point("growth-frame", "push and worker", count, f->push.p50 + f->work.p50);
	b_point("growth-frame", "worker: seal, append", count, f->work.p50);
	b_point("growth-push", "push", count, f->push.p50);
	b_point("growth-push", "memcpy into the same ring", count, f->plain.p50);
	b_point("growth-opt-out", "request to silence", count, f->opt_out.p50 / 1000);
	b_point("growth-open", "open a call: session, leg, start", count, f->open / 1000);
}

static void report(const char *what, const char *unit, b_spread last, double first, double scale, const char *note)
{
	b_report(&(b_row){.what = what,
	                  .unit = unit,
	                  .value = last.p50 / scale,
	                  .low = last.p10 / scale,
	                  .high = last.p90 / scale,
	                  .beside = "with 100 calls",
	                  .beside_value = first / scale,
	                  .compared = last.p50 / first,
	                  .how = "value / beside",
	                  .kind = B_AT_MOST,
	                  .goal = 1.5,
	                  .note = note});
}

void b_growth(void)
{
	size_t sound_bytes;
	uint8_t *sound = b_world_speech(60, &sound_bytes);
	const figures *first, *last;
	figures f[SIZES];
	b_spread whole;
	char note[200];
	int i;

	b_axes("growth-frame", "A frame of 20 ms, the whole cost of it", "calls at once", "CPU, ns a frame");
	b_axes("growth-push", "A push, with the caches swept before each round", "calls at once",
	       "CPU, ns a frame");
	b_axes("growth-opt-out", "An opt-out, until no frame is accepted", "calls at once", "microseconds");
	b_axes("growth-open", "Opening a call", "calls at once", "microseconds");
	for (i = 0; i < SIZES; i++) {
		fprintf(stderr, "  %u calls\n", sizes[i]);
		f[i] = measure(sizes[i], sound, sound_bytes);
		draw(sizes[i], &f[i]);
	}
	free(sound);
	first = &f[0];
	last = &f[SIZES - 1];
	whole = (b_spread){.p10 = last->push.p10 + last->work.p10,
	                   .p50 = last->push.p50 + last->work.p50,
	                   .p90 = last->push.p90 + last->work.p90};
	report("a frame with 50,000 calls: push and worker", "ns", whole, first->push.p50 + first->work.p50, 1,
	       NULL);
	(void)snprintf(note, sizeof note, "memcpy into the same rings: %.0f ns, with 100 calls %.0f",
	               last->plain.p50, first->plain.p50);
	report("  of it the push", "ns", last->push, first->push.p50, 1, note);
	report("  of it the worker: seal, append", "ns", last->work, first->work.p50, 1, NULL);
	report("opt-out to silence with 50,000 calls", "us", last->opt_out, first->opt_out.p50, 1000, NULL);
	b_report(&(b_row){.what = "open a call with 50,000 open",
	                  .unit = "us",
	                  .value = last->open / 1000,
	                  .beside = "with 100 calls",
	                  .beside_value = first->open / 1000,
	                  .compared = last->open / first->open,
	                  .how = "value / beside",
	                  .kind = B_SHOWN});
}
