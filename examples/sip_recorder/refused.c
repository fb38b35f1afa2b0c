/* SPDX-License-Identifier: MIT */
/*
 * What a caller preferred in an INVITE that was not answered with 200. Who tries again keeps the Call-ID and the
 * tag of the From header, and may leave out what was refused (RFC 3261, section 8.1.3.5): an objection holds for
 * the next INVITE, too. It has to come from the same host, so that nobody objects for somebody else.
 */
#include "recorder.h"

enum { REFUSED_MAX = 256 }; /* test_requests.py knows it */

struct refused {
	struct le le;
	char *call_id, *tag;
	struct sa peer;
	uint32_t preference; /* off or pause: nothing else has to be kept, for nothing is paused before a call */
};

static void destroy(void *arg)
{
	refused *r = arg;

	list_unlink(&r->le);
	mem_deref(r->call_id);
	mem_deref(r->tag);
}

static bool is_same(const refused *r, const struct sip_msg *msg)
{
	return pl_strcmp(&msg->callid, r->call_id) == 0 && pl_strcmp(&msg->from.tag, r->tag) == 0 &&
	       sa_cmp(&r->peer, &msg->src, SA_ADDR);
}

static refused *find(const server *s, const struct sip_msg *msg)
{
	struct le *le;

	LIST_FOREACH(&s->refused, le)
	{
		if (is_same(le->data, msg))
			return le->data;
	}
	return NULL;
}

/* The oldest has to go; of its own, if one host has filled half of the list. */
static void make_room(server *s, const struct sa *peer)
{
	refused *own = NULL;
	struct le *le;
	uint32_t all = 0, owned = 0;

	LIST_FOREACH(&s->refused, le)
	{
		refused *r = le->data;

		all++;
		if (!sa_cmp(&r->peer, peer, SA_ADDR))
			continue;
		owned++;
		own = own != NULL ? own : r;
	}
	if (all >= REFUSED_MAX)
		refused_forget(owned > REFUSED_MAX / 2 ? own : list_head(&s->refused)->data);
}

static refused *add(server *s, const struct sip_msg *msg)
{
	refused *r;

	make_room(s, &msg->src);
	r = mem_zalloc(sizeof *r, destroy);
	if (r == NULL)
		return NULL;
	r->peer = msg->src;
	/* A tag that is missing is as good as an empty one: pl_strdup() takes none of both. */
	if (re_sdprintf(&r->call_id, "%r", &msg->callid) != 0 || re_sdprintf(&r->tag, "%r", &msg->from.tag) != 0)
		return mem_deref(r);
	list_append(&s->refused, &r->le, r);
	return r;
}

refused *refused_note(server *s, const struct sip_msg *msg, uint32_t *before)
{
	uint32_t preference = party_preference(msg);
	refused *r = find(s, msg);

	*before = r != NULL ? r->preference : RCO_RECORDPREF_ABSENT;
	if (preference < RCO_RECORDPREF_PAUSE)
		return r;
	if (r == NULL)
		r = add(s, msg);
	if (r == NULL)
		complain("no memory: an objection will not hold if its INVITE is refused");
	else if (preference > r->preference)
		r->preference = preference;
	return r;
}

/* The list's reference goes, if it was not pushed out before. */
void refused_forget(refused *r)
{
	if (r == NULL || r->le.list == NULL)
		return;
	list_unlink(&r->le);
	mem_deref(r);
}
