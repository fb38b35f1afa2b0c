/* SPDX-License-Identifier: MIT */
/*
 * A telephony server that answers SIP calls, records both sides, and lets callers object: by keys, by their
 * phone's preference (RFC 7866), by a voice agent's tool call through a socket, before, during and shortly after
 * the call. On libre and librem; docs/telephony.md walks through it. `sip_recorder --help` lists what can be set.
 */
#include "recorder.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: sip_recorder --state DIR --output DIR [option]...\n"
	"\n"
	"  --listen ADDRESS:PORT   where to answer calls, UDP and TCP (127.0.0.1:5060)\n"
	"  --rtp-ports FROM-TO     UDP ports for audio, two for each call (20000-29999)\n"
	"  --state DIR             ledger, buffer and keys of the library\n"
	"  --output DIR            finished recordings\n"
	"  --stereo                caller and agent as the two channels of one file\n"
	"  --control PATH          a Unix socket for opt-outs by call id (the SIP Call-ID)\n"
	"  --no-opt-out            callers cannot object\n"
	"  --dtmf KEYS             keys that opt out (*9); an empty word: none\n"
	"  --recordpref WHAT       what a phone's recordpref:off does: ignore, stop or erase (erase)\n"
	"  --announcement FILE     WAV played at the start of each call\n"
	"  --confirmation FILE     WAV played when recording has stopped; it may claim no more than that\n"
	"  --agent FILE            WAV that the server says over and over (it repeats what it hears)\n"
	"  --transfer-to URI       whom a caller is connected with ...\n"
	"  --transfer-dtmf KEYS    ... by these keys (*1)\n"
	"  --ear COMMAND           started for each call, hears the caller on stdin; its Call-ID is in\n"
	"                          RECOPTOUT_CALL_ID (examples/ear)\n"
	"  --ring-ms N             ring so long before answering (0)\n"
	"  --window-ms N           an objection counts so long after hang-up (10000)\n"
	"  --linger-ms N           at the end, wait at most so long for what is to be stored (0)\n"
	"  --max-calls N           more are refused (1000)\n"
	"  --quiet                 no line for each thing that happens\n"
	"  --help                  this text\n"
	"\n"
	"WAV files are 8 kHz, mono, 16 bit. SIGINT or SIGTERM ends all calls and the program; a second one ends "
	"it at\n"
	"once, and the next start with the same folders goes on with what was left.\n";

/* ---- options ---- */

enum {
	O_LISTEN = 1,
	O_RTP,
	O_STATE,
	O_OUTPUT,
	O_STEREO,
	O_CONTROL,
	O_NO_OPT_OUT,
	O_DTMF,
	O_RECORDPREF,
	O_ANNOUNCEMENT,
	O_CONFIRMATION,
	O_AGENT,
	O_TRANSFER_TO,
	O_TRANSFER_DTMF,
	O_EAR,
	O_RING,
	O_WINDOW,
	O_LINGER,
	O_MAX_CALLS,
	O_QUIET,
	O_HELP
};

static const struct option known[] = {{"listen", 1, NULL, O_LISTEN},
                                      {"rtp-ports", 1, NULL, O_RTP},
                                      {"state", 1, NULL, O_STATE},
                                      {"output", 1, NULL, O_OUTPUT},
                                      {"stereo", 0, NULL, O_STEREO},
                                      {"control", 1, NULL, O_CONTROL},
                                      {"no-opt-out", 0, NULL, O_NO_OPT_OUT},
                                      {"dtmf", 1, NULL, O_DTMF},
                                      {"recordpref", 1, NULL, O_RECORDPREF},
                                      {"announcement", 1, NULL, O_ANNOUNCEMENT},
                                      {"confirmation", 1, NULL, O_CONFIRMATION},
                                      {"agent", 1, NULL, O_AGENT},
                                      {"transfer-to", 1, NULL, O_TRANSFER_TO},
                                      {"transfer-dtmf", 1, NULL, O_TRANSFER_DTMF},
                                      {"ear", 1, NULL, O_EAR},
                                      {"ring-ms", 1, NULL, O_RING},
                                      {"window-ms", 1, NULL, O_WINDOW},
                                      {"linger-ms", 1, NULL, O_LINGER},
                                      {"max-calls", 1, NULL, O_MAX_CALLS},
                                      {"quiet", 0, NULL, O_QUIET},
                                      {"help", 0, NULL, O_HELP},
                                      {NULL, 0, NULL, 0}};

static int number(const char *text, uint32_t max, uint32_t *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*out = (uint32_t)value;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value <= max;
}

static int ports(const char *text, options *o)
{
	unsigned from, to;
	char more;

	if (sscanf(text, "%u-%u%c", &from, &to, &more) != 2 || from < 1024 || to > 65535 || from >= to)
		return 0;
	o->rtp_min = (uint16_t)from;
	o->rtp_max = (uint16_t)to;
	return 1;
}

static int recordpref(const char *text, options *o)
{
	static const char *const words[] = {"ignore", "stop", "erase"};
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(text, words[i]) == 0)
			o->recordpref_off = RCO_OFF_IGNORED + i;
	return o->recordpref_off != RCO_OFF_DEFAULT;
}

static int keys(const char *text, const char **out)
{
	*out = text;
	return strlen(text) <= DIGITS_MAX && strspn(text, "0123456789*#ABCD") == strlen(text);
}

/* 1 if the value is one. */
static int take(options *o, int which, const char *value)
{
	switch (which) {
	case O_LISTEN:
		o->listen = value;
		return 1;
	case O_RTP:
		return ports(value, o);
	case O_STATE:
		o->state = value;
		return 1;
	case O_OUTPUT:
		o->output = value;
		return 1;
	case O_STEREO:
		o->stereo = 1;
		return 1;
	case O_CONTROL:
		o->control = value;
		return 1;
	case O_NO_OPT_OUT:
		o->opt_out = 0;
		return 1;
	case O_DTMF:
		return keys(value, &o->dtmf);
	case O_RECORDPREF:
		return recordpref(value, o);
	case O_ANNOUNCEMENT:
		o->announcement = value;
		return 1;
	case O_CONFIRMATION:
		o->confirmation = value;
		return 1;
	case O_AGENT:
		o->agent = value;
		return 1;
	case O_TRANSFER_TO:
		o->transfer_to = value;
		return 1;
	case O_TRANSFER_DTMF:
		return keys(value, &o->transfer_dtmf);
	case O_EAR:
		o->ear = value;
		return 1;
	case O_RING:
		return number(value, 60000, &o->ring_ms);
	case O_WINDOW:
		if (!number(value, 86400000, &o->late_opt_out_ms))
			return 0;
		o->late_opt_out_ms = o->late_opt_out_ms == 0 ? RCO_NONE_MS : o->late_opt_out_ms;
		return 1;
	case O_LINGER:
		return number(value, 86400000, &o->linger_ms);
	case O_MAX_CALLS:
		return number(value, 100000, &o->max_calls);
	default:
		o->quiet = 1;
		return 1;
	}
}

/* 0, or the exit status + 1. */
static int options_read(options *o, int argc, char **argv)
{
	int which, at;

	*o = (options){.listen = "127.0.0.1:5060",
	               .dtmf = "*9",
	               .transfer_dtmf = "*1",
	               .max_calls = 1000,
	               .rtp_min = 20000,
	               .rtp_max = 29999,
	               .opt_out = 1};
	while ((which = getopt_long(argc, argv, "", known, &at)) != -1) {
		if (which == O_HELP) {
			(void)fputs(usage, stdout);
			return 1;
		}
		if (which == '?' || !take(o, which, optarg)) {
			complain("%s%s%s", which == '?' ? "see --help" : "not possible: ",
			         which == '?' ? "" : known[at].name, which == '?' ? "" : "; see --help");
			return 3;
		}
	}
	if (o->state == NULL || o->output == NULL || optind < argc) {
		(void)fputs(usage, stderr);
		return 3;
	}
	return 0;
}

/* ---- life ---- */

static server the_server;

static void stop(int sig)
{
	if (the_server.closing) {
		re_cancel();
		return;
	}
	say(&the_server, "%s: ends %u calls", sig == SIGINT ? "SIGINT" : "SIGTERM", the_server.live);
	server_close(&the_server);
}

static int load(sound *s, const char *path)
{
	return path != NULL ? sound_load(s, path) : 0;
}

static int open_all(server *s)
{
	int err;

	s->frames = -1;
	err = sa_decode(&s->laddr, s->o.listen, strlen(s->o.listen));

	if (err != 0) {
		complain("--listen %s: want an address and a port", s->o.listen);
		return err;
	}
	err = load(&s->announcement, s->o.announcement);
	if (err == 0)
		err = load(&s->confirmation, s->o.confirmation);
	if (err == 0)
		err = load(&s->agent, s->o.agent);
	if (err == 0)
		err = engine_open(s);
	if (err != 0)
		return err;
	err = server_open(s);
	if (err != 0)
		complain("%s: %s", s->o.listen, strerror(err));
	return err;
}

static void close_all(server *s)
{
	while (!list_isempty(&s->calls))
		mem_deref(list_head(&s->calls)->data);
	server_stop_clock(s);
	s->sessions = mem_deref(s->sessions);
	s->sip = mem_deref(s->sip);
	engine_close(s);
	sound_free(&s->announcement);
	sound_free(&s->confirmation);
	sound_free(&s->agent);
}

int main(int argc, char **argv)
{
	server *s = &the_server;
	int early = options_read(&s->o, argc, argv), err;

	if (early != 0)
		return early - 1;
	(void)signal(SIGPIPE, SIG_IGN); /* an ear that has heard enough */
	err = libre_init();
	if (err == 0)
		err = fd_setsize(8192);
	if (err == 0)
		err = open_all(s);
	if (err == 0) {
		say(s, "answers at %s", s->o.listen);
		err = re_main(stop);
	}
	close_all(s);
	say(s,
	    "%llu calls answered, %llu opted out, %llu stored; %llu packets of a wrong type, %llu of strangers, "
	    "%llu "
	    "without a place",
	    (unsigned long long)s->answered, (unsigned long long)s->opted_out, (unsigned long long)s->stored,
	    (unsigned long long)s->wrong_type, (unsigned long long)s->strangers, (unsigned long long)s->unplaced);
	libre_close();
	return err == 0 ? 0 : 1;
}
