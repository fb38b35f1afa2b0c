/* SPDX-License-Identifier: MIT */
#include "entropy.h"

enum { DIRECT = 16, DIRECT_BITS = 4 };

/* Bits of each symbol's code, one letter each, a for 1; counted on recorded speech. */
static const char lengths[RCO__ROWS][RCO__SYMBOLS + 1] = {
#include "entropy_rows.h"
};

static unsigned top_bit(uint32_t v)
{
	return 31u - (unsigned)__builtin_clz(v);
}

/* The symbol of v, below 512, and how many of its low bits follow. */
static unsigned symbol_of(uint32_t v, unsigned *extra)
{
	unsigned top;

	*extra = 0;
	if (v < DIRECT)
		return v;
	top = top_bit(v);
	*extra = top - 1;
	return DIRECT + 2 * (top - DIRECT_BITS) + (v >> *extra & 1);
}

/* Shorter codes first, and of one length in the order of the symbols. */
static void make_row(rco__codebook *book, unsigned row)
{
	unsigned bits, symbol, next = 0, count = 0;

	for (bits = 1; bits <= RCO__CODE_MAX; bits++) {
		book->rank[row][bits] = (uint8_t)count;
		book->first[row][bits] = (uint16_t)next;
		for (symbol = 0; symbol < RCO__SYMBOLS; symbol++) {
			if (lengths[row][symbol] - 'a' + 1 != (int)bits)
				continue;
			book->bits[row][symbol] = (uint8_t)bits;
			book->code[row][symbol] = (uint16_t)next++;
			book->order[row][count++] = (uint8_t)symbol;
		}
		book->end[row][bits] = (uint64_t)next << (32 - bits);
		next <<= 1;
	}
}

static void make_fast(rco__codebook *book, unsigned row)
{
	unsigned symbol, extra;
	uint32_t v;

	for (v = 0; v < RCO__FAST; v++) {
		symbol = symbol_of(v, &extra);
		book->fast[row][v] = ((uint32_t)book->code[row][symbol] << extra | (v & ((1u << extra) - 1)))
		                             << 8 |
		                     (book->bits[row][symbol] + extra);
	}
}

void rco__codebook_make(rco__codebook *book)
{
	unsigned row;

	for (row = 0; row < RCO__ROWS; row++) {
		make_row(book, row);
		make_fast(book, row);
	}
}

static void fill_number(int16_t *to, unsigned row, uint32_t v, unsigned bits, uint32_t code)
{
	unsigned left = RCO__TAKE_BITS - bits, i;
	int32_t number = (int32_t)v;

	if (row < RCO__LAW_ROWS)
		number = v & 1 ? -(int32_t)(v >> 1) - 1 : (int32_t)(v >> 1);
	for (i = 0; i < 1u << left; i++)
		to[(code << left) + i] = (int16_t)(number * (1 << RCO__TAKE_SHIFT) + (int32_t)bits);
}

/* All numbers of a symbol whose code has so many bits. */
static void fill_symbol(int16_t *to, unsigned row, unsigned symbol, unsigned bits, uint32_t code)
{
	unsigned extra = 0, k;
	uint32_t v = symbol;

	if (symbol >= DIRECT) {
		extra = (symbol - DIRECT) / 2 + DIRECT_BITS - 1;
		v = (2 + (symbol & 1)) << extra;
	}
	if (symbol == RCO__ESCAPE || bits + extra > RCO__TAKE_BITS)
		return;
	for (k = 0; k < 1u << extra; k++)
		fill_number(to, row, v + k, bits + extra, code << extra | k);
}

void rco__take_rows_make(rco__take_row *rows)
{
	unsigned row, bits, symbol;
	uint32_t next;

	memset(rows, 0, RCO__ROWS * sizeof rows[0]);
	for (row = 0; row < RCO__ROWS; row++) {
		next = 0;
		for (bits = 1; bits <= RCO__TAKE_BITS; bits++, next <<= 1)
			for (symbol = 0; symbol < RCO__SYMBOLS; symbol++)
				if (lengths[row][symbol] - 'a' + 1 == (int)bits)
					fill_symbol(rows[row], row, symbol, bits, next++);
	}
}

static void put_symbol(const rco__codebook *book, rco__bit_writer *w, unsigned row, unsigned symbol)
{
	rco__bits_put(w, book->code[row][symbol], book->bits[row][symbol]);
}

void rco__symbol_put(const rco__codebook *book, rco__bit_writer *w, rco__row row, uint32_t v)
{
	uint32_t high = v >> row.shift;
	unsigned extra;

	if (high >= 1u << 9) {
		put_symbol(book, w, row.row, RCO__ESCAPE);
		rco__bits_put(w, v, RCO__ESCAPE_BITS);
		return;
	}
	put_symbol(book, w, row.row, symbol_of(high, &extra));
	rco__bits_put(w, high & ((1u << extra) - 1), extra);
	rco__bits_put(w, v & ((1u << row.shift) - 1), row.shift);
}

/* Every row is a complete code, so that any bits are some symbol. */
static unsigned take_symbol(const rco__codebook *book, rco__bit_reader *r, unsigned row)
{
	uint32_t next = rco__bits_peek(r);
	unsigned bits = 1;

	while (bits < RCO__CODE_MAX && next >= book->end[row][bits])
		bits++;
	r->bit += bits;
	return book->order[row][book->rank[row][bits] + (next >> (32 - bits)) - book->first[row][bits]];
}

uint32_t rco__symbol_take(const rco__codebook *book, rco__bit_reader *r, rco__row row)
{
	unsigned symbol = take_symbol(book, r, row.row), extra;
	uint32_t v = symbol;

	if (symbol == RCO__ESCAPE)
		return rco__bits_take(r, RCO__ESCAPE_BITS);
	if (symbol >= DIRECT) {
		extra = (symbol - DIRECT) / 2 + DIRECT_BITS - 1;
		v = (2 + (symbol & 1)) << extra | rco__bits_take(r, extra);
	}
	return row.shift == 0 ? v : v << row.shift | rco__bits_take(r, row.shift);
}
