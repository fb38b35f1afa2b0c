/* SPDX-License-Identifier: MIT */
/* Obligations of a buffer that does what it is asked, and is asked what it may be asked. */
#include "kit.h"

#include <sched.h>
#include <string.h>

enum { PIECE = RCO__KIT_PIECE, BIG = 1 << 20, LARGE = 100000, ROUNDS = 20 };

static void open_twice(rco__kit_ctx *c)
{
	uint8_t id[16];

	rco__kit_id(c, id);
	rco__kit_open(c, id, "meta", 4);
	rco__kit_append(c, id, 0, 1, 0, PIECE);
	rco__kit_open(c, id, "meta", 4);
	rco__kit_expect_sound(c, id, 0, 1, PIECE, PIECE);
	rco__kit_append(c, id, 0, 1, PIECE, PIECE);
	rco__kit_expect_sound(c, id, 0, 1, 2 * PIECE, PIECE);
	rco__kit_erase(c, id);
}

static void legs(rco__kit_ctx *c)
{
	uint8_t id[16];
	uint32_t leg, i;

	rco__kit_id(c, id);
	rco__kit_open(c, id, "m", 1);
	for (i = 0; i < 5; i++)
		for (leg = 0; leg < RCO_MAX_LEGS; leg++)
			rco__kit_append(c, id, leg, leg, i * PIECE, PIECE);
	for (leg = 0; leg < RCO_MAX_LEGS; leg++)
		rco__kit_expect_sound(c, id, leg, leg, 5 * PIECE, 1000 + leg * 777);
	rco__kit_erase(c, id);
}

static void formats(rco__kit_ctx *c)
{
	static const uint32_t all[] = {RCO_FORMAT_PCMU_8K, RCO_FORMAT_PCMA_8K, RCO_FORMAT_S16_8K,
	                               RCO_FORMAT_S16_16K, RCO_FORMAT_S16_24K, RCO_FORMAT_S16_48K};
	enum { FORMATS = sizeof all / sizeof all[0] };
	uint8_t id[16];
	uint32_t leg;

	rco__kit_id(c, id);
	rco__kit_open(c, id, NULL, 0);
	for (leg = 0; leg < FORMATS; leg++) {
		rco__kit_asked *a = rco__kit_new_piece(c, id, leg, leg, 0, PIECE);

		if (a != NULL)
			a->chunk.format = all[leg];
		rco__kit_ask_ok(c, a);
	}
	for (leg = 0; leg < FORMATS; leg++)
		rco__kit_expect_sound(c, id, leg, leg, PIECE, 321);
	rco__kit_erase(c, id);
}

static void repetition(rco__kit_ctx *c)
{
	uint8_t id[16];

	rco__kit_id(c, id);
	rco__kit_open(c, id, "m", 1);
	rco__kit_append(c, id, 1, 7, 0, PIECE);
	rco__kit_append(c, id, 1, 7, 0, PIECE); /* the only piece again */
	rco__kit_append(c, id, 1, 7, PIECE, PIECE);
	rco__kit_append(c, id, 1, 7, 2 * PIECE, PIECE);
	rco__kit_append(c, id, 1, 7, 2 * PIECE, PIECE); /* the last again */
	rco__kit_append(c, id, 1, 7, 0, PIECE);         /* an earlier one again */
	rco__kit_append(c, id, 1, 7, PIECE, PIECE);
	rco__kit_expect_sound(c, id, 1, 7, 3 * PIECE, 4096);
	rco__kit_append(c, id, 1, 7, 3 * PIECE, PIECE);
	rco__kit_expect_sound(c, id, 1, 7, 4 * PIECE, 4096);
	rco__kit_erase(c, id);
}

/*
 * What is held may come again cut in other places, as after a restart. A piece
 * that is held in part an engine does not send: it may be refused, but what is
 * confirmed has to be there.
 */
static void overlap(rco__kit_ctx *c)
{
	uint64_t end = 2 * PIECE;
	uint8_t id[16];

	rco__kit_id(c, id);
	rco__kit_open(c, id, "m", 1);
	rco__kit_append(c, id, 0, 19, 0, PIECE);
	rco__kit_append(c, id, 0, 19, PIECE, PIECE);
	rco__kit_append(c, id, 0, 19, PIECE / 2, PIECE);
	rco__kit_append(c, id, 0, 19, 10, 2 * PIECE - 10);
	rco__kit_expect_sound(c, id, 0, 19, end, 4096);
	if (rco__kit_try_append(c, id, 0, 19, PIECE, 2 * PIECE) == RCO_OK)
		end += PIECE;
	rco__kit_expect_sound(c, id, 0, 19, end, 4096);
	rco__kit_append(c, id, 0, 19, end, PIECE);
	rco__kit_expect_sound(c, id, 0, 19, end + PIECE, 4096);
	rco__kit_erase(c, id);
}

static void sizes(rco__kit_ctx *c)
{
	uint8_t id[16], meta[RCO_META_MAX];

	rco__kit_id(c, id);
	rco__kit_make_sound(3, 0, meta, sizeof meta);
	rco__kit_open(c, id, meta, sizeof meta);
	rco__kit_append(c, id, 0, 4, 0, 1);
	rco__kit_append(c, id, 0, 4, 1, BIG);
	rco__kit_append(c, id, 0, 4, 1 + BIG, 2);
	rco__kit_expect_sound(c, id, 0, 4, BIG + 3, 60000);
	rco__kit_erase(c, id);
}

static void expect_not_open(rco__kit_ctx *c, const uint8_t id[16], uint64_t position, const char *when)
{
	int rc = rco__kit_try_append(c, id, 0, 5, position, PIECE);

	if (rc != RCO_E_NOT_FOUND)
		rco__kit_broken(c, "append to a recording that %s answered %s", when, rco_error_name(rc));
}

static void not_open(rco__kit_ctx *c)
{
	uint8_t id[16];

	rco__kit_id(c, id);
	expect_not_open(c, id, 0, "was not opened");
	rco__kit_expect_none(c, id, 0);
	rco__kit_open(c, id, NULL, 0);
	rco__kit_append(c, id, 0, 5, 0, PIECE);
	rco__kit_erase(c, id);
	expect_not_open(c, id, 0, "was erased");
	expect_not_open(c, id, PIECE, "was erased");
	rco__kit_expect_none(c, id, 0);
}

static void error_harmless(rco__kit_ctx *c)
{
	uint8_t id[16];

	rco__kit_id(c, id);
	rco__kit_open(c, id, NULL, 0);
	rco__kit_append(c, id, 0, 6, 0, PIECE);
	rco__kit_expect(c, rco__kit_try_append(c, id, 0, 99, 10 * PIECE, PIECE) != RCO_OK,
	                "append took a piece that begins after the end");
	rco__kit_expect(c, rco__kit_try_append(c, id, RCO_MAX_LEGS, 99, 0, PIECE) != RCO_OK,
	                "append took a piece of a ninth leg");
	rco__kit_expect_sound(c, id, 0, 6, PIECE, PIECE);
	rco__kit_append(c, id, 0, 6, PIECE, PIECE);
	rco__kit_expect_sound(c, id, 0, 6, 2 * PIECE, PIECE);
	rco__kit_erase(c, id);
}

static void flush_seal(rco__kit_ctx *c)
{
	uint8_t id[16];

	rco__kit_id(c, id);
	rco__kit_flush(c);
	rco__kit_open(c, id, "m", 1);
	rco__kit_append(c, id, 0, 8, 0, PIECE);
	rco__kit_flush(c);
	rco__kit_flush(c);
	rco__kit_append(c, id, 0, 8, PIECE, PIECE);
	rco__kit_seal(c, id);
	rco__kit_seal(c, id);
	rco__kit_expect_sound(c, id, 0, 8, 2 * PIECE, 999);
	rco__kit_erase(c, id);
}

/* A read may stop early, but not at nothing, and not behind the end. */
static void read_at(rco__kit_ctx *c, const uint8_t id[16], uint64_t position)
{
	uint8_t data[PIECE];
	int rc;
	size_t got = rco__kit_read(c, id, 2, position, data, sizeof data, &rc);

	if (got == 0)
		rco__kit_broken(c, "read gave nothing (%s) at byte %llu of %d", rco_error_name(rc),
		                (unsigned long long)position, 2 * PIECE);
	else if (got > 2 * PIECE - position)
		rco__kit_broken(c, "read went over the end");
	else if (data[0] != rco__kit_sound(9, position) || data[got - 1] != rco__kit_sound(9, position + got - 1))
		rco__kit_broken(c, "read gave other bytes than those at byte %llu", (unsigned long long)position);
}

static void read_ends(rco__kit_ctx *c)
{
	uint8_t id[16];
	uint64_t at;

	rco__kit_id(c, id);
	rco__kit_open(c, id, "m", 1);
	rco__kit_append(c, id, 2, 9, 0, PIECE);
	rco__kit_append(c, id, 2, 9, PIECE, PIECE);
	for (at = 0; at < 2 * PIECE && !rco__kit_over(c); at += 397)
		read_at(c, id, at);
	rco__kit_expect_sound(c, id, 2, 9, 2 * PIECE, 700);
	rco__kit_expect_sound(c, id, 1, 0, 0, 64); /* a leg without audio */
	rco__kit_erase(c, id);
}

static void erase(rco__kit_ctx *c)
{
	uint8_t id[16], other[16], never[16];

	rco__kit_id(c, id);
	rco__kit_id(c, other);
	rco__kit_id(c, never);
	rco__kit_erase(c, never);
	rco__kit_open(c, id, "one", 3);
	rco__kit_open(c, other, "two", 3);
	rco__kit_append(c, id, 0, 10, 0, PIECE);
	rco__kit_append(c, other, 0, 11, 0, PIECE);
	rco__kit_append(c, id, 0, 10, PIECE, PIECE);
	rco__kit_erase(c, id);
	rco__kit_erase(c, id);
	rco__kit_expect_none(c, id, 0);
	rco__kit_expect_scanned(c, id, 0);
	rco__kit_expect_sound(c, other, 0, 11, PIECE, PIECE);
	rco__kit_expect_scanned(c, other, 1);
	rco__kit_append(c, other, 0, 11, PIECE, PIECE);
	rco__kit_seal(c, other);
	rco__kit_erase(c, other);
	rco__kit_expect_none(c, other, 0);
}

/* A backend that answers later has a piece on its way when it is told to erase. */
static void erase_beside_append(rco__kit_ctx *c)
{
	rco__kit_asked *piece;
	uint8_t id[16];

	rco__kit_id(c, id);
	rco__kit_open(c, id, "m", 1);
	rco__kit_append(c, id, 0, 21, 0, PIECE);
	piece = rco__kit_start(c, rco__kit_new_piece(c, id, 0, 21, PIECE, LARGE));
	rco__kit_erase(c, id);
	rco__kit_expect_none(c, id, 1);
	rco__kit_done(rco__kit_finish(c, piece));
	rco__kit_expect_none(c, id, 1);
	rco__kit_expect_scanned(c, id, 0);
}

static void erased_not_found(rco__kit_ctx *c)
{
	uint8_t id[16];

	rco__kit_id(c, id);
	rco__kit_expect_none(c, id, 1);
	rco__kit_open(c, id, "m", 1);
	rco__kit_append(c, id, 3, 20, 0, PIECE);
	rco__kit_erase(c, id);
	rco__kit_expect_none(c, id, 1);
}

static void revoke(rco__kit_ctx *c)
{
	uint8_t id[16], other[16], never[16];

	rco__kit_id(c, id);
	rco__kit_id(c, other);
	rco__kit_id(c, never);
	rco__kit_open(c, id, "m", 1);
	rco__kit_open(c, other, "m", 1);
	rco__kit_append(c, id, 0, 12, 0, PIECE);
	rco__kit_append(c, other, 0, 13, 0, PIECE);
	rco__kit_flush(c);
	rco__kit_append(c, id, 0, 12, PIECE, PIECE);
	rco__kit_revoke(c, id);
	rco__kit_revoke(c, id);
	rco__kit_revoke(c, never);
	rco__kit_expect_none(c, id, 0);
	rco__kit_expect_sound(c, other, 0, 13, PIECE, PIECE);
	rco__kit_erase(c, id);
	rco__kit_expect_none(c, id, 0);
	rco__kit_erase(c, never);
	rco__kit_erase(c, other);
}

/* Pieces that come while it is revoked: one call, and the thread that opts out beside it. */
typedef struct pieces {
	rco__kit_ctx c;
	uint8_t id[16];
	_Atomic int begun;
} pieces;

static void *append_on(void *arg)
{
	pieces *p = arg;
	uint64_t at = PIECE;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		if (rco__kit_try_append(&p->c, p->id, 0, 22, at, PIECE) == RCO_OK)
			at += PIECE;
		atomic_store(&p->begun, 1);
	}
	return NULL;
}

static void revoke_beside_append(rco__kit_ctx *c)
{
	pieces p = {.c = {.run = c->run}};
	pthread_t thread;

	rco__kit_id(c, p.id);
	rco__kit_open(c, p.id, "m", 1);
	rco__kit_append(c, p.id, 0, 22, 0, PIECE);
	if (rco__kit_over(c) || pthread_create(&thread, NULL, append_on, &p) != 0)
		return;
	while (!atomic_load(&p.begun))
		(void)sched_yield();
	rco__kit_revoke(c, p.id);
	rco__kit_expect_none(c, p.id, 0);
	(void)pthread_join(thread, NULL);
	rco__kit_expect(c, p.c.broken[0] == '\0', p.c.broken);
	rco__kit_expect_none(c, p.id, 0);
	rco__kit_erase(c, p.id);
	rco__kit_expect_none(c, p.id, 1);
}

static void expect_as_it_is(rco__kit_ctx *c, const rco__kit_found *f, const uint8_t meta[RCO_META_MAX])
{
	rco__kit_expect(c, f->times == 1,
	                f->times == 0 ? "scan did not report a recording that is held"
	                              : "scan reported a recording more than once");
	rco__kit_expect(c, f->meta_bytes == RCO_META_MAX && memcmp(f->meta, meta, RCO_META_MAX) == 0,
	                "scan did not give back the meta of open");
	rco__kit_expect(c, f->found.leg_format[1] == RCO_FORMAT_PCMU_8K && f->found.leg_format[0] == 0,
	                "scan told wrong formats of the legs");
	rco__kit_expect(c,
	                f->found.leg_bytes[0] == 0 && f->found.leg_bytes[1] == 2 * PIECE &&
	                        f->found.leg_bytes[5] == PIECE,
	                "scan told wrong sizes of the legs");
	rco__kit_expect(c, f->found.damaged_bytes == 0, "scan told of damaged bytes");
}

static void scan(rco__kit_ctx *c)
{
	uint8_t id[16], bare[16], meta[RCO_META_MAX];
	rco__kit_found found;

	rco__kit_id(c, id);
	rco__kit_id(c, bare);
	rco__kit_make_sound(13, 0, meta, sizeof meta);
	rco__kit_open(c, id, meta, sizeof meta);
	rco__kit_open(c, bare, NULL, 0);
	rco__kit_append(c, id, 1, 14, 0, PIECE);
	rco__kit_append(c, id, 1, 14, PIECE, PIECE);
	rco__kit_append(c, id, 5, 15, 0, PIECE);
	rco__kit_flush(c);
	rco__kit_scan(c, id, &found);
	expect_as_it_is(c, &found, meta);
	rco__kit_expect_scanned(c, bare, 1);
	rco__kit_erase(c, id);
	rco__kit_erase(c, bare);
	rco__kit_expect_scanned(c, id, 0);
}

/* ---- gaps ---- */

/* From there to there it is all silence. */
static void expect_silence(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t from, uint64_t to,
                           uint8_t silence)
{
	uint8_t data[PIECE];

	while (from < to && !rco__kit_over(c)) {
		size_t cap = to - from < sizeof data ? (size_t)(to - from) : sizeof data, i;
		int rc;
		size_t got = rco__kit_read(c, id, leg, from, data, cap, &rc);

		if (got == 0)
			rco__kit_broken(c, "read gave nothing (%s) in a gap", rco_error_name(rc));
		for (i = 0; i < got && !rco__kit_over(c); i++)
			if (data[i] != silence)
				rco__kit_broken(c, "read gave 0x%02x for a gap, where 0x%02x is silence", data[i],
				                silence);
		from += got;
	}
}

static void expect_piece(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t seed, uint64_t position)
{
	uint8_t data[PIECE], want[PIECE];
	size_t at = 0, got = 1;
	int rc = RCO_OK;

	rco__kit_make_sound(seed, position, want, sizeof want);
	for (; got > 0 && at < sizeof data && !rco__kit_over(c); at += got)
		got = rco__kit_read(c, id, leg, position + at, data + at, sizeof data - at, &rc);
	if (at != sizeof data || memcmp(data, want, sizeof data) != 0)
		rco__kit_broken(c, "audio before or behind a gap did not come back (%s)", rco_error_name(rc));
}

static void expect_end(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t end)
{
	uint8_t data[4];
	int rc;

	rco__kit_expect(c, rco__kit_read(c, id, leg, end - 1, data, sizeof data, &rc) == 1,
	                "a leg with gaps does not end where its last piece does");
	rco__kit_expect(c, rco__kit_read(c, id, leg, end, data, sizeof data, &rc) == 0,
	                "a leg with gaps goes on behind its last piece");
}

static void gaps(rco__kit_ctx *c)
{
	static const struct {
		uint32_t format;
		uint8_t silence;
	} all[] = {{RCO_FORMAT_PCMU_8K, 0xff}, {RCO_FORMAT_PCMA_8K, 0xd5}, {RCO_FORMAT_S16_48K, 0}};
	uint8_t id[16];
	uint32_t leg;

	rco__kit_id(c, id);
	rco__kit_open(c, id, "m", 1);
	for (leg = 0; leg < 3; leg++) {
		uint64_t sizes[] = {0, PIECE, 2 * PIECE, 3 * PIECE + LARGE, 4 * PIECE + LARGE};
		int i;

		for (i = 0; i < 4; i++) {
			rco__kit_asked *a = i % 2 == 0 ? rco__kit_new_gap(c, id, leg, sizes[i],
			                                                  (size_t)(sizes[i + 1] - sizes[i]))
			                               : rco__kit_new_piece(c, id, leg, leg, sizes[i], PIECE);

			if (a != NULL)
				a->chunk.format = all[leg].format;
			rco__kit_ask_ok(c, a);
		}
	}
	for (leg = 0; leg < 3; leg++) {
		expect_silence(c, id, leg, 0, PIECE, all[leg].silence);
		expect_piece(c, id, leg, leg, PIECE);
		expect_silence(c, id, leg, 2 * PIECE, 3 * PIECE + LARGE, all[leg].silence);
		expect_piece(c, id, leg, leg, 3 * PIECE + LARGE);
		expect_end(c, id, leg, 4 * PIECE + LARGE);
	}
	rco__kit_erase(c, id);
	rco__kit_expect_none(c, id, 0);
}

/* The rules of a piece are those of a gap. */
static void gap_again(rco__kit_ctx *c)
{
	uint64_t end = 3 * PIECE;
	uint8_t id[16];

	rco__kit_id(c, id);
	rco__kit_open(c, id, "m", 1);
	rco__kit_append(c, id, 0, 23, 0, PIECE);
	rco__kit_ask_ok(c, rco__kit_new_gap(c, id, 0, PIECE, PIECE));
	rco__kit_ask_ok(c, rco__kit_new_gap(c, id, 0, PIECE, PIECE)); /* the last again */
	rco__kit_append(c, id, 0, 23, 2 * PIECE, PIECE);
	rco__kit_ask_ok(c, rco__kit_new_gap(c, id, 0, PIECE, PIECE)); /* an earlier one again */
	rco__kit_append(c, id, 0, 23, 2 * PIECE, PIECE);
	rco__kit_expect(c, rco__kit_try(c, rco__kit_new_gap(c, id, 0, 9 * PIECE, PIECE)) != RCO_OK,
	                "append took a gap that begins after the end");
	if (rco__kit_try(c, rco__kit_new_gap(c, id, 0, 2 * PIECE, 2 * PIECE)) == RCO_OK)
		end += PIECE;
	expect_piece(c, id, 0, 23, 0);
	expect_silence(c, id, 0, PIECE, 2 * PIECE, 0xff);
	expect_piece(c, id, 0, 23, 2 * PIECE);
	expect_silence(c, id, 0, 3 * PIECE, end, 0xff);
	expect_end(c, id, 0, end);
	rco__kit_append(c, id, 0, 23, end, PIECE);
	expect_piece(c, id, 0, 23, end);
	rco__kit_erase(c, id);
}

/* The longest, and what is behind it. */
static void long_gap(rco__kit_ctx *c)
{
	uint64_t gap = UINT64_C(1) << 30;
	rco__kit_found found;
	uint8_t id[16];

	rco__kit_id(c, id);
	rco__kit_open(c, id, "m", 1);
	rco__kit_append(c, id, 0, 24, 0, PIECE);
	rco__kit_ask_ok(c, rco__kit_new_gap(c, id, 0, PIECE, (size_t)gap));
	rco__kit_append(c, id, 0, 24, PIECE + gap, PIECE);
	expect_piece(c, id, 0, 24, 0);
	expect_silence(c, id, 0, PIECE, 3 * PIECE, 0xff);
	expect_silence(c, id, 0, gap, PIECE + gap, 0xff);
	expect_piece(c, id, 0, 24, PIECE + gap);
	expect_end(c, id, 0, 2 * PIECE + gap);
	if (c->run->buffer.scan != NULL) {
		rco__kit_scan(c, id, &found);
		rco__kit_expect(c, found.found.leg_bytes[0] == 2 * PIECE + gap,
		                "scan told a wrong size of a leg with a gap");
	}
	rco__kit_erase(c, id);
}

static void gap_restart(rco__kit_ctx *c)
{
	rco__kit_found found;
	uint8_t id[16];

	rco__kit_id(c, id);
	rco__kit_open(c, id, "m", 1);
	rco__kit_ask_ok(c, rco__kit_new_gap(c, id, 0, 0, PIECE));
	rco__kit_append(c, id, 0, 25, PIECE, PIECE);
	rco__kit_ask_ok(c, rco__kit_new_gap(c, id, 0, 2 * PIECE, PIECE));
	rco__kit_restart(c);
	rco__kit_scan(c, id, &found);
	rco__kit_expect(c, found.times == 1 && found.found.leg_bytes[0] == 3 * PIECE,
	                "after a restart scan did not report a leg with gaps as it was");
	rco__kit_append(c, id, 0, 25, 3 * PIECE, PIECE);
	expect_silence(c, id, 0, 0, PIECE, 0xff);
	expect_piece(c, id, 0, 25, PIECE);
	expect_silence(c, id, 0, 2 * PIECE, 3 * PIECE, 0xff);
	expect_piece(c, id, 0, 25, 3 * PIECE);
	rco__kit_erase(c, id);
}

/* ---- several calls at once ---- */

static void *work(void *arg)
{
	rco__kit_ctx *c = arg;
	uint8_t id[16];
	int i;

	for (i = 0; i < ROUNDS; i++) {
		rco__kit_id(c, id);
		rco__kit_open(c, id, "m", 1);
		rco__kit_append(c, id, 0, id[0], 0, 256);
		rco__kit_expect_sound(c, id, 0, id[0], 256, 256);
		rco__kit_erase(c, id);
		rco__kit_expect_none(c, id, 0);
	}
	return NULL;
}

static void threads(rco__kit_ctx *c)
{
	rco__kit_at_once(c, work);
}

const rco__kit_check rco__kit_buffer_checks[] = {
	{"buffer.open-twice", "opening a recording that is open has no effect", open_twice, RCO__KIT_BUFFER},
	{"buffer.legs", "eight legs are kept apart", legs, RCO__KIT_BUFFER},
	{"buffer.formats", "audio of every format comes back bit by bit", formats, RCO__KIT_BUFFER},
	{"buffer.repetition", "a piece that is appended again appears once", repetition, RCO__KIT_BUFFER},
	{"buffer.overlap", "of a piece that overlaps nothing appears twice, and what is confirmed is there",
         overlap, RCO__KIT_BUFFER},
	{"buffer.sizes", "pieces of 1 byte to 1 MiB and a meta of 512 bytes are taken", sizes, RCO__KIT_BUFFER},
	{"buffer.not-open", "append answers RCO_E_NOT_FOUND for what is not open, or was erased", not_open,
         RCO__KIT_BUFFER},
	{"buffer.error", "an error leaves the recording as it was", error_harmless, RCO__KIT_BUFFER},
	{"buffer.flush-seal", "flush and seal confirm, and may be repeated", flush_seal, RCO__KIT_BUFFER},
	{"buffer.read-ends", "read gives what is there, from any position, and ends at the end", read_ends,
         RCO__KIT_BUFFER},
	{"buffer.erase", "erase leaves nothing of this recording, and all of others", erase, RCO__KIT_BUFFER},
	{"buffer.erase-append", "erase takes the piece that is still on its way as well", erase_beside_append,
         RCO__KIT_BUFFER},
	{"buffer.erased-read", "read answers RCO_E_NOT_FOUND for what is not held or was erased", erased_not_found,
         RCO__KIT_BUFFER},
	{"buffer.revoke", "revoke makes a recording unreadable at once, and no other", revoke,
         RCO__KIT_BUFFER | RCO__KIT_REVOKE},
	{"buffer.revoke-append", "revoke may come while other slots run", revoke_beside_append,
         RCO__KIT_BUFFER | RCO__KIT_REVOKE},
	{"buffer.scan", "scan reports each recording that is held once, as it is", scan,
         RCO__KIT_BUFFER | RCO__KIT_SCAN},
	{"buffer.gaps", "a gap is silence of its format, in its place", gaps, RCO__KIT_BUFFER | RCO__KIT_GAPS},
	{"buffer.gap-repetition", "a gap that is appended again appears once, and none overlaps", gap_again,
         RCO__KIT_BUFFER | RCO__KIT_GAPS},
	{"buffer.gap-sizes", "a gap of 1 GiB is taken", long_gap, RCO__KIT_BUFFER | RCO__KIT_GAPS},
	{"buffer.gap-restart", "gaps survive the death of the process", gap_restart,
         RCO__KIT_BUFFER | RCO__KIT_GAPS | RCO__KIT_SCAN | RCO__KIT_REOPEN},
	{"buffer.threads", "calls may be served at the same time", threads, RCO__KIT_BUFFER},
};

const size_t rco__kit_buffer_count = sizeof rco__kit_buffer_checks / sizeof rco__kit_buffer_checks[0];
