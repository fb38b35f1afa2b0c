/* SPDX-License-Identifier: MIT */
/* The second process: opens what the killed one left, and finishes it. */
#include "stage.h"

#include <stdio.h>
#include <string.h>

enum { HELD_CALL = 21, IDLE_MS = 15000 };

static void wait_idle(struct stage *stage)
{
	int rc = rco_engine_wait_idle(stage->engine, IDLE_MS);

	if (rc != RCO_OK)
		timeline_fail("engine", "not idle after %d s: %s", IDLE_MS / 1000, rco_strerror(rc));
}

/* The hold has outlived the crash; lifting it starts the erasure. */
static void lift_hold(struct stage *stage)
{
	const char *id = plans[HELD_CALL].id;
	rco_engine_stats stats = {.struct_size = sizeof stats};
	rco_receipt *receipt = NULL;
	int rc = rco_engine_receipt(stage->engine, id, &receipt);

	if (rc != RCO_OK || rco_receipt_status(receipt) != RCO_STATUS_HELD)
		timeline_fail(id, "legal hold not in force after the crash: %s, status %s", rco_error_name(rc),
		              rco_status_name(rco_receipt_status(receipt)));
	rco_receipt_free(receipt);
	if (rco_engine_get_stats(stage->engine, &stats) == RCO_OK)
		stage->board->held_after_crash = (uint32_t)stats.holds;
	timeline_note(id, "legal hold still in force after the crash; now it is lifted");
	rc = rco_engine_lift_legal_hold(stage->engine, id);
	if (rc != RCO_OK)
		timeline_fail(id, "legal hold cannot be lifted: %s %s", rco_strerror(rc), rco_error_detail());
}

static void take_all_receipts(struct stage *stage)
{
	for (unsigned i = 0; i < CALLS; i++) {
		rco_receipt *receipt = NULL;

		if (plans[i].kept)
			continue;
		/* Calls that were closed long ago may be gone from memory: their receipt was taken in time. */
		if (rco_engine_receipt(stage->engine, plans[i].id, &receipt) == RCO_OK)
			stage_take_receipt(stage, i, receipt);
		rco_receipt_free(receipt);
	}
}

int run_recovery(struct board *board, const struct folders *folders)
{
	static struct stage stage;
	rco_engine_stats stats = {.struct_size = sizeof stats};

	stage.board = board;
	stage.folders = folders;
	if (stage_open(&stage, -1) != 0)
		return 1;
	rco_engine_public_key(stage.engine, board->public_key[1]);
	wait_idle(&stage);
	lift_hold(&stage);
	wait_idle(&stage);
	take_all_receipts(&stage);
	if (rco_engine_get_stats(stage.engine, &stats) == RCO_OK) {
		board->left_pending =
			stats.uploads_pending + stats.erasures_pending + stats.tombstones_waiting + stats.holds;
		board->quarantined_files = stats.quarantined_files;
	}
	stage_close(&stage);
	timeline_note("engine", "nothing left to do, closed");
	return 0;
}
