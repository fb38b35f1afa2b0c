/* SPDX-License-Identifier: MIT */
/*
 * Names that come again. A recorder may write one call's file where an earlier call's was, and what is erased for
 * the one would take the other's with it. So a name belongs to one call at a time, by what was registered: a call
 * that may still have a file there keeps it, and who is done with it gives way to the next. What nobody registered
 * stays the earlier call's: a late copy.
 */
#include "calls.h"
#include "facts.h"
#include "journal.h"
#include "work.h"

#include <string.h>

struct rco__place_claims {
	rco__copy *first; /* one for each registration, all versions of it */
	char place[];
};

static const char *place_of(const rco__copy *copy)
{
	return copy->place != NULL ? copy->place : copy->key;
}

static int link_copy(rco_session *s, rco__copy *copy)
{
	const char *place = place_of(copy);
	size_t length = strlen(place);
	rco__place_claims *claims = rco__map_get(&s->engine->claims, place, length);

	if (claims == NULL) {
		claims = rco__zalloc(&s->engine->env, 1, sizeof *claims + length + 1);
		if (claims != NULL)
			memcpy(claims->place, place, length + 1);
		if (claims == NULL || rco__map_set(&s->engine->claims, claims->place, length, claims) != RCO_OK) {
			rco__release(&s->engine->env, claims);
			return rco__fail(RCO_E_NO_MEMORY, "no memory for an artifact of call %s", s->call_id);
		}
	}
	copy->owner = s;
	copy->claims = claims;
	copy->claims_next = claims->first;
	claims->first = copy;
	return RCO_OK;
}

static void unlink_copy(rco_engine *engine, rco__copy *copy)
{
	rco__place_claims *claims = copy->claims;
	rco__copy **at;

	if (claims == NULL)
		return;
	for (at = &claims->first; *at != copy;)
		at = &(*at)->claims_next;
	*at = copy->claims_next;
	copy->claims = NULL;
	if (claims->first == NULL) {
		(void)rco__map_remove(&engine->claims, claims->place, strlen(claims->place));
		rco__release(&engine->env, claims);
	}
}

/*
 * The directory removes it, or could, where a table of the host's declines. Only of that it can be seen whether it
 * is still the file that it was, and it has one version, whichever is named.
 */
static int by_directory(const rco_session *s, const rco__copy *copy)
{
	return copy->key[0] == '/' && (s->engine->directory != NULL ||
	                               s->engine->deletion.remove == rco_directory_deletion_ops()->remove);
}

/* The same object, or one of them stands for all versions. */
static int overlap(const rco__copy *a, const rco__copy *b)
{
	return by_directory(b->owner, b) || a->version[0] == '\0' || b->version[0] == '\0' ||
	       strcmp(a->version, b->version) == 0;
}

/* Of another call, and one of the two is to be erased if its caller objects. */
static int concerns(const rco__copy *c, const rco__copy *copy)
{
	const rco_session *s = copy->owner;

	return c != copy && memcmp(c->owner->recording_id, s->recording_id, 16) != 0 && overlap(c, copy) &&
	       ((c->kind | copy->kind) & s->engine->cfg.erase_kinds) != 0;
}

/* The call that an earlier process left, and that the host goes on with under its id: nobody can object to that
 * one any more, for the id stands for this one. */
static int goes_on_as(const rco_session *before, const rco_session *s)
{
	return before->recovered && !rco__opted_out(before) && strcmp(before->call_id, s->call_id) == 0;
}

/*
 * The same, opted out, while nobody knows what its recorder does: the host goes on with it to stop that recorder,
 * and registers its files once more. Both are to erase them, so that neither waits for the other.
 */
static int is_stopped_as(const rco_session *before, const rco_session *s)
{
	return rco__opted_out(before) && rco__recorder_lost(before) && strcmp(before->call_id, s->call_id) == 0;
}

/* Its session's lock held: may what is there be its call's, now or later? */
static int in_use(const rco__copy *c, const rco__copy *copy)
{
	const rco_session *s = c->owner;
	uint32_t phase = atomic_load(&s->work.phase);

	if (c->yielded != 0 || goes_on_as(s, copy->owner))
		return 0;
	if (rco__opted_out(s) && rco__copy_erasable(s, c))
		return !(c->flags & RCO__COPY_GONE);
	if (phase != RCO__PHASE_DONE && phase != RCO__PHASE_ERASED)
		return 1;
	return !by_directory(s, c) || rco__fs_same(&c->stamp, &copy->stamp); /* kept */
}

static void give_back(rco__copy *copy)
{
	rco__copy *c;

	for (c = copy->claims->first; c != NULL; c = c->claims_next) {
		(void)pthread_mutex_lock(&c->owner->lock);
		if (c->yielded == copy->claim)
			c->yielded = 0;
		(void)pthread_mutex_unlock(&c->owner->lock);
	}
}

int rco__claim_take(rco_session *s, rco__copy *copy)
{
	rco_engine *engine = s->engine;
	uint64_t now = (uint64_t)rco__wall_us(&engine->env);
	rco__copy *c;
	int rc = link_copy(s, copy), taken = 0;

	if (rc != RCO_OK)
		return rc;
	engine->last_claim = now > engine->last_claim ? now : engine->last_claim + 1;
	copy->claim = engine->last_claim;
	/* In one with the look: from then on the other call's second look finds nothing of its own there. */
	for (c = copy->claims->first; c != NULL && !taken; c = c->claims_next) {
		if (!concerns(c, copy) || is_stopped_as(c->owner, s))
			continue;
		(void)pthread_mutex_lock(&c->owner->lock);
		taken = in_use(c, copy);
		if (!taken && c->yielded == 0)
			c->yielded = copy->claim;
		if (taken)
			rc = rco__fail(
				RCO_E_BUSY,
				"call %s registered this name and may still have its file there: give each call "
				"a name of its own, or register when that one is erased, or is kept and was "
				"moved: %s",
				c->owner->call_id, copy->key);
		(void)pthread_mutex_unlock(&c->owner->lock);
	}
	if (taken)
		rco__claim_undo(copy);
	return rc;
}

void rco__claim_undo(rco__copy *copy)
{
	give_back(copy);
	unlink_copy(copy->owner->engine, copy);
}

/* Lock held: the next process knows nothing of it that it could look for. */
static int closed(const rco_session *s)
{
	return s->work.closed || (atomic_load(&s->work.phase) == RCO__PHASE_DONE && !s->control.hold);
}

void rco__claim_book(rco__copy *copy, uint64_t *lsn)
{
	rco__copy *c;

	for (c = copy->claims->first; c != NULL; c = c->claims_next) {
		rco_session *s = c->owner;
		uint64_t own;

		(void)pthread_mutex_lock(&s->lock);
		/* Without memory for the entry, the next process takes the file for a late copy. */
		if (c->yielded == copy->claim && !closed(s) && rco__journal_yielded(s, c, &own) == RCO_OK)
			*lsn = own;
		(void)pthread_mutex_unlock(&s->lock);
	}
}

int rco__claim_found(rco_session *s, rco__copy *copy)
{
	int rc;

	(void)pthread_mutex_lock(&s->engine->claims_lock);
	rc = link_copy(s, copy);
	if (copy->claim > s->engine->last_claim)
		s->engine->last_claim = copy->claim;
	(void)pthread_mutex_unlock(&s->engine->claims_lock);
	return rc;
}

void rco__claim_drop(rco_engine *engine, rco__copy *copy)
{
	(void)pthread_mutex_lock(&engine->claims_lock);
	unlink_copy(engine, copy);
	(void)pthread_mutex_unlock(&engine->claims_lock);
}

void rco__claims_kept(rco_session *s)
{
	const rco__fs *fs = s->engine->env.fs;
	rco__fs_stamp stamp;
	rco__copy *c = NULL;

	while ((c = rco__copy_next(s, c)) != NULL) {
		if (c->store != RCO_STORE_HOST || !by_directory(s, c) ||
		    rco__fs_look(fs, place_of(c), &stamp) != RCO_OK)
			continue;
		(void)pthread_mutex_lock(&s->lock);
		c->stamp = stamp;
		(void)pthread_mutex_unlock(&s->lock);
	}
}
