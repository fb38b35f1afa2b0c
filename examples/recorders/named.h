/* SPDX-License-Identifier: MIT */
/* Recorders whose files are named in `start`: file=NAME, once or several times, below --dir; and copy=NAME, which
 * may never come. */
#ifndef RECORDERS_NAMED_H
#define RECORDERS_NAMED_H

#include "adapter.h"

/* The i-th name that the recorder may give a file which it was told to call `name`; 0 if there are no more. */
typedef int name_fn(const char *name, int i, char out[PATH_ROOM]);

/* The name below --dir, by whichever of its names `given` goes; NULL if it is none. */
const char *named_below(const rec_settings *s, const char *given);
/* All that are there go to `found`. */
void named_files(const rec_settings *s, const rec_call *call, name_fn *name, rec_file_fn *found, void *arg);
/* Is `path` one of them? */
int named_owns(const rec_settings *s, const rec_call *call, name_fn *name, const char *path);
/* Has `start` named one, and only such as are below --dir and may be files there, whatever the recorder makes of
 * their names? */
int named_well(const rec_settings *s, const rec_call *call, name_fn *name);

#endif
