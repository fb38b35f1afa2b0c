/* SPDX-License-Identifier: MIT */
/* The table of statuses, but for their names: rco_status_name(). */
#include "status.h"

#include <recoptout.h>

#include <string.h>

typedef struct row {
	rco__erasure erasure;
	int stopped, deleted;
} row;

#define STATUS(name, number, text, sentence, erasure, stopped, deleted, truth)                                    \
	[RCO_STATUS_##name] = {RCO__ERASURE_##erasure, stopped, deleted},
static const row rows[] = {
#include "status.def"
};
#undef STATUS

enum { ROWS = sizeof rows / sizeof rows[0] };

static const row *find(uint32_t status)
{
	return &rows[status < ROWS ? status : RCO_STATUS_UNKNOWN];
}

rco__erasure rco__status_erasure(uint32_t status)
{
	return find(status)->erasure;
}

int rco__status_stopped(uint32_t status)
{
	return find(status)->stopped;
}

int rco__status_deleted(uint32_t status)
{
	return find(status)->deleted;
}

uint32_t rco__status_named(const char *name)
{
	uint32_t status = ROWS;

	while (--status > RCO_STATUS_UNKNOWN)
		if (strcmp(rco_status_name(status), name) == 0)
			break;
	return status;
}
