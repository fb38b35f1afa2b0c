/* SPDX-License-Identifier: MIT */
/* Obligations when answers are late or lost, the process dies, or the store cannot be reached. */
#include "kit.h"

#include <string.h>

enum { PIECE = RCO__KIT_PIECE, WATCH_MS = 100, FAILING_MS = 300 };

/* ---- each operation given up, and asked again ---- */

static void buffer_hasty(rco__kit_ctx *c)
{
	uint8_t id[16], other[16];

	rco__kit_id(c, id);
	rco__kit_id(c, other);
	rco__kit_open(c, other, "o", 1);
	rco__kit_append(c, other, 0, 51, 0, PIECE);
	c->hasty = 1;
	rco__kit_open(c, id, "m", 1);
	rco__kit_append(c, id, 0, 50, 0, PIECE);
	rco__kit_append(c, id, 0, 50, PIECE, PIECE);
	rco__kit_append(c, id, 4, 52, 0, PIECE);
	rco__kit_flush(c);
	rco__kit_expect_sound(c, id, 0, 50, 2 * PIECE, 1000);
	rco__kit_expect_sound(c, id, 4, 52, PIECE, 1000);
	rco__kit_seal(c, id);
	rco__kit_erase(c, id);
	c->hasty = 0;
	rco__kit_expect_none(c, id, 1);
	rco__kit_expect_scanned(c, id, 0);
	rco__kit_expect_sound(c, other, 0, 51, PIECE, PIECE);
	rco__kit_append(c, other, 0, 51, PIECE, PIECE);
	rco__kit_expect_sound(c, other, 0, 51, 2 * PIECE, PIECE);
	rco__kit_erase(c, other);
}

static void upload_hasty(rco__kit_ctx *c)
{
	rco__kit_item it, other;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_item_make(c, &other, RCO_KIND_AUDIO);
	rco__kit_store(c, &other, 54);
	c->hasty = 1;
	rco__kit_store(c, &it, 53);
	rco__kit_expect_file(c, &it, 53, 3500);
	rco__kit_expect_count(c, &it, 1);
	rco__kit_abort_all(c, &it);
	c->hasty = 0;
	rco__kit_expect_file(c, &it, 53, 3500);
	rco__kit_expect_file(c, &other, 54, 3500);
	rco__kit_expect_count(c, &other, 1);
	rco__kit_remove(c, &it, "");
	rco__kit_remove(c, &other, "");
}

static void deletion_hasty(rco__kit_ctx *c)
{
	rco__kit_item it, other;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_item_make(c, &other, RCO_KIND_AUDIO);
	rco__kit_store(c, &it, 55);
	rco__kit_store(c, &other, 56);
	c->hasty = 1;
	rco__kit_remove(c, &it, "");
	rco__kit_expect_verified(c, &it, "", RCO_CONFIRM_GONE);
	rco__kit_expect_verified(c, &other, "", RCO_CONFIRM_PRESENT);
	c->hasty = 0;
	rco__kit_expect_hidden(c, &it);
	rco__kit_expect_file(c, &other, 56, 3500);
	rco__kit_remove(c, &other, "");
}

/* ---- the process dies ---- */

/* What a recording holds for certain, and what it may hold because a step was under way. */
typedef struct held {
	uint8_t id[16];
	uint64_t least[2], most[2];
	int opened, erased, maybe_erased;
} held;

enum { BUFFER_STEPS = 7, UPLOAD_STEPS = 4 };

static rco__kit_asked *buffer_step(rco__kit_ctx *c, const held *h, int step)
{
	rco__kit_asked *a;

	switch (step) {
	case 0:
		a = rco__kit_new(c, RCO__KIT_OPEN, 0);
		if (a != NULL) {
			memcpy(a->meta, "meta", 4);
			a->recording.meta_bytes = 4;
		}
		break;
	case 1:
		return rco__kit_new_piece(c, h->id, 0, 60, 0, PIECE);
	case 2:
		return rco__kit_new_piece(c, h->id, 1, 61, 0, PIECE);
	case 3:
		return rco__kit_new_piece(c, h->id, 0, 60, PIECE, PIECE);
	case 4:
		a = c->run->buffer.flush != NULL ? rco__kit_new(c, RCO__KIT_FLUSH, 0) : NULL;
		break;
	case 5:
		a = c->run->buffer.seal != NULL ? rco__kit_new(c, RCO__KIT_SEAL, 0) : NULL;
		break;
	default:
		a = rco__kit_new(c, RCO__KIT_ERASE, 0);
	}
	if (a != NULL)
		memcpy(a->id, h->id, sizeof a->id);
	return a;
}

static void note_step(held *h, int step, int confirmed)
{
	if (step == 1 || step == 3)
		h->most[0] += PIECE;
	else if (step == 2)
		h->most[1] += PIECE;
	if (!confirmed) {
		h->maybe_erased |= step == BUFFER_STEPS - 1;
		return;
	}
	memcpy(h->least, h->most, sizeof h->least);
	h->opened |= step == 0;
	h->erased |= step == BUFFER_STEPS - 1;
}

static void expect_between(rco__kit_ctx *c, const held *h, const rco__kit_found *f, uint32_t leg)
{
	uint64_t bytes = f->times > 0 ? f->found.leg_bytes[leg] : 0;

	if (bytes < h->least[leg] || bytes > h->most[leg])
		rco__kit_broken(c, "after a restart scan told %llu bytes of a leg where %llu were confirmed",
		                (unsigned long long)bytes, (unsigned long long)h->least[leg]);
	if (bytes > 0)
		rco__kit_expect_sound(c, h->id, leg, 60 + leg, bytes, 500);
}

static void expect_held(rco__kit_ctx *c, const held *h)
{
	rco__kit_found found;
	uint32_t leg;

	rco__kit_scan(c, h->id, &found);
	rco__kit_expect(c, found.times <= 1, "after a restart scan reported a recording more than once");
	if (h->erased) {
		rco__kit_expect(c, found.times == 0, "after a restart scan reported a recording that was erased");
		rco__kit_expect_none(c, h->id, 0);
		return;
	}
	if (h->maybe_erased) /* in parts, as it may be */
		return;
	if (h->least[0] > 0)
		rco__kit_expect(c, found.times == 1,
		                "after a restart scan did not report a recording that is held");
	if (h->least[0] > 0)
		rco__kit_expect(c, found.meta_bytes == 4 && memcmp(found.meta, "meta", 4) == 0,
		                "after a restart scan did not give back the meta of open");
	for (leg = 0; leg < 2; leg++)
		expect_between(c, h, &found, leg);
}

/* Steps that are confirmed, and one that may be under way, when the process dies. */
static void kill_buffer(rco__kit_ctx *c, int confirmed, int under_way)
{
	held h = {.opened = 0};
	int step;

	rco__kit_id(c, h.id);
	for (step = 0; step < confirmed; step++) {
		rco__kit_asked *a = buffer_step(c, &h, step);

		if (a != NULL)
			rco__kit_ask_ok(c, a);
		note_step(&h, step, 1);
	}
	if (under_way) {
		rco__kit_give_up(c->run, rco__kit_start(c, buffer_step(c, &h, step)));
		note_step(&h, step, 0);
	}
	rco__kit_restart(c);
	expect_held(c, &h);
	rco__kit_erase(c, h.id);
	rco__kit_restart(c);
	rco__kit_expect_none(c, h.id, 1);
	rco__kit_expect_scanned(c, h.id, 0);
}

static void buffer_kills(rco__kit_ctx *c)
{
	int step;

	for (step = 0; step <= BUFFER_STEPS && !rco__kit_over(c); step++) {
		kill_buffer(c, step, 0);
		if (step < BUFFER_STEPS)
			kill_buffer(c, step, 1);
	}
}

static rco__kit_asked *upload_step(rco__kit_ctx *c, rco__kit_item *item, int step)
{
	switch (step) {
	case 0:
		return rco__kit_new_file(c, RCO__KIT_BEGIN, item);
	case 1:
		return rco__kit_new_part(c, item, 1, 62, 0, 3000);
	case 2:
		return rco__kit_new_part(c, item, 2, 62, 3000, 500);
	default:
		return rco__kit_new_file(c, RCO__KIT_COMMIT, item);
	}
}

static void upload_steps(rco__kit_ctx *c, rco__kit_item *item, int confirmed)
{
	if (confirmed > 0)
		rco__kit_begin(c, item);
	if (confirmed > 1)
		rco__kit_put(c, item, 1, 62, 0, 3000);
	if (confirmed > 2)
		rco__kit_put(c, item, 2, 62, 3000, 500);
	if (confirmed > 3)
		rco__kit_commit(c, item);
}

static void kill_upload(rco__kit_ctx *c, int confirmed, int under_way)
{
	rco__kit_item it;
	int there;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	upload_steps(c, &it, confirmed);
	if (under_way)
		rco__kit_give_up(c->run, rco__kit_start(c, upload_step(c, &it, confirmed)));
	rco__kit_restart(c);
	if (confirmed > 0 && confirmed < UPLOAD_STEPS - under_way)
		rco__kit_expect_count(c, &it, 1);
	rco__kit_abort_all(c, &it);
	there = rco__kit_whole_or_none(c, &it, 62, 3500);
	if (confirmed < UPLOAD_STEPS - under_way)
		rco__kit_expect(c, !there, "after a restart a file is visible that was not committed");
	if (confirmed == UPLOAD_STEPS)
		rco__kit_expect(c, there, "after a restart a file is missing that was committed");
	rco__kit_expect_count(c, &it, (uint64_t)there);
	if (!there)
		rco__kit_store(c, &it, 62);
	rco__kit_expect_file(c, &it, 62, 3500);
	rco__kit_remove(c, &it, "");
}

static void upload_kills(rco__kit_ctx *c)
{
	int step;

	for (step = 0; step <= UPLOAD_STEPS && !rco__kit_over(c); step++) {
		kill_upload(c, step, 0);
		if (step < UPLOAD_STEPS)
			kill_upload(c, step, 1);
	}
}

/* The next engine asks for the commit again: that of the whole file, or it is told that there is none. */
static void commit_restart(rco__kit_ctx *c)
{
	rco__kit_item it;
	int asked;

	for (asked = 0; asked <= 2 && !rco__kit_over(c); asked++) {
		int rc;

		rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
		it.size_bytes = 3500;
		upload_steps(c, &it, asked < 2 ? UPLOAD_STEPS - 1 : UPLOAD_STEPS);
		if (asked == 1)
			rco__kit_give_up(c->run, rco__kit_start(c, rco__kit_new_file(c, RCO__KIT_COMMIT, &it)));
		rco__kit_restart(c);
		rc = rco__kit_try_commit(c, &it);
		if (rc == RCO_OK)
			rco__kit_expect_file(c, &it, 62, 3500);
		else if (rc != RCO_E_NOT_FOUND || asked == 2)
			rco__kit_broken(c, "after a restart commit answered %s", rco_error_name(rc));
		else
			rco__kit_expect_hidden(c, &it);
		rco__kit_abort_all(c, &it);
		rco__kit_remove(c, &it, "");
	}
}

/* Somebody goes on with an upload of which a later process knows only a part. */
static void cut_off(rco__kit_ctx *c)
{
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	it.size_bytes = 3500;
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 63, 0, 3000);
	rco__kit_restart(c);
	(void)rco__kit_try_put(c, &it, 2, 63, 3000, 500);
	(void)rco__kit_try_commit(c, &it);
	(void)rco__kit_whole_or_none(c, &it, 63, 3500);
	rco__kit_abort_all(c, &it);
	rco__kit_store(c, &it, 63);
	rco__kit_expect_file(c, &it, 63, 3500);
	rco__kit_remove(c, &it, "");
}

static void deletion_kills(rco__kit_ctx *c)
{
	rco__kit_item it, other;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_item_make(c, &other, RCO_KIND_AUDIO);
	rco__kit_store(c, &it, 64);
	rco__kit_store(c, &other, 65);
	rco__kit_remove(c, &it, "");
	rco__kit_give_up(c->run, rco__kit_start(c, rco__kit_new_file(c, RCO__KIT_REMOVE, &other)));
	rco__kit_restart(c);
	rco__kit_expect_verified(c, &it, "", RCO_CONFIRM_GONE);
	rco__kit_expect_hidden(c, &it);
	rco__kit_remove(c, &it, "");
	rco__kit_remove(c, &other, "");
	rco__kit_expect_verified(c, &other, "", RCO_CONFIRM_GONE);
	rco__kit_expect_hidden(c, &other);
}

/* ---- the store cannot be reached ---- */

static void fail(rco__kit_ctx *c, int failing)
{
	const rco_conformance *own = &c->run->own;
	int rc;

	if (rco__kit_over(c) && failing)
		return;
	rc = own->fail(failing, own->user_data);
	if (rc != RCO_OK)
		rco__kit_broken(c, "`fail` answered %s", rco_error_name(rc));
}

/* An error, or no answer, is what is to be expected. Is it confirmed? */
static int ask_failing(rco__kit_ctx *c, rco__kit_asked *a)
{
	int ok;

	a = rco__kit_finish_if(c, rco__kit_start(c, a), FAILING_MS);
	ok = a != NULL && a->code == RCO_OK;
	rco__kit_done(a);
	return ok;
}

static rco__kit_asked *new_erase(rco__kit_ctx *c, const uint8_t id[16])
{
	rco__kit_asked *a = rco__kit_new(c, RCO__KIT_ERASE, 0);

	if (a != NULL)
		memcpy(a->id, id, sizeof a->id);
	return a;
}

static void buffer_failing(rco__kit_ctx *c)
{
	uint8_t id[16], other[16];
	int erased;

	rco__kit_id(c, id);
	rco__kit_id(c, other);
	rco__kit_open(c, id, "m", 1);
	rco__kit_open(c, other, "m", 1);
	rco__kit_append(c, id, 0, 70, 0, PIECE);
	rco__kit_append(c, other, 0, 71, 0, PIECE);
	fail(c, 1);
	(void)ask_failing(c, rco__kit_new_piece(c, id, 0, 70, PIECE, PIECE));
	erased = ask_failing(c, new_erase(c, other));
	fail(c, 0);
	rco__kit_append(c, id, 0, 70, PIECE, PIECE);
	rco__kit_expect_sound(c, id, 0, 70, 2 * PIECE, PIECE);
	if (erased)
		rco__kit_expect_none(c, other, 0);
	rco__kit_erase(c, other);
	rco__kit_expect_none(c, other, 1);
	rco__kit_erase(c, id);
	rco__kit_expect_none(c, id, 1);
}

static void upload_failing(rco__kit_ctx *c)
{
	rco__kit_item it;
	int put, committed;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_begin(c, &it);
	rco__kit_put(c, &it, 1, 72, 0, 3000);
	fail(c, 1);
	put = ask_failing(c, rco__kit_new_part(c, &it, 2, 72, 3000, 500));
	committed = put && ask_failing(c, rco__kit_new_file(c, RCO__KIT_COMMIT, &it));
	fail(c, 0);
	if (committed)
		rco__kit_expect(c, rco__kit_whole_or_none(c, &it, 72, 3500),
		                "commit was confirmed, and there is no file");
	rco__kit_abort_all(c, &it);
	if (!rco__kit_whole_or_none(c, &it, 72, 3500))
		rco__kit_store(c, &it, 72);
	rco__kit_expect_file(c, &it, 72, 3500);
	rco__kit_expect_count(c, &it, 1);
	rco__kit_remove(c, &it, "");
}

static void deletion_failing(rco__kit_ctx *c)
{
	rco__kit_item it;
	int gone;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_store(c, &it, 73);
	fail(c, 1);
	gone = ask_failing(c, rco__kit_new_file(c, RCO__KIT_REMOVE, &it));
	fail(c, 0);
	if (gone)
		rco__kit_expect_hidden(c, &it);
	rco__kit_remove(c, &it, "");
	rco__kit_expect_verified(c, &it, "", RCO_CONFIRM_GONE);
	rco__kit_expect_hidden(c, &it);
}

/* ---- detach ---- */

/* An answer that comes now was completed after `detach` had returned. */
static void watch(rco__kit_ctx *c, rco__kit_asked *a)
{
	rco_result answer = {.struct_size = (uint32_t)sizeof answer};
	int code;

	if (a == NULL || a->code != RCO_PENDING)
		return;
	if (rco_op_wait(c->run->engine, a->op, 0, &code, &answer) == RCO_OK)
		a->op = 0; /* before, as it may be */
	else if (rco_op_wait(c->run->engine, a->op, WATCH_MS, &code, &answer) == RCO_OK)
		rco__kit_broken(c, "%s was answered after detach had returned", rco__kit_slot_name(a->slot));
}

/* What is not answered by then, is asked again by the next engine. */
static void detach_from(rco__kit_ctx *c, rco__kit_asked *a)
{
	if (a == NULL)
		return;
	rco__kit_detach(c);
	watch(c, a);
	rco__kit_give_up(c->run, a);
	(void)rco__kit_attach(c);
	rco__kit_detach(c);
	(void)rco__kit_attach(c);
}

static void buffer_detach(rco__kit_ctx *c)
{
	uint8_t id[16];

	rco__kit_id(c, id);
	rco__kit_open(c, id, "m", 1);
	rco__kit_append(c, id, 0, 80, 0, PIECE);
	detach_from(c, rco__kit_start(c, rco__kit_new_piece(c, id, 0, 80, PIECE, PIECE)));
	detach_from(c, rco__kit_start(c, new_erase(c, id)));
	rco__kit_erase(c, id);
	rco__kit_expect_none(c, id, 1);
}

static void upload_detach(rco__kit_ctx *c)
{
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_begin(c, &it);
	detach_from(c, rco__kit_start(c, rco__kit_new_part(c, &it, 1, 81, 0, 3000)));
	rco__kit_abort_all(c, &it);
	rco__kit_store(c, &it, 81);
	rco__kit_expect_file(c, &it, 81, 3500);
	rco__kit_remove(c, &it, "");
}

static void deletion_detach(rco__kit_ctx *c)
{
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	detach_from(c, rco__kit_start(c, rco__kit_new_file(c, RCO__KIT_REMOVE, &it)));
	rco__kit_remove(c, &it, "");
}

const rco__kit_check rco__kit_fault_checks[] = {
	{"buffer.late", "asked again while an answer is late, a buffer does each thing once, and others no harm",
         buffer_hasty, RCO__KIT_BUFFER},
	{"buffer.failing",
         "while its store fails a buffer confirms nothing that is not so, and goes on afterwards", buffer_failing,
         RCO__KIT_BUFFER | RCO__KIT_FAIL},
	{"buffer.detach", "after detach a buffer answers nothing any more", buffer_detach,
         RCO__KIT_BUFFER | RCO__KIT_DETACH},
	{"buffer.restart", "after a restart at any step what was confirmed is there, and what was erased is not",
         buffer_kills, RCO__KIT_BUFFER | RCO__KIT_SCAN | RCO__KIT_REOPEN},
	{"upload.late", "asked again while an answer is late, an upload is made once, and others come to no harm",
         upload_hasty, RCO__KIT_UPLOAD},
	{"upload.failing",
         "while its store fails an upload confirms nothing that is not so, and goes on afterwards", upload_failing,
         RCO__KIT_UPLOAD | RCO__KIT_FAIL},
	{"upload.detach", "after detach an upload answers nothing any more", upload_detach,
         RCO__KIT_UPLOAD | RCO__KIT_DETACH},
	{"upload.restart",
         "after a restart at any step unfinished uploads are found, and no file that is not whole", upload_kills,
         RCO__KIT_UPLOAD | RCO__KIT_REOPEN},
	{"upload.commit-restart",
         "commit again after a restart confirms the whole file, or says that there is no such upload",
         commit_restart, RCO__KIT_UPLOAD | RCO__KIT_REOPEN},
	{"upload.cut-off", "commit shows no file that is cut off", cut_off, RCO__KIT_UPLOAD | RCO__KIT_REOPEN},
	{"deletion.late", "asked again while an answer is late, remove takes this file and no other",
         deletion_hasty, RCO__KIT_FILES},
	{"deletion.failing", "while its store fails remove confirms nothing that is not so", deletion_failing,
         RCO__KIT_FILES | RCO__KIT_FAIL},
	{"deletion.detach", "after detach a deletion answers nothing any more", deletion_detach,
         RCO__KIT_DELETION | RCO__KIT_DETACH},
	{"deletion.restart", "after a restart what was removed stays removed", deletion_kills,
         RCO__KIT_FILES | RCO__KIT_REOPEN},
};

const size_t rco__kit_fault_count = sizeof rco__kit_fault_checks / sizeof rco__kit_fault_checks[0];
