/* SPDX-License-Identifier: MIT */
/* The calls that somebody else records, as sessions of the library. */
#ifndef RECORDERS_GATEWAY_H
#define RECORDERS_GATEWAY_H

#include "adapter.h"

#include <recoptout.h>
#include <signal.h>

typedef struct gateway gateway;

typedef struct gateway_options {
	const rec_adapter *adapter;
	rec_settings settings;
	const char *state, *output, *control, *language;
	uint32_t late_opt_out_ms, watch_s; /* how long after its end late files of a call are looked for */
} gateway_options;

/* Takes up the calls that an earlier process was told of. NULL, with a sentence on stderr. */
gateway *gateway_open(const gateway_options *options);
void gateway_close(gateway *g);

/* A line of the door, and its answer: one line of JSON. Any thread; waits for the recorder at most as long as its
 * adapter may. */
void gateway_line(gateway *g, char *line, size_t size, char *answer, size_t room);

/* Serves the door until `*ends`. 0, or -1 with a sentence on stderr. */
int door_open(const char *path);
void door_serve(gateway *g, int door, volatile const sig_atomic_t *ends);

#endif
