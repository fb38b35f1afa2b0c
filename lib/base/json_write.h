/* SPDX-License-Identifier: MIT */
#ifndef RCO_BASE_JSON_WRITE_H
#define RCO_BASE_JSON_WRITE_H

#include <stddef.h>
#include <stdint.h>

/* A text that grows; to be freed with free(). In it JSON (RFC 8259), in ASCII. */
typedef struct rco__text {
	char *bytes; /* ends in NUL; NULL: empty */
	size_t size, room;
	int failed; /* no memory */
} rco__text;

void rco__text_raw(rco__text *to, const char *bytes, size_t size);
void rco__text_put(rco__text *to, const char *text);
/* As a JSON string: ASCII, and whatever is no UTF-8 becomes U+FFFD. NULL: "". */
void rco__text_string(rco__text *to, const char *text);
void rco__text_number(rco__text *to, int64_t number);
/* `,"name":` and so on. */
void rco__text_name(rco__text *to, const char *name);
void rco__text_member(rco__text *to, const char *name, const char *text);
void rco__text_member_number(rco__text *to, const char *name, int64_t number);

#endif
