/* SPDX-License-Identifier: MIT */
/*
 * Which key epochs there are, how many recordings need each, and the keys of
 * recordings, wrapped under them. None of it waits: the provider is asked by
 * spool_rotate.c.
 */
#include "spool_internal.h"

#include <sodium.h>
#include <string.h>

enum { NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES };

_Static_assert(RCO__SPOOL_WRAPPED == NONCE + 32 + crypto_aead_xchacha20poly1305_ietf_ABYTES,
               "a wrapped key is nonce, key and seal");

static const char label[] = "rco-key-v2";

enum { BOUND = sizeof label - 1 + 16 + 8 };

/* ---- the list; epoch_lock held, or no other thread knows the spool ---- */

rco__epoch *rco__epoch_find(const rco_spool *spool, uint64_t number)
{
	rco__epoch *e = spool->epochs;

	while (e != NULL && e->number != number)
		e = e->next;
	return e;
}

rco__epoch *rco__epoch_add(rco_spool *spool, uint64_t number, int state)
{
	rco__epoch *e = rco__zalloc(&spool->env, 1, sizeof *e);

	if (e == NULL) {
		(void)rco__fail(RCO_E_NO_MEMORY, "no memory for a key epoch");
		return NULL;
	}
	e->number = number;
	e->state = state;
	e->next = spool->epochs;
	spool->epochs = e;
	return e;
}

void rco__epoch_remove(rco_spool *spool, rco__epoch *epoch)
{
	rco__epoch **at = &spool->epochs;

	while (*at != epoch)
		at = &(*at)->next;
	*at = epoch->next;
	rco__secmem_put(spool->secrets, epoch->key);
	rco__release(&spool->env, epoch);
}

void rco__epoch_settle(rco_spool *spool, rco__epoch *epoch)
{
	if (epoch == spool->epoch || epoch->live > 0)
		return;
	rco__secmem_put(spool->secrets, epoch->key);
	epoch->key = NULL;
}

void rco__epochs_close(rco_spool *spool)
{
	while (spool->epochs != NULL)
		rco__epoch_remove(spool, spool->epochs);
	spool->epoch = NULL;
}

/* ---- recordings ---- */

int rco__epoch_found(rco_spool *spool, uint64_t number)
{
	rco__epoch *e = rco__epoch_find(spool, number);

	if (e == NULL) /* until its file is found */
		e = rco__epoch_add(spool, number, RCO__EPOCH_LOST);
	if (e == NULL)
		return RCO_E_NO_MEMORY;
	e->live++;
	return RCO_OK;
}

static void bind(const uint8_t id[16], uint64_t number, uint8_t bound[BOUND])
{
	memcpy(bound, label, sizeof label - 1);
	memcpy(bound + sizeof label - 1, id, 16);
	rco__put64(bound + sizeof label - 1 + 16, number);
}

int rco__epoch_wrap(rco_spool *spool, const uint8_t id[16], const uint8_t key[32],
                    uint8_t wrapped[RCO__SPOOL_WRAPPED], uint64_t *number)
{
	uint8_t bound[BOUND];
	int rc = RCO_OK;

	randombytes_buf(wrapped, NONCE);
	(void)pthread_mutex_lock(&spool->epoch_lock);
	if (spool->epoch == NULL) {
		rc = spool->epoch_rc;
	} else {
		rco__epoch *e = spool->epoch;

		bind(id, e->number, bound);
		(void)crypto_aead_xchacha20poly1305_ietf_encrypt(wrapped + NONCE, NULL, key, 32, bound, BOUND,
		                                                 NULL, wrapped, e->key);
		*number = e->number;
		e->live++;
	}
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	return rc == RCO_OK ? rc : rco__fail(rc, "the key provider has made no key epoch yet; it is asked again");
}

int rco__epoch_unwrap(rco_spool *spool, uint64_t number, const uint8_t id[16],
                      const uint8_t wrapped[RCO__SPOOL_WRAPPED], uint8_t key[32])
{
	uint8_t bound[BOUND];
	int rc = RCO_E_KEY, altered = 0;
	rco__epoch *e;

	bind(id, number, bound);
	(void)pthread_mutex_lock(&spool->epoch_lock);
	e = rco__epoch_find(spool, number);
	if (e != NULL && e->state == RCO__EPOCH_WAITING) {
		rc = e->rc;
	} else if (e != NULL && e->key != NULL) {
		altered = crypto_aead_xchacha20poly1305_ietf_decrypt(key, NULL, NULL, wrapped + NONCE,
		                                                     RCO__SPOOL_WRAPPED - NONCE, bound, BOUND,
		                                                     wrapped, e->key) != 0;
		rc = altered ? RCO_E_KEY : RCO_OK;
	}
	(void)pthread_mutex_unlock(&spool->epoch_lock);
	if (altered)
		return rco__fail(rc, "its wrapped key was altered, or is of another recording or epoch");
	if (rc == RCO_E_KEY)
		return rco__fail(rc, "the key of epoch %016llx is lost", (unsigned long long)number);
	return rc == RCO_OK ? rc
	                    : rco__fail(rc,
	                                "the key provider has not unwrapped the key of epoch %016llx; it is "
	                                "asked again",
	                                (unsigned long long)number);
}

void rco__epoch_leave(rco_spool *spool, uint64_t number)
{
	rco__epoch *e;

	(void)pthread_mutex_lock(&spool->epoch_lock);
	e = rco__epoch_find(spool, number); /* is there as long as a recording is */
	e->live--;
	rco__epoch_settle(spool, e);
	(void)pthread_mutex_unlock(&spool->epoch_lock);
}
