/* SPDX-License-Identifier: MIT */
/* The table of recordings, how threads share syncs, and whose process it is. */
#include "spool_internal.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MARK_BYTES = 4096 };

/* ---- whose process it is ---- */

/* So that asking costs no system call. */
void rco__spool_mark(rco_spool *spool)
{
#ifdef MADV_WIPEONFORK
	void *page = mmap(NULL, MARK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	spool->owner = getpid();
	if (page == MAP_FAILED)
		return;
	if (madvise(page, MARK_BYTES, MADV_WIPEONFORK) != 0) {
		(void)munmap(page, MARK_BYTES);
		return;
	}
	spool->here = page;
	*spool->here = 1;
#else
	spool->owner = getpid();
#endif
}

void rco__spool_unmark(rco_spool *spool)
{
	if (spool->here != NULL)
		(void)munmap(spool->here, MARK_BYTES);
	spool->here = NULL;
}

/* Its keys read as zeros in a child: what it sealed anyone could open. */
int rco__spool_here(const rco_spool *spool)
{
	return spool->here != NULL ? *spool->here != 0 : spool->owner == getpid();
}

/* ---- sharing syncs ---- */

void rco__group_init(rco__group *group)
{
	(void)pthread_mutex_init(&group->lock, NULL);
	(void)pthread_mutex_init(&group->turn, NULL);
}

void rco__group_destroy(rco__group *group)
{
	(void)pthread_mutex_destroy(&group->lock);
	(void)pthread_mutex_destroy(&group->turn);
}

int rco__group_run(rco__group *group, int (*sync)(rco_spool *spool), rco_spool *spool)
{
	uint64_t mine, rounds, until;
	int rc = RCO_OK, shared;

	(void)pthread_mutex_lock(&group->lock);
	mine = ++group->asked;
	rounds = group->rounds;
	(void)pthread_mutex_unlock(&group->lock);
	(void)pthread_mutex_lock(&group->turn);
	(void)pthread_mutex_lock(&group->lock);
	shared = group->served >= mine;
	until = group->asked;
	(void)pthread_mutex_unlock(&group->lock);
	if (!shared)
		rc = sync(spool);
	(void)pthread_mutex_lock(&group->lock);
	if (!shared) {
		group->served = until;
		group->rounds++;
	}
	if (rc != RCO_OK) {
		group->failed = group->rounds;
		group->error = rc;
	} else if (group->failed > rounds) {
		/* One that was under way when this call came may have been about what this call is about. */
		rc = rco__fail(group->error, "a sync of %s failed", spool->path);
	}
	(void)pthread_mutex_unlock(&group->lock);
	(void)pthread_mutex_unlock(&group->turn);
	return rc;
}

/* ---- the table ---- */

static rco__spooled **bucket_of(rco_spool *spool, const uint8_t id[16])
{
	return &spool->buckets[rco__get32(id) % RCO__SPOOL_BUCKETS]; /* ids are random */
}

/* table_lock held. Where the pointer to it is, or would be. */
static rco__spooled **place(rco_spool *spool, const uint8_t id[16])
{
	rco__spooled **at = bucket_of(spool, id);

	while (*at != NULL && memcmp((*at)->id, id, 16) != 0)
		at = &(*at)->next;
	return at;
}

rco__spooled *rco__spooled_find(rco_spool *spool, const uint8_t id[16])
{
	return *place(spool, id);
}

rco__spooled *rco__spooled_get(rco_spool *spool, const uint8_t id[16])
{
	rco__spooled *r;

	(void)pthread_mutex_lock(&spool->table_lock);
	r = *place(spool, id);
	if (r != NULL)
		r->refs++;
	(void)pthread_mutex_unlock(&spool->table_lock);
	return r;
}

void rco__spooled_free(rco_spool *spool, rco__spooled *r)
{
	uint32_t i;

	rco__secmem_put(spool->secrets, r->key);
	for (i = 0; i < RCO_MAX_LEGS; i++)
		rco__leg_free(spool, &r->legs[i]);
	rco__release(&spool->env, r->strays);
	(void)pthread_mutex_destroy(&r->lock);
	(void)pthread_mutex_destroy(&r->key_lock);
	rco_memzero(r, sizeof *r);
	rco__release(&spool->env, r);
}

void rco__spooled_put(rco_spool *spool, rco__spooled *r)
{
	/* Nobody can come by a reference to what is out of the table, and the table has one to what is in it. */
	if (atomic_fetch_sub(&r->refs, 1) == 1)
		rco__spooled_free(spool, r);
}

rco__spooled *rco__spooled_new(rco_spool *spool, const uint8_t id[16])
{
	rco__spooled *r = rco__zalloc(&spool->env, 1, sizeof *r);

	if (r == NULL) {
		(void)rco__fail(RCO_E_NO_MEMORY, "no memory for a recording");
		return NULL;
	}
	(void)pthread_mutex_init(&r->lock, NULL);
	(void)pthread_mutex_init(&r->key_lock, NULL);
	memcpy(r->id, id, 16);
	r->refs = 1; /* the table's */
	return r;
}

/* In place of none: NULL, or the one that is there already, with a reference. */
rco__spooled *rco__spooled_insert(rco_spool *spool, rco__spooled *r)
{
	rco__spooled **at, *other;

	(void)pthread_mutex_lock(&spool->table_lock);
	at = place(spool, r->id);
	other = *at;
	if (other == NULL) {
		*at = r;
		spool->n_recordings++;
		r->refs++; /* the caller's */
	} else {
		other->refs++;
	}
	(void)pthread_mutex_unlock(&spool->table_lock);
	return other;
}

/* Recording's lock held: who waits for it finds it gone. The caller has a reference of its own. */
void rco__spooled_take_out(rco_spool *spool, rco__spooled *r)
{
	rco__spooled **at;

	(void)pthread_mutex_lock(&spool->table_lock);
	at = place(spool, r->id);
	if (*at == r) {
		*at = r->next;
		r->refs--;
		spool->n_recordings--;
	}
	(void)pthread_mutex_unlock(&spool->table_lock);
	r->state = RCO__SPOOLED_GONE;
}

/* ---- the erased ---- */

void rco__spooled_forget(rco_spool *spool, rco__spooled *r)
{
	uint32_t i;

	for (i = 0; i < RCO_MAX_LEGS; i++)
		if (rco__leg_forget(spool, &r->legs[i]) != RCO_OK)
			rco__log(&spool->env, RCO_LOG_WARN,
			         "segments of an erased recording may stay until the next start: %s",
			         rco_error_detail());
	rco__segments_drop_strays(spool, r->strays, r->n_strays);
	r->n_strays = 0;
}

void rco__spooled_reclaim(rco_spool *spool, rco__spooled *r)
{
	uint32_t i, blocks = 0;

	for (i = 0; i < RCO_MAX_LEGS; i++)
		blocks += r->legs[i].n_blocks;
	if (blocks == 0) {
		rco__spooled_forget(spool, r);
		return;
	}
	atomic_fetch_add(&r->refs, 1);
	(void)pthread_mutex_lock(&spool->graves_lock);
	r->next_grave = spool->graves;
	spool->graves = r;
	(void)pthread_mutex_unlock(&spool->graves_lock);
}

int rco__spooled_dig(rco_spool *spool, int64_t until_us)
{
	rco__spooled *r;
	int more;

	(void)pthread_mutex_lock(&spool->graves_lock);
	more = spool->graves != NULL;
	(void)pthread_mutex_unlock(&spool->graves_lock);
	while (more && rco__mono_us(&spool->env) <= until_us) {
		(void)pthread_mutex_lock(&spool->graves_lock);
		r = spool->graves;
		if (r != NULL)
			spool->graves = r->next_grave;
		more = r != NULL;
		(void)pthread_mutex_unlock(&spool->graves_lock);
		if (r == NULL)
			break;
		(void)pthread_mutex_lock(&r->lock);
		rco__spooled_forget(spool, r);
		(void)pthread_mutex_unlock(&r->lock);
		rco__spooled_put(spool, r);
	}
	return more;
}

/* All recordings, each with a reference. */
int rco__spooled_list(rco_spool *spool, rco__spooled ***list, size_t *count)
{
	rco__spooled *r;
	size_t i, n = 0;

	(void)pthread_mutex_lock(&spool->table_lock);
	*list = rco__alloc(&spool->env, (spool->n_recordings + 1) * sizeof **list);
	for (i = 0; *list != NULL && i < RCO__SPOOL_BUCKETS; i++)
		for (r = spool->buckets[i]; r != NULL; r = r->next) {
			r->refs++;
			(*list)[n++] = r;
		}
	(void)pthread_mutex_unlock(&spool->table_lock);
	*count = n;
	return *list != NULL ? RCO_OK : rco__fail(RCO_E_NO_MEMORY, "scan: no memory for a list of recordings");
}

void rco__spooled_free_all(rco_spool *spool)
{
	size_t i;

	for (i = 0; i < RCO__SPOOL_BUCKETS; i++) {
		while (spool->buckets[i] != NULL) {
			rco__spooled *r = spool->buckets[i];

			spool->buckets[i] = r->next;
			rco__spooled_free(spool, r);
		}
	}
}
