/* SPDX-License-Identifier: MIT */
/* Words of a text that is no JSON (plain.h), and what is around them. */
#ifndef RCO_AGENT_PLAIN_WORDS_H
#define RCO_AGENT_PLAIN_WORDS_H

#include "plain.h"

#include <string.h>

/* rco__plain.label: what a person says may go on in further lines. */
enum { RCO__LABEL_LINES = 1, RCO__LABEL_LINE, RCO__LABEL_PERSON };

enum { RCO__NOBODY, RCO__MODEL, RCO__SOMEBODY_ELSE }; /* rco__plain.speaker */

typedef struct rco__word {
	const char *text;
	size_t size;
} rco__word;

/* Letters and digits of ASCII; not by the host's locale. */
static inline char rco__lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static inline int rco__is_alnum(char c)
{
	return (rco__lower(c) >= 'a' && rco__lower(c) <= 'z') || (c >= '0' && c <= '9');
}

/* A letter of any script, as far as bytes tell. */
static inline int rco__is_letter(char c)
{
	return (rco__lower(c) >= 'a' && rco__lower(c) <= 'z') || (unsigned char)c >= 0x80;
}

static inline int rco__is_of_word(char c)
{
	return rco__is_alnum(c) || c == '_';
}

static inline int rco__is_in(char c, const char *set)
{
	if ((rco__lower(c) >= 'a' && rco__lower(c) <= 'z') || c == '\0')
		return 0; /* no set has a letter */
	while (*set != '\0' && *set != c)
		set++;
	return *set != '\0';
}

/* `list`: words with a blank around each. */
static inline int rco__is_one_of(rco__word w, const char *list)
{
	const char *at;
	size_t i;

	if (w.size == 0)
		return 0;
	for (at = list + 1; *at != '\0'; at++) {
		for (i = 0; i < w.size && rco__lower(w.text[i]) == at[i]; i++)
			;
		if (i == w.size && at[i] == ' ')
			return 1;
		for (at += i; *at != ' '; at++)
			;
	}
	return 0;
}

static inline int rco__ends_with(rco__word w, const char *end)
{
	const size_t n = strlen(end);
	size_t i;

	if (w.size < n)
		return 0;
	for (i = 0; i < n && rco__lower(w.text[w.size - n + i]) == end[i]; i++)
		;
	return i == n;
}

/* ---- moving in the text ---- */

#define RCO__QUOTES "'\"`\\"
#define RCO__BLANKS " \t"

static inline size_t rco__skip(const rco__plain *p, size_t at, const char *set)
{
	while (at < p->size && rco__is_in(p->part[at], set))
		at++;
	return at;
}

static inline size_t rco__skip_back(const rco__plain *p, size_t at, const char *set)
{
	while (at > 0 && rco__is_in(p->part[at - 1], set))
		at--;
	return at;
}

static inline rco__word rco__word_at(const rco__plain *p, size_t at)
{
	size_t end = at;

	while (end < p->size && rco__is_of_word(p->part[end]))
		end++;
	return (rco__word){p->part + at, end - at};
}

static inline rco__word rco__word_before(const rco__plain *p, size_t end)
{
	size_t at = end;

	while (at > 0 && rco__is_of_word(p->part[at - 1]))
		at--;
	return (rco__word){p->part + at, end - at};
}

/* The value behind `"key":` or `key=`; empty if there is none. */
static inline rco__word rco__value_behind(const rco__plain *p, rco__word key)
{
	const size_t from = rco__skip(p, (size_t)(key.text - p->part) + key.size, RCO__QUOTES RCO__BLANKS);
	const size_t at = rco__skip(p, from, ":=" RCO__QUOTES RCO__BLANKS);

	return from < p->size && rco__is_in(p->part[from], ":=") ? rco__word_at(p, at) : (rco__word){p->part, 0};
}

/* What is before `at` ends in this. */
static inline int rco__is_behind(const rco__plain *p, size_t at, const char *text)
{
	return rco__ends_with((rco__word){p->part, at}, text);
}

/* ---- plain_speaker.c ---- */

/* A class that an SDK prints: of a call, of what came of one. */
int rco__is_call_class(rco__word w);
int rco__is_result_class(rco__word w);

/* A word begins at `at`: who speaks from here on, whether it is an error, a trace. */
void rco__note_word(rco__plain *p, size_t at, rco__word w);

#endif
