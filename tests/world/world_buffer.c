/* SPDX-License-Identifier: MIT */
/* The built-in spool behind a table whose slots can be made to fail. */
#include "world_internal.h"

#include "../../lib/base/env.h"
#include "../../lib/storage/storage_internal.h"

#include <string.h>

int w_strikes(w_fault faults[W_FAULTS], uint64_t call)
{
	size_t i;

	for (i = 0; i < W_FAULTS; i++)
		if (faults[i].at == call) {
			faults[i].struck = 1;
			return faults[i].kind;
		}
	return 0;
}

void w_buffer_fault(w_world *world, int which, uint64_t nth, int fault)
{
	world->buffer_fault[which] = (w_fault){nth == 0 ? 0 : world->buffer_calls + nth, fault, 0};
}

int w_buffer_struck(const w_world *world, int which)
{
	return world->buffer_fault[which].struck;
}

uint64_t w_buffer_calls(const w_world *world)
{
	return world->buffer_calls;
}

/* ---- the slots ---- */

static int goes(w_world *world)
{
	return w_strikes(world->buffer_fault, ++world->buffer_calls);
}

static int does(int way)
{
	return way == W_STORE_NONE || way == W_STORE_DONE_ERROR || way == W_STORE_DONE_UNCONFIRMED ||
	       way == W_STORE_DONE_SILENT;
}

/* What the engine is told; `told` is what the spool said. */
static int answer(int way, int rc, const rco_result *told, rco_result *result)
{
	switch (way) {
	case W_STORE_NONE:
		*result = *told;
		return rc;
	case W_STORE_UNCONFIRMED:
	case W_STORE_DONE_UNCONFIRMED:
		return RCO_OK;
	case W_STORE_SILENT:
	case W_STORE_DONE_SILENT:
	case W_STORE_LANDS_LATE:
		return RCO_PENDING;
	default:
		return RCO_E_IO;
	}
}

static int op_open(const rco_recording *recording, uint64_t op, rco_result *result, void *user_data)
{
	w_world *world = user_data;
	rco_result told = *result;
	int way = goes(world), rc = RCO_OK;

	if (does(way))
		rc = rco_spool_buffer_ops()->open(recording, op, &told, world->spool);
	return answer(way, rc, &told, result);
}

static int op_append(const rco_chunk *chunk, uint64_t op, rco_result *result, void *user_data)
{
	w_world *world = user_data;
	rco_result told = *result;
	int way = goes(world), rc = RCO_OK;

	if (does(way))
		rc = rco_spool_buffer_ops()->append(chunk, op, &told, world->spool);
	return answer(way, rc, &told, result);
}

static int op_flush(uint64_t op, rco_result *result, void *user_data)
{
	w_world *world = user_data;
	rco_result told = *result;
	int way = goes(world), rc = RCO_OK;

	if (does(way))
		rc = rco_spool_buffer_ops()->flush(op, &told, world->spool);
	return answer(way, rc, &told, result);
}

static int op_seal(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data)
{
	w_world *world = user_data;
	rco_result told = *result;
	int way = goes(world), rc = RCO_OK;

	if (does(way))
		rc = rco_spool_buffer_ops()->seal(recording_id, op, &told, world->spool);
	return answer(way, rc, &told, result);
}

static int op_read(const uint8_t recording_id[16], uint32_t leg, uint64_t position_bytes, void *data,
                   size_t cap_bytes, uint64_t op, rco_result *result, void *user_data)
{
	w_world *world = user_data;
	rco_result told = *result;
	int way = goes(world), rc = RCO_OK;

	if (does(way))
		rc = rco_spool_buffer_ops()->read(recording_id, leg, position_bytes, data, cap_bytes, op, &told,
		                                  world->spool);
	return answer(way, rc, &told, result);
}

static int op_erase(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data)
{
	w_world *world = user_data;
	rco_result told = *result;
	int way = goes(world), rc = RCO_OK;

	if (does(way))
		rc = rco_spool_buffer_ops()->erase(recording_id, op, &told, world->spool);
	return answer(way, rc, &told, result);
}

static void op_revoke(const uint8_t recording_id[16], void *user_data)
{
	w_world *world = user_data;

	rco_spool_buffer_ops()->revoke(recording_id, world->spool);
}

static int op_scan(rco_scan_fn found, void *found_user_data, void *user_data)
{
	w_world *world = user_data;

	if (goes(world) != W_STORE_NONE)
		return RCO_E_IO;
	return rco_spool_buffer_ops()->scan(found, found_user_data, world->spool);
}

/* ---- opening ---- */

int w_buffer_open(w_world *world, rco_engine_config *config)
{
	static const rco_buffer_ops table = {.struct_size = sizeof table,
	                                     .flags = RCO_BUFFER_GAPS,
	                                     .open = op_open,
	                                     .append = op_append,
	                                     .flush = op_flush,
	                                     .seal = op_seal,
	                                     .read = op_read,
	                                     .revoke = op_revoke,
	                                     .erase = op_erase,
	                                     .scan = op_scan};
	rco_spool_options o = {.struct_size = (uint32_t)sizeof o,
	                       .segment_bytes = config->segment_bytes,
	                       .path = "/spool",
	                       .keys = config->keys,
	                       .keys_user_data = config->keys_user_data,
	                       .epoch_s = config->key_epoch_s};
	rco__env env;
	int rc = rco__env_init(&env, &world->allocator, &world->clock, config->log, config->log_user_data);

	if (rc != RCO_OK)
		return rc;
	env.fs = &world->table;
	rc = rco__spool_open(&env, &o, &world->spool);
	config->buffer = &table;
	config->buffer_user_data = world;
	return rc;
}

void w_buffer_close(w_world *world)
{
	rco_spool_free(world->spool);
	world->spool = NULL;
}
