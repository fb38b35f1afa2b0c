/* SPDX-License-Identifier: MIT */
/*
 * What a simulated agent understands of what is typed: phrases, in English and German, and not more. A language
 * model understands what is meant; this is for rehearsing what follows.
 */
#include "simulator.h"

#include <string.h>

enum { WORDS_MAX = 200, GAP_MAX = 4 };

typedef struct words {
	char letters[TEXT_MAX * 2];
	const char *list[WORDS_MAX];
	size_t count;
} words;

/* A word's "*" stands for any ending, "+" for up to four words. Letters are small and without accents. */
static const char *const objections[] = {
	/* English */
	"don t record",
	"dont record",
	"dont want + record*",
	"dont + record me",
	"don t + record me",
	"do not record",
	"not record this",
	"not record me",
	"not recording me",
	"stop + recording",
	"stop + record",
	"stop taping",
	"stop + taping",
	"stop + tape",
	"not + tape this",
	"not + tape me",
	"not taping",
	"not + taped",
	"t + tape this",
	"t + tape me",
	"t want + taped",
	"no taping",
	"quit recording",
	"no recording",
	"not to be recorded",
	"not be recorded",
	"not being recorded",
	"t want + recorded",
	"t want + recording",
	"not want + recorded",
	"not want + recording",
	"turn + recording off",
	"turn off + recording",
	"switch + recording off",
	"switch off + recording",
	"shut off + recording",
	"delete + recording",
	"erase + recording",
	"remove + recording",
	"delete + recorded",
	"erase + recorded",
	"object to + record*",
	"opt out + record*",
	"without + recording",
	"without being recorded",
	"recording off",
	"off the record please",
	"end the recording",
	"disable + recording",
	"cancel the recording",
	"rather not + recorded",
	/* German */
	"nicht aufnehmen",
	"nicht aufgenommen",
	"nicht + aufnehmen",
	"nicht + aufgenommen",
	"nicht aufzeichnen",
	"nicht aufgezeichnet",
	"nicht + aufzeichnen",
	"nicht + aufgezeichnet",
	"nicht mitschneiden",
	"nicht mitgeschnitten",
	"keine aufnahme",
	"keine aufzeichnung",
	"keinen mitschnitt",
	"ohne aufnahme",
	"ohne aufzeichnung",
	"aufnahme + stoppe*",
	"aufzeichnung + stoppe*",
	"stoppe* + aufnahme",
	"stoppe* + aufzeichnung",
	"aufnahme + beenden",
	"aufzeichnung + beenden",
	"beenden + aufnahme",
	"beenden + aufzeichnung",
	"aufnahme + aus",
	"aufzeichnung + aus",
	"aufnahme + abschalten",
	"aufzeichnung + abschalten",
	"aufnahme + ausschalten",
	"aufzeichnung + ausschalten",
	"aufnahme + losch*",
	"aufzeichnung + losch*",
	"losch* + aufnahme",
	"losch* + aufzeichnung",
	"loesch* + aufnahme",
	"aufnahme + loesch*",
	"mitschnitt + losch*",
	"losch* + mitschnitt",
	"aufhoren + aufzu*",
	"aufhoren + aufnahme",
	"aufhoren + aufzeichnung",
	"aufnahme + aufhoren",
	"aufzeichnung + aufhoren",
	"hor* + auf + aufzu*",
	"hor* + auf + aufnahme",
	"hor* + auf + aufnehmen",
	"hor* + auf + aufzeichn*",
	"hor* + auf + mitschn*",
	"hor* + auf + mitzuschn*",
	"hor* + aufnahme auf",
	"hor* + aufzeichnung auf",
	"unterlass* + aufnahme",
	"unterlass* + aufzeichnung",
	"aufnahme ab",
	"aufzeichnung ab",
	"nicht + mitschneiden",
	"nicht + mitgeschnitten",
	"aufnahme abbrechen",
	"brechen + aufnahme ab",
	"nehmen sie mich nicht auf",
	"widersprech* + auf*",
	"zeichnen sie + nicht auf",
};

/* Sounds like an objection, and is none. */
static const char *const others[] = {
	"don t mind",
	"do not mind",
	"no problem",
	"don t stop",
	"do not stop",
	"don t delete",
	"do not delete",
	"did you stop",
	"did you delete",
	"have you stopped",
	"have you deleted",
	"can you delete",
	"keep the recording",
	"why do you",
	"fine with",
	"why don t you",
	"macht mir nichts",
	"habe nichts dagegen",
	"nichts gegen",
	"nicht stoppen",
	"nicht loschen",
	"nicht beenden",
	"kein problem",
	"stort mich nicht",
	"warum",
	"behalten sie",
	"aufnahme ist in ordnung",
	"haben sie die aufnahme",
};

static char fold(unsigned char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* The letter under an accent of Latin-1, of which the second byte of UTF-8 is given. */
static char plain(unsigned char second)
{
	static const char letters[] = "aaaaaaaceeeeiiiidnooooo ouuuuytsaaaaaaaceeeeiiiidnooooo ouuuuyty";

	return second >= 0x80 && second < 0xc0 ? letters[second - 0x80] : ' ';
}

static void split(words *w, const char *text)
{
	char *to = w->letters;
	const char *at = text;
	int inside = 0;

	w->count = 0;
	for (; *at != '\0' && to < w->letters + sizeof w->letters - 2; at++) {
		unsigned char c = (unsigned char)*at;
		char letter = fold(c);

		if (c == 0xc3 && at[1] != '\0')
			letter = plain((unsigned char)*++at);
		if (!((letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9')))
			letter = ' ';
		if (letter == ' ') {
			if (inside)
				*to++ = '\0';
			inside = 0;
		} else {
			if (!inside && w->count == WORDS_MAX)
				break;
			if (!inside)
				w->list[w->count++] = to;
			inside = 1;
			*to++ = letter;
		}
	}
	*to = '\0';
}

static int stands_at(const words *w, size_t at, const char *want)
{
	while (*want != '\0') {
		size_t size = strcspn(want, " "), gap;
		const char *rest = want + size + (want[size] == ' ');

		if (size == 1 && *want == '+') {
			for (gap = 0; gap <= GAP_MAX; gap++)
				if (stands_at(w, at + gap, rest))
					return 1;
			return 0;
		}
		if (at >= w->count)
			return 0;
		if (want[size - 1] == '*' ? strncmp(w->list[at], want, size - 1) != 0
		                          : strlen(w->list[at]) != size || strncmp(w->list[at], want, size) != 0)
			return 0;
		want = rest;
		at++;
	}
	return 1;
}

static int holds(const words *w, const char *const *phrases, size_t count)
{
	size_t i, at;

	for (i = 0; i < count; i++)
		for (at = 0; at < w->count; at++)
			if (stands_at(w, at, phrases[i]))
				return 1;
	return 0;
}

int is_objection(const char *text)
{
	words w;

	split(&w, text);
	return holds(&w, objections, sizeof objections / sizeof objections[0]) &&
	       !holds(&w, others, sizeof others / sizeof others[0]);
}
