/* SPDX-License-Identifier: MIT */
#include "sink.h"

#include "../../lib/session/state.h"
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the buffer ---- */

static int sink_open(const rco_recording *recording, uint64_t op, rco_result *result, void *user_data)
{
	(void)recording;
	(void)op;
	(void)user_data;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int sink_append(const rco_chunk *chunk, uint64_t op, rco_result *result, void *user_data)
{
	(void)op;
	(void)user_data;
	b_use(chunk->data);
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int sink_read(const uint8_t recording_id[16], uint32_t leg, uint64_t position_bytes, void *data,
                     size_t cap_bytes, uint64_t op, rco_result *result, void *user_data)
{
	(void)recording_id;
	(void)leg;
	(void)position_bytes;
	(void)data;
	(void)cap_bytes;
	(void)op;
	(void)user_data;
	result->size_bytes = 0;
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int sink_erase(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data)
{
	(void)recording_id;
	(void)op;
	(void)user_data;
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

static const rco_buffer_ops ops = {.struct_size = (uint32_t)sizeof ops,
                                   .open = sink_open,
                                   .append = sink_append,
                                   .read = sink_read,
                                   .erase = sink_erase};

const rco_buffer_ops *b_sink_ops(void)
{
	return &ops;
}

/* ---- the crowd ---- */

static rco_session *open_call(b_crowd *c, uint32_t number)
{
	char call_id[32];
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = call_id};
	rco_session *call;
	uint32_t leg;

	(void)snprintf(call_id, sizeof call_id, "crowd-%u", number);
	b_check(rco_session_create(c->world.engine, &o, &call), "rco_session_create");
	b_check(rco_session_add_leg(call, "caller", c->format, &leg), "rco_session_add_leg");
	b_check(rco_session_start(call), "rco_session_start");
	return call;
}

static void shuffle(uint32_t *order, uint32_t count)
{
	uint64_t random = 88172645463325252u;
	uint32_t i, k, held;

	for (i = 0; i < count; i++)
		order[i] = i;
	for (i = count; i > 1; i--) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		k = (uint32_t)(random % i);
		held = order[i - 1];
		order[i - 1] = order[k];
		order[k] = held;
	}
}

void b_crowd_open(b_crowd *c, const char *dir, uint32_t count, uint32_t format, int sink,
                  const rco_allocator *allocator)
{
	double *took = malloc(count * sizeof *took), begin;
	uint32_t i;

	c->count = count;
	c->format = format;
	c->frames = NULL;
	c->calls = calloc(count, sizeof(rco_session *));
	c->order = calloc(count, sizeof *c->order);
	if (took == NULL || c->calls == NULL || c->order == NULL)
		b_die("no memory for %u calls", count);
	shuffle(c->order, count);
	b_world_init(&c->world, dir, B_WORLD_DRIVEN | B_WORLD_CLOCK, 1);
	c->world.cfg.ring_pool_bytes = ((uint64_t)count * 2 + 64) * 16384;
	c->world.cfg.allocator = allocator;
	if (sink)
		c->world.cfg.buffer = b_sink_ops();
	b_world_open(&c->world);
	for (i = 0; i < count; i++) {
		begin = b_now_ns();
		c->calls[i] = open_call(c, i);
		took[i] = b_now_ns() - begin;
	}
	c->open_ns = b_spread_of(took, count).p50;
	free(took);
	(void)b_crowd_drain(c);
}

void b_crowd_close(b_crowd *c)
{
	uint32_t i;

	for (i = 0; i < c->count; i++)
		rco_session_free(c->calls[i]);
	/* Not settled: of a recording that the sink swallowed nothing can be stored. */
	b_world_end(&c->world);
	free(c->calls);
	free(c->order);
	free(c->frames);
}

void b_crowd_push(const b_crowd *c, const uint8_t *frame, size_t size)
{
	uint32_t i;
	int rc;

	for (i = 0; i < c->count; i++) {
		rc = rco_session_push(c->calls[c->order[i]], 0, c->format, frame, size);
		if (rc != RCO_OK)
			b_die("a frame was not accepted: %s", rco_error_name(rc));
	}
}

void b_crowd_push_frames(b_crowd *c, const uint8_t *frame, size_t size)
{
	uint32_t i;

	if (c->frames == NULL) {
		c->frames = calloc(c->count, sizeof *c->frames);
		if (c->frames == NULL)
			b_die("no memory");
		for (i = 0; i < c->count; i++)
			c->frames[i] = (rco_frame){.session = c->calls[c->order[i]],
			                           .position = RCO_POSITION_NEXT,
			                           .format = c->format};
	}
	for (i = 0; i < c->count; i++) {
		c->frames[i].data = frame;
		c->frames[i].size_bytes = (uint32_t)size;
	}
	if (rco_frames_push(c->frames, c->count) != (int32_t)c->count)
		b_die("a frame was not accepted");
}

static int drained(const b_crowd *c)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	uint32_t i;

	for (i = 0; i < c->count; i++) {
		b_check(rco_session_get_stats(c->calls[i], &st), "rco_session_get_stats");
		if (st.buffered_bytes != st.accepted_bytes)
			return 0;
	}
	return 1;
}

double b_crowd_drain(b_crowd *c)
{
	double cpu = 0, begin;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		begin = b_cpu_ns();
		b_world_advance(&c->world, 250);
		cpu += b_cpu_ns() - begin;
		if (drained(c))
			return cpu;
	}
	b_die("the rings are not drained");
}

uint8_t *b_crowd_ring(const b_crowd *c, uint32_t call, size_t *capacity)
{
	rco__ring *ring = rco__leg_ring(c->calls[call], 0);

	if (ring == NULL)
		b_die("a call has no ring");
	*capacity = rco__pool_capacity(c->world.engine->pool, ring);
	return rco__pool_data(c->world.engine->pool, ring);
}
