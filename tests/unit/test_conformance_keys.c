/* SPDX-License-Identifier: MIT */
/*
 * The conformance kit with a key provider: the key folder and one in memory pass, and of providers with one fault
 * each the kit says which. Only public headers.
 */
#include <recoptout/conformance.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

/* ---- a provider in memory, which keeps the keys and hands out tickets ---- */

enum {
	NONE,
	POSITIVE,       /* wrap answers a number above 0 */
	EMPTY,          /* of 0 bytes */
	TOO_LONG,       /* beyond the room */
	OTHER_KEY,      /* unwraps something else */
	PLAIN,          /* the key is in it */
	UNBOUND,        /* of any epoch */
	BELIEVES,       /* altered bytes */
	ONCE,           /* no second wrap for an epoch */
	DESTROYS_NO,    /* destroy does nothing */
	DESTROYS_ALL,   /* of others as well */
	DESTROYS_KNOWN, /* of an unknown epoch: an error */
	FORGETS,        /* at a restart */
	SAYS_LOST       /* while it cannot be reached */
};

enum { SLOTS = 4096, TICKET = 40 };

static struct provider {
	pthread_mutex_t lock;
	int fault, failing;
	size_t n;
	struct {
		uint64_t epoch, ticket;
		uint8_t key[32];
		int gone;
	} at[SLOTS];
} provider;

static int p_wrap(uint64_t epoch, const uint8_t key[32], uint8_t *wrapped, size_t *wrapped_bytes, void *user_data)
{
	struct provider *p = user_data;
	size_t i;
	int rc = RCO_OK;

	if (p->failing)
		return RCO_E_TIMEOUT;
	if (p->fault == POSITIVE)
		return 7;
	(void)pthread_mutex_lock(&p->lock);
	for (i = 0; i < p->n; i++)
		if (p->at[i].epoch == epoch) {
			rc = p->fault == ONCE ? RCO_E_STATE : RCO_OK;
			p->at[i].gone = 1;
		}
	assert_true(p->n < SLOTS);
	p->at[p->n].epoch = epoch;
	p->at[p->n].ticket = p->n;
	p->at[p->n].gone = 0;
	memcpy(p->at[p->n].key, key, 32);
	memset(wrapped, 0x11, TICKET);
	memcpy(wrapped, &p->at[p->n].ticket, 8);
	p->n++;
	(void)pthread_mutex_unlock(&p->lock);
	if (p->fault == PLAIN)
		memcpy(wrapped + 8, key, 32);
	*wrapped_bytes = TICKET;
	if (p->fault == EMPTY)
		*wrapped_bytes = 0;
	if (p->fault == TOO_LONG)
		wrapped[RCO_WRAPPED_KEY_MAX] = 1;
	return rc;
}

static int p_unwrap(uint64_t epoch, const uint8_t *wrapped, size_t wrapped_bytes, uint8_t key[32], void *user_data)
{
	struct provider *p = user_data;
	uint64_t ticket;
	size_t i;
	int rc = RCO_E_KEY;

	if (p->failing)
		return p->fault == SAYS_LOST ? RCO_E_KEY : RCO_E_TIMEOUT;
	memcpy(&ticket, wrapped, 8);
	for (i = 8; i < wrapped_bytes && p->fault != PLAIN && p->fault != BELIEVES; i++)
		if (wrapped[i] != 0x11)
			return RCO_E_KEY;
	if (wrapped_bytes != TICKET && p->fault != BELIEVES)
		return RCO_E_KEY;
	(void)pthread_mutex_lock(&p->lock);
	if (ticket < p->n && !p->at[ticket].gone && (p->at[ticket].epoch == epoch || p->fault == UNBOUND)) {
		memcpy(key, p->at[ticket].key, 32);
		key[3] ^= (uint8_t)(p->fault == OTHER_KEY);
		rc = RCO_OK;
	}
	(void)pthread_mutex_unlock(&p->lock);
	return rc;
}

static int p_destroy(uint64_t epoch, void *user_data)
{
	struct provider *p = user_data;
	int known = 0;
	size_t i;

	(void)pthread_mutex_lock(&p->lock);
	for (i = 0; i < p->n; i++) {
		int its = p->at[i].epoch == epoch;

		known |= its;
		if (p->fault != DESTROYS_NO && (its || p->fault == DESTROYS_ALL))
			p->at[i].gone = 1;
	}
	(void)pthread_mutex_unlock(&p->lock);
	return known || p->fault != DESTROYS_KNOWN ? RCO_OK : RCO_E_NOT_FOUND;
}

static const rco_key_ops p_ops = {
	.struct_size = sizeof p_ops, .wrap = p_wrap, .unwrap = p_unwrap, .destroy = p_destroy};

static int p_reopen(rco_conformance *kit, void *user_data)
{
	struct provider *p = user_data;

	(void)kit;
	if (p->fault == FORGETS)
		p->n = 0;
	return RCO_OK;
}

static int p_fail(int failing, void *user_data)
{
	((struct provider *)user_data)->failing = failing;
	return RCO_OK;
}

static rco_conformance kit_of(int fault)
{
	rco_conformance kit = {.struct_size = (uint32_t)sizeof kit};

	memset(&provider, 0, sizeof provider);
	(void)pthread_mutex_init(&provider.lock, NULL);
	provider.fault = fault;
	kit.keys = &p_ops;
	kit.keys_user_data = kit.user_data = &provider;
	kit.reopen = p_reopen;
	kit.fail = p_fail;
	return kit;
}

/* ---- what the kit says ---- */

typedef struct told {
	int held, not_tried, found;
	const char *name, *seen;
	char text[4096];
} told;

static void listen(const rco_conformance_report *r, void *user_data)
{
	told *t = user_data;
	size_t n = strlen(t->text);

	if (strncmp(r->name, "keys.", 5) != 0)
		return;
	t->held += r->outcome == RCO_CONFORMANCE_HELD;
	t->not_tried += r->outcome == RCO_CONFORMANCE_NOT_TRIED;
	if (r->outcome != RCO_CONFORMANCE_BROKEN)
		return;
	t->found |= strcmp(r->name, t->name) == 0 && strstr(r->seen, t->seen) != NULL;
	(void)snprintf(t->text + n, sizeof t->text - n, "  %s: %s, but %s\n", r->name, r->obligation, r->seen);
}

static void test_in_memory(void **state)
{
	rco_conformance kit = kit_of(NONE);
	rco_key_ops ops = p_ops;
	told t = {.name = "", .seen = ""};

	(void)state;
	assert_int_equal(rco_conformance_run(&kit, listen, &t), 0);
	assert_string_equal(t.text, "");
	assert_int_equal(t.held, 9);
	assert_int_equal(t.not_tried, 0);
	t.held = 0;
	kit.reopen = NULL;
	kit.fail = NULL;
	ops.destroy = NULL;
	kit.keys = &ops;
	assert_int_equal(rco_conformance_run(&kit, listen, &t), 0);
	assert_int_equal(t.held, 6);
	assert_int_equal(t.not_tried, 3);
	ops.unwrap = NULL;
	assert_int_equal(rco_conformance_run(&kit, listen, &t), RCO_E_OPS);
}

static void test_key_folder(void **state)
{
	const char *base = getenv("TMPDIR");
	char folder[256], lock[300];
	rco_key_dir_options o = {.struct_size = (uint32_t)sizeof o, .path = folder};
	rco_conformance kit = {.struct_size = (uint32_t)sizeof kit};
	told t = {.name = "", .seen = ""};
	rco_key_dir *keys;

	(void)state;
	(void)snprintf(folder, sizeof folder, "%s/recoptout-keys-XXXXXX", base != NULL ? base : "/tmp");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(rco_key_dir_create(&o, &keys), RCO_OK);
	kit.keys = rco_key_dir_ops();
	kit.keys_user_data = keys;
	assert_int_equal(rco_conformance_run(&kit, listen, &t), 0);
	assert_string_equal(t.text, "");
	assert_int_equal(t.held, 7);
	rco_key_dir_free(keys);
	(void)snprintf(lock, sizeof lock, "%s/lock", folder);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(rmdir(folder), 0); /* no key was left */
}

typedef struct planted {
	const char *test;
	int fault;
	const char *name, *seen;
} planted;

static const planted faults[] = {
	{"a number above 0", POSITIVE, "keys.unwrap", "wrap answered 7"},
	{"no bytes", EMPTY, "keys.unwrap", "wrap made 0 bytes"},
	{"more than there is room for", TOO_LONG, "keys.unwrap", "behind the room"},
	{"another key", OTHER_KEY, "keys.unwrap", "another key"},
	{"the key as it is", PLAIN, "keys.hidden", "the key is in it"},
	{"any epoch", UNBOUND, "keys.bound", "RCO_OK"},
	{"altered bytes", BELIEVES, "keys.altered", "altered bytes answered RCO_OK"},
	{"only one wrap", ONCE, "keys.wrap-again", "the second wrap failed"},
	{"destroy does nothing", DESTROYS_NO, "keys.destroy", "a destroyed epoch answered RCO_OK"},
	{"destroy takes all", DESTROYS_ALL, "keys.destroy", "unwrap answered RCO_E_KEY"},
	{"destroy has to know it", DESTROYS_KNOWN, "keys.destroy", "destroy answered RCO_E_NOT_FOUND"},
	{"a restart", FORGETS, "keys.restart", "unwrap answered RCO_E_KEY"},
	{"lost, where it cannot be reached", SAYS_LOST, "keys.unreachable", "means that the key is lost"},
};

enum { FAULTS = sizeof faults / sizeof faults[0] };

static void test_fault(void **state)
{
	const planted *f = *state;
	told t = {.name = f->name, .seen = f->seen};
	rco_conformance kit = kit_of(f->fault);
	int rc = rco_conformance_run(&kit, listen, &t);

	if (!t.found || rc <= 0)
		fail_msg("%s is not among %d:\n%s", f->name, rc, t.text);
}

int main(void)
{
	const struct CMUnitTest first[] = {cmocka_unit_test(test_in_memory), cmocka_unit_test(test_key_folder)};
	struct CMUnitTest each[FAULTS];
	int i, failed;

	for (i = 0; i < FAULTS; i++)
		each[i] =
			(struct CMUnitTest){faults[i].test, test_fault, NULL, NULL, (void *)(uintptr_t)&faults[i]};
	failed = cmocka_run_group_tests_name("conformance of key providers", first, NULL, NULL);
	return failed + _cmocka_run_group_tests("faulty key providers", each, FAULTS, NULL, NULL);
}
