/* SPDX-License-Identifier: MIT */
#include "keys.h"

#include "chance.h"
#include "world.h"

#include "../../lib/base/bytes.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRAPPED = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + 32 };

typedef struct epoch {
	uint64_t number;
	uint8_t key[32];
	uint8_t wrapped[WRAPPED];
	size_t since; /* entries of the log that had happened, its own included */
	size_t until; /* the same of its destruction, SIZE_MAX before */
} epoch;

typedef struct fault {
	uint64_t at;
	int kind, struck;
} fault;

struct w_keys {
	w_disk *disk;
	uint8_t master[crypto_secretbox_KEYBYTES];
	uint64_t calls;
	fault faults[W_FAULTS];
	epoch *epochs; /* one that was wrapped twice is there twice */
	size_t n_epochs;
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

w_keys *w_keys_new(w_disk *disk)
{
	w_keys *keys = calloc(1, sizeof *keys);

	if (keys == NULL)
		abort();
	keys->disk = disk;
	w_chance_fill(keys->master, sizeof keys->master);
	return keys;
}

void w_keys_free(w_keys *keys)
{
	if (keys == NULL)
		return;
	free(keys->epochs);
	free(keys);
}

w_keys *w_keys_image(const w_keys *from, size_t position, w_disk *disk)
{
	w_keys *keys = calloc(1, sizeof *keys);
	size_t i;

	if (keys == NULL)
		abort();
	keys->disk = disk;
	memcpy(keys->master, from->master, sizeof keys->master);
	for (i = 0; i < from->n_epochs && from->epochs[i].since <= position; i++) {
		keys->epochs = more(keys->epochs, i, sizeof *keys->epochs);
		keys->epochs[i] = from->epochs[i];
		keys->epochs[i].since = 0;
		keys->epochs[i].until = from->epochs[i].until <= position ? 0 : SIZE_MAX;
		keys->n_epochs++;
	}
	return keys;
}

uint64_t w_keys_hash(const w_keys *keys)
{
	uint64_t hash = keys->n_epochs;
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

static void remember(w_keys *keys, uint64_t number, const uint8_t key[32], const uint8_t *wrapped)
{
	epoch *e;

	keys->epochs = more(keys->epochs, keys->n_epochs, sizeof *keys->epochs);
	e = &keys->epochs[keys->n_epochs++];
	e->number = number;
	memcpy(e->key, key, 32);
	memcpy(e->wrapped, wrapped, WRAPPED);
	e->since = enter(keys);
	e->until = SIZE_MAX;
}

static int wrap(uint64_t number, const uint8_t key[32], uint8_t *wrapped, size_t *wrapped_bytes, void *user_data)
{
	w_keys *keys = user_data;
	int failing = next_call(keys);

	if (failing == W_KEYS_ERROR)
		return RCO_E_IO;
	if (*wrapped_bytes != RCO_WRAPPED_KEY_MAX)
		return RCO_E_INVALID;
	w_chance_fill(wrapped, crypto_secretbox_NONCEBYTES);
	(void)crypto_secretbox_easy(wrapped + crypto_secretbox_NONCEBYTES, key, 32, wrapped, keys->master);
	remember(keys, number, key, wrapped);
	*wrapped_bytes = WRAPPED;
	return failing == W_KEYS_DONE ? RCO_E_IO : RCO_OK;
}

/* Bound to its epoch by what was remembered. */
static int unwrap(uint64_t number, const uint8_t *wrapped, size_t wrapped_bytes, uint8_t key[32], void *user_data)
{
	w_keys *keys = user_data;
	size_t i;

	if (next_call(keys) != W_KEYS_NONE)
		return RCO_E_IO;
	for (i = 0; wrapped_bytes == WRAPPED && i < keys->n_epochs; i++) {
		const epoch *e = &keys->epochs[i];

		if (e->number != number || memcmp(e->wrapped, wrapped, WRAPPED) != 0 || e->until != SIZE_MAX)
			continue;
		memcpy(key, e->key, 32);
		return RCO_OK;
	}
	return RCO_E_KEY;
}

static int destroy(uint64_t number, void *user_data)
{
	w_keys *keys = user_data;
	int failing = next_call(keys);
	size_t i;

	if (failing == W_KEYS_ERROR)
		return RCO_E_IO;
	for (i = 0; i < keys->n_epochs; i++)
		if (keys->epochs[i].number == number && keys->epochs[i].until == SIZE_MAX)
			keys->epochs[i].until = enter(keys);
	return failing == W_KEYS_DONE ? RCO_E_IO : RCO_OK;
}

const rco_key_ops *w_keys_ops(void)
{
	static const rco_key_ops table = {
		.struct_size = sizeof table, .wrap = wrap, .unwrap = unwrap, .destroy = destroy};

	return &table;
}

/* ---- looking ---- */

typedef struct looking {
	const w_keys *keys;
	const uint8_t *id;
	int found;
} looking;

/* As in spool_epochs.c: what follows a recording's id is its key, wrapped under an epoch. */
static int opens(const epoch *e, const uint8_t *id)
{
	enum { NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, LABEL = 10 };
	uint8_t key[32], bound[LABEL + 16 + 8] = "rco-key-v2";

	memcpy(bound + LABEL, id, 16);
	rco__put64(bound + LABEL + 16, e->number);
	return crypto_aead_xchacha20poly1305_ietf_decrypt(key, NULL, NULL, id + 16 + NONCE, 48, bound,
	                                                  sizeof bound, id + 16, e->key) == 0;
}

static void look(const char *path, const uint8_t *data, size_t size, void *user_data)
{
	looking *l = user_data;
	const uint8_t *at = data;
	size_t i;

	(void)path;
	while (size >= 16 + 72 && (at = memmem(at, size - (size_t)(at - data), l->id, 16)) != NULL) {
		for (i = 0; size - (size_t)(at - data) >= 16 + 72 && i < l->keys->n_epochs; i++)
			l->found |= l->keys->epochs[i].until == SIZE_MAX && opens(&l->keys->epochs[i], at);
		at++;
	}
}

int w_keys_left(const w_keys *keys, w_disk *disk, const uint8_t recording_id[16])
{
	looking l = {.keys = keys, .id = recording_id};

	w_disk_each(disk, look, &l);
	return l.found;
}

typedef struct naming {
	char name[32];
	int found;
} naming;

static void look_for_name(const char *path, const uint8_t *data, size_t size, void *user_data)
{
	naming *n = user_data;

	(void)data, (void)size;
	n->found |= strstr(path, n->name) != NULL;
}

size_t w_keys_forgotten(const w_keys *keys, w_disk *disk)
{
	size_t i, forgotten = 0;

	for (i = 0; i < keys->n_epochs; i++) {
		naming n = {.found = 0};

		if (keys->epochs[i].until != SIZE_MAX)
			continue;
		(void)snprintf(n.name, sizeof n.name, "/%016llx.rcoe", (unsigned long long)keys->epochs[i].number);
		w_disk_each(disk, look_for_name, &n);
		forgotten += !n.found;
	}
	return forgotten;
}

size_t w_keys_alive(const w_keys *keys)
{
	size_t i, j, alive = 0;

	for (i = 0; i < keys->n_epochs; i++) {
		for (j = 0; j < i && keys->epochs[j].number != keys->epochs[i].number; j++)
			;
		alive += j == i && keys->epochs[i].until == SIZE_MAX;
	}
	return alive;
}
