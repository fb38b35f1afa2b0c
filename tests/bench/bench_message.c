/* SPDX-License-Identifier: MIT */
/* Reading messages of platforms, beside jansson building a tree of the same bytes. */
#include "bench.h"

#include "../../lib/agent/tool.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 15, SIZE = 4 << 20 };

typedef struct text {
	const char *what;
	const char *before, *again, *after;
	size_t pieces;
	char *json;
	size_t size;
} text;

#define CALL                                                                                                      \
	"{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"recording_opt_out\",\"arguments\":\"{" \
	"}\"}}"

static text texts[] = {
	{"a tool call of 300 bytes", "",
         "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\","
         "\"choices\":[{\"index\":0,"
         "\"message\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" CALL
         "]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"total_tokens\":117}}\n",
         "", 0, NULL, 0},
	{"a call behind a transcript", "{\"message\":{\"type\":\"tool-calls\",\"artifact\":{\"messages\":[",
         "{\"role\":\"bot\",\"message\":\"Good morning, thank you for calling. How may I help you "
         "today?\",\"time\":1700000000123,"
         "\"endTime\":1700000004567,\"secondsFromStart\":12.875,\"duration\":4444,\"source\":\"\"},",
         "{}]},\"toolCallList\":[" CALL "]}}", 1, NULL, 0},
	{"audio in an event", "{\"type\":\"response.output_audio.delta\",\"delta\":\"",
         "UklGRiQAAABXQVZFZm10IBAAAAAB", "\"}", 1, NULL, 0},
	{"many calls of other tools", "{\"role\":\"assistant\",\"tool_calls\":[",
         "{\"id\":\"call_2\",\"type\":\"function\",\"function\":{\"name\":\"book_table\",\"arguments\":\"{"
         "\\\"people\\\":4,"
         "\\\"name\\\":\\\"Smith\\\"}\"}},",
         CALL "]}", 1, NULL, 0},
};

static void make(text *t)
{
	const size_t before = strlen(t->before), again = strlen(t->again), after = strlen(t->after);
	const size_t times = (SIZE - before - after) / again;
	size_t i;

	t->size = before + times * again + after;
	t->json = malloc(t->size + 1);
	if (t->json == NULL)
		b_die("message: no memory");
	memcpy(t->json, t->before, before);
	for (i = 0; i < times; i++)
		memcpy(t->json + before + i * again, t->again, again);
	memcpy(t->json + before + times * again, t->after, after + 1);
	if (t->pieces == 0)
		t->pieces = times; /* each is a message of its own */
}

static void ours(void *arg)
{
	const text *t = arg;
	const size_t size = t->size / t->pieces;
	size_t i;

	for (i = 0; i < t->pieces; i++) {
		rco__message m;

		rco__message_begin(&m, RCO_DIALECT_AUTO);
		rco__message_feed(&m, t->json + i * size, size);
		rco__message_end(&m);
		b_use(&m);
		rco__message_free(&m);
	}
}

static void janssons(void *arg)
{
	const text *t = arg;
	const size_t size = t->size / t->pieces;
	size_t i;

	for (i = 0; i < t->pieces; i++) {
		json_t *root = json_loadb(t->json + i * size, size, 0, NULL);

		if (root == NULL)
			b_die("message: jansson cannot read %s", t->what);
		b_use(root);
		json_decref(root);
	}
}

void b_message(void)
{
	size_t i;

	for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		text *t = &texts[i];
		b_spread is, peer;
		char what[128];

		make(t);
		is = b_rounds(ROUNDS, (double)t->size / 1e6, ours, t);
		peer = b_rounds(ROUNDS, (double)t->size / 1e6, janssons, t);
		(void)snprintf(what, sizeof what, "reading %s", t->what);
		b_report(&(b_row){.what = what,
		                  .unit = "MB/s",
		                  .value = 1e9 / is.p50,
		                  .low = 1e9 / is.p90,
		                  .high = 1e9 / is.p10,
		                  .beside = "jansson, a tree of the same bytes",
		                  .beside_value = 1e9 / peer.p50,
		                  .compared = peer.p50 / is.p50,
		                  .how = "value / beside",
		                  .kind = B_AT_LEAST,
		                  .goal = 1.0});
		free(t->json);
	}
}
