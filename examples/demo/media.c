/* SPDX-License-Identifier: MIT */
/* Two media threads that push the audio of all calls, and write down what was accepted. */
#include "stage.h"

#include <time.h>

enum { REFUSALS_UNTIL_QUIET = 25 };

int64_t media_now_ms(const struct stage *stage)
{
	return (now_us() - stage->media_start_us) * SPEED / 1000;
}

void media_wait_until(const struct stage *stage, int64_t ms)
{
	sleep_until_us(stage->media_start_us + ms * 1000 / SPEED);
}

static void note_accepted(struct leg_board *lb, uint64_t from, uint64_t bytes)
{
	uint32_t n = atomic_load(&lb->runs);

	if (n > 0 && atomic_load(&lb->run[n - 1].to) == from) {
		atomic_store(&lb->run[n - 1].to, from + bytes);
		return;
	}
	if (n == RUNS) {
		timeline_fail("media", "more than %d stretches of audio in one leg", RUNS);
		return;
	}
	atomic_store(&lb->run[n].from, from);
	atomic_store(&lb->run[n].to, from + bytes);
	atomic_store(&lb->runs, n + 1);
}

/* A full ring is tried again: this media clock runs faster than a real one, so waiting a moment loses nothing. */
static int push_patiently(struct stage_call *call, unsigned leg, uint32_t format, const uint8_t *data,
                          size_t bytes)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	int rc = rco_session_push(call->session, call->leg[leg], format, data, bytes);

	for (int i = 0; rc == RCO_E_OVERFLOW && i < 5000; i++) {
		nanosleep(&moment, NULL);
		rc = rco_session_push(call->session, call->leg[leg], format, data, bytes);
	}
	return rc;
}

static void note_result(struct stage *stage, unsigned index, unsigned leg, int rc, uint64_t from, uint32_t stopped)
{
	struct stage_call *call = &stage->call[index];
	struct leg_board *lb = &stage->board->call[index].leg[leg];

	if (rc == RCO_OK) {
		note_accepted(lb, from, stage->speech->leg[index][leg].frame_bytes);
		call->final_refusals[leg] = 0;
		if (stopped)
			atomic_fetch_add(&lb->accepted_after_stop, 1);
		return;
	}
	atomic_fetch_add(&lb->refused_frames, 1);
	if (stopped)
		atomic_fetch_add(&lb->refused_after_stop, 1);
	if (rc == RCO_E_OPTED_OUT || rc == RCO_E_ENDED)
		call->final_refusals[leg]++;
	else if (rc != RCO_E_PAUSED && rc != RCO_E_NO_CONSENT)
		timeline_fail(plans[index].id, "push answered %s", rco_error_name(rc));
}

static void push_frame(struct stage *stage, unsigned index, unsigned leg, uint64_t tick)
{
	struct stage_call *call = &stage->call[index];
	const struct leg_audio *audio = &stage->speech->leg[index][leg];
	struct leg_board *lb = &stage->board->call[index].leg[leg];
	uint64_t from = tick * audio->frame_bytes;
	uint32_t stopped;
	int rc;

	/* A host goes on pushing for a while after a stop; this one learns after half a second. */
	if (call->leg[leg] == NO_LEG || from + audio->frame_bytes > audio->bytes ||
	    call->final_refusals[leg] >= REFUSALS_UNTIL_QUIET)
		return;
	stopped = atomic_load(&stage->board->call[index].stopped);
	atomic_store(&lb->pending_from, from);
	atomic_store(&lb->pending_bytes, audio->frame_bytes);
	rc = push_patiently(call, leg, plans[index].format[leg], audio->data + from, audio->frame_bytes);
	note_result(stage, index, leg, rc, from, stopped);
	atomic_store(&lb->pending_bytes, 0);
}

static void push_tick(struct stage *stage, unsigned index, uint64_t tick)
{
	if (!atomic_load(&stage->call[index].live))
		return;
	if (atomic_exchange(&stage->call[index].media_opt_out, 0))
		ask_opt_out(stage, index, 0, RCO_OPT_OUT_NONBLOCK, "dtmf");
	for (unsigned leg = 0; leg < LEGS; leg++)
		push_frame(stage, index, leg, tick);
}

/* Ends with its process, which is killed while it pushes. */
void *media_pusher(void *arg)
{
	const struct pusher *pusher = arg;

	for (uint64_t tick = 0;; tick++) {
		media_wait_until(pusher->stage, (int64_t)tick * FRAME_MS);
		for (unsigned i = pusher->first; i < CALLS; i += PUSHERS)
			push_tick(pusher->stage, i, tick);
	}
	return NULL;
}
