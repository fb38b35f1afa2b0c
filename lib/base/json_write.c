/* SPDX-License-Identifier: MIT */
/* Lines of JSON. Ids and messages of others are in them as they came, which no tree of values would keep. */
#include "json_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rco__text_raw(rco__text *to, const char *bytes, size_t size)
{
	if (to->failed)
		return;
	if (to->room - to->size <= size) {
		size_t room = (to->size + size + 1) * 2;
		char *more = realloc(to->bytes, room);

		if (more == NULL) {
			to->failed = 1;
			return;
		}
		to->bytes = more;
		to->room = room;
	}
	memcpy(to->bytes + to->size, bytes, size);
	to->size += size;
	to->bytes[to->size] = '\0';
}

void rco__text_put(rco__text *to, const char *text)
{
	rco__text_raw(to, text, strlen(text));
}

/* One character (RFC 3629), and how many bytes it took; what is none takes one byte. */
static size_t character(const unsigned char *s, uint32_t *c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4, i;

	*c = 0xfffd;
	if (size == 1) {
		*c = s[0];
		return 1;
	}
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 1;
	*c = s[0] & (0x7fu >> size);
	for (i = 1; i < size; i++) {
		if ((s[i] & 0xc0) != 0x80) { /* also the NUL at the end */
			*c = 0xfffd;
			return 1;
		}
		*c = *c << 6 | (s[i] & 0x3fu);
	}
	if (*c < least[size] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000)) {
		*c = 0xfffd;
		return 1;
	}
	return size;
}

static void escaped(rco__text *to, uint32_t c)
{
	char buf[16];

	if (c == '"' || c == '\\')
		(void)snprintf(buf, sizeof buf, "\\%c", (int)c);
	else if (c == '\n')
		(void)snprintf(buf, sizeof buf, "\\n");
	else if (c >= 0x20 && c < 0x7f)
		(void)snprintf(buf, sizeof buf, "%c", (int)c);
	else if (c < 0x10000)
		(void)snprintf(buf, sizeof buf, "\\u%04x", (unsigned)c);
	else
		(void)snprintf(buf, sizeof buf, "\\u%04x\\u%04x", 0xd800u + ((c - 0x10000) >> 10),
		               0xdc00u + ((c - 0x10000) & 0x3ffu));
	rco__text_put(to, buf);
}

void rco__text_string(rco__text *to, const char *text)
{
	const unsigned char *s = (const unsigned char *)(text != NULL ? text : "");
	uint32_t c;

	rco__text_put(to, "\"");
	while (*s != '\0') {
		s += character(s, &c);
		escaped(to, c);
	}
	rco__text_put(to, "\"");
}

void rco__text_number(rco__text *to, int64_t number)
{
	char buf[24];

	(void)snprintf(buf, sizeof buf, "%" PRId64, number);
	rco__text_put(to, buf);
}

void rco__text_name(rco__text *to, const char *name)
{
	rco__text_put(to, ",\"");
	rco__text_put(to, name);
	rco__text_put(to, "\":");
}

void rco__text_member(rco__text *to, const char *name, const char *text)
{
	rco__text_name(to, name);
	rco__text_string(to, text);
}

void rco__text_member_number(rco__text *to, const char *name, int64_t number)
{
	rco__text_name(to, name);
	rco__text_number(to, number);
}
