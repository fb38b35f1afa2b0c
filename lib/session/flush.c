/* SPDX-License-Identifier: MIT */
/* One flush of the buffer for everything that was appended since the last, by a thread that nobody waits for. */
#include "core.h"
#include "work.h"

void rco__flush_wanted(rco_engine *engine)
{
	if (atomic_exchange(&engine->flusher->appended, 1) == 0)
		rco__shard_wake(engine->flusher);
}

static void flushed(rco__shard *shard, int rc, const rco_result *result)
{
	rco_engine *engine = shard->engine;

	if (rc == RCO_OK && result->confirmed != RCO_CONFIRM_DONE)
		rc = RCO_E_UNCONFIRMED;
	if (rc == RCO_OK) {
		shard->flush_failures = 0;
		return;
	}
	atomic_store(&shard->appended, 1); /* again with the next round */
	if (shard->flush_failures++ == 0)
		rco__engine_event(engine, RCO_EVENT_BUFFER_RETRY, rc, 0,
		                  "flushing the buffer failed; a power cut could now lose recent audio");
}

/* Not more often than eight times in an interval, so that shards that end their beats one after the other share
 * one; and not more than twice while it fails. */
int64_t rco__flush_due(const rco__shard *shard)
{
	if (shard->flush_op != 0)
		return shard->flush_deadline_us;
	if (atomic_load(&shard->appended) == 0)
		return RCO__NEVER;
	return shard->flushed_us +
	       (int64_t)shard->engine->cfg.flush_interval_ms * (shard->flush_failures == 0 ? 125 : 500);
}

/* RCO_PENDING while the backend is at it. */
static int finish(rco__shard *shard, int64_t now)
{
	rco_result result;
	int rc = rco__op_take(shard->engine, shard->flush_op, &result);

	if (rc == RCO_PENDING && now < shard->flush_deadline_us)
		return rc;
	if (rc == RCO_PENDING) {
		rco__op_give_up(shard->engine, shard->flush_op, NULL, 0, NULL, 0);
		rc = RCO_E_TIMEOUT;
	}
	shard->flush_op = 0;
	flushed(shard, rc, &result);
	return RCO_OK;
}

static void begin(rco__shard *shard, int64_t now)
{
	rco_engine *engine = shard->engine;
	rco_result result;
	uint64_t op;
	int rc;

	if (rco__op_begin(engine, NULL, shard, &op) != RCO_OK) {
		atomic_store(&shard->appended, 1);
		return;
	}
	shard->flush_op = op; /* already now, in case that the thread ends in there */
	shard->flush_deadline_us = now;
	rco__result_init(&result);
	RCO__ASK_HOST(engine, rc, engine->buffer.flush(op, &result, engine->buffer_ud));
	shard->flush_deadline_us = now + (int64_t)engine->cfg.backend_timeout_ms * 1000;
	if (rc == RCO_PENDING)
		return;
	shard->flush_op = 0;
	rco__op_end(engine, op);
	flushed(shard, rc, &result);
}

void rco__flush(rco__shard *shard, int64_t now)
{
	rco_engine *engine = shard->engine;

	if (shard->flush_op != 0 && finish(shard, now) == RCO_PENDING)
		return;
	if (rco__flush_due(shard) > now)
		return;
	atomic_store(&shard->appended, 0);
	shard->flushed_us = now;
	(void)rco__ledger_write(engine->calls); /* a failure is met again, and told, by the next sync */
	if (engine->buffer.flush != NULL)
		begin(shard, now);
}
