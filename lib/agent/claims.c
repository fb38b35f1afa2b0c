/* SPDX-License-Identifier: MIT */
/*
 * What an agent's turn claims about the recording. The words are in claims/, one
 * file for each language, with the rules in its README. No model, no network:
 * the same text always gets the same answer.
 */
#include "sentences.h"

#include "../base/error.h"
#include "../base/status.h"

#include <string.h>

enum { WORDS_MAX = 400, LETTERS_MAX = 4096, GAP_MAX = 4 };

typedef enum word_role {
	TOPIC_ROLE,
	AUDIO_ROLE,
	OTHER_ROLE,
	IT_ROLE,
	STOPPED_ROLE,
	ERASED_ROLE,
	OFF_ROLE,
	GONE_ROLE,
	NOT_ROLE,
	NEVER_ROLE
} word_role;

typedef struct pattern {
	word_role role;
	const char *words;
} pattern;

#define TOPIC(words)   {TOPIC_ROLE, words},
#define AUDIO(words)   {AUDIO_ROLE, words},
#define OTHER(words)   {OTHER_ROLE, words},
#define IT(words)      {IT_ROLE, words},
#define STOPPED(words) {STOPPED_ROLE, words},
#define ERASED(words)  {ERASED_ROLE, words},
#define OFF(words)     {OFF_ROLE, words},
#define GONE(words)    {GONE_ROLE, words},
#define NOT(words)     {NOT_ROLE, words},
#define NEVER(words)   {NEVER_ROLE, words},

static const pattern en[] = {
#include "claims/en.def"
};
static const pattern de[] = {
#include "claims/de.def"
};
static const pattern fr[] = {
#include "claims/fr.def"
};
static const pattern es[] = {
#include "claims/es.def"
};
static const pattern it[] = {
#include "claims/it.def"
};
static const pattern nl[] = {
#include "claims/nl.def"
};
static const pattern pl[] = {
#include "claims/pl.def"
};
static const pattern pt[] = {
#include "claims/pt.def"
};
static const pattern tr[] = {
#include "claims/tr.def"
};

#define LANGUAGE(name)                                                                                            \
	{                                                                                                         \
#name, name, sizeof name / sizeof name[0]                                                         \
	}
static const struct language {
	const char *tag;
	const pattern *patterns;
	size_t count;
} languages[] = {LANGUAGE(en), LANGUAGE(de), LANGUAGE(fr), LANGUAGE(es), LANGUAGE(it),
                 LANGUAGE(nl), LANGUAGE(pl), LANGUAGE(pt), LANGUAGE(tr)};

/* ---- words ---- */

typedef struct word {
	const char *text; /* folded; NULL for the end of a clause or sentence */
	char end;         /* then ',', '.' or '?' */
} word;

typedef struct words {
	char letters[LETTERS_MAX];
	size_t used;
	word list[WORDS_MAX];
	size_t count;
} words;

/* The letter without its accent, of U+00C0 to U+017F (Latin-1 Supplement and Latin Extended-A). */
static char fold(uint32_t c)
{
	static const char plain[] = "aaaaaaaceeeeiiiidnooooo ouuuuytsaaaaaaaceeeeiiiidnooooo ouuuuyty"
				    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll"
				    "lllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
		return (char)c;
	return c >= 0xc0 && c <= 0x17f ? plain[c - 0xc0] : ' ';
}

/* The next character of what may be UTF-8; anything broken counts as a space. */
static uint32_t next_char(const unsigned char *text, size_t size, size_t *at)
{
	unsigned char c = text[(*at)++];
	size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
	uint32_t value = c & (0x3fu >> more);

	if (c < 0x80)
		return c;
	if (c < 0xc0)
		return ' ';
	while (more-- > 0) {
		if (*at >= size || (text[*at] & 0xc0) != 0x80)
			return ' ';
		value = value << 6 | (text[(*at)++] & 0x3fu);
	}
	return value;
}

static char end_of(uint32_t c)
{
	switch (c) {
	case '.':
	case '!':
	case ';':
	case '\n':
	case 0x2026: /* ... as one character */
		return '.';
	case '?':
		return '?';
	case ',':
	case ':':
	case 0x2013: /* dashes */
	case 0x2014:
		return ',';
	default:
		return 0;
	}
}

static void add_end(words *w, char end)
{
	if (w->count > 0 && w->count < WORDS_MAX)
		w->list[w->count++] = (word){NULL, end};
}

/* Cuts text up from `*at` on, as much as there is room for: whole sentences, unless one is endless. */
static void split(words *w, const unsigned char *text, size_t size, size_t *at)
{
	size_t start = 0;

	w->used = w->count = 0;
	while (*at < size && w->count + 2 < WORDS_MAX && w->used + 2 < LETTERS_MAX) {
		uint32_t c = next_char(text, size, at);
		char letter = fold(c), end = end_of(c);

		if (letter != ' ') {
			w->letters[w->used++] = letter;
			continue;
		}
		if (w->used > start) {
			w->letters[w->used++] = '\0';
			w->list[w->count++] = (word){w->letters + start, 0};
			start = w->used;
		}
		if (end != 0)
			add_end(w, end);
		if ((end == '.' || end == '?') && w->count > WORDS_MAX / 2)
			return;
	}
	if (w->used > start) {
		w->letters[w->used++] = '\0';
		w->list[w->count++] = (word){w->letters + start, 0};
	}
}

/* ---- matching ---- */

static int word_is(const char *text, const char *want, size_t size)
{
	if (size > 0 && want[size - 1] == '*')
		return strncmp(text, want, size - 1) == 0;
	return strlen(text) == size && strncmp(text, want, size) == 0;
}

/* Do the pattern's words stand from here on, side by side but for what "+" leaves room for? */
static int stands_at(const word *w, size_t left, const char *want)
{
	while (*want != '\0') {
		size_t size = strcspn(want, " "), gap;
		const char *rest = want + size + (want[size] == ' ');

		if (size == 1 && *want == '+') {
			for (gap = 0; gap <= GAP_MAX && gap <= left; gap++)
				if (stands_at(w + gap, left - gap, rest))
					return 1;
			return 0;
		}
		if (left == 0 || w->text == NULL || !word_is(w->text, want, size))
			return 0;
		want = rest;
		w++;
		left--;
	}
	return 1;
}

/* The most words that a pattern covers. */
static size_t reach(const char *want)
{
	size_t n = 1;

	for (; *want != '\0'; want++)
		n += *want == ' ' ? 1u : *want == '+' ? GAP_MAX - 1u : 0u;
	return n;
}

/* Is the word at `at` part of something else that only sounds like the topic? */
static int is_other(const struct language *l, const word *w, size_t count, size_t at)
{
	size_t k, i;

	for (k = 0; k < l->count; k++) {
		size_t n = reach(l->patterns[k].words);

		for (i = at + 1 > n ? at + 1 - n : 0; l->patterns[k].role == OTHER_ROLE && i <= at; i++)
			if (stands_at(w + i, count - i, l->patterns[k].words))
				return 1;
	}
	return 0;
}

static int holds(const struct language *l, word_role role, const word *w, size_t count)
{
	size_t i, k;

	for (k = 0; k < l->count; k++)
		for (i = 0; l->patterns[k].role == role && i < count; i++)
			if (stands_at(w + i, count - i, l->patterns[k].words) &&
			    ((role != TOPIC_ROLE && role != AUDIO_ROLE) || !is_other(l, w, count, i)))
				return 1;
	return 0;
}

/* `about`: RCO_CLAIM_STOPPED if recording is spoken of, RCO_CLAIM_ERASED if what was recorded is. */
static uint32_t clause(const struct language *l, const word *w, size_t count, uint32_t about)
{
	uint32_t claims = (holds(l, OFF_ROLE, w, count) ? RCO_CLAIM_STOPPED : 0u) |
	                  (holds(l, GONE_ROLE, w, count) ? RCO_CLAIM_ERASED : 0u);

	if (about == 0 || holds(l, NOT_ROLE, w, count))
		return claims;
	return claims | (((holds(l, STOPPED_ROLE, w, count) ? RCO_CLAIM_STOPPED : 0u) |
	                  (holds(l, ERASED_ROLE, w, count) ? RCO_CLAIM_ERASED : 0u)) &
	                 about);
}

static uint32_t topic(const struct language *l, const word *w, size_t count)
{
	if (holds(l, TOPIC_ROLE, w, count) || holds(l, OFF_ROLE, w, count) || holds(l, GONE_ROLE, w, count))
		return RCO_CLAIM_STOPPED | RCO_CLAIM_ERASED;
	return holds(l, AUDIO_ROLE, w, count) ? RCO_CLAIM_ERASED : 0u;
}

/* One sentence, without the mark at its end. `known`: what earlier ones were about. */
static uint32_t sentence(const struct language *l, const word *w, size_t count, uint32_t *known)
{
	uint32_t about = holds(l, IT_ROLE, w, count) ? *known : 0u;
	uint32_t claims = 0;
	size_t i, from = 0;

	*known |= topic(l, w, count);
	if (holds(l, NEVER_ROLE, w, count))
		return 0;
	for (i = 0; i <= count; i++) {
		if (i < count && w[i].text != NULL)
			continue;
		about |= topic(l, w + from, i - from);
		claims |= clause(l, w + from, i - from, about);
		from = i + 1;
	}
	return claims;
}

static uint32_t claims_of(const struct language *l, const words *w, uint32_t *known)
{
	uint32_t claims = 0;
	size_t i, from = 0;

	for (i = 0; i <= w->count; i++) {
		char end = i == w->count ? '.' : w->list[i].text == NULL ? w->list[i].end : (char)0;
		uint32_t one;

		if (end != '.' && end != '?')
			continue;
		one = sentence(l, w->list + from, i - from, known);
		if (end != '?')
			claims |= one;
		from = i + 1;
	}
	return claims;
}

static uint32_t claims_in(const struct language *l, const char *text, size_t size)
{
	uint32_t claims = 0, known = 0;
	size_t at = 0;
	words w;

	while (at < size) {
		split(&w, (const unsigned char *)text, size, &at);
		claims |= claims_of(l, &w, &known);
	}
	rco_memzero(&w, sizeof w); /* what was said in a call */
	return claims;
}

static const struct language *find_language(const char *language)
{
	char tag[RCO__LANGUAGE_MAX + 1];
	size_t i;

	if (language == NULL || !rco__language_tag(language, tag))
		return NULL;
	do
		for (i = 0; i < sizeof languages / sizeof languages[0]; i++)
			if (strcmp(languages[i].tag, tag) == 0)
				return &languages[i];
	while (rco__language_shorten(tag));
	return NULL;
}

uint32_t rco_claims(const char *language, const char *text, size_t text_bytes)
{
	const struct language *l = find_language(language);
	uint32_t claims = 0;
	size_t i;

	if (text == NULL)
		return 0;
	if (l != NULL)
		return claims_in(l, text, text_bytes);
	for (i = 0; i < sizeof languages / sizeof languages[0]; i++)
		claims |= claims_in(&languages[i], text, text_bytes);
	return claims;
}

/* ---- are they true? ---- */

static uint32_t truth(uint32_t status)
{
	return (rco__status_stopped(status) ? RCO_CLAIM_STOPPED : 0u) |
	       (rco__status_deleted(status) ? RCO_CLAIM_ERASED : 0u);
}

int rco_session_check_claims(rco_session *session, const char *language, const char *text, size_t text_bytes,
                             uint32_t *untrue)
{
	rco_receipt *receipt = NULL;
	uint32_t wrong;
	int rc;

	rco__error_clear();
	if (untrue != NULL)
		*untrue = 0;
	if (text == NULL && text_bytes > 0)
		return rco__fail(RCO_E_INVALID, "text is NULL");
	rc = rco_session_receipt(session, &receipt);
	if (rc != RCO_OK && rc != RCO_E_NOT_FOUND)
		return rc;
	rco__error_clear();
	wrong = rco_claims(language, text, text_bytes) & ~truth(rco_receipt_status(receipt));
	rco_receipt_free(receipt);
	if (untrue != NULL)
		*untrue = wrong;
	if (wrong != 0)
		return rco_session_report_claim(session, wrong,
		                                wrong & RCO_CLAIM_ERASED
		                                        ? "the agent said that the recording is deleted"
		                                        : "the agent said that recording has stopped");
	return RCO_OK;
}
