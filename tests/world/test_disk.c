/* SPDX-License-Identifier: MIT */
/* The model of the disk, rule by rule: what a process sees, what a power cut leaves, how faults strike. */
#include "../support.h"
#include "disk.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct fixture {
	w_disk *disk;
	const rco__fs *fs;
} fixture;

static int set_up(void **state)
{
	fixture *f = calloc(1, sizeof *f);

	if (f == NULL)
		return -1;
	f->disk = w_disk_new();
	f->fs = w_disk_table(f->disk);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	fixture *f = *state;

	w_disk_free(f->disk);
	free(f);
	return 0;
}

static int open_how(w_disk *disk, const char *path, int how)
{
	const rco__fs *fs = w_disk_table(disk);
	int fd;

	assert_int_equal(fs->open(fs->ctx, path, how, &fd), RCO_OK);
	return fd;
}

static void write_at(w_disk *disk, int fd, const char *text, uint64_t offset)
{
	const rco__fs *fs = w_disk_table(disk);

	assert_int_equal(fs->write(fs->ctx, fd, text, strlen(text), offset), RCO_OK);
}

/* `sectors` whole sectors of one letter. */
static void fill(w_disk *disk, int fd, char letter, size_t sector, size_t sectors)
{
	const rco__fs *fs = w_disk_table(disk);
	char bytes[8 * 512];

	assert_true(sectors <= 8);
	memset(bytes, letter, sizeof bytes);
	assert_int_equal(fs->write(fs->ctx, fd, bytes, sectors * 512, sector * 512), RCO_OK);
}

static void sync_fd(w_disk *disk, int fd)
{
	assert_int_equal(w_disk_table(disk)->sync(w_disk_table(disk)->ctx, fd), RCO_OK);
}

static void sync_dir(w_disk *disk, const char *path)
{
	assert_int_equal(w_disk_table(disk)->sync_dir(w_disk_table(disk)->ctx, path), RCO_OK);
}

static void rename_to(w_disk *disk, const char *from, const char *to)
{
	assert_int_equal(w_disk_table(disk)->rename(w_disk_table(disk)->ctx, from, to), RCO_OK);
}

static int there(w_disk *disk, const char *path)
{
	const rco__fs *fs = w_disk_table(disk);
	int yes;

	assert_int_equal(fs->exists(fs->ctx, path, &yes, NULL), RCO_OK);
	return yes;
}

/* A file that is certain: bytes, length and name. */
static int certain_file(w_disk *disk, const char *path, char letter, size_t sectors)
{
	int fd = open_how(disk, path, RCO__FS_CREATE_NEW);

	fill(disk, fd, letter, 0, sectors);
	sync_fd(disk, fd);
	sync_dir(disk, "/");
	assert_int_equal(w_disk_doubts(disk, w_disk_position(disk)), 0);
	return fd;
}

/* The image after a power cut now, with these doubts arrived. */
static w_disk *cut(w_disk *disk, uint64_t choice)
{
	return w_disk_image(disk, w_disk_position(disk), W_CRASH_POWER, &choice, 64);
}

/* The first letter of each sector of a file, '.' for zero; "-" if it is not there. */
static const char *letters(w_disk *disk, const char *path)
{
	static char out[64];
	const uint8_t *bytes;
	size_t size, i;

	bytes = w_disk_file(disk, path, &size);
	if (bytes == NULL)
		return "-";
	for (i = 0; i * 512 < size && i < sizeof out - 1; i++)
		out[i] = bytes[i * 512] != 0 ? (char)bytes[i * 512] : '.';
	out[i] = '\0';
	return out;
}

static void expect_cut(w_disk *disk, uint64_t choice, const char *path, const char *expected)
{
	w_disk *image = cut(disk, choice);

	assert_string_equal(letters(image, path), expected);
	w_disk_free(image);
}

/* ---- what a process sees ---- */

static int collect(const char *name, void *user_data)
{
	char *all = user_data;

	(void)snprintf(all + strlen(all), 64 - strlen(all), "%s ", name);
	return 0;
}

static void test_files_and_folders(void **state)
{
	fixture *f = *state;
	char all[64] = "", buf[16];
	uint64_t size;
	size_t got;
	int fd, other;

	assert_int_equal(f->fs->open(f->fs->ctx, "/a/x", RCO__FS_CREATE, &fd), RCO_E_NOT_FOUND);
	assert_int_equal(f->fs->mkdir(f->fs->ctx, "/a"), RCO_OK);
	assert_int_equal(f->fs->mkdir(f->fs->ctx, "/a/"), RCO_OK);
	assert_int_equal(f->fs->open(f->fs->ctx, "/a/x", RCO__FS_READ, &fd), RCO_E_NOT_FOUND);
	fd = open_how(f->disk, "/a/x", RCO__FS_CREATE_NEW);
	assert_int_equal(f->fs->open(f->fs->ctx, "/a/x", RCO__FS_CREATE_NEW, &other), RCO_E_STATE);
	assert_int_equal(f->fs->open(f->fs->ctx, "/a", RCO__FS_CREATE, &other), RCO_E_IO);
	assert_int_equal(f->fs->open(f->fs->ctx, "/a/x/y", RCO__FS_CREATE, &other), RCO_E_IO);
	assert_int_equal(f->fs->mkdir(f->fs->ctx, "/a/x"), RCO_E_STATE);
	write_at(f->disk, fd, "hello", 3);
	assert_int_equal(f->fs->read(f->fs->ctx, fd, buf, sizeof buf, 0, &got), RCO_OK);
	assert_int_equal(got, 8);
	assert_memory_equal(buf, "\0\0\0hello", 8);
	assert_int_equal(f->fs->read(f->fs->ctx, fd, buf, 2, 7, &got), RCO_OK);
	assert_int_equal(got, 1);
	assert_int_equal(f->fs->reserve(f->fs->ctx, fd, 0, 4), RCO_OK);
	assert_int_equal(f->fs->size(f->fs->ctx, fd, &size), RCO_OK);
	assert_int_equal(size, 8);
	assert_int_equal(f->fs->reserve(f->fs->ctx, fd, 4, 96), RCO_OK);
	assert_int_equal(f->fs->truncate(f->fs->ctx, fd, 4), RCO_OK);
	assert_int_equal(f->fs->truncate(f->fs->ctx, fd, 6), RCO_OK);
	assert_memory_equal(w_disk_file(f->disk, "/a/x", &got), "\0\0\0h\0\0", 6);
	(void)open_how(f->disk, "/a/y", RCO__FS_CREATE);
	assert_int_equal(f->fs->list(f->fs->ctx, "/a", collect, all), RCO_OK);
	assert_true(strstr(all, "x ") != NULL && strstr(all, "y ") != NULL && strlen(all) == 4);
	assert_int_equal(there(f->disk, "/a"), RCO__FS_FOLDER);
	assert_int_equal(there(f->disk, "/a/x/y"), RCO__FS_NONE);
	assert_int_equal(f->fs->close(f->fs->ctx, fd), RCO_OK);
	assert_int_equal(f->fs->close(f->fs->ctx, fd), RCO_E_IO);
	fd = open_how(f->disk, "/a/x", RCO__FS_READ);
	assert_int_equal(f->fs->write(f->fs->ctx, fd, "x", 1, 0), RCO_E_IO);
	(void)open_how(f->disk, "/a/x", RCO__FS_CREATE_TRUNCATE);
	assert_int_equal(f->fs->size(f->fs->ctx, fd, &size), RCO_OK);
	assert_int_equal(size, 0);
}

static void test_a_removed_file_lives_until_it_is_closed(void **state)
{
	fixture *f = *state;
	int fd = open_how(f->disk, "/x", RCO__FS_CREATE);
	char buf[8];
	size_t got;

	write_at(f->disk, fd, "secret", 0);
	assert_int_equal(f->fs->unlink(f->fs->ctx, "/x"), RCO_OK);
	assert_int_equal(f->fs->unlink(f->fs->ctx, "/x"), RCO_E_NOT_FOUND);
	assert_int_equal(f->fs->read(f->fs->ctx, fd, buf, sizeof buf, 0, &got), RCO_OK);
	assert_int_equal(got, 6);
	assert_int_equal(w_disk_holds(f->disk, "secret", 6), 0);
	w_disk_forget_process(f->disk);
	assert_int_equal(f->fs->read(f->fs->ctx, fd, buf, sizeof buf, 0, &got), RCO_E_IO);
}

static void test_a_lock_is_one_descriptors(void **state)
{
	fixture *f = *state;
	int a, b;

	assert_int_equal(f->fs->lock(f->fs->ctx, "/lock", &a), RCO_OK);
	assert_int_equal(f->fs->lock(f->fs->ctx, "/lock", &b), RCO_E_BUSY);
	b = open_how(f->disk, "/lock", RCO__FS_READ);
	assert_int_equal(f->fs->close(f->fs->ctx, b), RCO_OK);
	assert_int_equal(f->fs->lock(f->fs->ctx, "/lock", &b), RCO_E_BUSY);
	assert_int_equal(f->fs->close(f->fs->ctx, a), RCO_OK);
	assert_int_equal(f->fs->lock(f->fs->ctx, "/lock", &b), RCO_OK);
	w_disk_forget_process(f->disk);
	assert_int_equal(f->fs->lock(f->fs->ctx, "/lock", &a), RCO_OK);
}

static void test_rename_replaces(void **state)
{
	fixture *f = *state;

	(void)certain_file(f->disk, "/old", 'o', 1);
	(void)certain_file(f->disk, "/new", 'n', 1);
	rename_to(f->disk, "/new", "/old");
	assert_string_equal(letters(f->disk, "/old"), "n");
	assert_int_equal(there(f->disk, "/new"), RCO__FS_NONE);
	assert_int_equal(f->fs->rename(f->fs->ctx, "/new", "/old"), RCO_E_NOT_FOUND);
	assert_int_equal(f->fs->mkdir(f->fs->ctx, "/d"), RCO_OK);
	assert_int_equal(f->fs->rename(f->fs->ctx, "/old", "/d"), RCO_E_IO);
	rename_to(f->disk, "/d", "/e");
	rename_to(f->disk, "/old", "/e/moved");
	assert_string_equal(letters(f->disk, "/e/moved"), "n");
	assert_int_equal(f->fs->rename(f->fs->ctx, "/e", "/e/inside"), RCO_E_IO);
}

/* ---- crashes ---- */

static void test_a_killed_process_loses_nothing_it_wrote(void **state)
{
	fixture *f = *state;
	int fd = open_how(f->disk, "/x", RCO__FS_CREATE);
	w_disk *image;
	size_t at;

	fill(f->disk, fd, 'a', 0, 2);
	at = w_disk_position(f->disk);
	fill(f->disk, fd, 'b', 1, 2);
	image = w_disk_image(f->disk, at, W_CRASH_KILL, NULL, 0);
	assert_string_equal(letters(image, "/x"), "aa");
	w_disk_free(image);
	image = w_disk_image(f->disk, at + 1, W_CRASH_KILL, NULL, 0);
	assert_string_equal(letters(image, "/x"), "abb");
	assert_int_equal(w_disk_hash(image), w_disk_hash(f->disk));
	w_disk_free(image);
}

static void test_any_subset_of_sectors_arrives(void **state)
{
	fixture *f = *state;
	int fd = certain_file(f->disk, "/x", 'a', 4);

	fill(f->disk, fd, 'b', 0, 3);
	assert_int_equal(w_disk_doubts(f->disk, w_disk_position(f->disk)), 3);
	expect_cut(f->disk, 0, "/x", "aaaa");
	expect_cut(f->disk, 2, "/x", "abaa");
	expect_cut(f->disk, 5, "/x", "baba");
	expect_cut(f->disk, 7, "/x", "bbba");
	assert_int_equal(w_disk_doubt_at(f->disk, w_disk_position(f->disk), 2), w_disk_position(f->disk) - 1);
	assert_true(w_disk_doubt_at(f->disk, w_disk_position(f->disk), 3) == SIZE_MAX);
}

static void test_a_sector_is_old_or_new_never_mixed(void **state)
{
	fixture *f = *state;
	int fd = certain_file(f->disk, "/x", 'a', 1);
	w_disk *image;
	size_t size;

	write_at(f->disk, fd, "first", 0);
	write_at(f->disk, fd, "second", 100);
	image = cut(f->disk, 1);
	assert_memory_equal(w_disk_file(image, "/x", &size), "first", 5);
	assert_memory_equal(w_disk_file(image, "/x", &size) + 100, "aaaaaa", 6);
	w_disk_free(image);
	/* The page held both when it was written back. */
	image = cut(f->disk, 2);
	assert_memory_equal(w_disk_file(image, "/x", &size), "first", 5);
	assert_memory_equal(w_disk_file(image, "/x", &size) + 100, "second", 6);
	w_disk_free(image);
}

static void test_length_and_bytes_arrive_apart(void **state)
{
	fixture *f = *state;
	int fd = certain_file(f->disk, "/x", 'a', 1);

	fill(f->disk, fd, 'b', 1, 2); /* two sectors and the length: three doubts */
	assert_int_equal(w_disk_doubts(f->disk, w_disk_position(f->disk)), 3);
	expect_cut(f->disk, 3, "/x", "a");
	expect_cut(f->disk, 4, "/x", "a..");
	expect_cut(f->disk, 6, "/x", "a.b");
	expect_cut(f->disk, 7, "/x", "abb");
}

static void test_sync_makes_bytes_certain_and_not_the_name(void **state)
{
	fixture *f = *state;
	int fd = open_how(f->disk, "/x", RCO__FS_CREATE);

	fill(f->disk, fd, 'a', 0, 2);
	sync_fd(f->disk, fd);
	assert_int_equal(w_disk_doubts(f->disk, w_disk_position(f->disk)), 1);
	expect_cut(f->disk, 0, "/x", "-");
	expect_cut(f->disk, 1, "/x", "aa");
	sync_dir(f->disk, "/");
	expect_cut(f->disk, 0, "/x", "aa");
}

static void test_a_synced_name_may_have_no_bytes(void **state)
{
	fixture *f = *state;
	int fd = open_how(f->disk, "/x", RCO__FS_CREATE);

	fill(f->disk, fd, 'a', 0, 2);
	sync_dir(f->disk, "/");
	expect_cut(f->disk, 0, "/x", "");
	rename_to(f->disk, "/x", "/y");
	sync_dir(f->disk, "/");
	expect_cut(f->disk, 0, "/y", "");
}

static void test_names_of_a_folder_arrive_in_order(void **state)
{
	fixture *f = *state;
	w_disk *image;

	(void)certain_file(f->disk, "/x", 'a', 1);
	(void)open_how(f->disk, "/1", RCO__FS_CREATE);
	assert_int_equal(f->fs->unlink(f->fs->ctx, "/x"), RCO_OK);
	(void)open_how(f->disk, "/2", RCO__FS_CREATE);
	image = cut(f->disk, 5); /* the second did not arrive, so the third did not */
	assert_true(there(image, "/1") && there(image, "/x") && !there(image, "/2"));
	w_disk_free(image);
	image = cut(f->disk, 3);
	assert_true(there(image, "/1") && !there(image, "/x") && !there(image, "/2"));
	w_disk_free(image);
}

static void test_folders_do_not_wait_for_each_other(void **state)
{
	fixture *f = *state;
	w_disk *image;

	assert_int_equal(f->fs->mkdir(f->fs->ctx, "/a"), RCO_OK);
	assert_int_equal(f->fs->mkdir(f->fs->ctx, "/b"), RCO_OK);
	sync_dir(f->disk, "/");
	(void)open_how(f->disk, "/a/1", RCO__FS_CREATE);
	(void)open_how(f->disk, "/b/1", RCO__FS_CREATE);
	image = cut(f->disk, 2);
	assert_true(!there(image, "/a/1") && there(image, "/b/1"));
	w_disk_free(image);
	sync_dir(f->disk, "/b");
	assert_int_equal(w_disk_doubts(f->disk, w_disk_position(f->disk)), 1);
	image = cut(f->disk, 0);
	assert_true(!there(image, "/a/1") && there(image, "/b/1"));
	w_disk_free(image);
}

static void test_a_folder_that_did_not_arrive_takes_all_along(void **state)
{
	fixture *f = *state;
	w_disk *image;
	int fd;

	assert_int_equal(f->fs->mkdir(f->fs->ctx, "/d"), RCO_OK);
	fd = open_how(f->disk, "/d/x", RCO__FS_CREATE);
	fill(f->disk, fd, 'a', 0, 1);
	sync_fd(f->disk, fd);
	sync_dir(f->disk, "/d");
	image = cut(f->disk, 0);
	assert_false(there(image, "/d"));
	assert_int_equal(w_disk_holds(image, "aaaa", 4), 0);
	w_disk_free(image);
	sync_dir(f->disk, "/");
	expect_cut(f->disk, 0, "/d/x", "a");
}

static void test_a_rename_is_one_step(void **state)
{
	fixture *f = *state;
	w_disk *image;
	uint64_t i;
	int n;

	assert_int_equal(f->fs->mkdir(f->fs->ctx, "/d"), RCO_OK);
	(void)certain_file(f->disk, "/x", 'a', 1);
	(void)open_how(f->disk, "/y", RCO__FS_CREATE);
	rename_to(f->disk, "/x", "/d/x");
	for (i = 0; i < 4; i++) {
		image = cut(f->disk, i);
		n = (there(image, "/x") != 0) + (there(image, "/d/x") != 0);
		assert_int_equal(n, 1);
		/* what was done before in one of the two folders comes first */
		assert_int_equal(there(image, "/d/x") != 0, i == 3);
		w_disk_free(image);
	}
	sync_dir(f->disk, "/d");
	assert_int_equal(w_disk_doubts(f->disk, w_disk_position(f->disk)), 0);
	expect_cut(f->disk, 0, "/d/x", "a");
	expect_cut(f->disk, 0, "/y", "");
}

static void test_what_was_cut_off_does_not_come_back(void **state)
{
	fixture *f = *state;
	int fd = certain_file(f->disk, "/x", 'a', 3);

	assert_int_equal(f->fs->truncate(f->fs->ctx, fd, 512), RCO_OK);
	fill(f->disk, fd, 'b', 2, 1); /* cut, sector 2, length */
	assert_int_equal(w_disk_doubts(f->disk, w_disk_position(f->disk)), 3);
	expect_cut(f->disk, 0, "/x", "aaa");
	expect_cut(f->disk, 1, "/x", "a");
	expect_cut(f->disk, 2, "/x", "aaa"); /* nothing is written behind a cut that did not arrive */
	expect_cut(f->disk, 4, "/x", "a..");
	expect_cut(f->disk, 6, "/x", "a.b");
	sync_fd(f->disk, fd);
	expect_cut(f->disk, 0, "/x", "a.b");
}

static void test_zeros_over_zeros_are_no_doubt(void **state)
{
	static const uint8_t zeros[8192];
	fixture *f = *state;
	int fd = open_how(f->disk, "/x", RCO__FS_CREATE);

	sync_dir(f->disk, "/");
	assert_int_equal(f->fs->write(f->fs->ctx, fd, zeros, sizeof zeros, 0), RCO_OK);
	assert_int_equal(w_disk_doubts(f->disk, w_disk_position(f->disk)), 1);
	sync_fd(f->disk, fd);
	fill(f->disk, fd, 'a', 3, 1);
	assert_int_equal(f->fs->write(f->fs->ctx, fd, zeros, sizeof zeros, 0), RCO_OK);
	assert_int_equal(w_disk_doubts(f->disk, w_disk_position(f->disk)), 2);
	expect_cut(f->disk, 1, "/x", "...a............");
	expect_cut(f->disk, 3, "/x", "................");
}

static void test_a_failed_sync_leaves_doubt_for_good(void **state)
{
	fixture *f = *state;
	int fd = certain_file(f->disk, "/x", 'a', 2);

	fill(f->disk, fd, 'b', 0, 2);
	w_disk_fault(f->disk, 0, 1, W_FAULT_SYNC_LOST);
	assert_int_equal(f->fs->sync(f->fs->ctx, fd), RCO_E_IO);
	assert_true(w_disk_struck(f->disk, 0));
	sync_fd(f->disk, fd);
	expect_cut(f->disk, 0, "/x", "aa");
	expect_cut(f->disk, 1, "/x", "ba");
	/* A sector that is written once more is written back with the next sync; the other is not. */
	fill(f->disk, fd, 'c', 0, 1);
	sync_fd(f->disk, fd);
	assert_int_equal(w_disk_doubts(f->disk, w_disk_position(f->disk)), 1);
	expect_cut(f->disk, 0, "/x", "ca");
	expect_cut(f->disk, 1, "/x", "cb");
}

static void test_an_image_has_a_log_of_its_own(void **state)
{
	fixture *f = *state;
	w_disk *image, *second;
	uint64_t before;
	int fd = certain_file(f->disk, "/x", 'a', 2);

	fill(f->disk, fd, 'b', 0, 2);
	before = w_disk_hash(f->disk);
	image = cut(f->disk, 1);
	assert_int_equal(w_disk_position(image), 0);
	fd = open_how(image, "/x", RCO__FS_WRITE);
	fill(image, fd, 'c', 1, 1);
	expect_cut(image, 0, "/x", "ba");
	expect_cut(image, 1, "/x", "bc");
	second = cut(image, 1);
	w_disk_free(image);
	assert_string_equal(letters(second, "/x"), "bc");
	w_disk_free(second);
	assert_int_equal(w_disk_hash(f->disk), before);
	assert_string_equal(letters(f->disk, "/x"), "bb");
}

static void test_bits_not_given_are_drawn_from_the_last(void **state)
{
	fixture *f = *state;
	int fd = certain_file(f->disk, "/x", 'a', 8);
	int i, some = 0;
	w_disk *a, *b;
	uint64_t choice;

	fill(f->disk, fd, 'b', 0, 8);
	for (i = 0; i < 32; i++) {
		choice = (uint64_t)i;
		a = w_disk_image(f->disk, w_disk_position(f->disk), W_CRASH_POWER, &choice, 5);
		b = w_disk_image(f->disk, w_disk_position(f->disk), W_CRASH_POWER, &choice, 5);
		assert_int_equal(w_disk_hash(a), w_disk_hash(b));
		some |= strpbrk(letters(a, "/x") + 5, "b") != NULL ? 1 : 0;
		some |= strpbrk(letters(a, "/x") + 5, "a") != NULL ? 2 : 0;
		w_disk_free(a);
		w_disk_free(b);
	}
	assert_int_equal(some, 3);
	a = w_disk_image(f->disk, w_disk_position(f->disk), W_CRASH_POWER, NULL, 0);
	assert_string_equal(letters(a, "/x"), "aaaaaaaa");
	w_disk_free(a);
}

static void test_hash_is_of_names_sizes_and_bytes(void **state)
{
	fixture *f = *state;
	uint64_t hash[6];
	size_t i, j;
	int fd;

	hash[0] = w_disk_hash(f->disk);
	fd = open_how(f->disk, "/x", RCO__FS_CREATE);
	hash[1] = w_disk_hash(f->disk);
	assert_int_equal(f->fs->reserve(f->fs->ctx, fd, 0, 5000), RCO_OK);
	hash[2] = w_disk_hash(f->disk);
	write_at(f->disk, fd, "a", 4999);
	hash[3] = w_disk_hash(f->disk);
	rename_to(f->disk, "/x", "/y");
	hash[4] = w_disk_hash(f->disk);
	assert_int_equal(f->fs->mkdir(f->fs->ctx, "/x"), RCO_OK);
	hash[5] = w_disk_hash(f->disk);
	for (i = 0; i < 6; i++) {
		for (j = 0; j < i; j++)
			assert_true(hash[i] != hash[j]);
	}
	assert_int_equal(f->fs->write(f->fs->ctx, fd, "\0", 1, 4999), RCO_OK);
	rename_to(f->disk, "/x", "/z");
	rename_to(f->disk, "/y", "/x");
	assert_true(w_disk_hash(f->disk) != hash[2]);
}

/* ---- faults ---- */

static void test_faults_strike_the_nth_call(void **state)
{
	fixture *f = *state;
	int fd = certain_file(f->disk, "/x", 'a', 2), other;
	size_t before = w_disk_position(f->disk);
	uint64_t size, calls = w_disk_calls(f->disk);

	w_disk_fault(f->disk, 0, 2, W_FAULT_ERROR);
	w_disk_fault(f->disk, 1, 4, W_FAULT_ERROR);
	assert_int_equal(f->fs->size(f->fs->ctx, fd, &size), RCO_OK);
	assert_false(w_disk_struck(f->disk, 0));
	assert_int_equal(f->fs->write(f->fs->ctx, fd, "b", 1, 0), RCO_E_IO);
	assert_true(w_disk_struck(f->disk, 0));
	assert_int_equal(f->fs->size(f->fs->ctx, fd, &size), RCO_OK);
	assert_int_equal(f->fs->unlink(f->fs->ctx, "/x"), RCO_E_IO);
	assert_true(w_disk_struck(f->disk, 1));
	assert_int_equal(w_disk_calls(f->disk), calls + 4);
	assert_int_equal(w_disk_position(f->disk), before);
	assert_string_equal(letters(f->disk, "/x"), "aa");
	w_disk_fault(f->disk, 0, 1, W_FAULT_DONE);
	assert_int_equal(f->fs->open(f->fs->ctx, "/y", RCO__FS_CREATE, &other), RCO_E_IO);
	assert_int_equal(other, -1);
	assert_true(there(f->disk, "/y"));
	w_disk_fault(f->disk, 0, 1, W_FAULT_ERROR);
	assert_int_equal(f->fs->close(f->fs->ctx, fd), RCO_E_IO);
	assert_int_equal(f->fs->size(f->fs->ctx, fd, &size), RCO_E_IO);
}

static void test_a_torn_write_arrives_by_half(void **state)
{
	fixture *f = *state;
	int fd = open_how(f->disk, "/x", RCO__FS_CREATE);
	uint64_t size;

	w_disk_fault(f->disk, 0, 1, W_FAULT_TORN);
	assert_int_equal(f->fs->write(f->fs->ctx, fd, "abcdef", 6, 0), RCO_E_IO);
	assert_int_equal(f->fs->size(f->fs->ctx, fd, &size), RCO_OK);
	assert_int_equal(size, 3);
	w_disk_fault(f->disk, 0, 1, W_FAULT_TORN);
	assert_int_equal(f->fs->size(f->fs->ctx, fd, &size), RCO_OK);
	assert_false(w_disk_struck(f->disk, 0));
}

static void test_a_full_disk_takes_nothing_and_gives_back(void **state)
{
	fixture *f = *state;
	int fd = certain_file(f->disk, "/x", 'a', 2), other;

	w_disk_full(f->disk, 1);
	assert_int_equal(f->fs->write(f->fs->ctx, fd, "b", 1, 0), RCO_E_NO_SPACE);
	assert_int_equal(f->fs->reserve(f->fs->ctx, fd, 0, 9999), RCO_E_NO_SPACE);
	assert_int_equal(f->fs->open(f->fs->ctx, "/y", RCO__FS_CREATE, &other), RCO_E_NO_SPACE);
	assert_int_equal(f->fs->lock(f->fs->ctx, "/y", &other), RCO_E_NO_SPACE);
	assert_int_equal(f->fs->mkdir(f->fs->ctx, "/d"), RCO_E_NO_SPACE);
	assert_int_equal(f->fs->open(f->fs->ctx, "/x", RCO__FS_CREATE, &other), RCO_OK);
	assert_int_equal(f->fs->truncate(f->fs->ctx, fd, 512), RCO_OK);
	sync_fd(f->disk, fd);
	assert_int_equal(f->fs->unlink(f->fs->ctx, "/x"), RCO_OK);
	w_disk_full(f->disk, 0);
	(void)open_how(f->disk, "/y", RCO__FS_CREATE_NEW);
	w_disk_fault(f->disk, 0, 1, W_FAULT_FULL);
	assert_int_equal(f->fs->write(f->fs->ctx, fd, "b", 1, 0), RCO_E_NO_SPACE);
}

/* ---- the log ---- */

static void count(void *user_data)
{
	(*(size_t *)user_data)++;
}

static void test_the_log_keeps_others_places(void **state)
{
	fixture *f = *state;
	size_t changes = 0, at, story_lines = 0;
	char *story, *p;
	int fd;

	w_disk_before(f->disk, count, &changes);
	fd = open_how(f->disk, "/x", RCO__FS_CREATE);
	at = w_disk_foreign(f->disk, W_FOREIGN + 7);
	fill(f->disk, fd, 'a', 0, 1);
	sync_fd(f->disk, fd);
	assert_int_equal(at, 1);
	assert_int_equal(changes, 4);
	assert_int_equal(w_disk_position(f->disk), 4);
	assert_int_equal(w_disk_kind_at(f->disk, 0), W_CREATE);
	assert_int_equal(w_disk_kind_at(f->disk, 1), W_FOREIGN + 7);
	assert_int_equal(w_disk_kind_at(f->disk, 2), W_WRITE);
	assert_int_equal(w_disk_kind_at(f->disk, 4), 0);
	story = w_disk_story(f->disk, 0, 4);
	for (p = story; (p = strchr(p, '\n')) != NULL; p++)
		story_lines++;
	assert_int_equal(story_lines, 4);
	assert_non_null(strstr(story, "write /x: 512 bytes at 0, size 0 to 512"));
	free(story);
}

/* ---- whatever is done ---- */

static uint64_t draw(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

static void random_step(w_disk *disk, uint64_t *rng)
{
	static const char *const names[] = {"/a", "/b", "/d/a", "/d/b", "/d/e/a"};
	const rco__fs *fs = w_disk_table(disk);
	const char *name = names[draw(rng) % 5], *other = names[draw(rng) % 5];
	char bytes[2000];
	int fd = -1;

	memset(bytes, (int)('a' + draw(rng) % 26), sizeof bytes);
	if (draw(rng) % 8 == 0)
		(void)fs->unlink(fs->ctx, name);
	if (draw(rng) % 6 == 0)
		(void)fs->rename(fs->ctx, name, other);
	if (draw(rng) % 4 == 0)
		(void)fs->sync_dir(fs->ctx, draw(rng) % 2 != 0 ? "/d" : draw(rng) % 2 != 0 ? "/" : "/d/e");
	if (fs->open(fs->ctx, name, draw(rng) % 9 == 0 ? RCO__FS_CREATE_TRUNCATE : RCO__FS_CREATE, &fd) != RCO_OK)
		return;
	(void)fs->write(fs->ctx, fd, bytes, draw(rng) % sizeof bytes, draw(rng) % 6000);
	if (draw(rng) % 5 == 0)
		(void)fs->truncate(fs->ctx, fd, draw(rng) % 6000);
	if (draw(rng) % 9 == 0)
		w_disk_fault(disk, 0, 1, W_FAULT_SYNC_LOST);
	if (draw(rng) % 3 == 0)
		(void)fs->sync(fs->ctx, fd);
	(void)fs->close(fs->ctx, fd);
}

/* If everything in doubt arrives, it is what everybody saw. */
static void all_is_everything(w_disk *disk, size_t position)
{
	size_t n = w_disk_doubts(disk, position), words = n / 64 + 1;
	uint64_t *choice = malloc(words * sizeof *choice);
	w_disk *power, *kill;

	assert_non_null(choice);
	memset(choice, 0xff, words * sizeof *choice);
	power = w_disk_image(disk, position, W_CRASH_POWER, choice, words * 64);
	kill = w_disk_image(disk, position, W_CRASH_KILL, NULL, 0);
	assert_int_equal(w_disk_hash(power), w_disk_hash(kill));
	w_disk_free(power);
	w_disk_free(kill);
	free(choice);
}

/* Once every file was written to and synced, and every folder was, nothing is in doubt. */
static void sync_is_everything(w_disk *disk)
{
	static const char *const files[] = {"/a", "/b", "/d/a", "/d/b", "/d/e/a"};
	static const char *const folders[] = {"/", "/d", "/d/e"};
	char bytes[8192];
	w_disk *image;
	size_t i;
	int fd;

	w_disk_fault(disk, 0, 0, W_FAULT_NONE);
	memset(bytes, 'z', sizeof bytes);
	for (i = 0; i < 5; i++) {
		fd = open_how(disk, files[i], RCO__FS_CREATE_TRUNCATE);
		assert_int_equal(w_disk_table(disk)->write(w_disk_table(disk)->ctx, fd, bytes, sizeof bytes, 0),
		                 RCO_OK);
		sync_fd(disk, fd);
	}
	for (i = 0; i < 3; i++)
		sync_dir(disk, folders[i]);
	image = cut(disk, 0);
	assert_int_equal(w_disk_hash(image), w_disk_hash(disk));
	w_disk_free(image);
}

static void test_whatever_is_done(void **state)
{
	size_t scale = T_SANITIZED ? 20 : 200, i, steps;
	uint64_t rng, seed;
	w_disk *disk;

	(void)state;
	for (seed = 1; seed <= scale; seed++) {
		rng = seed;
		disk = w_disk_new();
		assert_int_equal(w_disk_table(disk)->mkdir(w_disk_table(disk)->ctx, "/d"), RCO_OK);
		assert_int_equal(w_disk_table(disk)->mkdir(w_disk_table(disk)->ctx, "/d/e"), RCO_OK);
		for (steps = 0; steps < 40; steps++)
			random_step(disk, &rng);
		for (i = 0; i <= w_disk_position(disk); i++)
			all_is_everything(disk, i);
		all_is_everything(disk, (size_t)draw(&rng) % (w_disk_position(disk) + 1));
		sync_is_everything(disk);
		w_disk_free(disk);
	}
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_files_and_folders),
		T(test_a_removed_file_lives_until_it_is_closed),
		T(test_a_lock_is_one_descriptors),
		T(test_rename_replaces),
		T(test_a_killed_process_loses_nothing_it_wrote),
		T(test_any_subset_of_sectors_arrives),
		T(test_a_sector_is_old_or_new_never_mixed),
		T(test_length_and_bytes_arrive_apart),
		T(test_sync_makes_bytes_certain_and_not_the_name),
		T(test_a_synced_name_may_have_no_bytes),
		T(test_names_of_a_folder_arrive_in_order),
		T(test_folders_do_not_wait_for_each_other),
		T(test_a_folder_that_did_not_arrive_takes_all_along),
		T(test_a_rename_is_one_step),
		T(test_what_was_cut_off_does_not_come_back),
		T(test_zeros_over_zeros_are_no_doubt),
		T(test_a_failed_sync_leaves_doubt_for_good),
		T(test_an_image_has_a_log_of_its_own),
		T(test_bits_not_given_are_drawn_from_the_last),
		T(test_hash_is_of_names_sizes_and_bytes),
		T(test_faults_strike_the_nth_call),
		T(test_a_torn_write_arrives_by_half),
		T(test_a_full_disk_takes_nothing_and_gives_back),
		T(test_the_log_keeps_others_places),
		cmocka_unit_test(test_whatever_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
