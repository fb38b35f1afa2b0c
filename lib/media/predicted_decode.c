/* SPDX-License-Identifier: MIT */
#include "../base/bytes.h"
#include "predicted_internal.h"

static int32_t unfold(uint32_t v)
{
	return v & 1 ? -(int32_t)(v >> 1) - 1 : (int32_t)(v >> 1);
}

static const char *take_predictor(const rco__predicted *s, rco__bit_reader *r, rco__predictor *p)
{
	rco__row row = {0, 0};
	int32_t v;
	int i;

	p->order = (int)rco__bits_take(r, ORDER_BITS);
	if (p->order > RCO__ORDER_MAX)
		return "an unknown predictor";
	for (i = 0; i < p->order; i++) {
		row.row = rco__predicted_habits[i].row;
		v = unfold(rco__symbol_take(&s->book, r, row)) + rco__predicted_habits[i].centre;
		if (v < -rco__reflection_max(i) || v > rco__reflection_max(i))
			return "an impossible predictor";
		p->reflection[i] = (int8_t)v;
	}
	rco__predictor_finish(p);
	return NULL;
}

/* The distances before, summed. */
typedef struct predicted_sums {
	int32_t sum8, sum32;
} predicted_sums;

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
static inline __attribute__((always_inline)) const char *place_sample(rco__predicted *s, rco__line line, size_t i,
                                                                      int32_t base, uint32_t v, int32_t expected,
                                                                      predicted_sums *sums)
{
	int32_t value = base + unfold(v), *off = rco__distances(s) + i;

	if (line != RCO__LINE_LINEAR) {
		if (value < (line == RCO__LINE_MU_CLOSED ? -127 : -128) || value > 127)
			return "a sample is off the line";
		s->block.place[i] = (int16_t)value;
		value = rco__g711_sample(line, value);
	} else if (value < INT16_MIN || value > INT16_MAX) {
		return "a sample is out of range";
	}
	s->block.folded[i] = v;
	rco__samples(s)[i] = (int16_t)value;
	*off = value > expected ? value - expected : expected - value;
	sums->sum8 += *off - off[-8];
	sums->sum32 += *off - off[-32];
	return NULL;
}

static inline __attribute__((always_inline)) const char *take_sample(rco__predicted *s, rco__line line,
                                                                     rco__bit_reader *r, const rco__predictor *p,
                                                                     predicted_sums *sums, size_t i,
                                                                     sample_kind kind)
{
	int32_t expected = rco__predict(p, rco__samples(s) + i), magnitude, base = expected;
	uint32_t v = 0;
	int octave = 0;

	if (line != RCO__LINE_LINEAR) {
		magnitude = rco__g711_magnitude(line, expected);
		octave = rco__g711_octave(line, magnitude);
		base = rco__g711_place(line, magnitude, expected < 0);
	}
	if (kind != SAMPLE_ZERO)
		v = rco__symbol_take(&s->book, r,
		                     rco__row_of(line, rco__level(sums->sum8, sums->sum32), 4 * octave));
	return place_sample(s, line, i, base, kind == SAMPLE_NOT_ZERO ? v + 1 : v, expected, sums);
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
static inline __attribute__((always_inline)) const char *take_run(rco__predicted *s, rco__line line,
                                                                  rco__bit_reader *r, const rco__predictor *p,
                                                                  predicted_sums *sums, size_t n, size_t *at)
{
	const char *wrong;
	size_t zeros, end;

	wrong = take_run_size(r, n - *at, &zeros);
	if (wrong != NULL)
		return wrong;
	for (end = *at + zeros; *at < end && wrong == NULL; ++*at)
		wrong = take_sample(s, line, r, p, sums, *at, SAMPLE_ZERO);
	if (wrong != NULL || end == n)
		return wrong;
	return take_sample(s, line, r, p, sums, (*at)++, SAMPLE_NOT_ZERO);
}

static int all_zero(const uint32_t *folded, size_t n)
{
	uint32_t any = 0;
	size_t i;

	for (i = 0; i < n; i++)
		any |= folded[i];
	return any == 0;
}

static inline __attribute__((always_inline)) const char *take_residual(rco__predicted *s, predicted_chunk *c,
                                                                       rco__line line, rco__bit_reader *r,
                                                                       const rco__predictor *p, size_t n)
{
	const uint32_t *folded = s->block.folded;
	predicted_sums sums = sums_before(rco__distances(s));
	const char *wrong = NULL;
	size_t i = 0, from, to;

	while (i < n && wrong == NULL) {
		from = i;
		to = (i / GROUP + 1) * GROUP;
		to = to < n ? to : n;
		if (i % GROUP == 0 && c->quiet >= RUN_AFTER) {
			wrong = take_run(s, line, r, p, &sums, n, &i);
			if (wrong == NULL && (i % GROUP != 0 || folded[i - 1] != 0))
				c->quiet = 0;
			continue;
		}
		for (; i < to && wrong == NULL; i++)
			wrong = take_sample(s, line, r, p, &sums, i, SAMPLE_ANY);
		if (from % GROUP == 0)
			c->quiet = all_zero(folded + from, to - from) ? c->quiet + 1 : 0;
	}
	return wrong;
}

/* A loop for each line: what depends on it is decided once for a block. */
static const char *take_block(rco__predicted *s, predicted_chunk *c, rco__bit_reader *r, const rco__predictor *p,
                              size_t n)
{
	switch (c->line) {
	case RCO__LINE_MU_CLOSED:
		return take_residual(s, c, RCO__LINE_MU_CLOSED, r, p, n);
	case RCO__LINE_MU:
		return take_residual(s, c, RCO__LINE_MU, r, p, n);
	case RCO__LINE_A:
		return take_residual(s, c, RCO__LINE_A, r, p, n);
	default:
		return take_residual(s, c, RCO__LINE_LINEAR, r, p, n);
	}
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

static const char *decode_constant(size_t width, const uint8_t *data, size_t size, uint8_t *out, size_t raw_size)
{
	uint16_t value;
	size_t i;

	if (data[0] != 0 || size != HEADER + width)
		return "a constant of another size";
	if (width == 1) {
		memset(out, data[HEADER], raw_size);
		return NULL;
	}
	value = rco__get16(data + HEADER);
	for (i = 0; i < raw_size; i += sizeof value)
		memcpy(out + i, &value, sizeof value);
	return NULL;
}

static const char *take_header(predicted_chunk *c, uint32_t format, const uint8_t *data, size_t *block)
{
	static const uint8_t lines[] = {[RCO_FORMAT_PCMU_8K] = 1 << RCO__LINE_MU_CLOSED | 1 << RCO__LINE_MU,
	                                [RCO_FORMAT_PCMA_8K] = 1 << RCO__LINE_A};
	const unsigned samples_may = 1 << RCO__LINE_LINEAR | 1 << RCO__LINE_MU_CLOSED | 1 << RCO__LINE_A;
	unsigned may = c->format->sample_bytes == 2 ? samples_may : lines[format];

	c->line = (rco__line)(data[0] & ((1 << LINE_BITS) - 1));
	c->start = data[0] >> LINE_BITS;
	*block = (size_t)data[1] * GROUP;
	if (!(may >> c->line & 1) || c->start > START_MAX || *block > RCO__BLOCK_MAX)
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

static const char *decode_blocks(rco__predicted *s, predicted_chunk *c, rco__bit_reader *r, size_t block,
                                 uint8_t *out, size_t raw_size)
{
	size_t width = c->format->sample_bytes, at, n;
	const char *wrong;
	rco__predictor p;

	rco__predicted_begin(s);
	rco__predicted_set_start(s, c, c->start);
	for (at = 0; at < raw_size; at += n * width) {
		n = (raw_size - at) / width < block ? (raw_size - at) / width : block;
		wrong = take_predictor(s, r, &p);
		if (wrong == NULL)
			wrong = take_block(s, c, r, &p, n);
		if (wrong == NULL && rco__bits_overrun(r))
			wrong = "it is cut";
		if (wrong != NULL)
			return wrong;
		store_block(s, c, out + at, n);
		rco__predicted_pass(s, n);
	}
	return check_end(r);
}

const char *rco__predicted_decode(rco__predicted *s, uint32_t format, const void *data, size_t size, void *out,
                                  size_t raw_size)
{
	predicted_chunk c = {.format = rco__format_of(format)};
	rco__bit_reader r = {data, size, 8 * HEADER};
	const uint8_t *from = data;
	const char *wrong;
	size_t block;

	if (size < HEADER)
		return "its header is cut";
	if (from[1] == 0)
		return decode_constant(c.format->sample_bytes, from, size, out, raw_size);
	wrong = take_header(&c, format, from, &block);
	return wrong != NULL ? wrong : decode_blocks(s, &c, &r, block, out, raw_size);
}
