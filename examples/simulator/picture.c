/* SPDX-License-Identifier: MIT */
/* The call as a picture: both legs, what was said, the stop, and what was erased. */
#include "simulator.h"

#include <stdlib.h>

enum { WIDTH = 1000, HEIGHT = 360, LEFT = 60, TOP = 70, LEG_HEIGHT = 90, GAP = 20 };

static double length_s(const call *c)
{
	double end = c->ended_at_s > 0 ? c->ended_at_s : now_s(c);

	return end > 1 ? end : 1;
}

static double x_of(const call *c, double t)
{
	return LEFT + t / length_s(c) * (WIDTH - LEFT - 20);
}

static void escaped(FILE *to, const char *text, size_t most)
{
	for (; *text != '\0' && most > 0; text++) {
		if (((unsigned char)*text & 0xc0) != 0x80)
			most--;
		if (*text == '&')
			(void)fputs("&amp;", to);
		else if (*text == '<')
			(void)fputs("&lt;", to);
		else if ((unsigned char)*text >= 0x20)
			(void)fputc(*text, to);
	}
	if (*text != '\0')
		(void)fputs("\xe2\x80\xa6", to);
}

/* The loudest sample of each stretch. */
static void waveform(const call *c, FILE *to, int leg)
{
	double middle = TOP + leg * (LEG_HEIGHT + GAP) + LEG_HEIGHT / 2.0;
	size_t per = c->kept_samples[leg] / PEAKS + 1, i, k;

	(void)fprintf(to, "<path class=\"leg%d\" d=\"", leg);
	for (i = 0; i * per < c->kept_samples[leg]; i++) {
		int peak = 1;
		double x = x_of(c, (double)(i * per) / (double)c->voice[leg].rate_hz), h;

		for (k = i * per; k < (i + 1) * per && k < c->kept_samples[leg]; k++)
			peak = abs(c->kept[leg][k]) > peak ? abs(c->kept[leg][k]) : peak;
		h = (double)peak / 12000.0 * LEG_HEIGHT / 2.0;
		if (h > LEG_HEIGHT / 2.0)
			h = LEG_HEIGHT / 2.0;
		(void)fprintf(to, "M%.1f %.1fV%.1f", x, middle - h, middle + h);
	}
	(void)fputs("\"/>\n", to);
}

static void marks(const call *c, FILE *to)
{
	size_t i;
	int row = 0;

	for (i = 0; i < c->s->count; i++) {
		const step *s = &c->s->steps[i];
		double x = x_of(c, s->at_s);

		if (s->at_s > length_s(c))
			continue;
		(void)fprintf(to, "<line class=\"mark\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x,
		              TOP - 4, TOP + 2 * LEG_HEIGHT + GAP + 8 + 14 * (row % 4));
		(void)fprintf(to, "<text class=\"said\" x=\"%.1f\" y=\"%d\">", x + 3,
		              TOP + 2 * LEG_HEIGHT + GAP + 18 + 14 * (row % 4));
		escaped(to, s->text, 44);
		(void)fputs("</text>\n", to);
		row++;
	}
}

static void stop(const call *c, FILE *to)
{
	double x = x_of(c, c->stopped_at_s < length_s(c) ? c->stopped_at_s : length_s(c));

	(void)fprintf(to, "<rect class=\"erased\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", LEFT, TOP,
	              x - LEFT, 2 * LEG_HEIGHT + GAP);
	(void)fprintf(to, "<line id=\"stop\" class=\"stop\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x,
	              TOP - 14, TOP + 2 * LEG_HEIGHT + GAP);
	(void)fprintf(to, "<text class=\"stop\" x=\"%.1f\" y=\"%d\" text-anchor=\"end\">stop %.2f s</text>", x - 4,
	              TOP - 8, c->stopped_at_s);
	(void)fprintf(to, "<text class=\"erased\" x=\"%d\" y=\"%d\">erased</text>\n", LEFT + 6, TOP + 14);
}

int picture_write(const call *c, const char *path)
{
	FILE *to = fopen(path, "w");
	int leg, good;

	if (to == NULL) {
		(void)fprintf(stderr, "simulator: cannot write %s\n", path);
		return 0;
	}
	(void)fprintf(to,
	              "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
	              "font-size=\"12\">\n",
	              WIDTH, HEIGHT);
	(void)fputs("<style>.leg0{stroke:#2a7ab0}.leg1{stroke:#3a9a5a}path{fill:none}.mark{stroke:#999;stroke-"
	            "dasharray:2 3}"
	            ".said{fill:#444;font-size:10px}.stop{stroke:#c0392b;stroke-width:2}text.stop{stroke:none;"
	            "fill:#c0392b;"
	            "font-weight:bold}rect.erased{fill:#c0392b;opacity:.12}text.erased{fill:#c0392b}</style>\n"
	            "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
	            to);
	(void)fprintf(to, "<text x=\"%d\" y=\"28\" font-size=\"16\">Call ", LEFT);
	escaped(to, c->s->call_id, 60);
	(void)fprintf(to, ", %.1f s, %s</text>\n", length_s(c), c->opted_out ? "opted out" : "kept");
	for (leg = 0; leg < LEGS; leg++) {
		(void)fprintf(to, "<text x=\"8\" y=\"%d\">%s</text>\n",
		              TOP + leg * (LEG_HEIGHT + GAP) + LEG_HEIGHT / 2 + 4,
		              leg == CALLER ? "caller" : "agent");
		waveform(c, to, leg);
	}
	marks(c, to);
	if (c->opted_out)
		stop(c, to);
	(void)fputs("</svg>\n", to);
	good = ferror(to) == 0;
	return fclose(to) == 0 && good;
}
