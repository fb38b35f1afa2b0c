/* SPDX-License-Identifier: MIT */
/*
 * Other users of the machine, on the way to what is ours: folders above, links, files that could be read, and
 * locks that need no more than that.
 */
#include "strangers.h"

/* ---- the way to the folders ---- */

enum { WAY_STATE, WAY_KEYS, WAY_OUTPUT, WAY_RINGS, WAYS };

/* Each of the folders in turn is `path`, and then as it was. */
static void put_way(int which, const char *path)
{
	static char state[256], out[256], rings[256];

	if (path != NULL && which == WAY_STATE)
		(void)snprintf(state, sizeof state, "%s", w.cfg.state_dir);
	if (path != NULL && which == WAY_OUTPUT)
		(void)snprintf(out, sizeof out, "%s", w.cfg.output_dir);
	if (path != NULL && which == WAY_RINGS)
		(void)snprintf(rings, sizeof rings, "%s", w.cfg.ring_dir);
	switch (which) {
	case WAY_STATE:
		w.cfg.state_dir = path != NULL ? path : state;
		break;
	case WAY_KEYS:
		w.cfg.key_dir = path;
		break;
	case WAY_OUTPUT:
		w.cfg.output_dir = path != NULL ? path : out;
		break;
	default:
		w.cfg.ring_dir = path != NULL ? path : rings;
		break;
	}
}

/* Somebody who may rename above a folder need not write to it. */
static void test_folders_above(void **state)
{
	static const struct {
		mode_t mode;
		int good;
	} modes[] = {{0755, 1}, {01777, 1}, {01775, 1}, {0777, 0}, {0775, 0}, {0702, 0}};
	char top[256], middle[256], path[256];
	size_t i;
	int which;

	(void)state;
	for (which = 0; which < WAYS; which++) {
		make_world(T_SHARED);
		t_join(top, sizeof top, w.root, "top");
		t_join(middle, sizeof middle, top, "middle");
		t_join(path, sizeof path, middle, "folder");
		assert_int_equal(mkdir(top, 0755), 0);
		assert_int_equal(mkdir(middle, 0755), 0);
		put_way(which, path);
		if (which == WAY_RINGS)
			assert_int_equal(mkdir(path, 0700), 0);
		for (i = 0; i < sizeof modes / sizeof modes[0]; i++) {
			int up;

			for (up = 0; up < 2; up++) { /* the folder above, and the one above that */
				const char *above = up ? top : middle;

				assert_int_equal(chmod(above, modes[i].mode), 0);
				if (modes[i].good) {
					accepted();
				} else {
					refused("others may rename above", above);
					assert_non_null(strstr(rco_error_detail(), path));
					assert_non_null(strstr(rco_error_detail(), "chmod"));
				}
				assert_int_equal(chmod(above, 0755), 0);
			}
		}
		accepted();
		if (which != WAY_RINGS) { /* nothing is made where it would be refused */
			t_rmtree(path);
			assert_int_equal(chmod(middle, 0777), 0);
			refused("a folder that is not there yet", middle);
			assert_false(t_exists(path));
			assert_int_equal(chmod(middle, 0755), 0);
		}
		put_way(which, NULL);
		t_world_destroy(&w);
	}
}

static void test_foreign_folder_above(void **state)
{
	char top[256], path[256];
	struct stat st;
	int which;

	(void)state;
	if (root_only())
		return;
	for (which = 0; which < WAYS; which++) {
		make_world(T_SHARED);
		t_join(top, sizeof top, w.root, "top");
		t_join(path, sizeof path, top, "folder");
		assert_int_equal(mkdir(top, 0755), 0);
		assert_int_equal(mkdir(path, 0700), 0);
		put_way(which, path);
		accepted();
		assert_int_equal(chown(top, STRANGER, STRANGER), 0);
		refused("a folder in a folder of somebody else", top);
		assert_int_equal(chmod(top, 01755), 0); /* the sticky bit keeps an owner from nothing */
		refused("the same, sticky", top);
		assert_int_equal(stat(path, &st), 0);
		put_way(which, NULL);
		t_world_destroy(&w);
	}
}

static void make_link(void *arg)
{
	const planting *p = arg;
	const char *name = t_go_inside(p->path);

	become_stranger();
	assert_int_equal(symlink(p->other, name), 0);
}

/* A link of ours leads where we chose; one of somebody else wherever he chooses next time. */
static void test_links_to_folders(void **state)
{
	char target[256], inside[256], link_in_way[256];
	planting p = {.kind = LINK};
	int which;

	(void)state;
	if (root_only())
		return;
	for (which = 0; which < WAYS; which++) {
		make_world(T_SHARED);
		t_join(target, sizeof target, w.root, "target");
		t_join(inside, sizeof inside, target, "inside");
		t_join(link_in_way, sizeof link_in_way, w.root, "link");
		assert_int_equal(mkdir(target, 0700), 0);
		assert_int_equal(mkdir(inside, 0700), 0);
		assert_int_equal(chmod(w.root, 01777), 0);
		/* in the place of the folder */
		assert_int_equal(symlink("target", link_in_way), 0);
		put_way(which, link_in_way);
		accepted();
		put_way(which, NULL);
		t_join(p.other, sizeof p.other, link_in_way, "inside");
		put_way(which, p.other); /* and on the way */
		accepted();
		put_way(which, NULL);
		assert_int_equal(unlink(link_in_way), 0);
		(void)snprintf(p.path, sizeof p.path, "%s", link_in_way);
		(void)snprintf(p.other, sizeof p.other, "target");
		assert_int_equal(t_reap(t_spawn(make_link, &p)), 0);
		put_way(which, link_in_way);
		refused("a link of somebody else", link_in_way);
		assert_non_null(strstr(rco_error_detail(), "link"));
		put_way(which, NULL);
		t_join(p.other, sizeof p.other, link_in_way, "inside");
		put_way(which, p.other);
		refused("a link of somebody else on the way", link_in_way);
		put_way(which, NULL);
		t_world_destroy(&w);
	}
}

/* A way that goes up and round, and a name relative to where the host is. */
static void test_ways_round(void **state)
{
	char here[512], top[256], path[300];

	(void)state;
	make_world(0);
	assert_non_null(getcwd(here, sizeof here));
	t_join(top, sizeof top, w.root, "top");
	assert_int_equal(mkdir(top, 0755), 0);
	(void)snprintf(path, sizeof path, "%s/./top/..//top/state/", w.root);
	w.cfg.state_dir = path;
	accepted();
	assert_int_equal(chmod(top, 0777), 0);
	refused("above, by a long way", top);
	assert_int_equal(chdir(top), 0);
	w.cfg.state_dir = "state";
	refused("above, and it is here", top);
	w.cfg.state_dir = "../top/state";
	refused("the same, up and down", top);
	assert_int_equal(chmod(top, 0755), 0);
	accepted();
	assert_int_equal(chdir(here), 0);
	t_world_destroy(&w);
}

/* A link that loops, or leads nowhere, is an error like others. */
static void test_links_to_nowhere(void **state)
{
	char path[256];

	(void)state;
	make_world(0);
	t_join(path, sizeof path, w.root, "loop");
	assert_int_equal(symlink("loop", path), 0);
	w.cfg.state_dir = path;
	assert_int_equal(t_world_try_open(&w), RCO_E_LIMIT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("not-mounted", path), 0);
	assert_int_equal(t_world_try_open(&w), RCO_E_NOT_FOUND);
	assert_non_null(strstr(rco_error_detail(), "link"));
	t_world_destroy(&w);
}

static void test_ring_folder_of_somebody_else(void **state)
{
	(void)state;
	if (root_only())
		return;
	make_world(T_SHARED);
	assert_int_equal(chown(w.rings, STRANGER, STRANGER), 0);
	assert_int_equal(chmod(w.rings, 01777), 0);
	refused("a sticky folder of somebody else", w.rings);
	assert_int_equal(chown(w.rings, 0, 0), 0);
	accepted();
	t_world_destroy(&w);
}

/* ---- what others could read ---- */

static void mode_is_0600(const char *file, void *user_data)
{
	struct stat st;

	(void)user_data;
	assert_int_equal(lstat(file, &st), 0);
	if ((st.st_mode & 07777) != 0600)
		print_error("%s has mode %04o\n", file, (unsigned)(st.st_mode & 07777));
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void open_to_all(const char *file, void *user_data)
{
	assert_int_equal(chmod(file, 0644), 0);
	(*(int *)user_data)++;
}

/* `chmod -R a+rX`, as it happens: what the engine uses is shut again, and told. */
static void test_readable_secrets(void **state)
{
	static const char *const told[] = {"signing.key", "/lock", "epoch-", "id"};
	char rings[256];
	rco_session *s;
	int files = 0;
	size_t i;

	(void)state;
	make_world(T_SHARED);
	t_world_open(&w);
	s = t_call(&w, "first"); /* there is no key before */
	t_push(s, 0, 7, 0, 20);
	t_settle(&w);
	t_world_close(&w);
	rco_session_free(s);
	begin_log();
	assert_int_equal(t_reap(t_spawn(record_and_die, NULL)), -SIGKILL);
	rings_path(rings, sizeof rings);
	t_tree_each(w.state, open_to_all, &files);
	assert_true(files > 5);
	assert_int_equal(chmod(rings, 0644), 0);
	t_world_open(&w);
	for (i = 0; i < sizeof told / sizeof told[0]; i++) {
		if (strstr(logged, told[i]) == NULL)
			print_error("%s is not in the log:\n%s\n", told[i], logged);
		assert_non_null(strstr(logged, told[i]));
	}
	assert_non_null(strstr(logged, rings));
	assert_non_null(strstr(logged, "others could read"));
	t_tree_each(w.state, mode_is_0600, NULL);
	mode_is_0600(rings, NULL);
	assert_int_equal(t_events_count(&w.events, NULL, RCO_EVENT_QUARANTINED), 0);
	t_await(&w, "killed", RCO_EVENT_STORED, 1); /* and nothing was lost by it */
	t_world_close(&w);
	begin_log();
	accepted();
	assert_null(strstr(logged, "others could read"));
	t_world_destroy(&w);
}

typedef struct reader {
	const char *path;
	int ready, go; /* ends of pipes */
} reader;

static void hold_shared(void *arg)
{
	const reader *r = arg;
	const char *name = t_go_inside(r->path);
	struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	char byte = 0;
	int fd;

	become_stranger();
	fd = open(name, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETLK, &whole), 0);
	assert_int_equal(write(r->ready, &byte, 1), 1);
	(void)read(r->go, &byte, 1); /* until the other end is closed */
}

static void try_shared(void *arg)
{
	const char *name = t_go_inside(arg);

	become_stranger();
	assert_int_equal(open(name, O_RDONLY), -1);
	assert_int_equal(errno, EACCES);
}

/* A shared lock needs no more than reading: it is told apart from an engine's, and can be taken only once. */
static void test_lock_held_by_a_reader(void **state)
{
	static const char *const names[] = {"lock", "spool/lock", "keys/lock"};
	int ready[2], go[2];
	char path[256], byte, pid_text[32];
	reader r;
	size_t i;
	pid_t pid;

	(void)state;
	if (root_only())
		return;
	make_world(0);
	accepted();
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		(void)snprintf(path, sizeof path, "%s", in_state(names[i]));
		assert_int_equal(chmod(w.state, 0755), 0);
		assert_int_equal(chmod(in_state("spool"), 0755), 0);
		assert_int_equal(chmod(in_state("keys"), 0755), 0);
		assert_int_equal(chmod(path, 0644), 0);
		assert_int_equal(pipe(ready), 0);
		assert_int_equal(pipe(go), 0);
		r = (reader){.path = path, .ready = ready[1], .go = go[0]};
		pid = t_spawn(hold_shared, &r);
		(void)close(ready[1]);
		(void)close(go[0]);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		assert_int_equal(t_world_try_open(&w), RCO_E_BUSY);
		(void)snprintf(pid_text, sizeof pid_text, "process %ld", (long)pid);
		if (strstr(rco_error_detail(), pid_text) == NULL)
			print_error("%s: %s\n", path, rco_error_detail());
		assert_non_null(strstr(rco_error_detail(), pid_text));
		mode_is_0600(path, NULL);
		assert_int_equal(t_reap(t_spawn(try_shared, path)), 0);
		(void)kill(pid, SIGKILL);
		(void)t_reap(pid);
		(void)close(ready[0]);
		(void)close(go[1]);
		accepted();
	}
	t_world_destroy(&w);
}

/* ---- files of the host ---- */

typedef struct linked {
	char folder[256], target[256];
	const char *name;
} linked;

static void link_in_own_folder(void *arg)
{
	const linked *l = arg;

	(void)t_go_inside(l->folder);
	become_stranger();
	assert_int_equal(chdir(strrchr(l->folder, '/') + 1), 0);
	assert_int_equal(symlink(l->target, l->name), 0);
}

/* With an engine that may remove everything, the maker of a link must not choose what is removed. */
static void test_artifact_behind_a_foreign_link(void **state)
{
	char path[320], file[300], theirs[256];
	rco_session *s;
	linked l = {.name = "to-ours"};

	(void)state;
	if (root_only())
		return;
	make_world(0);
	t_join(l.folder, sizeof l.folder, w.root, "theirs");
	t_join(l.target, sizeof l.target, w.root, "ours");
	t_join(file, sizeof file, l.target, "x.wav");
	t_join(theirs, sizeof theirs, l.folder, "kept");
	assert_int_equal(mkdir(l.folder, 0755), 0);
	assert_int_equal(chown(l.folder, STRANGER, STRANGER), 0);
	assert_int_equal(mkdir(l.target, 0700), 0);
	assert_int_equal(mkdir(theirs, 0755), 0);
	assert_int_equal(chown(theirs, STRANGER, STRANGER), 0);
	t_write_file(file, "not yours", 9);
	assert_int_equal(t_reap(t_spawn(link_in_own_folder, &l)), 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	(void)snprintf(path, sizeof path, "%s/to-ours/x.wav", l.folder);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_E_INVALID);
	assert_non_null(strstr(rco_error_detail(), "to-ours"));
	/* nor one that is not there yet, in a folder that is not theirs */
	(void)snprintf(path, sizeof path, "%s/to-ours/later.wav", l.folder);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_E_INVALID);
	/* a link of theirs to what is theirs: a recorder's own business */
	l.name = "to-theirs";
	(void)snprintf(l.target, sizeof l.target, "kept");
	assert_int_equal(t_reap(t_spawn(link_in_own_folder, &l)), 0);
	t_join(path, sizeof path, theirs, "y.wav");
	t_write_file(path, "audio", 5);
	assert_int_equal(chown(path, STRANGER, STRANGER), 0);
	(void)snprintf(path, sizeof path, "%s/to-theirs/y.wav", l.folder);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	assert_true(t_exists(path));
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_false(t_exists(path));
	assert_true(t_exists(file));
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folders_above),
		cmocka_unit_test(test_foreign_folder_above),
		cmocka_unit_test(test_links_to_folders),
		cmocka_unit_test(test_ways_round),
		cmocka_unit_test(test_links_to_nowhere),
		cmocka_unit_test(test_ring_folder_of_somebody_else),
		cmocka_unit_test(test_readable_secrets),
		cmocka_unit_test(test_lock_held_by_a_reader),
		cmocka_unit_test(test_artifact_behind_a_foreign_link),
	};

	return cmocka_run_group_tests_name("other users of the machine, on the way", tests, NULL, NULL);
}
