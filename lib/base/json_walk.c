/* SPDX-License-Identifier: MIT */
#include "json_walk.h"

#include <string.h>

enum {
	TOP,     /* in no value */
	VALUE,   /* behind a colon */
	ITEM,    /* of an array, or its end */
	MEMBER,  /* a key, or the end of the object */
	COLON,   /* between key and value */
	AFTER,   /* behind a value: a comma or an end */
	TEXT,    /* in a key or string */
	ESCAPE,  /* in a key or string, behind a backslash */
	WORD,    /* in a number or word */
	SKIPPED, /* in what is told as raw bytes */
	GARBAGE
};

static int emit(rco__json_walk *w, int last, const char *text, size_t size, const char *raw, size_t raw_size)
{
	const rco__json_event e = {.type = (rco__json_type)w->type,
	                           .depth = w->depth,
	                           .first = !w->begun,
	                           .last = last,
	                           .text = text,
	                           .size = size,
	                           .raw = raw,
	                           .raw_size = raw_size};

	w->begun = !last;
	return w->on(w->user, &e);
}

static int emit_raw(rco__json_walk *w, int type, int last, const char *raw, size_t size)
{
	w->type = type;
	return emit(w, last, raw, size, raw, size);
}

static void value_done(rco__json_walk *w)
{
	w->values += w->depth == 0;
	w->state = w->depth == 0 ? TOP : AFTER;
}

/* ---- what is skipped ---- */

static void skip(rco__json_walk *w, uint64_t brackets)
{
	w->skipped = brackets;
	w->quoted = w->escaped = 0;
	w->state = SKIPPED;
}

/* The quote, or backslash, that comes next. `quote` keeps the place of the next quote, so that many backslashes do
 * not make it looked for as often. */
static const char *next_in_text(const char *at, const char *end, const char **quote)
{
	const char *slash;

	if (*quote == NULL || *quote < at) {
		*quote = memchr(at, '"', (size_t)(end - at));
		if (*quote == NULL)
			*quote = end;
	}
	slash = memchr(at, '\\', (size_t)(*quote - at));
	return slash != NULL ? slash : *quote;
}

/* Returns what is behind the value, or `end`. */
static const char *find_skip_end(rco__json_walk *w, const char *at, const char *end, int *done)
{
	const char *quote = NULL;

	for (*done = 0; at < end && !*done;) {
		if (w->escaped) {
			w->escaped = 0;
			at++;
		} else if (w->quoted) {
			at = next_in_text(at, end, &quote);
			if (at == end)
				break;
			if (*at++ == '\\')
				w->escaped = 1;
			else
				*done = (w->quoted = 0, w->skipped == 0);
		} else {
			const char c = *at++;

			if (c == '"')
				w->quoted = 1;
			else if (c == '{' || c == '[')
				w->skipped++;
			else if (c == '}' || c == ']')
				*done = --w->skipped == 0;
		}
	}
	return at;
}

static const char *read_skipped(rco__json_walk *w, const char *at, const char *end)
{
	int done;
	const char *from = at;

	at = find_skip_end(w, at, end, &done);
	(void)emit_raw(w, RCO__JSON_RAW, done, from, (size_t)(at - from));
	if (done)
		value_done(w);
	return at;
}

/* ---- numbers and words ---- */

static int is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '+' || c == '.' || c == '_';
}

/* RFC 8259, 6: the place in the grammar of numbers behind one more character. */
static int number_step(int place, char c)
{
	enum { START, SIGN, ZERO, WHOLE, POINT, FRACTION, E, E_SIGN, EXPONENT, NO };
	const int digit = c >= '0' && c <= '9', e = c == 'e' || c == 'E';

	switch (place) {
	case START:
		if (c == '-')
			return SIGN;
		return c == '0' ? ZERO : digit ? WHOLE : NO;
	case SIGN:
		return c == '0' ? ZERO : digit ? WHOLE : NO;
	case ZERO:
	case WHOLE:
		if (digit)
			return place == WHOLE ? WHOLE : NO;
		return c == '.' ? POINT : e ? E : NO;
	case POINT:
	case FRACTION:
		return digit ? FRACTION : e && place == FRACTION ? E : NO;
	case E:
		return c == '+' || c == '-' ? E_SIGN : digit ? EXPONENT : NO;
	case E_SIGN:
	case EXPONENT:
		return digit ? EXPONENT : NO;
	default:
		return NO;
	}
}

int rco__json_is_number(const rco__json_walk *w)
{
	return w->number == 2 || w->number == 3 || w->number == 5 || w->number == 8;
}

static int is_literal(const rco__json_walk *w)
{
	return (w->word_size == 4 && (memcmp(w->word, "true", 4) == 0 || memcmp(w->word, "null", 4) == 0)) ||
	       (w->word_size == 5 && memcmp(w->word, "false", 5) == 0);
}

static void begin_word(rco__json_walk *w, char c)
{
	w->word_size = 0;
	w->number = 0;
	w->state = WORD;
	if (w->skip_next)
		w->type = RCO__JSON_RAW;
	else
		w->type = c == '-' || (c >= '0' && c <= '9') ? RCO__JSON_NUMBER : RCO__JSON_WORD;
	w->skip_next = 0;
}

static void end_word(rco__json_walk *w, const char *from, size_t size)
{
	w->odd |= !rco__json_is_number(w) && !is_literal(w);
	(void)emit(w, 1, from, size, from, size);
	value_done(w);
}

static const char *read_word(rco__json_walk *w, const char *at, const char *end)
{
	const char *from = at;

	for (; at < end && is_word(*at); at++) {
		w->number = number_step(w->number, *at);
		if (w->word_size < sizeof w->word)
			w->word[w->word_size++] = *at;
	}
	if (at < end)
		end_word(w, from, (size_t)(at - from));
	else
		(void)emit(w, 0, from, (size_t)(at - from), from, (size_t)(at - from));
	return at;
}

/* ---- keys and strings ---- */

static void text_done(rco__json_walk *w, int answer)
{
	if (w->type == RCO__JSON_KEY) {
		w->skip_next = answer == RCO__JSON_SKIP;
		w->state = COLON;
	} else {
		value_done(w);
	}
}

static void begin_text(rco__json_walk *w, rco__json_type type)
{
	w->type = (int)type;
	w->opened = 0;
	w->state = TEXT;
}

static const char *read_text(rco__json_walk *w, const char *at, const char *end)
{
	const char *raw = at, *text;

	if (!w->opened) {
		at++;
		w->opened = 1;
	}
	for (text = at; at < end && *at != '"' && *at != '\\'; at++)
		w->odd |= (unsigned char)*at < 0x20;
	if (at < end && *at == '"') {
		text_done(w, emit(w, 1, text, (size_t)(at - text), raw, (size_t)(at + 1 - raw)));
		return at + 1;
	}
	if (at > raw)
		(void)emit(w, 0, text, (size_t)(at - text), raw, (size_t)(at - raw));
	if (at < end) {
		w->held_size = 0;
		w->state = ESCAPE;
	}
	return at;
}

static size_t put_utf8(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* The first `size` held bytes mean this character. */
static void emit_held(rco__json_walk *w, uint32_t c, size_t size)
{
	char text[4];

	(void)emit(w, 0, text, put_utf8(c, text), w->held, size);
	memmove(w->held, w->held + size, w->held_size - size);
	w->held_size -= size;
	if (w->held_size == 0)
		w->state = TEXT;
}

enum { REPLACEMENT = 0xfffd };

static void emit_odd(rco__json_walk *w, size_t size)
{
	w->odd |= RCO__ODD;
	emit_held(w, REPLACEMENT, size);
}

static void tell_half(rco__json_walk *w, size_t size)
{
	w->odd |= RCO__ODD_HALF;
	emit_held(w, REPLACEMENT, size);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint32_t held_unit(const rco__json_walk *w, size_t at)
{
	uint32_t unit = 0;
	size_t i;

	for (i = at + 2; i < at + 6; i++)
		unit = unit << 4 | (uint32_t)hex(w->held[i]);
	return unit;
}

static int is_high(uint32_t unit)
{
	return (unit & 0xfc00) == 0xd800;
}

static int is_low(uint32_t unit)
{
	return (unit & 0xfc00) == 0xdc00;
}

/* Six bytes are held, or twelve of which the first six are a high surrogate. */
static void unit_done(rco__json_walk *w)
{
	uint32_t first = held_unit(w, 0), second;

	if (w->held_size == 12) {
		second = held_unit(w, 6);
		if (is_low(second)) {
			emit_held(w, 0x10000 + ((first & 0x3ff) << 10) + (second & 0x3ff), 12);
			return;
		}
		tell_half(w, 6);
		first = second;
	}
	if (is_low(first))
		tell_half(w, 6);
	else if (!is_high(first))
		emit_held(w, first, 6);
}

static void simple_escape(rco__json_walk *w, char c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found = c != '\0' ? strchr(from, c) : NULL;
	char text = found != NULL ? to[found - from] : c;

	w->odd |= found == NULL;
	(void)emit(w, 0, &text, 1, w->held, w->held_size);
	w->held_size = 0;
	w->state = TEXT;
}

/* Returns 0 if the character is not of the escape, and has to be read again. */
static int take_escape(rco__json_walk *w, char c)
{
	const size_t place = w->held_size % 6;

	if (w->held_size == 6 && c != '\\') { /* half a pair, and no other half */
		tell_half(w, 6);
		return 0;
	}
	if (w->held_size == 7 && c != 'u') {
		tell_half(w, 6);
		return 0;
	}
	if (place >= 2 && hex(c) < 0) { /* of a pair, the first half has no second either */
		if (w->held_size > 6)
			tell_half(w, 6);
		emit_odd(w, w->held_size);
		return 0;
	}
	w->held[w->held_size++] = c;
	if (w->held_size == 2 && c != 'u')
		simple_escape(w, c);
	else if (w->held_size % 6 == 0)
		unit_done(w);
	return 1;
}

static const char *read_escape(rco__json_walk *w, const char *at, const char *end)
{
	while (at < end && w->state == ESCAPE)
		at += take_escape(w, *at);
	return at;
}

/* ---- objects and arrays ---- */

static void open_level(rco__json_walk *w, const char *at)
{
	const int object = *at == '{';

	if (w->skip_next) {
		w->skip_next = 0;
		skip(w, 0); /* the bracket itself is told with it */
		return;
	}
	if (emit_raw(w, object ? RCO__JSON_OBJECT : RCO__JSON_ARRAY, 1, at, 1) == RCO__JSON_SKIP ||
	    w->depth == RCO__JSON_LEVELS) {
		skip(w, 1);
		return;
	}
	w->is_object &= ~(UINT64_C(1) << w->depth);
	w->is_object |= (uint64_t)object << w->depth;
	w->depth++;
	w->comma = 0;
	w->state = object ? MEMBER : ITEM;
}

static int in_object(const rco__json_walk *w)
{
	return (w->is_object >> (w->depth - 1) & 1) != 0;
}

static void close_level(rco__json_walk *w, const char *at)
{
	const int object = in_object(w);

	w->depth--;
	(void)emit_raw(w, object ? RCO__JSON_OBJECT_END : RCO__JSON_ARRAY_END, 1, at, 1);
	value_done(w);
}

static const char *garbage(rco__json_walk *w, const char *at)
{
	w->odd |= RCO__ODD;
	w->begun = 0;
	w->type = RCO__JSON_GARBAGE;
	w->state = GARBAGE;
	return at;
}

static const char *read_value(rco__json_walk *w, const char *at)
{
	if (*at == '{' || *at == '[') {
		open_level(w, at);
		return w->state == SKIPPED && w->skipped == 0 ? at : at + 1;
	}
	if (*at == '"' && w->skip_next) {
		w->skip_next = 0;
		skip(w, 0);
		return at;
	}
	if (*at == '"')
		begin_text(w, RCO__JSON_STRING);
	else if (is_word(*at))
		begin_word(w, *at);
	else
		return garbage(w, at);
	return at;
}

static int is_close(const rco__json_walk *w, char c)
{
	return w->depth > 0 && c == (in_object(w) ? '}' : ']');
}

/* A character that is in no value. */
static const char *read_between(rco__json_walk *w, const char *at)
{
	const char c = *at;

	switch (w->state) {
	case ITEM:
	case MEMBER:
		if (is_close(w, c)) {
			w->odd |= w->comma;
			close_level(w, at);
			return at + 1;
		}
		if (w->state == ITEM)
			return read_value(w, at);
		if (c != '"')
			return garbage(w, at);
		begin_text(w, RCO__JSON_KEY);
		return at;
	case COLON:
		if (c != ':')
			return garbage(w, at);
		w->state = VALUE;
		return at + 1;
	case AFTER:
		if (is_close(w, c)) {
			close_level(w, at);
		} else if (c == ',') {
			w->comma = 1;
			w->state = in_object(w) ? MEMBER : ITEM;
		} else {
			return garbage(w, at);
		}
		return at + 1;
	default:
		return read_value(w, at);
	}
}

/* ---- the text as a whole ---- */

static const char byte_order_mark[] = "\xef\xbb\xbf";

static const char *read_blank_or(rco__json_walk *w, const char *at)
{
	if (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')
		return at + 1;
	if (*at == '\0' || (w->state == TOP && w->bom < 3 && *at == byte_order_mark[w->bom])) {
		w->bom += *at != '\0';
		w->odd |= RCO__ODD;
		return at + 1;
	}
	return read_between(w, at);
}

void rco__json_begin(rco__json_walk *w, rco__json_handler on, void *user)
{
	memset(w, 0, sizeof *w);
	w->on = on;
	w->user = user;
}

void rco__json_feed(rco__json_walk *w, const void *bytes, size_t size)
{
	const char *at = bytes, *end = size > 0 ? at + size : at;

	while (at < end) {
		switch (w->state) {
		case TEXT:
			at = read_text(w, at, end);
			break;
		case ESCAPE:
			at = read_escape(w, at, end);
			break;
		case WORD:
			at = read_word(w, at, end);
			break;
		case SKIPPED:
			at = read_skipped(w, at, end);
			break;
		case GARBAGE:
			(void)emit(w, 0, at, (size_t)(end - at), at, (size_t)(end - at));
			return;
		default:
			at = read_blank_or(w, at);
		}
	}
}

rco__json_ending rco__json_end(rco__json_walk *w)
{
	if (w->state == WORD && w->depth == 0)
		end_word(w, "", 0);
	if (w->state == GARBAGE)
		return RCO__JSON_BROKEN;
	if (w->state != TOP)
		return RCO__JSON_CUT;
	return w->values > 0 ? RCO__JSON_WHOLE : RCO__JSON_EMPTY;
}
