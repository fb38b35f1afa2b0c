/* SPDX-License-Identifier: MIT */
/* Asking for an opt-out: measured, written on the board, told in the timeline. */
#include "stage.h"

#include <stdio.h>

static const char *stop_words(int rc)
{
	switch (rc) {
	case RCO_OK:
		return "stopped and durable";
	case RCO_PENDING:
		return "stopped, durable soon";
	case RCO_E_ENDED:
		return "this call has ended";
	default:
		return rco_error_name(rc);
	}
}

int ask_opt_out(struct stage *stage, unsigned call, int by_id, uint32_t flags, const char *source)
{
	struct call_board *cb = &stage->board->call[call];
	rco_opt_out_options options = {.struct_size = sizeof options, .flags = flags, .source = source};
	rco_receipt *receipt = NULL;
	int64_t from_us = now_us(), took_us;
	int rc;

	if (by_id)
		rc = rco_engine_opt_out(stage->engine, plans[call].id, &options, &receipt);
	else
		rc = rco_opt_out(stage->call[call].session, &options, &receipt);
	took_us = now_us() - from_us;
	if (rc >= 0)
		atomic_store(&cb->stopped, 1);
	timeline_note(plans[call].id, "opt-out asked by %s%s: %s after %d us", source, by_id ? ", by call id" : "",
	              stop_words(rc), (int)took_us);
	if (!atomic_exchange(&cb->answered, 1)) {
		cb->opt_out_code = rc;
		cb->asked_ms = media_now_ms(stage);
		cb->stop_us = took_us;
	}
	if (receipt && rc == RCO_OK)
		stage_take_receipt(stage, call, receipt);
	rco_receipt_free(receipt);
	return rc;
}

void *asker_thread(void *arg)
{
	struct asker *a = arg;
	rco_receipt *receipt = NULL;

	pthread_barrier_wait(a->barrier);
	a->code = ask_opt_out(a->stage, a->call, a->by_id, 0, a->by_id ? "supervisor" : "agent-tool");
	if (rco_engine_receipt(a->stage->engine, plans[a->call].id, &receipt) == RCO_OK)
		snprintf(a->receipt_id, sizeof a->receipt_id, "%s", rco_receipt_id(receipt));
	rco_receipt_free(receipt);
	return NULL;
}
