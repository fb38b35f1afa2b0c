/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static double clock_ns(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) != 0)
		b_die("no such clock");
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double b_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

double b_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

double b_thread_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The smallest value that at least this share of all values does not exceed. */
static double rank(const double *sorted, size_t count, double share)
{
	double exact = share * (double)count;
	size_t i = (size_t)exact;

	if ((double)i < exact)
		i++;
	return sorted[i > 0 ? i - 1 : 0];
}

b_spread b_spread_of(double *values, size_t count)
{
	if (count == 0)
		b_die("a spread of nothing");
	qsort(values, count, sizeof *values, ascending);
	return (b_spread){.p10 = rank(values, count, 0.1),
	                  .p50 = rank(values, count, 0.5),
	                  .p90 = rank(values, count, 0.9),
	                  .p99 = rank(values, count, 0.99),
	                  .p9999 = rank(values, count, 0.9999),
	                  .max = values[count - 1]};
}

b_spread b_rounds(int rounds, double per, void (*fn)(void *arg), void *arg)
{
	double *took = malloc((size_t)rounds * sizeof *took), begin;
	b_spread spread;
	int i;

	if (took == NULL)
		b_die("no memory");
	fn(arg); /* once for the caches */
	for (i = 0; i < rounds; i++) {
		begin = b_now_ns();
		fn(arg);
		took[i] = (b_now_ns() - begin) / per;
	}
	spread = b_spread_of(took, (size_t)rounds);
	free(took);
	return spread;
}

/* ---- folders: made and removed by the parent, which outlives whatever happens here ---- */

static const char *disk_dir, *memory_dir;

void b_folders(const char *disk, const char *memory)
{
	disk_dir = disk;
	memory_dir = memory;
}

const char *b_disk(void)
{
	return disk_dir;
}

const char *b_memory_dir(void)
{
	return memory_dir;
}
