/* SPDX-License-Identifier: MIT */
/*
 * Lines for people. All that is written goes through here, for much of it was chosen by a peer: Call-IDs, reasons,
 * addresses. What a terminal or a reader of lines would take for more than text is written as \xNN.
 */
#include "recorder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LINE = 1024 };

/* The length of the UTF-8 sequence that begins here and means a printable character; 0 if none does. */
static size_t printable(const unsigned char *t)
{
	size_t n = t[0] < 0x80             ? 1
	           : (t[0] & 0xe0) == 0xc0 ? 2
	           : (t[0] & 0xf0) == 0xe0 ? 3
	           : (t[0] & 0xf8) == 0xf0 ? 4
	                                   : 0;
	size_t i;

	if (n == 1)
		return t[0] >= 0x20 && t[0] != 0x7f && t[0] != '\\';
	for (i = 1; i < n; i++)
		if ((t[i] & 0xc0) != 0x80)
			return 0;
	if (n == 2) /* C1 controls, and what is longer than need be */
		return t[0] < 0xc2 || (t[0] == 0xc2 && t[1] < 0xa0) ? 0 : n;
	if (n == 3) /* longer than need be; surrogates; U+2028 to U+202E and U+2066 to U+2069 turn lines round */
		return (t[0] == 0xe0 && t[1] < 0xa0) || (t[0] == 0xed && t[1] >= 0xa0) ||
		                       (t[0] == 0xe2 && t[1] == 0x80 && t[2] >= 0xa8 && t[2] <= 0xae) ||
		                       (t[0] == 0xe2 && t[1] == 0x81 && t[2] >= 0xa6 && t[2] <= 0xa9)
		               ? 0
		               : n;
	return n == 4 && (t[0] > 0xf4 || (t[0] == 0xf0 && t[1] < 0x90) || (t[0] == 0xf4 && t[1] >= 0x90)) ? 0 : n;
}

static void write_text(FILE *out, const char *text)
{
	const unsigned char *t = (const unsigned char *)text;

	while (*t != '\0') {
		size_t n = printable(t);

		if (n > 0) {
			(void)fwrite(t, 1, n, out);
			t += n;
		} else {
			(void)fprintf(out, "\\x%02x", *t++);
		}
	}
	(void)putc('\n', out);
	(void)fflush(out);
}

void say(const server *s, const char *fmt, ...)
{
	char line[LINE];
	struct timespec now;
	struct tm local;
	va_list ap;

	if (s->o.quiet)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)localtime_r(&now.tv_sec, &local);
	(void)printf("%02d:%02d:%02d.%03ld ", local.tm_hour, local.tm_min, local.tm_sec, now.tv_nsec / 1000000);
	write_text(stdout, line);
}

void complain(const char *fmt, ...)
{
	char line[LINE];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	(void)fputs("sip_recorder: ", stderr);
	write_text(stderr, line);
}
