/* SPDX-License-Identifier: MIT */
/* A hash table from short byte keys to pointers. Keyed hashing (SipHash), because call ids come from the network.
 * Not locked: the owner does that. */
#ifndef RCO_SESSION_MAP_H
#define RCO_SESSION_MAP_H

#include "../base/env.h"

typedef struct rco__map_node {
	struct rco__map_node *next;
	void *value;
	const void *key;
	size_t key_size;
} rco__map_node;

typedef struct rco__map {
	rco__env env;
	uint8_t secret[16];
	rco__map_node **slots;
	size_t n_slots; /* power of two */
	size_t count;
} rco__map;

int rco__map_init(rco__map *map, const rco__env *env);
void rco__map_destroy(rco__map *map); /* values are the owner's */
void *rco__map_get(const rco__map *map, const void *key, size_t key_size);
/* Adds or replaces. The key is not copied: it belongs to the value, and stays as long as that is in the table.
 * RCO_E_NO_MEMORY: unchanged. */
int rco__map_set(rco__map *map, const void *key, size_t key_size, void *value);
/* Removes, returning what was there or NULL. */
void *rco__map_remove(rco__map *map, const void *key, size_t key_size);
/* The node after `node`, the first for NULL, NULL at the end. Nothing may be added or removed meanwhile. */
rco__map_node *rco__map_next(const rco__map *map, rco__map_node *node);

#endif
