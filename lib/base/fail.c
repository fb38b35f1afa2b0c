/* SPDX-License-Identifier: MIT */
/* By public functions alone, for it is in each library of ours; the text itself is in one. */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DETAIL_SIZE = 512, CAUSE_ROOM = 96 };

void rco__error_clear(void)
{
	(void)rco_error_set_detail(RCO_OK, NULL);
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

	va_start(args, fmt);
	(void)format(text, sizeof text, fmt, args);
	va_end(args);
	return rco_error_set_detail(code, text);
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
	case ENAMETOOLONG:
		return RCO_E_LIMIT;
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
	used = format(text, sizeof text - CAUSE_ROOM, fmt, args); /* a long path must not push the cause out */
	va_end(args);
	/* strerror is safe in threads for every errno that the system knows; strerror_r differs between C
	 * libraries. */
	n = snprintf(text + used, sizeof text - used, ": %s", strerror(err));
	if (n < 0)
		text[used] = '\0';
	return rco_error_set_detail(code_of_errno(err), text);
}
