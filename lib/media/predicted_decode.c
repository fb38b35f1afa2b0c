/* SPDX-License-Identifier: MIT */
#include "../base/bytes.h"
#include "predicted_internal.h"

#include <pthread.h>

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

/* The tables of all decoders; recorders do without them. */
static rco__take_tables tables;
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_line(rco__line line)
{
	int32_t place, sent;

	for (place = -128; place < 128; place++) {
		sent = line == RCO__LINE_MU_CLOSED && place < 0 ? place - 1 : place;
		tables.code[line][(uint8_t)place] = rco__g711_to_code(line, sent < -128 ? 0 : sent);
		tables.sample[line][(uint8_t)place] = rco__g711_sample(line, sent < -128 ? 0 : place);
	}
}

static void make_tables(void)
{
	int32_t level;

	rco__take_rows_make(tables.rows);
	for (level = 0; level < RCO__LEVELS; level++)
		tables.linear[level] = rco__row_of(RCO__LINE_LINEAR, level, 0);
	make_line(RCO__LINE_MU_CLOSED);
	make_line(RCO__LINE_MU);
	make_line(RCO__LINE_A);
}

static rco__bit_reader reader_of(const rco__take *t)
{
	return (rco__bit_reader){t->from, t->size, t->bit};
}

/* Near the end the kernels read from a copy, with zeros behind it. */
static void read_copy(rco__predicted *s, rco__take *t)
{
	size_t at = t->bit >> 3;
	uint8_t *copy = s->block.coded;

	at = at < t->size ? at : t->size;
	t->size -= at;
	memcpy(copy, t->from + at, t->size);
	memset(copy + t->size, 0, 2 * RCO__TAKE_ROOM);
	t->from = copy;
	t->bit -= 8 * at;
	t->safe = t->size;
}

static int is_copy(const rco__predicted *s, const rco__take *t)
{
	return t->from == s->block.coded;
}

static void begin_read(rco__predicted *s, rco__take *t)
{
	t->safe = t->size >= RCO__TAKE_ROOM ? t->size - RCO__TAKE_ROOM : 0;
	if (t->size < RCO__TAKE_ROOM)
		read_copy(s, t);
}

/* Samples up to `to`, unless a run may begin before. Moves *at behind them. */
static const char *take_samples(rco__predicted *s, rco__take *t, size_t to, size_t *at)
{
	while (*at < to && (*at % GROUP != 0 || t->quiet < RUN_AFTER)) {
		if (t->bit >> 3 > t->safe) {
			if (is_copy(s, t))
				return "it is cut";
			read_copy(s, t);
		}
		*at = s->kernels->take(t, *at, to);
		if (t->bad)
			return "a sample is out of range";
	}
	return NULL;
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

static void take_sums(rco__take *t, size_t i)
{
	int32_t sum8 = 0, sum32 = 0;
	int j;

	for (j = 1; j <= 32; j++) {
		sum32 += *(t->off + i - j);
		sum8 += j <= 8 ? *(t->off + i - j) : 0;
	}
	t->t = (uint32_t)(8 * sum8 + sum32 + 4);
}

/* What ends a run: it is not as predicted, and one less was sent. */
static const char *take_end_of_run(rco__take *t, rco__bit_reader *r, size_t i)
{
	int32_t expected = rco__predict(t->p, t->x + i), magnitude, value = expected, octave = 0;
	uint32_t t_level = t->t;
	rco__row row;

	if (t->line != RCO__LINE_LINEAR) {
		magnitude = rco__g711_magnitude(t->line, expected);
		octave = rco__g711_octave(t->line, magnitude);
		value = rco__g711_place(t->line, magnitude, expected < 0);
	}
	row = rco__row_of(t->line, rco__log16((int32_t)t_level) >> 2, 4 * octave);
	value += unfold(rco__symbol_take(t->book, r, row) + 1);
	if (t->line != RCO__LINE_LINEAR) {
		if (value < (t->line == RCO__LINE_MU_CLOSED ? -127 : -128) || value > 127)
			return "a sample is off the line";
		t->place[i] = (int16_t)value;
		value = rco__g711_sample(t->line, value);
	} else if (value < INT16_MIN || value > INT16_MAX) {
		return "a sample is out of range";
	}
	t->x[i] = (int16_t)value;
	t->off[i] = value > expected ? value - expected : expected - value;
	return NULL;
}

/* The zeros of a run and what ends it. Moves *at behind them. */
static const char *take_run(const rco__predicted *s, rco__take *t, size_t n, size_t *at)
{
	rco__bit_reader r = reader_of(t);
	const char *wrong;
	size_t zeros;

	wrong = take_run_size(&r, n - *at, &zeros);
	if (wrong != NULL)
		return wrong;
	*at = s->kernels->take_zeros(t, *at, *at + zeros);
	if (t->bad)
		return "a sample is out of range";
	if (*at < n) {
		wrong = take_end_of_run(t, &r, *at);
		if (wrong != NULL)
			return wrong;
		take_sums(t, ++*at);
		t->quiet = 0;
	} else if (n % GROUP != 0) {
		t->quiet = 0;
	}
	t->bit = r.bit;
	return NULL;
}

static const char *take_residual(rco__predicted *s, rco__take *t, size_t n)
{
	const char *wrong = NULL;
	size_t i = 0;

	take_sums(t, 0);
	while (i < n && wrong == NULL) {
		if (i % GROUP == 0 && t->quiet >= RUN_AFTER)
			wrong = take_run(s, t, n, &i);
		else
			wrong = take_samples(s, t, n, &i);
	}
	return wrong;
}

static void store_block(const rco__predicted *s, const predicted_chunk *c, uint8_t *out, size_t n)
{
	size_t i;

	if (c->format->sample_bytes == 2) {
		memcpy(out, s->block.x_room + RCO__KERNEL_PAST, 2 * n);
		return;
	}
	for (i = 0; i < n; i++)
		out[i] = tables.code[c->line][(uint8_t)s->block.place[i]];
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

static const char *decode_block(rco__predicted *s, rco__take *t, size_t n)
{
	rco__bit_reader r = reader_of(t);
	const char *wrong;
	rco__predictor p;

	wrong = take_predictor(s, &r, &p);
	if (wrong != NULL)
		return wrong;
	t->bit = r.bit;
	t->p = &p;
	t->half = p.shift > 0 ? UINT32_C(1) << (p.shift - 1) : 0;
	wrong = take_residual(s, t, n);
	t->p = NULL;
	if (wrong != NULL)
		return wrong;
	r = reader_of(t);
	return rco__bits_overrun(&r) ? "it is cut" : NULL;
}

static const char *decode_blocks(rco__predicted *s, predicted_chunk *c, rco__take *t, size_t block, uint8_t *out,
                                 size_t raw_size)
{
	size_t width = c->format->sample_bytes, at, n;
	rco__bit_reader rest;
	const char *wrong;

	rco__predicted_begin(s);
	rco__predicted_set_start(s, c, c->start);
	t->line = c->line;
	t->quiet = c->quiet;
	begin_read(s, t);
	for (at = 0; at < raw_size; at += n * width) {
		n = (raw_size - at) / width < block ? (raw_size - at) / width : block;
		wrong = decode_block(s, t, n);
		if (wrong != NULL)
			return wrong;
		store_block(s, c, out + at, n);
		rco__predicted_pass(s, n);
	}
	rest = reader_of(t);
	return check_end(&rest);
}

const char *rco__predicted_decode(rco__predicted *s, uint32_t format, const void *data, size_t size, void *out,
                                  size_t raw_size)
{
	predicted_chunk c = {.format = rco__format_of(format)};
	rco__take t = {.tables = &tables,
	               .book = &s->book,
	               .x = rco__samples(s),
	               .place = s->block.place,
	               .off = rco__distances(s),
	               .from = data,
	               .size = size,
	               .bit = 8 * HEADER};
	const uint8_t *from = data;
	const char *wrong;
	size_t block;

	if (size < HEADER)
		return "its header is cut";
	if (from[1] == 0)
		return decode_constant(c.format->sample_bytes, from, size, out, raw_size);
	wrong = take_header(&c, format, from, &block);
	if (wrong != NULL)
		return wrong;
	if (pthread_once(&tables_once, make_tables) != 0)
		return "there are no tables"; /* it cannot fail */
	wrong = decode_blocks(s, &c, &t, block, out, raw_size);
	rco__predicted_wipe(s, block);
	return wrong;
}
