/* SPDX-License-Identifier: MIT */
/*
 * What the next process has to know: the calls that are being recorded, and those that are to be stopped. One file
 * of JSON lines, readable by its owner alone; the last line of a number counts, and {"n":N} alone ends it.
 */
#ifndef RECORDERS_JOURNAL_H
#define RECORDERS_JOURNAL_H

#include <jansson.h>

typedef struct journal journal;

/* NULL if the file cannot be used, with a sentence on stderr. A line that is damaged is passed over, and said. */
journal *journal_open(const char *folder);

/* The records, by their number as text. Valid until the next put. */
const json_t *journal_records(const journal *j);

/* Durable on return; takes `record`, which has its number as "n". -1 if it could not be written: known to this
 * process all the same. Any thread. */
int journal_put(journal *j, json_t *record);

void journal_close(journal *j);

#endif
