/* SPDX-License-Identifier: MIT */
/* The set of open subjects: open addressing with linear probing, at most three quarters full. */
#include "ledger_internal.h"

#include <sodium.h>

static size_t home(const rco__ledger_subjects *set, const uint8_t id[16])
{
	uint64_t h = rco__get64(id) ^ (rco__get64(id + 8) * 0x9e3779b97f4a7c15u);

	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	return (size_t)h & (set->capacity - 1);
}

static size_t probe(const rco__ledger_subjects *set, const uint8_t id[16])
{
	size_t i = home(set, id);

	while (set->slots[i].oldest != 0 && memcmp(set->slots[i].id, id, 16) != 0)
		i = (i + 1) & (set->capacity - 1);
	return i;
}

int rco__ledger_subjects_reserve(const rco__env *env, rco__ledger_subjects *set, size_t more)
{
	rco__ledger_subjects grown = {0};
	size_t i;

	if (set->capacity > 0 && set->count + more <= set->capacity / 4 * 3)
		return RCO_OK;
	grown.capacity = set->capacity > 0 ? set->capacity : 64;
	while (set->count + more > grown.capacity / 4 * 3)
		grown.capacity *= 2;
	grown.slots = rco__zalloc(env, grown.capacity, sizeof *grown.slots);
	if (!grown.slots)
		return RCO_E_NO_MEMORY;
	for (i = 0; i < set->capacity; i++) {
		if (set->slots[i].oldest != 0)
			grown.slots[probe(&grown, set->slots[i].id)] = set->slots[i];
	}
	grown.count = set->count;
	rco__release(env, set->slots);
	*set = grown;
	return RCO_OK;
}

rco__ledger_subject *rco__ledger_subjects_find(rco__ledger_subjects *set, const uint8_t id[16])
{
	size_t i;

	if (set->capacity == 0)
		return NULL;
	i = probe(set, id);
	return set->slots[i].oldest != 0 ? &set->slots[i] : NULL;
}

rco__ledger_subject *rco__ledger_subjects_add(rco__ledger_subjects *set, const uint8_t id[16], uint64_t oldest)
{
	size_t i;

	if (set->capacity == 0 || set->count + 1 > set->capacity / 4 * 3)
		return NULL;
	i = probe(set, id);
	if (set->slots[i].oldest != 0)
		return NULL;
	memset(&set->slots[i], 0, sizeof set->slots[i]);
	memcpy(set->slots[i].id, id, 16);
	set->slots[i].oldest = oldest;
	set->count++;
	return &set->slots[i];
}

void rco__ledger_subjects_remove(rco__ledger_subjects *set, rco__ledger_subject *subject)
{
	size_t hole = (size_t)(subject - set->slots), i = hole, mask = set->capacity - 1;

	/* Move back whatever could no longer be found over the hole, so that no marker of deleted slots is needed.
	 */
	for (;;) {
		size_t at;

		i = (i + 1) & mask;
		if (set->slots[i].oldest == 0)
			break;
		at = home(set, set->slots[i].id);
		if (((i - at) & mask) >= ((i - hole) & mask)) {
			set->slots[hole] = set->slots[i];
			hole = i;
		}
	}
	memset(&set->slots[hole], 0, sizeof set->slots[hole]);
	set->count--;
}
