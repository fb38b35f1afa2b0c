/* SPDX-License-Identifier: MIT */
/* The host's own sentences. */
#include "sentences.h"

#include "../base/env.h"
#include "../base/error.h"

#include <string.h>

enum { TEXT_MAX = 4000 };

typedef struct phrase {
	struct phrase *next;
	uint32_t sentence;
	char language[RCO__LANGUAGE_MAX + 1];
	char text[];
} phrase;

struct rco_phrasebook {
	rco__env env;
	phrase *phrases;
};

int rco_phrasebook_create(const rco_allocator *allocator, rco_phrasebook **book)
{
	rco__env env = {0};
	int rc;

	rco__error_clear();
	if (book == NULL)
		return rco__fail(RCO_E_INVALID, "book is NULL");
	*book = NULL;
	rc = rco__allocator_take(&env.alloc, allocator);
	if (rc != RCO_OK)
		return rc;
	*book = rco__zalloc(&env, 1, sizeof **book);
	if (*book == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a phrasebook");
	(*book)->env = env;
	return RCO_OK;
}

static phrase **place_of(rco_phrasebook *book, const char *tag, uint32_t sentence)
{
	phrase **at = &book->phrases;

	while (*at != NULL && ((*at)->sentence != sentence || strcmp((*at)->language, tag) != 0))
		at = &(*at)->next;
	return at;
}

const char *rco__phrasebook_find(const rco_phrasebook *book, const char *language, uint32_t sentence)
{
	const phrase *p = book != NULL ? book->phrases : NULL;

	while (p != NULL && (p->sentence != sentence || strcmp(p->language, language) != 0))
		p = p->next;
	return p != NULL ? p->text : NULL;
}

int rco_phrasebook_set(rco_phrasebook *book, const char *language, uint32_t sentence, const char *text)
{
	char tag[RCO__LANGUAGE_MAX + 1];
	size_t size = text != NULL ? strlen(text) : 0;
	phrase **at, *old, *p = NULL;

	rco__error_clear();
	if (book == NULL || language == NULL || !rco__language_tag(language, tag) || sentence == 0 ||
	    sentence >= RCO__SENTENCES || (text != NULL && (size == 0 || size > TEXT_MAX)))
		return rco__fail(RCO_E_INVALID,
		                 "a phrasebook wants a language tag, one of RCO_SAY_..., and 1 to %d bytes",
		                 TEXT_MAX);
	if (text != NULL) {
		p = rco__zalloc(&book->env, 1, sizeof *p + size + 1);
		if (p == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for a sentence");
		p->sentence = sentence;
		memcpy(p->language, tag, sizeof tag);
		memcpy(p->text, text, size + 1);
	}
	at = place_of(book, tag, sentence);
	old = *at;
	if (old != NULL) {
		*at = old->next;
		rco__release(&book->env, old);
	}
	if (p != NULL) {
		p->next = book->phrases;
		book->phrases = p;
	}
	return RCO_OK;
}

void rco_phrasebook_free(rco_phrasebook *book)
{
	rco__env env;

	if (book == NULL)
		return;
	env = book->env;
	while (book->phrases != NULL) {
		phrase *p = book->phrases;

		book->phrases = p->next;
		rco__release(&env, p);
	}
	rco__release(&env, book);
}
