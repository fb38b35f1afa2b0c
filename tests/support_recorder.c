/* SPDX-License-Identifier: MIT */
/* The host's recorder, as the tests want it to be. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

t_recorder_state t_recorder = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.confirms = {0, RCO_CONFIRM_DONE, RCO_CONFIRM_DONE, RCO_CONFIRM_DONE, RCO_CONFIRM_DONE}};

void t_recorder_forget(void)
{
	int i;

	for (i = 0; i < 5; i++) {
		t_recorder.rc[i] = RCO_OK;
		t_recorder.confirms[i] = RCO_CONFIRM_DONE;
		atomic_store(&t_recorder.calls[i], 0);
		atomic_store(&t_recorder.op[i], 0);
	}
	t_recorder.inside = NULL;
	memset(t_recorder.order, 0, sizeof t_recorder.order);
	memset(t_recorder.call_id, 0, sizeof t_recorder.call_id);
}

static int act(int action, const char *call_id, uint64_t op, rco_result *result)
{
	size_t n;

	if (result->struct_size != sizeof *result || result->confirmed != RCO_CONFIRM_UNKNOWN)
		abort();
	(void)pthread_mutex_lock(&t_recorder.lock);
	n = strlen(t_recorder.order);
	if (n + 1 < sizeof t_recorder.order)
		t_recorder.order[n] = " sxpr"[action];
	(void)snprintf(t_recorder.call_id, sizeof t_recorder.call_id, "%s", call_id);
	(void)pthread_mutex_unlock(&t_recorder.lock);
	(void)atomic_fetch_add(&t_recorder.calls[action], 1);
	atomic_store(&t_recorder.op[action], op);
	if (t_recorder.inside != NULL)
		t_recorder.inside(action);
	result->confirmed = t_recorder.confirms[action];
	return t_recorder.rc[action];
}

static int do_start(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	(void)user_data;
	return act(RCO_RECORDER_START, call_id, op, result);
}

static int do_stop(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	(void)user_data;
	return act(RCO_RECORDER_STOP, call_id, op, result);
}

static int do_pause(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	(void)user_data;
	return act(RCO_RECORDER_PAUSE, call_id, op, result);
}

static int do_resume(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	(void)user_data;
	return act(RCO_RECORDER_RESUME, call_id, op, result);
}

const rco_recorder_ops t_recorder_ops = {.struct_size = (uint32_t)sizeof t_recorder_ops,
                                         .start = do_start,
                                         .stop = do_stop,
                                         .pause = do_pause,
                                         .resume = do_resume};

const rco_recorder_ops t_recorder_pushes = {.struct_size = (uint32_t)sizeof t_recorder_pushes,
                                            .flags = RCO_RECORDER_PUSHES,
                                            .start = do_start,
                                            .stop = do_stop,
                                            .pause = do_pause,
                                            .resume = do_resume};

rco_session *t_hosted(t_world *w, const char *call_id)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = call_id, .recorder = &t_recorder_ops};
	rco_session *s = NULL;

	assert_int_equal(rco_session_create(w->engine, &o, &s), RCO_OK);
	return s;
}
