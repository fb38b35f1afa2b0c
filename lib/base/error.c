/* SPDX-License-Identifier: MIT */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
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
	case RCO_PENDING:
		return "accepted; the answer comes later";
	default:
		return "not a code of this library; it may come from a newer version or from a backend";
	}
}

const char *rco_error_detail(void)
{
	return detail;
}

void rco__error_clear(void)
{
	detail[0] = '\0';
}

/* vsnprintf that always leaves text; returns its length. */
static size_t format(char *out, size_t size, const char *fmt, va_list args) __attribute__((format(printf, 3, 0)));

static size_t format(char *out, size_t size, const char *fmt, va_list args)
{
	int n = vsnprintf(out, size, fmt, args);

	if (n < 0) {
		out[0] = '\0';
		return 0;
	}
	return (size_t)n < size ? (size_t)n : size - 1;
}

int rco__fail(int code, const char *fmt, ...)
{
	char text[DETAIL_SIZE];
	va_list args;

	/* Formatted aside, because an argument may be the text we are about to replace. */
	va_start(args, fmt);
	(void)format(text, sizeof text, fmt, args);
	va_end(args);
	memcpy(detail, text, sizeof detail);
	return code;
}

static int code_of_errno(int err)
{
	switch (err) {
	case ENOSPC:
	case EDQUOT:
		return RCO_E_NO_SPACE;
	case EACCES:
	case EPERM:
	case EROFS:
		return RCO_E_PERMISSION;
	case ENOENT:
		return RCO_E_NOT_FOUND;
	case ENOMEM:
		return RCO_E_NO_MEMORY;
	case EWOULDBLOCK:
		return RCO_E_BUSY;
	case EEXIST:
		return RCO_E_STATE;
	default:
		return RCO_E_IO;
	}
}

int rco__fail_errno(int err, const char *fmt, ...)
{
	char text[DETAIL_SIZE];
	va_list args;
	size_t used;
	int n;

	va_start(args, fmt);
	used = format(text, sizeof text, fmt, args);
	va_end(args);
	/* strerror is safe in threads for every errno that the system knows; strerror_r differs between C
	 * libraries. */
	n = snprintf(text + used, sizeof text - used, ": %s", strerror(err));
	if (n < 0)
		text[used] = '\0';
	memcpy(detail, text, sizeof detail);
	return code_of_errno(err);
}
