/* SPDX-License-Identifier: MIT */
#include "bench.h"

const b_group b_groups[] = {
	{"push", "the media thread's path", b_push},
	{"opt_out", "from the request to silence, and to durable", b_opt_out},
	{"erase", "erasing long and short calls", b_erase},
	{"message", "reading what agents' platforms send", b_message},
	{"call", "the whole cost of a call", b_call},
	{"memory", "bytes and descriptors", b_memory},
	{"recovery", "starting after a crash", b_recovery},
	{"kill", "what kill -9 costs", b_kill},
	{"growth", "from a hundred calls to fifty thousand", b_growth},
	{NULL, NULL, NULL},
};
