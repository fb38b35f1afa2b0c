/* SPDX-License-Identifier: MIT */
#include "map.h"

#include "../base/error.h"

#include <sodium.h>
#include <string.h>

enum { FIRST_SLOTS = 64 };

static size_t slot_of(const rco__map *map, const void *key, size_t key_size, size_t n_slots)
{
	uint8_t h[crypto_shorthash_BYTES];
	uint64_t v;

	(void)crypto_shorthash(h, key, key_size, map->secret);
	memcpy(&v, h, sizeof v);
	return (size_t)(v & (n_slots - 1));
}

int rco__map_init(rco__map *map, const rco__env *env)
{
	memset(map, 0, sizeof *map);
	map->env = *env;
	randombytes_buf(map->secret, sizeof map->secret);
	map->slots = rco__zalloc(env, FIRST_SLOTS, sizeof(rco__map_node *));
	if (map->slots == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a table");
	map->n_slots = FIRST_SLOTS;
	return RCO_OK;
}

void rco__map_destroy(rco__map *map)
{
	size_t i;

	for (i = 0; i < map->n_slots; i++) {
		while (map->slots[i] != NULL) {
			rco__map_node *node = map->slots[i];

			map->slots[i] = node->next;
			rco__release(&map->env, node);
		}
	}
	if (map->slots != NULL)
		rco__release(&map->env, map->slots);
	memset(map, 0, sizeof *map);
}

static rco__map_node **find(const rco__map *map, const void *key, size_t key_size)
{
	rco__map_node **at;

	at = &map->slots[slot_of(map, key, key_size, map->n_slots)];
	while (*at != NULL && ((*at)->key_size != key_size || memcmp((*at)->key, key, key_size) != 0))
		at = &(*at)->next;
	return at;
}

void *rco__map_get(const rco__map *map, const void *key, size_t key_size)
{
	rco__map_node *node = *find(map, key, key_size);

	return node != NULL ? node->value : NULL;
}

/* Growing may fail for want of memory: the table then just gets slower. */
static void grow(rco__map *map)
{
	size_t n = map->n_slots * 2, i;
	rco__map_node **slots = rco__zalloc(&map->env, n, sizeof(rco__map_node *));

	if (slots == NULL)
		return;
	for (i = 0; i < map->n_slots; i++) {
		while (map->slots[i] != NULL) {
			rco__map_node *node = map->slots[i];
			size_t to = slot_of(map, node->key, node->key_size, n);

			map->slots[i] = node->next;
			node->next = slots[to];
			slots[to] = node;
		}
	}
	rco__release(&map->env, map->slots);
	map->slots = slots;
	map->n_slots = n;
}

int rco__map_set(rco__map *map, const void *key, size_t key_size, void *value)
{
	rco__map_node **at = find(map, key, key_size);
	rco__map_node *node;

	if (*at != NULL) {
		(*at)->value = value;
		(*at)->key = key;
		return RCO_OK;
	}
	node = rco__alloc(&map->env, sizeof *node);
	if (node == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for an entry of a table");
	node->value = value;
	node->key_size = key_size;
	node->key = key;
	if (map->count >= map->n_slots)
		grow(map);
	at = &map->slots[slot_of(map, key, key_size, map->n_slots)];
	node->next = *at;
	*at = node;
	map->count++;
	return RCO_OK;
}

void *rco__map_remove(rco__map *map, const void *key, size_t key_size)
{
	rco__map_node **at = find(map, key, key_size);
	rco__map_node *node;
	void *value;

	if (*at == NULL)
		return NULL;
	node = *at;
	value = node->value;
	*at = node->next;
	rco__release(&map->env, node);
	map->count--;
	return value;
}

rco__map_node *rco__map_next(const rco__map *map, rco__map_node *node)
{
	size_t i = 0;

	if (node != NULL) {
		if (node->next != NULL)
			return node->next;
		i = slot_of(map, node->key, node->key_size, map->n_slots) + 1;
	}
	for (; i < map->n_slots; i++)
		if (map->slots[i] != NULL)
			return map->slots[i];
	return NULL;
}
