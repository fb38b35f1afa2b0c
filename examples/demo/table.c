/* SPDX-License-Identifier: MIT */
/* One line for each call: what was asked and when, how long the stop took, what was erased, what is kept. */
#include "demo.h"

#include <stdio.h>

uint64_t board_accepted(const struct leg_board *leg)
{
	uint64_t bytes = 0;
	uint32_t runs = atomic_load(&leg->runs);

	for (uint32_t i = 0; i < runs; i++)
		bytes += atomic_load(&leg->run[i].to) - atomic_load(&leg->run[i].from);
	return bytes;
}

static double seconds_of(const struct board *board, unsigned call)
{
	double longest = 0;

	for (unsigned leg = 0; leg < LEGS; leg++) {
		uint32_t format = plans[call].format[leg];
		double s = (double)board_accepted(&board->call[call].leg[leg]) /
		           (rco_format_rate_hz(format) * rco_format_sample_bytes(format));

		longest = s > longest ? s : longest;
	}
	return longest;
}

static int saw(const struct call_board *cb, uint32_t type)
{
	return (atomic_load(&cb->events) & 1u << type) != 0;
}

static void erased_words(char *out, size_t cap, const struct board *board, unsigned call)
{
	const struct call_board *cb = &board->call[call];
	double s = seconds_of(board, call);
	int n = 0;

	out[0] = 0;
	if (s > 0)
		n = snprintf(out, cap, "%.1f s", s);
	if (saw(cb, RCO_EVENT_UPLOAD_STARTED) && n >= 0)
		n += snprintf(out + n, cap - (size_t)n, "%supload", n ? ", " : "");
	if (cb->artifacts && n >= 0)
		n += snprintf(out + n, cap - (size_t)n, "%s%u files of the host", n ? ", " : "",
		              (unsigned)cb->artifacts);
	if (n == 0)
		snprintf(out, cap, "nothing was recorded");
}

static void row(const struct board *board, unsigned call)
{
	const struct call_board *cb = &board->call[call];
	char formats[32], at[16] = "", took[16] = "", erased[64] = "", kept[64] = "call record";
	const char *status = rco_status_name(cb->status);

	snprintf(formats, sizeof formats, "%s %s", plan_format_name(plans[call].format[0]),
	         plan_format_name(plans[call].format[1]));
	if (atomic_load(&cb->answered)) {
		snprintf(at, sizeof at, "%.1f s", (double)(cb->asked_ms < 0 ? 0 : cb->asked_ms) / 1000);
		snprintf(took, sizeof took, "%d us", (int)cb->stop_us);
	}
	if (plans[call].kept)
		status = saw(cb, RCO_EVENT_STORED) ? "stored" : "not stored";
	if (plans[call].kept)
		snprintf(kept, sizeof kept, "2 x %.1f s, call record", seconds_of(board, call));
	else
		erased_words(erased, sizeof erased, board, call);
	printf("%-8s %-16s %-26s %7s %9s  %-14s %-30s %s\n", plans[call].id, formats, plans[call].asked, at, took,
	       status, erased, kept);
}

void table_print(const struct board *board)
{
	double minutes = 0;

	timeline_heading("CALLS");
	printf("%-8s %-16s %-26s %7s %9s  %-14s %-30s %s\n", "call", "caller agent", "what was asked", "when",
	       "stop took", "status", "erased", "kept");
	for (unsigned i = 0; i < CALLS; i++) {
		row(board, i);
		minutes += LEGS * seconds_of(board, i) / 60;
	}
	printf("\n%u calls at once, %u of them recorded: %.1f minutes of speech, %d times faster than real time\n",
	       (unsigned)board->peak_open, (unsigned)board->peak_recording, minutes, SPEED);
}
