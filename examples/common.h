/* SPDX-License-Identifier: MIT */
/* For the example programs: an error ends them, with what happened, where, and what to do about it. */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#include <stdio.h>
#include <stdlib.h>

#include <recoptout.h>

/* rco_... functions answer 0 or a positive "not yet"; negative is an error. */
#define CHECK(call)                                                                                               \
	do {                                                                                                      \
		int check_rc_ = (call);                                                                           \
		if (check_rc_ < 0) {                                                                              \
			fprintf(stderr, "%s:%d: %s\n  answered %s: %s\n", __FILE__, __LINE__, #call,              \
			        rco_error_name(check_rc_), rco_strerror(check_rc_));                              \
			if (rco_error_detail()[0])                                                                \
				fprintf(stderr, "  %s\n", rco_error_detail());                                    \
			exit(1);                                                                                  \
		}                                                                                                 \
	} while (0)

#endif
