/* SPDX-License-Identifier: MIT */
/* What the tests of other users of the machine share: a world with store, keys and rings as an engine makes them,
 * a second user, and the log. */
#ifndef TESTS_UNIT_STRANGERS_H
#define TESTS_UNIT_STRANGERS_H

#include "../support.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STRANGER = 64321 };

static t_world w;

/* Store, keys and rings as an engine makes them itself. */
static inline void make_world(uint32_t flags)
{
	t_world_init(&w, flags | T_SPOOL);
	w.cfg.upload = NULL;
	w.cfg.deletion = NULL;
	w.cfg.output_dir = w.out;
	assert_int_equal(chmod(w.root, 0755), 0);
}

static inline int root_only(void)
{
	if (geteuid() == 0)
		return 0;
	print_message("    only root can become somebody else: what a second user would do was not tried\n");
	return 1;
}

static inline void become_stranger(void)
{
	assert_int_equal(setgroups(0, NULL), 0);
	assert_int_equal(setgid(STRANGER), 0);
	assert_int_equal(setuid(STRANGER), 0);
}

static inline void refused(const char *what, const char *where)
{
	int rc = t_world_try_open(&w);

	if (rc != RCO_E_PERMISSION)
		print_error("%s: %s: %s\n", what, rco_error_name(rc), rco_error_detail());
	assert_int_equal(rc, RCO_E_PERMISSION);
	assert_non_null(strstr(rco_error_detail(), where));
}

static inline void accepted(void)
{
	t_world_open(&w);
	t_world_close(&w);
}

/* ---- the log ---- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char logged[65536];
static size_t logged_size;

static inline void remember(uint32_t level, const char *line, size_t length, void *user_data)
{
	(void)level;
	(void)user_data;
	(void)pthread_mutex_lock(&log_lock);
	if (logged_size + length + 2 < sizeof logged) {
		memcpy(logged + logged_size, line, length);
		logged_size += length;
		memcpy(logged + logged_size++, "\n", 2);
	}
	(void)pthread_mutex_unlock(&log_lock);
}

static inline void begin_log(void)
{
	w.cfg.log = remember;
	logged[0] = '\0';
	logged_size = 0;
}

/* ---- what a killed process leaves ---- */

static inline void record_and_die(void *arg)
{
	(void)arg;
	t_world_open(&w);
	t_push(t_call(&w, "killed"), 0, 7, 0, 20);
	(void)raise(SIGKILL);
}

static inline void rings_path(char *out, size_t size)
{
	char id[RCO_ID_TEXT + 1] = "", path[256], name[RCO_ID_TEXT + 32];
	size_t got = 0;
	uint8_t *text;

	t_join(path, sizeof path, w.state, "id");
	text = t_read_file(path, &got);
	assert_non_null(text);
	assert_int_equal(got, RCO_ID_TEXT);
	memcpy(id, text, RCO_ID_TEXT);
	free(text);
	(void)snprintf(name, sizeof name, "recoptout-%s.rings", id);
	t_join(out, size, w.rings, name);
}

static inline const char *in_state(const char *name)
{
	static char path[4][256];
	static int turn;

	turn = (turn + 1) % 4;
	t_join(path[turn], sizeof path[turn], w.state, name);
	return path[turn];
}

typedef struct planting {
	int kind;
	size_t size;
	char path[256], other[256];
} planting;

enum { WRITABLE, SHORT, LINK, FIFO, HARD_LINK, KINDS };

#endif
