/* SPDX-License-Identifier: MIT */
#include "../base/bytes.h"
#include "predicted_internal.h"

static uint32_t fold(int32_t e)
{
	return e >= 0 ? 2 * (uint32_t)e : 2 * (uint32_t)-e - 1;
}

/* No reflection is so far from its centre that it is not below RCO__FAST; no code there has more than 18 bits, so
 * that three go to a flush. */
static void put_predictor(const rco__predicted *s, rco__bit_writer *out, const rco__predictor *p)
{
	rco__bit_writer w = *out;
	uint32_t code;
	int i;

	rco__bits_put(&w, (unsigned)p->order, ORDER_BITS);
	rco__bits_flush(&w);
	for (i = 0; i < p->order; i++) {
		code = s->book.fast[rco__predicted_habits[i].row]
		                   [fold(p->reflection[i] - rco__predicted_habits[i].centre)];
		rco__bits_put(&w, code >> 8, code & 0xff);
		if (i % 3 == 2)
			rco__bits_flush(&w);
	}
	rco__bits_flush(&w);
	*out = w;
}

static rco__row row_at(const predicted_block *b, size_t i)
{
	return (rco__row){(uint8_t)(b->slot[i] / RCO__FAST), b->shift[i]};
}

/* How many zeros begin here, and what ends them less one, for that is no zero. Returns how many samples that is.
 */
static size_t put_run(const rco__predicted *s, rco__bit_writer *w, size_t from, size_t n)
{
	const predicted_block *b = &s->block;
	size_t zeros = 0;
	unsigned bits = 0;

	while (from + zeros < n && b->folded[from + zeros] == 0)
		zeros++;
	while ((zeros + 1) >> (bits + 1) != 0)
		bits++;
	rco__bits_put(w, zeros + 1, 2 * bits + 1);
	rco__bits_flush(w);
	if (from + zeros == n)
		return zeros;
	rco__symbol_put(&s->book, w, row_at(b, from + zeros), b->folded[from + zeros] - 1);
	rco__bits_flush(w);
	return zeros + 1;
}

static void put_slowly(const rco__predicted *s, rco__bit_writer *w, size_t from, size_t to)
{
	const predicted_block *b = &s->block;
	size_t i;

	for (i = from; i < to; i++) {
		rco__symbol_put(&s->book, w, row_at(b, i), b->folded[i]);
		rco__bits_flush(w);
	}
}

/* Groups from sample i on, a multiple of GROUP, until there is one that is slow or ends the block or may begin a
 * run. Returns how many groups that were. */
static size_t put_groups(const rco__predicted *s, predicted_chunk *c, rco__bit_writer *w, size_t i, size_t n)
{
	const predicted_block *b = &s->block;
	const uint8_t *group = b->group + i / GROUP;
	size_t most = (n - i) / GROUP, count = 0;

	while (count < most && c->quiet < RUN_AFTER && !(group[count] & RCO__GROUP_SLOW))
		c->quiet = group[count++] & RCO__GROUP_NOT_ZERO ? 0 : c->quiet + 1;
	s->kernels->put(c->line, &s->book, w, b->slot + i, b->shift + i, b->folded + i, count * GROUP);
	return count;
}

/* The group at i, slow or cut by the end of the block, or what is left of it behind a run. Returns where it ends.
 */
static size_t put_group(const rco__predicted *s, predicted_chunk *c, rco__bit_writer *w, size_t i, size_t n)
{
	size_t to = (i / GROUP + 1) * GROUP;

	to = to < n ? to : n;
	put_slowly(s, w, i, to);
	if (i % GROUP == 0)
		c->quiet = s->block.group[i / GROUP] & RCO__GROUP_NOT_ZERO ? 0 : c->quiet + 1;
	return to;
}

static void put_residual(const rco__predicted *s, predicted_chunk *c, rco__bit_writer *w, size_t n)
{
	size_t i = 0, count;

	while (i < n) {
		if (i % GROUP == 0 && c->quiet >= RUN_AFTER) {
			i += put_run(s, w, i, n);
			if (i % GROUP != 0 || s->block.folded[i - 1] != 0)
				c->quiet = 0;
			continue;
		}
		count = i % GROUP == 0 ? put_groups(s, c, w, i, n) : 0;
		i = count > 0 ? i + count * GROUP : put_group(s, c, w, i, n);
	}
}

/* The level that suits the first distances best. */
static unsigned best_start(const int32_t *off, size_t n)
{
	int64_t sum = 0;
	unsigned start = 0;
	size_t i, count = n < 32 ? n : 32;

	for (i = 0; i < count; i++)
		sum += off[i];
	while (start < START_MAX && 3 * sum >= (int64_t)count * 2 << start)
		start++;
	return start;
}

static void encode_block(rco__predicted *s, predicted_chunk *c, rco__bit_writer *w, size_t n, int first)
{
	int most = c->format->rate_hz == 8000 ? ORDER_SLOW : ORDER_FAST;
	predicted_block *b = &s->block;
	rco__predictor p;

	rco__analyse(&s->analysis, s->kernels, rco__samples(s), n, most, &p);
	s->kernels->residual(c->line, &p, rco__samples(s), b->place, n, b->folded, rco__distances(s), b->octave4);
	if (first)
		rco__predicted_set_start(s, c, best_start(rco__distances(s), n));
	memset(b->folded + n, 0, GROUP * sizeof b->folded[0]);
	s->kernels->slots(c->line, rco__distances(s), b->octave4, b->folded, n, b->slot, b->shift, b->group);
	put_predictor(s, w, &p);
	put_residual(s, c, w, n);
	rco__predicted_pass(s, n);
}

/* Samples that may lie anywhere, as they are if they can be read where they lie. */
static const int16_t *aligned(rco__predicted *s, const uint8_t *data, size_t n)
{
	if ((uintptr_t)data % sizeof(int16_t) == 0)
		return (const int16_t *)(const void *)data;
	rco__predicted_copy(rco__samples(s), data, n * sizeof(int16_t));
	return rco__samples(s);
}

static rco__line choose_line(rco__predicted *s, uint32_t format, const uint8_t *data, size_t size)
{
	const int16_t *x;
	int mu = 1, a = 1;
	size_t at, n;

	if (format == RCO_FORMAT_PCMU_8K)
		return memchr(data, 0x7f, size) != NULL ? RCO__LINE_MU : RCO__LINE_MU_CLOSED;
	if (format == RCO_FORMAT_PCMA_8K)
		return RCO__LINE_A;
	for (at = 0; at < size && (mu || a); at += 2 * n) {
		n = (size - at) / 2 < RCO__BLOCK_MAX ? (size - at) / 2 : RCO__BLOCK_MAX;
		x = aligned(s, data + at, n);
		mu = mu && s->kernels->in_book(RCO__LINE_MU_CLOSED, x, n);
		a = a && s->kernels->in_book(RCO__LINE_A, x, n);
	}
	return mu ? RCO__LINE_MU_CLOSED : a ? RCO__LINE_A : RCO__LINE_LINEAR;
}

/* Samples and places of a block. */
static void load_block(rco__predicted *s, const predicted_chunk *c, const uint8_t *data, size_t n)
{
	int law = c->line == RCO__LINE_A;
	size_t i;

	if (c->format->sample_bytes == 2) {
		rco__predicted_copy(rco__samples(s), data, 2 * n);
		if (c->line != RCO__LINE_LINEAR)
			s->kernels->places(c->line, rco__samples(s), n, s->block.place);
		return;
	}
	for (i = 0; i < n; i++) {
		rco__samples(s)[i] = s->sample_of[law][data[i]];
		s->block.place[i] = s->place_of[law][data[i]];
	}
	if (c->line != RCO__LINE_MU_CLOSED)
		return;
	for (i = 0; i < n; i++)
		s->block.place[i] = (int16_t)(s->block.place[i] + (s->block.place[i] < 0));
}

/* Blocks of about the same size, near 50 ms: a voice changes that fast. */
static size_t block_size(const rco__format *f, size_t size)
{
	size_t n = size / f->sample_bytes, goal = f->rate_hz / 20, count;

	goal = goal < BLOCK_LEAST ? BLOCK_LEAST : goal;
	count = (n + goal - 1) / goal;
	return ((n + count - 1) / count + GROUP - 1) / GROUP * GROUP;
}

/* Nothing but the first sample, over and over: no block has size 0, which says so. */
static size_t encode_constant(const void *sample, size_t width, uint8_t *out)
{
	int16_t value;

	out[0] = out[1] = 0;
	if (width == 1) {
		memcpy(out + HEADER, sample, 1);
	} else {
		memcpy(&value, sample, sizeof value);
		rco__put16(out + HEADER, (uint16_t)value);
	}
	return HEADER + width;
}

static size_t encode_blocks(rco__predicted *s, predicted_chunk *c, const uint8_t *from, size_t size, uint8_t *to)
{
	size_t width = c->format->sample_bytes, block = block_size(c->format, size), at, n, coded, used = HEADER;
	rco__bit_writer w = {s->block.coded, 0, 0};

	rco__predicted_begin(s);
	for (at = 0; at < size; at += n * width) {
		n = (size - at) / width < block ? (size - at) / width : block;
		load_block(s, c, from + at, n);
		encode_block(s, c, &w, n, at == 0);
		if (at + n * width >= size)
			rco__bits_end(&w);
		coded = (size_t)(w.at - s->block.coded);
		if (used + coded >= size)
			return 0;
		rco__predicted_copy(to + used, s->block.coded, coded);
		used += coded;
		w.at = s->block.coded;
	}
	to[0] = (uint8_t)(c->line | c->start << LINE_BITS);
	to[1] = (uint8_t)(block / GROUP);
	return used;
}

size_t rco__predicted_encode(rco__predicted *s, uint32_t format, const void *data, size_t size, void *out)
{
	predicted_chunk c = {.format = rco__format_of(format)};
	size_t width = c.format->sample_bytes, used, most;
	const uint8_t *from = data;

	if (size <= HEADER + width)
		return 0;
	if (memcmp(from, from + width, size - width) == 0)
		return encode_constant(from, width, out);
	c.line = choose_line(s, format, from, size);
	used = encode_blocks(s, &c, from, size, out);
	/* Samples that do not lie on their boundary were looked at in pieces as large as there are. */
	most = (uintptr_t)data % sizeof(int16_t) == 0 ? block_size(c.format, size) : RCO__BLOCK_MAX;
	rco__predicted_wipe(s, most);
	return used;
}
