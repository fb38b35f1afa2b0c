/* SPDX-License-Identifier: MIT */
/* What happens, as it is told: a line of text, a line of JSON, and a record for the view and the picture. */
#include "simulator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double now_s(const call *c)
{
	return (double)(c->t->now_us - c->began_us) / 1e6;
}

/* The character at `text`, in UTF-8, and its length; what is malformed is one byte, and no character. */
static size_t character(const unsigned char *text, uint32_t *value)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size = text[0] < 0x80 ? 1 : text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : text[0] >= 0xc2 ? 2 : 0, i;

	*value = size == 1 ? text[0] : text[0] & (0xffu >> (size + 1));
	for (i = 1; i < size && (text[i] & 0xc0) == 0x80; i++)
		*value = *value << 6 | (text[i] & 0x3fu);
	if (size > 0 && i == size && *value >= least[size] && *value <= 0x10ffff &&
	    (*value < 0xd800 || *value >= 0xe000))
		return size;
	*value = 0;
	return 1;
}

/* Not a control character, nor one that turns the direction of what follows. */
static int is_printable(uint32_t value)
{
	return value >= 0x20 && (value < 0x7f || value >= 0xa0) && value != 0x200e && value != 0x200f &&
	       !(value >= 0x2028 && value <= 0x202e) && !(value >= 0x2060 && value <= 0x206f) && value != 0xfeff;
}

void clean(char *text)
{
	const unsigned char *from = (const unsigned char *)text;
	char *to = text;

	while (*from != '\0') {
		uint32_t value;
		size_t size = character(from, &value);

		if (is_printable(value)) {
			memmove(to, from, size);
			to += size;
		} else {
			*to++ = value == '\n' || value == '\t' || value == '\r' ? ' ' : '?';
		}
		from += size;
	}
	*to = '\0';
}

size_t told_first(const story *t)
{
	return t->count > TOLD_LINES ? t->count - TOLD_LINES : 0;
}

const told *told_at(const story *t, size_t number)
{
	return &t->lines[number % TOLD_LINES];
}

void told_print(FILE *to, const told *line)
{
	(void)fprintf(to, "%7.2f  %-11s %s\n", line->at_s, line->what, line->text);
	(void)fflush(to);
}

static const told *keep(call *c, const char *what, const char *text)
{
	told *line = &c->t->lines[c->t->count % TOLD_LINES];

	line->at_s = now_s(c);
	(void)snprintf(line->what, sizeof line->what, "%s", what);
	if (snprintf(line->text, sizeof line->text - 4, "%s", text) >= (int)sizeof line->text - 4) {
		size_t cut = strlen(line->text);

		while (cut > 0 && ((unsigned char)line->text[cut - 1] & 0xc0) == 0x80)
			cut--;
		memcpy(line->text + (cut > 0 ? cut - 1 : 0), "\xe2\x80\xa6",
		       4); /* over the last character's beginning */
	}
	clean(line->text);
	c->t->count++;
	return line;
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
	const told *line = keep(c, what, text);

	if (c->o->json)
		tell_json(c, what, json_pack("{s:s}", "text", line->text));
	else if (c->view == NULL)
		told_print(stdout, line);
}

static void note_moment(call *c, uint32_t type)
{
	static const struct {
		uint32_t type;
		int moment;
	} known[] = {{RCO_EVENT_OPTED_OUT, STOPPED},
	             {RCO_EVENT_DURABLE, DURABLE},
	             {RCO_EVENT_ERASED, ERASED},
	             {RCO_EVENT_VERIFIED, VERIFIED},
	             {RCO_EVENT_SWEPT, SWEPT}};
	size_t i;

	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].type == type && c->t->moment[known[i].moment] < 0)
			c->t->moment[known[i].moment] = now_s(c);
}

void tell_event(call *c, const rco_event *e)
{
	char text[TOLD_MAX];
	const told *line;

	note_moment(c, e->type);
	(void)snprintf(text, sizeof text, "%s%s%s%s%s", rco_event_name(e->type), e->message[0] != '\0' ? ": " : "",
	               e->message, e->code != 0 ? ", " : "", e->code != 0 ? rco_error_name(e->code) : "");
	line = keep(c, "event", text);
	if (c->judged) /* what follows is the engine's end */
		return;
	if (!c->o->json) {
		if (c->view == NULL)
			told_print(stdout, line);
		return;
	}
	(void)snprintf(text, sizeof text, "%s", e->message);
	clean(text);
	tell_json(c, "event",
	          json_pack("{s:s, s:s, s:I, s:s, s:s}", "event", rco_event_name(e->type), "status",
	                    rco_status_name(e->status), "count", (json_int_t)e->count, "error",
	                    rco_error_name(e->code), "message", text));
}
