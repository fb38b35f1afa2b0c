/* SPDX-License-Identifier: MIT */
/*
 * Folders that are not what they were: swapped for a link while an erasure is under way, left by the host's
 * chdir(), copied or restored. What is removed is what was registered and nothing else; what was erased does not
 * come back.
 */
#include "../support.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STRANGER = 64321, FILES = 40 };

static t_world w;
static char rec[256], away[256], victim[256];

static void make_world(uint32_t flags)
{
	t_world_init(&w, flags | T_SPOOL);
	w.cfg.upload = NULL;
	w.cfg.deletion = NULL;
	w.cfg.output_dir = w.out;
	t_join(rec, sizeof rec, w.root, "rec");
	t_join(away, sizeof away, w.root, "away");
	t_join(victim, sizeof victim, w.root, "victim");
	assert_int_equal(mkdir(rec, 0700), 0);
	assert_int_equal(mkdir(victim, 0700), 0);
}

static const char *in(const char *dir, const char *name)
{
	static char path[8][300];
	static int turn;

	turn = (turn + 1) % 8;
	t_join(path[turn], sizeof path[turn], dir, name);
	return path[turn];
}

static int opt_out(const char *call)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o};

	return rco_engine_opt_out(w.engine, call, &o, NULL);
}

/* ---- artifacts ---- */

static void swap_for_a_link(void)
{
	assert_int_equal(rename(rec, away), 0);
	assert_int_equal(symlink(victim, rec), 0);
}

static void test_swapped_before_the_erasure(void **state)
{
	rco_session *s;

	(void)state;
	make_world(0);
	t_write_file(in(rec, "a.wav"), "audio", 5);
	t_write_file(in(victim, "a.wav"), "not yours", 9);
	t_world_open(&w);
	s = t_call(&w, "call");
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, in(rec, "a.wav"), NULL), RCO_OK);
	swap_for_a_link();
	assert_int_equal(opt_out("call"), RCO_OK);
	t_advance(&w, 5000);
	assert_true(t_exists(in(victim, "a.wav")));
	assert_true(t_exists(in(away, "a.wav")));
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_VERIFIED),
	                 0); /* nobody says that it is gone */
	assert_true(t_events_count(&w.events, "call", RCO_EVENT_ERASE_RETRY) > 0);
	/* put right, it is done */
	assert_int_equal(unlink(rec), 0);
	assert_int_equal(rename(away, rec), 0);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_false(t_exists(in(rec, "a.wav")));
	assert_true(t_exists(in(victim, "a.wav")));
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A folder further up, and a process that is killed between registering and erasing. */
static void register_and_die(void *arg)
{
	rco_session *s;

	t_world_open(&w);
	s = t_call(&w, "call");
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, arg, NULL), RCO_OK);
	assert_int_equal(opt_out("call"), RCO_OK);
	(void)raise(SIGKILL);
}

static void test_swapped_further_up_and_after_a_crash(void **state)
{
	char path[300];

	(void)state;
	make_world(T_SHARED);
	assert_int_equal(mkdir(in(rec, "day"), 0700), 0);
	assert_int_equal(mkdir(in(victim, "day"), 0700), 0);
	t_write_file(in(victim, "day/a.wav"), "not yours", 9);
	(void)snprintf(path, sizeof path, "%s", in(rec, "day/a.wav"));
	t_write_file(path, "audio", 5);
	assert_int_equal(t_reap(t_spawn(register_and_die, path)), -SIGKILL);
	swap_for_a_link();
	t_world_open(&w);
	t_advance(&w, 5000);
	assert_true(t_exists(in(victim, "day/a.wav")));
	assert_int_equal(unlink(rec), 0);
	assert_int_equal(rename(away, rec), 0);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_false(t_exists(path));
	t_world_destroy(&w);
}

/* A link that is there when the file is registered is one that an administrator made. It counts as it was then,
 * also for the next process. */
static void test_link_at_registration(void **state)
{
	char path[300], real[256], link[256];

	(void)state;
	make_world(T_SHARED);
	t_join(real, sizeof real, w.root, "disk2");
	t_join(link, sizeof link, w.root, "monitor");
	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink(real, link), 0);
	(void)snprintf(path, sizeof path, "%s", in(link, "a.wav"));
	t_write_file(path, "audio", 5);
	t_write_file(in(victim, "a.wav"), "not yours", 9);
	assert_int_equal(t_reap(t_spawn(register_and_die, path)), -SIGKILL);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(victim, link), 0);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_false(t_exists(in(real, "a.wav")));
	assert_true(t_exists(in(victim, "a.wav")));
	t_world_destroy(&w);
}

static void test_what_is_no_file(void **state)
{
	rco_session *s;

	(void)state;
	make_world(0);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_write_file(in(rec, "a.wav"), "audio", 5);
	assert_int_equal(symlink(in(rec, "a.wav"), in(rec, "link.wav")), 0);
	assert_int_equal(mkfifo(in(rec, "pipe"), 0600), 0);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, in(rec, "link.wav"), NULL),
	                 RCO_E_INVALID);
	assert_non_null(strstr(rco_error_detail(), "symbolic link"));
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, rec, NULL), RCO_E_INVALID);
	assert_non_null(strstr(rco_error_detail(), "folder"));
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, in(rec, "pipe"), NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, "/dev/null", NULL), RCO_E_INVALID);
	/* not there yet, nor its folder: the recorder will make them */
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, in(rec, "new/day/b.wav"), NULL), RCO_OK);
	assert_int_equal(opt_out("call"), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_true(t_exists("/dev/null"));
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The owner of the recorder's folder swaps it as fast as he can. */
static void swap_and_swap(void *arg)
{
	const char *here = t_go_inside(rec), *gone = strrchr(away, '/') + 1;

	(void)arg;
	assert_int_equal(setgroups(0, NULL), 0);
	assert_int_equal(setgid(STRANGER), 0);
	assert_int_equal(setuid(STRANGER), 0);
	for (;;) {
		if (rename(here, gone) == 0 && symlink(victim, here) == 0)
			(void)unlink(here);
		(void)rename(gone, here);
	}
}

static void test_race(void **state)
{
	char name[32];
	rco_session *s;
	pid_t child;
	int i, status;

	(void)state;
	if (geteuid() != 0) {
		print_message(
			"    only root can become somebody else: what a second user would do was not tried\n");
		return;
	}
	make_world(0);
	assert_int_equal(chown(rec, STRANGER, STRANGER), 0);
	w.cfg.retry_min_ms = w.cfg.retry_max_ms = 1;
	assert_int_equal(mkdir(w.state, 0700), 0);
	t_world_open(&w);
	assert_int_equal(chmod(w.root, 0777), 0); /* his folder, as far as swapping goes */
	s = t_call(&w, "call");
	for (i = 0; i < FILES; i++) {
		(void)snprintf(name, sizeof name, "%d.wav", i);
		t_write_file(in(rec, name), "audio", 5);
		t_write_file(in(victim, name), "not yours", 9);
		assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, in(rec, name), NULL), RCO_OK);
	}
	child = t_spawn(swap_and_swap, NULL);
	assert_int_equal(opt_out("call"), RCO_OK);
	for (i = 0; i < 300; i++)
		t_advance(&w, 10);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(t_tree_holds(victim, "not yours", 9), FILES);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- locks ---- */

static int to_child[2], to_parent[2];

/* Holds what it inherited until it is told to end. */
static void linger(void)
{
	char byte;

	(void)close(to_child[1]);
	if (write(to_parent[1], "x", 1) != 1)
		_exit(1);
	_exit(read(to_child[0], &byte, 1) == 0 ? 0 : 2);
}

static void open_and_fork_and_die(void *arg)
{
	char byte;

	(void)arg;
	t_world_open(&w);
	t_push(t_call(&w, "call"), 0, 7, 0, 20);
	assert_int_equal(opt_out("call"), RCO_OK);
	if (fork() == 0)
		linger();
	if (read(to_parent[0], &byte, 1) == 1)
		(void)raise(SIGKILL);
}

static void try_to_open(void *arg)
{
	(void)arg;
	_exit(t_world_try_open(&w) == RCO_E_BUSY ? 7 : 8);
}

static void test_a_child_lives_on(void **state)
{
	(void)state;
	make_world(T_SHARED);
	assert_int_equal(pipe(to_child), 0);
	assert_int_equal(pipe(to_parent), 0);
	assert_int_equal(t_reap(t_spawn(open_and_fork_and_die, NULL)), -SIGKILL);
	t_world_open(&w); /* the grandchild is still there, with all descriptors */
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	(void)close(to_child[1]);
	(void)close(to_child[0]);
	(void)close(to_parent[0]);
	(void)close(to_parent[1]);
	t_world_destroy(&w);
}

static void test_one_engine_at_a_time(void **state)
{
	rco_engine *second = NULL;
	char link[256];

	(void)state;
	make_world(T_SHARED);
	t_world_open(&w);
	assert_int_equal(rco_engine_create(&w.cfg, &second), RCO_E_BUSY);
	assert_null(second);
	/* having tried changes nothing, for this process and for others */
	assert_int_equal(rco_engine_create(&w.cfg, &second), RCO_E_BUSY);
	assert_int_equal(t_reap(t_spawn(try_to_open, NULL)), 7);
	t_join(link, sizeof link, w.root, "same");
	assert_int_equal(symlink(w.state, link), 0);
	w.cfg.state_dir = link;
	assert_int_equal(rco_engine_create(&w.cfg, &second), RCO_E_BUSY);
	w.cfg.state_dir = w.state;
	t_world_close(&w);
	t_world_open(&w);
	t_world_destroy(&w);
}

/* ---- the working directory ---- */

static void in_relative_folders(void *arg)
{
	char root[256];
	rco_session *s;

	(void)arg;
	(void)snprintf(root, sizeof root, "%s", w.root);
	assert_int_equal(chdir(w.root), 0);
	w.cfg.state_dir = "state";
	w.cfg.output_dir = "out";
	w.cfg.key_dir = "keys";
	t_world_open(&w);
	assert_int_equal(chdir("/"), 0);
	s = t_call(&w, "kept");
	t_push(s, 0, 7, 0, 20);
	t_advance(&w, 1000);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "kept", RCO_EVENT_CALL_RECORD, 1);
	rco_session_free(s);
	s = t_call(&w, "erased");
	t_push(s, 0, 7, 0, 20);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "erased", RCO_EVENT_VERIFIED, 1);
	rco_session_free(s);
	t_world_close(&w);
	assert_int_equal(t_tree_holds(in(root, "out"), "WAVE", 4), 1);
	assert_true(t_tree_holds(in(root, "keys"), NULL, 0) > 0);
}

static void test_the_host_changes_its_directory(void **state)
{
	char cwd[512];

	(void)state;
	make_world(0);
	assert_non_null(getcwd(cwd, sizeof cwd));
	in_relative_folders(NULL);
	assert_int_equal(chdir(cwd), 0);
	t_world_destroy(&w);
}

/* Moved while it is open: what was opened is what is meant. */
static void test_a_folder_is_moved(void **state)
{
	rco_session *s;

	(void)state;
	make_world(0);
	t_world_open(&w);
	assert_int_equal(rename(w.out, away), 0);
	assert_int_equal(symlink(victim, w.out), 0);
	assert_int_equal(rename(w.state, in(w.root, "state2")), 0);
	assert_int_equal(symlink(victim, w.state), 0);
	s = t_call(&w, "kept");
	t_push(s, 0, 7, 0, 20);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "kept", RCO_EVENT_CALL_RECORD, 1);
	rco_session_free(s);
	assert_int_equal(t_tree_holds(away, "WAVE", 4), 1);
	assert_int_equal(t_tree_holds(victim, NULL, 0), 0);
	t_world_destroy(&w);
}

/* Removed and created again: it is looked for again, and only if it is one to be trusted. */
static void test_a_folder_is_made_again(void **state)
{
	rco_session *s;

	(void)state;
	make_world(0);
	t_world_open(&w);
	t_rmtree(w.out);
	assert_int_equal(mkdir(w.out, 0700), 0);
	assert_int_equal(chmod(w.out, 0777), 0);
	s = t_call(&w, "kept");
	t_push(s, 0, 7, 0, 20);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 60000);
	assert_int_equal(t_tree_holds(w.out, NULL, 0), 0);
	assert_int_equal(chmod(w.out, 0700), 0);
	t_await(&w, "kept", RCO_EVENT_CALL_RECORD, 1);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- copies of a state folder ---- */

static void copy_tree(const char *from, const char *to)
{
	char command[700];

	(void)snprintf(command, sizeof command, "cp -a '%s' '%s'", from, to);
	assert_int_equal(system(command), 0);
}

static void record_end_and_die(void *arg)
{
	rco_session *s;

	(void)arg;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 7, 0, 20);
	t_advance(&w, 1000);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	(void)raise(SIGKILL);
}

static void test_a_restored_folder(void **state)
{
	char backup[256];

	(void)state;
	make_world(T_SHARED);
	t_join(backup, sizeof backup, w.root, "backup");
	assert_int_equal(t_reap(t_spawn(record_end_and_die, NULL)), -SIGKILL);
	copy_tree(w.state, backup);
	t_world_open(&w);
	assert_int_equal(opt_out("call"), RCO_OK);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	t_world_close(&w);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 0);
	assert_int_equal(t_tree_holds(w.out, "\"verified\"", 10), 1);
	t_rmtree(w.state);
	assert_int_equal(rename(backup, w.state), 0);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_RECOVERED, 1);
	t_await(&w, "call", RCO_EVENT_UPLOAD_ABORTED, 1);
	t_advance(&w, 60000);
	assert_int_equal(rco_engine_wait_idle(w.engine, 0), RCO_OK);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 0);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 0);
	assert_int_equal(t_tree_holds(w.out, "\"verified\"", 10), 1); /* nor is the record replaced */
	t_world_destroy(&w);
}

/* The same of a kept call: it is there, once, and stays. */
static void test_a_restored_folder_of_a_kept_call(void **state)
{
	char backup[256];

	(void)state;
	make_world(T_SHARED);
	t_join(backup, sizeof backup, w.root, "backup");
	assert_int_equal(t_reap(t_spawn(record_end_and_die, NULL)), -SIGKILL);
	copy_tree(w.state, backup);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	t_advance(&w, 1000);
	t_world_close(&w);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 1);
	t_rmtree(w.state);
	assert_int_equal(rename(backup, w.state), 0);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_STORED, 2);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 1);
	assert_int_equal(t_tree_holds(w.out, NULL, 0), 3); /* and the id of the folder */
	t_world_destroy(&w);
}

static rco_engine *open_copy(const char *state)
{
	rco_engine_config cfg = w.cfg;
	rco_engine *engine = NULL;

	cfg.state_dir = state;
	assert_int_equal(rco_engine_create(&cfg, &engine), RCO_OK);
	return engine;
}

static void count_rings(const char *file, void *user_data)
{
	*(int *)user_data += strstr(file, ".rings") != NULL;
}

/* Of a folder in use: the copy has rings of its own, and does not commit what the first one erased meanwhile. */
static void test_two_engines_on_copies(void **state)
{
	char copy[256];
	rco_engine *second;
	rco_session *s;
	int i, rings = 0;

	(void)state;
	make_world(T_SHARED);
	t_join(copy, sizeof copy, w.root, "copy");
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 7, 0, 20);
	t_advance(&w, 1000);
	copy_tree(w.state, copy);
	second = open_copy(copy);
	t_tree_each(w.rings, count_rings, &rings);
	assert_int_equal(rings, 2);
	/* the copy is sending it, and waits for the window */
	for (i = 0; i < 50; i++)
		assert_int_equal(rco_engine_run(second, 0, 0), RCO_OK);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 1);
	t_push(s, 0, 7, 20, 20); /* the first goes on */
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_settle(&w);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	t_clock_advance(&w.clock, 60000);
	for (i = 0; i < 200; i++)
		assert_int_equal(rco_engine_run(second, 0, 0), RCO_OK);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 0);
	rco_engine_free(second);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_swapped_before_the_erasure),
		cmocka_unit_test(test_swapped_further_up_and_after_a_crash),
		cmocka_unit_test(test_link_at_registration),
		cmocka_unit_test(test_what_is_no_file),
		cmocka_unit_test(test_race),
		cmocka_unit_test(test_a_child_lives_on),
		cmocka_unit_test(test_one_engine_at_a_time),
		cmocka_unit_test(test_the_host_changes_its_directory),
		cmocka_unit_test(test_a_folder_is_moved),
		cmocka_unit_test(test_a_folder_is_made_again),
		cmocka_unit_test(test_a_restored_folder),
		cmocka_unit_test(test_a_restored_folder_of_a_kept_call),
		cmocka_unit_test(test_two_engines_on_copies),
	};

	return cmocka_run_group_tests_name("swapped, moved and copied folders", tests, NULL, NULL);
}
