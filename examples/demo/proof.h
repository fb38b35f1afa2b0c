/* SPDX-License-Identifier: MIT */
/* Shared by the checks at the end. */
#ifndef DEMO_PROOF_H
#define DEMO_PROOF_H

#include "demo.h"

struct proof {
	const struct board *board;
	const struct speech *speech;
	const struct folders *folders;
	int bad;
	char name[CALLS][256]; /* file name of each call's record, without ".json" */
};

/* One line: "ok" or "FAIL", which is remembered in `bad`. */
void proof_say(struct proof *proof, int good, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* search.c; answers proof->bad */
int proof_search(struct proof *proof);

#endif
