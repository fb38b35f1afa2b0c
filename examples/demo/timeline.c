/* SPDX-License-Identifier: MIT */
/* What happens, in lines to be read by people: seconds since the start, call, what it was. */
#include "demo.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct board *shared;
static int colours;

int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void sleep_until_us(int64_t at_us)
{
	struct timespec ts = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) != 0)
		;
}

void timeline_init(struct board *board)
{
	shared = board;
	colours = isatty(STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOLBF, 0); /* a SIGKILL must not swallow lines */
}

/* One printf a line, so that lines of two threads do not mix. */
static void line(const char *colour, const char *call_id, const char *text)
{
	int64_t us = now_us() - shared->start_us;

	printf("%s%3d.%03d  %-8s  %s%s\n", colours ? colour : "", (int)(us / 1000000), (int)(us % 1000000 / 1000),
	       call_id, text, colours ? "\033[0m" : "");
}

void timeline_note(const char *call_id, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	line("\033[1m", call_id, text);
}

void timeline_fail(const char *call_id, const char *fmt, ...)
{
	char text[512] = "FAIL: ";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + 6, sizeof text - 6, fmt, ap);
	va_end(ap);
	atomic_fetch_add(&shared->failures, 1);
	line("\033[31m", call_id, text);
}

void timeline_heading(const char *text)
{
	printf("\n%s== %s ==%s\n", colours ? "\033[1m" : "", text, colours ? "\033[0m" : "");
}

/* NULL: not worth a line of its own here; the table and the proof speak of it. */
static const char *sentence(uint32_t type)
{
	switch (type) {
	case RCO_EVENT_PAUSED:
		return "recording paused";
	case RCO_EVENT_RESUMED:
		return "recording resumed";
	case RCO_EVENT_CONSENT:
		return "the caller consents: recording begins";
	case RCO_EVENT_ENDED:
		return "hung up";
	case RCO_EVENT_STOP_FAILED:
		return "the host's recorder did not confirm its stop";
	case RCO_EVENT_NOT_DURABLE:
		return "stopped, but not yet on disk";
	case RCO_EVENT_ERASE_RETRY:
		return "erasing failed, tried again soon";
	case RCO_EVENT_ERASED:
		return "erased";
	case RCO_EVENT_VERIFIED:
		return "erasure verified";
	case RCO_EVENT_ESCALATED:
		return "not erased within the deadline";
	case RCO_EVENT_SWEPT:
		return "second look done";
	case RCO_EVENT_HELD:
		return "legal hold: stopped, kept, not erased";
	case RCO_EVENT_HOLD_LIFTED:
		return "legal hold lifted: erasing begins";
	case RCO_EVENT_UPLOAD_STARTED:
		return "upload begins";
	case RCO_EVENT_UPLOAD_RETRY:
		return "upload failed, tried again soon";
	case RCO_EVENT_UPLOAD_ABORTED:
		return "upload aborted";
	case RCO_EVENT_STORED:
		return "stored";
	case RCO_EVENT_BUFFER_RETRY:
		return "buffer failed, tried again soon";
	case RCO_EVENT_RECOVERED:
		return "taken up again";
	case RCO_EVENT_QUARANTINED:
		return "a damaged file was set aside";
	case RCO_EVENT_ARTIFACT_ERASED:
		return "late copy erased at once";
	default:
		return NULL;
	}
}

static const char *colour_of(uint32_t type)
{
	switch (type) {
	case RCO_EVENT_STOP_FAILED:
	case RCO_EVENT_NOT_DURABLE:
	case RCO_EVENT_ERASE_RETRY:
	case RCO_EVENT_ESCALATED:
	case RCO_EVENT_UPLOAD_RETRY:
	case RCO_EVENT_BUFFER_RETRY:
	case RCO_EVENT_QUARANTINED:
		return "\033[33m";
	case RCO_EVENT_ERASED:
	case RCO_EVENT_VERIFIED:
	case RCO_EVENT_SWEPT:
	case RCO_EVENT_ARTIFACT_ERASED:
		return "\033[36m";
	case RCO_EVENT_STORED:
		return "\033[32m";
	default:
		return "";
	}
}

static void count(uint32_t type)
{
	if (type == RCO_EVENT_ERASE_RETRY || type == RCO_EVENT_UPLOAD_RETRY || type == RCO_EVENT_BUFFER_RETRY)
		atomic_fetch_add(&shared->retries, 1);
	if (type == RCO_EVENT_ESCALATED)
		atomic_fetch_add(&shared->escalations, 1);
	if (type == RCO_EVENT_OVERFLOW)
		atomic_fetch_add(&shared->overflows, 1);
}

void timeline_event(const rco_event *event)
{
	const char *text = sentence(event->type);
	char full[512];
	int n;

	count(event->type);
	if (!text)
		return;
	n = snprintf(full, sizeof full, "%s", text);
	if (event->type == RCO_EVENT_STORED)
		n += snprintf(full + n, sizeof full - (size_t)n, ": %u audio files", (unsigned)event->count);
	if (event->type == RCO_EVENT_SWEPT)
		n += snprintf(full + n, sizeof full - (size_t)n, ": %u late copies", (unsigned)event->count);
	if (event->code != RCO_OK)
		snprintf(full + n, sizeof full - (size_t)n, " (%s: %s)", rco_error_name(event->code),
		         event->message);
	line(colour_of(event->type), event->call_id, full);
}
