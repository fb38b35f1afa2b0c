/* SPDX-License-Identifier: MIT */
/*
 * A key provider: what it wrapped it unwraps, for that epoch and no other, until that is destroyed. Its slots have
 * no operation, so they are called as they are.
 */
#include "kit.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM = RCO_WRAPPED_KEY_MAX, BEHIND = 64, ROUNDS = 8, CANARY = 0x5c };

/* An epoch of the kit's, and what the provider made of it. */
typedef struct wrapping {
	uint64_t epoch;
	uint8_t key[32];
	uint8_t bytes[ROOM + BEHIND];
	size_t size;
} wrapping;

static void new_epoch(rco__kit_ctx *c, wrapping *w)
{
	uint32_t n = atomic_fetch_add(&c->run->last_id, 1) + 1;

	memset(w, 0, sizeof *w);
	w->epoch = (uint64_t)c->run->first_id << 32 | n;
	rco__kit_make_sound(w->epoch, 0, w->key, sizeof w->key);
}

static void check_code(rco__kit_ctx *c, const char *slot, int code)
{
	if (code > 0)
		rco__kit_broken(c, "%s answered %d, which is neither RCO_OK nor an error", slot, code);
}

static int try_wrap(rco__kit_ctx *c, wrapping *w)
{
	size_t i;
	int code;

	if (rco__kit_over(c))
		return RCO_E_STATE;
	memset(w->bytes, CANARY, sizeof w->bytes);
	w->size = ROOM;
	code = c->run->keys.wrap(w->epoch, w->key, w->bytes, &w->size, c->run->own.keys_user_data);
	check_code(c, "wrap", code);
	for (i = ROOM; i < sizeof w->bytes; i++)
		rco__kit_expect(c, w->bytes[i] == CANARY, "wrap wrote behind the room that it was given");
	if (code == RCO_OK && (w->size == 0 || w->size > ROOM))
		rco__kit_broken(c, "wrap made %lu bytes; 1 to %d are allowed", (unsigned long)w->size, ROOM);
	return code;
}

static void wrap(rco__kit_ctx *c, wrapping *w)
{
	int code;

	new_epoch(c, w);
	code = try_wrap(c, w);
	if (code != RCO_OK)
		rco__kit_broken(c, "wrap answered %s", rco_error_name(code));
}

static int try_unwrap(rco__kit_ctx *c, const wrapping *w, uint64_t epoch, uint8_t key[32])
{
	int code;

	if (rco__kit_over(c))
		return RCO_E_STATE;
	memset(key, 0, 32);
	code = c->run->keys.unwrap(epoch, w->bytes, w->size, key, c->run->own.keys_user_data);
	check_code(c, "unwrap", code);
	return code;
}

static void expect_key(rco__kit_ctx *c, const wrapping *w)
{
	uint8_t key[32];
	int code = try_unwrap(c, w, w->epoch, key);

	if (code != RCO_OK)
		rco__kit_broken(c, "unwrap answered %s", rco_error_name(code));
	rco__kit_expect(c, memcmp(key, w->key, sizeof key) == 0, "unwrap gave another key than was wrapped");
}

static void expect_lost(rco__kit_ctx *c, const wrapping *w, uint64_t epoch, const char *what)
{
	uint8_t key[32];
	int code = try_unwrap(c, w, epoch, key);

	if (code != RCO_E_KEY)
		rco__kit_broken(c, "unwrap of %s answered %s", what, rco_error_name(code));
}

static void destroy(rco__kit_ctx *c, const wrapping *w)
{
	int code;

	if (rco__kit_over(c) || c->run->keys.destroy == NULL)
		return;
	code = c->run->keys.destroy(w->epoch, c->run->own.keys_user_data);
	check_code(c, "destroy", code);
	if (code != RCO_OK)
		rco__kit_broken(c, "destroy answered %s", rco_error_name(code));
}

/* ---- obligations ---- */

static void unwraps(rco__kit_ctx *c)
{
	wrapping one, two;

	wrap(c, &one);
	wrap(c, &two);
	expect_key(c, &one);
	expect_key(c, &two);
	expect_key(c, &one);
	destroy(c, &one);
	destroy(c, &two);
}

static void hides(rco__kit_ctx *c)
{
	wrapping w;
	size_t i;

	wrap(c, &w);
	for (i = 0; i + sizeof w.key <= w.size; i++)
		rco__kit_expect(c, memcmp(w.bytes + i, w.key, sizeof w.key) != 0, "the key is in it as it is");
	destroy(c, &w);
}

static void bound(rco__kit_ctx *c)
{
	wrapping one, two;

	wrap(c, &one);
	wrap(c, &two);
	expect_lost(c, &one, two.epoch, "what was wrapped for another epoch");
	expect_key(c, &one);
	destroy(c, &one);
	destroy(c, &two);
}

static void altered(rco__kit_ctx *c)
{
	wrapping w;
	size_t at;

	wrap(c, &w);
	for (at = 0; at < w.size && !rco__kit_over(c); at += w.size / 8 + 1) {
		w.bytes[at] ^= 0x10;
		expect_lost(c, &w, w.epoch, "altered bytes");
		w.bytes[at] ^= 0x10;
	}
	w.size--;
	if (w.size > 0)
		expect_lost(c, &w, w.epoch, "bytes that were cut");
	w.size++;
	expect_key(c, &w);
	destroy(c, &w);
}

static void wrap_again(rco__kit_ctx *c)
{
	wrapping w;

	wrap(c, &w);
	w.key[0] ^= 1;
	rco__kit_expect(c, try_wrap(c, &w) == RCO_OK, "the second wrap failed");
	expect_key(c, &w);
	destroy(c, &w);
}

static void destroyed(rco__kit_ctx *c)
{
	wrapping one, two;

	wrap(c, &one);
	wrap(c, &two);
	destroy(c, &one);
	expect_lost(c, &one, one.epoch, "a destroyed epoch");
	expect_key(c, &two);
	destroy(c, &one);
	expect_key(c, &two);
	destroy(c, &two);
	new_epoch(c, &one);
	destroy(c, &one); /* one that never was: `wrap` did not get so far */
}

static void restarted(rco__kit_ctx *c)
{
	wrapping kept, gone;

	wrap(c, &kept);
	wrap(c, &gone);
	destroy(c, &gone);
	rco__kit_restart(c);
	expect_key(c, &kept);
	if (c->run->keys.destroy != NULL)
		expect_lost(c, &gone, gone.epoch, "an epoch that was destroyed before the restart");
	destroy(c, &kept);
}

static void set_failing(rco__kit_ctx *c, int failing)
{
	if (!rco__kit_over(c) && c->run->own.fail(failing, c->run->own.user_data) != RCO_OK)
		rco__kit_broken(c, "`fail` answered an error");
}

/* Its audio would be given up for ever, though the key is there. */
static void unreachable(rco__kit_ctx *c)
{
	uint8_t key[32];
	wrapping w, new;
	int code;

	wrap(c, &w);
	set_failing(c, 1);
	code = try_unwrap(c, &w, w.epoch, key);
	if (code == RCO_E_KEY || code == RCO_E_NOT_FOUND)
		rco__kit_broken(c, "unwrap answered %s, which means that the key is lost", rco_error_name(code));
	new_epoch(c, &new);
	if (try_wrap(c, &new) == RCO_OK)
		new.epoch = 0;
	set_failing(c, 0);
	expect_key(c, &w);
	if (new.epoch != 0)
		rco__kit_expect(c, try_wrap(c, &new) == RCO_OK, "wrap does not work again");
	destroy(c, &new);
	destroy(c, &w);
}

static void *work(void *arg)
{
	rco__kit_ctx *c = arg;
	wrapping w;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		wrap(c, &w);
		expect_key(c, &w);
		destroy(c, &w);
	}
	return NULL;
}

static void threads(rco__kit_ctx *c)
{
	rco__kit_at_once(c, work);
}

const rco__kit_check rco__kit_keys_checks[] = {
	{"keys.unwrap", "unwrap gives the key that was wrapped", unwraps, RCO__KIT_KEYS},
	{"keys.hidden", "a wrapped key does not contain the key", hides, RCO__KIT_KEYS},
	{"keys.bound", "a wrapped key is of its epoch alone", bound, RCO__KIT_KEYS},
	{"keys.altered", "bytes that were altered are RCO_E_KEY", altered, RCO__KIT_KEYS},
	{"keys.wrap-again", "wrap again for the same epoch gives what can be unwrapped", wrap_again,
         RCO__KIT_KEYS},
	{"keys.destroy", "destroy leaves nothing that unwraps this epoch, and all of others", destroyed,
         RCO__KIT_KEYS | RCO__KIT_DESTROY},
	{"keys.restart", "what was wrapped is unwrapped by the next process", restarted,
         RCO__KIT_KEYS | RCO__KIT_REOPEN},
	{"keys.unreachable", "a service that cannot be reached does not say that a key is lost", unreachable,
         RCO__KIT_KEYS | RCO__KIT_FAIL},
	{"keys.threads", "several spools may ask at the same time", threads, RCO__KIT_KEYS},
};

const size_t rco__kit_keys_count = sizeof rco__kit_keys_checks / sizeof rco__kit_keys_checks[0];
