/* SPDX-License-Identifier: MIT */
/* Steps on files, with what they have to answer. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PART_1 = 3000, PART_2 = 500 };

void rco__kit_item_make(rco__kit_ctx *c, rco__kit_item *item, uint32_t kind)
{
	uint32_t n = atomic_fetch_add(&c->run->last_id, 1) + 1;

	memset(item, 0, sizeof *item);
	(void)snprintf(item->key, sizeof item->key, "conformance-%08x-%u.caller.wav", (unsigned)c->run->first_id,
	               (unsigned)n);
	item->kind = kind;
	item->store = RCO_STORE_UPLOAD;
	rco__kit_id(c, item->id);
}

rco__kit_asked *rco__kit_new_file(rco__kit_ctx *c, rco__kit_slot slot, const rco__kit_item *item)
{
	rco__kit_asked *a = rco__kit_new(c, slot, 0);

	if (a == NULL)
		return NULL;
	memcpy(a->id, item->id, sizeof a->id);
	memcpy(a->key, item->key, sizeof a->key);
	memcpy(a->upload_id, item->upload_id, sizeof a->upload_id);
	memcpy(a->version, item->version, sizeof a->version);
	a->object.kind = item->kind;
	a->object.store = item->store;
	a->object.size_bytes = item->size_bytes;
	return a;
}

static void begin_once(rco__kit_ctx *c, rco__kit_item *item)
{
	rco__kit_asked *a;

	item->upload_id[0] = '\0';
	a = rco__kit_finish(c, rco__kit_start(c, rco__kit_new_file(c, RCO__KIT_BEGIN, item)));
	if (a == NULL)
		return;
	if (a->code != RCO_OK)
		rco__kit_broken(c, "begin answered %s%s%s", rco_error_name(a->code),
		                a->detail[0] != '\0' ? ": " : "", a->detail);
	memcpy(item->upload_id, a->answer.upload_id, sizeof item->upload_id);
	rco__kit_done(a);
}

/* An engine that has not got an answer gives up whatever there is of the key, and begins again. */
void rco__kit_begin(rco__kit_ctx *c, rco__kit_item *item)
{
	if (c->hasty) {
		rco__kit_give_up(c->run, rco__kit_start(c, rco__kit_new_file(c, RCO__KIT_BEGIN, item)));
		rco__kit_abort_all(c, item);
	}
	begin_once(c, item);
}

rco__kit_asked *rco__kit_new_part(rco__kit_ctx *c, const rco__kit_item *item, uint32_t part, uint64_t seed,
                                  uint64_t position, size_t size)
{
	rco__kit_asked *a = rco__kit_new_file(c, RCO__KIT_PUT, item);
	uint8_t *data = malloc(size);

	if (a == NULL || data == NULL) {
		free(data);
		rco__kit_done(a);
		return NULL;
	}
	rco__kit_make_sound(seed, position, data, size);
	free(a->data);
	a->data = data;
	a->size = size;
	a->part = part;
	return a;
}

int rco__kit_try_put(rco__kit_ctx *c, const rco__kit_item *item, uint32_t part, uint64_t seed, uint64_t position,
                     size_t size)
{
	return rco__kit_try(c, rco__kit_new_part(c, item, part, seed, position, size));
}

void rco__kit_put(rco__kit_ctx *c, const rco__kit_item *item, uint32_t part, uint64_t seed, uint64_t position,
                  size_t size)
{
	rco__kit_ask_ok(c, rco__kit_new_part(c, item, part, seed, position, size));
}

int rco__kit_try_commit(rco__kit_ctx *c, rco__kit_item *item)
{
	rco__kit_asked *a = rco__kit_ask(c, rco__kit_new_file(c, RCO__KIT_COMMIT, item));
	int rc;

	if (a == NULL)
		return RCO_E_TIMEOUT;
	rc = a->code;
	if (rc == RCO_OK)
		memcpy(item->version, a->answer.version, sizeof item->version);
	rco__kit_done(a);
	return rc;
}

void rco__kit_commit(rco__kit_ctx *c, rco__kit_item *item)
{
	int rc = rco__kit_try_commit(c, item);

	if (rc != RCO_OK)
		rco__kit_broken(c, "commit answered %s", rco_error_name(rc));
}

void rco__kit_store(rco__kit_ctx *c, rco__kit_item *item, uint64_t seed)
{
	rco__kit_begin(c, item);
	rco__kit_put(c, item, 1, seed, 0, PART_1);
	rco__kit_put(c, item, 2, seed, PART_1, PART_2);
	rco__kit_commit(c, item);
}

void rco__kit_abort(rco__kit_ctx *c, const rco__kit_item *item)
{
	rco__kit_ask_ok(c, rco__kit_new_file(c, RCO__KIT_ABORT, item));
}

void rco__kit_abort_all(rco__kit_ctx *c, const rco__kit_item *item)
{
	rco__kit_item any = *item;

	any.upload_id[0] = '\0';
	rco__kit_abort(c, &any);
}

/* What a slot that looks has seen. Its code has to be RCO_OK. */
static uint32_t look(rco__kit_ctx *c, rco__kit_asked *a, rco_result *answer)
{
	memset(answer, 0, sizeof *answer);
	a = rco__kit_ask(c, a);
	if (a == NULL)
		return RCO_CONFIRM_UNKNOWN;
	if (a->code != RCO_OK)
		rco__kit_broken(c, "%s answered %s%s%s", rco__kit_slot_name(a->slot), rco_error_name(a->code),
		                a->detail[0] != '\0' ? ": " : "", a->detail);
	*answer = a->answer;
	rco__kit_done(a);
	return answer->confirmed;
}

void rco__kit_expect_count(rco__kit_ctx *c, const rco__kit_item *item, uint64_t count)
{
	rco_result answer;
	uint32_t confirm = look(c, rco__kit_new_file(c, RCO__KIT_LIST, item), &answer);

	if (answer.count != count)
		rco__kit_broken(c, "list counted %llu where there %s %llu", (unsigned long long)answer.count,
		                count == 1 ? "is" : "are", (unsigned long long)count);
	if (confirm != (count > 0 ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE))
		rco__kit_broken(c, "list did not confirm %s with a count of %llu", count > 0 ? "PRESENT" : "GONE",
		                (unsigned long long)count);
}

/* Of a file that is there: `get` is 0, or its size. */
static int get(rco__kit_ctx *c, const rco__kit_item *item, uint8_t *data, size_t cap, size_t *size)
{
	const rco_conformance *own = &c->run->own;

	*size = 0;
	return own->get(item->key, data, cap, size, own->user_data);
}

void rco__kit_expect_hidden(rco__kit_ctx *c, const rco__kit_item *item)
{
	rco_result answer;
	size_t size;
	uint8_t byte;

	if (look(c, rco__kit_new_file(c, RCO__KIT_HEAD, item), &answer) != RCO_CONFIRM_GONE)
		rco__kit_broken(c, "head saw a file where none is to be seen");
	if (!rco__kit_over(c) && c->run->own.get != NULL) {
		int rc = get(c, item, &byte, 1, &size);

		rco__kit_expect(c, rc != RCO_OK && rc != RCO_E_LIMIT,
		                "a file is to be read where none is to be seen");
	}
}

static void expect_content(rco__kit_ctx *c, const rco__kit_item *item, uint64_t seed, size_t size)
{
	uint8_t *data = malloc(size + 1);
	size_t got = 0, i;

	if (data != NULL && !rco__kit_over(c) && c->run->own.get != NULL) {
		int rc = get(c, item, data, size + 1, &got);

		if (rc != RCO_OK || got != size)
			rco__kit_broken(c, "the file has %llu bytes (%s) where there are %llu",
			                (unsigned long long)got, rco_error_name(rc), (unsigned long long)size);
		for (i = 0; i < size && !rco__kit_over(c); i++)
			if (data[i] != rco__kit_sound(seed, i))
				rco__kit_broken(c, "the file has other bytes than were put, from byte %llu on",
				                (unsigned long long)i);
	}
	free(data);
}

static void expect_size(rco__kit_ctx *c, const rco_result *answer, size_t size)
{
	if (answer->size_bytes != size)
		rco__kit_broken(c, "head told %llu bytes of a file of %llu",
		                (unsigned long long)answer->size_bytes, (unsigned long long)size);
}

void rco__kit_expect_file(rco__kit_ctx *c, const rco__kit_item *item, uint64_t seed, size_t size)
{
	rco_result answer;

	if (look(c, rco__kit_new_file(c, RCO__KIT_HEAD, item), &answer) != RCO_CONFIRM_PRESENT)
		rco__kit_broken(c, "head saw no file where one was committed");
	expect_size(c, &answer, size);
	if (strcmp(answer.version, item->version) != 0)
		rco__kit_broken(c, "head told version \"%.60s\", and commit \"%.60s\"", answer.version,
		                item->version);
	expect_content(c, item, seed, size);
}

int rco__kit_whole_or_none(rco__kit_ctx *c, rco__kit_item *item, uint64_t seed, size_t size)
{
	rco_result answer;
	uint32_t confirm = look(c, rco__kit_new_file(c, RCO__KIT_HEAD, item), &answer);

	if (rco__kit_over(c))
		return 0;
	if (confirm != RCO_CONFIRM_PRESENT) {
		rco__kit_expect_hidden(c, item);
		return 0;
	}
	memcpy(item->version, answer.version, sizeof item->version);
	expect_size(c, &answer, size);
	expect_content(c, item, seed, size);
	return 1;
}

static rco__kit_asked *of_version(rco__kit_ctx *c, rco__kit_slot slot, const rco__kit_item *item,
                                  const char *version)
{
	rco__kit_asked *a = rco__kit_new_file(c, slot, item);

	if (a != NULL && version != item->version)
		(void)snprintf(a->version, sizeof a->version, "%s", version);
	return a;
}

void rco__kit_remove(rco__kit_ctx *c, const rco__kit_item *item, const char *version)
{
	if (c->run->own.deletion != NULL)
		rco__kit_ask_ok(c, of_version(c, RCO__KIT_REMOVE, item, version));
}

void rco__kit_expect_verified(rco__kit_ctx *c, const rco__kit_item *item, const char *version, uint32_t confirm)
{
	rco_result answer;
	uint32_t seen = look(c, of_version(c, RCO__KIT_VERIFY, item, version), &answer);

	if (seen != confirm)
		rco__kit_broken(c, "verify %s",
		                confirm == RCO_CONFIRM_PRESENT
		                        ? "did not confirm PRESENT of a file that is there"
		                        : "did not confirm GONE of a file that was removed");
}
