/* SPDX-License-Identifier: MIT */
#include "error.h"

#include <stdio.h>
#include <string.h>

enum { DETAIL_SIZE = 512 };

/* The one piece of state outside of any object: the text is about the thread's own last call. */
static _Thread_local char detail[DETAIL_SIZE];

const char *rco_error_name(int code)
{
	switch (code) {
#define ERROR_NAME(name, value, text)                                                                             \
	case value:                                                                                               \
		return "RCO_" #name;
		RCO_ERROR_MAP(ERROR_NAME)
#undef ERROR_NAME
	default:
		return "RCO_E_UNKNOWN";
	}
}

const char *rco_strerror(int code)
{
	switch (code) {
#define ERROR_TEXT(name, value, text)                                                                             \
	case value:                                                                                               \
		return text;
		RCO_ERROR_MAP(ERROR_TEXT)
#undef ERROR_TEXT
	default:
		return "not a code of this library; it may come from a newer version or from a backend";
	}
}

const char *rco_error_detail(void)
{
	return detail;
}

int rco_error_set_detail(int code, const char *text)
{
	char copy[DETAIL_SIZE];

	/* Aside, because it may be the text that is about to be replaced, or a part of it. */
	(void)snprintf(copy, sizeof copy, "%s", text != NULL ? text : "");
	memcpy(detail, copy, sizeof detail);
	return code;
}
