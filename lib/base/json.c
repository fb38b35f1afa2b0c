/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <stdlib.h>

char *rco__json_text(const json_t *value)
{
	const size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY;
	size_t size = json_dumpb(value, NULL, 0, flags);
	char *text = size > 0 ? malloc(size + 1) : NULL;

	if (text == NULL)
		return NULL;
	if (json_dumpb(value, text, size, flags) != size) {
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}
