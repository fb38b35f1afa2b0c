/* SPDX-License-Identifier: MIT */
#include "predicted_internal.h"

const predicted_habit rco__predicted_habits[RCO__ORDER_MAX] = {
	{50, 29}, {-22, 36}, {2, 28},  {-5, 30}, {0, 26}, {-2, 26}, {4, 26}, {-1, 26},
	{-1, 25}, {-3, 24},  {-1, 24}, {-4, 20}, {2, 24}, {1, 25},  {4, 22}, {3, 25}};

rco__predicted *rco__predicted_create(const rco__env *env)
{
	rco__predicted *s = rco__zalloc(env, 1, sizeof *s);
	rco__line line;
	int i, law;

	if (s == NULL)
		return NULL;
	s->kernels = rco__kernels_best();
	rco__codebook_make(&s->book);
	rco__analysis_make(&s->analysis);
	for (law = 0; law < 2; law++)
		for (i = 0; i < 256; i++) {
			line = law == 0 ? RCO__LINE_MU : RCO__LINE_A;
			s->place_of[law][i] = rco__g711_of_code(line, (uint8_t)i);
			s->sample_of[law][i] = rco__g711_sample(line, s->place_of[law][i]);
		}
	return s;
}

void rco__predicted_free(const rco__env *env, rco__predicted *s)
{
	if (s == NULL)
		return;
	rco_memzero(s, sizeof *s);
	rco__release(env, s);
}

void rco__predicted_use(rco__predicted *s, const rco__kernels *kernels)
{
	s->kernels = kernels;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * What blocks of up to n samples left: audio, and what it can be made from again. Kernels write a little beyond a
 * block, and the end of what is decoded is copied.
 */
void rco__predicted_wipe(rco__predicted *s, size_t n)
{
	predicted_block *b = &s->block;
	size_t room = least(n, RCO__BLOCK_MAX) + RCO__KERNEL_BEYOND;
	size_t coded = n * SAMPLE_CODED + 4 * (size_t)RCO__TAKE_ROOM;

	rco_memzero(b->x_room, (RCO__KERNEL_PAST + room) * sizeof b->x_room[0]);
	rco_memzero(b->off_room, (RCO__KERNEL_PAST + room) * sizeof b->off_room[0]);
	rco_memzero(b->place, room * sizeof b->place[0]);
	rco_memzero(b->folded, room * sizeof b->folded[0]);
	rco_memzero(b->octave4, room * sizeof b->octave4[0]);
	rco_memzero(b->slot, room * sizeof b->slot[0]);
	rco_memzero(b->shift, room * sizeof b->shift[0]);
	rco_memzero(b->group, sizeof b->group);
	rco_memzero(b->coded, least(coded, sizeof b->coded));
	rco__analysis_wipe(&s->analysis, n);
}

/* As if the distances before the chunk had all been this. */
void rco__predicted_set_start(rco__predicted *s, predicted_chunk *c, unsigned start)
{
	int i;

	c->start = start;
	c->quiet = start == 0 ? RUN_AFTER : 0;
	for (i = 0; i < RCO__KERNEL_PAST; i++)
		s->block.off_room[i] = start == 0 ? 0 : 1 << (start - 1);
}

void rco__predicted_copy(void *to, const void *from, size_t size)
{
	memmove(to, from, size);
}
