/* SPDX-License-Identifier: MIT */
/*
 * The first process: twenty-four calls at once, by a script. Ends by being
 * killed in the middle of an erasure.
 */
#include "stage.h"

#include <string.h>

/* clang-format off */
enum {
	C01, C02, C03, C04, C05, C06, C07, C08, C09, C10, C11, C12,
	C13, C14, C15, C16, C17, C18, C19, C20, C21, C22, C23, C24
};
/* clang-format on */

enum { WAIT_MS = 8000 };

static void expect(unsigned call, const char *what, int rc, int wanted)
{
	if (rc != wanted)
		timeline_fail(plans[call].id, "%s answered %s, not %s (%s)", what, rco_error_name(rc),
		              rco_error_name(wanted), rco_error_detail());
}

/* ---- the steps of the script ---- */

static void opt_out(struct stage *stage, unsigned call)
{
	expect(call, "opt-out", ask_opt_out(stage, call, 0, 0, "agent-tool"), RCO_OK);
}

static void opt_out_by_id(struct stage *stage, unsigned call)
{
	expect(call, "opt-out by id", ask_opt_out(stage, call, 1, 0, "agent-tool"), RCO_OK);
}

static void opt_out_on_media_thread(struct stage *stage, unsigned call)
{
	atomic_store(&stage->call[call].media_opt_out, 1);
}

static void opt_out_three_at_once(struct stage *stage, unsigned call)
{
	struct asker askers[3];
	pthread_t threads[3];
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, 3);
	for (int i = 0; i < 3; i++) {
		askers[i] = (struct asker){.stage = stage, .barrier = &barrier, .call = call, .by_id = i == 2};
		pthread_create(&threads[i], NULL, asker_thread, &askers[i]);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		expect(call, "one of three opt-outs", askers[i].code, RCO_OK);
	}
	pthread_barrier_destroy(&barrier);
	if (askers[0].receipt_id[0] == 0 || strcmp(askers[0].receipt_id, askers[1].receipt_id) != 0 ||
	    strcmp(askers[0].receipt_id, askers[2].receipt_id) != 0)
		timeline_fail(plans[call].id, "three askers got different receipts");
	else
		timeline_note(plans[call].id, "all three got receipt %s", askers[0].receipt_id);
}

static void pause_call(struct stage *stage, unsigned call)
{
	expect(call, "pause", rco_session_pause(stage->call[call].session), RCO_OK);
}

static void resume_call(struct stage *stage, unsigned call)
{
	expect(call, "resume", rco_session_resume(stage->call[call].session), RCO_OK);
}

static void resume_in_vain(struct stage *stage, unsigned call)
{
	expect(call, "resume", rco_session_resume(stage->call[call].session), RCO_E_OPTED_OUT);
	timeline_note(plans[call].id, "resume refused: opted out for good");
}

static void consent_yes(struct stage *stage, unsigned call)
{
	expect(call, "consent", rco_session_set_consent(stage->call[call].session, 1), RCO_OK);
}

static void consent_no(struct stage *stage, unsigned call)
{
	struct call_board *cb = &stage->board->call[call];
	int64_t from_us = now_us();

	expect(call, "consent", rco_session_set_consent(stage->call[call].session, 0), RCO_OK);
	atomic_store(&cb->stopped, 1);
	cb->stop_us = now_us() - from_us;
	cb->asked_ms = media_now_ms(stage);
	atomic_store(&cb->answered, 1);
	timeline_note(plans[call].id, "the caller declines: equals an opt-out, durable after %d us",
	              (int)cb->stop_us);
}

static void hang_up(struct stage *stage, unsigned call)
{
	atomic_store(&stage->call[call].hung_up, 1);
	expect(call, "end", rco_session_end(stage->call[call].session), RCO_OK);
}

/* Both at the same moment, from two threads: whichever comes first, nothing may stay. */
static void hang_up_and_opt_out(struct stage *stage, unsigned call)
{
	pthread_barrier_t barrier;
	struct asker asker = {.stage = stage, .barrier = &barrier, .call = call};
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, asker_thread, &asker);
	pthread_barrier_wait(&barrier);
	hang_up(stage, call);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&barrier);
	expect(call, "opt-out", asker.code, RCO_OK);
}

/* The agent's tool call takes a while: the call is over by then. */
static void hang_up_then_opt_out(struct stage *stage, unsigned call)
{
	hang_up(stage, call);
	sleep_until_us(now_us() + 100000);
	opt_out(stage, call);
}

static void hang_up_then_opt_out_in_upload(struct stage *stage, unsigned call)
{
	hang_up(stage, call);
	if (stage_wait_event(stage, call, RCO_EVENT_UPLOAD_STARTED, WAIT_MS) == 0)
		opt_out_by_id(stage, call);
}

static void opt_out_too_late(struct stage *stage, unsigned call)
{
	if (stage_wait_event(stage, call, RCO_EVENT_STORED, WAIT_MS) == 0)
		expect(call, "late opt-out", ask_opt_out(stage, call, 1, 0, "agent-tool"), RCO_E_ENDED);
}

static void make_copy(struct stage *stage, unsigned call, unsigned leg, const char *name)
{
	char path[DEMO_PATH];
	int rc;

	if (host_write_copy(stage, call, leg, name, path) != 0)
		return;
	rc = rco_engine_register_artifact(stage->engine, plans[call].id, RCO_KIND_AUDIO, path, NULL);
	expect(call, "register artifact", rc, RCO_OK);
	stage->board->call[call].artifacts++;
	timeline_note(plans[call].id, "the host registers a copy that it made: %s-%s.ul", plans[call].id, name);
}

static void host_copies(struct stage *stage, unsigned call)
{
	make_copy(stage, call, 0, "voicemail");
	make_copy(stage, call, 1, "quality");
}

/* A transcoder that was still busy while the call was erased. */
static void host_late_copy(struct stage *stage, unsigned call)
{
	if (stage_wait_event(stage, call, RCO_EVENT_VERIFIED, WAIT_MS) != 0)
		return;
	make_copy(stage, call, 0, "transcode");
	stage_wait_event(stage, call, RCO_EVENT_ARTIFACT_ERASED, WAIT_MS);
}

static void free_session(struct stage *stage, unsigned call)
{
	atomic_store(&stage->call[call].live, 0);
	/* The pushers look at `live` before every tick; two ticks later none of them is inside. */
	media_wait_until(stage, media_now_ms(stage) + 500);
	rco_session_free(stage->call[call].session);
	stage->call[call].session = NULL;
}

static void kept_calls_stored(struct stage *stage, unsigned call)
{
	for (unsigned i = C01; i <= call; i++)
		stage_wait_event(stage, i, RCO_EVENT_STORED, WAIT_MS);
}

struct step {
	double at_s; /* in the time of the calls */
	unsigned call;
	void (*act)(struct stage *stage, unsigned call);
};

static const struct step script[] = {
	{1.0, C07, consent_yes},
	{1.5, C14, consent_no},
	{3.0, C06, pause_call},
	{4.0, C15, opt_out},
	{5.0, C06, resume_call},
	{5.0, C16, opt_out_on_media_thread},
	{6.0, C17, opt_out_three_at_once},
	{7.0, C18, pause_call},
	{7.5, C22, opt_out},
	{8.0, C18, opt_out},
	{8.2, C18, resume_in_vain},
	{9.0, C23, opt_out},
	{9.5, C24, host_copies},
	{10.0, C08, hang_up},
	{11.0, C19, hang_up_and_opt_out},
	{11.5, C20, hang_up_then_opt_out},
	{12.0, C21, hang_up_then_opt_out_in_upload},
	{12.2, C01, hang_up},
	{12.4, C02, hang_up},
	{12.6, C03, hang_up},
	{12.8, C04, hang_up},
	{13.0, C05, hang_up},
	{13.2, C06, hang_up},
	{13.4, C07, hang_up},
	{13.6, C23, host_late_copy},
	{16.0, C08, opt_out_too_late},
	{17.0, C08, kept_calls_stored},
	{17.0, C01, free_session},
	{17.2, C11, hang_up},
	{17.5, C24, hang_up_then_opt_out_in_upload}, /* and never returns to the next step: SIGKILL */
};

/* ---- setting up ---- */

static void add_legs(struct stage *stage, unsigned call)
{
	struct stage_call *sc = &stage->call[call];
	int wanted = call == C13 ? RCO_E_OPTED_OUT : RCO_OK; /* born opted out: there is no leg to push */

	for (unsigned leg = 0; leg < LEGS; leg++) {
		sc->leg[leg] = NO_LEG;
		expect(call, "add leg",
		       rco_session_add_leg(sc->session, leg_labels[leg], plans[call].format[leg], &sc->leg[leg]),
		       wanted);
	}
}

static int create_call(struct stage *stage, unsigned call)
{
	rco_session_options options = {.struct_size = sizeof options, .call_id = plans[call].id};
	int rc;

	options.legal_hold = call == C22;
	options.consent = call == C07 || call == C14 ? RCO_CONSENT_ASK_FIRST : RCO_CONSENT_DEFAULT;
	if (call == C23) {
		options.recorder = &host_recorder_ops;
		options.recorder_user_data = &stage->recorder;
	}
	rc = rco_session_create(stage->engine, &options, &stage->call[call].session);
	expect(call, "create", rc, RCO_OK);
	if (rc != RCO_OK)
		return -1;
	if (call != C23)
		add_legs(stage, call);
	return 0;
}

static void start_call(struct stage *stage, unsigned call)
{
	if (call == C12)
		opt_out(stage, call);
	expect(call, "start", rco_session_start(stage->call[call].session),
	       call == C12 || call == C13 ? RCO_E_OPTED_OUT : RCO_OK);
	if (call != C23) {
		atomic_store(&stage->call[call].live, 1);
		return;
	}
	for (unsigned leg = 0; leg < LEGS; leg++) {
		expect(call, "register artifact",
		       rco_session_register_artifact(stage->call[call].session, RCO_KIND_AUDIO,
		                                     stage->recorder.path[leg], NULL),
		       RCO_OK);
		stage->board->call[call].artifacts++;
	}
}

static int start_all(struct stage *stage)
{
	rco_engine_stats stats = {.struct_size = sizeof stats};

	opt_out_by_id(stage, C13); /* the engine has not heard of this call yet */
	for (unsigned i = 0; i < CALLS; i++) {
		if (create_call(stage, i) != 0)
			return -1;
	}
	for (unsigned i = 0; i < CALLS; i++)
		start_call(stage, i);
	expect(C01, "stats", rco_engine_get_stats(stage->engine, &stats), RCO_OK);
	stage->board->peak_open = stats.sessions_open;
	stage->board->peak_recording = stats.sessions_recording;
	timeline_note("engine", "%u calls at once, %u of them recorded, %d times faster than real time",
	              (unsigned)stats.sessions_open, (unsigned)stats.sessions_recording, SPEED);
	return 0;
}

int run_calls(struct board *board, const struct speech *speech, const struct folders *folders, int signal_fd)
{
	static struct stage stage; /* threads use it until the process is killed */
	static struct pusher pushers[PUSHERS];
	pthread_t threads[PUSHERS];

	stage.board = board;
	stage.speech = speech;
	stage.folders = folders;
	if (stage_open(&stage, signal_fd) != 0 || host_recorder_init(&stage.recorder, &stage, C23) != 0)
		return 1;
	rco_engine_public_key(stage.engine, board->public_key[0]);
	stage.media_start_us = now_us() + 20000;
	for (unsigned i = 0; i < PUSHERS; i++) {
		pushers[i] = (struct pusher){&stage, i};
		if (pthread_create(&threads[i], NULL, media_pusher, &pushers[i]) != 0)
			return 1;
	}
	if (start_all(&stage) != 0)
		return 1;
	for (size_t i = 0; i < sizeof script / sizeof script[0]; i++) {
		media_wait_until(&stage, (int64_t)(script[i].at_s * 1000));
		script[i].act(&stage, script[i].call);
	}
	/* The erasure of the last call gets stuck and the parent kills us there. */
	sleep_until_us(now_us() + (int64_t)WAIT_MS * 1000);
	timeline_fail("engine", "the erasure of the last call never came to its second file");
	return 1;
}
