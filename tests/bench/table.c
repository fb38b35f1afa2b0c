/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <math.h>
#include <string.h>

enum { WHAT = 46, VALUE = 13, SPREAD = 17, BESIDE = 34 };

static const char *text(const json_t *row, const char *name)
{
	const char *s = json_string_value(json_object_get(row, name));

	return s != NULL ? s : "";
}

static double number(const json_t *row, const char *name)
{
	return json_number_value(json_object_get(row, name));
}

/* Three figures, and never more decimals than that takes. */
static const char *figure(char *out, size_t room, double value)
{
	double size = fabs(value);
	int decimals = size >= 99.95 || size == 0 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3;

	(void)snprintf(out, room, "%.*f", decimals, value);
	return out;
}

static int is_met(const char *kind, double compared, double goal)
{
	if (strcmp(kind, "at most") == 0)
		return compared <= goal;
	if (strcmp(kind, "at least") == 0)
		return compared >= goal;
	return compared < goal;
}

/* "+3.1 at most 10, value - beside, ns: met" */
static void put_goal(FILE *out, const json_t *row)
{
	const char *kind = text(row, "kind");
	char compared[32], goal[32];

	if (strcmp(kind, "shown") == 0)
		return;
	fprintf(out, "%s %s %s (%s): %s", figure(compared, sizeof compared, number(row, "compared")), kind,
	        figure(goal, sizeof goal, number(row, "goal")), text(row, "how"),
	        is_met(kind, number(row, "compared"), number(row, "goal")) ? "met" : "MISSED");
}

static void put_row(FILE *out, const json_t *row)
{
	double low = number(row, "low"), high = number(row, "high");
	char value[64] = "", spread[80] = "", beside[160] = "", a[32], b[32];

	if (json_object_get(row, "skipped") != NULL) {
		fprintf(out, "  %-*s not measured: %s\n", WHAT, text(row, "skipped"), text(row, "why"));
		return;
	}
	(void)snprintf(value, sizeof value, "%s %s", figure(a, sizeof a, number(row, "value")), text(row, "unit"));
	if (low != 0 || high != 0)
		(void)snprintf(spread, sizeof spread, "%s .. %s", figure(a, sizeof a, low),
		               figure(b, sizeof b, high));
	if (json_object_get(row, "beside") != NULL)
		(void)snprintf(beside, sizeof beside, "%s %s", figure(a, sizeof a, number(row, "beside_value")),
		               text(row, "beside"));
	fprintf(out, "  %-*s %*s  %-*s  %-*s  ", WHAT, text(row, "what"), VALUE, value, SPREAD, spread, BESIDE,
	        beside);
	put_goal(out, row);
	fputc('\n', out);
	if (json_object_get(row, "note") != NULL)
		fprintf(out, "      %s\n", text(row, "note"));
}

static void count_goals(const json_t *rows, int *goals, int *missed)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *kind = text(row, "kind");

		if (kind[0] == '\0' || strcmp(kind, "shown") == 0)
			continue;
		(*goals)++;
		*missed += !is_met(kind, number(row, "compared"), number(row, "goal"));
	}
}

void b_table(FILE *out, const json_t *results)
{
	const json_t *machine = json_object_get(results, "machine"), *groups = json_object_get(results, "groups");
	const json_t *group, *row;
	int goals = 0, missed = 0, failed = 0;
	size_t i, k;

	fprintf(out, "librecoptout %s, %s\n%s, %d cores, %s; %s; %s\nload before: %.2f\n",
	        text(machine, "library"), text(machine, "date"), text(machine, "cpu"),
	        (int)number(machine, "cores"), text(machine, "memory"), text(machine, "kernel"),
	        text(machine, "file_system"), number(machine, "load_before"));
	fprintf(out, "Figures are medians with the 10th and 90th percentile, where there is a spread.\n");
	json_array_foreach(groups, i, group)
	{
		const json_t *rows = json_object_get(group, "rows");

		fprintf(out, "\n%s: %s (%.0f s)\n", text(group, "name"), text(group, "about"),
		        number(group, "seconds"));
		json_array_foreach(rows, k, row) put_row(out, row);
		if (json_object_get(group, "error") != NULL) {
			fprintf(out, "  ERROR: %s\n", text(group, "error"));
			failed++;
		}
		count_goals(rows, &goals, &missed);
	}
	fprintf(out, "\n%d of %d goals met; %d groups could not be measured to the end\n", goals - missed, goals,
	        failed);
}
