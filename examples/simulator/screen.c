/* SPDX-License-Identifier: MIT */
/* What is shown: lines, JSON, and on a terminal a status line that is drawn again and again. */
#include "simulator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

double now_s(const call *c)
{
	return (double)(c->now_us - c->began_us) / 1e6;
}

static int is_terminal(const call *c)
{
	return !c->o->json && !c->o->fast && isatty(STDOUT_FILENO);
}

static const char *colour_of(const char *what)
{
	if (strcmp(what, "caller") == 0)
		return "\033[36m";
	if (strcmp(what, "agent") == 0)
		return "\033[32m";
	if (strcmp(what, "untrue") == 0 || strcmp(what, "failed") == 0)
		return "\033[31m";
	return strncmp(what, "tool", 4) == 0 ? "\033[33m" : "\033[2m";
}

void tell_json(call *c, const char *what, json_t *more)
{
	json_t *line = json_pack("{s:f, s:s}", "t", round(now_s(c) * 1000) / 1000, "what", what);
	char *text;

	if (line != NULL && more != NULL)
		(void)json_object_update(line, more);
	text = line != NULL ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	if (text != NULL)
		(void)puts(text);
	(void)fflush(stdout);
	free(text);
	json_decref(line);
	json_decref(more);
}

void tell(call *c, const char *what, const char *text)
{
	if (c->o->json) {
		tell_json(c, what, json_pack("{s:s}", "text", text));
		return;
	}
	if (is_terminal(c))
		(void)printf("\r\033[K%7.2f  %s%-11s%s %s\n", now_s(c), colour_of(what), what, "\033[0m", text);
	else
		(void)printf("%7.2f  %-11s %s\n", now_s(c), what, text);
	(void)fflush(stdout);
}

void tell_event(call *c, const rco_event *e)
{
	char text[400];

	if (c->o->json) {
		tell_json(c, "event",
		          json_pack("{s:s, s:s, s:I, s:s, s:s}", "event", rco_event_name(e->type), "status",
		                    rco_status_name(e->status), "count", (json_int_t)e->count, "error",
		                    rco_error_name(e->code), "message", e->message));
		return;
	}
	(void)snprintf(text, sizeof text, "%s%s%s%s%s", rco_event_name(e->type), e->message[0] != '\0' ? ": " : "",
	               e->message, e->code != 0 ? ", " : "", e->code != 0 ? rco_error_name(e->code) : "");
	tell(c, "event", text);
}

static void bar(double level, char out[32])
{
	/* 60 dB in 10 places */
	int n = level > 0 ? (int)((20.0 * log10(level / 32768.0) + 60.0) / 6.0) : 0, i;

	if (n > 10)
		n = 10;
	for (i = 0; i < 10; i++)
		out[i] = i < n ? '#' : '.';
	out[10] = '\0';
}

void screen_draw(call *c)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	char caller[32], agent[32];

	if (!is_terminal(c) || c->session == NULL || rco_session_get_stats(c->session, &st) != RCO_OK)
		return;
	bar(c->level[CALLER], caller);
	bar(c->level[AGENT], agent);
	(void)printf("\r\033[K%7.2f  %-13s caller [%s] agent [%s] recorded %llu KiB", now_s(c),
	             rco_session_state_name(st.state), caller, agent,
	             (unsigned long long)(st.accepted_bytes / 1024));
	(void)fflush(stdout);
}

void screen_end(call *c)
{
	if (is_terminal(c))
		(void)printf("\r\033[K");
}
