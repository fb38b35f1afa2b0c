/* SPDX-License-Identifier: MIT */
/* Who is connected, for how long that has taken, and who has to go for others. Of one thread alone. */
#ifndef WEBHOOK_CROWD_H
#define WEBHOOK_CROWD_H

#include <stddef.h>
#include <stdint.h>

typedef struct guest guest;

/* The oldest first. They are few, or the oldest has to go. */
typedef struct row {
	guest *oldest, *newest;
	size_t count, most;
} row;

typedef struct crowd {
	row strangers; /* who has not shown the secret */
	row friends;   /* who has */
	int64_t limit_ms;
	int64_t away_ms; /* for so long nobody was read, in all: that is not theirs */
} crowd;

/* NULL without memory: it is sent away. */
guest *crowd_come(crowd *c, int fd);
void crowd_leave(crowd *c, guest *who); /* it is closed now; who may be NULL */
void crowd_let_in(crowd *c, guest *who);
/* Its request is whole, or answered: its time starts again. */
void crowd_again(crowd *c, guest *who);
/* Sends those away whose time is over. Milliseconds until the next one's is; -1: there is none. */
int crowd_sweep(crowd *c);
int64_t crowd_clock_ms(void);

#endif
