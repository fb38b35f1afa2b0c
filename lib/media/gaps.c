/* SPDX-License-Identifier: MIT */
#include "gaps.h"

#include "format.h"
#include "gate.h"

#include <string.h>

static uint64_t load(const _Atomic uint64_t *value)
{
	return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)value, memory_order_acquire);
}

static uint64_t index_at(const rco__gaps *gaps, uint64_t i)
{
	return load(&gaps->at[i % RCO__GAPS].index);
}

/* Of the first `n`: that of the last of them, which is still there when the buffer has it. */
static uint64_t sum_of(const rco__gaps *gaps, uint64_t n)
{
	return n > 0 ? load(&gaps->at[(n - 1) % RCO__GAPS].sum) : 0;
}

/* ---- the producer ---- */

int rco__gaps_add(rco__gaps *gaps, uint64_t index, uint64_t before, uint64_t size)
{
	uint64_t put = atomic_load_explicit(&gaps->put, memory_order_relaxed);
	rco__gap *gap = &gaps->at[put % RCO__GAPS];

	if (put - load(&gaps->taken) >= RCO__GAPS_MOST)
		return 0;
	atomic_store_explicit(&gap->index, index, memory_order_relaxed);
	atomic_store_explicit(&gap->sum, before + size, memory_order_relaxed);
	atomic_store_explicit(&gaps->put, put + 1, memory_order_release);
	return 1;
}

void rco__gaps_undo(rco__gaps *gaps)
{
	atomic_store_explicit(&gaps->put, atomic_load_explicit(&gaps->put, memory_order_relaxed) - 1,
	                      memory_order_release);
}

/* ---- the consumer ---- */

uint64_t rco__gaps_taken(const rco__gaps *gaps)
{
	return sum_of(gaps, load(&gaps->taken));
}

rco__stretch rco__gaps_look(const rco__gaps *gaps, uint64_t index, uint64_t position)
{
	uint64_t i = load(&gaps->taken), put = load(&gaps->put), before = sum_of(gaps, i);
	rco__stretch s;

	/* One at the index itself does not count yet, nor does what may be written in its place meanwhile. */
	for (; i != put && index_at(gaps, i) < index; i++) {
		uint64_t sum = sum_of(gaps, i + 1);

		if (rco__gap_step(position, before, index_at(gaps, i), sum, &s))
			return s;
		before = sum;
	}
	s = (rco__stretch){position - before, index + before - position, 0};
	return s;
}

int rco__gaps_any(const rco__gaps *gaps)
{
	return load(&gaps->put) != load(&gaps->taken);
}

uint64_t rco__gaps_told(rco__gaps *gaps, uint64_t position)
{
	uint64_t i = load(&gaps->taken), put = load(&gaps->put), before = sum_of(gaps, i), index;

	for (; i != put; i++) {
		index = index_at(gaps, i);
		if (position < index + sum_of(gaps, i + 1))
			break;
		before = sum_of(gaps, i + 1);
	}
	atomic_store_explicit(&gaps->taken, i, memory_order_release);
	/* In the midst of a gap the audio before it is all that there is. */
	if (i != put && position >= index_at(gaps, i) + before)
		return index_at(gaps, i);
	return position - before;
}

/* ---- what an earlier process left ---- */

uint64_t rco__gap_max(uint32_t format)
{
	const rco__format *f = rco__format_of(format);

	return f != NULL ? (uint64_t)RCO_GAP_MAX_S * f->rate_hz * f->sample_bytes : 0;
}

int rco__gaps_sane(const rco__gaps *gaps, uint64_t read, uint64_t index, uint32_t format)
{
	uint64_t i = load(&gaps->taken), put = load(&gaps->put), sum = sum_of(gaps, i), at = read;
	uint32_t sample = rco_format_sample_bytes(format);

	if (sample == 0 || put - i > RCO__GAPS_MOST || sum > RCO__GATE_INDEX || sum % sample != 0)
		return 0;
	for (; i != put; i++) {
		uint64_t next = sum_of(gaps, i + 1);

		if (index_at(gaps, i) < at || index_at(gaps, i) > index || index_at(gaps, i) % sample != 0 ||
		    next <= sum || next - sum > rco__gap_max(format) || next % sample != 0)
			return 0;
		at = index_at(gaps, i) + 1;
		sum = next;
	}
	return 1;
}

uint64_t rco__gaps_settle(rco__gaps *gaps, uint64_t index)
{
	uint64_t put = load(&gaps->put);

	if (put != load(&gaps->taken) && index_at(gaps, put - 1) >= index)
		rco__gaps_undo(gaps);
	return sum_of(gaps, load(&gaps->put));
}

void rco__gaps_copy(rco__gaps *to, const rco__gaps *from)
{
	uint64_t i;

	for (i = 0; i < RCO__GAPS; i++) {
		atomic_store(&to->at[i].index, load(&from->at[i].index));
		atomic_store(&to->at[i].sum, load(&from->at[i].sum));
	}
	atomic_store(&to->late, load(&from->late));
	atomic_store(&to->taken, load(&from->taken));
	atomic_store(&to->put, load(&from->put));
}
