/* SPDX-License-Identifier: MIT */
/*
 * The control socket of a process that has forked: what a child has of it takes nothing from its parent, and keeps
 * no client waiting when the parent has died.
 */
#include "control_socket.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

typedef struct child {
	control_socket *d;
	int told[2], go[2], fork_now[2];
	_Atomic int over;
} child;

/* Has all descriptors of its parent, and gives up its control, which is not its own. */
static void live_on(void *arg)
{
	child *k = arg;
	char byte;

	rco_control_close(k->d->control);
	(void)!write(k->told[1], "", 1);
	(void)close(k->go[1]);
	(void)!read(k->go[0], &byte, 1);
	_exit(0);
}

static void live_on_with_all(void *arg)
{
	child *k = arg;
	char byte;

	(void)!write(k->told[1], "", 1);
	(void)close(k->go[1]);
	(void)!read(k->go[0], &byte, 1);
	_exit(0);
}

static pid_t have_child(control_socket *d, child *k, void (*what)(void *arg))
{
	char byte;
	pid_t pid;

	k->d = d;
	assert_int_equal(pipe(k->told), 0);
	assert_int_equal(pipe(k->go), 0);
	pid = t_spawn(what, k);
	assert_int_equal(read(k->told[0], &byte, 1), 1);
	(void)close(k->told[0]);
	(void)close(k->told[1]);
	(void)close(k->go[0]);
	return pid;
}

/* A child that closes what it inherited takes nothing from its parent; one that keeps it keeps nobody connected.
 */
static void test_children(void **state)
{
	const char *answer = NULL;
	rco_client *c, *second = NULL;
	pid_t pid;
	child k;
	control_socket d;

	(void)state;
	open_control(&d, T_WORKERS);
	c = come(&d);
	expect(c, "{\"do\":\"hello\"}", RCO_OK);
	pid = have_child(&d, &k, live_on);
	expect(c, "{\"do\":\"hello\"}", RCO_OK);
	served(&d);
	(void)close(k.go[1]);
	assert_int_equal(t_reap(pid), 0);
	pid = have_child(&d, &k, live_on_with_all);
	rco_control_close(d.control);
	assert_int_equal(rco_client_request(c, "{\"do\":\"hello\"}", &answer), RCO_E_IO); /* and no wait for it */
	assert_int_equal(rco_client_connect(d.path, 100, &second), RCO_E_NOT_FOUND);
	(void)close(k.go[1]);
	assert_int_equal(t_reap(pid), 0);
	rco_client_close(c);
	t_world_destroy(&d.w);
}

/* The engine's process, whose child knows nothing of it. */
static void serve_and_fork(child *k, pid_t (*fork_it)(void))
{
	rco_control_options o = {0};
	char byte;

	t_world_open(&k->d->w);
	serve(k->d, &o);
	served(k->d);
	if (fork_it() == 0) {
		(void)close(k->go[1]);
		(void)!write(k->told[1], "", 1);
		(void)!read(k->go[0], &byte, 1);
		_exit(0);
	}
	for (;;)
		(void)pause();
}

static void serve_and_have_child(void *arg)
{
	serve_and_fork(arg, fork);
}

/* A child that is made past pthread_atfork(3) keeps the socket. */
static void serve_and_have_odd_child(void *arg)
{
	serve_and_fork(arg, _Fork);
}

/* Killed, and its child lives on. */
static void engine_that_died(control_socket *d, child *k, void (*how)(void *arg))
{
	pid_t pid;

	t_world_init(&d->w, T_WORKERS);
	t_join(d->path, sizeof d->path, d->w.root, "sock");
	pid = have_child(d, k, how);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void nobody_serves(const control_socket *d)
{
	rco_client *c = NULL;

	assert_int_equal(rco_client_connect(d->path, 60000, &c), RCO_E_NOT_FOUND);
	assert_non_null(strstr(rco_error_detail(), "is the engine running?"));
	assert_null(c);
}

/* A client is told at once that nobody serves there, and the next engine serves at once. */
static void test_nobody_waits_for_a_dead_engine(void **state)
{
	void (*const how[])(void *arg) = {serve_and_have_child, serve_and_have_odd_child};
	size_t i;
	child k;
	control_socket d;

	(void)state;
	for (i = 0; i < sizeof how / sizeof how[0]; i++) {
		rco_control_options o = {0};

		engine_that_died(&d, &k, how[i]);
		nobody_serves(&d);
		t_world_open(&d.w);
		serve(&d, &o);
		served(&d);
		(void)close(k.go[1]);
		close_control(&d);
	}
}

/* The engine's process: forks when it is told to, and dies. */
static void serve_fork_and_die(void *arg)
{
	rco_control_options o = {0};
	child *k = arg;
	char byte;

	t_world_open(&k->d->w);
	serve(k->d, &o);
	(void)!write(k->told[1], "", 1);
	(void)!read(k->fork_now[0], &byte, 1);
	if (fork() == 0) {
		(void)close(k->go[1]);
		(void)!read(k->go[0], &byte, 1);
		_exit(0);
	}
	(void)raise(SIGKILL);
}

/* Who is connected when the engine dies sees that, and does not wait for an answer. */
static void test_connections_end_with_their_engine(void **state)
{
	const char *answer = NULL;
	rco_client *c;
	pid_t pid;
	child k;
	control_socket d;

	(void)state;
	t_world_init(&d.w, T_WORKERS);
	t_join(d.path, sizeof d.path, d.w.root, "sock");
	assert_int_equal(pipe(k.fork_now), 0);
	pid = have_child(&d, &k, serve_fork_and_die);
	assert_int_equal(rco_client_connect(d.path, 60000, &c), RCO_OK);
	expect(c, "{\"do\":\"hello\"}", RCO_OK); /* it has its place */
	assert_int_equal(write(k.fork_now[1], "", 1), 1);
	(void)close(k.fork_now[1]);
	(void)close(k.fork_now[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(rco_client_request(c, "{\"do\":\"hello\"}", &answer), RCO_E_IO);
	rco_client_close(c);
	(void)close(k.go[1]);
	t_world_destroy(&d.w);
}

static int try_to_open(control_socket *d)
{
	rco_control_options o = {.struct_size = (uint32_t)sizeof o, .path = d->path};

	return rco_control_open(d->w.engine, &o, &d->control);
}

/* Until no more fit. They stay there when they have gone, for nobody lets them in. */
static void fill_queue(const control_socket *d)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, rc = 0;

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", d->path);
	while (rc == 0) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		rc = connect(fd, (const struct sockaddr *)&address, sizeof address);
		assert_true(rc == 0 || errno == EAGAIN);
		(void)close(fd);
	}
}

/* In place of the one that was left. */
static int put_another(const control_socket *d)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", d->path);
	assert_int_equal(unlink(d->path), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* A lock ends with its process, and with it the socket, no matter who keeps that open and however full its queue
 * is; but not another one that somebody has put there since. */
static void test_a_child_that_outlives_its_engine(void **state)
{
	enum { LEFT, FULL, REPLACED, WAYS };
	int way, fd;
	child k;
	control_socket d;

	(void)state;
	for (way = 0; way < WAYS; way++) {
		engine_that_died(&d, &k, serve_and_have_odd_child);
		if (way == FULL)
			fill_queue(&d);
		t_world_open(&d.w);
		if (way == REPLACED) {
			fd = put_another(&d);
			assert_int_equal(try_to_open(&d), RCO_E_BUSY);
			assert_true(t_exists(d.path));
			(void)close(fd);
		}
		assert_int_equal(try_to_open(&d), RCO_OK);
		served(&d);
		(void)close(k.go[1]);
		close_control(&d);
	}
}

/* What is opened and closed while children are made: none of them closes what is its parent's, or has it at its
 * end.
 */
static void *come_and_go(void *arg)
{
	child *k = arg;

	while (!atomic_load(&k->over))
		served(k->d);
	return NULL;
}

static void look_and_end(void *arg)
{
	char name[64], target[64];
	int fd, sockets = 0;
	ssize_t n;

	(void)arg;
	for (fd = 3; fd < 256; fd++) {
		(void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
		n = readlink(name, target, sizeof target - 1);
		sockets += n > 7 && memcmp(target, "socket:", 7) == 0;
	}
	_exit(sockets); /* but for the other side's, which are the clients' of this test */
}

static void test_children_while_clients_come(void **state)
{
	pthread_t thread;
	child k = {.d = NULL};
	control_socket d;
	int i;

	(void)state;
	open_control(&d, T_WORKERS);
	k.d = &d;
	assert_int_equal(pthread_create(&thread, NULL, come_and_go, &k), 0);
	for (i = 0; i < 300; i++)
		assert_in_range(t_reap(t_spawn(look_and_end, &k)), 0, 1);
	atomic_store(&k.over, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	served(&d);
	close_control(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_nobody_waits_for_a_dead_engine),
		cmocka_unit_test(test_connections_end_with_their_engine),
		cmocka_unit_test(test_a_child_that_outlives_its_engine),
		cmocka_unit_test(test_children_while_clients_come),
	};

	return cmocka_run_group_tests_name("children of who serves the control socket", tests, NULL, NULL);
}
