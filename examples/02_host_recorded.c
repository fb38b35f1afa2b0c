/* SPDX-License-Identifier: MIT */
/*
 * A server that records by itself (MixMonitor, uuid_record, rtpengine ...)
 * adopts opt-out: two callbacks, and the files are registered.
 *
 * Usage: 02_host_recorded FOLDER
 * FOLDER is made if its parent exists. Afterwards the file that the "recorder"
 * wrote is gone, and FOLDER/recordings holds the call record.
 */
#include "common.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Stands for the server's recording machinery. */
struct recorder {
	char path[512];
	FILE *file;
};

static int start(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	struct recorder *r = user_data;

	(void)op; /* for recorders that answer later, with rco_op_complete() */
	r->file = fopen(r->path, "wb");
	if (!r->file) {
		fprintf(stderr, "%s: cannot write %s: %s\n", call_id, r->path, strerror(errno));
		return RCO_E_CALLBACK; /* the session then stays IDLE */
	}
	fputs("this stands for audio", r->file);
	printf("%s: recording into %s\n", call_id, r->path);
	result->confirmed = RCO_CONFIRM_DONE; /* only this counts, not the zero below */
	return RCO_OK;
}

/* Close the file and write no more. Do not finish, convert or upload anything here: the file is going to be
 * erased. */
static int stop(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	struct recorder *r = user_data;

	(void)op;
	if (r->file) { /* may be called again after it has succeeded */
		if (fclose(r->file) != 0)
			fprintf(stderr, "%s: closing %s: %s\n", call_id, r->path, strerror(errno));
		r->file = NULL;
		printf("%s: recorder stopped\n", call_id);
	}
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static rco_engine *open_engine(const char *folder)
{
	rco_engine_config config = {.struct_size = sizeof config};
	rco_engine *engine = NULL;
	char state[PATH_MAX + 16], output[PATH_MAX + 16];

	snprintf(state, sizeof state, "%s/state", folder);
	snprintf(output, sizeof output, "%s/recordings", folder);
	config.state_dir = state;
	config.output_dir = output;
	config.opt_out_enabled = 1;
	config.late_opt_out_ms = 500;        /* for a quick end; the default is ten seconds */
	config.sweep_delay_ms = RCO_NONE_MS; /* likewise; the default looks again after a minute */
	CHECK(rco_engine_create(&config, &engine));
	return engine;
}

int main(int argc, char **argv)
{
	rco_recorder_ops recorder_ops = {.struct_size = sizeof recorder_ops, .start = start, .stop = stop};
	rco_session_options options = {.struct_size = sizeof options, .call_id = "call-1"};
	rco_opt_out_options how = {.struct_size = sizeof how, .source = "dtmf", .timeout_ms = 5000};
	struct recorder recorder = {.file = NULL};
	rco_receipt *receipt = NULL;
	rco_session *call = NULL;
	rco_engine *engine;
	char folder[PATH_MAX];
	int gone;

	if (argc != 2) {
		fprintf(stderr, "usage: 02_host_recorded FOLDER\n");
		return 2;
	}
	mkdir(argv[1], 0700);
	if (!realpath(argv[1], folder)) { /* artifacts are named by absolute paths */
		fprintf(stderr, "02_host_recorded: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	if (snprintf(recorder.path, sizeof recorder.path, "%s/call-1.wav", folder) >= (int)sizeof recorder.path) {
		fprintf(stderr, "02_host_recorded: the path %s is too long\n", folder);
		return 1;
	}
	engine = open_engine(folder);

	options.recorder = &recorder_ops;
	options.recorder_user_data = &recorder;
	CHECK(rco_session_create(engine, &options, &call));
	/* Before recording: what is registered cannot be forgotten. */
	CHECK(rco_session_register_artifact(call, RCO_KIND_AUDIO, recorder.path, NULL));
	CHECK(rco_session_start(call));

	how.wait_status = RCO_STATUS_VERIFIED;
	CHECK(rco_engine_opt_out(engine, "call-1", &how, &receipt));
	gone = access(recorder.path, F_OK) != 0 && errno == ENOENT;
	printf("call-1: %s; the file %s\n", rco_status_name(rco_receipt_status(receipt)),
	       gone ? "is gone" : "is STILL THERE");
	rco_receipt_free(receipt);

	CHECK(rco_session_end(call));
	CHECK(rco_engine_wait_idle(engine, 10000));
	rco_session_free(call);
	rco_engine_free(engine);
	return gone ? 0 : 1;
}
