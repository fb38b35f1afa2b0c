/* SPDX-License-Identifier: MIT */
/*
 * Who gets in at the control socket, and that nobody is locked out: by slow, half-open, silent or deaf clients, by
 * many of them, by other users, or by a lack of descriptors.
 */
#include "control_socket.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- users ---- */

enum { ANSWERED = 0, UNHEARD = 1, NOT_CONNECTED = 2, NOT_EXPECTED = 3, NOT_SERVED = 4 };

/* What another user tries. */
typedef struct stranger {
	const char *path;
	uint32_t uid, gid;
	uint32_t server; /* whom it expects; (uint32_t)-1: its own user */
	int clients;     /* that it opens besides and keeps open */
	int pipe[2];     /* told when all is done; ends when it may go */
	int flooded;     /* gets a byte when they are open; 0: nobody asks */
	int go[2];       /* if not the same: ends when it may go */
	pid_t pid;
} stranger;

static int client_of(const stranger *who, rco_client **c)
{
	rco_client_options o = {.struct_size = (uint32_t)sizeof o, .timeout_ms = 20000, .path = who->path};

	if (who->server == (uint32_t)-1)
		return rco_client_connect(who->path, 20000, c);
	o.flags = RCO_CLIENT_SERVER_UID;
	o.server_uid = who->server;
	return rco_client_open(&o, c);
}

static void become(stranger *who)
{
	gid_t none = who->gid;

	who->path = t_go_inside(who->path);
	if (setgroups(1, &none) != 0 || setgid(who->gid) != 0 || setuid(who->uid) != 0)
		_exit(9);
}

static void knock(void *arg)
{
	stranger *who = arg;
	const char *answer = NULL;
	rco_client *c = NULL;
	int rc;

	become(who);
	rc = client_of(who, &c);
	if (rc != RCO_OK)
		_exit(rc == RCO_E_PERMISSION && strstr(rco_error_detail(), "served by") != NULL ? NOT_EXPECTED
		                                                                                : NOT_CONNECTED);
	_exit(rco_client_request(c, "{\"do\":\"hello\"}", &answer) == RCO_OK ? ANSWERED : UNHEARD);
}

static int try_as(const control_socket *d, uint32_t uid, uint32_t gid)
{
	stranger who = {.path = d->path, .uid = uid, .gid = gid, .server = (uint32_t)geteuid()};

	return t_reap(t_spawn(knock, &who));
}

static uint32_t mode_of(const control_socket *d)
{
	struct stat st;

	assert_int_equal(stat(d->path, &st), 0);
	return st.st_mode & 07777;
}

static int only_root(void)
{
	if (geteuid() == 0)
		return 0;
	print_message("    only root can try to come as somebody else\n");
	return 1;
}

static void test_allowed_users(void **state)
{
	static const uint32_t friends[] = {4242, 4243};
	rco_control_options o = {.allowed_uids = friends, .n_allowed_uids = 2};
	stranger who = {.uid = 4243, .gid = 4243, .server = (uint32_t)-1};
	control_socket d;

	(void)state;
	open_with(&d, T_WORKERS, &o);
	assert_int_equal(mode_of(&d), 0666);
	if (!only_root()) {
		assert_int_equal(chmod(d.w.root, 0711), 0);
		assert_int_equal(try_as(&d, 4243, 4243), ANSWERED);
		assert_int_equal(try_as(&d, 4244, 4244), UNHEARD);
		assert_int_equal(try_as(&d, 4244, 0), UNHEARD);
		/* somebody who expects to be served by himself */
		who.path = d.path;
		assert_int_equal(t_reap(t_spawn(knock, &who)), geteuid() == 0 ? ANSWERED : NOT_EXPECTED);
		assert_int_equal(chmod(d.w.root, 0700), 0);
		assert_int_equal(try_as(&d, 4243, 4243), NOT_CONNECTED); /* the folder decides as well */
	}
	close_control(&d);
}

static void test_nobody_else_without_options(void **state)
{
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	assert_int_equal(mode_of(&d), 0600);
	if (!only_root()) {
		assert_int_equal(chmod(d.w.root, 0711), 0);
		assert_int_equal(try_as(&d, 4243, 4243), NOT_CONNECTED);
		assert_int_equal(chmod(d.path, 0666), 0); /* and if somebody opened it, who it is decides */
		assert_int_equal(try_as(&d, 4243, 4243), UNHEARD);
	}
	close_control(&d);
}

static void test_a_group(void **state)
{
	static const uint32_t friends[] = {4242};
	rco_control_options o = {.flags = RCO_CONTROL_GROUP, .gid = 4300};
	rco_control *second = NULL;
	struct stat st;
	control_socket d;

	(void)state;
	if (only_root())
		return;
	open_with(&d, T_WORKERS, &o);
	assert_int_equal(mode_of(&d), 0660);
	assert_int_equal(stat(d.path, &st), 0);
	assert_int_equal(st.st_gid, 4300);
	assert_int_equal(chown(d.w.root, (uid_t)-1, 4300), 0);
	assert_int_equal(chmod(d.w.root, 0750), 0);
	assert_int_equal(try_as(&d, 4242, 4300), ANSWERED);
	assert_int_equal(try_as(&d, 4243, 4300), ANSWERED);
	assert_int_equal(try_as(&d, 4242, 4301), NOT_CONNECTED);
	close_control(&d);
	/* of the group those that are named */
	o.allowed_uids = friends;
	o.n_allowed_uids = 1;
	open_with(&d, T_WORKERS, &o);
	assert_int_equal(mode_of(&d), 0660);
	assert_int_equal(chmod(d.w.root, 0711), 0);
	assert_int_equal(try_as(&d, 4242, 4300), ANSWERED);
	assert_int_equal(try_as(&d, 4243, 4300), UNHEARD);
	assert_int_equal(try_as(&d, 4242, 4301), NOT_CONNECTED);
	/* a group that does not come with its flag, or a flag that there is not */
	o.flags = 0;
	o.path = "other";
	assert_int_equal(rco_control_open(d.w.engine, &o, &second), RCO_E_INVALID);
	o.flags = 2;
	assert_int_equal(rco_control_open(d.w.engine, &o, &second), RCO_E_NEWER);
	close_control(&d);
}

static void serve_as_another(void *arg)
{
	stranger *who = arg;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, c, i;

	become(who);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", who->path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 8) != 0)
		_exit(9);
	(void)close(who->pipe[0]);
	(void)!write(who->pipe[1], "", 1);
	for (i = 0; i < 3; i++) { /* until each has gone */
		c = accept(fd, NULL, NULL);
		if (c < 0 || read(c, address.sun_path, 1) < 0)
			_exit(8);
	}
	_exit(0);
}

/* A client says whom it expects; root may serve in any case. */
static void test_whom_a_client_expects(void **state)
{
	stranger who = {.uid = 4243, .gid = 4243};
	rco_client_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_CLIENT_SERVER_UID};
	char path[108], root[128];
	rco_client *c = NULL;
	pid_t pid;
	char byte;

	(void)state;
	if (only_root())
		return;
	t_tempdir(NULL, root, sizeof root);
	assert_int_equal(chmod(root, 0777), 0);
	t_join(path, sizeof path, root, "sock");
	who.path = path;
	assert_int_equal(pipe(who.pipe), 0);
	pid = t_spawn(serve_as_another, &who);
	(void)close(who.pipe[1]);
	assert_int_equal(read(who.pipe[0], &byte, 1), 1);
	(void)close(who.pipe[0]);
	assert_int_equal(rco_client_connect(path, 5000, &c), RCO_E_PERMISSION);
	o.path = path;
	o.server_uid = 4244;
	assert_int_equal(rco_client_open(&o, &c), RCO_E_PERMISSION);
	o.server_uid = 4243;
	assert_int_equal(rco_client_open(&o, &c), RCO_OK);
	rco_client_close(c);
	assert_int_equal(t_reap(pid), 0);
	t_rmtree(root);
}

/* Keeps as many connections as it can. It must not have the test's, or nobody would see when one is closed. */
static void hog(void *arg)
{
	stranger *who = arg;
	char byte;
	int i;

	become(who);
	for (i = 3; i < 200; i++)
		if (i != who->pipe[0] && i != who->flooded)
			(void)close(i);
	for (i = 0; i < who->clients; i++) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", who->path);
		if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
			_exit(8);
		if (i % 2 == 0)
			(void)send(fd, "{\"do\":\"events\"}\n", 16, MSG_NOSIGNAL);
		else
			(void)send(fd, "{\"do\":", 6, MSG_NOSIGNAL);
	}
	if (who->flooded != 0)
		(void)!write(who->flooded, "", 1);
	(void)!read(who->pipe[0], &byte, 1); /* until it may go */
	_exit(0);
}

/* One user's many connections take nobody else's place, nor the last of his own. */
static void test_no_user_locks_out_another(void **state)
{
	static const uint32_t friends[] = {4242, 4243};
	rco_control_options o = {.allowed_uids = friends, .n_allowed_uids = 2, .max_clients = 8, .idle_ms = 60000};
	stranger who = {.uid = 4242, .gid = 4242, .clients = 40};
	rco_client *mine[3];
	int i, flooded[2];
	rco_session *s;
	pid_t pid;
	char byte;
	control_socket d;

	(void)state;
	if (only_root())
		return;
	open_with(&d, T_WORKERS, &o);
	assert_int_equal(chmod(d.w.root, 0711), 0);
	for (i = 0; i < 3; i++) {
		mine[i] = come(&d);
		expect(mine[i], i == 0 ? "{\"do\":\"events\"}" : "{\"do\":\"hello\"}", RCO_OK);
	}
	who.path = d.path;
	assert_int_equal(pipe(who.pipe), 0);
	assert_int_equal(pipe(flooded), 0);
	who.flooded = flooded[1];
	pid = t_spawn(hog, &who);
	(void)close(who.pipe[0]);
	(void)close(flooded[1]);
	for (i = 0; i < 10; i++) { /* while it floods */
		served(&d);
		assert_int_equal(try_as(&d, 4243, 4243), ANSWERED);
	}
	/* While it goes on a user's own flood takes the user's own places; once all are open the last one has
	 * room. */
	assert_int_equal(read(flooded[0], &byte, 1), 1);
	(void)close(flooded[0]);
	for (i = 0; i < 10; i++) {
		served(&d);
		assert_int_equal(try_as(&d, 4243, 4243), ANSWERED);
		assert_int_equal(try_as(&d, 4242, 4242), ANSWERED);
	}
	s = t_call(&d.w, "mine");
	for (i = 0; i < 3; i++) /* those that were there are there still */
		expect(mine[i], "{\"do\":\"opt_out\",\"call_id\":\"mine\"}", RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	(void)close(who.pipe[1]);
	assert_int_equal(t_reap(pid), 0);
	for (i = 0; i < 3; i++)
		rco_client_close(mine[i]);
	rco_session_free(s);
	close_control(&d);
}

/* Keeps connections until it may go. Ends with how many of them were closed meanwhile. */
static void stay(void *arg)
{
	stranger *who = arg;
	const char *answer = NULL;
	rco_client *c[8];
	int i, lost = 0;
	char byte;

	become(who);
	(void)close(who->go[1]);
	for (i = 0; i < who->clients; i++)
		if (client_of(who, &c[i]) != RCO_OK ||
		    rco_client_request(c[i], "{\"do\":\"hello\"}", &answer) != RCO_OK)
			_exit(100);
	(void)!write(who->pipe[1], "", 1);
	(void)!read(who->go[0], &byte, 1);
	for (i = 0; i < who->clients; i++)
		lost += rco_client_request(c[i], "{\"do\":\"hello\"}", &answer) != RCO_OK;
	_exit(lost);
}

static void settle(stranger *who, const char *path, uint32_t server, uint32_t uid)
{
	char byte;

	*who = (stranger){.path = path, .uid = uid, .gid = uid, .server = server, .clients = 1};
	assert_int_equal(pipe(who->pipe), 0);
	assert_int_equal(pipe(who->go), 0);
	who->pid = t_spawn(stay, who);
	(void)close(who->pipe[1]);
	assert_int_equal(read(who->pipe[0], &byte, 1), 1);
	(void)close(who->pipe[0]);
	(void)close(who->go[0]);
}

static int lost_by(const stranger *who)
{
	assert_int_equal(write(who->go[1], "", 1), 1); /* others have inherited it: to close it tells nothing */
	(void)close(who->go[1]);
	return t_reap(who->pid);
}

/* Half of the places are for root, if it wants them, and no more: many users with one each do not keep it out. */
static void test_half_of_the_places(void **state)
{
	static const uint32_t friends[] = {4240, 4241, 4242, 4243, 4244, 4245};
	rco_control_options o = {.allowed_uids = friends, .n_allowed_uids = 6, .max_clients = 8, .idle_ms = 60000};
	stranger others[6];
	const char *answer = NULL;
	rco_client *mine[5];
	int i, lost = 0;
	control_socket d;

	(void)state;
	if (only_root())
		return;
	open_with(&d, T_WORKERS, &o);
	assert_int_equal(chmod(d.w.root, 0711), 0);
	for (i = 0; i < 2; i++) {
		mine[i] = come(&d);
		expect(mine[i], "{\"do\":\"hello\"}", RCO_OK);
	}
	for (i = 0; i < 6; i++)
		settle(&others[i], d.path, 0, friends[i]);
	for (i = 2; i < 5; i++) {
		mine[i] = come(&d);
		expect(mine[i], "{\"do\":\"hello\"}", RCO_OK);
	}
	for (i = 1; i < 5; i++)
		expect(mine[i], "{\"do\":\"hello\"}", RCO_OK);
	/* the fifth is one of the others' half, and they have one each: its user has lost one of its own */
	assert_int_equal(rco_client_request(mine[0], "{\"do\":\"hello\"}", &answer), RCO_E_IO);
	for (i = 0; i < 6; i++)
		lost += lost_by(&others[i]);
	assert_int_equal(lost, 2);
	for (i = 0; i < 5; i++)
		rco_client_close(mine[i]);
	close_control(&d);
}

/* Serves as another user, with three connections of its own. Ends with how many of those were closed. */
static void serve_half(void *arg)
{
	static const uint32_t friends[] = {4243, 4244};
	rco_control_options o = {.allowed_uids = friends, .n_allowed_uids = 2, .max_clients = 8, .idle_ms = 60000};
	stranger *who = arg;
	const char *answer = NULL;
	rco_client *c[3];
	char byte;
	int i, lost = 0;
	control_socket d;

	if (setgid(who->gid) != 0 || setuid(who->uid) != 0)
		_exit(9);
	(void)close(who->go[1]);
	open_with(&d, T_WORKERS, &o);
	if (chmod(d.w.root, 0711) != 0)
		_exit(9);
	for (i = 0; i < 3; i++) {
		c[i] = come(&d);
		expect(c[i], "{\"do\":\"hello\"}", RCO_OK);
	}
	(void)!write(who->pipe[1], d.path, sizeof d.path);
	(void)!read(who->go[0], &byte, 1);
	for (i = 0; i < 3; i++) {
		lost += rco_client_request(c[i], "{\"do\":\"hello\"}", &answer) != RCO_OK;
		rco_client_close(c[i]);
	}
	close_control(&d);
	_exit(lost);
}

static void look_at_tmp(void *arg)
{
	const char *tmp = getenv("TMPDIR");
	const stranger *who = arg;

	if (setgid(who->gid) != 0 || setuid(who->uid) != 0)
		_exit(9);
	_exit(access(tmp != NULL ? tmp : "/tmp", W_OK | X_OK) == 0 ? 0 : 1);
}

/* An engine of another user needs folders of its own, all the way down. */
static int gets_to_tmp(stranger *who)
{
	if (t_reap(t_spawn(look_at_tmp, who)) == 0)
		return 1;
	print_message("    no other user gets to the folder for temporary files here: not tried\n");
	return 0;
}

/* Root and the engine's user have one half together: with more than that they have to give way, and not the one
 * connection of a user who has no other. */
static void test_half_of_two_users(void **state)
{
	rco_client_options o = {.struct_size = (uint32_t)sizeof o,
	                        .flags = RCO_CLIENT_SERVER_UID,
	                        .timeout_ms = 20000,
	                        .server_uid = 4250};
	stranger server = {.uid = 4250, .gid = 4250}, first;
	const char *answer = NULL;
	rco_client *mine[4];
	char path[108];
	int i, lost = 0;

	(void)state;
	if (only_root() || !gets_to_tmp(&server))
		return;
	assert_int_equal(pipe(server.pipe), 0);
	assert_int_equal(pipe(server.go), 0);
	server.pid = t_spawn(serve_half, &server);
	(void)close(server.pipe[1]);
	assert_int_equal(read(server.pipe[0], path, sizeof path), sizeof path);
	(void)close(server.pipe[0]);
	(void)close(server.go[0]);
	o.path = path;
	for (i = 0; i < 4; i++) {
		assert_int_equal(rco_client_open(&o, &mine[i]), RCO_OK);
		expect(mine[i], "{\"do\":\"hello\"}", RCO_OK);
	}
	settle(&first, path, 4250, 4243);
	assert_int_equal(
		t_reap(t_spawn(knock, &(stranger){.path = path, .uid = 4244, .gid = 4244, .server = 4250})),
		ANSWERED);
	for (i = 0; i < 4; i++) {
		lost += rco_client_request(mine[i], "{\"do\":\"hello\"}", &answer) != RCO_OK;
		rco_client_close(mine[i]);
	}
	assert_int_equal(lost, 1);
	assert_int_equal(lost_by(&first), 0);
	assert_int_equal(lost_by(&server), 0);
}

/* A client that has gone takes no place from one who is there; and what was asked for in time counts, read or not.
 */
static void test_those_that_have_gone(void **state)
{
	rco_control_options o = {.max_clients = 4, .idle_ms = 60000};
	rco_client *mine[3];
	int i, k, fds[3];
	control_socket d;

	(void)state;
	open_with(&d, T_WORKERS, &o);
	for (i = 0; i < 3; i++) {
		mine[i] = come(&d);
		expect(mine[i], "{\"do\":\"hello\"}", RCO_OK);
	}
	for (i = 0; i < 300; i++) {
		/* comes, says something, and has gone without a look at the answer */
		k = plug(&d);
		(void)send(k, "{\"do\":\"hello\"}\n{\"do\":", 21, MSG_NOSIGNAL);
		(void)close(k);
	}
	for (i = 0; i < 3; i++)
		expect(mine[i], "{\"do\":\"hello\"}", RCO_OK);
	for (i = 0; i < 3; i++)
		rco_client_close(mine[i]);
	for (i = 0; i < 100;
	     i++) { /* the oldest of the three that are there asks again: another one is silent longest */
		for (k = 0; k < 3; k++)
			fds[k] = plug(&d);
		for (k = 0; k < 3; k++)
			assert_int_equal(send(fds[k], "{\"do\":\"hello\"}\n", 15, MSG_NOSIGNAL), 15);
		served(&d);
		for (k = 0; k < 3; k++) {
			char line[512];

			assert_true(read(fds[k], line, sizeof line) > 0);
			(void)close(fds[k]);
		}
	}
	close_control(&d);
}

/* All that was said before going is done, however much it is, and though nobody reads the answers. */
static void test_said_before_going(void **state)
{
	rco_session *s[2];
	char *lines;
	int fd, i;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	for (i = 0; i < 20; i++) {
		char call_id[2][16];

		(void)snprintf(call_id[0], sizeof call_id[0], "one %d", i);
		(void)snprintf(call_id[1], sizeof call_id[1], "two %d", i);
		s[0] = t_call(&d.w, call_id[0]);
		s[1] = t_call(&d.w, call_id[1]);
		/* many answers, and many that wait, before the one that counts */
		lines = repeated("", "{\"do\":\"hello\"}\n", 200, "{\"do\":\"opt_out\",\"call_id\":\"");
		fd = plug(&d);
		assert_int_equal(send(fd, lines, strlen(lines), MSG_NOSIGNAL), (ssize_t)strlen(lines));
		assert_int_equal(send(fd, call_id[0], strlen(call_id[0]), MSG_NOSIGNAL), strlen(call_id[0]));
		assert_int_equal(send(fd, "\"}\n", 3, MSG_NOSIGNAL), 3);
		free(lines);
		(void)close(fd);
		lines = repeated(
			"",
			"{\"do\":\"opt_out\",\"call_id\":\"later\",\"wait\":\"erased\",\"timeout_ms\":60000}\n",
			400, "{\"do\":\"opt_out\",\"call_id\":\"");
		fd = plug(&d);
		assert_int_equal(send(fd, lines, strlen(lines), MSG_NOSIGNAL), (ssize_t)strlen(lines));
		assert_int_equal(send(fd, call_id[1], strlen(call_id[1]), MSG_NOSIGNAL), strlen(call_id[1]));
		assert_int_equal(send(fd, "\"}\n", 3, MSG_NOSIGNAL), 3);
		free(lines);
		(void)close(fd);
		t_await(&d.w, call_id[0], RCO_EVENT_OPTED_OUT, 1);
		t_await(&d.w, call_id[1], RCO_EVENT_OPTED_OUT, 1);
		rco_session_free(s[0]);
		rco_session_free(s[1]);
	}
	close_control(&d);
}

/* ---- one user with itself ---- */

static void test_many_of_one_user(void **state)
{
	rco_control_options o = {.max_clients = 8, .idle_ms = 60000};
	int fds[64], i, kind;
	const char *line = NULL;
	rco_client *watch;
	rco_session *s;
	control_socket d;

	(void)state;
	open_with(&d, T_WORKERS, &o);
	watch = come(&d);
	expect(watch, "{\"do\":\"events\",\"call_id\":\"watched\"}", RCO_OK);
	for (kind = 0; kind < 3; kind++) {
		static const char waits[] = "{\"do\":\"opt_out\",\"call_id\":\"later\",\"wait\":\"verified\","
					    "\"timeout_ms\":60000}\n";
		static const char *const says[] = {"", "{\"do\":\"op", waits};

		for (i = 0; i < 64; i++) {
			fds[i] = plug(&d);
			(void)send(fds[i], says[kind], strlen(says[kind]), MSG_NOSIGNAL);
		}
		served(&d);
		for (i = 0; i < 64; i++)
			(void)close(fds[i]);
	}
	s = t_call(&d.w, "watched"); /* who listens need not say anything to keep its place */
	assert_int_equal(rco_client_event(watch, 20000, &line), RCO_OK);
	assert_non_null(strstr(line, "watched"));
	rco_session_free(s);
	rco_client_close(watch);
	close_control(&d);
}

static void test_subscribers_leave_room(void **state)
{
	rco_control_options o = {.max_clients = 8, .idle_ms = 60000};
	rco_client *c[5];
	int i;
	control_socket d;

	(void)state;
	open_with(&d, T_WORKERS, &o);
	for (i = 0; i < 5; i++) {
		c[i] = come(&d);
		expect(c[i], "{\"do\":\"events\"}", i < 4 ? RCO_OK : RCO_E_LIMIT);
	}
	expect(c[0], "{\"do\":\"events\",\"call_id\":\"x\"}", RCO_OK); /* again, for something else */
	expect(c[4], "{\"do\":\"hello\"}", RCO_OK);
	rco_client_close(c[0]);
	expect(c[4], "{\"do\":\"events\"}", RCO_OK); /* a client that has gone takes no place */
	for (i = 1; i < 5; i++)
		rco_client_close(c[i]);
	close_control(&d);
}

/* ---- time ---- */

/* A byte now and then does not make a line last longer than it may. */
static void test_a_line_in_drips(void **state)
{
	rco_control_options o = {.idle_ms = 300};
	static const char line[] = "{\"do\":\"hello\",\"x\":\"";
	int64_t begun;
	size_t i = 0;
	int fd;
	control_socket d;

	(void)state;
	open_with(&d, T_WORKERS, &o);
	fd = plug(&d);
	begun = now_ms();
	while (send(fd, i < sizeof line - 1 ? line + i : "x", 1, MSG_NOSIGNAL) == 1) {
		i++;
		(void)poll(NULL, 0, 20);
		assert_true(now_ms() - begun < 30000);
	}
	assert_true(now_ms() - begun >= 250);
	(void)close(fd);
	/* a line after the other, each in time, is not one line */
	fd = plug(&d);
	begun = now_ms();
	while (now_ms() - begun < 900) {
		char c = 0;

		assert_int_equal(send(fd, "{\"do\":\"hello\"}\n", 15, MSG_NOSIGNAL), 15);
		while (c != '\n')
			assert_int_equal(read(fd, &c, 1), 1);
	}
	(void)close(fd);
	close_control(&d);
}

/* Nor does reading a byte now and then. */
static void test_an_answer_read_in_drips(void **state)
{
	rco_control_options o = {.idle_ms = 300};
	static const char hello[] = "{\"do\":\"hello\"}\n";
	int64_t begun;
	int fd, i, size = 4096;
	char c;
	control_socket d;

	(void)state;
	open_with(&d, T_WORKERS, &o);
	fd = plug(&d);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	for (i = 0; i < 3000; i++) /* more than the kernel takes of the answers, and less than is kept */
		assert_int_equal(send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL), (ssize_t)sizeof hello - 1);
	begun = now_ms();
	while (send(fd, "", 0, MSG_NOSIGNAL) == 0 && now_ms() - begun < 30000) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, 0) == 1 && (p.revents & POLLHUP))
			break;
		(void)!read(fd, &c, 1);
		(void)poll(NULL, 0, 20);
	}
	assert_true(now_ms() - begun < 30000);
	(void)close(fd);
	served(&d);
	close_control(&d);
}

/* More events than are kept, for one that does not read: it is closed, and the others are served meanwhile. */
static void test_events_that_nobody_reads(void **state)
{
	rco_control_options o = {.idle_ms = 60000};
	int64_t begun;
	int deaf, i, closed = 0;
	rco_session *s;
	rco_client *c;
	control_socket d;

	(void)state;
	open_with(&d, T_WORKERS, &o);
	deaf = plug(&d);
	assert_int_equal(send(deaf, "{\"do\":\"events\"}\n", 16, MSG_NOSIGNAL), 16);
	c = come(&d);
	s = t_call(&d.w, "a call");
	begun = now_ms();
	for (i = 0; !closed; i++) {
		struct pollfd p = {.fd = deaf};

		assert_true(now_ms() - begun < 50000); /* before it is closed for not reading in time */
		assert_int_equal(rco_session_pause(s), RCO_OK);
		assert_int_equal(rco_session_resume(s), RCO_OK);
		if (i % 100 == 0)
			expect(c, "{\"do\":\"hello\"}", RCO_OK);
		closed = poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
	}
	expect(c, "{\"do\":\"hello\"}", RCO_OK);
	(void)close(deaf);
	rco_session_free(s);
	rco_client_close(c);
	close_control(&d);
}

/* ---- descriptors ---- */

static void limit_descriptors(rlim_t n)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void child_few_descriptors(void *arg)
{
	rco_control_options o = {.struct_size = (uint32_t)sizeof o, .max_clients = 1024};
	int fds[200], n = 0, i;
	rco_client *c = NULL;
	control_socket d;

	(void)arg;
	t_world_init(&d.w, T_WORKERS);
	t_world_open(&d.w);
	t_join(d.path, sizeof d.path, d.w.root, "sock");
	o.path = d.path;
	limit_descriptors(200);
	assert_int_equal(rco_control_open(d.w.engine, &o, &d.control), RCO_E_LIMIT);
	assert_non_null(strstr(rco_error_detail(), "RLIMIT_NOFILE"));
	assert_false(t_exists(d.path));
	o.max_clients = 185;
	assert_int_equal(rco_control_open(d.w.engine, &o, &d.control), RCO_E_LIMIT);
	o.max_clients = 184;
	assert_int_equal(rco_control_open(d.w.engine, &o, &d.control), RCO_OK);
	rco_control_close(d.control);
	o.max_clients = 0; /* as many as are sensible */
	assert_int_equal(rco_control_open(d.w.engine, &o, &d.control), RCO_OK);
	served(&d);
	/* the host has used up all that there are but one, which the client needs */
	while ((fds[n] = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	assert_true(n > 10);
	for (i = 0; i < 30; i++) {
		(void)close(fds[--n]);
		assert_int_equal(rco_client_connect(d.path, 20000, &c), RCO_OK);
		assert_int_equal(rco_client_opt_out(c, "x", NULL, NULL, NULL), RCO_OK);
		rco_client_close(c);
		while (n < 199 && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
			n++;
	}
	/* lowered below what is open: it goes on, and ends when it is told to */
	(void)close(fds[--n]);
	assert_int_equal(rco_client_connect(d.path, 20000, &c), RCO_OK);
	assert_int_equal(rco_client_opt_out(c, "x", NULL, NULL, NULL), RCO_OK);
	limit_descriptors(2);
	(void)poll(NULL, 0, 100);
	rco_control_close(d.control);
	limit_descriptors(200);
	rco_client_close(c);
	while (n > 0)
		(void)close(fds[--n]);
	t_world_destroy(&d.w);
}

static void test_few_descriptors(void **state)
{
	(void)state;
	assert_int_equal(t_reap(t_spawn(child_few_descriptors, NULL)), 0);
}

static int64_t used_ms(void)
{
	struct rusage u;

	assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/* In half a second in which nothing can be done. */
static void expect_rest(void)
{
	int64_t used = used_ms();

	(void)poll(NULL, 0, 500);
	assert_in_range(used_ms() - used, 0, 250);
}

/* Without a descriptor for anybody the io thread waits, and does not turn round and round. */
static void child_no_descriptors(void *arg)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fds[200], waiting[10], n = 0, i;
	control_socket d;

	(void)arg;
	open_control(&d, T_WORKERS);
	served(&d); /* it has its spare one */
	for (i = 0; i < 10; i++)
		assert_true((waiting[i] = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", d.path);
	limit_descriptors(100);
	while (n < 200 && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	for (i = 0; i < 9; i++) /* one after the other has the spare one */
		assert_int_equal(connect(waiting[i], (const struct sockaddr *)&address, sizeof address), 0);
	expect_rest();
	limit_descriptors(3); /* not even the spare one can be used again */
	assert_int_equal(connect(waiting[9], (const struct sockaddr *)&address, sizeof address), 0);
	expect_rest();
	limit_descriptors(200);
	while (n > 0)
		(void)close(fds[--n]);
	served(&d);
	for (i = 0; i < 10; i++)
		(void)close(waiting[i]);
	close_control(&d);
}

static void test_no_descriptors(void **state)
{
	(void)state;
	assert_int_equal(t_reap(t_spawn(child_no_descriptors, NULL)), 0);
}

/* ---- places ---- */

static char before[512];

/* A relative path, and a host that goes elsewhere: the socket that was made is the one that is removed. */
static void test_a_relative_path(void **state)
{
	rco_control_options o = {.struct_size = (uint32_t)sizeof o, .path = "here.sock"};
	struct stat st;
	control_socket d;

	(void)state;
	assert_non_null(getcwd(before, sizeof before));
	t_world_init(&d.w, T_WORKERS);
	t_world_open(&d.w);
	t_join(d.path, sizeof d.path, d.w.root, "here.sock");
	assert_int_equal(chdir(d.w.root), 0);
	assert_int_equal(rco_control_open(d.w.engine, &o, &d.control), RCO_OK);
	assert_int_equal(chdir("/"), 0);
	served(&d);
	rco_control_close(d.control);
	assert_int_not_equal(lstat(d.path, &st), 0);
	assert_false(t_exists("/here.sock"));
	assert_int_equal(chdir(d.w.root), 0);
	assert_int_equal(rco_control_open(d.w.engine, &o, &d.control), RCO_OK); /* no lock is left */
	assert_int_equal(chdir(before), 0);
	close_control(&d);
}

/* What stands at the path by the time it is closed may be somebody else's. */
static void test_another_thing_at_the_path(void **state)
{
	rco_control_options o = {.struct_size = (uint32_t)sizeof o};
	char target[160];
	struct stat st;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	t_join(target, sizeof target, d.w.root, "target");
	t_write_file(target, "x", 1);
	assert_int_equal(unlink(d.path), 0);
	assert_int_equal(symlink(target, d.path), 0);
	rco_control_close(d.control);
	assert_int_equal(lstat(d.path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	/* a link there is not followed, and not removed */
	o.path = d.path;
	assert_int_equal(rco_control_open(d.w.engine, &o, &d.control), RCO_E_STATE);
	assert_true(t_exists(target));
	assert_int_equal(unlink(d.path), 0);
	serve(&d, &o);
	close_control(&d);
}

/* A socket that somebody serves, of whichever kind and with whatever lock, is not removed. */
static void test_a_socket_that_lives(void **state)
{
	static const struct {
		int type, rc;
	} kinds[] = {{SOCK_STREAM, RCO_E_BUSY}, {SOCK_SEQPACKET, RCO_E_STATE}, {SOCK_DGRAM, RCO_E_STATE}};
	rco_control_options o = {.struct_size = (uint32_t)sizeof o};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	rco_control *second = NULL;
	char lock[128];
	size_t i, k;
	control_socket d;

	(void)state;
	t_world_init(&d.w, T_WORKERS);
	t_world_open(&d.w);
	t_join(d.path, sizeof d.path, d.w.root, "sock");
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", d.path);
	o.path = d.path;
	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		int fd = socket(AF_UNIX, kinds[i].type, 0), more[3];

		assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
		assert_true(kinds[i].type == SOCK_DGRAM || listen(fd, 0) == 0);
		for (k = 0; k < 3; k++) { /* its queue fills up */
			assert_int_equal(rco_control_open(d.w.engine, &o, &second), kinds[i].rc);
			more[k] = socket(AF_UNIX, kinds[i].type | SOCK_NONBLOCK, 0);
			(void)connect(more[k], (const struct sockaddr *)&address, sizeof address);
		}
		assert_true(t_exists(d.path));
		for (k = 0; k < 3; k++)
			(void)close(more[k]);
		(void)close(fd);
		serve(&d, &o); /* and when it is dead it is */
		rco_control_close(d.control);
	}
	serve(&d, &o);
	(void)snprintf(lock, sizeof lock, "%s.lock", d.path);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(rco_control_open(d.w.engine, &o, &second), RCO_E_BUSY);
	served(&d);
	close_control(&d);
}

/* Connections that were closed are heard in turn with others, and all of them are. */
static void test_who_has_gone_holds_up_nobody(void **state)
{
	enum { GONE = 12, LINES = 60000 };
	rco_control_options o = {.max_clients = 4, .idle_ms = 60000};
	char *line = malloc(LINES * 3 + 64), id[32];
	rco_session *gone[GONE], *s;
	rco_client *c;
	size_t i;
	control_socket d;
	int n = 0;

	(void)state;
	assert_non_null(line);
	open_with(&d, T_WORKERS, &o);
	for (i = 0; i < LINES; i++)
		memcpy(line + 3 * i, "{}\n", 3);
	s = t_call(&d.w, "now");
	for (i = 0; i < GONE; i++) {
		int fd = plug(&d);

		(void)snprintf(id, sizeof id, "gone %zu", i);
		gone[i] = t_call(&d.w, id);
		(void)snprintf(line + LINES * 3, 64, "{\"do\":\"opt_out\",\"call_id\":\"%s\"}\n", id);
		assert_int_equal(write(fd, line, strlen(line)), strlen(line));
		(void)close(fd);
	}
	c = come(&d);
	expect(c, "{\"do\":\"opt_out\",\"call_id\":\"now\"}", RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	for (i = 0; i < GONE; i++)
		n += t_push_one(gone[i], 0, 1) == RCO_OK;
	assert_true(n > GONE / 2); /* they were not heard first */
	for (i = 0; i < GONE; i++) {
		(void)snprintf(id, sizeof id, "gone %zu", i);
		t_await(&d.w, id, RCO_EVENT_DURABLE, 1);
		rco_session_free(gone[i]);
	}
	rco_client_close(c);
	rco_session_free(s);
	close_control(&d);
	free(line);
}

/* Of many whose time is up at once each is heard. */
static void test_many_are_late_at_once(void **state)
{
	enum { MANY = 150 };
	rco_control_options o = {.max_clients = MANY, .idle_ms = 300};
	rco_receipt *receipt = NULL;
	char line[64], out[512];
	int fd[MANY], i;
	control_socket d;

	(void)state;
	open_with(&d, T_WORKERS, &o);
	for (i = 0; i < MANY; i++) {
		fd[i] = plug(&d);
		(void)snprintf(line, sizeof line, "{\"do\":\"opt_out\",\"call_id\":\"late %d\"}", i);
		assert_int_equal(write(fd[i], line, strlen(line)), strlen(line));
	}
	for (i = 0; i < MANY; i++) {
		until_closed(fd[i], out, sizeof out);
		(void)close(fd[i]);
		(void)snprintf(line, sizeof line, "late %d", i);
		assert_int_equal(rco_engine_receipt(d.w.engine, line, &receipt), RCO_OK);
		rco_receipt_free(receipt);
	}
	close_control(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_are_late_at_once),
		cmocka_unit_test(test_who_has_gone_holds_up_nobody),
		cmocka_unit_test(test_allowed_users),
		cmocka_unit_test(test_nobody_else_without_options),
		cmocka_unit_test(test_a_group),
		cmocka_unit_test(test_whom_a_client_expects),
		cmocka_unit_test(test_no_user_locks_out_another),
		cmocka_unit_test(test_half_of_the_places),
		cmocka_unit_test(test_half_of_two_users),
		cmocka_unit_test(test_those_that_have_gone),
		cmocka_unit_test(test_said_before_going),
		cmocka_unit_test(test_many_of_one_user),
		cmocka_unit_test(test_subscribers_leave_room),
		cmocka_unit_test(test_a_line_in_drips),
		cmocka_unit_test(test_an_answer_read_in_drips),
		cmocka_unit_test(test_events_that_nobody_reads),
		cmocka_unit_test(test_few_descriptors),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_a_relative_path),
		cmocka_unit_test(test_another_thing_at_the_path),
		cmocka_unit_test(test_a_socket_that_lives),
	};

	(void)setenv("TMPDIR", "/tmp", 1); /* other users get there, wherever the tests are */
	return cmocka_run_group_tests_name("places at the control socket", tests, NULL, NULL);
}
