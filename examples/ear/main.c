/* SPDX-License-Identifier: MIT */
/*
 * An ear: hears a caller object, without a language model and without the network.
 *
 *   ear --control SOCKET --model DIR [--phrase WORDS]... [--mark SAMPLES] [CALL-ID]  < audio
 *
 * Without a CALL-ID it is that of the environment, RECOPTOUT_CALL_ID, where sip_recorder's --ear puts it. Audio on
 * stdin is what that gives: signed 16 bit, 8 kHz, one channel, live. pocketsphinx looks
 * for the phrases; when one is heard the call is opted out through the engine's socket, and a line of JSON says
 * what was heard, and when. With --mark a line tells when so many samples had arrived, to measure against.
 */
#include <recoptout/control.h>

#include <getopt.h>
#include <pocketsphinx.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FRAME = 160, PHRASES = 8 };

typedef struct ear {
	const char *control, *model, *call_id;
	const char *phrase[PHRASES];
	size_t phrases, mark, samples;
	int speaking;
	ps_decoder_t *decoder;
	int16_t before; /* the last sample of the last frame */
} ear;

static long long now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- pocketsphinx ---- */

/* Keyword spotting: a phrase and its threshold on each line. The file is read while the decoder is made. */
static int write_phrases(const ear *e, char *path)
{
	int fd = mkstemp(path);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	size_t i;

	if (f == NULL)
		return -1;
	for (i = 0; i < e->phrases; i++)
		(void)fprintf(f, "%s /1e-25/\n", e->phrase[i]);
	return fclose(f);
}

static int open_decoder(ear *e)
{
	char path[] = "/dev/shm/ear-XXXXXX", model[512], words[512];
	cmd_ln_t *config;

	(void)snprintf(model, sizeof model, "%s/en-us", e->model);
	(void)snprintf(words, sizeof words, "%s/cmudict-en-us.dict", e->model);
	if (write_phrases(e, path) != 0)
		return -1;
	config = cmd_ln_init(NULL, ps_args(), TRUE, "-hmm", model, "-dict", words, "-kws", path, "-logfn",
	                     "/dev/null", NULL);
	e->decoder = config != NULL ? ps_init(config) : NULL;
	cmd_ln_free_r(config);
	(void)unlink(path);
	return e->decoder != NULL ? 0 : -1;
}

/* The models are for 16 kHz: between each two samples comes their mean. */
static void hear(ear *e, const int16_t *in, size_t n)
{
	int16_t out[2 * FRAME];
	size_t i;

	for (i = 0; i < n; i++) {
		out[2 * i] = (int16_t)((e->before + in[i]) / 2);
		out[2 * i + 1] = in[i];
		e->before = in[i];
	}
	(void)ps_process_raw(e->decoder, out, 2 * n, FALSE, FALSE);
}

/* ---- what follows ---- */

static int object(const ear *e, const char *heard)
{
	rco_client *client = NULL;
	const char *receipt = NULL;
	long long heard_us = now_us();
	uint32_t status = 0;
	int rc = rco_client_connect(e->control, 5000, &client);

	if (rc == RCO_OK)
		rc = rco_client_opt_out(client, e->call_id, "spoken", &status, &receipt);
	(void)printf("{\"heard\":\"%s\",\"samples\":%zu,\"heard_us\":%lld,\"answered_us\":%lld,\"code\":\"%s\","
	             "\"status\":\"%s\"}\n",
	             heard, e->samples, heard_us, now_us(), rco_error_name(rc), rco_status_name(status));
	(void)fflush(stdout);
	if (rc < 0)
		(void)fprintf(stderr, "ear: %s: %s\n", rco_error_name(rc), rco_error_detail());
	rco_client_close(client);
	return rc < 0 ? 1 : 0;
}

static void mark(ear *e, size_t n)
{
	if (e->mark > e->samples && e->mark <= e->samples + n)
		(void)printf("{\"mark\":%zu,\"at_us\":%lld}\n", e->mark, now_us());
	e->samples += n;
}

/* A sentence that has ended is done with: what is looked for stands in one. */
static int next_sentence(ear *e)
{
	int speaks = ps_get_in_speech(e->decoder) != 0, ended = e->speaking && !speaks;

	e->speaking = speaks;
	return ended && (ps_end_utt(e->decoder) != 0 || ps_start_utt(e->decoder) != 0) ? -1 : 0;
}

static int listen_to(ear *e)
{
	int16_t frame[FRAME];
	size_t n;

	if (ps_start_utt(e->decoder) != 0)
		return 1;
	while ((n = fread(frame, sizeof frame[0], FRAME, stdin)) > 0) {
		const char *heard;
		int32 score;

		mark(e, n);
		hear(e, frame, n);
		heard = ps_get_hyp(e->decoder, &score);
		if (heard != NULL)
			return object(e, heard);
		if (next_sentence(e) != 0)
			return 1;
	}
	return 0;
}

static int usage(void)
{
	(void)fprintf(
		stderr,
		"usage: ear --control SOCKET --model DIR [--phrase WORDS]... [--mark SAMPLES] [CALL-ID] <audio\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {{"control", 1, NULL, 'c'},
	                                      {"model", 1, NULL, 'm'},
	                                      {"phrase", 1, NULL, 'p'},
	                                      {"mark", 1, NULL, 'k'},
	                                      {NULL, 0, NULL, 0}};
	ear e = {.model = "/usr/share/pocketsphinx/model/en-us"};
	int which, status;

	while ((which = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (which == 'c')
			e.control = optarg;
		else if (which == 'm')
			e.model = optarg;
		else if (which == 'p' && e.phrases < PHRASES)
			e.phrase[e.phrases++] = optarg;
		else if (which == 'k')
			e.mark = strtoul(optarg, NULL, 10);
		else
			return usage();
	}
	e.call_id = optind < argc && argv[optind][0] != '\0' ? argv[optind] : getenv("RECOPTOUT_CALL_ID");
	if (e.control == NULL || e.call_id == NULL || optind + 1 < argc)
		return usage();
	if (e.phrases == 0) {
		e.phrase[e.phrases++] = "stop the recording";
		e.phrase[e.phrases++] = "delete the recording";
		e.phrase[e.phrases++] = "do not record";
	}
	if (open_decoder(&e) != 0) {
		(void)fprintf(stderr,
		              "ear: no model in %s; install pocketsphinx-en-us, or a phrase has an unknown word\n",
		              e.model);
		return 1;
	}
	status = listen_to(&e);
	(void)ps_free(e.decoder);
	return status;
}
