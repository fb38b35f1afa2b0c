/* SPDX-License-Identifier: MIT */
#include "keys.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SEGMENT = 0xffff, NEARLY = 0xf000, EVENT_SIZE = 4 };

static const char names[] = "0123456789*#ABCD";

/* ---- events (RFC 4733, section 2.3) ---- */

/*
 * A key that is held for longer than a duration can tell goes on as a segment of its own, whose timestamp is that
 * of the one before and the longest duration (RFC 4733, section 2.5.1.3).
 */
static int is_segment_of(const press *a, const press *b)
{
	uint32_t later = b->ts - a->ts;

	return !a->ended && later > 0 && later < 0x80000000u && later % SEGMENT == 0;
}

static int is_same(const press *a, const press *b)
{
	return a->used && a->ssrc == b->ssrc && a->code == b->code && (a->ts == b->ts || is_segment_of(a, b));
}

/*
 * Senders whose timestamp stands still: the same key again begins with a marker, or with a duration that is
 * shorter than the last one and is not just one that has passed its greatest value.
 */
static int is_again(const press *a, const press *b, int marker)
{
	int later = (int16_t)(uint16_t)(b->seq - a->seq) > 0;
	int shorter = b->duration < a->duration && (a->duration < NEARLY || a->ended);

	return a->ts == b->ts && later && ((a->ended && marker && !b->ended) || shorter);
}

static press read_press(const reorder_packet *p)
{
	return (press){.used = 1,
	               .code = p->data[0],
	               .ended = (p->data[1] & 0x80) != 0,
	               .ssrc = p->ssrc,
	               .ts = p->ts,
	               .seq = p->seq,
	               .duration = (uint16_t)(p->data[2] << 8 | p->data[3])};
}

/* What is known of a press, after another packet of it. */
static void goes_on(press *a, const press *b)
{
	if ((int16_t)(uint16_t)(b->seq - a->seq) <= 0)
		return;
	if (a->ts == b->ts && a->ended)
		return; /* a repetition of its end */
	*a = *b;
}

char keys_event(keypad *k, const reorder_packet *p)
{
	press now;
	unsigned i;

	if (p->size < EVENT_SIZE || p->data[0] >= sizeof names - 1)
		return 0; /* no key: a flash, a tone, a modem */
	now = read_press(p);
	for (i = 0; i < PRESSES; i++) {
		press *known = &k->presses[i];

		if (!is_same(known, &now))
			continue;
		if (!is_again(known, &now, p->marker)) {
			goes_on(known, &now);
			return 0;
		}
		*known = now;
		return names[now.code];
	}
	k->presses[k->next] = now;
	k->next = (k->next + 1) % PRESSES;
	return names[now.code];
}

/* ---- INFO ---- */

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A key by its name, or by the number of its event. */
static char key_of(const char *text, size_t size)
{
	char digit[4] = "";
	size_t n = 0;
	long code;

	while (size > 0 && is_blank(*text)) {
		text++;
		size--;
	}
	while (n < size && !is_blank(text[n]) && text[n] != ';' && text[n] != ',')
		n++;
	if (n == 1)
		return *text != '\0' && strchr("0123456789*#ABCDabcd", *text) != NULL
		               ? (char)(*text >= 'a' ? *text - 'a' + 'A' : *text)
		               : 0;
	if (n != 2 || text[0] != '1' || text[1] < '0' || text[1] > '5')
		return 0;
	memcpy(digit, text, n);
	code = strtol(digit, NULL, 10);
	return names[code];
}

/* "Signal=5" (application/dtmf-relay), "d=5" (the same by Nortel), or the key alone (application/dtmf). */
char keys_info(const char *body, size_t size)
{
	size_t at = 0, end;

	while (at < size) {
		const char *line = body + at, *value;

		for (end = at; end < size && body[end] != '\r' && body[end] != '\n';)
			end++;
		value = memchr(line, '=', end - at);
		if (value == NULL && end > at)
			return key_of(line, end - at);
		if (value != NULL) {
			size_t n = (size_t)(value - line);

			while (n > 0 && is_blank(line[n - 1]))
				n--;
			if ((n == 6 && strncasecmp(line, "signal", n) == 0) ||
			    (n == 1 && strncasecmp(line, "d", n) == 0))
				return key_of(value + 1, end - at - (size_t)(value + 1 - line));
		}
		at = end + 1;
	}
	return 0;
}

/* ---- sequences ---- */

static void insert(digits *d, size_t at, uint32_t number, char key)
{
	size_t n = strlen(d->last);

	if (n == DIGITS_MAX) { /* the first one goes */
		if (at == 0)
			return;
		memmove(d->last, d->last + 1, n);
		memmove(d->numbers, d->numbers + 1, (n - 1) * sizeof *d->numbers);
		n--;
		at--;
	}
	memmove(d->last + at + 1, d->last + at, n - at + 1);
	memmove(d->numbers + at + 1, d->numbers + at, (n - at) * sizeof *d->numbers);
	d->last[at] = key;
	d->numbers[at] = number;
}

void digits_add(digits *d, char key)
{
	insert(d, strlen(d->last), 0, key);
}

void digits_place(digits *d, uint32_t number, char key)
{
	size_t at = strlen(d->last);

	while (at > 0 && d->numbers[at - 1] > number)
		at--;
	if (at == 0 || d->numbers[at - 1] != number)
		insert(d, at, number, key);
}

int digits_hold(const digits *d, const char *sequence)
{
	return sequence != NULL && sequence[0] != '\0' && strstr(d->last, sequence) != NULL;
}

void digits_clear(digits *d)
{
	d->last[0] = '\0';
}
