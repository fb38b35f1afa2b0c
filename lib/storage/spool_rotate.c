/* SPDX-License-Identifier: MIT */
/*
 * All that the key provider is asked. It may be a service that is slow, or down for hours: so it is asked by one
 * thread at a time, without a lock, and what fails is tried again while everything else goes on.
 */
#include "spool_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const int64_t first_pause_us = 1000000, longest_pause_us = 60 * 1000000;

/* 62 bits, so that the files' names are as those of segments. */
static const uint64_t number_mask = UINT64_MAX >> 2;

static void put_off(const rco_spool *spool, rco__again *again)
{
	again->pause_us = again->pause_us == 0 ? first_pause_us : again->pause_us * 2;
	if (again->pause_us > longest_pause_us)
		again->pause_us = longest_pause_us;
	again->at_us = rco__mono_us(&spool->env) + again->pause_us;
}

static int is_due(const rco_spool *spool, const rco__again *again)
{
	return again->at_us <= rco__mono_us(&spool->env);
}

/* ---- what it is asked ---- */

/* A number that is no error says nothing: least of all that a key is lost. The provider's own sentence is told, if
 * it has one. */
static int answered(const char *slot, int rc)
{
	char why[256];

	if (rc == RCO_OK)
		return rc;
	(void)snprintf(why, sizeof why, "%s", rco_error_detail());
	if (rc > RCO_OK)
		return rco__fail(RCO_E_OPS, "the key provider answered %d to %s, which is no error", rc, slot);
	return rco__fail(rc, "the key provider answered %s to %s%s%s", rco_error_name(rc), slot,
	                 why[0] != '\0' ? ": " : "", why);
}

static int ask_wrap(const rco_spool *spool, uint64_t number, const uint8_t key[32],
                    uint8_t wrapped[RCO_WRAPPED_KEY_MAX], size_t *size)
{
	int rc;

	*size = RCO_WRAPPED_KEY_MAX;
	rco__error_clear();
	rc = answered("wrap", spool->keys.wrap(number, key, wrapped, size, spool->keys_ud));
	if (rc == RCO_OK && (*size == 0 || *size > RCO_WRAPPED_KEY_MAX))
		return rco__fail(RCO_E_KEY, "the key provider made a wrapped key of %zu bytes", *size);
	return rc;
}

static int ask_unwrap(const rco_spool *spool, uint64_t number, const uint8_t *wrapped, size_t size,
                      uint8_t key[32])
{
	int rc;

	rco__error_clear();
	rc = answered("unwrap", spool->keys.unwrap(number, wrapped, size, key, spool->keys_ud));
	return rc == RCO_E_NOT_FOUND ? RCO_E_KEY : rc; /* which means something else to our callers */
}

static int ask_destroy(const rco_spool *spool, uint64_t number)
{
	rco__error_clear();
	return spool->keys.destroy != NULL ? answered("destroy", spool->keys.destroy(number, spool->keys_ud))
	                                   : RCO_OK;
}

/* ---- keys of earlier processes ---- */

/* The file is read each time: it is asked for once. */
static int unwrap_file(rco_spool *spool, rco__epoch *e, uint8_t key[32])
{
	uint8_t wrapped[RCO_WRAPPED_KEY_MAX];
	size_t size = 0;
	int rc = rco__epoch_file_get(spool, e, wrapped, &size);

	if (rc == RCO_E_CORRUPT || rc == RCO_E_NOT_FOUND)
		rc = rco__fail(RCO_E_KEY, "its file in %s is gone or damaged", spool->path);
	if (rc == RCO_OK)
		rc = ask_unwrap(spool, e->number, wrapped, size, key);
	rco_memzero(wrapped, sizeof wrapped);
	return rc;
}

/* An epoch that no recording needs is no loss: so it is after each reboot, with the provider's keys on a RAM disk.
 */
static void tell_lost(rco_spool *spool, const rco__epoch *e)
{
	unsigned long long live;

	(void)pthread_mutex_lock(&spool->epoch_lock);
	live = (unsigned long long)e->live;
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	rco__log(&spool->env, live > 0 ? RCO_LOG_ERROR : RCO_LOG_INFO,
	         "the key of epoch %016llx cannot be unwrapped any more, nor can the %llu recordings be read that "
	         "need it: %s",
	         (unsigned long long)e->number, live, rco_error_detail());
}

static void unwrapped(rco_spool *spool, rco__epoch *e, int rc, uint8_t *key)
{
	if (rc == RCO_E_KEY)
		tell_lost(spool, e);
	else if (rc != RCO_OK && e->again.pause_us == 0)
		rco__log(&spool->env, RCO_LOG_WARN,
		         "the key of epoch %016llx cannot be unwrapped now, trying again: %s",
		         (unsigned long long)e->number, rco_error_detail());
	if (rc == RCO_OK || rc == RCO_E_KEY)
		e->again = (rco__again){.at_us = 0};
	else
		put_off(spool, &e->again);
	(void)pthread_mutex_lock(&spool->epoch_lock);
	e->rc = rc;
	if (rc == RCO_OK) {
		e->key = key;
		e->state = RCO__EPOCH_READY;
	} else if (rc == RCO_E_KEY) {
		e->state = RCO__EPOCH_LOST;
	}
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	if (rc != RCO_OK)
		rco__secmem_put(spool->secrets, key);
}

/* Somebody reads with it, or it is the one to go on with. */
static int wanted(rco_spool *spool, const rco__epoch *e)
{
	int yes;

	(void)pthread_mutex_lock(&spool->epoch_lock);
	yes = e->state == RCO__EPOCH_WAITING && (e->live > 0 || (spool->epoch == NULL && e == spool->epochs));
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	return yes;
}

/* A provider that fails is not asked for all the others as well: each may be a time-out. */
static void unwrap_waiting(rco_spool *spool)
{
	int failed = RCO_OK;
	rco__epoch *e;

	for (e = spool->epochs; e != NULL; e = e->next) {
		uint8_t *key = NULL;
		int rc;

		if (!wanted(spool, e) || !is_due(spool, &e->again))
			continue;
		if (failed == RCO_OK) {
			key = rco__secmem_get(spool->secrets);
			rc = key != NULL ? unwrap_file(spool, e, key) : RCO_E_NO_MEMORY;
			unwrapped(spool, e, rc, key);
			failed = rc == RCO_E_KEY ? RCO_OK : rc;
		} else if (e->rc == RCO_OK) {
			(void)pthread_mutex_lock(&spool->epoch_lock);
			e->rc = failed;
			(void)pthread_mutex_unlock(&spool->epoch_lock);
		}
	}
}

/* ---- the current epoch ---- */

static void put_in_use(rco_spool *spool, rco__epoch *e, int64_t age_us)
{
	rco__epoch *before = spool->epoch;

	spool->rotate_us = rco__mono_us(&spool->env) + (age_us < spool->epoch_us ? spool->epoch_us - age_us : 0);
	(void)pthread_mutex_lock(&spool->epoch_lock);
	spool->epoch = e;
	if (before != NULL)
		rco__epoch_settle(spool, before);
	(void)pthread_mutex_unlock(&spool->epoch_lock);
}

/* Go on with the one that an earlier process used, by its age, which restarts do not change. */
static void adopt(rco_spool *spool)
{
	rco__epoch *e = spool->epochs;
	int64_t age;

	if (e == NULL || e->state != RCO__EPOCH_READY || !e->own)
		return;
	age = rco__wall_us(&spool->env) - e->made_us;
	put_in_use(spool, e, age > 0 ? age : 0); /* the clock may have been put back */
}

/* Its number is durable before the provider is asked, so that none is left there of which nobody knows. One that
 * was planned and came to nothing is taken again. */
static int plan(rco_spool *spool, rco__epoch **out)
{
	uint64_t number;
	rco__epoch *e;
	int rc;

	for (e = spool->epochs; e != NULL; e = e->next)
		if (e->state == RCO__EPOCH_PLANNED && e->live == 0) {
			*out = e;
			return RCO_OK;
		}
	do {
		randombytes_buf(&number, sizeof number);
		number = (number & number_mask) | 1; /* not 0 */
	} while (rco__epoch_find(spool, number) != NULL);
	(void)pthread_mutex_lock(&spool->epoch_lock);
	e = rco__epoch_add(spool, number, RCO__EPOCH_PLANNED);
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	if (e == NULL)
		return RCO_E_NO_MEMORY;
	*out = e;
	rc = rco__epoch_file_put(spool, e, NULL, 0);
	if (rc != RCO_OK) {
		(void)pthread_mutex_lock(&spool->epoch_lock);
		rco__epoch_remove(spool, e);
		(void)pthread_mutex_unlock(&spool->epoch_lock);
	}
	return rc;
}

/* Who may encrypt and not decrypt would notice when a recording is to be read after a crash. */
static int try_unwrap(rco_spool *spool, uint64_t number, const uint8_t *wrapped, size_t size,
                      const uint8_t key[32])
{
	uint8_t *again = rco__secmem_get(spool->secrets);
	int rc = again != NULL ? ask_unwrap(spool, number, wrapped, size, again) : RCO_E_NO_MEMORY;

	if (rc == RCO_OK && sodium_memcmp(again, key, 32) != 0)
		rc = rco__fail(RCO_E_KEY, "the key provider unwraps another key than it wrapped");
	rco__secmem_put(spool->secrets, again);
	return rc;
}

static int begin_epoch(rco_spool *spool)
{
	uint8_t wrapped[RCO_WRAPPED_KEY_MAX], *key = rco__secmem_get(spool->secrets);
	rco__epoch *e = NULL;
	size_t size = 0;
	int rc = key != NULL ? plan(spool, &e) : RCO_E_NO_MEMORY;

	if (rc == RCO_OK) {
		randombytes_buf(key, 32);
		rc = ask_wrap(spool, e->number, key, wrapped, &size);
	}
	if (rc == RCO_OK)
		rc = try_unwrap(spool, e->number, wrapped, size, key);
	if (rc == RCO_OK) {
		e->made_us = rco__wall_us(&spool->env);
		e->own = 1;
		rc = rco__epoch_file_put(spool, e, wrapped, size);
	}
	rco_memzero(wrapped, sizeof wrapped);
	if (rc != RCO_OK) {
		rco__secmem_put(spool->secrets, key);
		return rc;
	}
	(void)pthread_mutex_lock(&spool->epoch_lock);
	e->key = key;
	e->state = RCO__EPOCH_READY;
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	put_in_use(spool, e, 0);
	return RCO_OK;
}

static void not_begun(rco_spool *spool, int rc)
{
	if (spool->rotate_again.pause_us == 0)
		rco__log(&spool->env, spool->epoch != NULL ? RCO_LOG_WARN : RCO_LOG_ERROR,
		         "a new key epoch cannot be begun, trying again; %s: %s",
		         spool->epoch != NULL ? "the old one stays in use" : "nothing is recorded until it can",
		         rco_error_detail());
	put_off(spool, &spool->rotate_again);
	(void)pthread_mutex_lock(&spool->epoch_lock);
	spool->epoch_rc = rc;
	(void)pthread_mutex_unlock(&spool->epoch_lock);
}

static void rotate(rco_spool *spool)
{
	int rc;

	if (spool->epoch == NULL)
		adopt(spool);
	if (spool->epoch != NULL && rco__mono_us(&spool->env) < spool->rotate_us)
		return;
	if (!is_due(spool, &spool->rotate_again))
		return;
	rc = begin_epoch(spool);
	if (rc != RCO_OK) {
		not_begun(spool, rc);
		return;
	}
	if (spool->rotate_again.pause_us != 0)
		rco__log(&spool->env, RCO_LOG_INFO, "a new key epoch was begun");
	spool->rotate_again = (rco__again){.at_us = 0};
}

/* ---- destroying ---- */

/* None before another is in use: it may be the one to go on with. */
static int unneeded(rco_spool *spool, const rco__epoch *e)
{
	int yes;

	(void)pthread_mutex_lock(&spool->epoch_lock);
	yes = spool->epoch != NULL && e != spool->epoch && e->live == 0 && e->state != RCO__EPOCH_PLANNED;
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	return yes;
}

static int destroy(rco_spool *spool, rco__epoch *e)
{
	int rc = e->state != RCO__EPOCH_DESTROYED ? ask_destroy(spool, e->number) : RCO_OK;

	if (rc == RCO_OK) {
		(void)pthread_mutex_lock(&spool->epoch_lock);
		e->state = RCO__EPOCH_DESTROYED;
		(void)pthread_mutex_unlock(&spool->epoch_lock);
		rc = rco__epoch_file_wipe(spool, e);
	}
	if (rc == RCO_OK) {
		(void)pthread_mutex_lock(&spool->epoch_lock);
		rco__epoch_remove(spool, e);
		(void)pthread_mutex_unlock(&spool->epoch_lock);
		return rc;
	}
	if (e->again.pause_us == 0)
		rco__log(&spool->env, RCO_LOG_WARN,
		         "key epoch %016llx is not needed any more and cannot be destroyed, trying again: %s",
		         (unsigned long long)e->number, rco_error_detail());
	put_off(spool, &e->again);
	return rc;
}

static void destroy_unneeded(rco_spool *spool)
{
	rco__epoch *e, *next;
	int rc = RCO_OK;

	for (e = spool->epochs; e != NULL && rc == RCO_OK; e = next) {
		next = e->next;
		if (unneeded(spool, e) && is_due(spool, &e->again))
			rc = destroy(spool, e);
	}
}

int rco__epochs_tend(rco_spool *spool)
{
	int busy, rc;

	(void)pthread_mutex_lock(&spool->epoch_lock);
	busy = spool->epochs_busy;
	spool->epochs_busy = 1;
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	if (!busy) {
		unwrap_waiting(spool);
		rotate(spool);
		destroy_unneeded(spool);
	}
	(void)pthread_mutex_lock(&spool->epoch_lock);
	if (!busy)
		spool->epochs_busy = 0;
	rc = spool->epoch != NULL ? RCO_OK : spool->epoch_rc;
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	return rc;
}
