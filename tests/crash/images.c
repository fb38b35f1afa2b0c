/* SPDX-License-Identifier: MIT */
#include "images.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- a set of hashes ---- */

struct images_set {
	uint64_t *slots; /* 0: free */
	size_t n, cap;
};

static images_set *set_new(void)
{
	images_set *set = calloc(1, sizeof *set);

	if (set == NULL)
		abort();
	return set;
}

static void set_free(images_set *set)
{
	if (set != NULL)
		free(set->slots);
	free(set);
}

static int set_put(images_set *set, uint64_t hash)
{
	size_t i;

	hash += hash == 0;
	for (i = hash & (set->cap - 1); set->slots[i] != 0; i = (i + 1) & (set->cap - 1)) {
		if (set->slots[i] == hash)
			return 0;
	}
	set->slots[i] = hash;
	set->n++;
	return 1;
}

static void set_grow(images_set *set)
{
	images_set bigger = {.cap = set->cap > 0 ? set->cap * 2 : 4096};
	size_t i;

	bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
	if (bigger.slots == NULL)
		abort();
	for (i = 0; i < set->cap; i++) {
		if (set->slots[i] != 0)
			(void)set_put(&bigger, set->slots[i]);
	}
	free(set->slots);
	*set = bigger;
}

/* 1 if it was not there. */
static int set_add(images_set *set, uint64_t hash)
{
	if (set->n * 2 >= set->cap)
		set_grow(set);
	return set_put(set, hash);
}

/* ---- one image ---- */

static uint64_t combine(uint64_t a, uint64_t b)
{
	a = (a ^ (b + 0x9e3779b97f4a7c15u + (a << 6))) * 0xff51afd7ed558ccdu;
	return a ^ (a >> 32);
}

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static images_run *build(const images_subject *s, images_run *run, const images_step *step)
{
	size_t n_bits;
	uint64_t *bits = images_bits(s->disk(run), step->position, step->choice, &n_bits);
	images_run *image = s->image(run, step->position, &step->choice, bits, n_bits);

	free(bits);
	return image;
}

static void print_path(const images_path *path, FILE *out)
{
	char text[64];
	size_t i;

	(void)fprintf(out, "--seed %" PRIu64, path->seed);
	for (i = 0; i < path->depth; i++) {
		images_choice_text(path->steps[i].choice, text);
		(void)fprintf(out, " --position %zu --choice %s", path->steps[i].position, text);
	}
}

static void report(images_campaign *c, const images_path *path, const char *what)
{
	c->counts.failed++;
	(void)fprintf(c->out, "FAILED at depth %zu, again by: campaign_images --subject %s ", path->depth - 1,
	              c->subject->name);
	print_path(path, c->out);
	(void)fprintf(c->out, "\n%s\n", what);
	(void)fflush(c->out);
}

typedef struct bounds {
	double until; /* 0: none */
} bounds;

static int over(const images_campaign *c, const bounds *b)
{
	uint64_t distinct = 0;
	int i;

	for (i = 0; i < IMAGES_DEPTH; i++)
		distinct += c->counts.distinct[i][0] + c->counts.distinct[i][1];
	if (c->max_failures > 0 && c->counts.failed >= c->max_failures)
		return 1;
	if (c->max_images > 0 && distinct >= c->max_images)
		return 1;
	return b->until > 0 && now() >= b->until;
}

static void crash_run(images_campaign *c, const bounds *b, images_run *run, images_path *path);

/*
 * Recover from an image and judge, unless the same was done before: the same disk, store and rings, and the same
 * promises. Now and then the recovery is crashed in turn.
 */
static void try_image(images_campaign *c, const bounds *b, images_run *run, images_path *path)
{
	const images_subject *s = c->subject;
	const images_step *step = &path->steps[path->depth - 1];
	int power = step->choice.how != IMAGES_KILL;
	images_run *image = build(s, run, step);
	uint64_t hash = s->hash(image, 1);
	char *what;

	c->counts.built[path->depth - 1][power]++;
	if (set_add(c->seen, s->hash(image, 0)))
		c->counts.distinct[path->depth - 1][power]++;
	if (set_add(c->judged, combine(hash, (uint64_t)power))) {
		what = s->recover(image);
		c->counts.recovered++;
		if (what != NULL)
			report(c, path, what);
		else if (path->depth < IMAGES_DEPTH && combine(hash, path->seed) % c->one_in[path->depth - 1] == 0)
			crash_run(c, b, image, path);
		free(what);
	}
	s->release(image);
}

/* Of a recovery's position: the kills, and as many power cuts as IMAGES_DEEP_POWER says, drawn. */
static void thin_out(images_choices *choices, size_t kills, uint64_t seed)
{
	size_t i, pick;
	images_choice swap;

	for (i = kills; i < kills + IMAGES_DEEP_POWER && i + 1 < choices->n; i++) {
		seed = combine(seed, i);
		pick = i + (size_t)(seed % (choices->n - i));
		swap = choices->list[i];
		choices->list[i] = choices->list[pick];
		choices->list[pick] = swap;
	}
	if (choices->n > kills + IMAGES_DEEP_POWER)
		choices->n = kills + IMAGES_DEEP_POWER;
}

/* Which of the requests on their way land: none, all, or some, each as often. */
static uint64_t late_of(size_t late, uint64_t draw)
{
	uint64_t all = late >= 64 ? UINT64_MAX : ((uint64_t)1 << late) - 1;

	switch (draw % 3) {
	case 0:
		return 0;
	case 1:
		return all;
	default:
		return draw >> 2 & all;
	}
}

/* Every position of a run's log. */
static void crash_run(images_campaign *c, const bounds *b, images_run *run, images_path *path)
{
	const w_disk *disk = c->subject->disk(run);
	size_t position, i, late, last = w_disk_position(disk);
	images_choices choices = {0};
	images_step *step;

	step = &path->steps[path->depth++];
	for (position = 0; position <= last && !over(c, b); position++) {
		if (position > 1 && w_disk_fills_at(disk, position) && w_disk_fills_at(disk, position - 1) &&
		    w_disk_fills_at(disk, position - 2))
			continue;
		images_choices_at(disk, position, c->subject->kills, path->seed, &choices);
		if (path->depth > 1)
			thin_out(&choices, (size_t)c->subject->kills,
			         combine(path->seed, combine(position, path->steps[0].position)));
		c->counts.positions += path->depth == 1;
		late = c->subject->late != NULL ? c->subject->late(run, position) : 0;
		for (i = 0; i < choices.n && !over(c, b); i++) {
			step->position = position;
			step->choice = choices.list[i];
			step->choice.late = late_of(late, combine(path->seed, combine(position, i)));
			try_image(c, b, run, path);
		}
	}
	path->depth--;
	free(choices.list);
}

/* ---- the campaign ---- */

uint64_t images_campaign_run(images_campaign *c)
{
	bounds b = {.until = c->max_seconds > 0 ? now() + c->max_seconds : 0};
	uint64_t seed = c->first_seed;
	images_path path;
	images_run *run;

	c->seen = set_new();
	c->judged = set_new();
	while (!over(c, &b) && (c->max_scenarios == 0 || c->counts.scenarios < c->max_scenarios)) {
		c->subject = c->subjects[c->counts.scenarios % 2];
		if (c->subject == NULL)
			c->subject = c->subjects[0];
		path = (images_path){.seed = seed};
		run = c->subject->play(seed);
		c->counts.scenarios++;
		crash_run(c, &b, run, &path);
		c->subject->release(run);
		if (c->subjects[1] == NULL || c->counts.scenarios % 2 == 0)
			seed += c->step_seed;
	}
	set_free(c->seen);
	set_free(c->judged);
	c->seen = c->judged = NULL;
	return c->counts.failed;
}

static void tell(const images_subject *s, images_run *run, size_t position, size_t level, FILE *out)
{
	char *story = s->story != NULL ? s->story(run, position) : w_disk_story(s->disk(run), 0, position);

	(void)fprintf(out, "---- %s, up to %zu ----\n%s", level == 0 ? "the scenario" : "a recovery", position,
	              story);
	free(story);
}

int images_replay(const images_subject *s, const images_path *path, FILE *out)
{
	images_run *run = s->play(path->seed), *image;
	char *what = NULL;
	size_t i;

	for (i = 0; i < path->depth && what == NULL; i++) {
		tell(s, run, path->steps[i].position, i, out);
		image = build(s, run, &path->steps[i]);
		what = s->recover(image);
		s->release(run);
		run = image;
	}
	if (what != NULL) {
		tell(s, run, w_disk_position(s->disk(run)), i, out);
		(void)fprintf(out, "FAILED after crash %zu of %zu:\n%s\n", i, path->depth, what);
	} else {
		(void)fputs("all promises were kept\n", out);
	}
	s->release(run);
	free(what);
	return what != NULL;
}

void images_counts_print(const images_counts *n, double seconds, FILE *out)
{
	static const char *const depths[IMAGES_DEPTH] = {"scenario", "recovery", "second-recovery"};
	int i, power;

	(void)fprintf(out, "count scenarios %" PRIu64 "\ncount positions %" PRIu64 "\n", n->scenarios,
	              n->positions);
	for (i = 0; i < IMAGES_DEPTH; i++) {
		for (power = 0; power < 2; power++) {
			(void)fprintf(out, "count %s-%s-built %" PRIu64 "\n", depths[i], power ? "power" : "kill",
			              n->built[i][power]);
			(void)fprintf(out, "count %s-%s-distinct %" PRIu64 "\n", depths[i],
			              power ? "power" : "kill", n->distinct[i][power]);
		}
	}
	(void)fprintf(out, "count recovered %" PRIu64 "\ncount failed %" PRIu64 "\n", n->recovered, n->failed);
	(void)fprintf(out, "count milliseconds %.0f\n", seconds * 1000);
}
