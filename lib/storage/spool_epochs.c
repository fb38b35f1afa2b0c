/* SPDX-License-Identifier: MIT */
/*
 * Which key epochs there are, and how many recordings need each. An epoch that
 * none needs is destroyed once a newer one is in use. Most lose their last
 * recording while they are still the newest, when no slot names them any more:
 * so the list is kept in a file of its own.
 */
#include "spool_internal.h"

#include <string.h>

#define EPOCHS_MAGIC "RCOEPO01"

enum {
	EPOCHS_VERSION = 1,
	EPOCHS_FIXED = 16, /* magic, version, 0, count */
	EPOCHS_MAX = 1000, /* in the file; years */
	EPOCHS_BYTES = EPOCHS_FIXED + 8 * EPOCHS_MAX + 4,
	RETRY_US = 60 * 1000000
};

static const uint64_t blind = UINT64_MAX;
static const char epochs_name[] = "epochs.rcoe";

/* epoch_lock held, here and below. Where the epoch is, or would be. */
static size_t place(const rco_spool *spool, uint64_t number)
{
	size_t i = spool->n_epochs;

	/* Nearly always the newest or the one before it. */
	while (i > 0 && spool->epochs[i - 1].number >= number)
		i--;
	return i;
}

static rco__epoch *find(const rco_spool *spool, uint64_t number)
{
	size_t i = place(spool, number);

	return i < spool->n_epochs && spool->epochs[i].number == number ? &spool->epochs[i] : NULL;
}

/* The epoch's entry, made if new. */
static int need(rco_spool *spool, uint64_t number, rco__epoch **out, int *is_new)
{
	size_t i = place(spool, number);

	*is_new = i == spool->n_epochs || spool->epochs[i].number != number;
	if (*is_new && spool->n_epochs == spool->cap_epochs) {
		size_t cap = spool->cap_epochs == 0 ? 8 : spool->cap_epochs * 2;
		rco__epoch *epochs = rco__resize(&spool->env, spool->epochs, cap * sizeof *epochs);

		if (epochs == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for key epochs");
		spool->epochs = epochs;
		spool->cap_epochs = cap;
	}
	if (*is_new) {
		memmove(&spool->epochs[i + 1], &spool->epochs[i], (spool->n_epochs - i) * sizeof *spool->epochs);
		memset(&spool->epochs[i], 0, sizeof *spool->epochs);
		spool->epochs[i].number = number;
		spool->n_epochs++;
	}
	*out = &spool->epochs[i];
	return RCO_OK;
}

static void save(rco_spool *spool)
{
	uint8_t buf[EPOCHS_BYTES] = {0};
	size_t count = spool->n_epochs < EPOCHS_MAX ? spool->n_epochs : EPOCHS_MAX, i;
	rco__cursor c;

	rco__cursor_writer(&c, buf, sizeof buf);
	rco__wbytes(&c, EPOCHS_MAGIC, 8);
	rco__w16(&c, EPOCHS_VERSION);
	rco__w16(&c, 0);
	rco__w32(&c, (uint32_t)count);
	for (i = 0; i < count; i++) /* the oldest first: they are the ones to be destroyed */
		rco__w64(&c, spool->epochs[i].number);
	rco__w32(&c, rco__crc32c(0, buf, rco__cursor_used(&c, buf)));
	/* Without it all works, but a restart may forget to destroy an epoch. */
	if (rco__fs_put(spool->env.fs, spool->path, epochs_name, buf, rco__cursor_used(&c, buf)) != RCO_OK)
		rco__log(&spool->env, RCO_LOG_WARN, "the list of key epochs cannot be written: %s",
		         rco_error_detail());
}

static int parse(rco_spool *spool, const uint8_t *buf, size_t size)
{
	rco__epoch *e;
	uint32_t count, i;
	int is_new, rc = RCO_OK;

	if (size < EPOCHS_FIXED + 4 || memcmp(buf, EPOCHS_MAGIC, 8) != 0 ||
	    rco__get32(buf + size - 4) != rco__crc32c(0, buf, size - 4))
		return RCO_E_CORRUPT;
	if (rco__get16(buf + 8) != EPOCHS_VERSION)
		return rco__fail(RCO_E_VERSION, "%s/%s was written by a newer library", spool->path, epochs_name);
	count = rco__get32(buf + 12);
	if (count > EPOCHS_MAX || size != EPOCHS_FIXED + 8 * (size_t)count + 4)
		return RCO_E_CORRUPT;
	for (i = 0; i < count && rc == RCO_OK; i++)
		rc = need(spool, rco__get64(buf + EPOCHS_FIXED + 8 * (size_t)i), &e, &is_new);
	return rc;
}

int rco__epochs_open(rco_spool *spool)
{
	uint8_t buf[EPOCHS_BYTES];
	size_t size = 0;
	int rc = rco__fs_get(spool->env.fs, spool->path, epochs_name, buf, sizeof buf, &size);

	if (rc == RCO_E_NOT_FOUND)
		return RCO_OK;
	if (rc == RCO_E_LIMIT)
		rc = RCO_E_CORRUPT;
	if (rc == RCO_OK)
		rc = parse(spool, buf, size);
	if (rc != RCO_E_CORRUPT)
		return rc;
	atomic_fetch_add(&spool->quarantined, 1);
	return rco__quarantine(&spool->env, spool->path, epochs_name, spool->quarantine,
	                       "it is no list of key epochs; old epoch keys may stay behind in the key provider");
}

int rco__epoch_found(rco_spool *spool, uint64_t number)
{
	rco__epoch *e;
	int is_new, rc;

	(void)pthread_mutex_lock(&spool->epoch_lock);
	rc = need(spool, number, &e, &is_new);
	if (rc == RCO_OK)
		e->live++;
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	return rc;
}

uint64_t rco__epoch_pin(rco_spool *spool)
{
	uint64_t pin = blind;

	(void)pthread_mutex_lock(&spool->epoch_lock);
	if (spool->n_epochs == 0) {
		spool->blind_pins++;
	} else {
		rco__epoch *e = &spool->epochs[spool->n_epochs - 1];

		e->pins++;
		pin = e->number;
	}
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	return pin;
}

void rco__epoch_unpin(rco_spool *spool, uint64_t pin)
{
	(void)pthread_mutex_lock(&spool->epoch_lock);
	if (pin == blind)
		spool->blind_pins--;
	else
		find(spool, pin)->pins--; /* pinned ones are never removed */
	(void)pthread_mutex_unlock(&spool->epoch_lock);
}

int rco__epoch_enter(rco_spool *spool, uint64_t number)
{
	rco__epoch *e;
	int is_new = 0, rc;

	(void)pthread_mutex_lock(&spool->epoch_lock);
	rc = need(spool, number, &e, &is_new);
	if (rc == RCO_OK)
		e->live++;
	if (rc == RCO_OK && is_new && spool->keys.destroy != NULL)
		save(spool);
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	return rc;
}

void rco__epoch_leave(rco_spool *spool, uint64_t number)
{
	rco__epoch *e;

	(void)pthread_mutex_lock(&spool->epoch_lock);
	e = find(spool, number);
	if (e != NULL)
		e->live--;
	(void)pthread_mutex_unlock(&spool->epoch_lock);
}

/* The next to destroy, from the oldest on. None behind a pinned one: what is being wrapped may come out as any. */
static rco__epoch *candidate(rco_spool *spool, int64_t now)
{
	size_t i;

	if (spool->blind_pins > 0)
		return NULL;
	for (i = 0; i + 1 < spool->n_epochs && spool->epochs[i].pins == 0; i++)
		if (spool->epochs[i].live == 0 && spool->epochs[i].retry_us <= now)
			return &spool->epochs[i];
	return NULL;
}

static void settle(rco_spool *spool, uint64_t number, int rc, int64_t now)
{
	rco__epoch *e = find(spool, number); /* the list may have grown meanwhile, and moved */

	if (rc == RCO_OK) {
		size_t i = (size_t)(e - spool->epochs);

		spool->n_epochs--;
		memmove(e, e + 1, (spool->n_epochs - i) * sizeof *e);
		return;
	}
	if (e->retry_us == 0)
		rco__log(&spool->env, RCO_LOG_WARN,
		         "key epoch %llu is not needed any more and cannot be destroyed, "
		         "trying again: %s",
		         (unsigned long long)number, rco_error_detail());
	e->retry_us = now + RETRY_US;
}

void rco__epochs_tidy(rco_spool *spool)
{
	int64_t now = rco__mono_us(&spool->env);
	rco__epoch *e;
	int changed = 0;

	if (spool->keys.destroy == NULL)
		return;
	(void)pthread_mutex_lock(&spool->epoch_lock);
	if (!spool->epochs_busy) {
		spool->epochs_busy = 1;
		while ((e = candidate(spool, now)) != NULL) {
			uint64_t number = e->number;
			int rc;

			(void)pthread_mutex_unlock(&spool->epoch_lock);
			rc = spool->keys.destroy(number, spool->keys_ud);
			(void)pthread_mutex_lock(&spool->epoch_lock);
			settle(spool, number, rc, now);
			changed |= rc == RCO_OK;
		}
		if (changed)
			save(spool);
		spool->epochs_busy = 0;
	}
	(void)pthread_mutex_unlock(&spool->epoch_lock);
}

void rco__epochs_close(rco_spool *spool)
{
	rco__release(&spool->env, spool->epochs);
	spool->epochs = NULL;
}
