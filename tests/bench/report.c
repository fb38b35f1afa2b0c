/* SPDX-License-Identifier: MIT */
/* A group's rows, on their way to the process that started it. */
#include "harness.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int to = -1;

void b_report_to(int fd)
{
	to = fd;
}

/* Takes over `object`. */
static void send(json_t *object)
{
	char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
	size_t size, sent = 0;
	ssize_t n;

	json_decref(object);
	if (text == NULL) {
		fputs("bench: a row that cannot be written down\n", stderr);
		_exit(1);
	}
	size = strlen(text);
	text[size++] = '\n';
	while (sent < size) {
		n = write(to, text + sent, size - sent);
		if (n < 0 && errno != EINTR) {
			fprintf(stderr, "bench: nobody takes the rows: %s\n", strerror(errno));
			_exit(1);
		}
		sent += n > 0 ? (size_t)n : 0;
	}
	free(text);
}

static const char *const kinds[] = {"shown", "at most", "at least", "less than"};

void b_report(const b_row *row)
{
	double all[] = {row->value, row->low, row->high, row->beside_value, row->compared, row->goal};
	size_t i;

	for (i = 0; i < sizeof all / sizeof all[0]; i++)
		if (!isfinite(all[i]))
			b_die("the row \"%s\" has a figure that is no number", row->what);
	send(json_pack("{ss ss ss sf sf sf ss* sf sf ss* ss sf ss*}", "type", "row", "what", row->what, "unit",
	               row->unit, "value", row->value, "low", row->low, "high", row->high, "beside", row->beside,
	               "beside_value", row->beside_value, "compared", row->compared, "how", row->how, "kind",
	               kinds[row->kind], "goal", row->goal, "note", row->note));
}

void b_point(const char *plot, const char *series, double x, double y)
{
	if (!isfinite(x) || !isfinite(y))
		b_die("a point of \"%s\" that is no number", plot);
	send(json_pack("{ss ss ss sf sf}", "type", "point", "plot", plot, "series", series, "x", x, "y", y));
}

void b_axes(const char *plot, const char *title, const char *x, const char *y)
{
	send(json_pack("{ss ss ss ss ss}", "type", "axes", "plot", plot, "title", title, "x", x, "y", y));
}

void b_skipped(const char *what, const char *why)
{
	send(json_pack("{ss ss ss}", "type", "skipped", "skipped", what, "why", why));
}

void b_die(const char *fmt, ...)
{
	char why[1024];
	va_list args;

	va_start(args, fmt);
	if (vsnprintf(why, sizeof why, fmt, args) < 0)
		why[0] = '\0';
	va_end(args);
	fprintf(stderr, "  %s\n", why);
	if (to >= 0)
		send(json_pack("{ss ss}", "type", "error", "error", why));
	/* Other threads may be busy: nothing is tidied up here, the parent removes the folders. */
	_exit(1);
}
