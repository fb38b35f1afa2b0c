/* SPDX-License-Identifier: MIT */
#include "images.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const hows[IMAGES_HOWS] = {
	[IMAGES_KILL] = "kill",           [IMAGES_SUBSET] = "subset",
	[IMAGES_NONE] = "none",           [IMAGES_ALL] = "all",
	[IMAGES_ONLY] = "only",           [IMAGES_WITHOUT] = "without",
	[IMAGES_ONLY_OP] = "only-op",     [IMAGES_WITHOUT_OP] = "without-op",
	[IMAGES_BEFORE_OP] = "before-op", [IMAGES_RANDOM] = "random",
};

void images_choice_text(images_choice choice, char out[64])
{
	if (choice.late != 0)
		(void)snprintf(out, 64, "%s:%" PRIu64 "+%" PRIu64, hows[choice.how], choice.arg, choice.late);
	else
		(void)snprintf(out, 64, "%s:%" PRIu64, hows[choice.how], choice.arg);
}

int images_choice_parse(const char *text, images_choice *choice)
{
	size_t length = strcspn(text, ":+");
	const char *rest = text + length;
	char *end;

	*choice = (images_choice){.how = IMAGES_KILL};
	while (strlen(hows[choice->how]) != length || strncmp(hows[choice->how], text, length) != 0) {
		if (++choice->how == IMAGES_HOWS)
			return 0;
	}
	if (*rest == ':') {
		choice->arg = strtoull(rest + 1, &end, 10);
		rest = end;
	}
	if (*rest == '+') {
		choice->late = strtoull(rest + 1, &end, 10);
		rest = end;
	}
	return *rest == '\0';
}

static uint64_t scramble(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void add(images_choices *out, int how, uint64_t arg)
{
	if (out->n == out->cap) {
		out->cap = out->cap > 0 ? out->cap * 2 : 64;
		out->list = realloc(out->list, out->cap * sizeof *out->list);
		if (out->list == NULL)
			abort();
	}
	out->list[out->n++] = (images_choice){.how = how, .arg = arg};
}

/* Operations as wholes: doubts of one entry are side by side. */
static void add_operations(const w_disk *disk, size_t position, size_t doubts, images_choices *out)
{
	size_t i, at, last = SIZE_MAX;

	for (i = 0; i < doubts; i++) {
		at = w_disk_doubt_at(disk, position, i);
		if (at == last)
			continue;
		last = at;
		add(out, IMAGES_ONLY_OP, at);
		add(out, IMAGES_WITHOUT_OP, at);
		if (i > 0)
			add(out, IMAGES_BEFORE_OP, at);
	}
}

void images_choices_at(const w_disk *disk, size_t position, int kills, uint64_t seed, images_choices *out)
{
	size_t doubts = w_disk_doubts(disk, position), i, n;
	uint64_t draw = scramble(seed ^ ((uint64_t)position << 20));

	out->n = 0;
	for (i = 0; i < (size_t)kills; i++)
		add(out, IMAGES_KILL, i);
	if (doubts <= IMAGES_WHOLE) {
		for (i = 0; i < (size_t)1 << doubts; i++)
			add(out, IMAGES_SUBSET, i);
		return;
	}
	add(out, IMAGES_NONE, 0);
	add(out, IMAGES_ALL, 0);
	add_operations(disk, position, doubts, out);
	n = doubts < IMAGES_SINGLES ? doubts : IMAGES_SINGLES;
	for (i = 0; i < n; i++) {
		draw = scramble(draw);
		add(out, IMAGES_ONLY, n == doubts ? i : draw % doubts);
		add(out, IMAGES_WITHOUT, n == doubts ? i : (draw >> 32) % doubts);
	}
	for (i = 0; i < IMAGES_DRAWN; i++) {
		draw = scramble(draw);
		add(out, IMAGES_RANDOM, draw);
	}
}

/* Densities of 1/2, 1/8 and 7/8, by the seed. */
static int drawn(uint64_t seed, size_t doubt)
{
	uint64_t h = scramble(seed + doubt);

	switch (seed % 3) {
	case 0:
		return (int)(h & 1);
	case 1:
		return (h & 7) == 0;
	default:
		return (h & 7) != 0;
	}
}

static int arrives(images_choice c, size_t doubt, size_t entry)
{
	switch (c.how) {
	case IMAGES_SUBSET:
		return doubt < 64 && (c.arg >> doubt & 1) != 0;
	case IMAGES_ALL:
		return 1;
	case IMAGES_ONLY:
		return doubt == c.arg;
	case IMAGES_WITHOUT:
		return doubt != c.arg;
	case IMAGES_ONLY_OP:
		return entry == c.arg;
	case IMAGES_WITHOUT_OP:
		return entry != c.arg;
	case IMAGES_BEFORE_OP:
		return entry < c.arg;
	case IMAGES_RANDOM:
		return drawn(c.arg, doubt);
	default:
		return 0;
	}
}

uint64_t *images_bits(const w_disk *disk, size_t position, images_choice choice, size_t *n_bits)
{
	size_t doubts, i;
	uint64_t *bits;

	*n_bits = 0;
	if (choice.how == IMAGES_KILL)
		return NULL;
	doubts = w_disk_doubts(disk, position);
	*n_bits = (doubts / 64 + 1) * 64;
	bits = calloc(*n_bits / 64, sizeof *bits);
	if (bits == NULL)
		abort();
	for (i = 0; i < doubts; i++) {
		if (arrives(choice, i, w_disk_doubt_at(disk, position, i)))
			bits[i / 64] |= (uint64_t)1 << (i % 64);
	}
	return bits;
}
