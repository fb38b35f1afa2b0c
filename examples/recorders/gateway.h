/* SPDX-License-Identifier: MIT */
/* The calls that somebody else records, as sessions of the library. */
#ifndef RECORDERS_GATEWAY_H
#define RECORDERS_GATEWAY_H

#include "adapter.h"

#include <recoptout.h>

typedef struct gateway gateway;

typedef struct gateway_options {
	const rec_adapter *adapter;
	rec_settings settings;
	const char *state, *output, *control, *language;
	uint32_t window_ms, watch_s; /* how long after its end late files of a call are looked for */
} gateway_options;

gateway *gateway_open(const gateway_options *options);
void gateway_close(gateway *g);

/* A line of the door, and its answer: one line of JSON. */
void gateway_line(gateway *g, char *line, char *answer, size_t room);

#endif
