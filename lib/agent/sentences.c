/* SPDX-License-Identifier: MIT */
/* What is said, in which language. The texts are in sentences/, one file for each language. */
#include "sentences.h"

#include <stdio.h>
#include <string.h>

#include "../base/error.h"

typedef struct texts {
	const char *tag;
	const char *plain[RCO__SENTENCES];
	const char *named[RCO__SENTENCES];
} texts;

static const texts languages[] = {
#define SAY(name, text)       .plain[RCO_SAY_##name] = (text),
#define SAY_NAMED(name, text) .named[RCO_SAY_##name] = (text),
	{
		.tag = "en",
#include "sentences/en.def"
	},
	{
		.tag = "de",
#include "sentences/de.def"
	},
	{
		.tag = "fr",
#include "sentences/fr.def"
	},
	{
		.tag = "es",
#include "sentences/es.def"
	},
	{
		.tag = "it",
#include "sentences/it.def"
	},
	{
		.tag = "nl",
#include "sentences/nl.def"
	},
	{
		.tag = "pl",
#include "sentences/pl.def"
	},
	{
		.tag = "pt",
#include "sentences/pt.def"
	},
	{
		.tag = "tr",
#include "sentences/tr.def"
	},
};
#undef SAY
#undef SAY_NAMED

enum { LANGUAGES = sizeof languages / sizeof languages[0] };

const char *rco_language_at(uint32_t index)
{
	return index < LANGUAGES ? languages[index].tag : NULL;
}

const char *rco__sentence_built_in(const char *tag, uint32_t sentence, int named)
{
	size_t i;

	if (sentence == 0 || sentence >= RCO__SENTENCES)
		return NULL;
	for (i = 0; i < LANGUAGES; i++)
		if (strcmp(languages[i].tag, tag) == 0)
			return named ? languages[i].named[sentence] : languages[i].plain[sentence];
	return NULL;
}

/* ---- which language ---- */

int rco__language_tag(const char *in, char out[RCO__LANGUAGE_MAX + 1])
{
	size_t i;

	for (i = 0; in[i] != '\0'; i++) {
		char c = in[i] == '_' ? '-' : in[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (i >= RCO__LANGUAGE_MAX ||
		    !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && i > 0)))
			return 0;
		out[i] = c;
	}
	out[i] = '\0';
	return i > 0;
}

int rco__language_shorten(char tag[RCO__LANGUAGE_MAX + 1])
{
	char *dash = strrchr(tag, '-');

	if (dash == NULL)
		return 0;
	*dash = '\0';
	if (dash - tag >= 2 && dash[-2] == '-') /* a single letter or digit only introduces what followed */
		dash[-2] = '\0';
	return tag[0] != '\0';
}

static const char *in_language(const rco_phrasebook *book, const char *tag, uint32_t sentence, int named)
{
	const char *text = rco__phrasebook_find(book, tag, sentence);

	/* The host's own sentence with a name in it is none where there is no name. */
	if (text != NULL && (named || strstr(text, RCO__COMPANY) == NULL))
		return text;
	text = named ? rco__sentence_built_in(tag, sentence, 1) : NULL;
	return text != NULL ? text : rco__sentence_built_in(tag, sentence, 0);
}

static const char *find(const rco_phrasebook *book, const char *language, uint32_t sentence, int named)
{
	char tag[RCO__LANGUAGE_MAX + 1];
	const char *text = NULL;

	if (language != NULL && rco__language_tag(language, tag)) {
		do
			text = in_language(book, tag, sentence, named);
		while (text == NULL && rco__language_shorten(tag));
	}
	return text != NULL ? text : in_language(book, "en", sentence, named);
}

/* ---- saying it ---- */

/* Appends as much as fits, counts all. */
static void add(char *buf, size_t cap, size_t *len, const char *text, size_t size)
{
	if (*len < cap)
		memcpy(buf + *len, text, size < cap - *len ? size : cap - *len);
	*len += size;
}

static size_t fill_in(const char *text, const char *company, char *buf, size_t cap)
{
	size_t len = 0;

	for (;;) {
		const char *hole = company != NULL ? strstr(text, RCO__COMPANY) : NULL;

		if (hole == NULL)
			break;
		add(buf, cap, &len, text, (size_t)(hole - text));
		add(buf, cap, &len, company, strlen(company));
		text = hole + strlen(RCO__COMPANY);
	}
	add(buf, cap, &len, text, strlen(text));
	return len;
}

int rco_sentence_get(const rco_phrasebook *book, const char *language, uint32_t sentence, const char *company,
                     char *buf, size_t cap, size_t *len)
{
	const char *text;
	size_t size;

	rco__error_clear();
	if (len != NULL)
		*len = 0;
	if (sentence == 0 || sentence >= RCO__SENTENCES || (buf == NULL && cap > 0))
		return rco__fail(RCO_E_INVALID, "there is no sentence %u, or buf is NULL", sentence);
	if (company != NULL && company[0] == '\0')
		company = NULL;
	text = find(book, language, sentence, company != NULL);
	size = fill_in(text, company, buf, cap);
	if (len != NULL)
		*len = size;
	if (size >= cap) {
		if (cap > 0)
			buf[0] = '\0'; /* half a sentence could say what is not so */
		return rco__fail(RCO_E_LIMIT, "the sentence has %zu bytes", size);
	}
	buf[size] = '\0';
	return RCO_OK;
}

uint32_t rco_sentence_for(int code, uint32_t status)
{
#define STATUS(name, number, text, sentence, erasure, stopped, deleted, truth)                                    \
	[RCO_STATUS_##name] = RCO_SAY_##sentence,
	static const uint32_t said[] = {
#include "../base/status.def"
	};
#undef STATUS

	if (code == RCO_E_NOT_AVAILABLE)
		return RCO_SAY_NOT_AVAILABLE;
	if (code == RCO_E_ENDED)
		return RCO_SAY_ENDED;
	/* Without a receipt nothing is known, whatever the code: there may have been no memory for it. */
	return status < sizeof said / sizeof said[0] ? said[status] : (uint32_t)RCO_SAY_ERROR;
}
