/* SPDX-License-Identifier: MIT */
/* What the host registers: files of its own recorder, and what was derived from them. */
#include "calls.h"
#include "core.h"
#include "facts.h"
#include "found.h"
#include "journal.h"
#include "work.h"

#include "../base/trust.h"

#include <string.h>

static int check_artifact(uint32_t kind, const char *location, const char *version)
{
	if (kind != RCO_KIND_AUDIO && kind != RCO_KIND_TRANSCRIPT && kind != RCO_KIND_ANALYTICS &&
	    kind != RCO_KIND_METADATA)
		return rco__fail(RCO_E_INVALID, "kind is one of RCO_KIND_...");
	if (location == NULL || location[0] == '\0' || strlen(location) > RCO__KEY_MAX)
		return rco__fail(RCO_E_INVALID, "the location of an artifact is 1 to %d bytes", (int)RCO__KEY_MAX);
	if (version != NULL && strlen(version) > RCO__VERSION_MAX)
		return rco__fail(RCO_E_INVALID, "the version of an artifact is at most %d bytes",
		                 (int)RCO__VERSION_MAX);
	return RCO_OK;
}

/* Lock held: something to erase turned up after all. What was said about the erasure no longer holds. */
static void reopen(rco_session *s)
{
	s->control.receipt.facts |= RCO_FACT_RECORDED;
	s->control.receipt.facts &= ~(uint32_t)(RCO_FACT_ERASED | RCO_FACT_VERIFIED | RCO_FACT_SWEPT);
	s->control.receipt.erased_us = s->control.receipt.verified_us = 0;
	s->control.erase_by_mono_us =
		rco__mono_us(&s->engine->env) + (int64_t)s->engine->cfg.erase_deadline_ms * 1000;
}

/*
 * Of a file that the built-in directory is to remove: where it is, as the way there leads now. One who puts a link
 * on that way later changes nothing but that it is refused to follow it. What cannot be a file of audio is
 * refused, for it could never be erased. That the file, or its folder, cannot be looked at yet is no reason to
 * forget it.
 */
static int find_place(rco_session *s, rco__copy *copy)
{
	const rco__fs *fs = s->engine->env.fs;
	int own = s->engine->deletion.remove == rco_directory_deletion_ops()->remove, kind, rc;
	char place[RCO__PLACE_CAP] = "";

	/* Said now, and not first when it cannot be erased. */
	if (own && copy->key[0] != '/')
		return rco__fail(RCO_E_INVALID,
		                 "%s is not an absolute path, which is what the directory backend removes",
		                 copy->key);
	if (own && copy->key[strlen(copy->key) - 1] == '/')
		return rco__fail(RCO_E_INVALID,
		                 "%s ends in \"/\", as a folder does; register the files themselves", copy->key);
	rc = fs->resolve(fs->ctx, copy->key, RCO__FS_PLACE, place, sizeof place);
	if (rc == RCO_OK)
		rc = rco__fs_look(fs, place, &copy->stamp);
	/* Where that leads may change without a link. */
	if (copy->key[0] == '/' && rco__goes_up(place[0] != '\0' ? place : copy->key))
		return rco__fail(
			RCO_E_INVALID,
			"%s leads up from a folder that is not there: register it by a path without \"..\"",
			copy->key);
	if (own) {
		int never = rco__erasable_check(copy->key, place[0] != '\0' ? place : copy->key, rc);

		if (never != RCO_OK)
			return never;
	}
	if (rc != RCO_OK)
		return RCO_OK;
	/* Of a store of the host's the location need not be a path, and one that is not there is none of ours. */
	if (copy->key[0] == '/' || copy->stamp.kind != RCO__FS_NONE)
		rc = rco__own_file_check(s, copy->key, place, &copy->stamp);
	if (rc != RCO_OK || copy->key[0] != '/' || (!own && s->engine->directory == NULL))
		return rc;
	kind = copy->stamp.kind;
	if (own && kind != RCO__FS_NONE && !rco__fs_regular(kind))
		return rco__fail(RCO_E_INVALID, "%s is %s; register the files themselves", copy->key,
		                 kind == RCO__FS_LINK     ? "a symbolic link"
		                 : kind == RCO__FS_FOLDER ? "a folder"
		                                          : "not a regular file");
	if (strcmp(place, copy->key) == 0)
		return RCO_OK;
	/* A link could make us remove a file that its maker may not touch. */
	rc = rco__trust_links(copy->key);
	return rc != RCO_OK ? rc : rco__copy_place(&s->engine->env, copy, place);
}

static int register_artifact(rco_session *s, uint32_t kind, const char *location, const char *version,
                             int nonblock)
{
	const rco__env *env = &s->engine->env;
	rco__copy *copy = rco__copy_new(env, kind, RCO_STORE_HOST, location, version != NULL ? version : "");
	uint64_t lsn = 0;
	uint32_t latch;
	int rc = RCO_OK;

	if (copy == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for an artifact of call %s", s->call_id);
	rc = find_place(s, copy);
	if (rc != RCO_OK) {
		rco__copy_free(env, copy);
		return rc;
	}
	(void)pthread_mutex_lock(&s->engine->claims_lock);
	rc = rco__claim_take(s, copy);
	if (rc != RCO_OK) {
		(void)pthread_mutex_unlock(&s->engine->claims_lock);
		rco__copy_free(env, copy);
		return rc;
	}
	(void)pthread_mutex_lock(&s->lock);
	latch = atomic_load(&s->latch);
	if (!(latch & RCO__LATCH_OPTED_OUT) && (latch & RCO__LATCH_CLOSED)) {
		rc = rco__fail(RCO_E_ENDED,
		               "call %s has ended and was not opted out; nothing will erase this any more",
		               s->call_id);
		goto out;
	}
	/* Known to the next process before the host is told: neither crash nor power cut may lose a copy. */
	rc = rco__journal_copy(s, RCO__CALL_ARTIFACT, copy, &lsn);
	if (rc != RCO_OK)
		goto out;
	if (latch & RCO__LATCH_OPTED_OUT) {
		copy->flags |= RCO__COPY_LATE;
		if (rco__copy_erasable(s, copy))
			reopen(s);
		atomic_store(&s->work.late_news, 1);
	}
	rco__copy_add(s, copy);
	if (latch & RCO__LATCH_OPTED_OUT)
		rco__registered_look(s);
out:
	(void)pthread_mutex_unlock(&s->lock);
	if (rc == RCO_OK)
		rco__claim_book(copy, &lsn);
	else
		rco__claim_undo(copy);
	(void)pthread_mutex_unlock(&s->engine->claims_lock);
	if (rc != RCO_OK)
		rco__copy_free(env, copy);
	if (rc == RCO_OK && nonblock) {
		rco__request_save(s, RCO_REQUEST_ARTIFACT);
		rc = RCO_PENDING;
	}
	if (rc == RCO_OK && rco__ledger_sync(s->engine->calls, lsn) != RCO_OK)
		rc = RCO_PENDING; /* it is registered */
	rco__session_wake(s);
	return rc;
}

int rco__session_artifact(rco_session *s, uint32_t kind, const char *location, const char *version, int nonblock)
{
	int rc = check_artifact(kind, location, version);

	return rc == RCO_OK ? register_artifact(s, kind, location, version, nonblock) : rc;
}

int rco_session_register_artifact(rco_session *session, uint32_t kind, const char *location, const char *version)
{
	int rc = rco__session_check(session);

	return rc == RCO_OK ? rco__session_artifact(session, kind, location, version, session->nonblock) : rc;
}

int rco_engine_register_artifact(rco_engine *engine, const char *call_id, uint32_t kind, const char *location,
                                 const char *version)
{
	int rc = rco__engine_check(engine);
	rco_session *s;

	if (rc == RCO_OK)
		rc = rco__call_id_check(call_id);
	if (rc == RCO_OK)
		rc = check_artifact(kind, location, version);
	if (rc != RCO_OK)
		return rc;
	rc = rco__past_revive(engine, call_id, &s);
	if (rc != RCO_OK)
		return rc;
	rc = register_artifact(s, kind, location, version, 0);
	rco__session_unref(s);
	return rc;
}
