/* SPDX-License-Identifier: MIT */
/* The file table: its errors, its modes, and that a small file is there whole or not at all whichever step fails.
 */
#include "../support_base.h"

#include "../../lib/base/error.h"
#include "../../lib/base/trust.h"

#include <errno.h>
#include <sys/stat.h>

static const rco__fs *fs;
static char *folder;

static int set_up(void **state)
{
	(void)state;
	fs = rco__fs_posix();
	folder = make_folder();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free_folder(folder);
	return 0;
}

/* folder/name in one of a few buffers that take turns. */
static const char *in(const char *name)
{
	static char paths[4][PATH_MAX];
	static int turn;

	turn = (turn + 1) % 4;
	assert_int_equal(rco__path_join(paths[turn], PATH_MAX, folder, name), RCO_OK);
	return paths[turn];
}

static int there(const char *name)
{
	int yes;

	assert_int_equal(fs->exists(fs->ctx, in(name), &yes, NULL), RCO_OK);
	return yes;
}

static void make_file(const char *name, const char *text)
{
	int fd;

	assert_int_equal(fs->open(fs->ctx, in(name), RCO__FS_CREATE_TRUNCATE, &fd), RCO_OK);
	assert_int_equal(fs->write(fs->ctx, fd, text, strlen(text), 0), RCO_OK);
	assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
}

static void expect_file(const char *name, const char *text)
{
	char buf[64];
	size_t size;

	assert_int_equal(rco__fs_get(fs, folder, name, buf, sizeof buf, &size), RCO_OK);
	assert_int_equal(size, strlen(text));
	assert_memory_equal(buf, text, size);
}

static void opening_does_what_it_says(void **state)
{
	uint64_t size;
	int fd;

	(void)state;
	assert_int_equal(fs->open(fs->ctx, in("a"), RCO__FS_READ, &fd), RCO_E_NOT_FOUND);
	assert_int_equal(fd, -1);
	assert_non_null(strstr(rco_error_detail(), in("a")));
	assert_int_equal(fs->open(fs->ctx, in("a"), RCO__FS_WRITE, &fd), RCO_E_NOT_FOUND);
	assert_int_equal(fs->open(fs->ctx, in("a"), RCO__FS_CREATE_NEW, &fd), RCO_OK);
	assert_int_equal(fs->write(fs->ctx, fd, "hello", 5, 0), RCO_OK);
	assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
	assert_int_equal(fs->open(fs->ctx, in("a"), RCO__FS_CREATE_NEW, &fd), RCO_E_STATE);
	assert_int_equal(fs->open(fs->ctx, in("a"), RCO__FS_CREATE, &fd), RCO_OK);
	assert_int_equal(fs->size(fs->ctx, fd, &size), RCO_OK);
	assert_int_equal(size, 5); /* kept */
	assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
	assert_int_equal(fs->open(fs->ctx, in("a"), RCO__FS_READ, &fd), RCO_OK);
	assert_int_not_equal(fs->write(fs->ctx, fd, "x", 1, 0), RCO_OK);
	assert_non_null(strstr(rco_error_detail(), "/a")); /* the text names the file behind the descriptor */
	assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
	assert_int_equal(fs->open(fs->ctx, in("a"), RCO__FS_CREATE_TRUNCATE, &fd), RCO_OK);
	assert_int_equal(fs->size(fs->ctx, fd, &size), RCO_OK);
	assert_int_equal(size, 0);
	assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
	assert_int_equal(fs->open(fs->ctx, in("a"), 99, &fd), RCO_E_INTERNAL);
	assert_int_equal(fs->close(fs->ctx, -1), RCO_E_IO);
}

/* Nobody but the owner can read what the library writes. */
static void modes_are_the_owners(void **state)
{
	mode_t before = umask(0);
	struct stat st;

	(void)state;
	make_file("f", "x");
	assert_int_equal(fs->mkdir(fs->ctx, in("d")), RCO_OK);
	assert_int_equal(rco__fs_put(fs, folder, "p", "x", 1), RCO_OK);
	(void)umask(before);
	assert_int_equal(stat(in("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(in("p"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(in("d"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

/* A link planted under a file's name is never followed. */
static void links_are_not_followed(void **state)
{
	char real[PATH_MAX];
	int fd, yes;

	(void)state;
	make_file("secret", "keep");
	assert_int_equal(symlink(in("secret"), in("link")), 0);
	assert_int_equal(fs->open(fs->ctx, in("link"), RCO__FS_READ, &fd), RCO_E_PERMISSION);
	assert_int_equal(fs->open(fs->ctx, in("link"), RCO__FS_CREATE_TRUNCATE, &fd), RCO_E_PERMISSION);
	assert_int_equal(fs->lock(fs->ctx, in("link"), &fd), RCO_E_PERMISSION);
	expect_file("secret", "keep");
	assert_int_equal(symlink("nowhere", in("dangling")), 0);
	assert_int_equal(fs->exists(fs->ctx, in("dangling"), &yes, NULL), RCO_OK);
	assert_int_equal(yes, RCO__FS_LINK);
	/* but a data folder may be one */
	assert_int_equal(fs->mkdir(fs->ctx, in("d")), RCO_OK);
	assert_int_equal(symlink("d", in("dl")), 0);
	assert_int_equal(fs->mkdir(fs->ctx, in("dl")), RCO_OK);
	assert_int_equal(fs->resolve(fs->ctx, in("dl"), RCO__TRUST_OWN, real, sizeof real), RCO_OK);
	assert_string_equal(real, in("d"));
	/* once resolved: a link that takes its place later is none */
	assert_int_equal(fs->sync_dir(fs->ctx, in("dl")), RCO_E_PERMISSION);
	assert_int_equal(fs->open(fs->ctx, in("dl/f"), RCO__FS_CREATE, &fd), RCO_E_PERMISSION);
	assert_int_equal(fs->exists(fs->ctx, in("dl/f"), &yes, NULL), RCO_E_PERMISSION); /* not "none" */
	assert_int_equal(fs->unlink(fs->ctx, in("dl/f")), RCO_E_PERMISSION);
	assert_int_equal(fs->rename(fs->ctx, in("secret"), in("dl/f")), RCO_E_PERMISSION);
}

static void reading_stops_at_the_end(void **state)
{
	char buf[8];
	size_t got;
	int fd;

	(void)state;
	make_file("a", "0123456789");
	assert_int_equal(fs->open(fs->ctx, in("a"), RCO__FS_WRITE, &fd), RCO_OK);
	assert_int_equal(fs->read(fs->ctx, fd, buf, 8, 1, &got), RCO_OK);
	assert_int_equal(got, 8);
	assert_memory_equal(buf, "12345678", 8);
	assert_int_equal(fs->read(fs->ctx, fd, buf, 8, 7, &got), RCO_OK);
	assert_int_equal(got, 3);
	assert_int_equal(fs->read(fs->ctx, fd, buf, 8, 100, &got), RCO_OK);
	assert_int_equal(got, 0);
	assert_int_equal(fs->read(fs->ctx, fd, buf, 8, UINT64_MAX - 3, &got), RCO_E_IO);
	assert_int_equal(fs->write(fs->ctx, fd, buf, 8, UINT64_MAX - 3), RCO_E_IO);
	assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
}

static void files_grow_and_shrink(void **state)
{
	uint64_t size;
	int fd;

	(void)state;
	assert_int_equal(fs->open(fs->ctx, in("a"), RCO__FS_CREATE, &fd), RCO_OK);
	assert_int_equal(fs->reserve(fs->ctx, fd, 0, 10000), RCO_OK);
	assert_int_equal(fs->reserve(fs->ctx, fd, 0, 0), RCO_OK);
	assert_int_equal(fs->size(fs->ctx, fd, &size), RCO_OK);
	assert_int_equal(size, 10000);
	assert_int_equal(fs->truncate(fs->ctx, fd, 7), RCO_OK);
	assert_int_equal(fs->size(fs->ctx, fd, &size), RCO_OK);
	assert_int_equal(size, 7);
	assert_int_equal(fs->truncate(fs->ctx, fd, UINT64_MAX), RCO_E_IO);
	assert_int_equal(fs->reserve(fs->ctx, fd, UINT64_MAX, 2), RCO_E_IO);
	assert_int_equal(fs->sync(fs->ctx, fd), RCO_OK);
	assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
	assert_int_equal(fs->sync_dir(fs->ctx, folder), RCO_OK);
	assert_int_equal(fs->sync_dir(fs->ctx, in("none")), RCO_E_NOT_FOUND);
	assert_int_not_equal(fs->sync(fs->ctx, -1), RCO_OK);
}

static void names_come_and_go(void **state)
{
	uint64_t size;
	int yes;

	(void)state;
	assert_int_equal(fs->unlink(fs->ctx, in("a")), RCO_E_NOT_FOUND);
	assert_int_equal(fs->exists(fs->ctx, in("a"), &yes, &size), RCO_OK);
	assert_int_equal(yes, 0);
	make_file("a", "new");
	make_file("b", "older");
	assert_int_equal(fs->rename(fs->ctx, in("a"), in("b")), RCO_OK);
	assert_int_equal(there("a"), 0);
	assert_int_equal(fs->exists(fs->ctx, in("b"), &yes, &size), RCO_OK);
	assert_int_equal(yes, 1);
	assert_int_equal(size, 3);
	expect_file("b", "new");
	assert_int_equal(fs->rename(fs->ctx, in("a"), in("b")), RCO_E_NOT_FOUND);
	assert_int_equal(fs->unlink(fs->ctx, in("b")), RCO_OK);
	assert_int_equal(there("b"), 0);
	assert_int_equal(fs->mkdir(fs->ctx, in("d")), RCO_OK);
	assert_int_equal(fs->mkdir(fs->ctx, in("d")), RCO_OK);
	make_file("f", "");
	assert_int_equal(fs->mkdir(fs->ctx, in("f")), RCO_E_STATE);
	assert_int_equal(fs->mkdir(fs->ctx, in("none/d")), RCO_E_NOT_FOUND);
}

static int kind(const char *path)
{
	int yes = -1;

	assert_int_equal(fs->exists(fs->ctx, path, &yes, NULL), RCO_OK);
	return yes;
}

static void kinds_are_told_apart(void **state)
{
	(void)state;
	make_file("f", "");
	assert_int_equal(fs->mkdir(fs->ctx, in("d")), RCO_OK);
	assert_int_equal(symlink("f", in("l")), 0);
	assert_int_equal(mkfifo(in("p"), 0600), 0);
	assert_int_equal(kind(in("f")), RCO__FS_FILE);
	assert_int_equal(kind(in("d")), RCO__FS_FOLDER);
	assert_int_equal(kind(in("l")), RCO__FS_LINK);
	assert_int_equal(kind(in("p")), RCO__FS_OTHER);
	assert_int_equal(kind(in("none")), RCO__FS_NONE);
	assert_int_equal(kind(in("none/x")), RCO__FS_NONE);
	assert_int_equal(kind(in("f/x")), RCO__FS_NONE); /* a file where a folder should be */
}

struct seen {
	int count, stop_at, dots;
	char names[64];
};

static int see(const char *name, void *user_data)
{
	struct seen *s = user_data;

	s->count++;
	if (name[0] == '.')
		s->dots++;
	else
		s->names[(unsigned char)name[0] % 64] = 1;
	return s->count == s->stop_at;
}

static void listing_gives_every_name(void **state)
{
	struct seen seen = {.count = 0};

	(void)state;
	make_file("a", "");
	make_file("b", "");
	make_file("c", "");
	assert_int_equal(fs->list(fs->ctx, folder, see, &seen), RCO_OK);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.dots, 0);
	assert_true(seen.names['a' % 64] && seen.names['b' % 64] && seen.names['c' % 64]);
	seen = (struct seen){.stop_at = 2};
	assert_int_equal(fs->list(fs->ctx, folder, see, &seen), RCO_OK);
	assert_int_equal(seen.count, 2);
	assert_int_equal(fs->list(fs->ctx, in("none"), see, &seen), RCO_E_NOT_FOUND);
}

static void only_one_holds_a_lock(void **state)
{
	int one, two;

	(void)state;
	assert_int_equal(fs->lock(fs->ctx, in("lock"), &one), RCO_OK);
	assert_int_equal(fs->lock(fs->ctx, in("lock"), &two), RCO_E_BUSY);
	assert_int_equal(two, -1);
	assert_non_null(strstr(rco_error_detail(), in("lock")));
	assert_int_equal(fs->close(fs->ctx, one), RCO_OK);
	assert_int_equal(fs->lock(fs->ctx, in("lock"), &two), RCO_OK);
	assert_int_equal(fs->close(fs->ctx, two), RCO_OK);
	assert_int_equal(fs->lock(fs->ctx, in("none/lock"), &two), RCO_E_NOT_FOUND);
}

static void long_paths_are_refused(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(rco__path_join(out, sizeof out, "abc", "def"), RCO_OK);
	assert_string_equal(out, "abc/def");
	assert_int_equal(rco__path_join(out, sizeof out, "abc", "defg"), RCO_E_LIMIT);
	assert_string_equal(out, "");
}

static void small_files_come_back(void **state)
{
	char buf[8], name[PATH_MAX];
	size_t size;

	(void)state;
	assert_int_equal(rco__fs_put(fs, folder, "a", "first", 5), RCO_OK);
	assert_int_equal(rco__fs_put(fs, folder, "a", "2nd", 3), RCO_OK);
	expect_file("a", "2nd");
	assert_int_equal(there("a.tmp"), 0);
	assert_int_equal(rco__fs_put(fs, folder, "empty", "", 0), RCO_OK);
	expect_file("empty", "");
	make_file("big", "123456789");
	assert_int_equal(rco__fs_get(fs, folder, "big", buf, sizeof buf, &size), RCO_E_LIMIT);
	assert_int_equal(size, 0);
	assert_int_equal(rco__fs_get(fs, folder, "none", buf, sizeof buf, &size), RCO_E_NOT_FOUND);
	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	assert_int_equal(rco__fs_put(fs, folder, name, "x", 1), RCO_E_LIMIT);
	assert_int_equal(rco__fs_get(fs, folder, name, buf, sizeof buf, &size), RCO_E_LIMIT);
	name[PATH_MAX - 1 - strlen(folder) - 2] = '\0'; /* fits, but not with ".tmp" */
	assert_int_equal(rco__fs_put(fs, folder, name, "x", 1), RCO_E_LIMIT);
}

/* A file system whose fail_at-th operation fails, as a disk would, and does nothing from then on if it `died`. */
struct faulty {
	int operations, fail_at, died, dead;
	char order[256]; /* a letter for each operation */
};

static int fault(struct faulty *f, char letter)
{
	if (f->operations < (int)sizeof f->order - 1)
		f->order[f->operations] = letter;
	if (++f->operations == f->fail_at)
		f->dead = f->died;
	else if (!f->dead)
		return 0;
	(void)rco__fail(RCO_E_NO_SPACE, "operation %d failed", f->operations);
	return 1;
}

static int faulty_open(void *ctx, const char *path, int how, int *fd)
{
	return fault(ctx, 'o') ? RCO_E_NO_SPACE : rco__fs_posix()->open(NULL, path, how, fd);
}

static int faulty_close(void *ctx, int fd)
{
	int failed = fault(ctx, 'c');
	int rc = rco__fs_posix()->close(NULL, fd); /* closed in any case, as close() does */

	return failed ? RCO_E_NO_SPACE : rc;
}

static int faulty_read(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got)
{
	*got = 0;
	return fault(ctx, 'r') ? RCO_E_NO_SPACE : rco__fs_posix()->read(NULL, fd, buf, size, offset, got);
}

static int faulty_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	if (!fault(ctx, 'w'))
		return rco__fs_posix()->write(NULL, fd, buf, size, offset);
	(void)rco__fs_posix()->write(NULL, fd, buf, size / 2, offset); /* torn */
	(void)rco__fail(RCO_E_NO_SPACE, "operation failed");
	return RCO_E_NO_SPACE;
}

static int faulty_sync(void *ctx, int fd)
{
	return fault(ctx, 's') ? RCO_E_NO_SPACE : rco__fs_posix()->sync(NULL, fd);
}

static int faulty_sync_dir(void *ctx, const char *path)
{
	return fault(ctx, 'd') ? RCO_E_NO_SPACE : rco__fs_posix()->sync_dir(NULL, path);
}

static int faulty_size(void *ctx, int fd, uint64_t *size)
{
	return fault(ctx, 'z') ? RCO_E_NO_SPACE : rco__fs_posix()->size(NULL, fd, size);
}

static int faulty_rename(void *ctx, const char *from, const char *to)
{
	return fault(ctx, 'n') ? RCO_E_NO_SPACE : rco__fs_posix()->rename(NULL, from, to);
}

static int faulty_unlink(void *ctx, const char *path)
{
	return fault(ctx, 'u') ? RCO_E_NO_SPACE : rco__fs_posix()->unlink(NULL, path);
}

static int faulty_exists(void *ctx, const char *path, int *yes, uint64_t *size)
{
	return fault(ctx, 'e') ? RCO_E_NO_SPACE : rco__fs_posix()->exists(NULL, path, yes, size);
}

static int faulty_mkdir(void *ctx, const char *path)
{
	return fault(ctx, 'm') ? RCO_E_NO_SPACE : rco__fs_posix()->mkdir(NULL, path);
}

static rco__fs faulty_fs(struct faulty *f)
{
	rco__fs table = *rco__fs_posix();

	table.ctx = f;
	table.open = faulty_open;
	table.close = faulty_close;
	table.read = faulty_read;
	table.write = faulty_write;
	table.sync = faulty_sync;
	table.sync_dir = faulty_sync_dir;
	table.size = faulty_size;
	table.rename = faulty_rename;
	table.unlink = faulty_unlink;
	table.exists = faulty_exists;
	table.mkdir = faulty_mkdir;
	return table;
}

static void put_syncs_before_it_renames(void **state)
{
	struct faulty f = {.fail_at = 0};
	rco__fs table = faulty_fs(&f);

	(void)state;
	assert_int_equal(rco__fs_put(&table, folder, "a", "x", 1), RCO_OK);
	assert_string_equal(f.order, "owscnd");
}

/* Whichever operation fails, or is the last one before a crash: the old file or the new one, whole. */
static void a_small_file_is_whole_whatever_fails(void **state)
{
	int died, i;
	char buf[16];
	size_t size;

	(void)state;
	for (died = 0; died <= 1; died++) {
		for (i = 1; i <= 6; i++) {
			struct faulty f = {.fail_at = i, .died = died};
			rco__fs table = faulty_fs(&f);

			assert_int_equal(rco__fs_put(fs, folder, "a", "old file", 8), RCO_OK);
			assert_int_equal(rco__fs_put(&table, folder, "a", "new", 3), RCO_E_NO_SPACE);
			assert_non_null(strstr(rco_error_detail(), "failed"));
			assert_int_equal(rco__fs_get(fs, folder, "a", buf, sizeof buf, &size), RCO_OK);
			assert_true((size == 8 && memcmp(buf, "old file", 8) == 0) ||
			            (size == 3 && memcmp(buf, "new", 3) == 0));
			if (!died) /* nothing is left that could hold a key */
				assert_int_equal(there("a.tmp"), 0);
		}
	}
	assert_int_equal(rco__fs_put(fs, folder, "a", "after", 5), RCO_OK);
	expect_file("a", "after");
}

static void get_answers_whatever_fails(void **state)
{
	char buf[16];
	size_t size;
	int i;

	(void)state;
	make_file("a", "text");
	for (i = 1; i <= 4; i++) {
		struct faulty f = {.fail_at = i};
		rco__fs table = faulty_fs(&f);

		assert_int_equal(rco__fs_get(&table, folder, "a", buf, sizeof buf, &size), RCO_E_NO_SPACE);
		assert_int_equal(f.order[0], 'o');
		assert_true(i == 1 || f.order[strlen(f.order) - 1] == 'c'); /* no descriptor leaks */
	}
}

static int64_t fixed_time(void *user_data)
{
	(void)user_data;
	return 1234567;
}

static int logged;

static void count_log(uint32_t level, const char *message, size_t length, void *user_data)
{
	(void)length;
	(void)user_data;
	logged++;
	assert_int_equal(level, RCO_LOG_ERROR);
	assert_non_null(strstr(message, "bad checksum"));
}

static void make_env(rco__env *env)
{
	rco_clock clock = {.struct_size = sizeof clock, .wall_us = fixed_time, .monotonic_us = fixed_time};

	logged = 0;
	assert_int_equal(rco__env_init(env, NULL, &clock, count_log, NULL), RCO_OK);
}

/* Evidence is never overwritten: three damaged files of one name in the same microsecond. */
static void quarantine_never_overwrites(void **state)
{
	char q[PATH_MAX];
	rco__env env;

	(void)state;
	make_env(&env);
	(void)snprintf(q, sizeof q, "%s", in("q"));
	make_file("seg", "one");
	assert_int_equal(rco__quarantine(&env, folder, "seg", q, "bad checksum"), RCO_OK);
	make_file("seg", "two");
	assert_int_equal(rco__quarantine(&env, folder, "seg", q, "bad checksum"), RCO_OK);
	make_file("seg", "three");
	assert_int_equal(rco__quarantine(&env, folder, "seg", q, "bad checksum"), RCO_OK);
	assert_int_equal(logged, 3);
	assert_int_equal(there("seg"), 0);
	expect_file("q/seg.1234567", "one");
	expect_file("q/seg.1234567-1", "two");
	expect_file("q/seg.1234567-2", "three");
	assert_int_equal(rco__quarantine(&env, folder, "seg", q, "bad checksum"), RCO_E_NOT_FOUND);
	assert_int_equal(logged, 3);
}

static void quarantine_syncs_and_reports(void **state)
{
	struct faulty f = {.fail_at = 0};
	char q[PATH_MAX];
	rco__env env;
	rco__fs table;
	int i;

	(void)state;
	make_env(&env);
	table = faulty_fs(&f);
	env.fs = &table;
	(void)snprintf(q, sizeof q, "%s", in("q"));
	make_file("seg", "x");
	assert_int_equal(rco__quarantine(&env, folder, "seg", q, "bad checksum"), RCO_OK);
	assert_string_equal(f.order, "mddendd");
	for (i = 1; i <= 7; i++) {
		f = (struct faulty){.fail_at = i};
		make_file("seg", "x");
		assert_int_equal(rco__quarantine(&env, folder, "seg", q, "bad checksum"), RCO_E_NO_SPACE);
	}
}

#define FS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(opening_does_what_it_says),
		FS_TEST(modes_are_the_owners),
		FS_TEST(links_are_not_followed),
		FS_TEST(reading_stops_at_the_end),
		FS_TEST(files_grow_and_shrink),
		FS_TEST(names_come_and_go),
		FS_TEST(kinds_are_told_apart),
		FS_TEST(listing_gives_every_name),
		FS_TEST(only_one_holds_a_lock),
		FS_TEST(long_paths_are_refused),
		FS_TEST(small_files_come_back),
		FS_TEST(put_syncs_before_it_renames),
		FS_TEST(a_small_file_is_whole_whatever_fails),
		FS_TEST(get_answers_whatever_fails),
		FS_TEST(quarantine_never_overwrites),
		FS_TEST(quarantine_syncs_and_reports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
