/* SPDX-License-Identifier: MIT */
/*
 * An object store behind rco_upload_ops and rco_deletion_ops that behaves as S3-like stores do on bad days, and
 * the careful client in front of it. One thread; time is a clock that is handed in.
 *
 * The store keeps versions: a removal of a key without a version only hides it behind a marker. Uploads of several
 * parts are visible when completed. A request may arrive at once, later, or never, and its answer may come at
 * once, later, as an error though the thing was done, without a confirmation, or never. A part on its way when its
 * upload is aborted lands all the same and is listed, as the manual of S3 warns, until the upload is aborted
 * again.
 *
 * In a store that loses (w_store_loses()) a commit that is under way is not ended by an abort of its upload: both
 * are answered as if all were well, the file is listed with its size, and its bytes are gone. That is what Ceph 16
 * does.
 *
 * The bound: what was sent lands within W_STORE_LATE_US or never.
 *
 * The client confirms only what it knows: an abort is confirmed when no part is listed and none that it sent is on
 * its way; a removal when no version and no marker is listed. After a crash the next client knows nothing of what
 * was on its way.
 */
#ifndef TESTS_WORLD_STORE_H
#define TESTS_WORLD_STORE_H

#include "disk.h"

#include <recoptout/storage.h>

#define W_STORE_LATE_US INT64_C(20000000)

typedef struct w_store w_store;

/* How it behaves: percent of requests that go that way. All 0: prompt and honest. */
typedef struct w_manners {
	uint32_t slow;        /* PENDING, done and answered later */
	uint32_t lost_answer; /* done; an error, or no answer at all */
	uint32_t error;       /* nothing done */
	uint32_t unconfirmed; /* success without a confirmation, done or not */
	uint32_t late;        /* no answer in time; lands much later, or never */
} w_manners;

/* Each change is entered in the disk's log. */
w_store *w_store_new(w_disk *disk, uint64_t seed, const w_manners *manners);
void w_store_free(w_store *store);
const rco_upload_ops *w_store_upload_ops(void); /* user_data: the w_store */
const rco_deletion_ops *w_store_deletion_ops(void);
/* From now on an abort beside a commit loses the bytes of the file. */
void w_store_loses(w_store *store);
/* From now on it behaves. What is on its way stays on its way. */
void w_store_behave(w_store *store);

/* ---- time ---- */

/* What is due by `now` lands, and is answered to `engine` (NULL: there is nobody). Returns how many things
 * happened. */
size_t w_store_run(w_store *store, rco_engine *engine, int64_t now_us);
/* When the next thing is due, INT64_MAX if nothing is. */
int64_t w_store_due(const w_store *store);
/* The engine is gone: nobody waits for answers; what was sent may still land. */
void w_store_forget_client(w_store *store);

/* ---- faults: the n-th slot called from now on, from 1 ---- */

enum {
	W_STORE_NONE = 0,
	W_STORE_ERROR,            /* nothing is done, RCO_E_IO */
	W_STORE_DONE_ERROR,       /* it is done, and RCO_E_IO all the same */
	W_STORE_UNCONFIRMED,      /* nothing is done, RCO_OK without a confirmation */
	W_STORE_DONE_UNCONFIRMED, /* done, RCO_OK without a confirmation */
	W_STORE_SILENT,           /* nothing is done, PENDING, never answered */
	W_STORE_DONE_SILENT,      /* done, PENDING, never answered */
	W_STORE_LANDS_LATE,       /* PENDING, never answered; done after the time-out of the engine */
	W_STORE_FAULTS
};

void w_store_fault(w_store *store, int which, uint64_t nth, int fault);
int w_store_struck(const w_store *store, int which);
uint64_t w_store_calls(const w_store *store);

/* ---- images ---- */

/* Requests on their way at a position of the log: those of which a crash leaves it open whether they land. */
size_t w_store_in_flight(const w_store *store, size_t position);
/* The store as it was; of what was on its way the i-th (from the oldest) lands afterwards if bit i of `late` is
 * set, and is lost otherwise; from the 64th on as the last bit says. */
w_store *w_store_image(const w_store *store, size_t position, uint64_t late, w_disk *disk);
uint64_t w_store_hash(const w_store *store);

/* ---- looking ---- */

/* Requests that arrived though nobody waited for them any more: they can make true what was said untrue. */
uint64_t w_store_strays(const w_store *store);

/* Put an object there, as a host's recorder would. */
void w_store_put(w_store *store, const char *key, const void *data, size_t size);
/* The current version; NULL if there is none, or its bytes were lost. Valid until the next change. */
const uint8_t *w_store_get(const w_store *store, const char *key, size_t *size);

typedef struct w_store_seen {
	size_t versions;  /* with data */
	size_t different; /* of those: not the same bytes as the newest */
	size_t hollow;    /* of those: their bytes were lost */
	size_t markers;
	size_t uploads, parts;
	size_t in_flight; /* bytes on their way that may still land */
} w_store_seen;

/* All that is there of keys that begin with `prefix` and end with `suffix`. */
w_store_seen w_store_look(const w_store *store, const char *prefix, const char *suffix);
/* Call fn for every piece of data that is there: versions and parts. */
void w_store_each(const w_store *store,
                  void (*fn)(const char *key, const uint8_t *data, size_t size, void *user_data), void *user_data);
/* Called for each request that the engine makes: slot is "begin", "put", ... */
void w_store_watch(w_store *store, void (*fn)(const char *slot, const rco_object *object, void *user_data),
                   void *user_data);
/* Requests and changes from one position to another, for a failed test; free() it. */
char *w_store_story(const w_store *store, size_t from, size_t to);

#endif
