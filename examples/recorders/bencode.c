/* SPDX-License-Identifier: MIT */
#include "bencode.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 16 };

typedef struct reader {
	const char *at, *end;
} reader;

/* "4:spam". NULL, and nothing is taken, if there is none. */
static const char *take_string(reader *r, size_t *length)
{
	const char *p = r->at;
	size_t n = 0;

	if (p == r->end || *p < '0' || *p > '9')
		return NULL;
	for (; p < r->end && *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (size_t)(*p - '0');
		if (n > (size_t)(r->end - r->at))
			return NULL;
	}
	if (p == r->end || *p != ':' || n > (size_t)(r->end - p - 1))
		return NULL;
	*length = n;
	r->at = p + 1 + n;
	return p + 1;
}

/* Past one value; 0 if it is none. */
static int skip_value(reader *r)
{
	int depth = 0;
	size_t n;

	do {
		if (r->at == r->end)
			return 0;
		if (*r->at == 'l' || *r->at == 'd') {
			if (++depth > DEPTH_MAX)
				return 0;
			r->at++;
		} else if (*r->at == 'e' && depth > 0) {
			depth--;
			r->at++;
		} else if (*r->at == 'i') {
			const char *e = memchr(r->at, 'e', (size_t)(r->end - r->at));

			if (e == NULL)
				return 0;
			r->at = e + 1;
		} else if (take_string(r, &n) == NULL) {
			return 0;
		}
	} while (depth > 0);
	return 1;
}

const char *bencode_string(const char *data, size_t size, const char *key, size_t *length)
{
	reader r = {data, data + size};

	if (size == 0 || *r.at++ != 'd')
		return NULL;
	while (r.at < r.end && *r.at != 'e') {
		size_t n;
		const char *name = take_string(&r, &n);

		if (name == NULL)
			return NULL;
		if (n == strlen(key) && memcmp(name, key, n) == 0)
			return take_string(&r, length);
		if (!skip_value(&r))
			return NULL;
	}
	return NULL;
}

size_t bencode_add(char *out, size_t room, size_t length, const char *key, const char *value)
{
	int n;

	if (length == 0 || length >= room)
		return 0;
	n = snprintf(out + length, room - length, "%zu:%s%zu:%s", strlen(key), key, strlen(value), value);
	return n < 0 || (size_t)n >= room - length ? 0 : length + (size_t)n;
}
