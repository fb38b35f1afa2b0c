/* SPDX-License-Identifier: MIT */
#include "keys.h"

#include "chance.h"
#include "world.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { WRAPPED = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + 32 };

typedef struct epoch {
	uint8_t key[crypto_secretbox_KEYBYTES];
	size_t since; /* entries of the log that had happened, its own included */
	size_t until; /* the same of its destruction, SIZE_MAX before */
} epoch;

typedef struct wrapping {
	uint64_t epoch;
	size_t since;
	uint8_t recording_id[16];
	uint8_t bytes[WRAPPED];
} wrapping;

typedef struct fault {
	uint64_t at;
	int kind, struck;
} fault;

struct w_keys {
	w_disk *disk;
	uint32_t wraps_each;
	uint64_t calls;
	fault faults[W_FAULTS];
	epoch *epochs; /* number 1 is the first */
	size_t n_epochs;
	wrapping *wraps;
	size_t n_wraps;
};

static void *more(void *list, size_t n, size_t size)
{
	void *out = list;

	if ((n & (n - 1)) == 0) /* 0, 1, 2, 4 ... */
		out = realloc(list, (n == 0 ? 1 : 2 * n) * size);
	if (out == NULL)
		abort();
	return out;
}

/* Where the entry of a change stands in the log, one after it. */
static size_t enter(w_keys *keys)
{
	return w_disk_foreign(keys->disk, W_LOG_KEYS) + 1;
}

w_keys *w_keys_new(w_disk *disk, uint32_t wraps_each)
{
	w_keys *keys = calloc(1, sizeof *keys);

	if (keys == NULL)
		abort();
	keys->disk = disk;
	keys->wraps_each = wraps_each;
	return keys;
}

void w_keys_free(w_keys *keys)
{
	if (keys == NULL)
		return;
	free(keys->epochs);
	free(keys->wraps);
	free(keys);
}

w_keys *w_keys_image(const w_keys *from, size_t position, w_disk *disk)
{
	w_keys *keys = w_keys_new(disk, from->wraps_each);
	size_t i;

	for (i = 0; i < from->n_epochs && from->epochs[i].since <= position; i++) {
		keys->epochs = more(keys->epochs, i, sizeof *keys->epochs);
		keys->epochs[i] = from->epochs[i];
		keys->epochs[i].since = 0;
		keys->epochs[i].until = from->epochs[i].until <= position ? 0 : SIZE_MAX;
		keys->n_epochs++;
	}
	for (i = 0; i < from->n_wraps && from->wraps[i].since <= position; i++) {
		keys->wraps = more(keys->wraps, i, sizeof *keys->wraps);
		keys->wraps[i] = from->wraps[i];
		keys->wraps[i].since = 0;
		keys->n_wraps++;
	}
	return keys;
}

uint64_t w_keys_hash(const w_keys *keys)
{
	uint64_t hash = keys->n_wraps;
	size_t i;

	for (i = 0; i < keys->n_epochs; i++) {
		hash = w_hash(hash, keys->epochs[i].key, sizeof keys->epochs[i].key);
		hash = w_mix(hash ^ (uint64_t)(keys->epochs[i].until != SIZE_MAX));
	}
	return hash;
}

/* ---- faults ---- */

void w_keys_fault(w_keys *keys, int which, uint64_t nth, int kind)
{
	keys->faults[which] = (fault){nth == 0 ? 0 : keys->calls + nth, kind, 0};
}

int w_keys_struck(const w_keys *keys, int which)
{
	return keys->faults[which].struck;
}

uint64_t w_keys_calls(const w_keys *keys)
{
	return keys->calls;
}

static int next_call(w_keys *keys)
{
	size_t i;

	keys->calls++;
	for (i = 0; i < W_FAULTS; i++)
		if (keys->faults[i].at == keys->calls) {
			keys->faults[i].struck = 1;
			return keys->faults[i].kind;
		}
	return W_KEYS_NONE;
}

/* ---- the table ---- */

static void new_epoch(w_keys *keys)
{
	epoch *e;

	keys->epochs = more(keys->epochs, keys->n_epochs, sizeof *keys->epochs);
	e = &keys->epochs[keys->n_epochs++];
	w_chance_fill(e->key, sizeof e->key);
	e->since = enter(keys);
	e->until = SIZE_MAX;
}

static void remember(w_keys *keys, const uint8_t *bytes, const uint8_t recording_id[16])
{
	wrapping *w;

	keys->wraps = more(keys->wraps, keys->n_wraps, sizeof *keys->wraps);
	w = &keys->wraps[keys->n_wraps++];
	w->epoch = keys->n_epochs;
	memcpy(w->recording_id, recording_id, 16);
	memcpy(w->bytes, bytes, WRAPPED);
	w->since = enter(keys);
}

static int wrap(const uint8_t key[32], const uint8_t recording_id[16], uint8_t *wrapped, size_t *wrapped_bytes,
                uint64_t *number, void *user_data)
{
	w_keys *keys = user_data;
	int failing = next_call(keys);

	if (failing == W_KEYS_ERROR)
		return RCO_E_IO;
	if (keys->n_epochs == 0 || (keys->wraps_each > 0 && keys->n_wraps >= keys->wraps_each * keys->n_epochs))
		new_epoch(keys);
	w_chance_fill(wrapped, crypto_secretbox_NONCEBYTES);
	(void)crypto_secretbox_easy(wrapped + crypto_secretbox_NONCEBYTES, key, 32, wrapped,
	                            keys->epochs[keys->n_epochs - 1].key);
	remember(keys, wrapped, recording_id);
	*wrapped_bytes = WRAPPED;
	*number = keys->n_epochs;
	return failing == W_KEYS_DONE ? RCO_E_IO : RCO_OK;
}

/* Bound to its recording by what was remembered. */
static const wrapping *find(const w_keys *keys, uint64_t number, const uint8_t *wrapped, size_t size,
                            const uint8_t recording_id[16])
{
	size_t i;

	for (i = 0; size == WRAPPED && i < keys->n_wraps; i++)
		if (keys->wraps[i].epoch == number && memcmp(keys->wraps[i].bytes, wrapped, WRAPPED) == 0 &&
		    memcmp(keys->wraps[i].recording_id, recording_id, 16) == 0)
			return &keys->wraps[i];
	return NULL;
}

static int unwrap(uint64_t number, const uint8_t *wrapped, size_t wrapped_bytes, const uint8_t recording_id[16],
                  uint8_t key[32], void *user_data)
{
	w_keys *keys = user_data;
	const epoch *e;

	if (next_call(keys) != W_KEYS_NONE)
		return RCO_E_IO;
	if (number == 0 || number > keys->n_epochs ||
	    find(keys, number, wrapped, wrapped_bytes, recording_id) == NULL)
		return RCO_E_KEY;
	e = &keys->epochs[number - 1];
	if (e->until != SIZE_MAX)
		return RCO_E_KEY;
	return crypto_secretbox_open_easy(key, wrapped + crypto_secretbox_NONCEBYTES,
	                                  WRAPPED - crypto_secretbox_NONCEBYTES, wrapped, e->key) == 0
	               ? RCO_OK
	               : RCO_E_KEY;
}

static int destroy(uint64_t number, void *user_data)
{
	w_keys *keys = user_data;
	int failing = next_call(keys);

	if (failing == W_KEYS_ERROR)
		return RCO_E_IO;
	if (number == 0 || number >= keys->n_epochs)
		return RCO_E_INVALID; /* never the current one */
	if (keys->epochs[number - 1].until == SIZE_MAX)
		keys->epochs[number - 1].until = enter(keys);
	return failing == W_KEYS_DONE ? RCO_E_IO : RCO_OK;
}

const rco_key_ops *w_keys_ops(void)
{
	static const rco_key_ops table = {
		.struct_size = sizeof table, .wrap = wrap, .unwrap = unwrap, .destroy = destroy};

	return &table;
}

/* ---- looking ---- */

int w_keys_left(const w_keys *keys, w_disk *disk, const uint8_t recording_id[16])
{
	size_t i;

	for (i = 0; i < keys->n_wraps; i++) {
		const wrapping *w = &keys->wraps[i];

		if (memcmp(w->recording_id, recording_id, 16) == 0 &&
		    keys->epochs[w->epoch - 1].until == SIZE_MAX && w_disk_holds(disk, w->bytes, WRAPPED) > 0)
			return 1;
	}
	return 0;
}
