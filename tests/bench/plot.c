/* SPDX-License-Identifier: MIT */
/* A line chart: x by powers of ten, y from zero, or by powers of ten as well where it spans too much for that. */
#include "harness.h"

#include <math.h>
#include <string.h>

enum {
	WIDTH = 760,
	HEIGHT = 420,
	LEFT = 84,
	RIGHT = 24,
	TOP = 56,
	BOTTOM = 64,
	PATH_ROOM = 4096,
	LEGEND_LINE = 18,
	Y_SPAN = 50 /* more than this, and y is logarithmic */
};

static const char *const colours[] = {"#1769aa", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#475569"};

typedef struct axis {
	double from, to; /* of the logarithm, if log */
	int log;
	double pixel0, pixel1;
} axis;

static double place(const axis *a, double value)
{
	double v = a->log ? log10(value) : value;

	return a->pixel0 + (v - a->from) / (a->to - a->from) * (a->pixel1 - a->pixel0);
}

/* Names come from sources, but "<" and "&" may well be in one. */
static void put_text(FILE *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '<')
			fputs("&lt;", out);
		else if (*s == '&')
			fputs("&amp;", out);
		else
			fputc(*s, out);
	}
}

static void label(FILE *out, double x, double y, const char *attributes, const char *s)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
	put_text(out, s);
	fputs("</text>\n", out);
}

static const char *number_name(char *out, size_t room, double value)
{
	if (value >= 1e6)
		(void)snprintf(out, room, "%g M", value / 1e6);
	else if (value >= 1000 && value == floor(value))
		(void)snprintf(out, room, "%g,%03d", floor(value / 1000), (int)fmod(value, 1000));
	else
		(void)snprintf(out, room, "%g", value);
	return out;
}

/* The smallest and largest of all points; 0 without any. */
static int span(json_t *series, size_t which, double *low, double *high)
{
	const char *name;
	json_t *points, *point;
	size_t i;
	int any = 0;

	json_object_foreach(series, name, points)
	{
		json_array_foreach(points, i, point)
		{
			double v = json_number_value(json_array_get(point, which));

			*low = any ? fmin(*low, v) : v;
			*high = any ? fmax(*high, v) : v;
			any = 1;
		}
	}
	return any;
}

/* 1, 2 or 5 times a power of ten: about five of them to the axis. */
static double step_of(double range)
{
	double step = pow(10, floor(log10(range / 5)));
	double times = range / 5 / step;

	return times > 5 ? step * 10 : times > 2 ? step * 5 : times > 1 ? step * 2 : step;
}

static int axes_of(json_t *series, axis *x, axis *y)
{
	double low, high, step;

	if (!span(series, 0, &low, &high) || low <= 0)
		return -1;
	*x = (axis){.log = 1, .from = log10(low), .to = log10(high), .pixel0 = LEFT, .pixel1 = WIDTH - RIGHT};
	if (x->to - x->from < 0.1)
		x->to = x->from + 1;
	if (!span(series, 1, &low, &high))
		return -1;
	*y = (axis){.pixel0 = HEIGHT - BOTTOM, .pixel1 = TOP};
	y->log = low > 0 && high / low > Y_SPAN;
	if (y->log) {
		y->from = floor(log10(low));
		y->to = ceil(log10(high));
		return 0;
	}
	y->from = low < 0 ? low : 0;
	step = step_of(high > y->from ? high - y->from : 1);
	y->to = (floor(high / step) + 1) * step;
	return 0;
}

static void put_grid_y(FILE *out, const axis *y, double at)
{
	char name[32];
	double p = place(y, at);

	fprintf(out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#e2e8f0\"/>\n", LEFT, p,
	        WIDTH - RIGHT, p);
	label(out, LEFT - 8, p + 4, "text-anchor=\"end\"", number_name(name, sizeof name, at));
}

static void put_grid(FILE *out, const axis *x, const axis *y)
{
	double power, at, step;
	char name[32];
	int k;

	if (y->log)
		for (power = y->from; power <= y->to + 0.01; power++)
			put_grid_y(out, y, pow(10, power));
	else
		for (step = step_of(y->to - y->from), k = (int)ceil(y->from / step); k * step <= y->to * 1.0001;
		     k++)
			put_grid_y(out, y, k * step);
	for (power = floor(x->from); power <= x->to + 0.01; power++) {
		for (k = 1; k < 10; k++) {
			at = k * pow(10, power);
			if (log10(at) < x->from - 0.001 || log10(at) > x->to + 0.001)
				continue;
			fprintf(out, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"%s\"/>\n",
			        place(x, at), TOP, place(x, at), HEIGHT - BOTTOM, k == 1 ? "#cbd5e1" : "#eef2f6");
			if (k == 1 || k == 5)
				label(out, place(x, at), HEIGHT - BOTTOM + 18, "text-anchor=\"middle\"",
				      number_name(name, sizeof name, at));
		}
	}
	fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#94a3b8\"/>\n",
	        LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
}

/* From left to right, in whatever order they were measured; to be given up. */
static json_t *in_order(json_t *points)
{
	json_t *sorted = json_array(), *point;
	size_t i, at;

	json_array_foreach(points, i, point)
	{
		for (at = 0; at < json_array_size(sorted); at++)
			if (json_number_value(json_array_get(json_array_get(sorted, at), 0)) >
			    json_number_value(json_array_get(point, 0)))
				break;
		(void)json_array_insert(sorted, at, point);
	}
	return sorted;
}

static void put_series(FILE *out, const axis *x, const axis *y, json_t *measured, const char *colour)
{
	json_t *points = in_order(measured), *point;
	size_t i;

	fprintf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour);
	json_array_foreach(points, i, point) fprintf(out, "%s%.1f,%.1f", i > 0 ? " " : "",
	                                             place(x, json_number_value(json_array_get(point, 0))),
	                                             place(y, json_number_value(json_array_get(point, 1))));
	fputs("\"/>\n", out);
	json_array_foreach(points, i, point)
		fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n",
	                place(x, json_number_value(json_array_get(point, 0))),
	                place(y, json_number_value(json_array_get(point, 1))), colour);
	json_decref(points);
}

/* Below the axis' name, a line for each. */
static void put_legend(FILE *out, json_t *series)
{
	const char *name;
	json_t *points;
	size_t i = 0;

	json_object_foreach(series, name, points)
	{
		double y = HEIGHT + (double)i * LEGEND_LINE;

		fprintf(out, "<rect x=\"%d\" y=\"%.1f\" width=\"22\" height=\"3\" fill=\"%s\"/>\n", LEFT, y - 5,
		        colours[i % (sizeof colours / sizeof colours[0])]);
		label(out, LEFT + 32, y, "", name);
		i++;
	}
}

static void put_plot(FILE *out, const char *name, const json_t *plot, json_t *series, const axis *x, const axis *y)
{
	const char *title = json_string_value(json_object_get(plot, "title"));
	const char *x_name = json_string_value(json_object_get(plot, "x"));
	const char *y_name = json_string_value(json_object_get(plot, "y")), *series_name;
	int height = HEIGHT + (int)json_object_size(series) * LEGEND_LINE;
	json_t *points;
	size_t i = 0;
	char turned[96];

	fprintf(out,
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
	        "font-family=\"sans-serif\" font-size=\"13\" fill=\"#1e293b\">\n",
	        WIDTH, height, WIDTH, height);
	fprintf(out, "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", WIDTH, height);
	label(out, LEFT, 30, "font-size=\"16\" font-weight=\"600\"", title != NULL ? title : name);
	put_grid(out, x, y);
	label(out, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - BOTTOM + 40, "text-anchor=\"middle\"",
	      x_name != NULL ? x_name : "");
	(void)snprintf(turned, sizeof turned, "text-anchor=\"middle\" transform=\"rotate(-90 22 %d)\"",
	               (TOP + HEIGHT - BOTTOM) / 2);
	label(out, 22, (TOP + HEIGHT - BOTTOM) / 2.0, turned, y_name != NULL ? y_name : "");
	json_object_foreach(series, series_name, points)
		put_series(out, x, y, points, colours[i++ % (sizeof colours / sizeof colours[0])]);
	put_legend(out, series);
	fputs("</svg>\n", out);
}

static int draw_plot(const char *dir, const char *name, json_t *plot)
{
	json_t *series = json_object_get(plot, "series");
	char path[PATH_ROOM];
	axis x, y;
	FILE *out;

	if (axes_of(series, &x, &y) != 0) {
		fprintf(stderr, "bench: the plot \"%s\" has no points, or x is not above 0\n", name);
		return -1;
	}
	out = snprintf(path, sizeof path, "%s/%s.svg", dir, name) < (int)sizeof path ? fopen(path, "we") : NULL;
	if (out == NULL) {
		fprintf(stderr, "bench: %s/%s.svg cannot be written\n", dir, name);
		return -1;
	}
	put_plot(out, name, plot, series, &x, &y);
	if (ferror(out) | fclose(out)) {
		fprintf(stderr, "bench: %s cannot be written\n", path);
		return -1;
	}
	return 0;
}

int b_plots(const json_t *results, const char *dir)
{
	json_t *plots = json_object_get(results, "plots"), *plot;
	const char *name;
	int rc = 0;

	json_object_foreach(plots, name, plot) if (draw_plot(dir, name, plot) != 0) rc = -1;
	return rc;
}
