/* SPDX-License-Identifier: MIT */
/*
 * Other users of the machine: what they put where the library keeps its rings, state, keys and recordings is
 * refused, or left alone, and never believed. Each attack is made by a second user, which only root can become;
 * folders that belong to nobody else but have a wrong mode are refused to everybody.
 */
#include "strangers.h"

enum { PAGE_OF_RINGS = 4096 };

/* ---- rings ---- */

static void plant(void *arg)
{
	const planting *p = arg;
	const char *name = t_go_inside(p->path);
	int fd;

	become_stranger();
	(void)umask(0);
	if (p->kind == FIFO) {
		assert_int_equal(mkfifo(name, 0666), 0);
		return;
	}
	if (p->kind == LINK) {
		assert_int_equal(symlink(p->other, name), 0);
		return;
	}
	fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0666);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, p->kind == SHORT ? 100 : (off_t)p->size), 0);
	if (p->kind == HARD_LINK)
		assert_int_equal(link(name, strrchr(p->other, '/') + 1), 0); /* in the same folder */
	(void)close(fd);
}

/* After a power cut the rings are gone, and their name may be known. */
static void test_planted_rings(void **state)
{
	char fresh[256];
	uint8_t marker[64];
	rco_session *s;
	struct stat st;
	planting p;

	(void)state;
	if (root_only())
		return;
	t_noise(7, 0, marker, sizeof marker);
	for (p.kind = 0; p.kind < KINDS; p.kind++) {
		make_world(T_SHARED);
		assert_int_equal(t_reap(t_spawn(record_and_die, NULL)), -SIGKILL);
		rings_path(p.path, sizeof p.path);
		t_join(p.other, sizeof p.other, w.rings, "other");
		assert_int_equal(stat(p.path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		p.size = (size_t)st.st_size;
		assert_int_equal(unlink(p.path), 0);
		if (p.kind == LINK)
			t_write_file(p.other, "not yours", 9);
		assert_int_equal(chmod(w.rings, 01777), 0);
		assert_int_equal(t_reap(t_spawn(plant, &p)), 0);
		begin_log();
		t_world_open(&w);
		assert_non_null(strstr(logged, p.path));
		assert_non_null(strstr(logged, "left alone"));
		rings_path(fresh, sizeof fresh);
		assert_string_not_equal(fresh, p.path);
		assert_int_equal(stat(fresh, &st), 0);
		assert_true(st.st_uid == geteuid() && (st.st_mode & 07777) == 0600);
		s = t_call(&w, "later");
		t_push(s, 0, 7, 0, 20);
		/* What is there was neither used nor removed. */
		assert_int_equal(lstat(p.path, &st), 0);
		assert_int_equal(st.st_uid, STRANGER);
		if (p.kind != FIFO)
			assert_int_equal(t_tree_holds(w.rings, marker, sizeof marker), 1);
		assert_int_equal(unlink(p.path), 0);
		rco_session_free(s);
		t_world_destroy(&w);
	}
}

/* Ours, but open to others for a while: what is in it is not believed, and does not stay. */
static void test_rings_of_a_wrong_mode(void **state)
{
	uint8_t marker[64];
	char path[256];

	(void)state;
	t_noise(7, 0, marker, sizeof marker);
	make_world(T_SHARED);
	assert_int_equal(t_reap(t_spawn(record_and_die, NULL)), -SIGKILL);
	rings_path(path, sizeof path);
	assert_int_equal(t_tree_holds(w.rings, marker, sizeof marker), 1);
	assert_int_equal(chmod(path, 0666), 0);
	t_world_open(&w);
	assert_false(t_exists(path));
	assert_int_equal(t_tree_holds(w.rings, marker, sizeof marker), 0);
	t_settle(&w);
	assert_true(t_events_count(&w.events, NULL, RCO_EVENT_QUARANTINED) > 0);
	t_world_destroy(&w);
}

static void test_folder_of_the_rings(void **state)
{
	(void)state;
	make_world(T_SHARED);
	assert_int_equal(chmod(w.rings, 0777), 0);
	refused("rings in a folder of everybody's", w.rings);
	assert_int_equal(chmod(w.rings, 01777), 0); /* as /dev/shm is */
	accepted();
	assert_int_equal(chmod(w.rings, 0700), 0);
	t_world_destroy(&w);
}

/* A start that is refused forgets nothing of the process before. */
static void test_refused_and_started_again(void **state)
{
	(void)state;
	make_world(T_SHARED);
	assert_int_equal(t_reap(t_spawn(record_and_die, NULL)), -SIGKILL);
	assert_int_equal(chmod(w.rings, 0777), 0);
	refused("rings in a folder of everybody's", w.rings);
	assert_int_equal(chmod(w.rings, 0700), 0);
	t_world_open(&w);
	t_await(&w, "killed", RCO_EVENT_STORED, 1);
	t_world_destroy(&w);
}

/* An older state folder in the place of the one that was killed: nobody looks for its rings, and they are plain.
 */
static void test_rings_that_are_left(void **state)
{
	char left[256], id[256];
	uint8_t marker[64];
	rco_session *s;
	t_world other;
	struct stat st;

	(void)state;
	t_noise(7, 0, marker, sizeof marker);
	make_world(T_SHARED);
	begin_log();
	assert_int_equal(t_reap(t_spawn(record_and_die, NULL)), -SIGKILL);
	rings_path(left, sizeof left);
	/* another engine runs beside it, with the same folder for rings: nothing to tell of those */
	t_world_init(&other, T_SHARED);
	other.cfg.ring_dir = w.rings;
	t_world_open(&other);
	t_join(id, sizeof id, w.state, "id");
	assert_int_equal(unlink(id), 0);
	t_join(id, sizeof id, w.state, "rings");
	assert_int_equal(unlink(id), 0);
	t_world_open(&w);
	assert_non_null(strstr(logged, left));
	assert_non_null(strstr(logged, "no engine that runs"));
	assert_null(strstr(strstr(logged, "no engine that runs") + 1, "no engine that runs"));
	assert_int_equal(stat(left, &st), 0);
	assert_int_equal(t_tree_holds(w.rings, marker, sizeof marker), 1); /* its engine may come again */
	t_world_close(&w);
	assert_int_equal(unlink(left), 0); /* as the line says */
	begin_log();
	accepted();
	assert_null(strstr(logged, "no engine that runs"));
	s = t_call(&other, "beside");
	t_push(s, 0, 7, 0, 20); /* it still has its rings */
	rco_session_free(s);
	t_world_destroy(&other);
	t_world_destroy(&w);
}

static void open_descriptor(void *arg)
{
	const char *path = arg;

	become_stranger();
	assert_int_equal(open(path, O_RDONLY), -1);
	assert_int_equal(truncate(path, 0), -1);
	assert_int_equal(unlink(path), -1);
}

static void test_rings_in_use(void **state)
{
	rco_session *s;
	char path[256];

	(void)state;
	if (root_only())
		return;
	make_world(T_SHARED);
	assert_int_equal(chmod(w.rings, 01777), 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 7, 0, 20);
	rings_path(path, sizeof path);
	assert_int_equal(t_reap(t_spawn(open_descriptor, path)), 0);
	t_push(s, 0, 7, 20, 20);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void add_size(const char *file, void *user_data)
{
	struct stat st;

	assert_int_equal(lstat(file, &st), 0);
	*(uint64_t *)user_data += (uint64_t)st.st_size;
}

/* Counters that cannot be: nothing is read beyond the ring, and no disk is filled with silence. */
static void test_damaged_counters(void **state)
{
	static const uint64_t words[][2] = {/* gate, read */
	                                    {UINT64_C(1) << 50, UINT64_C(1) << 50},
	                                    {(UINT64_C(1) << 50) + 8000, UINT64_C(1) << 50},
	                                    {1, 0},
	                                    {UINT64_C(1) << 61, 0},
	                                    {10, 3200}};
	uint64_t read_at = 32, on_disk;
	char path[256];
	size_t i, size;
	uint8_t *bytes;

	(void)state;
	for (i = 0; i < sizeof words / sizeof words[0]; i++) {
		make_world(T_SHARED);
		assert_int_equal(t_reap(t_spawn(record_and_die, NULL)), -SIGKILL);
		rings_path(path, sizeof path);
		bytes = t_read_file(path, &size);
		assert_non_null(bytes);
		memcpy(bytes + PAGE_OF_RINGS, &words[i][0], 8);
		memcpy(bytes + PAGE_OF_RINGS + read_at, &words[i][1], 8);
		t_write_file(path, bytes, size);
		free(bytes);
		t_world_open(&w);
		t_advance(&w, 60000);
		t_advance(&w, 60000);
		assert_int_equal(rco_engine_wait_idle(w.engine, 0), RCO_OK);
		on_disk = 0;
		t_tree_each(w.root, add_size, &on_disk);
		assert_in_range(on_disk, 1, 16u << 20);
		t_world_destroy(&w);
	}
}

/* ---- state and keys ---- */

static void first_file(const char *file, void *user_data)
{
	(void)snprintf(user_data, 256, "%s", file);
}

/* What an engine would use without a word if nobody looked. */
static void test_modes(void **state)
{
	static const char *const folders[] = {"", "spool", "keys", "ledger", "calls"};
	static const mode_t modes[] = {0777, 0770, 0702, 01777};
	char key[256], segment[256];
	rco_session *s;
	size_t i, j;

	(void)state;
	make_world(0);
	t_world_open(&w);
	s = t_call(&w, "call"); /* there is no key before */
	t_push(s, 0, 7, 0, 20);
	t_settle(&w);
	t_world_close(&w);
	rco_session_free(s);
	for (i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		for (j = 0; j < sizeof modes / sizeof modes[0]; j++) {
			assert_int_equal(chmod(in_state(folders[i]), modes[j]), 0);
			refused(folders[i], w.state);
			assert_non_null(strstr(rco_error_detail(), "chmod"));
		}
		assert_int_equal(chmod(in_state(folders[i]), 0755), 0); /* to be read it may be */
		accepted();
		assert_int_equal(chmod(in_state(folders[i]), 0700), 0);
	}
	key[0] = segment[0] = '\0';
	t_tree_each(in_state("keys"), first_file, key);
	t_tree_each(in_state("ledger"), first_file, segment);
	{
		const char *const files[] = {in_state("signing.key"), in_state("lock"), key, segment};

		for (i = 0; i < sizeof files / sizeof files[0]; i++) {
			assert_int_equal(chmod(files[i], 0660), 0);
			refused("a file that others may write to", files[i]);
			assert_int_equal(chmod(files[i], 0600), 0);
			accepted();
		}
	}
	t_world_destroy(&w);
}

/* Links, second names and FIFOs in the place of files and folders. None is followed, waited for, or removed. */
static void test_odd_files(void **state)
{
	static const char *const names[] = {"signing.key", "lock", "spool/lock", "spool/slots.rcok"};
	static const char *const folders[] = {"spool", "keys", "ledger", "calls"};
	char aside[256], before[256];
	struct stat st;
	size_t i;

	(void)state;
	make_world(0);
	accepted();
	t_join(aside, sizeof aside, w.root, "aside");
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		(void)snprintf(before, sizeof before, "%s", in_state(names[i]));
		assert_int_equal(rename(before, aside), 0);
		assert_int_equal(symlink(aside, before), 0);
		refused("a link", before);
		assert_int_equal(unlink(before), 0);
		assert_int_equal(link(aside, before), 0);
		refused("a second name", before);
		assert_int_equal(unlink(before), 0);
		assert_int_equal(mkfifo(before, 0600), 0);
		refused("a FIFO", before);
		assert_int_equal(lstat(before, &st), 0);
		assert_true(S_ISFIFO(st.st_mode));
		assert_int_equal(unlink(before), 0);
		assert_int_equal(rename(aside, before), 0);
		accepted();
	}
	for (i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		(void)snprintf(before, sizeof before, "%s", in_state(folders[i]));
		assert_int_equal(rename(before, aside), 0);
		assert_int_equal(symlink(aside, before), 0);
		refused("a link to a folder", before);
		assert_int_equal(unlink(before), 0);
		assert_int_equal(rename(aside, before), 0);
	}
	/* The folder that the host names may be a link: anyone who can change the configuration can do more. */
	assert_int_equal(rename(w.state, aside), 0);
	assert_int_equal(symlink(aside, w.state), 0);
	accepted();
	assert_int_equal(unlink(w.state), 0);
	assert_int_equal(rename(aside, w.state), 0);
	t_world_destroy(&w);
}

/* A damaged file is set aside inside the state folder, or not at all. */
static void test_quarantine_is_a_link(void **state)
{
	char elsewhere[256];

	(void)state;
	make_world(T_SHARED);
	accepted();
	t_join(elsewhere, sizeof elsewhere, w.root, "elsewhere");
	assert_int_equal(mkdir(elsewhere, 0700), 0);
	assert_int_equal(symlink(elsewhere, in_state("quarantine")), 0);
	t_write_file(in_state("id"), "damaged", 7);
	refused("a quarantine that is a link", "quarantine");
	assert_int_equal(t_tree_holds(elsewhere, NULL, 0), 0);
	assert_true(t_exists(in_state("id")));
	assert_int_equal(unlink(in_state("quarantine")), 0);
	accepted();
	t_world_destroy(&w);
}

typedef struct foreign {
	const char *folder;
	const char *file;
} foreign;

static void make_foreign(void *arg)
{
	const foreign *f = arg;
	const char *folder = t_go_inside(f->folder);

	become_stranger();
	(void)umask(0);
	assert_int_equal(mkdir(folder, 0777), 0);
	if (f->file != NULL) {
		assert_int_equal(chdir(folder), 0);
		t_write_file(strrchr(f->file, '/') + 1, "a key that I know", 17);
	}
}

static void test_foreign_folders(void **state)
{
	char keys[256], key[300];
	foreign f = {0};

	(void)state;
	if (root_only())
		return;
	make_world(0);
	assert_int_equal(chmod(w.root, 01777), 0);
	/* the state, with a key in it */
	f.folder = w.state;
	f.file = in_state("signing.key");
	assert_int_equal(t_reap(t_spawn(make_foreign, &f)), 0);
	refused("a state folder of somebody else", w.state);
	assert_int_equal(chmod(w.state, 0700), 0);
	refused("the same, shut again", w.state);
	assert_int_equal(t_tree_holds(w.state, NULL, 0), 1); /* nothing was put there */
	/* taken over: then its key is refused */
	assert_int_equal(chown(w.state, geteuid(), getegid()), 0);
	refused("a key of somebody else", "signing.key");
	t_rmtree(w.state);
	/* keys */
	t_join(keys, sizeof keys, w.root, "keys");
	t_join(key, sizeof key, keys, "epoch-0000000000000001.key");
	f.folder = keys;
	f.file = key;
	assert_int_equal(t_reap(t_spawn(make_foreign, &f)), 0);
	w.cfg.key_dir = keys;
	refused("a key folder of somebody else", keys);
	w.cfg.key_dir = NULL;
	/* recordings */
	f.folder = w.out;
	f.file = NULL;
	assert_int_equal(t_reap(t_spawn(make_foreign, &f)), 0);
	refused("a folder for recordings of somebody else", w.out);
	assert_int_equal(t_tree_holds(w.out, NULL, 0), 0);
	t_rmtree(w.out);
	accepted();
	t_world_destroy(&w);
}

/* ---- recordings ---- */

static void test_modes_of_the_output(void **state)
{
	static const struct {
		mode_t mode;
		int good;
	} modes[] = {{0700, 1}, {0755, 1}, {02750, 1}, {02770, 1}, {01777, 1}, {0777, 0}, {0702, 0}};
	size_t i;

	(void)state;
	make_world(0);
	assert_int_equal(mkdir(w.out, 0700), 0);
	for (i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		assert_int_equal(chmod(w.out, modes[i].mode), 0);
		if (modes[i].good)
			accepted();
		else
			refused("recordings that everybody may replace", w.out);
	}
	t_world_destroy(&w);
}

/* In a folder where everybody may put files, somebody put one where an upload is about to be. */
static void test_planted_upload(void **state)
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
	char tmp[256], file[256];
	rco_directory *dir = NULL;
	struct stat st;
	planting p;

	(void)state;
	if (root_only())
		return;
	make_world(0);
	assert_int_equal(mkdir(w.out, 0700), 0);
	assert_int_equal(chmod(w.out, 01777), 0);
	assert_int_equal(rco_directory_create(&o, &dir), RCO_OK);
	t_join(tmp, sizeof tmp, w.out, "a.wav.tmp");
	t_join(file, sizeof file, w.out, "a.wav");
	(void)snprintf(p.path, sizeof p.path, "%s", tmp);
	t_join(p.other, sizeof p.other, w.root, "victim");
	p.size = 1000;
	for (p.kind = 0; p.kind < KINDS; p.kind++) {
		if (p.kind == HARD_LINK)
			continue; /* the stranger may not make one in the other folder */
		t_write_file(p.other, "not yours", 9);
		assert_int_equal(t_reap(t_spawn(plant, &p)), 0);
		assert_int_equal(up->begin(&object, 1, &result, dir), RCO_OK);
		/* and again between two parts */
		assert_int_equal(unlink(tmp), 0);
		assert_int_equal(t_reap(t_spawn(plant, &p)), 0);
		assert_true(up->put(&object, 1, "audio", 5, 2, &result, dir) < 0);
		assert_int_equal(unlink(tmp), 0);
		assert_int_equal(up->begin(&object, 3, &result, dir), RCO_OK);
		assert_int_equal(up->put(&object, 1, "audio", 5, 4, &result, dir), RCO_OK);
		assert_int_equal(up->commit(&object, 5, &result, dir), RCO_OK);
		assert_int_equal(stat(file, &st), 0);
		assert_true(st.st_uid == geteuid() && (st.st_mode & 07777) == 0600 && st.st_size == 5);
		assert_int_equal(stat(p.other, &st), 0);
		assert_int_equal(st.st_size, 9);
		assert_int_equal(unlink(file), 0);
	}
	rco_directory_free(dir);
	t_world_destroy(&w);
}

/* Whatever the umask, files are the owner's alone, and the owner can read them. */
static void test_umask(void **state)
{
	static const mode_t masks[] = {0, 022, 077, 0277, 0777};
	struct stat st;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof masks / sizeof masks[0]; i++) {
		mode_t before;

		make_world(0);
		before = umask(masks[i]);
		t_world_open(&w);
		(void)umask(before);
		assert_int_equal(stat(w.state, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
		assert_int_equal(stat(in_state("spool"), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
		assert_int_equal(stat(in_state("signing.key"), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(stat(in_state("lock"), &st), 0);
		assert_int_equal(st.st_mode & 07077, 0);
		t_world_destroy(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_planted_rings),       cmocka_unit_test(test_rings_of_a_wrong_mode),
		cmocka_unit_test(test_folder_of_the_rings), cmocka_unit_test(test_rings_in_use),
		cmocka_unit_test(test_damaged_counters),    cmocka_unit_test(test_modes),
		cmocka_unit_test(test_odd_files),           cmocka_unit_test(test_quarantine_is_a_link),
		cmocka_unit_test(test_foreign_folders),     cmocka_unit_test(test_refused_and_started_again),
		cmocka_unit_test(test_rings_that_are_left), cmocka_unit_test(test_modes_of_the_output),
		cmocka_unit_test(test_planted_upload),      cmocka_unit_test(test_umask),
	};

	return cmocka_run_group_tests_name("other users of the machine", tests, NULL, NULL);
}
