/* SPDX-License-Identifier: MIT */
/*
 * The call as a picture: both legs over a time axis, the stop where it was, what was erased, and below them what
 * was said and done, each with the number that stands at its moment.
 */
#include "simulator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	WIDTH = 1000,
	LEFT = 70,
	RIGHT = 24,
	TOP = 64,
	LEG_HEIGHT = 84,
	GAP = 10,
	AXIS = TOP + 2 * LEG_HEIGHT + GAP + 8
};
enum { ROW = 18, MARKS = AXIS + 34, LIST = MARKS + 34, TEXT_AT = 186, COLUMNS = 118, NOTES_MAX = 400 };

/* What is listed. */
typedef struct note {
	double at_s;
	const char *who, *text;
} note;

typedef struct drawing {
	const call *c;
	FILE *to;
	double length_s;
	note notes[NOTES_MAX];
	size_t count;
} drawing;

static double x_of(const drawing *d, double t)
{
	return LEFT + t / d->length_s * (WIDTH - LEFT - RIGHT);
}

/* `size` bytes of it; what was told is printable UTF-8. */
static void escaped(FILE *to, const char *text, size_t size)
{
	for (; *text != '\0' && size > 0; text++, size--) {
		if (*text == '&')
			(void)fputs("&amp;", to);
		else if (*text == '<')
			(void)fputs("&lt;", to);
		else if (*text == '"')
			(void)fputs("&quot;", to);
		else
			(void)fputc(*text, to);
	}
}

/* ---- what is told ---- */

static int is_spoken(const char *what)
{
	return strcmp(what, "caller") == 0 || strcmp(what, "agent") == 0;
}

static int is_retry(const told *line)
{
	const char *name = rco_event_name(RCO_EVENT_ERASE_RETRY);

	return strcmp(line->what, "event") == 0 && strncmp(line->text, name, strlen(name)) == 0;
}

static void add(drawing *d, double at_s, const char *who, const char *text)
{
	size_t i = d->count;

	if (d->count == NOTES_MAX)
		return;
	for (; i > 0 && d->notes[i - 1].at_s > at_s; i--)
		d->notes[i] = d->notes[i - 1];
	d->notes[i] = (note){at_s, who, text};
	d->count++;
}

static void collect(drawing *d)
{
	static const char *const moments[MOMENTS] = {NULL,
	                                             "recording has stopped",
	                                             "the objection is on disk",
	                                             "what was recorded is erased",
	                                             "verified: nothing is left",
	                                             "looked a second time for late copies"};
	const story *t = d->c->t;
	size_t i;

	/* At one moment: the call of the tool, what it did, what was said then. */
	for (i = told_first(t); i < t->count; i++)
		if (strcmp(told_at(t, i)->what, "tool call") == 0)
			add(d, told_at(t, i)->at_s, "agent", "calls the tool " RCO_TOOL_NAME);
	for (i = 0; i < MOMENTS; i++)
		if (moments[i] != NULL && t->moment[i] >= 0)
			add(d, t->moment[i], "recording", moments[i]);
	for (i = told_first(t); i < t->count; i++) {
		const told *line = told_at(t, i);

		if (is_retry(line))
			add(d, line->at_s, "recording", "a deletion failed, and is tried again");
		else if (strcmp(line->what, "event") != 0 && strcmp(line->what, "note") != 0 &&
		         strncmp(line->what, "tool", 4) != 0)
			add(d, line->at_s, line->what, line->text);
	}
}

/* The call, and what was said or done soon after it. */
static double length_of(const drawing *d)
{
	const story *t = d->c->t;
	double end = t->ended_at_s >= 0 ? t->ended_at_s : now_s(d->c);
	size_t i;

	if (t->moment[STOPPED] > end)
		end = t->moment[STOPPED];
	if (t->moment[ERASED] > end && t->moment[ERASED] < end + 30)
		end = t->moment[ERASED];
	for (i = 0; i < d->count; i++)
		if (is_spoken(d->notes[i].who) && d->notes[i].at_s > end)
			end = d->notes[i].at_s;
	return end + (end > 20 ? end * 0.03 : 0.6);
}

/* ---- drawing ---- */

/* The loudest sample that was accepted of each stretch. */
static void waveform(const drawing *d, int leg)
{
	const story *t = d->c->t;
	double middle = TOP + leg * (LEG_HEIGHT + GAP) + LEG_HEIGHT / 2.0;
	size_t ticks = t->ticks < PEAKS_MAX ? t->ticks : PEAKS_MAX, per, i, k;
	double shown = d->length_s * 1000 / TICK_MS;

	if ((double)ticks > shown)
		ticks = (size_t)shown;
	per = ticks / 900 + 1;
	(void)fprintf(d->to, "<text x=\"8\" y=\"%.0f\">%s</text>\n<path class=\"leg%d\" d=\"", middle + 4,
	              leg == CALLER ? "caller" : "agent", leg);
	for (i = 0; i < ticks; i += per) {
		double x = x_of(d, (double)i * TICK_MS / 1000), h;
		int peak = 0;

		for (k = i; k < i + per && k < ticks; k++)
			peak = t->peak[leg][k] > peak ? t->peak[leg][k] : peak;
		if (peak == 0) /* not recorded */
			continue;
		h = fmin(LEG_HEIGHT / 2.0, 0.5 + (peak - 1) / 100.0 * LEG_HEIGHT / 2.0);
		(void)fprintf(d->to, "M%.1f %.1fV%.1f", x, middle - h, middle + h);
	}
	(void)fputs("\"/>\n", d->to);
}

static void axis(const drawing *d)
{
	static const double steps[] = {0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600};
	double every = steps[0], t;
	size_t i;

	for (i = 0; i < sizeof steps / sizeof steps[0] && d->length_s / (every = steps[i]) > 20; i++)
		;
	(void)fprintf(d->to, "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", LEFT,
	              WIDTH - RIGHT, AXIS, AXIS);
	for (t = 0; t <= d->length_s; t += every)
		(void)fprintf(d->to,
		              "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
		              "<text class=\"tick\" x=\"%.1f\" y=\"%d\">%g s</text>\n",
		              x_of(d, t), x_of(d, t), AXIS, AXIS + 5, x_of(d, t), AXIS + 17, t);
}

static int digits(size_t number)
{
	return number < 10 ? 1 : number < 100 ? 2 : 3;
}

/* Numbers at their moments; those that would lie on each other are one mark. */
static void marks(const drawing *d)
{
	size_t i = 0, last;

	while (i < d->count && d->notes[i].at_s <= d->length_s) {
		double x = x_of(d, d->notes[i].at_s);

		last = i;
		while (last + 1 < d->count &&
		       x_of(d, d->notes[last + 1].at_s) < x + 12 + 12 * digits(last + 2)) /* "10-12", "13-15" */
			last++;
		(void)fprintf(d->to, "<line class=\"mark\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x,
		              TOP, AXIS + 5);
		(void)fprintf(d->to, "<text class=\"number\" x=\"%.1f\" y=\"%d\">%zu", x, MARKS, i + 1);
		if (last > i)
			(void)fprintf(d->to, "-%zu", last + 1);
		(void)fputs("</text>\n", d->to);
		i = last + 1;
	}
}

static void stop(const drawing *d)
{
	const story *t = d->c->t;
	double at = t->moment[STOPPED], x = x_of(d, at);
	int low = TOP + 2 * LEG_HEIGHT + GAP, right = x > WIDTH * 0.75;

	(void)fprintf(d->to, "<rect class=\"erased\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", LEFT,
	              TOP, x - LEFT, low - TOP);
	(void)fprintf(d->to, "<line id=\"stop\" class=\"stop\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x,
	              x, TOP - 16, low);
	(void)fprintf(d->to, "<text class=\"stop\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">stop at %.2f s</text>\n",
	              x + (right ? -5 : 5), TOP - 6, right ? "end" : "start", at);
	(void)fprintf(d->to, "<text class=\"erased\" x=\"%d\" y=\"%d\">%s</text>\n", LEFT + 6, TOP + 14,
	              t->moment[ERASED] >= 0 ? "erased" : "to be erased");
}

static void hang_up(const drawing *d)
{
	double x = x_of(d, d->c->t->ended_at_s);
	int left = x > LEFT + 60;

	(void)fprintf(d->to,
	              "<line class=\"end\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
	              "<text class=\"end\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s</text>\n",
	              x, x, TOP, AXIS, x + (left ? -4 : 4), TOP + 2 * LEG_HEIGHT + GAP - 4, left ? "end" : "start",
	              d->c->t->killed ? "process killed" : "hung up");
}

/* Bytes of the text that go on one row: whole words, or what fits. */
static size_t row_of(const char *text)
{
	size_t i = 0, columns = 0, space = 0;

	while (text[i] != '\0') {
		unsigned char c = (unsigned char)text[i];
		size_t size = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0x80 ? 2 : 1;

		columns += size >= 3 ? 2 : 1;
		if (columns > COLUMNS)
			return space > 0 ? space : i;
		if (c == ' ')
			space = i;
		i += size;
	}
	return i;
}

static void said(FILE *to, int y, int x, const char *class, const char *text, size_t size)
{
	(void)fprintf(to, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, x, y);
	escaped(to, text, size);
	(void)fputs("</text>\n", to);
}

/* Draws the list, or only measures it (`to` NULL). Returns where it ends. */
static int list(const drawing *d, FILE *to)
{
	int y = LIST;
	size_t i;

	for (i = 0; i < d->count; i++) {
		const note *n = &d->notes[i];
		const char *text = n->text;

		if (to != NULL) {
			(void)fprintf(to,
			              "<text class=\"number\" x=\"22\" y=\"%d\">%zu</text>"
			              "<text class=\"time\" x=\"92\" y=\"%d\">%.2f s</text>",
			              y, i + 1, y, n->at_s);
			said(to, y, 104, is_spoken(n->who) ? n->who : "what", n->who, strlen(n->who));
		}
		do {
			size_t size = row_of(text);

			if (to != NULL)
				said(to, y, TEXT_AT, is_spoken(n->who) ? "said" : "what", text, size);
			text += size;
			text += *text == ' ';
			y += ROW;
		} while (*text != '\0');
	}
	return y;
}

static void draw(const drawing *d)
{
	const call *c = d->c;
	FILE *to = d->to;
	int height = list(d, NULL) + 6;
	char call_id[sizeof c->s->call_id];

	(void)fprintf(to,
	              "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
	              "font-family=\"sans-serif\" font-size=\"12\">\n",
	              WIDTH, height, WIDTH, height);
	(void)fputs("<style>path{fill:none}.leg0{stroke:#2a7ab0}.leg1{stroke:#3a9a5a}.axis{stroke:#666}.mark{"
	            "stroke:#aaa;"
	            "stroke-dasharray:2 "
	            "3}.tick{fill:#666;text-anchor:middle;font-size:10px}.number{text-anchor:middle;"
	            "font-weight:bold;font-size:10px}.time{fill:#666;text-anchor:end}text.caller{fill:#2a7ab0}"
	            "text.agent{fill:#2d7d48}.what{fill:#777}.stop{stroke:#c0392b;stroke-width:2}text.stop{stroke:"
	            "none;"
	            "fill:#c0392b;font-weight:bold}rect.erased{fill:#c0392b;opacity:.14}text.erased{fill:#c0392b;"
	            "paint-order:stroke;stroke:#f8e4e2;stroke-width:4px}"
	            ".end{stroke:#555}text.end{stroke:none;fill:#555;font-size:10px}</style>\n"
	            "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
	            to);
	(void)fprintf(to, "<text x=\"%d\" y=\"28\" font-size=\"17\">Call ", LEFT);
	(void)snprintf(call_id, sizeof call_id, "%s", c->s->call_id);
	clean(call_id);
	escaped(to, call_id, sizeof call_id);
	(void)fprintf(to, ", %.1f s, %s</text>\n", c->t->ended_at_s >= 0 ? c->t->ended_at_s : now_s(c),
	              c->t->moment[STOPPED] >= 0 ? "opted out" : "kept");
	marks(d);
	waveform(d, CALLER);
	waveform(d, AGENT);
	axis(d);
	if (c->t->ended_at_s >= 0)
		hang_up(d);
	if (c->t->moment[STOPPED] >= 0)
		stop(d);
	(void)list(d, to);
	(void)fputs("</svg>\n", to);
}

int picture_write(const call *c, const char *path)
{
	static drawing d; /* large */
	int good;

	memset(&d, 0, sizeof d);
	d.c = c;
	d.to = fopen(path, "w");
	if (d.to == NULL) {
		(void)fprintf(stderr, "simulator: the picture cannot be written\n");
		return 0;
	}
	collect(&d);
	d.length_s = length_of(&d);
	draw(&d);
	good = ferror(d.to) == 0;
	good &= fclose(d.to) == 0;
	if (!good)
		(void)fprintf(stderr, "simulator: the picture could not be written to its end\n");
	return good;
}
