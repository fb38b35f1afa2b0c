/* SPDX-License-Identifier: MIT */
/*
 * The world of tests/world as a thing to be crashed: a store on bad days, a key service elsewhere, artifacts,
 * legal holds. The first seeds are the scenarios that have names, the others are drawn.
 */
#include "images_calls.h"

#include "../world/scenario.h"
#include "../world/verdict.h"

#include <stdlib.h>
#include <string.h>

/* Behind images_run. */
typedef struct world_run {
	w_world *world;
	char *broken; /* what went wrong before the crash */
} world_run;

static world_run *own(const images_run *run)
{
	return (world_run *)(uintptr_t)run;
}

static char *copy_of(const char *text)
{
	char *copy = text != NULL && text[0] != '\0' ? strdup(text) : NULL;

	if (copy == NULL && text != NULL && text[0] != '\0')
		abort();
	return copy;
}

static images_run *run_around(w_world *world, const char *broken)
{
	world_run *run = calloc(1, sizeof *run);

	if (run == NULL)
		abort();
	run->world = world;
	run->broken = copy_of(broken);
	return (images_run *)(void *)run;
}

static images_run *play(uint64_t seed)
{
	const w_scenario *named = NULL;
	w_scenario made;
	w_world *world;
	uint64_t i;

	for (i = 0; i < seed && w_scenario_named((size_t)i) != NULL; i++)
		named = w_scenario_named((size_t)i);
	if (i < seed || named == NULL) {
		w_scenario_make(&made, seed);
		named = &made;
	}
	world = w_scenario_play(named);
	return run_around(world, w_complaint(world));
}

static void release(images_run *run)
{
	w_world_free(own(run)->world);
	free(own(run)->broken);
	free(own(run));
}

static const w_disk *disk_of(const images_run *run)
{
	return w_world_disk(own(run)->world);
}

static size_t late_of(const images_run *run, size_t position)
{
	return w_in_flight(own(run)->world, position);
}

static images_run *image_of(images_run *from, size_t position, const images_choice *choice, const uint64_t *bits,
                            size_t n_bits)
{
	w_moment moment = {.position = position,
	                   .crash = choice->how == IMAGES_KILL ? W_CRASH_KILL : W_CRASH_POWER,
	                   .choice = bits,
	                   .choice_bits = n_bits,
	                   .late = choice->late,
	                   .rings_before = choice->how == IMAGES_KILL && choice->arg != 0};

	return run_around(w_world_image(own(from)->world, &moment), own(from)->broken);
}

static uint64_t hash_of(images_run *image, int with_promises)
{
	return w_world_hash(own(image)->world, with_promises);
}

static char *recover(images_run *image)
{
	w_verdict verdict;

	if (own(image)->broken != NULL)
		return copy_of(own(image)->broken);
	return w_judge(own(image)->world, &verdict) ? NULL : copy_of(verdict.fault);
}

static char *story(images_run *run, size_t to)
{
	return w_world_story(own(run)->world, 0, to);
}

const images_subject images_world = {
	.name = "world",
	.kills = 2,
	.play = play,
	.release = release,
	.disk = disk_of,
	.late = late_of,
	.image = image_of,
	.hash = hash_of,
	.recover = recover,
	.story = story,
};
