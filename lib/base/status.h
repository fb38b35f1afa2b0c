/* SPDX-License-Identifier: MIT */
/* What a status means to the code; status.def has the whole of it. */
#ifndef RCO_BASE_STATUS_H
#define RCO_BASE_STATUS_H

#include <stdint.h>

typedef enum rco__erasure {
	RCO__ERASURE_OPEN = 0, /* to be done, or under way */
	RCO__ERASURE_DONE,     /* done; a second look is to come */
	RCO__ERASURE_OVER,     /* done and looked at, or nothing was there */
	RCO__ERASURE_OFF       /* none is under way: waiting for it would be in vain */
} rco__erasure;

/* Of a status that is not known: as of RCO_STATUS_UNKNOWN. */
rco__erasure rco__status_erasure(uint32_t status);
int rco__status_stopped(uint32_t status); /* certain that the call is not being recorded */
int rco__status_deleted(uint32_t status); /* certain that no recording of it is left */
/* The status of that name, RCO_STATUS_UNKNOWN if there is none. */
uint32_t rco__status_named(const char *name);

#endif
