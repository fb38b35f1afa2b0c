/* SPDX-License-Identifier: MIT */
/* What the tests of the control socket share: an engine that serves one, clients, and plain connections. */
#ifndef TESTS_CONTROL_SOCKET_H
#define TESTS_CONTROL_SOCKET_H

#include "../support.h"

#include "../../lib/base/json_write.h"

#include <recoptout/control.h>

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAYBE static __attribute__((unused))

typedef struct control_socket {
	t_world w;
	char path[108];
	rco_control *control;
} control_socket;

/* Of an engine that is open. */
MAYBE void serve(control_socket *d, rco_control_options *o)
{
	t_join(d->path, sizeof d->path, d->w.root, "sock");
	o->struct_size = (uint32_t)sizeof *o;
	o->path = d->path;
	assert_int_equal(rco_control_open(d->w.engine, o, &d->control), RCO_OK);
}

MAYBE void open_with(control_socket *d, uint32_t flags, rco_control_options *o)
{
	t_world_init(&d->w, flags);
	t_world_open(&d->w);
	serve(d, o);
}

MAYBE void open_control(control_socket *d, uint32_t flags)
{
	rco_control_options o = {0};

	open_with(d, flags, &o);
}

MAYBE void close_control(control_socket *d)
{
	rco_control_close(d->control);
	assert_false(t_exists(d->path));
	t_world_destroy(&d->w);
}

MAYBE rco_client *come(const control_socket *d)
{
	rco_client *c = NULL;

	assert_int_equal(rco_client_connect(d->path, 20000, &c), RCO_OK);
	return c;
}

/* `before`, so many times `what`, and `after` in one line, to be freed. */
MAYBE char *repeated(const char *before, const char *what, size_t times, const char *after)
{
	rco__text line = {0};

	rco__text_put(&line, before);
	while (times-- > 0)
		rco__text_put(&line, what);
	rco__text_put(&line, after);
	assert_false(line.failed);
	return line.bytes;
}

/* The answer, parsed. */
MAYBE json_t *ask(rco_client *c, const char *request)
{
	const char *line = NULL;
	json_t *answer;
	int rc = rco_client_request(c, request, &line);

	if (rc != RCO_OK)
		fail_msg("%s: %s: %s", request, rco_error_name(rc), rco_error_detail());
	answer = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(answer);
	return answer;
}

MAYBE const char *text(const json_t *v, const char *member)
{
	const char *t = json_string_value(json_object_get(v, member));

	return t != NULL ? t : "";
}

MAYBE int number(const json_t *v, const char *member)
{
	return (int)json_integer_value(json_object_get(v, member));
}

MAYBE void expect(rco_client *c, const char *request, int code)
{
	json_t *a = ask(c, request);

	if (number(a, "code") != code || !json_is_boolean(json_object_get(a, "ok")))
		fail_msg("%s answered code %d, not %d", request, number(a, "code"), code);
	assert_int_equal(json_is_true(json_object_get(a, "ok")), code >= 0);
	assert_string_equal(text(a, "error"), rco_error_name(code));
	json_decref(a);
}

MAYBE void served(const control_socket *d)
{
	rco_client *c = come(d);

	expect(c, "{\"do\":\"hello\"}", RCO_OK);
	rco_client_close(c);
}

MAYBE int plug(const control_socket *d)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", d->path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

/* Until the other side closes; what it said before goes to out. */
MAYBE void until_closed(int fd, char *out, size_t cap)
{
	size_t size = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&p, 1, 30000), 1);
		n = read(fd, out + size, cap - 1 - size);
		if (n <= 0)
			break;
		size += (size_t)n;
		assert_true(size < cap - 1);
	}
	out[size] = '\0';
}

#endif
