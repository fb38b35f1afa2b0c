/* SPDX-License-Identifier: MIT */
/*
 * make bench: every figure beside its peer or a physical limit, taken in one
 * run on one machine. The program runs each group as a child process of its own
 * (bench GROUP, what it allocates and how busy it is concerns no other group),
 * collects the rows, prints the table and writes results.json.
 *
 * A group reports rows. A row that has a goal says whether it was met; nothing
 * here is a test, and a goal that was missed is printed, not an error. An error
 * (a group that could not run) is: then the row says why, and the exit code is 1.
 */
#ifndef RCO_TESTS_BENCH_H
#define RCO_TESTS_BENCH_H

#include <stddef.h>
#include <stdint.h>

/* How a row's figure stands to its goal. */
typedef enum b_goal {
	B_SHOWN = 0, /* no goal: an absolute figure, or a peer's */
	B_AT_MOST,   /* `compared` <= goal */
	B_AT_LEAST,  /* `compared` >= goal */
	B_LESS       /* `compared` < goal */
} b_goal;

typedef struct b_row {
	const char *what;   /* "push 20 ms of L16/8k, hot" */
	const char *unit;   /* of value, low, high: "ns", "us", "KiB", "x" */
	double value;       /* the median, where there is a spread */
	double low, high;   /* 10th and 90th percentile; both 0: a single figure */
	const char *beside; /* the peer or limit: "memcpy of the same frame"; NULL without one */
	double beside_value;
	double compared; /* what the goal is about: a ratio, a difference, or the value itself */
	const char *how; /* what `compared` is: "value / beside", "value - beside, ns", "value" */
	b_goal kind;
	double goal;
	const char *note; /* NULL, or one sentence */
} b_row;

/* ---- in a group ---- */

/* Add a row to the results. Texts are copied. */
void b_report(const b_row *row);
/* A point of a curve: `series` of `plot` at x has y. Ends up in results.json and in the SVG of that plot. */
void b_point(const char *plot, const char *series, double x, double y);
/* What that plot is called, and its axes with their units: "sessions", "ns". Once, before or after its points. */
void b_axes(const char *plot, const char *title, const char *x, const char *y);
/* The group, or one peer of it, could not be measured: printed in its place. `peer` missing is no error. */
void b_skipped(const char *what, const char *why);
/* Prints to stderr and ends the group with an error. */
_Noreturn void b_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- measuring ---- */

double b_now_ns(void);    /* CLOCK_MONOTONIC */
double b_cpu_ns(void);    /* CPU time of this process, all threads */
double b_thread_ns(void); /* CPU time of this thread */

typedef struct b_spread {
	double p10, p50, p90, p99, p9999, max;
} b_spread;

/* Sorts `values`. */
b_spread b_spread_of(double *values, size_t count);
/* Keep the compiler from dropping a result. */
static inline void b_use(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}
/* Run `fn(arg)` `rounds` times, each timed as a whole, divided by `per` operations a round. */
b_spread b_rounds(int rounds, double per, void (*fn)(void *arg), void *arg);

/* A folder of this group on the disk (not a tmpfs), removed with all that is in it when the group ends. */
const char *b_disk(void);
/* The same under /dev/shm, or b_disk() without one. */
const char *b_memory_dir(void);

/* ---- speech ---- */

typedef struct b_sound {
	char name[64];
	uint32_t rate_hz;
	int16_t *samples;
	size_t count;
} b_sound;

/*
 * Real speech: "g711" is what came from a telephone line (asterisk-core-sounds-en-wav, 8 kHz, taken through mu-law
 * so that every sample is in its code book), "pcm16k" true 16 bit at 16 kHz (pocketsphinx-testdata), "pcm8k" that
 * halved in rate by sox-quality filtering done here. "leg" is a conversation's leg that talks 45 % of the time, of
 * the g711 kind, with the line's idle noise between. Generated: "noise", "silence", "full", "sine". About
 * `seconds` of it, repeated recordings excluded: less if there is not as much. Dies if the package is missing.
 */
b_sound b_sound_get(const char *kind, double seconds);
void b_sound_free(b_sound *sound);

/* ---- groups ---- */

typedef struct b_group {
	const char *name; /* "push" */
	const char *about;
	void (*run)(void);
} b_group;

extern const b_group b_groups[]; /* groups.c; ends with a NULL name, in the order they run */

void b_push(void);
void b_opt_out(void);
void b_erase(void);
void b_message(void);
void b_call(void);
void b_memory(void);
void b_recovery(void);
void b_kill(void);
void b_growth(void);

#endif
