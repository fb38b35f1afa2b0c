/* SPDX-License-Identifier: MIT */
/*
 * An engine with a buffer of the host's, on a state folder whose spool still has calls of an earlier process. What
 * the one has is never said to be erased by the other: those calls stay with the spool until they are done with,
 * all others are the host's. The table that the engine uses then asks for each recording which of the two has it.
 */
#include "recover.h"
#include "work.h"

#include <string.h>

typedef struct in_spool {
	struct in_spool *next;
	uint8_t id[16];
} in_spool;

struct rco__left_spool {
	rco__env env;
	rco_spool *spool;
	const rco_buffer_ops *ops;
	rco_buffer_ops host;
	void *host_ud;
	rco__map has; /* recording id -> in_spool; as it was at the start, so that reading it needs no lock */
	in_spool *list;
	int rc;
};

static int has(const rco__left_spool *l, const uint8_t id[16])
{
	return rco__map_get(&l->has, id, 16) != NULL;
}

/* ---- the table ---- */

static int attach(rco_engine *engine, void *user_data)
{
	const rco__left_spool *l = user_data;

	return l->host.attach != NULL ? l->host.attach(engine, l->host_ud) : RCO_OK;
}

static void detach(rco_engine *engine, void *user_data)
{
	const rco__left_spool *l = user_data;

	if (l->host.detach != NULL)
		l->host.detach(engine, l->host_ud);
}

static int open_recording(const rco_recording *recording, uint64_t op, rco_result *result, void *user_data)
{
	const rco__left_spool *l = user_data;

	return has(l, recording->id) ? l->ops->open(recording, op, result, l->spool)
	                             : l->host.open(recording, op, result, l->host_ud);
}

static int append(const rco_chunk *chunk, uint64_t op, rco_result *result, void *user_data)
{
	const rco__left_spool *l = user_data;

	return has(l, chunk->recording_id) ? l->ops->append(chunk, op, result, l->spool)
	                                   : l->host.append(chunk, op, result, l->host_ud);
}

/* The spool answers at once, so that the operation is free for the other. */
static int flush(uint64_t op, rco_result *result, void *user_data)
{
	const rco__left_spool *l = user_data;
	int rc = l->ops->flush(op, result, l->spool);

	if (rc != RCO_OK || l->host.flush == NULL)
		return rc;
	rco__result_init(result);
	return l->host.flush(op, result, l->host_ud);
}

static int seal(const uint8_t id[16], uint64_t op, rco_result *result, void *user_data)
{
	const rco__left_spool *l = user_data;

	if (has(l, id))
		return l->ops->seal(id, op, result, l->spool);
	if (l->host.seal != NULL)
		return l->host.seal(id, op, result, l->host_ud);
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

static int read_audio(const uint8_t id[16], uint32_t leg, uint64_t position_bytes, void *data, size_t cap_bytes,
                      uint64_t op, rco_result *result, void *user_data)
{
	const rco__left_spool *l = user_data;
	int rc = RCO_E_NOT_FOUND;

	if (has(l, id))
		rc = l->ops->read(id, leg, position_bytes, data, cap_bytes, op, result, l->spool);
	if (rc != RCO_E_NOT_FOUND)
		return rc;
	rco__result_init(result);
	return l->host.read(id, leg, position_bytes, data, cap_bytes, op, result, l->host_ud);
}

static void revoke(const uint8_t id[16], void *user_data)
{
	const rco__left_spool *l = user_data;

	if (has(l, id))
		l->ops->revoke(id, l->spool);
	if (l->host.revoke != NULL)
		l->host.revoke(id, l->host_ud);
}

/* From both: an earlier version may have gone on in the host's with a call of the spool's. */
static int erase(const uint8_t id[16], uint64_t op, rco_result *result, void *user_data)
{
	const rco__left_spool *l = user_data;

	if (has(l, id)) {
		int rc = l->ops->erase(id, op, result, l->spool);

		if (rc != RCO_OK || result->confirmed != RCO_CONFIRM_GONE)
			return rc;
		rco__result_init(result);
	}
	return l->host.erase(id, op, result, l->host_ud);
}

static int scan(rco_scan_fn found, void *found_user_data, void *user_data)
{
	const rco__left_spool *l = user_data;
	int rc = l->host.scan != NULL ? l->host.scan(found, found_user_data, l->host_ud) : RCO_OK;

	/* The spool's word is the last, for it is the one that is read. */
	return rc == RCO_OK ? l->ops->scan(found, found_user_data, l->spool) : rc;
}

/* ---- made, and gone ---- */

static void note(const rco_scanned *found, void *user_data)
{
	rco__left_spool *l = user_data;
	in_spool *one = rco__zalloc(&l->env, 1, sizeof *one);

	if (one != NULL)
		memcpy(one->id, found->id, 16);
	if (one == NULL || rco__map_set(&l->has, one->id, 16, one) != RCO_OK) {
		rco__release(&l->env, one);
		l->rc = RCO_E_NO_MEMORY;
		return;
	}
	one->next = l->list;
	l->list = one;
}

void rco__left_spool_free(rco__left_spool *l)
{
	rco__env env;

	if (l == NULL)
		return;
	env = l->env;
	while (l->list != NULL) {
		in_spool *one = l->list;

		l->list = one->next;
		rco__release(&env, one);
	}
	rco__map_destroy(&l->has);
	rco__release(&env, l);
}

static int look(rco__left_spool *l, rco_spool *spool, const rco_buffer_ops *host, void *host_ud)
{
	int rc = rco__map_init(&l->has, &l->env);

	l->spool = spool;
	l->ops = rco_spool_buffer_ops();
	l->host = *host;
	l->host_ud = host_ud;
	if (rc == RCO_OK)
		rc = l->ops->scan(note, l, spool);
	return rc == RCO_OK && l->rc != RCO_OK ? rco__fail(l->rc, "no memory for what is in the spool") : rc;
}

int rco__left_spool_new(const rco__env *env, rco_spool *spool, const rco_buffer_ops *host, void *host_ud,
                        rco_buffer_ops *both, rco__left_spool **out)
{
	static const rco_buffer_ops table = {
		.struct_size = sizeof table,
		.attach = attach,
		.detach = detach,
		.open = open_recording,
		.append = append,
		.flush = flush,
		.seal = seal,
		.read = read_audio,
		.revoke = revoke,
		.erase = erase,
		.scan = scan,
	};
	rco__left_spool *l = rco__zalloc(env, 1, sizeof *l);
	int rc;

	*out = NULL;
	if (l == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for what is in the spool");
	l->env = *env;
	rc = look(l, spool, host, host_ud);
	if (rc == RCO_OK && l->list != NULL)
		rc = rco__buffer_ops_copy(both, &table);
	if (rc == RCO_OK && l->list != NULL)
		both->flags = host->flags; /* of its gaps it is told as it wants to be, and the spool as well */
	if (rc != RCO_OK || l->list == NULL) {
		rco__left_spool_free(l);
		return rc;
	}
	rco__log(env, RCO_LOG_WARN,
	         "the spool has %llu calls of an engine that used it: they are erased, or stored, from there, and "
	         "all "
	         "others use the buffer that is configured now",
	         (unsigned long long)l->has.count);
	*out = l;
	return RCO_OK;
}
