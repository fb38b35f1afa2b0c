/* SPDX-License-Identifier: MIT */
/* The list of calls: who is in it, and when one is forgotten. */
#include "calls.h"

#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_NS INT64_C(1000000000)

enum { LONGEST_CALL_S = 7 * 86400, LEARN_FIRST_MS = 500 };

/* The clock of file times. */
int64_t file_clock_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return t.tv_sec * SECOND_NS + t.tv_nsec;
}

void note(const char *call_id, const char *what, const char *why)
{
	(void)fprintf(stderr, "recorders: %s: %s%s%s\n", call_id, what, why[0] != '\0' ? ": " : "", why);
}

const char *rec_value(const rec_call *call, const char *key)
{
	size_t i;

	for (i = 0; i < call->n; i++)
		if (strcmp(call->given[i].key, key) == 0)
			return call->given[i].value;
	return NULL;
}

/* ---- the list ---- */

entry *entry_new(gateway *g, const char *call_id)
{
	entry *e = calloc(1, sizeof *e);

	if (e == NULL)
		return NULL;
	e->g = g;
	e->refs = 1;
	e->since_ns = file_clock_ns();
	e->learn_ms = net_now_ms() + LEARN_FIRST_MS;
	(void)pthread_mutex_lock(&g->lock);
	e->number = ++g->last_number;
	(void)pthread_mutex_unlock(&g->lock);
	(void)snprintf(e->parts[0].id, sizeof e->parts[0].id, "%s", call_id);
	return e;
}

void entry_add(entry *e)
{
	gateway *g = e->g;

	(void)pthread_mutex_lock(&g->lock);
	e->refs++;
	e->next = g->calls;
	g->calls = e;
	(void)pthread_mutex_unlock(&g->lock);
}

void entry_unref(entry *e)
{
	int last;

	if (e == NULL)
		return;
	(void)pthread_mutex_lock(&e->g->lock);
	last = --e->refs == 0;
	(void)pthread_mutex_unlock(&e->g->lock);
	if (!last)
		return;
	while (e->known != NULL) {
		known_file *k = e->known;

		e->known = k->next;
		free(k);
	}
	rco_session_free(e->session);
	free(e);
}

entry *entry_find(gateway *g, const char *call_id)
{
	entry *e;

	(void)pthread_mutex_lock(&g->lock);
	for (e = g->calls; e != NULL && strcmp(e->parts[0].id, call_id) != 0;)
		e = e->next;
	if (e != NULL)
		e->refs++;
	(void)pthread_mutex_unlock(&g->lock);
	return e;
}

entry *entry_next(gateway *g, entry *e)
{
	entry *next;

	(void)pthread_mutex_lock(&g->lock);
	next = e != NULL ? e->next : g->calls;
	if (next != NULL)
		next->refs++;
	(void)pthread_mutex_unlock(&g->lock);
	entry_unref(e);
	return next;
}

entry *entry_of(gateway *g, const rco_object *object)
{
	entry *e;

	(void)pthread_mutex_lock(&g->lock);
	for (e = g->calls; e != NULL; e = e->next)
		if (memcmp(e->recording, object->recording_id, 16) == 0 ||
		    memcmp(e->before, object->recording_id, 16) == 0)
			break;
	for (e = e != NULL ? e : g->calls; e != NULL; e = e->next)
		if (strcmp(e->parts[0].id, object->call_id) == 0)
			break;
	if (e != NULL)
		e->refs++;
	(void)pthread_mutex_unlock(&g->lock);
	return e;
}

/* ---- forgetting ---- */

/* Of an opted out call: nothing is left for the library to do. */
static int is_done(entry *e)
{
	rco_receipt *r = NULL;
	int rc = e->session != NULL ? rco_session_receipt(e->session, &r)
	                            : rco_engine_receipt(e->g->engine, e->parts[0].id, &r);
	uint32_t status = rco_receipt_status(r), facts = rco_receipt_facts(r);

	rco_receipt_free(r);
	return rc == RCO_E_NOT_FOUND || status == RCO_STATUS_VERIFIED || status == RCO_STATUS_NOT_RECORDING ||
	       (facts & RCO_FACT_VERIFIED) ||
	       ((facts & RCO_FACT_STOPPED) && (facts & RCO_FACT_UNREGISTERED)); /* and no file of it was found */
}

void entry_retire(entry *e)
{
	gateway *g = e->g;
	int64_t now = file_clock_ns(), wait_ns = g->o.watch_s * SECOND_NS,
		window_ns = g->o.late_opt_out_ms * INT64_C(1000000);
	entry **at = &g->calls;
	int over;

	if (!entry_opted_out(e) && wait_ns < window_ns + 2 * SECOND_NS)
		wait_ns = window_ns + 2 * SECOND_NS;
	if (e->ended_ns == 0 && now - e->since_ns > LONGEST_CALL_S * SECOND_NS) {
		note(e->parts[0].id, "no end of it was said for a week: it has ended", "");
		(void)rco_session_end(e->session);
		e->ended_ns = now;
	}
	if (e->ended_ns == 0 || now - e->ended_ns < wait_ns || (e->opted_out && !is_done(e)))
		return;
	(void)pthread_mutex_lock(&g->lock);
	over = !e->asks && !e->ending && !e->attempting && e->op == 0 && !e->wanted && (!e->opted_out || e->clear);
	while (over && *at != e)
		at = &(*at)->next;
	if (over)
		*at = e->next;
	(void)pthread_mutex_unlock(&g->lock);
	if (!over)
		return;
	(void)journal_put(g->journal, json_pack("{s:I}", "n", e->number));
	entry_unref(e); /* the list's */
}

int entry_opted_out(entry *e)
{
	rco_receipt *r = NULL;
	int news;

	if (e->opted_out)
		return 1;
	if (e->session == NULL || rco_session_receipt(e->session, &r) != RCO_OK)
		return 0;
	rco_receipt_free(r);
	(void)pthread_mutex_lock(&e->g->lock);
	news = !e->opted_out;
	e->opted_out = 1;
	e->learn_ms = net_now_ms();
	if (news && !e->asks &&
	    !e->clear) /* the end of the call had stopped it, and the library does not ask again */
		e->wanted++;
	(void)pthread_mutex_unlock(&e->g->lock);
	if (news)
		(void)entry_save(e);
	return 1;
}
