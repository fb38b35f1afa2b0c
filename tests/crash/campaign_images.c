/* SPDX-License-Identifier: MIT */
/*
 * Crash images without an end, or one again:
 *   campaign_images [--subject calls|world] [--seed S] [--step N] [--for SECONDS] [--count IMAGES] [--scenarios N]
 *   campaign_images --subject NAME --seed S --position P --choice C [--position P --choice C ...]
 */
#include "../world/chance.h"
#include "images_calls.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

W_CHANCE_UUID

static int usage(void)
{
	(void)fputs(
		"campaign_images [--subject calls|world] [--seed S] [--step N] [--for SECONDS] [--count IMAGES] "
		"[--scenarios N]\n"
		"campaign_images --subject NAME --seed S --position P --choice C [--position P --choice C ...]\n",
		stderr);
	return 2;
}

/* 0 for an option that is not known, or a value that is none. */
static int option(images_campaign *c, images_path *path, const char *name, const char *value)
{
	char *end = NULL;
	uint64_t n = strtoull(value, &end, 10);

	if (strcmp(name, "--choice") == 0) {
		if (path->depth == 0)
			return 0;
		return images_choice_parse(value, &path->steps[path->depth - 1].choice);
	}
	if (strcmp(name, "--subject") == 0) {
		c->subjects[0] = strcmp(value, images_world.name) == 0 ? &images_world : &images_calls;
		c->subjects[1] = NULL;
		return strcmp(value, c->subjects[0]->name) == 0;
	}
	if (*value == '\0' || *end != '\0')
		return 0;
	if (strcmp(name, "--seed") == 0)
		c->first_seed = path->seed = n;
	else if (strcmp(name, "--step") == 0)
		c->step_seed = n;
	else if (strcmp(name, "--for") == 0)
		c->max_seconds = (double)n;
	else if (strcmp(name, "--count") == 0)
		c->max_images = n;
	else if (strcmp(name, "--scenarios") == 0)
		c->max_scenarios = n;
	else if (strcmp(name, "--position") == 0 && path->depth < IMAGES_DEPTH)
		path->steps[path->depth++].position = (size_t)n;
	else
		return 0;
	return 1;
}

int main(int argc, char **argv)
{
	images_campaign campaign = {.subjects = {&images_calls, &images_world},
	                            .first_seed = 1,
	                            .step_seed = 1,
	                            .one_in = {IMAGES_ONE_IN, IMAGES_ONE_IN_DEEPER},
	                            .max_failures = 20,
	                            .out = stdout};
	images_path path = {.seed = 1};
	struct timespec from, to;
	uint64_t failed;
	int i;

	for (i = 1; i < argc; i += 2) {
		if (i + 1 == argc || !option(&campaign, &path, argv[i], argv[i + 1]))
			return usage();
	}
	images_begin();
	if (path.depth > 0)
		return images_replay(campaign.subjects[0], &path, stdout);
	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	failed = images_campaign_run(&campaign);
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	images_counts_print(&campaign.counts,
	                    (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9, stdout);
	return failed > 0;
}
