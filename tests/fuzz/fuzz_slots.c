/* SPDX-License-Identifier: MIT */
/*
 * The file of key slots: its header and the first slots are changed. A call whose slot was not touched is whole,
 * with what was noted of it, unless another slot before it names the same call; the next start finds the same; no
 * wrapped key is left in quarantine.
 */
#include "calls.h"

#include <string.h>

enum {
	REPAIR_HEADER = 1,
	REPAIR_SLOTS = 2,
	LONG = 4,
	SLOT = RCO__SPOOL_SLOT,
	VIEW = 5 * SLOT, /* the header and slots 0 to 3, which are those of the calls */
	WRAPPED_AT = 40,
	META_AT = WRAPPED_AT + RCO__SPOOL_WRAPPED
};

static void repair(uint8_t *buf, size_t size, unsigned how)
{
	static const uint8_t zeros[SLOT];
	size_t at;

	if ((how & REPAIR_HEADER) && size >= SLOT)
		rco__put32(buf + 32, rco__crc32c(0, buf, 32));
	for (at = SLOT; (how & REPAIR_SLOTS) && at + SLOT <= size; at += SLOT) {
		if (memcmp(buf + at, zeros, SLOT) == 0)
			continue;
		rco__put32(buf + at + SLOT - 8, rco__crc32c(0, buf + at + META_AT, RCO_META_MAX));
		rco__put32(buf + at + SLOT - 4, rco__crc32c(0, buf + at, META_AT));
	}
}

/* Where the slot of call n is. */
static size_t slot_of(const uint8_t *base, unsigned n)
{
	size_t mine = SLOT;
	uint8_t id[16];

	calls_id(id, n);
	while (mine < VIEW - SLOT && memcmp(base + mine + WRAPPED_AT - 16, id, 16) != 0)
		mine += SLOT;
	return mine;
}

/* Is the slot of call n as it was, and no other of that call? */
static int untouched(const uint8_t *base, const uint8_t *buf, size_t size, unsigned n)
{
	size_t mine = slot_of(base, n), at;
	uint8_t id[16];

	calls_id(id, n);
	if (size < mine + SLOT || memcmp(base + mine, buf + mine, SLOT) != 0)
		return 0;
	for (at = SLOT; at + SLOT <= size; at += SLOT)
		if (at != mine && memcmp(buf + at + WRAPPED_AT - 16, id, 16) == 0)
			return 0;
	return 1;
}

/* How often a wrapped key stands in these bytes. */
static size_t wrapped_keys(const uint8_t *buf, size_t size, const uint8_t wrapped[RCO__SPOOL_WRAPPED])
{
	const uint8_t *at = buf;
	size_t found = 0;

	while ((at = memmem(at, size - (size_t)(at - buf), wrapped, RCO__SPOOL_WRAPPED)) != NULL) {
		found++;
		at++;
	}
	return found;
}

static uint64_t look(calls *c, const int whole[CALLS])
{
	calls_found found;
	uint64_t hash = 0;
	unsigned n;
	int rc;

	for (n = 0; n < CALLS; n++) {
		calls_find(c, n, &found, &hash);
		(void)calls_read(c, n, &rc, &hash);
		FUZZ_CHECK(rc == RCO_OK || rc == RCO_E_CORRUPT || rc == RCO_E_KEY || rc == RCO_E_NOT_FOUND);
		if (!whole[n])
			continue;
		calls_holds(c, n);
		FUZZ_CHECK(found.has_meta && found.meta_size == 14 && found.meta[13] == '0' + n);
	}
	return hash;
}

/* A wrapped key has one place, which is wiped when its call is erased. */
static void check_erased(calls *c, const int whole[CALLS], const uint8_t *buf, size_t size)
{
	size_t all;
	const uint8_t *base = mem_file(calls_disk(), CALLS_SLOTS, &all);
	unsigned n;

	for (n = 0; n < CALLS; n++) {
		const uint8_t *wrapped = base + slot_of(base, n) + WRAPPED_AT;

		FUZZ_CHECK(calls_erase(c, n) == RCO_OK);
		if (whole[n] && wrapped_keys(buf, size, wrapped) == 1)
			FUZZ_CHECK(mem_holds(c->disk, wrapped, RCO__SPOOL_WRAPPED) == 0);
	}
}

static void live_with(calls *c, const int whole[CALLS], const uint8_t *buf, size_t size, int long_too)
{
	uint64_t first = look(c, whole);

	if (long_too) {
		calls_usable(c);
		calls_maintain(c);
		FUZZ_CHECK(look(c, whole) == first);
	}
	calls_close(c);
	FUZZ_CHECK(calls_open(c) == RCO_OK);
	FUZZ_CHECK(look(c, whole) == first);
	if (long_too)
		check_erased(c, whole, buf, size);
}

static void one(const uint8_t *data, size_t size)
{
	fuzz_input in = {data, data + size};
	calls c = {.disk = mem_copy(calls_disk()), .now_us = INT64_C(1700000100000000)};
	unsigned how = fuzz_8(&in), n;
	uint8_t base[VIEW], buf[VIEW], *file;
	size_t all, view = VIEW;
	int whole[CALLS], rc;

	file = mem_file(c.disk, CALLS_SLOTS, &all);
	FUZZ_CHECK(file != NULL && all >= VIEW);
	memcpy(base, file, VIEW);
	memcpy(buf, file, VIEW);
	fuzz_edit(&in, buf, &view, VIEW);
	repair(buf, view, how);
	mem_put(c.disk, CALLS_SLOTS, buf, view); /* cut behind it: those slots are empty */
	for (n = 0; n < CALLS; n++)
		whole[n] = untouched(base, buf, view, n);
	rc = calls_open(&c);
	FUZZ_CHECK(rc == RCO_OK || (rc == RCO_E_VERSION && c.spool == NULL));
	if (rc == RCO_OK)
		live_with(&c, whole, buf, view, how & LONG);
	calls_close(&c);
	mem_free(c.disk);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	static const uint8_t seeds[][8] = {
		{1, 4},                         /* as it is */
		{5, 4, FUZZ_XOR, 8, 0, 1},      /* the header's version, not repaired */
		{6, 6, FUZZ_XOR, 4, 8, 3, 0},   /* a slot's version, repaired */
		{6, 6, FUZZ_XOR, 6, 8, 255, 0}, /* the size of the meta data */
		{6, 6, FUZZ_XOR, 24, 8, 1, 0},  /* the same call as another */
		{4, 4, FUZZ_CUT, 0, 6},
		{6, 5, FUZZ_XOR, 20, 0, 9, 0}, /* of another spool */
		{6, 4, FUZZ_XOR, 40, 9, 1, 0}, /* meta data */
	};

	if (i >= sizeof seeds / sizeof seeds[0] || cap < 8)
		return 0;
	memcpy(out, seeds[i] + 1, seeds[i][0]);
	return seeds[i][0];
}

static size_t file_size(void)
{
	(void)calls_disk();
	return VIEW;
}

FUZZ_TARGET(slots, one, seed, 2048,
            "lib/storage/spool_slots.c lib/storage/spool_table.c lib/storage/spool_epochs.c "
            "lib/storage/spool_epoch_files.c",
            file_size)
