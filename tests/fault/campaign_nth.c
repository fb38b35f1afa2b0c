/* SPDX-License-Identifier: MIT */
/*
 * Everything that can fail fails once, then in pairs, and then three and four at a time.
 *
 *   campaign_nth [--part I --of N] [--for SECONDS] [--seeds N] [--seed S]
 *       every named scenario and N that seeds make: all that fails alone, then pairs until the time is over
 *   campaign_nth --scenario NAME --fault KIND:N [--fault KIND:M ...]
 *       one of them again, with its story
 *
 * Pairs: for each scenario all of two faults of the store (done and not done, and no answer), then a sample of any
 * two, three and four that strike alone, drawn from the seed.
 */
#include "calls.h"

#include "../support.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

W_CHANCE_UUID

enum { SCENARIOS_MAX = 64 };

typedef struct campaign {
	uint64_t part, of, seeds, seed;
	double seconds;
	struct timespec began;
	w_scenario list[SCENARIOS_MAX];
	size_t n_list;
	n_counts counts[SCENARIOS_MAX][32]; /* what failed alone */
	uint64_t failed;
} campaign;

static double elapsed(const campaign *c)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - c->began.tv_sec) + (double)(now.tv_nsec - c->began.tv_nsec) / 1e9;
}

static void add_scenarios(campaign *c)
{
	const w_scenario *s;
	uint64_t i;

	for (c->n_list = 0; (s = w_scenario_named(c->n_list)) != NULL; c->n_list++)
		c->list[c->n_list] = *s;
	for (i = 0; i < c->seeds && c->n_list < SCENARIOS_MAX; i++)
		w_scenario_make(&c->list[c->n_list++], c->seed + i);
}

/* ---- alone ---- */

static void all_alone(campaign *c)
{
	const n_kind *kind;
	size_t i, k;

	for (i = 0; i < c->n_list; i++)
		for (k = 0; (kind = n_kind_at(k)) != NULL; k++) {
			n_counts *n = &c->counts[i][k];

			if (!n_kind_concerns(kind, &c->list[i], &n_system_calls))
				continue;
			*n = n_all(&c->list[i], (int)k, &n_system_calls, c->part, c->of, stdout);
			c->failed += n->failed;
			(void)printf("alone\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", c->list[i].name,
			             kind->name, n->n, n->struck, n->failed);
			(void)fflush(stdout);
		}
}

/* ---- in pairs ---- */

typedef struct pairs {
	uint64_t tried, struck, failed;
} pairs;

static void try_together(campaign *c, const w_scenario *s, const n_strikes *strikes, pairs *p)
{
	n_outcome outcome;

	n_try(s, strikes, &n_system_calls, NULL, &outcome);
	p->tried++;
	p->struck += (uint64_t)outcome.all_struck;
	if (outcome.failed == 0)
		return;
	p->failed++;
	c->failed++;
	n_tell(stdout, s, strikes, &outcome);
}

static void tell_pairs(const w_scenario *s, const char *which, const pairs *p)
{
	(void)printf("pairs\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", s->name, which, p->tried, p->struck,
	             p->failed);
	(void)fflush(stdout);
}

/* All of two faults of the store: the second within the calls that the first brings about, and 12 more. */
static void store_pairs(campaign *c, size_t scenario)
{
	static const char *const names[] = {"store-error", "store-done-error", "store-done-silent"};
	const w_scenario *s = &c->list[scenario];
	uint64_t n = c->counts[scenario][n_kind_named(names[0])].n + 12, a, b, number = 0;
	pairs p = {0, 0, 0};
	int i, k;

	if ((s->setup.flags & W_DIRECTORY) || n > 60)
		return;
	for (a = 1; a <= n; a++)
		for (b = a + 1; b <= n; b++)
			for (i = 0; i < 3; i++)
				for (k = 0; k < 3; k++) {
					const n_strikes strikes = {{{n_kind_named(names[i]), a},
					                            {n_kind_named(names[k]), b},
					                            N_NO_STRIKE}};

					if (number++ % c->of == c->part)
						try_together(c, s, &strikes, &p);
				}
	tell_pairs(s, "two of the store", &p);
}

static int draw(campaign *c, size_t scenario, w_random *random, n_strike *strike)
{
	size_t kinds = 0;

	while (n_kind_at(kinds) != NULL)
		kinds++;
	strike->kind = (int)w_below(random, (uint32_t)kinds);
	strike->nth = 1 + w_below(random, (uint32_t)c->counts[scenario][strike->kind].n + 8);
	return c->counts[scenario][strike->kind].n > 0;
}

/* `n` that strike alone, all of them different. 0: draw again. */
static int draw_some(campaign *c, size_t scenario, w_random *random, int n, n_strikes *strikes)
{
	int i, k;

	for (i = 0; i < n; i++) {
		if (!draw(c, scenario, random, &strikes->at[i]))
			return 0;
		for (k = 0; k < i; k++)
			if (strikes->at[k].kind == strikes->at[i].kind && strikes->at[k].nth == strikes->at[i].nth)
				return 0;
	}
	if (n < W_FAULTS)
		strikes->at[n].kind = -1;
	return 1;
}

/* Two at a time in one half of the tries, three and four in the other. */
static void drawn(campaign *c)
{
	static const int sizes[] = {2, 3, 2, 4};
	static const char *const names[W_FAULTS + 1] = {[2] = "any two", [3] = "any three", [4] = "any four"};
	static pairs p[SCENARIOS_MAX][W_FAULTS + 1];
	w_random random = {w_mix(c->seed + 1000 * c->part + 1)};
	n_strikes strikes;
	uint64_t turn;
	size_t i;
	int n;

	for (turn = 0; elapsed(c) < c->seconds; turn++) {
		i = turn % c->n_list;
		n = sizes[turn / c->n_list % 4];
		if (draw_some(c, i, &random, n, &strikes))
			try_together(c, &c->list[i], &strikes, &p[i][n]);
	}
	for (i = 0; i < c->n_list; i++)
		for (n = 2; n <= W_FAULTS; n++)
			tell_pairs(&c->list[i], names[n], &p[i][n]);
}

static int whole(campaign *c)
{
	size_t i;

	add_scenarios(c);
	all_alone(c);
	for (i = 0; i < c->n_list && elapsed(c) < c->seconds; i++)
		store_pairs(c, i);
	drawn(c);
	return c->failed == 0 ? 0 : 1;
}

/* ---- again ---- */

static int find_scenario(const char *name, w_scenario *out)
{
	const w_scenario *s;
	uint64_t seed;
	size_t i;

	for (i = 0; (s = w_scenario_named(i)) != NULL; i++)
		if (strcmp(s->name, name) == 0) {
			*out = *s;
			return 1;
		}
	if (sscanf(name, "seed %" SCNu64, &seed) != 1)
		return 0;
	w_scenario_make(out, seed);
	return 1;
}

static int parse_fault(const char *text, n_strike *strike)
{
	char name[40];

	if (sscanf(text, "%39[a-z-]:%" SCNu64, name, &strike->nth) != 2)
		return 0;
	strike->kind = n_kind_named(name);
	return strike->kind >= 0;
}

static int again(const w_scenario *s, const n_strikes *strikes)
{
	char *text = w_scenario_text(s);
	n_outcome outcome;
	int i;

	(void)printf("%s\n", text);
	free(text);
	n_try(s, strikes, &n_system_calls, stdout, &outcome);
	(void)printf("struck:");
	for (i = 0; i < n_count(strikes); i++)
		(void)printf(" %d", outcome.struck[i]);
	(void)printf("\n");
	if (outcome.failed > 0)
		n_tell(stdout, s, strikes, &outcome);
	return outcome.failed > 0;
}

static int usage(void)
{
	(void)fputs("usage: campaign_nth [--part I --of N] [--for SECONDS] [--seeds N] [--seed S]\n"
	            "       campaign_nth --scenario NAME --fault KIND:N [--fault KIND:M ...]\n",
	            stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static campaign c = {.of = 1, .seeds = 6, .seed = 1};
	n_strikes strikes = {{N_NO_STRIKE, N_NO_STRIKE, N_NO_STRIKE, N_NO_STRIKE}};
	w_scenario scenario;
	int i, faults = 0, one = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &c.began);
	for (i = 1; i + 1 < argc; i += 2) {
		const char *value = argv[i + 1];

		if (strcmp(argv[i], "--part") == 0)
			c.part = strtoull(value, NULL, 10);
		else if (strcmp(argv[i], "--of") == 0)
			c.of = strtoull(value, NULL, 10);
		else if (strcmp(argv[i], "--for") == 0)
			c.seconds = strtod(value, NULL);
		else if (strcmp(argv[i], "--seeds") == 0)
			c.seeds = strtoull(value, NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0)
			c.seed = strtoull(value, NULL, 10);
		else if (strcmp(argv[i], "--scenario") == 0 && find_scenario(value, &scenario))
			one = 1;
		else if (strcmp(argv[i], "--fault") != 0 || faults == W_FAULTS ||
		         !parse_fault(value, &strikes.at[faults++]))
			return usage();
	}
	if (i != argc || c.of == 0 || c.part >= c.of || (one && faults == 0))
		return usage();
	return one ? again(&scenario, &strikes) : whole(&c);
}
