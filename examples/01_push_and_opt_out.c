/* SPDX-License-Identifier: MIT */
/*
 * The smallest host: pushes the audio of two calls. One caller objects.
 *
 * Usage: 01_push_and_opt_out FOLDER
 * FOLDER is made if its parent exists. Afterwards FOLDER/recordings holds the
 * first call as WAV files and a call record of both, and no audio of the second.
 */
#include "common.h"

#include <string.h>
#include <sys/stat.h>

enum { FRAME = 160, FRAMES = 50 }; /* 20 ms of G.711; half a ring */

/* A steady tone of 1 kHz in mu-law: one period is eight samples. */
static void tone(uint8_t frame[FRAME])
{
	static const uint8_t period[8] = {0xff, 0xa1, 0x9a, 0xa1, 0xff, 0x21, 0x1a, 0x21};

	for (int i = 0; i < FRAME; i++)
		frame[i] = period[i % 8];
}

static rco_session *begin_call(rco_engine *engine, const char *id, uint32_t *caller)
{
	rco_session_options options = {.struct_size = sizeof options, .call_id = id};
	rco_session *call = NULL;

	CHECK(rco_session_create(engine, &options, &call));
	CHECK(rco_session_add_leg(call, "caller", RCO_FORMAT_PCMU_8K, caller));
	CHECK(rco_session_start(call));
	return call;
}

static void talk(rco_session *call, uint32_t leg)
{
	uint8_t frame[FRAME];

	tone(frame);
	for (int i = 0; i < FRAMES; i++) /* a real media thread pushes one of these every 20 ms */
		CHECK(rco_session_push(call, leg, RCO_FORMAT_PCMU_8K, frame, sizeof frame));
}

static void object(rco_session *call)
{
	/* Waiting for VERIFIED is for programs like this one. An agent says "I have stopped the recording" as soon
	 * as rco_opt_out() has returned, and "it is erased" when the event VERIFIED has come. */
	rco_opt_out_options options = {.struct_size = sizeof options, .source = "agent-tool"};
	rco_receipt *receipt = NULL;
	char json[RCO_RECEIPT_JSON_MAX];
	size_t length;

	options.wait_status = RCO_STATUS_VERIFIED;
	options.timeout_ms = 5000;
	CHECK(rco_opt_out(call, &options, &receipt));
	CHECK(rco_receipt_to_json(receipt, json, sizeof json, &length));
	printf("call-2: %s\nreceipt: %s\n", rco_status_name(rco_receipt_status(receipt)), json);
	rco_receipt_free(receipt);
}

int main(int argc, char **argv)
{
	rco_engine_config config = {.struct_size = sizeof config};
	rco_engine *engine = NULL;
	rco_session *first, *second;
	uint32_t leg1, leg2;
	uint8_t frame[FRAME];
	char state[512], output[512];
	int rc;

	if (argc != 2 || snprintf(state, sizeof state, "%s/state", argv[1]) >= (int)sizeof state ||
	    snprintf(output, sizeof output, "%s/recordings", argv[1]) >= (int)sizeof output) {
		fprintf(stderr, "usage: 01_push_and_opt_out FOLDER\n");
		return 2;
	}
	mkdir(argv[1], 0700); /* if that fails, the next call says why */
	config.state_dir = state;
	config.output_dir = output;
	config.opt_out_enabled = 1;
	config.late_opt_out_ms = 500;        /* for a quick end; the default is ten seconds */
	config.sweep_delay_ms = RCO_NONE_MS; /* likewise; the default looks again after a minute */
	CHECK(rco_engine_create(&config, &engine));

	first = begin_call(engine, "call-1", &leg1);
	second = begin_call(engine, "call-2", &leg2);
	talk(first, leg1);
	talk(second, leg2);
	object(second);

	/* The media thread knows nothing of it, and goes on. Nothing of that is taken. */
	tone(frame);
	rc = rco_session_push(second, leg2, RCO_FORMAT_PCMU_8K, frame, sizeof frame);
	printf("the next frame of call-2: %s\n", rco_strerror(rc));

	CHECK(rco_session_end(first));
	CHECK(rco_session_end(second));
	CHECK(rco_engine_wait_idle(engine, 10000)); /* a server does not wait: it just goes on */
	rco_session_free(first);
	rco_session_free(second);
	rco_engine_free(engine);
	printf("call-1 is in %s\n", output);
	return rc == RCO_E_OPTED_OUT ? 0 : 1;
}
