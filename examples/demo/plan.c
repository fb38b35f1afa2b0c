/* SPDX-License-Identifier: MIT */
/* Twenty-four calls: which are kept, which are not, and what happens to them. calls.c has the moments. */
#include "demo.h"

#include <string.h>

#define PCMU RCO_FORMAT_PCMU_8K
#define PCMA RCO_FORMAT_PCMA_8K
#define L8   RCO_FORMAT_S16_8K
#define L16  RCO_FORMAT_S16_16K
#define L24  RCO_FORMAT_S16_24K
#define L48  RCO_FORMAT_S16_48K

const struct plan plans[CALLS] = {
	{"call-01", {PCMU, PCMU}, 18, 1, "nothing"},
	{"call-02", {PCMA, PCMA}, 18, 1, "nothing"},
	{"call-03", {L8, L8}, 18, 1, "nothing"},
	{"call-04", {L16, L16}, 18, 1, "nothing"},
	{"call-05", {L24, L48}, 18, 1, "nothing"},
	{"call-06", {PCMU, PCMA}, 18, 1, "a pause, then go on"},
	{"call-07", {PCMA, L16}, 18, 1, "consent: yes"},
	{"call-08", {PCMU, L8}, 18, 1, "opt-out, too late"},
	/* These two are still talking when the process is killed, so they need more to say. */
	{"call-09", {PCMU, PCMU}, 60, 1, "nothing (cut by the kill)"},
	{"call-10", {L16, PCMA}, 60, 1, "nothing (cut by the kill)"},
	{"call-11", {PCMA, PCMA}, 18, 1, "nothing (killed in upload)"},
	{"call-12", {PCMU, PCMU}, 18, 0, "opt-out before the start"},
	{"call-13", {PCMA, PCMA}, 18, 0, "opt-out before the call"},
	{"call-14", {L8, PCMU}, 18, 0, "consent: no"},
	{"call-15", {PCMU, PCMU}, 18, 0, "opt-out in the call"},
	{"call-16", {L16, L16}, 18, 0, "opt-out by media thread"},
	{"call-17", {PCMA, L8}, 18, 0, "three opt-outs at once"},
	{"call-18", {L8, L8}, 18, 0, "opt-out while paused"},
	{"call-19", {PCMU, PCMA}, 18, 0, "opt-out as it hangs up"},
	{"call-20", {L24, L24}, 18, 0, "opt-out after hang-up"},
	{"call-21", {PCMU, PCMU}, 18, 0, "opt-out during upload"},
	{"call-22", {PCMA, PCMA}, 18, 0, "opt-out, legal hold"},
	{"call-23", {L8, L8}, 18, 0, "opt-out, host-recorded"},
	{"call-24", {PCMU, L48}, 18, 0, "opt-out, then SIGKILL"},
};

const char *const leg_labels[LEGS] = {"caller", "agent"};

int plan_index(const char *call_id)
{
	for (int i = 0; i < CALLS; i++) {
		if (strcmp(plans[i].id, call_id) == 0)
			return i;
	}
	return -1;
}

const char *plan_format_name(uint32_t format)
{
	switch (format) {
	case PCMU:
		return "pcmu";
	case PCMA:
		return "pcma";
	case L8:
		return "s16/8k";
	case L16:
		return "s16/16k";
	case L24:
		return "s16/24k";
	case L48:
		return "s16/48k";
	default:
		return "?";
	}
}
