/* SPDX-License-Identifier: MIT */
#include "predicted.h"

#include "entropy.h"
#include "format.h"

enum {
	HEADER = 2,
	LINE_BITS = 2,
	START_MAX = 15,
	ORDER_BITS = 5,
	GROUP = 16,    /* samples between two places where a run of zeros can begin; blocks are multiples of it */
	RUN_AFTER = 2, /* groups of nothing but zeros before it */
	SAMPLE_CODED = 4 /* bytes that one sample needs at most */
};

typedef struct predicted_block {
	int16_t x_room[RCO__KERNEL_PAST + RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	int32_t off_room[RCO__KERNEL_PAST + RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	int16_t place[RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	uint32_t folded[RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	uint8_t octave4[RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	uint8_t level[RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	uint8_t coded[RCO__BLOCK_MAX * SAMPLE_CODED + 128];
} predicted_block;

struct rco__predicted {
	const rco__kernels *kernels;
	rco__codebook book;
	int16_t sample_of[2][256]; /* of mu-law and A-law codes */
	int16_t place_of[2][256];
	rco__analysis analysis;
	predicted_block block;
};

/* What goes on from block to block of one chunk. */
typedef struct predicted_chunk {
	const rco__format *format;
	rco__line line;
	unsigned start; /* the level before the first sample */
	unsigned quiet; /* groups of zeros just passed */
} predicted_chunk;

rco__predicted *rco__predicted_create(const rco__env *env)
{
	rco__predicted *s = rco__zalloc(env, 1, sizeof *s);
	rco__line line;
	int i, law;

	if (s == NULL)
		return NULL;
	s->kernels = rco__kernels_best();
	rco__codebook_make(&s->book);
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

static int16_t *samples(rco__predicted *s)
{
	return s->block.x_room + RCO__KERNEL_PAST;
}

static int32_t *distances(rco__predicted *s)
{
	return s->block.off_room + RCO__KERNEL_PAST;
}

static void begin(rco__predicted *s)
{
	memset(s->block.x_room, 0, RCO__KERNEL_PAST * sizeof s->block.x_room[0]);
}

/* As if the distances before the chunk had all been this. */
static void set_start(rco__predicted *s, predicted_chunk *c, unsigned start)
{
	int i;

	c->start = start;
	c->quiet = start == 0 ? RUN_AFTER : 0;
	for (i = 0; i < RCO__KERNEL_PAST; i++)
		s->block.off_room[i] = start == 0 ? 0 : 1 << (start - 1);
}

/* The end of this block is the past of the next. */
static void pass(rco__predicted *s, size_t n)
{
	memmove(s->block.x_room, s->block.x_room + n, RCO__KERNEL_PAST * sizeof s->block.x_room[0]);
	memmove(s->block.off_room, s->block.off_room + n, RCO__KERNEL_PAST * sizeof s->block.off_room[0]);
}

/* ---- reflections ---- */

/* How a reflection is mostly, and the row for what it differs by. */
static const struct {
	int8_t centre;
	uint8_t row;
} habits[RCO__ORDER_MAX] = {{50, 29}, {-22, 36}, {2, 28},  {-5, 30}, {0, 26}, {-2, 26}, {4, 26}, {-1, 26},
                            {-1, 25}, {-3, 24},  {-1, 24}, {-4, 20}, {2, 24}, {1, 25},  {4, 22}, {3, 25}};

static uint32_t fold(int32_t e)
{
	return e >= 0 ? 2 * (uint32_t)e : 2 * (uint32_t)-e - 1;
}

static int32_t unfold(uint32_t v)
{
	return v & 1 ? -(int32_t)(v >> 1) - 1 : (int32_t)(v >> 1);
}

static void put_predictor(const rco__predicted *s, rco__bit_writer *w, const rco__predictor *p)
{
	rco__row row = {0, 0};
	int i;

	rco__bits_put(w, (unsigned)p->order, ORDER_BITS);
	for (i = 0; p->order <= RCO__ORDER_MAX && i < p->order; i++) {
		rco__bits_flush(w);
		row.row = habits[i].row;
		rco__symbol_put(&s->book, w, row, fold(p->reflection[i] - habits[i].centre));
	}
	rco__bits_flush(w);
}

static const char *take_predictor(const rco__predicted *s, rco__bit_reader *r, rco__predictor *p)
{
	rco__row row = {0, 0};
	int32_t v;
	int i;

	p->order = (int)rco__bits_take(r, ORDER_BITS);
	if (p->order >= RCO__ORDERS)
		return "an unknown predictor";
	for (i = 0; p->order <= RCO__ORDER_MAX && i < p->order; i++) {
		row.row = habits[i].row;
		v = unfold(rco__symbol_take(&s->book, r, row)) + habits[i].centre;
		if (v < -rco__reflection_max(i) || v > rco__reflection_max(i))
			return "an impossible predictor";
		p->reflection[i] = (int8_t)v;
	}
	rco__predictor_finish(p);
	return NULL;
}

/* ---- encoding ---- */

static rco__row row_of(const predicted_chunk *c, unsigned level)
{
	return c->line == RCO__LINE_LINEAR ? rco__linear_row(level) : (rco__row){(uint8_t)level, 0};
}

/* How many zeros begin here, and what ends them less one, for that is no zero. Returns how many samples that is.
 */
static size_t put_run(const rco__predicted *s, const predicted_chunk *c, rco__bit_writer *w, size_t from, size_t n)
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
	rco__symbol_put(&s->book, w, row_of(c, b->level[from + zeros]), b->folded[from + zeros] - 1);
	rco__bits_flush(w);
	return zeros + 1;
}

static void put_slowly(const rco__predicted *s, const predicted_chunk *c, rco__bit_writer *w, size_t from,
                       size_t to)
{
	const predicted_block *b = &s->block;
	size_t i;

	for (i = from; i < to; i++) {
		rco__symbol_put(&s->book, w, row_of(c, b->level[i]), b->folded[i]);
		rco__bits_flush(w);
	}
}

/* A group of a law's places in which all is below RCO__FAST. No code is longer than 17 bits: three to a flush. */
static void put_fast(const rco__codebook *book, rco__bit_writer *out, const uint32_t *folded, const uint8_t *level)
{
	rco__bit_writer w = *out;
	uint32_t code;
	int i;

	for (i = 0; i < GROUP; i++) {
		code = book->fast[level[i]][folded[i]];
		rco__bits_put(&w, code >> 8, code & 0xff);
		if (i % 3 == 2)
			rco__bits_flush(&w);
	}
	rco__bits_flush(&w);
	*out = w;
}

static uint32_t any_of(const uint32_t *v, size_t n)
{
	uint32_t any = 0;
	size_t i;

	for (i = 0; i < n; i++)
		any |= v[i];
	return any;
}

static void put_residual(const rco__predicted *s, predicted_chunk *c, rco__bit_writer *w, size_t n)
{
	const predicted_block *b = &s->block;
	size_t i = 0, to;
	uint32_t any;

	while (i < n) {
		to = (i / GROUP + 1) * GROUP;
		to = to < n ? to : n;
		if (i % GROUP == 0 && c->quiet >= RUN_AFTER) {
			i += put_run(s, c, w, i, n);
			if (i % GROUP != 0 || b->folded[i - 1] != 0)
				c->quiet = 0;
			continue;
		}
		any = any_of(b->folded + i, to - i);
		if (c->line != RCO__LINE_LINEAR && to - i == GROUP && any < RCO__FAST)
			put_fast(&s->book, w, b->folded + i, b->level + i);
		else
			put_slowly(s, c, w, i, to);
		if (i % GROUP == 0)
			c->quiet = any == 0 ? c->quiet + 1 : 0;
		i = to;
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

static void encode_block(rco__predicted *s, predicted_chunk *c, rco__bit_writer *w, size_t n, int most, int first)
{
	int low = c->line == RCO__LINE_LINEAR ? RCO__LINEAR_LOW : RCO__LAW_LOW;
	int high = c->line == RCO__LINE_LINEAR ? RCO__LINEAR_HIGH : RCO__LAW_HIGH;
	predicted_block *b = &s->block;
	rco__predictor p;

	rco__analyse(&s->analysis, s->kernels, samples(s), n, most, &p);
	s->kernels->residual(c->line, &p, samples(s), b->place, n, b->folded, distances(s), b->octave4);
	if (first)
		set_start(s, c, best_start(distances(s), n));
	s->kernels->levels(distances(s), b->octave4, n, low, high, b->level);
	put_predictor(s, w, &p);
	put_residual(s, c, w, n);
	pass(s, n);
}

static rco__line choose_line(rco__predicted *s, uint32_t format, const uint8_t *data, size_t size)
{
	int mu = 1, a = 1;
	size_t at, n;

	if (format == RCO_FORMAT_PCMU_8K)
		return memchr(data, 0x7f, size) != NULL ? RCO__LINE_MU : RCO__LINE_MU_CLOSED;
	if (format == RCO_FORMAT_PCMA_8K)
		return RCO__LINE_A;
	for (at = 0; at < size && (mu || a); at += 2 * n) {
		n = (size - at) / 2 < RCO__BLOCK_MAX ? (size - at) / 2 : RCO__BLOCK_MAX;
		memcpy(samples(s), data + at, 2 * n);
		mu = mu && s->kernels->in_book(RCO__LINE_MU_CLOSED, samples(s), n);
		a = a && s->kernels->in_book(RCO__LINE_A, samples(s), n);
	}
	return mu ? RCO__LINE_MU_CLOSED : a ? RCO__LINE_A : RCO__LINE_LINEAR;
}

/* Samples and places of a block. */
static void load_block(rco__predicted *s, const predicted_chunk *c, const uint8_t *data, size_t n)
{
	int law = c->line == RCO__LINE_A;
	size_t i;

	if (c->format->sample_bytes == 2) {
		memcpy(samples(s), data, 2 * n);
		if (c->line != RCO__LINE_LINEAR)
			s->kernels->places(c->line, samples(s), n, s->block.place);
		return;
	}
	for (i = 0; i < n; i++) {
		samples(s)[i] = s->sample_of[law][data[i]];
		s->block.place[i] = s->place_of[law][data[i]];
	}
	if (c->line != RCO__LINE_MU_CLOSED)
		return;
	for (i = 0; i < n; i++)
		s->block.place[i] = (int16_t)(s->block.place[i] + (s->block.place[i] < 0));
}

/* Blocks of 50 ms or less, all of about the same size: a voice changes that fast. Nothing changes in a constant.
 */
static size_t block_size(const rco__format *f, const uint8_t *data, size_t size)
{
	size_t n = size / f->sample_bytes,
	       goal = f->rate_hz == 8000    ? 400
	              : f->rate_hz == 16000 ? 640
	                                    : 1200,
	       count;

	if (size > f->sample_bytes && memcmp(data, data + f->sample_bytes, size - f->sample_bytes) == 0)
		return RCO__BLOCK_MAX;
	count = (n + goal - 1) / goal;
	return ((n + count - 1) / count + GROUP - 1) / GROUP * GROUP;
}

size_t rco__predicted_encode(rco__predicted *s, uint32_t format, const void *data, size_t size, void *out)
{
	predicted_chunk c = {.format = rco__format_of(format)};
	const uint8_t *from = data;
	size_t width = c.format->sample_bytes, block = block_size(c.format, data, size), at, n, coded,
	       used = HEADER;
	rco__bit_writer w = {s->block.coded, 0, 0};
	uint8_t *to = out;
	int most = c.format->rate_hz == 8000 ? 12 : 16;

	c.line = choose_line(s, format, from, size);
	begin(s);
	for (at = 0; at < size; at += n * width) {
		n = (size - at) / width < block ? (size - at) / width : block;
		load_block(s, &c, from + at, n);
		encode_block(s, &c, &w, n, most, at == 0);
		if (at + n * width >= size)
			rco__bits_end(&w);
		coded = (size_t)(w.at - s->block.coded);
		if (used + coded >= size)
			return 0;
		memcpy(to + used, s->block.coded, coded);
		used += coded;
		w.at = s->block.coded;
	}
	to[0] = (uint8_t)(c.line | c.start << LINE_BITS);
	to[1] = (uint8_t)(block / GROUP);
	return used;
}

/* ---- decoding ---- */

/* The distances before, summed; follows rco__kernels.levels. */
typedef struct predicted_sums {
	int32_t sum8, sum32;
} predicted_sums;

static unsigned level_of(const predicted_chunk *c, const predicted_sums *sums, int octave)
{
	int low = c->line == RCO__LINE_LINEAR ? RCO__LINEAR_LOW : RCO__LAW_LOW;
	int high = c->line == RCO__LINE_LINEAR ? RCO__LINEAR_HIGH : RCO__LAW_HIGH;
	int level = rco__level(sums->sum8, sums->sum32) - 4 * octave;

	return (unsigned)((level < low ? low : level > high ? high : level) - low);
}

static predicted_sums sums_before(const int32_t *off)
{
	predicted_sums sums = {0, 0};
	int i;

	for (i = 1; i <= 32; i++) {
		sums.sum32 += off[-i];
		sums.sum8 += i <= 8 ? off[-i] : 0;
	}
	return sums;
}

typedef enum sample_kind {
	SAMPLE_ANY,
	SAMPLE_ZERO,    /* it is as predicted: nothing was sent */
	SAMPLE_NOT_ZERO /* it is not: one less was sent */
} sample_kind;

/* Writes down a sample that is v, folded, away from `base`; `expected` is the prediction itself. */
static const char *place_sample(rco__predicted *s, const predicted_chunk *c, size_t i, int32_t base, uint32_t v,
                                int32_t expected, predicted_sums *sums)
{
	int32_t value = base + unfold(v), *off = distances(s) + i;

	if (c->line != RCO__LINE_LINEAR) {
		if (value < (c->line == RCO__LINE_MU_CLOSED ? -127 : -128) || value > 127)
			return "a sample is off the line";
		s->block.place[i] = (int16_t)value;
		value = rco__g711_sample(c->line, value);
	} else if (value < INT16_MIN || value > INT16_MAX) {
		return "a sample is out of range";
	}
	s->block.folded[i] = v;
	samples(s)[i] = (int16_t)value;
	*off = value > expected ? value - expected : expected - value;
	sums->sum8 += *off - off[-8];
	sums->sum32 += *off - off[-32];
	return NULL;
}

static const char *take_sample(rco__predicted *s, const predicted_chunk *c, rco__bit_reader *r,
                               const rco__predictor *p, predicted_sums *sums, size_t i, sample_kind kind)
{
	int32_t expected = rco__predict(p, samples(s) + i), magnitude, base = expected;
	uint32_t v = 0;
	int octave = 0;

	if (c->line != RCO__LINE_LINEAR) {
		magnitude = rco__g711_magnitude(c->line, expected);
		octave = rco__g711_octave(c->line, magnitude);
		base = rco__g711_place(c->line, magnitude, expected < 0);
	}
	if (kind != SAMPLE_ZERO)
		v = rco__symbol_take(&s->book, r, row_of(c, level_of(c, sums, octave)));
	return place_sample(s, c, i, base, kind == SAMPLE_NOT_ZERO ? v + 1 : v, expected, sums);
}

static const char *take_run_size(rco__bit_reader *r, size_t room, size_t *zeros)
{
	unsigned bits = 0;

	while (rco__bits_take(r, 1) == 0)
		if (++bits > 12)
			return "an endless run";
	*zeros = (1u << bits) - 1;
	if (bits > 0)
		*zeros += rco__bits_take(r, bits);
	return *zeros > room ? "a run is longer than its block" : NULL;
}

/* The zeros of a run and what ends it. Moves *at behind them. */
static const char *take_run(rco__predicted *s, const predicted_chunk *c, rco__bit_reader *r,
                            const rco__predictor *p, predicted_sums *sums, size_t n, size_t *at)
{
	const char *wrong;
	size_t zeros, end;

	wrong = take_run_size(r, n - *at, &zeros);
	if (wrong != NULL)
		return wrong;
	for (end = *at + zeros; *at < end && wrong == NULL; ++*at)
		wrong = take_sample(s, c, r, p, sums, *at, SAMPLE_ZERO);
	if (wrong != NULL || end == n)
		return wrong;
	return take_sample(s, c, r, p, sums, (*at)++, SAMPLE_NOT_ZERO);
}

static const char *take_residual(rco__predicted *s, predicted_chunk *c, rco__bit_reader *r,
                                 const rco__predictor *p, size_t n)
{
	const uint32_t *folded = s->block.folded;
	predicted_sums sums = sums_before(distances(s));
	const char *wrong = NULL;
	size_t i = 0, from, to;

	while (i < n && wrong == NULL) {
		from = i;
		to = (i / GROUP + 1) * GROUP;
		to = to < n ? to : n;
		if (i % GROUP == 0 && c->quiet >= RUN_AFTER) {
			wrong = take_run(s, c, r, p, &sums, n, &i);
			if (wrong == NULL && (i % GROUP != 0 || folded[i - 1] != 0))
				c->quiet = 0;
			continue;
		}
		for (; i < to && wrong == NULL; i++)
			wrong = take_sample(s, c, r, p, &sums, i, SAMPLE_ANY);
		if (from % GROUP == 0)
			c->quiet = any_of(folded + from, to - from) == 0 ? c->quiet + 1 : 0;
	}
	return wrong;
}

static void store_block(const rco__predicted *s, const predicted_chunk *c, uint8_t *out, size_t n)
{
	const int16_t *x = s->block.x_room + RCO__KERNEL_PAST;
	int32_t place;
	size_t i;

	if (c->format->sample_bytes == 2) {
		memcpy(out, x, 2 * n);
		return;
	}
	for (i = 0; i < n; i++) {
		place = s->block.place[i];
		if (c->line == RCO__LINE_MU_CLOSED && place < 0)
			place--;
		out[i] = rco__g711_to_code(c->line, place);
	}
}

static const char *take_header(predicted_chunk *c, uint32_t format, const uint8_t *data, size_t size,
                               size_t *block)
{
	static const uint8_t lines[] = {[RCO_FORMAT_PCMU_8K] = 1 << RCO__LINE_MU_CLOSED | 1 << RCO__LINE_MU,
	                                [RCO_FORMAT_PCMA_8K] = 1 << RCO__LINE_A};
	const unsigned samples_may = 1 << RCO__LINE_LINEAR | 1 << RCO__LINE_MU_CLOSED | 1 << RCO__LINE_A;
	unsigned may = c->format->sample_bytes == 2 ? samples_may : lines[format];

	if (size < HEADER)
		return "its header is cut";
	c->line = (rco__line)(data[0] & ((1 << LINE_BITS) - 1));
	c->start = data[0] >> LINE_BITS;
	*block = (size_t)data[1] * GROUP;
	if (!(may >> c->line & 1) || c->start > START_MAX || *block == 0)
		return "its header is impossible";
	return NULL;
}

/* Nothing but the zeros that fill the last byte. */
static const char *check_end(const rco__bit_reader *r)
{
	rco__bit_reader rest = *r;
	unsigned fill = (unsigned)(-rest.bit & 7);

	if (rco__bits_overrun(r))
		return "it is cut";
	if (fill > 0 && rco__bits_take(&rest, fill) != 0)
		return "its last bits are not zero";
	return rest.bit != 8 * rest.size ? "something follows it" : NULL;
}

const char *rco__predicted_decode(rco__predicted *s, uint32_t format, const void *data, size_t size, void *out,
                                  size_t raw_size)
{
	predicted_chunk c = {.format = rco__format_of(format)};
	size_t width = c.format->sample_bytes, block, at, n;
	rco__bit_reader r = {data, size, 8 * HEADER};
	rco__predictor p;
	const char *wrong = take_header(&c, format, data, size, &block);
	uint8_t *to = out;

	if (wrong != NULL)
		return wrong;
	begin(s);
	set_start(s, &c, c.start);
	for (at = 0; at < raw_size && wrong == NULL; at += n * width) {
		n = (raw_size - at) / width < block ? (raw_size - at) / width : block;
		wrong = take_predictor(s, &r, &p);
		if (wrong == NULL)
			wrong = take_residual(s, &c, &r, &p, n);
		if (wrong == NULL && rco__bits_overrun(&r))
			wrong = "it is cut";
		if (wrong != NULL)
			return wrong;
		store_block(s, &c, to + at, n);
		pass(s, n);
	}
	return check_end(&r);
}
