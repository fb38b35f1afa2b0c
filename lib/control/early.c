/* SPDX-License-Identifier: MIT */
/*
 * A share of the opt-outs for calls not known (early_opt_outs_max) for each user but root and the engine's:
 * one who could fill all would keep the others from opting out calls to come. What a user noted counts until the
 * call came or its time is over; the engine is asked, which forgets none for another.
 */
#include "control.h"

#include "../base/error.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So many are looked at for one request that finds no room: as many come as have gone in the end, and nobody
 * waits. */
enum { LOOK_AT = 32 };

typedef struct noted {
	struct noted *next;
	char call_id[];
} noted;

struct rco__noter {
	struct rco__noter *next;
	uid_t uid;
	uint32_t n;
	noted *first, **last; /* the oldest first, but for those that were looked at */
};

static int is_bounded(uid_t uid)
{
	return uid != 0 && uid != geteuid();
}

static rco__noter *find(rco_control *control, uid_t uid)
{
	rco__noter *u = control->noters;

	while (u != NULL && u->uid != uid)
		u = u->next;
	return u;
}

static void put(rco__noter *u, noted *one)
{
	one->next = NULL;
	*u->last = one;
	u->last = &one->next;
	u->n++;
}

static noted *take(rco__noter *u)
{
	noted *one = u->first;

	u->first = one->next;
	if (u->first == NULL)
		u->last = &u->first;
	u->n--;
	return one;
}

/* Does it wait for a call still? */
static int waits(rco_control *control, const char *call_id)
{
	rco_receipt *receipt = NULL;
	uint32_t status;
	int early;

	if (rco_engine_receipt(control->engine, call_id, &receipt) != RCO_OK)
		return 0;
	status = rco_receipt_status(receipt);
	early = (rco_receipt_facts(receipt) & RCO_FACT_EARLY) != 0;
	rco_receipt_free(receipt);
	return status == RCO_STATUS_NOTED || (status == RCO_STATUS_REQUESTED && early);
}

static void look(rco_control *control, rco__noter *u)
{
	uint32_t i, most = u->n < LOOK_AT ? u->n : (uint32_t)LOOK_AT;

	for (i = 0; i < most; i++) {
		noted *one = take(u);

		if (waits(control, one->call_id))
			put(u, one);
		else
			free(one);
	}
}

/* Is there anything of it that an opt-out would be for? A receipt, or a call that was not opted out. */
static int is_known(rco_control *control, const char *call_id)
{
	return rco_engine_stop_recorder(control->engine, call_id) == RCO_E_STATE;
}

int rco__early_may(rco_control *control, uid_t uid, const char *call_id, int *is_new)
{
	rco_receipt *receipt = NULL;
	rco__noter *u;
	int rc;

	*is_new = 0;
	if (!is_bounded(uid))
		return RCO_OK;
	rc = rco_engine_receipt(control->engine, call_id, &receipt);
	rco_receipt_free(receipt);
	/* The same again, or an id that is none. An opt-out of long ago may be noted again, and counts for nobody:
	 * of those there are as many as there were calls. */
	if (rc != RCO_E_NOT_FOUND)
		return RCO_OK;
	*is_new = 1;
	u = find(control, uid);
	if (u != NULL && u->n >= control->early_per_user)
		look(control, u);
	if (u == NULL || u->n < control->early_per_user || is_known(control, call_id))
		return RCO_OK;
	return rco__fail(
		RCO_E_LIMIT,
		"%u opt-outs of user %u for calls not known are waiting already (early_per_user): nothing "
		"was kept",
		(unsigned)u->n, (unsigned)uid);
}

/* Without memory one more may come. */
void rco__early_note(rco_control *control, uid_t uid, const char *call_id)
{
	const size_t size = strlen(call_id) + 1;
	rco__noter *u = find(control, uid);
	noted *one;

	if (!waits(control, call_id))
		return;
	if (u == NULL) {
		u = calloc(1, sizeof *u);
		if (u == NULL)
			return;
		u->uid = uid;
		u->last = &u->first;
		u->next = control->noters;
		control->noters = u;
	}
	one = malloc(sizeof *one + size);
	if (one == NULL)
		return;
	memcpy(one->call_id, call_id, size);
	put(u, one);
}

void rco__early_free(rco_control *control)
{
	while (control->noters != NULL) {
		rco__noter *u = control->noters;

		control->noters = u->next;
		while (u->first != NULL)
			free(take(u));
		free(u);
	}
}
