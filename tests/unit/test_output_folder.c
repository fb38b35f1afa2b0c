/* SPDX-License-Identifier: MIT */
/*
 * What is in the folder of recordings when an engine comes back to it: files that others put under the names of
 * ours, a part of a call that an engine on a copy of the state stored, the record of an erasure, second names of a
 * file, and another folder altogether. No call is lost for any of them, and nothing is called erased that is not
 * known to be.
 */
#include "../support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OWNER = 64322, STRANGER = 64321, ELSEWHERE = 77, BEFORE = 20, MORE = 30, FRAME = 160 };

static t_world w;

static void make_world(uint32_t flags)
{
	t_world_init(&w, flags | T_SPOOL);
	w.cfg.upload = NULL;
	w.cfg.deletion = NULL;
	w.cfg.output_dir = w.out;
	assert_int_equal(chmod(w.root, 0755), 0);
	assert_int_equal(mkdir(w.out, 0700), 0);
}

static int root_only(void)
{
	if (geteuid() == 0)
		return 0;
	print_message("    only root can become somebody else: what a second user would do was not tried\n");
	return 1;
}

static void become(uid_t who)
{
	assert_int_equal(setgroups(0, NULL), 0);
	assert_int_equal(setgid(who), 0);
	assert_int_equal(setuid(who), 0);
}

static const char *in(const char *dir, const char *name)
{
	static char path[8][400];
	static int turn;

	turn = (turn + 1) % 8;
	(void)snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static int opt_out(const char *call)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o};

	return rco_engine_opt_out(w.engine, call, &o, NULL);
}

static void copy_tree(const char *from, const char *to)
{
	char command[700];

	(void)snprintf(command, sizeof command, "cp -a '%s' '%s'", from, to);
	assert_int_equal(system(command), 0);
}

/* The name of the first file in `out` that ends so. */
static const char *name_of(const char *ending)
{
	static char name[256];
	size_t n = strlen(ending);
	DIR *dir = opendir(w.out);
	struct dirent *e;

	name[0] = '\0';
	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.' && strlen(e->d_name) > n &&
		    strcmp(e->d_name + strlen(e->d_name) - n, ending) == 0)
			(void)snprintf(name, sizeof name, "%s", e->d_name);
	(void)closedir(dir);
	return name;
}

static const char *beside(const char *id, const char *ending)
{
	static char name[64];

	(void)snprintf(name, sizeof name, "%s%s", id, ending);
	return name;
}

/* Does the one WAV in `out` hold so many frames of that noise, and nothing else? */
static int holds(uint64_t seed, size_t frames)
{
	const char *name = name_of(".wav");
	size_t size = 0, samples = 0;
	const uint8_t *audio;
	struct stat st;
	uint8_t *file;
	int yes;

	if (name[0] == '\0' || lstat(in(w.out, name), &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	file = t_read_file(in(w.out, name), &size);
	audio = file != NULL ? t_wav_samples(file, size, &samples) : NULL;
	yes = audio != NULL && samples == frames * FRAME && t_is_noise(seed, audio, samples);
	free(file);
	return yes;
}

/* ---- planted files ---- */

static void end_and_die(void *arg)
{
	rco_session *s;

	(void)arg;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 7, 0, BEFORE);
	t_advance(&w, 1000);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	(void)raise(SIGKILL); /* all is sent, the window runs */
}

static void remove_any(const char *path)
{
	assert_int_equal(remove(path), 0);
}

enum { EMPTY, WRITABLE, FORGED, LINK, FIFO, FOLDER, KINDS };

typedef struct planting {
	int kind;
	char path[400], text[600];
} planting;

static void plant(void *arg)
{
	const planting *p = arg;
	const char *name = t_go_inside(p->path);
	int fd;

	become(STRANGER);
	(void)umask(0);
	if (p->kind == LINK) {
		assert_int_equal(symlink("/etc/passwd", name), 0);
	} else if (p->kind == FIFO) {
		assert_int_equal(mkfifo(name, 0666), 0);
	} else if (p->kind == FOLDER) {
		assert_int_equal(mkdir(name, 0777), 0);
	} else {
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL, p->kind == WRITABLE ? 0666 : 0644);
		assert_true(fd >= 0);
		if (p->kind == FORGED)
			assert_true(write(fd, p->text, strlen(p->text)) > 0);
		assert_int_equal(close(fd), 0);
	}
}

static void plant_at(int kind, const char *id, const char *ending)
{
	planting p = {.kind = kind};

	(void)snprintf(p.path, sizeof p.path, "%s/%s%s", w.out, id, ending);
	(void)snprintf(p.text, sizeof p.text,
	               "{\"v\":1,\"recording\":\"%s\",\"legs\":[],\"files\":[],\"opt_out\":null}", id);
	assert_int_equal(t_reap(t_spawn(plant, &p)), 0);
}

/* Other users see the name of a recording while it is on its way. What they put beside it says nothing of it. */
static void test_planted(void **state)
{
	static const char *const endings[][2] = {{".json", ""}, {".caller.wav", ""}, {".json", ".caller.wav"}};
	char id[RCO_ID_TEXT + 1];
	t_event event;
	size_t i;
	int kind;

	(void)state;
	if (root_only())
		return;
	for (i = 0; i < sizeof endings / sizeof endings[0]; i++) {
		for (kind = 0; kind < KINDS; kind++) {
			make_world(T_SHARED);
			w.cfg.late_opt_out_ms = 5000;
			assert_int_equal(chmod(w.out, 01777), 0);
			assert_int_equal(t_reap(t_spawn(end_and_die, NULL)), -SIGKILL);
			(void)snprintf(id, sizeof id, "%.*s", RCO_ID_TEXT, name_of(".caller.wav.tmp"));
			assert_int_equal(strlen(id), RCO_ID_TEXT);
			plant_at(kind, id, endings[i][0]);
			if (endings[i][1][0] != '\0')
				plant_at(kind, id, endings[i][1]);
			t_world_open(&w);
			t_advance(&w, 60000);
			assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_UPLOAD_ABORTED), 0);
			if (!holds(7, BEFORE)) { /* then it waits, and that is said */
				assert_int_equal(t_events_last(&w.events, "call", RCO_EVENT_UPLOAD_RETRY, &event),
				                 1);
				assert_int_equal(event.code, RCO_E_PERMISSION);
				assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 0);
				remove_any(in(w.out, beside(id, endings[i][0])));
				if (endings[i][1][0] != '\0')
					remove_any(in(w.out, beside(id, endings[i][1])));
			}
			t_await(&w, "call", RCO_EVENT_STORED, 1);
			assert_true(holds(7, BEFORE));
			t_world_destroy(&w);
		}
	}
}

/* Ours, and nothing of this call: damaged, or of another recording. */
static void test_record_of_something_else(void **state)
{
	static const char *const texts[] = {
		"", "{", "null", "[]",
		"{\"v\":1,\"recording\":\"00000000-0000-4000-8000-000000000000\",\"opt_out\":null}"};
	char path[400];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		make_world(T_SHARED);
		w.cfg.late_opt_out_ms = 5000;
		assert_int_equal(t_reap(t_spawn(end_and_die, NULL)), -SIGKILL);
		(void)snprintf(path, sizeof path, "%s/%.*s.json", w.out, RCO_ID_TEXT, name_of(".caller.wav.tmp"));
		t_write_file(path, texts[i], strlen(texts[i]));
		assert_int_equal(chmod(path, 0600), 0);
		t_world_open(&w);
		t_advance(&w, 60000);
		assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_UPLOAD_ABORTED), 0);
		assert_true(t_events_count(&w.events, "call", RCO_EVENT_UPLOAD_RETRY) > 0);
		assert_int_equal(unlink(path), 0);
		t_await(&w, "call", RCO_EVENT_STORED, 1);
		assert_true(holds(7, BEFORE));
		t_world_destroy(&w);
	}
}

/* Of an engine that is not root, where root's folder has the sticky bit: what cannot be removed is named. */
static void use_as_owner(void *arg)
{
	rco_directory_options o = {.struct_size = (uint32_t)sizeof o, .path = w.out};
	rco_object object = {.struct_size = (uint32_t)sizeof object,
	                     .kind = RCO_KIND_AUDIO,
	                     .store = RCO_STORE_UPLOAD,
	                     .key = "a.wav",
	                     .upload_id = "",
	                     .version = "",
	                     .call_id = "c",
	                     .content_type = ""};
	rco_result result = {.struct_size = (uint32_t)sizeof result};
	const rco_upload_ops *up = rco_directory_upload_ops();
	rco_directory *dir = NULL;

	(void)arg;
	become(OWNER);
	if (access(w.out, X_OK) != 0)
		_exit(ELSEWHERE);
	assert_int_equal(rco_directory_create(&o, &dir), RCO_OK); /* whatever is at the probe's name */
	assert_int_equal(up->head(&object, 1, &result, dir), RCO_E_PERMISSION);
	assert_int_equal(up->begin(&object, 2, &result, dir), RCO_OK);
	assert_int_equal(up->put(&object, 1, "audio", 5, 3, &result, dir), RCO_OK);
	assert_int_equal(up->commit(&object, 4, &result, dir), RCO_E_PERMISSION);
	assert_non_null(strstr(rco_error_detail(), "a.wav"));
	assert_non_null(strstr(rco_error_detail(), "move it away"));
	object.key = "b.wav"; /* somebody was there before its upload began */
	assert_int_equal(up->begin(&object, 5, &result, dir), RCO_E_PERMISSION);
	assert_non_null(strstr(rco_error_detail(), "b.wav.tmp"));
	assert_int_equal(up->abort(&object, 6, &result, dir), RCO_OK);
	assert_int_equal(up->list(&object, 7, &result, dir), RCO_OK);
	assert_int_equal(result.confirmed, RCO_CONFIRM_GONE);
	rco_directory_free(dir);
}

static void test_planted_where_nothing_can_be_removed(void **state)
{
	int rc;

	(void)state;
	if (root_only())
		return;
	make_world(0);
	assert_int_equal(chmod(w.out, 01777), 0);
	plant_at(WRITABLE, ".recoptout-probe", "");
	plant_at(FORGED, "a", ".wav");
	plant_at(EMPTY, "b", ".wav.tmp");
	rc = t_reap(t_spawn(use_as_owner, NULL));
	if (rc == ELSEWHERE)
		print_message("    the test's folder is shut to other users: not tried\n");
	else
		assert_int_equal(rc, 0);
	t_world_destroy(&w);
}

/* ---- copies of the state ---- */

static void run_copy(const char *state)
{
	rco_engine_config cfg = w.cfg;
	rco_engine *second = NULL;
	int i;

	cfg.state_dir = state;
	assert_int_equal(rco_engine_create(&cfg, &second), RCO_OK);
	for (i = 0; i < 200; i++) {
		assert_int_equal(rco_engine_run(second, 0, 0), RCO_OK);
		t_clock_advance(&w.clock, 100);
	}
	rco_engine_free(second);
}

/* A copy was started in mid-call and stored what it knew of; `arg`: the call goes on, and the process dies. */
static void copy_and_go_on(void *arg)
{
	char copy[256];
	rco_session *s;

	t_join(copy, sizeof copy, w.root, "copy");
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 7, 0, BEFORE);
	t_advance(&w, 1000);
	copy_tree(w.state, copy);
	run_copy(copy);
	t_push(s, 0, 7, BEFORE, MORE);
	t_advance(&w, 1000);
	if (arg != NULL)
		(void)raise(SIGKILL);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_STORED, 2); /* the copy's was the first */
	t_world_close(&w);
}

static void test_a_copy_stored_a_part(void **state)
{
	uint32_t format;
	int die;

	(void)state;
	for (format = RCO_EXPORT_WAV; format <= RCO_EXPORT_WAV_ZST; format++) {
		for (die = 0; die < 2; die++) {
			char bytes[64];

			make_world(T_SHARED);
			w.cfg.export_format = format;
			assert_int_equal(t_reap(t_spawn(copy_and_go_on, die ? &die : NULL)), die ? -SIGKILL : 0);
			t_world_open(&w);
			if (die)
				t_await(&w, "call", RCO_EVENT_STORED, 1);
			t_advance(&w, 1000);
			if (format == RCO_EXPORT_WAV)
				assert_true(holds(7, BEFORE + MORE));
			(void)snprintf(bytes, sizeof bytes, "\"bytes\":%d", (BEFORE + MORE) * FRAME);
			assert_int_equal(t_tree_holds(w.out, bytes, strlen(bytes)), 1); /* the record, too */
			t_world_destroy(&w);
		}
	}
}

/* The record of an erased call is there from its erasure on, not first when somebody hangs up. */
static void erase_in_mid_call(void *arg)
{
	char copy[256];
	rco_session *s;

	t_join(copy, sizeof copy, w.root, "copy");
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 7, 0, BEFORE);
	t_advance(&w, 1000);
	copy_tree(w.state, copy);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_settle(&w);
	if (arg != NULL)
		run_copy(copy);
	t_world_close(&w); /* and never rco_session_end() */
	rco_session_free(s);
}

static void test_erased_in_mid_call(void **state)
{
	char copy[256];
	int at_once;

	(void)state;
	for (at_once = 0; at_once < 2; at_once++) {
		make_world(T_SHARED);
		t_join(copy, sizeof copy, w.root, "copy");
		assert_int_equal(t_reap(t_spawn(erase_in_mid_call, at_once ? &at_once : NULL)), 0);
		assert_int_equal(t_tree_holds(w.out, "\"verified\"", 10), 1);
		assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 0);
		t_rmtree(w.state);
		if (at_once)
			t_rmtree(copy);
		else
			assert_int_equal(rename(copy, w.state), 0);
		t_world_open(&w);
		t_advance(&w, 60000);
		assert_int_equal(rco_engine_wait_idle(w.engine, 0), RCO_OK);
		assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 0);
		assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 0);
		t_world_destroy(&w);
	}
}

/* ---- another folder ---- */

static void sent_to_the_first(void)
{
	make_world(T_SHARED);
	w.cfg.late_opt_out_ms = 5000;
	assert_int_equal(t_reap(t_spawn(end_and_die, NULL)), -SIGKILL);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 1);
}

static void pending(void)
{
	t_event event;

	t_world_open(&w);
	assert_int_equal(opt_out("call"), RCO_OK);
	t_advance(&w, 60000);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_VERIFIED), 0);
	assert_int_equal(t_events_last(&w.events, "call", RCO_EVENT_ERASE_RETRY, &event), 1);
	assert_int_equal(event.code, RCO_E_NOT_FOUND);
	t_world_close(&w);
}

/* A volume that is not mounted leaves an empty folder under the same path. */
static void test_another_folder(void **state)
{
	char first[256];

	(void)state;
	sent_to_the_first();
	t_join(first, sizeof first, w.root, "first");
	assert_int_equal(rename(w.out, first), 0);
	pending();
	/* new calls are stored there all the same */
	t_world_open(&w);
	{
		rco_session *s = t_call(&w, "new");

		t_push(s, 0, 8, 0, BEFORE);
		assert_int_equal(rco_session_end(s), RCO_OK);
		rco_session_free(s);
	}
	t_await(&w, "new", RCO_EVENT_STORED, 1);
	assert_true(holds(8, BEFORE));
	t_world_close(&w);
	assert_int_equal(t_tree_holds(first, "WAVE", 4), 1);
	t_rmtree(w.out);
	assert_int_equal(rename(first, w.out), 0);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 0);
	t_world_destroy(&w);
}

/* The first is gone for good, and an operator says so. */
static void test_a_folder_is_given_up(void **state)
{
	char first[256], mine[256];
	size_t size = 0;
	uint8_t *id;

	(void)state;
	sent_to_the_first();
	t_join(first, sizeof first, w.root, "first");
	assert_int_equal(rename(w.out, first), 0);
	pending();
	id = t_read_file(in(first, ".recoptout-store"), &size);
	assert_non_null(id);
	(void)snprintf(mine, sizeof mine, "11111111-1111-4111-8111-111111111111\n%.*s", (int)size,
	               (const char *)id);
	free(id);
	t_write_file(in(w.out, ".recoptout-store"), mine, strlen(mine));
	assert_int_equal(chmod(in(w.out, ".recoptout-store"), 0600), 0);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_world_destroy(&w);
}

/* A kept call that is half in the other one is not stored twice, and not lost. */
static void test_a_kept_call_in_another_folder(void **state)
{
	char first[256];

	(void)state;
	sent_to_the_first();
	t_join(first, sizeof first, w.root, "first");
	assert_int_equal(rename(w.out, first), 0);
	t_world_open(&w);
	t_advance(&w, 60000);
	assert_true(t_events_count(&w.events, "call", RCO_EVENT_UPLOAD_RETRY) > 0);
	t_world_close(&w);
	t_rmtree(w.out);
	assert_int_equal(rename(first, w.out), 0);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(holds(7, BEFORE));
	t_world_destroy(&w);
}

/* Another user gives the folder its id before the engine does: it would be no id, and the folder could not be told
 * from another one. Nothing goes there until that is away. */
static void test_a_planted_id(void **state)
{
	rco_session *s;
	t_event event;
	int kind;

	(void)state;
	if (root_only())
		return;
	for (kind = 0; kind < KINDS; kind++) {
		make_world(T_SHARED);
		assert_int_equal(chmod(w.out, 01777), 0);
		plant_at(kind, ".recoptout", "-store");
		t_world_open(&w);
		s = t_call(&w, "call");
		t_push(s, 0, 7, 0, BEFORE);
		assert_int_equal(rco_session_end(s), RCO_OK);
		t_await(&w, "call", RCO_EVENT_UPLOAD_RETRY, 2);
		assert_int_equal(t_events_last(&w.events, "call", RCO_EVENT_UPLOAD_RETRY, &event), 1);
		assert_true(event.code < 0);
		assert_false(holds(7, BEFORE));
		assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 0);
		remove_any(in(w.out, ".recoptout-store"));
		t_await(&w, "call", RCO_EVENT_STORED, 1);
		assert_true(holds(7, BEFORE));
		rco_session_free(s);
		t_world_destroy(&w);
	}
}

/* ---- second names ---- */

static void test_second_names(void **state)
{
	rco_session *s;
	char host[256], other[256];
	t_event event;

	(void)state;
	make_world(0);
	t_join(host, sizeof host, w.root, "host.wav");
	t_join(other, sizeof other, w.root, "other");
	t_write_file(host, "audio", 5);
	t_world_open(&w);
	s = t_call(&w, "artifact");
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, host, NULL), RCO_OK);
	assert_int_equal(link(host, other), 0);
	assert_int_equal(opt_out("artifact"), RCO_OK);
	t_advance(&w, 60000);
	assert_int_equal(t_events_count(&w.events, "artifact", RCO_EVENT_VERIFIED), 0);
	assert_int_equal(t_events_last(&w.events, "artifact", RCO_EVENT_ERASE_RETRY, &event), 1);
	assert_int_equal(event.code, RCO_E_UNCONFIRMED);
	assert_int_equal(unlink(other), 0);
	t_await(&w, "artifact", RCO_EVENT_VERIFIED, 1);
	assert_false(t_exists(host));
	rco_session_free(s);
	/* a recording that a legal hold kept, in a backup made of links */
	s = t_call(&w, "held");
	t_push(s, 0, 7, 0, BEFORE);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "held", RCO_EVENT_STORED, 1);
	assert_int_equal(link(in(w.out, name_of(".wav")), other), 0);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	t_advance(&w, 60000);
	assert_int_equal(t_events_count(&w.events, "held", RCO_EVENT_VERIFIED), 0);
	assert_int_equal(unlink(other), 0);
	t_await(&w, "held", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_tree_holds(w.out, "WAVE", 4), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_planted),
		cmocka_unit_test(test_record_of_something_else),
		cmocka_unit_test(test_planted_where_nothing_can_be_removed),
		cmocka_unit_test(test_a_planted_id),
		cmocka_unit_test(test_a_copy_stored_a_part),
		cmocka_unit_test(test_erased_in_mid_call),
		cmocka_unit_test(test_another_folder),
		cmocka_unit_test(test_a_folder_is_given_up),
		cmocka_unit_test(test_a_kept_call_in_another_folder),
		cmocka_unit_test(test_second_names),
	};

	return cmocka_run_group_tests_name("the folder of recordings", tests, NULL, NULL);
}
