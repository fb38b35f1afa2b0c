/* SPDX-License-Identifier: MIT */
/* examples/recorders: whether a recording is open, that it and nothing else is erased, and what survives a
 * restart. */
#include "../support.h"

#include "../../examples/recorders/files.c"
/* Both have a sync_folder() of their own. */
#define sync_folder journal_sync_folder
#define open_file   journal_open_file
#include "../../examples/recorders/journal.c"
#undef sync_folder
#undef open_file

#include <sys/mman.h>

static char dir[PATH_ROOM], outside[PATH_ROOM];

static const char *in(const char *name)
{
	static char path[4][2 * PATH_ROOM];
	static int turn;

	turn = (turn + 1) % 4;
	(void)snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static int make(const char *path, int flags)
{
	int fd = open(path, O_CREAT | flags, 0600);

	assert_true(fd >= 0);
	return fd;
}

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/recorders-files-XXXXXX");
	(void)snprintf(outside, sizeof outside, "/tmp/recorders-outside-XXXXXX");
	return mkdtemp(dir) != NULL && mkdtemp(outside) != NULL ? 0 : -1;
}

static void remove_all(const char *folder)
{
	char command[2 * PATH_ROOM];

	(void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
	assert_int_equal(system(command), 0);
}

static int teardown(void **state)
{
	(void)state;
	remove_all(dir);
	remove_all(outside);
	return 0;
}

static file_use use(const char *path)
{
	char why[WHY_MAX];
	file_id id;

	assert_int_equal(file_look(dir, path, &id, why), FILE_THERE);
	return file_in_use(dir, path, &id, why);
}

static file_erased erase(const char *path)
{
	char why[WHY_MAX];
	file_id id;

	assert_int_equal(file_look(dir, path, &id, why), FILE_THERE);
	return file_erase(dir, path, &id, 1, why);
}

/* No matter who has it open, and how: writing, reading, or by a mapping alone. */
static void test_open_files_are_busy(void **state)
{
	const char *path = in("x.wav");
	int fd = make(path, O_RDWR);
	void *map;

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(use(path), FILE_BUSY);
	assert_int_equal(erase(path), FILE_WRITTEN);
	map = mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	(void)close(fd);
	assert_int_equal(use(path), FILE_BUSY);
	(void)munmap(map, 4096);
	assert_int_equal(use(path), FILE_FREE);
	fd = open(path, O_RDONLY);
	assert_int_equal(use(path), FILE_BUSY);
	assert_int_equal(erase(path), FILE_WRITTEN);
	(void)close(fd);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(erase(path), FILE_ERASED);
	assert_int_equal(access(path, F_OK), -1);
}

/* The one that was looked at, and not what has its name by now. */
static void test_another_file_of_the_name_is_left(void **state)
{
	const char *path = in("x.wav");
	char why[WHY_MAX];
	file_id id;

	(void)state;
	(void)close(make(path, O_RDWR));
	assert_int_equal(file_look(dir, path, &id, why), FILE_THERE);
	assert_int_equal(rename(path, in("kept.wav")), 0);
	(void)close(make(path, O_RDWR));
	assert_int_equal(file_erase(dir, path, &id, 1, why), FILE_NOT_OURS);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(file_erase(dir, path, &id, 0, why), FILE_ERASED); /* nothing is there */
}

static void test_links_are_not_followed(void **state)
{
	char precious[2 * PATH_ROOM], why[WHY_MAX];
	file_id id;

	(void)state;
	(void)snprintf(precious, sizeof precious, "%s/x.wav", outside);
	(void)close(make(precious, O_RDWR));
	assert_int_equal(symlink(precious, in("x.wav")), 0);
	assert_int_equal(symlink(outside, in("sub")), 0);
	assert_int_equal(mkdir(in("folder"), 0700), 0);
	assert_int_equal(mkfifo(in("pipe"), 0600), 0);
	assert_int_equal(file_look(dir, in("x.wav"), &id, why), FILE_ODD);
	assert_int_equal(file_look(dir, in("sub/x.wav"), &id, why), FILE_ODD);
	assert_int_equal(file_look(dir, in("folder"), &id, why), FILE_ODD);
	assert_int_equal(file_look(dir, in("pipe"), &id, why), FILE_ODD);
	assert_int_equal(file_look(dir, precious, &id, why), FILE_UNKNOWN);
	assert_int_equal(file_look(dir, in("none/x.wav"), &id, why), FILE_GONE);
	assert_int_equal(access(precious, F_OK), 0);
}

/* A folder on the way that is swapped for a link between looking and erasing. */
static void test_a_folder_that_is_swapped(void **state)
{
	char precious[2 * PATH_ROOM], why[WHY_MAX];
	file_id id;

	(void)state;
	(void)snprintf(precious, sizeof precious, "%s/x.wav", outside);
	(void)close(make(precious, O_RDWR));
	assert_int_equal(mkdir(in("sub"), 0700), 0);
	(void)close(make(in("sub/x.wav"), O_RDWR));
	assert_int_equal(file_look(dir, in("sub/x.wav"), &id, why), FILE_THERE);
	assert_int_equal(rename(in("sub"), in("moved")), 0);
	assert_int_equal(symlink(outside, in("sub")), 0);
	assert_int_equal(file_erase(dir, in("sub/x.wav"), &id, 1, why), FILE_REFUSED);
	assert_int_equal(access(precious, F_OK), 0);
}

static void test_a_second_name(void **state)
{
	(void)state;
	(void)close(make(in("x.wav"), O_RDWR));
	assert_int_equal(link(in("x.wav"), in("y.wav")), 0);
	assert_int_equal(erase(in("x.wav")), FILE_REFUSED);
	assert_int_equal(access(in("x.wav"), F_OK), 0);
}

/* Who holds on to a file has it not open, and learns whether it has still a name. */
static void test_a_file_that_is_held(void **state)
{
	const char *path = in("x.wav"), *other = in("y.wav");
	char why[WHY_MAX];
	file_id id;
	int held;

	(void)state;
	(void)close(make(path, O_RDWR));
	assert_int_equal(file_look(dir, path, &id, why), FILE_THERE);
	held = file_hold(dir, path, &id);
	assert_true(held >= 0);
	assert_int_equal(file_is_written(dir, path, &id), FILE_FREE);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(file_is_unlinked(held), 0);
	assert_int_equal(file_hold(dir, path, &id), -1);
	(void)close(make(path, O_RDWR));
	assert_int_equal(file_hold(dir, path, &id), -1); /* another one of that name */
	assert_int_equal(unlink(other), 0);
	assert_int_equal(file_is_unlinked(held), 1);
	(void)close(held);
	assert_int_equal(file_is_unlinked(-1), 0);
}

static void test_names(void **state)
{
	static const char *const bad[] = {"",     "/",   "..",          ".",  "a/../b", "../a",    "a/",
	                                  "a//b", "./a", "/etc/passwd", "/d", "/d/",    "/d/../e", "/dd/x"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_null(folder_name("/d", bad[i]));
	assert_string_equal(folder_name("/d", "/d/x.wav"), "x.wav");
	assert_string_equal(folder_name("/d", "a..b/...wav"), "a..b/...wav");
}

/* ---- the journal ---- */

static json_t *record(int n, const char *what)
{
	return json_pack("{s:i, s:s}", "n", n, "call", what);
}

static const char *call_of(journal *j, const char *key)
{
	return json_string_value(json_object_get(json_object_get(journal_records(j), key), "call"));
}

static void test_the_last_line_counts(void **state)
{
	journal *j = journal_open(dir);
	int fd;

	(void)state;
	assert_non_null(j);
	assert_int_equal(journal_put(j, record(1, "a")), 0);
	assert_int_equal(journal_put(j, record(2, "b")), 0);
	assert_int_equal(journal_put(j, record(1, "a again")), 0);
	assert_int_equal(journal_put(j, json_pack("{s:i}", "n", 2)), 0);
	journal_close(j);
	fd = open(in("calls"), O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "{\"n\":3,\"call\":\"cut", 18), 18);
	(void)close(fd);
	j = journal_open(dir);
	assert_non_null(j);
	assert_int_equal(json_object_size(journal_records(j)), 1);
	assert_string_equal(call_of(j, "1"), "a again");
	journal_close(j);
}

static void test_it_does_not_grow(void **state)
{
	journal *j = journal_open(dir);
	char text[2000] = "";
	struct stat st;
	int n;

	(void)state;
	assert_non_null(j);
	memset(text, 'x', sizeof text - 1);
	assert_int_equal(journal_put(j, record(1, "kept")), 0);
	for (n = 2; n < 700; n++) {
		assert_int_equal(journal_put(j, record(n, text)), 0);
		assert_int_equal(journal_put(j, json_pack("{s:i}", "n", n)), 0);
	}
	assert_int_equal(stat(in("calls"), &st), 0);
	assert_true(st.st_size < 2 * COMPACT_BYTES);
	assert_int_equal(st.st_mode & 0777, 0600);
	journal_close(j);
	j = journal_open(dir);
	assert_string_equal(call_of(j, "1"), "kept");
	assert_int_equal(json_object_size(journal_records(j)), 1);
	journal_close(j);
}

static void test_a_journal_of_others_is_refused(void **state)
{
	(void)state;
	(void)close(make(in("calls"), O_RDWR));
	assert_int_equal(chmod(in("calls"), 0620), 0);
	assert_null(journal_open(dir));
	assert_int_equal(chmod(in("calls"), 0600), 0);
	assert_int_equal(link(in("calls"), in("other")), 0);
	assert_null(journal_open(dir));
	assert_int_equal(unlink(in("calls")), 0);
	assert_int_equal(symlink(in("other"), in("calls")), 0);
	assert_null(journal_open(dir));
	assert_int_equal(unlink(in("calls")), 0);
	assert_int_equal(mkfifo(in("calls"), 0600), 0);
	assert_null(journal_open(dir));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open_files_are_busy),
		TEST(test_another_file_of_the_name_is_left),
		TEST(test_links_are_not_followed),
		TEST(test_a_folder_that_is_swapped),
		TEST(test_a_second_name),
		TEST(test_a_file_that_is_held),
		TEST(test_names),
		TEST(test_the_last_line_counts),
		TEST(test_it_does_not_grow),
		TEST(test_a_journal_of_others_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
