/* SPDX-License-Identifier: MIT */
/* Obligations of an upload table that does what it is asked. */
#include "kit.h"

#include <string.h>

enum { ROUNDS = 5 };

static void hidden(rco__kit_ctx *c)
{
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_expect_hidden(c, &it);
	rco__kit_begin(c, &it);
	rco__kit_expect_hidden(c, &it);
	rco__kit_put(c, &it, 1, 20, 0, 3000);
	rco__kit_expect_hidden(c, &it);
	rco__kit_put(c, &it, 2, 20, 3000, 500);
	rco__kit_expect_hidden(c, &it);
	rco__kit_commit(c, &it);
	rco__kit_expect_file(c, &it, 20, 3500);
	rco__kit_remove(c, &it, "");
}

static void counts(rco__kit_ctx *c)
{
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_expect_count(c, &it, 0);
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 20, 0, 3000);
	rco__kit_expect_count(c, &it, 1);
	rco__kit_commit(c, &it);
	rco__kit_expect_count(c, &it, 1);
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 21, 0, 300);
	rco__kit_expect_count(c, &it, 2);
	rco__kit_abort(c, &it);
	rco__kit_expect_count(c, &it, 1);
	rco__kit_remove(c, &it, "");
}

static void put_again(rco__kit_ctx *c)
{
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 21, 0, 2000);
	rco__kit_put(c, &it, 1, 21, 0, 2000);
	rco__kit_put(c, &it, 2, 21, 2000, 2000);
	rco__kit_put(c, &it, 3, 21, 4000, 100);
	rco__kit_put(c, &it, 3, 21, 4000, 100);
	rco__kit_commit(c, &it);
	rco__kit_expect_file(c, &it, 21, 4100);
	rco__kit_expect_count(c, &it, 1);
	rco__kit_remove(c, &it, "");
}

/* The last part takes another size; an earlier one may be refused, but what is confirmed has to be so. */
static void put_other_size(rco__kit_ctx *c)
{
	rco__kit_item it;
	size_t first = 1000;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 37, 0, first);
	rco__kit_put(c, &it, 2, 99, 1000, 2500);
	rco__kit_put(c, &it, 2, 37, 1000, 700);
	rco__kit_commit(c, &it);
	rco__kit_expect_file(c, &it, 37, 1700);
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 38, 0, first);
	rco__kit_put(c, &it, 2, 38, first, 600);
	if (rco__kit_try_put(c, &it, 1, 38, 0, 400) == RCO_OK) {
		first = 400;
		rco__kit_put(c, &it, 2, 38, first, 600);
	}
	rco__kit_commit(c, &it);
	rco__kit_expect_file(c, &it, 38, first + 600);
	rco__kit_remove(c, &it, "");
}

static void commit_again(rco__kit_ctx *c)
{
	char version[256];
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_METADATA);
	rco__kit_store(c, &it, 22);
	memcpy(version, it.version, sizeof version);
	rco__kit_commit(c, &it);
	if (strcmp(it.version, version) != 0)
		rco__kit_broken(c, "commit answered version \"%.60s\", and again \"%.60s\"", version, it.version);
	rco__kit_expect_file(c, &it, 22, 3500);
	rco__kit_expect_count(c, &it, 1);
	rco__kit_remove(c, &it, "");
}

/* An engine that has got no answer asks for the commit again, and for nothing else, until it has. */
static void commit_late(rco__kit_ctx *c)
{
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	it.size_bytes = 3500;
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 45, 0, 3500);
	rco__kit_give_up(c->run, rco__kit_start(c, rco__kit_new_file(c, RCO__KIT_COMMIT, &it)));
	rco__kit_give_up(c->run, rco__kit_start(c, rco__kit_new_file(c, RCO__KIT_COMMIT, &it)));
	rco__kit_commit(c, &it);
	rco__kit_expect_file(c, &it, 45, 3500);
	rco__kit_expect_count(c, &it, 1);
	rco__kit_remove(c, &it, "");
}

static void expect_lost(rco__kit_ctx *c, rco__kit_item *it, const char *what)
{
	int rc = rco__kit_try_commit(c, it);

	if (rc != RCO_E_NOT_FOUND)
		rco__kit_broken(c, "commit of an upload that was %s answered %s", what, rco_error_name(rc));
	rco__kit_expect_count(c, it, 0);
	rco__kit_expect_hidden(c, it);
}

/* Any other error is in doubt, and asked again for ever. */
static void commit_lost(rco__kit_ctx *c)
{
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	it.size_bytes = 3500;
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 46, 0, 3500);
	rco__kit_abort(c, &it);
	expect_lost(c, &it, "given up");
	if (c->run->own.deletion == NULL)
		return;
	rco__kit_store(c, &it, 46);
	rco__kit_remove(c, &it, "");
	expect_lost(c, &it, "committed and removed");
}

static void begin_again(rco__kit_ctx *c)
{
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 23, 0, 5000);
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 24, 0, 700);
	rco__kit_commit(c, &it);
	rco__kit_expect_file(c, &it, 24, 700);
	rco__kit_abort_all(c, &it); /* whatever the first try left */
	rco__kit_expect_count(c, &it, 1);
	rco__kit_expect_file(c, &it, 24, 700);
	rco__kit_remove(c, &it, "");
}

static void aborted(rco__kit_ctx *c)
{
	rco__kit_item it, never;

	rco__kit_item_make(c, &never, RCO_KIND_AUDIO);
	rco__kit_abort(c, &never);
	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 25, 0, 5000);
	rco__kit_abort(c, &it);
	rco__kit_expect_count(c, &it, 0);
	rco__kit_expect_hidden(c, &it);
	rco__kit_abort(c, &it);
	/* late work of an upload that was given up brings nothing back */
	rco__kit_expect(c, rco__kit_try_put(c, &it, 2, 25, 5000, 10) != RCO_OK,
	                "put was taken by an upload that was given up");
	rco__kit_expect_count(c, &it, 0);
	expect_lost(c, &it, "given up");
}

static void abort_no_id(rco__kit_ctx *c)
{
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 26, 0, 100);
	rco__kit_abort_all(c, &it); /* the answer was lost in a crash */
	rco__kit_expect_count(c, &it, 0);
	rco__kit_expect_hidden(c, &it);
}

static void abort_keeps_file(rco__kit_ctx *c)
{
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_store(c, &it, 27);
	rco__kit_abort(c, &it);
	rco__kit_expect_file(c, &it, 27, 3500);
	rco__kit_abort_all(c, &it);
	rco__kit_expect_file(c, &it, 27, 3500);
	rco__kit_expect_count(c, &it, 1);
	rco__kit_remove(c, &it, "");
}

/* A backend that answers later has one on its way when it is told to give the upload up. */
static void abort_beside_put(rco__kit_ctx *c)
{
	rco__kit_asked *put;
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 39, 0, 2000);
	put = rco__kit_start(c, rco__kit_new_part(c, &it, 2, 39, 2000, 100000));
	rco__kit_abort(c, &it);
	rco__kit_expect_count(c, &it, 0);
	rco__kit_done(rco__kit_finish(c, put));
	rco__kit_expect_count(c, &it, 0);
	rco__kit_expect_hidden(c, &it);
	rco__kit_store(c, &it, 40);
	rco__kit_expect_file(c, &it, 40, 3500);
	rco__kit_remove(c, &it, "");
}

/* An engine goes on from what it sees after abort: a file that is not there then must not come any more. */
static void abort_beside_commit(rco__kit_ctx *c)
{
	rco__kit_asked *commit;
	rco__kit_item it;
	int there;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 44, 0, 3500);
	commit = rco__kit_start(c, rco__kit_new_file(c, RCO__KIT_COMMIT, &it));
	rco__kit_abort(c, &it);
	there = rco__kit_whole_or_none(c, &it, 44, 3500);
	rco__kit_done(rco__kit_finish(c, commit));
	if (rco__kit_whole_or_none(c, &it, 44, 3500) != there)
		rco__kit_broken(c, "a file %s after abort was confirmed", there ? "went" : "came");
	rco__kit_expect_count(c, &it, (uint64_t)there);
	rco__kit_remove(c, &it, "");
}

/* The engine gives up what it got no answer of, and begins again. */
static void begin_late(rco__kit_ctx *c)
{
	rco__kit_asked *begin;
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	begin = rco__kit_start(c, rco__kit_new_file(c, RCO__KIT_BEGIN, &it));
	rco__kit_abort(c, &it);
	rco__kit_done(rco__kit_finish(c, begin));
	rco__kit_expect_count(c, &it, 0);
	rco__kit_give_up(c->run, rco__kit_start(c, rco__kit_new_file(c, RCO__KIT_BEGIN, &it)));
	rco__kit_abort(c, &it);
	rco__kit_store(c, &it, 41);
	rco__kit_expect_file(c, &it, 41, 3500);
	rco__kit_expect_count(c, &it, 1);
	rco__kit_remove(c, &it, "");
}

static void keys_apart(rco__kit_ctx *c)
{
	rco__kit_item one, two;

	rco__kit_item_make(c, &one, RCO_KIND_AUDIO);
	rco__kit_item_make(c, &two, RCO_KIND_AUDIO);
	rco__kit_begin(c, &one);
	rco__kit_begin(c, &two);
	rco__kit_put(c, &one, 1, 28, 0, 100);
	rco__kit_put(c, &two, 1, 29, 0, 200);
	rco__kit_abort(c, &one);
	rco__kit_put(c, &two, 2, 29, 200, 200);
	rco__kit_commit(c, &two);
	rco__kit_expect_file(c, &two, 29, 400);
	rco__kit_expect_count(c, &one, 0);
	rco__kit_remove(c, &one, "");
	rco__kit_expect_file(c, &two, 29, 400);
	rco__kit_remove(c, &two, "");
}

static void *work(void *arg)
{
	rco__kit_ctx *c = arg;
	rco__kit_item it;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
		rco__kit_store(c, &it, (uint64_t)i);
		rco__kit_expect_file(c, &it, (uint64_t)i, 3500);
		rco__kit_remove(c, &it, "");
	}
	return NULL;
}

static void threads(rco__kit_ctx *c)
{
	rco__kit_at_once(c, work);
}

const rco__kit_check rco__kit_upload_checks[] = {
	{"upload.hidden", "nothing is visible under a key before commit", hidden, RCO__KIT_UPLOAD},
	{"upload.list", "list counts files, versions and unfinished uploads", counts, RCO__KIT_UPLOAD},
	{"upload.put-again", "a part that is sent again is in the file once", put_again, RCO__KIT_UPLOAD},
	{"upload.put-size", "a part that is sent again with another size takes the place of the first",
         put_other_size, RCO__KIT_UPLOAD},
	{"upload.commit-again", "commit again confirms the same version", commit_again, RCO__KIT_UPLOAD},
	{"upload.commit-late", "commit again, while an answer to it is late, is made once", commit_late,
         RCO__KIT_UPLOAD},
	{"upload.commit-lost", "commit of an upload that is not there any more answers RCO_E_NOT_FOUND",
         commit_lost, RCO__KIT_UPLOAD},
	{"upload.begin-again", "begin again starts over", begin_again, RCO__KIT_UPLOAD},
	{"upload.begin-late", "a begin that is answered after abort leaves no upload behind", begin_late,
         RCO__KIT_UPLOAD},
	{"upload.abort", "abort leaves no part, and nothing comes back", aborted, RCO__KIT_UPLOAD},
	{"upload.abort-all", "abort without an upload id means every upload of the key", abort_no_id,
         RCO__KIT_UPLOAD},
	{"upload.abort-file", "abort keeps a file that was committed", abort_keeps_file, RCO__KIT_UPLOAD},
	{"upload.abort-put", "abort takes the part that is still on its way as well", abort_beside_put,
         RCO__KIT_UPLOAD},
	{"upload.abort-commit", "abort ends a commit that is under way: no file comes after it",
         abort_beside_commit, RCO__KIT_UPLOAD},
	{"upload.keys", "keys do not touch each other", keys_apart, RCO__KIT_UPLOAD},
	{"upload.threads", "files of several calls may be sent at the same time", threads, RCO__KIT_UPLOAD},
};

const size_t rco__kit_upload_count = sizeof rco__kit_upload_checks / sizeof rco__kit_upload_checks[0];
