/* SPDX-License-Identifier: MIT */
/*
 * Opt-outs for calls not known, through the control socket: a user has a share of them (early_per_user), is told
 * when it is used up, and takes nothing from others with it.
 */
#include "control_socket.h"

#include <grp.h>

enum { SHARE = 3 };

/* What another user asks, in a child. Exits with 0, or with the number of the request that was answered otherwise.
 */
typedef struct asker {
	const char *path;
	uint32_t uid;
	const struct asked *asked;
} asker;

typedef struct asked {
	const char *request;
	int code;
	const char *says;
} asked;

#define OPT_OUT(id) "{\"do\":\"opt_out\",\"call_id\":\"" id "\"}"
#define STATUS(id)  "{\"do\":\"status\",\"call_id\":\"" id "\"}"
#define TOOL_CALL(id)                                                                                             \
	"{\"do\":\"tool_call\",\"call_id\":\"" id                                                                 \
	"\",\"dialect\":\"anthropic\",\"message\":{\"type\":\"tool_use\",\"id\":\"t\","                           \
	"\"name\":\"" RCO_TOOL_NAME "\",\"input\":{}}}"

static int answered(rco_client *c, const asked *a)
{
	const char *line = NULL;
	json_t *answer;
	int good;

	if (rco_client_request(c, a->request, &line) != RCO_OK)
		return 0;
	answer = json_loads(line, 0, NULL);
	good = number(answer, "code") == a->code && (a->says == NULL || strstr(line, a->says) != NULL);
	if (!good)
		(void)fprintf(stderr, "%s\n  was answered: %s\n", a->request, line);
	json_decref(answer);
	return good;
}

static void ask_all(void *arg)
{
	const asker *who = arg;
	const gid_t group = who->uid;
	rco_client_options o = {.struct_size = (uint32_t)sizeof o,
	                        .flags = RCO_CLIENT_SERVER_UID,
	                        .server_uid = 0,
	                        .timeout_ms = 20000,
	                        .path = t_go_inside(who->path)};
	rco_client *c = NULL;
	int i;

	if (setgroups(1, &group) != 0 || setgid(group) != 0 || setuid(who->uid) != 0 ||
	    rco_client_open(&o, &c) != RCO_OK)
		_exit(255);
	for (i = 0; who->asked[i].request != NULL; i++)
		if (!answered(c, &who->asked[i]))
			_exit(i + 1);
	_exit(0);
}

static void ask_as(const control_socket *d, uint32_t uid, const asked *all)
{
	asker who = {.path = d->path, .uid = uid, .asked = all};

	assert_int_equal(t_reap(t_spawn(ask_all, &who)), 0);
}

static void begin_and_end(control_socket *d, const char *call_id)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = call_id};
	rco_session *s;

	assert_int_equal(rco_session_create(d->w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
}

static void test_a_share_for_each_user(void **state)
{
	static const uint32_t users[] = {4242, 4243};
	static const asked first[] = {{OPT_OUT("e0"), RCO_OK, "\"noted\""},
	                              {TOOL_CALL("e1"), RCO_OK, "\"noted\""},
	                              {OPT_OUT("e2"), RCO_OK, "\"noted\""},
	                              {OPT_OUT("e3"), RCO_E_LIMIT, "early_per_user"},
	                              {TOOL_CALL("e3"), RCO_E_LIMIT, "\"is_error\":true"},
	                              {STATUS("e3"), RCO_E_NOT_FOUND, NULL}, /* nothing was kept, by either */
	                              {OPT_OUT("e1"), RCO_OK, "\"noted\""},  /* the same again */
	                              {OPT_OUT("known"), RCO_OK, NULL},      /* and a call that is known */
	                              {OPT_OUT("known"), RCO_OK, NULL},
	                              {OPT_OUT("a\\u0001b"), RCO_E_CALL_ID, NULL}, /* what is none is told so */
	                              {NULL, 0, NULL}};
	static const asked second[] = {{OPT_OUT("e3"), RCO_OK, "\"noted\""},
	                               {OPT_OUT("e0"), RCO_OK, "\"noted\""}, /* counts for who noted it */
	                               {OPT_OUT("e4"), RCO_OK, NULL},
	                               {OPT_OUT("e5"), RCO_OK, NULL},
	                               {OPT_OUT("e6"), RCO_E_LIMIT, NULL},
	                               {NULL, 0, NULL}};
	static const asked again[] = {
		{OPT_OUT("e6"), RCO_OK, NULL}, {OPT_OUT("e7"), RCO_E_LIMIT, NULL}, {NULL, 0, NULL}};
	rco_control_options o = {.allowed_uids = users, .n_allowed_uids = 2, .early_per_user = SHARE};
	char request[64];
	rco_session *s;
	rco_client *c;
	control_socket d;
	int i;

	(void)state;
	if (geteuid() != 0) {
		print_message("    only root can come as somebody else\n");
		return;
	}
	open_with(&d, T_WORKERS, &o);
	assert_int_equal(chmod(d.w.root, 0711), 0);
	s = t_call(&d.w, "known");
	t_push(s, 0, 1, 0, 10);
	ask_as(&d, 4242, first);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	rco_session_free(s);
	ask_as(&d, 4243, second);
	c = come(&d); /* root, and the engine's user, have what there is */
	for (i = 0; i < 3 * SHARE; i++) {
		(void)snprintf(request, sizeof request, OPT_OUT("root-%d"), i);
		expect(c, request, RCO_OK);
	}
	rco_client_close(c);
	begin_and_end(&d, "e1"); /* a call that came makes room */
	ask_as(&d, 4242, again);
	close_control(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_share_for_each_user),
	};

	(void)setenv("TMPDIR", "/tmp", 1); /* other users get there, wherever the tests are */
	return cmocka_run_group_tests_name("opt-outs of users for calls not known", tests, NULL, NULL);
}
