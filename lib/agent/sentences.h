/* SPDX-License-Identifier: MIT */
/* The sentences from inside: texts before the company's name is put in. */
#ifndef RCO_AGENT_SENTENCES_H
#define RCO_AGENT_SENTENCES_H

#include <recoptout/agent.h>

enum { RCO__SENTENCES = RCO_SAY_NOTED + 1, RCO__LANGUAGE_MAX = 35 /* RFC 5646, 4.4.1 */ };

#define RCO__COMPANY "{company}"

/* Of one language alone, without looking further; NULL if it has none. named: the one with a company's name. */
const char *rco__sentence_built_in(const char *language, uint32_t sentence, int named);
/* Of a book (NULL: none) for exactly this language. */
const char *rco__phrasebook_find(const rco_phrasebook *book, const char *language, uint32_t sentence);

/* A tag in lower case with '-' between its parts. 0 if it cannot be one. */
int rco__language_tag(const char *language, char out[RCO__LANGUAGE_MAX + 1]);
/* Take its last part off (RFC 4647, 3.4); 0 when nothing is left. */
int rco__language_shorten(char tag[RCO__LANGUAGE_MAX + 1]);

#endif
