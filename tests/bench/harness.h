/* SPDX-License-Identifier: MIT */
/* What the files of the harness share; groups include bench.h only. */
#ifndef RCO_TESTS_BENCH_HARNESS_H
#define RCO_TESTS_BENCH_HARNESS_H

#include "bench.h"

#include <jansson.h>
#include <stdio.h>

/* ---- in the child: report.c, measure.c ---- */

/* Rows go to this descriptor, one JSON object a line. */
void b_report_to(int fd);
void b_folders(const char *disk, const char *memory);

/* ---- in the parent ---- */

/* machine.c: what the figures were taken on; `folder` is on the disk that was used. */
json_t *b_machine(const char *folder);

/*
 * table.c. A result is
 * {"machine": {...}, "groups": [{"name", "about", "seconds", "error", "rows": [...]}], "plots": {NAME: {...}}};
 * a row has the names of b_row, or {"skipped": what, "why": ...}.
 */
void b_table(FILE *out, const json_t *results);

/* plot.c: each plot of the results as DIR/NAME.svg. 0, or -1 with a line on stderr. */
int b_plots(const json_t *results, const char *dir);

#endif
