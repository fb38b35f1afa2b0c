/* SPDX-License-Identifier: MIT */
/*
 * What files and locked memory make of the system's answers: a call that a signal interrupted is made again, one
 * that does a part is continued, an error has its code, its name in the text, and leaves no descriptor open. The
 * system's functions are replaced in this program by ones that answer so on demand.
 */
#include "../support_base.h"

#include "../../lib/base/error.h"
#include "../../lib/base/secmem.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The next `times` calls of the function answer with the error; with `part` they do that many bytes. */
static struct {
	const char *name;
	int err, times;
	int calls;
	ssize_t part;
} fault;

static int fails(const char *name)
{
	if (fault.name == NULL || strcmp(fault.name, name) != 0)
		return 0;
	fault.calls++;
	if (fault.times == 0 || fault.err == 0)
		return 0;
	fault.times--;
	errno = fault.err;
	return 1;
}

/* How many bytes a read or write may do now. */
static size_t part(const char *name, size_t size)
{
	if (fault.name == NULL || strcmp(fault.name, name) != 0 || fault.part < 0 || (size_t)fault.part > size)
		return size;
	return (size_t)fault.part;
}

static void set_fault(const char *name, int err, int times)
{
	fault.name = name;
	fault.err = err;
	fault.times = times;
	fault.calls = 0;
	fault.part = -1;
}

/* The function that this program's own hides; a pointer to a function and one to void have the same form (POSIX).
 */
static void hidden(const char *name, void *function, size_t size)
{
	void *found = dlsym(RTLD_NEXT, name);

	assert_non_null(found);
	memcpy(function, &found, size);
}

#define HIDDEN(name) hidden(name, &real, sizeof real)

int openat(int at, const char *path, int flags, ...)
{
	int (*real)(int, const char *, int, ...);
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if ((flags & O_CREAT) != 0)
		mode = va_arg(args, mode_t);
	va_end(args);
	HIDDEN("openat64");
	return fails("openat") ? -1 : real(at, path, flags, mode);
}

int close(int fd)
{
	int (*real)(int);
	int failed = fails("close"), err = errno, rc;

	HIDDEN("close");
	rc = real(fd); /* as on Linux: the descriptor is gone, whatever the answer */
	errno = failed ? err : errno;
	return failed ? -1 : rc;
}

ssize_t pread(int fd, void *buf, size_t size, off_t at)
{
	ssize_t (*real)(int, void *, size_t, off_t);

	HIDDEN("pread64");
	return fails("pread") ? -1 : real(fd, buf, part("pread", size), at);
}

ssize_t pwrite(int fd, const void *buf, size_t size, off_t at)
{
	ssize_t (*real)(int, const void *, size_t, off_t);

	HIDDEN("pwrite64");
	return fails("pwrite") ? -1 : real(fd, buf, part("pwrite", size), at);
}

int fdatasync(int fd)
{
	int (*real)(int);

	HIDDEN("fdatasync");
	return fails("fdatasync") ? -1 : real(fd);
}

int fsync(int fd)
{
	int (*real)(int);

	HIDDEN("fsync");
	return fails("fsync") ? -1 : real(fd);
}

int ftruncate(int fd, off_t size)
{
	int (*real)(int, off_t);

	HIDDEN("ftruncate64");
	return fails("ftruncate") ? -1 : real(fd, size);
}

int posix_fallocate(int fd, off_t at, off_t size)
{
	int (*real)(int, off_t, off_t);

	HIDDEN("posix_fallocate64");
	return fails("posix_fallocate") ? errno : real(fd, at, size);
}

int fstat(int fd, struct stat *st)
{
	int (*real)(int, struct stat *);

	HIDDEN("fstat64");
	return fails("fstat") ? -1 : real(fd, st);
}

int stat(const char *path, struct stat *st)
{
	int (*real)(const char *, struct stat *);

	HIDDEN("stat64");
	return fails("stat") ? -1 : real(path, st);
}

int fstatat(int at, const char *path, struct stat *st, int flags)
{
	int (*real)(int, const char *, struct stat *, int);

	HIDDEN("fstatat64");
	return fails("fstatat") ? -1 : real(at, path, st, flags);
}

DIR *fdopendir(int fd)
{
	DIR *(*real)(int);

	HIDDEN("fdopendir");
	return fails("fdopendir") ? NULL : real(fd);
}

struct dirent *readdir(DIR *dir)
{
	struct dirent *(*real)(DIR *);

	HIDDEN("readdir64");
	return fails("readdir") ? NULL : real(dir);
}

/* For locks; the program itself asks with it whether a descriptor is open. */
int fcntl(int fd, int what, ...)
{
	int (*real)(int, int, ...);
	va_list args;
	void *lock;

	va_start(args, what);
	lock = what == F_SETLK ? va_arg(args, void *) : NULL;
	va_end(args);
	HIDDEN("fcntl64");
	return what == F_SETLK && fails("fcntl") ? -1 : real(fd, what, lock);
}

ssize_t readlink(const char *path, char *buf, size_t size)
{
	ssize_t (*real)(const char *, char *, size_t);

	HIDDEN("readlink");
	return fails("readlink") ? -1 : real(path, buf, size);
}

int mlock(const void *at, size_t size)
{
	int (*real)(const void *, size_t);

	HIDDEN("mlock");
	return fails("mlock") ? -1 : real(at, size);
}

static int failing_advice = -1; /* madvise() fails for this one only */

int madvise(void *at, size_t size, int advice)
{
	int (*real)(void *, size_t, int);

	HIDDEN("madvise");
	return advice == failing_advice && fails("madvise") ? -1 : real(at, size, advice);
}

/* ---- files ---- */

static const rco__fs *fs;
static char *folder;
static char path[PATH_MAX];

static int set_up(void **state)
{
	(void)state;
	set_fault(NULL, 0, 0);
	fs = rco__fs_posix();
	folder = make_folder();
	assert_int_equal(rco__path_join(path, sizeof path, folder, "file"), RCO_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	set_fault(NULL, 0, 0);
	free_folder(folder);
	return 0;
}

static int opened(void)
{
	int fd;

	assert_int_equal(fs->open(fs->ctx, path, RCO__FS_CREATE, &fd), RCO_OK);
	return fd;
}

static int do_open(void)
{
	int fd, rc = fs->open(fs->ctx, path, RCO__FS_CREATE, &fd);

	if (rc == RCO_OK)
		assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
	else
		assert_int_equal(fd, -1);
	return rc;
}

/* One operation on an open file, which is closed whatever it answered. */
static int on_file(int (*what)(int fd))
{
	int fd = opened(), rc = what(fd);

	assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
	return rc;
}

static int read_some(int fd)
{
	char buf[8];
	size_t got;

	return fs->read(fs->ctx, fd, buf, sizeof buf, 0, &got);
}

static int write_some(int fd)
{
	return fs->write(fs->ctx, fd, "12345678", 8, 0);
}

static int sync_it(int fd)
{
	return fs->sync(fs->ctx, fd);
}

static int cut_it(int fd)
{
	return fs->truncate(fs->ctx, fd, 3);
}

static int reserve_some(int fd)
{
	return fs->reserve(fs->ctx, fd, 0, 100);
}

static int do_read(void)
{
	return on_file(read_some);
}

static int do_write(void)
{
	return on_file(write_some);
}

static int do_sync(void)
{
	return on_file(sync_it);
}

static int do_truncate(void)
{
	return on_file(cut_it);
}

static int do_reserve(void)
{
	return on_file(reserve_some);
}

static int do_sync_dir(void)
{
	return fs->sync_dir(fs->ctx, folder);
}

static int do_exists(void)
{
	uint64_t size = 99;
	int yes = 99, rc = fs->exists(fs->ctx, path, &yes, &size);

	if (rc != RCO_OK) {
		assert_int_equal(yes, RCO__FS_NONE);
		assert_int_equal(size, 0);
	}
	return rc;
}

static int do_mkdir(void)
{
	return fs->mkdir(fs->ctx, folder); /* which is there */
}

static int count_name(const char *name, void *user_data)
{
	(void)name;
	++*(int *)user_data;
	return 0;
}

static int do_list(void)
{
	int n = 0;

	return fs->list(fs->ctx, folder, count_name, &n);
}

static int do_lock(void)
{
	int fd, rc = fs->lock(fs->ctx, path, &fd);

	if (rc == RCO_OK)
		assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
	else
		assert_int_equal(fd, -1);
	return rc;
}

static const struct {
	const char *name;
	int (*run)(void);
	int repeats; /* it is made again after EINTR */
} calls[] = {
	{"openat", do_open, 1},        {"openat", do_sync_dir, 1},
	{"openat", do_list, 1},        {"openat", do_lock, 1},
	{"pread", do_read, 1},         {"pwrite", do_write, 1},
	{"fdatasync", do_sync, 1},     {"fsync", do_sync_dir, 1},
	{"ftruncate", do_truncate, 1}, {"posix_fallocate", do_reserve, 1},
	{"fcntl", do_lock, 1},         {"fstat", do_open, 0},
	{"fstatat", do_exists, 0},     {"stat", do_mkdir, 0},
	{"fdopendir", do_list, 0},     {"readdir", do_list, 0},
};

enum { CALLS = sizeof calls / sizeof calls[0] };

static int open_descriptors(void)
{
	char open_files[64];
	int n = 0;

	(void)snprintf(open_files, sizeof open_files, "/proc/%d/fd", (int)getpid()); /* "self" is a link */
	assert_int_equal(fs->list(fs->ctx, open_files, count_name, &n), RCO_OK);
	return n;
}

static void an_interrupted_call_is_made_again(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < CALLS; i++) {
		if (!calls[i].repeats)
			continue;
		set_fault(calls[i].name, EINTR, 3);
		assert_int_equal(calls[i].run(), RCO_OK);
		assert_int_equal(fault.times, 0);
		assert_true(fault.calls >= 4);
	}
}

static void each_error_has_its_code_and_leaves_nothing_open(void **state)
{
	static const struct {
		int err, code;
	} errors[] = {{EIO, RCO_E_IO},           {ENOSPC, RCO_E_NO_SPACE}, {EACCES, RCO_E_PERMISSION},
	              {ENOMEM, RCO_E_NO_MEMORY}, {EDQUOT, RCO_E_NO_SPACE}, {EROFS, RCO_E_PERMISSION}};
	int before, rc;
	size_t i, j;

	(void)state;
	(void)do_open();
	before = open_descriptors();
	for (i = 0; i < CALLS; i++) {
		for (j = 0; j < sizeof errors / sizeof errors[0]; j++) {
			set_fault(calls[i].name, errors[j].err, 1);
			rc = calls[i].run();
			assert_int_equal(fault.times, 0);
			set_fault(NULL, 0, 0);
			assert_int_equal(rc, errors[j].code);
			assert_non_null(strstr(rco_error_detail(), folder)); /* which file or folder it was */
			assert_int_equal(open_descriptors(), before);
		}
	}
}

/* A second close could hit a file that another thread has just opened. */
static void an_interrupted_close_is_not_repeated(void **state)
{
	int fd;

	(void)state;
	fd = opened();
	set_fault("close", EINTR, 1);
	assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
	assert_int_equal(fault.calls, 1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fd = opened();
	set_fault("close", EIO, 1);
	assert_int_equal(fs->close(fs->ctx, fd), RCO_E_IO); /* what a network file system says of a lost write */
	assert_int_equal(fault.calls, 1);
	assert_non_null(strstr(rco_error_detail(), path));
}

static void what_is_done_in_parts_is_done_whole(void **state)
{
	static const char text[] = "a text of some length";
	char buf[sizeof text];
	size_t got;
	int fd;

	(void)state;
	fd = opened();
	set_fault("pwrite", 0, 0);
	fault.part = 5;
	assert_int_equal(fs->write(fs->ctx, fd, text, sizeof text, 0), RCO_OK);
	assert_int_equal(fault.calls, 5);
	set_fault("pread", 0, 0);
	fault.part = 3;
	assert_int_equal(fs->read(fs->ctx, fd, buf, sizeof buf, 0, &got), RCO_OK);
	assert_int_equal(got, sizeof text);
	assert_string_equal(buf, text);
	assert_true(fault.calls >= 7);
	/* A disk that takes nothing and calls it no error is one: it must not be tried for ever. */
	set_fault("pwrite", 0, 0);
	fault.part = 0;
	assert_int_equal(fs->write(fs->ctx, fd, text, sizeof text, 0), RCO_E_IO);
	assert_int_equal(fault.calls, 1);
	set_fault(NULL, 0, 0);
	assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
}

/* Without /proc the text is poorer, and that is all. */
static void a_file_without_a_name_fails_like_any(void **state)
{
	int fd;

	(void)state;
	fd = opened();
	set_fault("readlink", ENOENT, 100);
	assert_int_equal(fs->read(fs->ctx, fd, NULL, 8, UINT64_MAX - 3, &(size_t){0}), RCO_E_IO);
	assert_non_null(strstr(rco_error_detail(), "an open file"));
	set_fault(NULL, 0, 0);
	assert_int_equal(fs->close(fs->ctx, fd), RCO_OK);
}

/* A path through a folder that may not be searched is not "nothing there": that would be taken for erased. */
static void what_cannot_be_looked_for_is_not_gone(void **state)
{
	int yes;

	(void)state;
	(void)do_open();
	set_fault("fstatat", ENOENT, 1);
	assert_int_equal(fs->exists(fs->ctx, path, &yes, NULL), RCO_OK);
	assert_int_equal(yes, RCO__FS_NONE);
	set_fault("fstatat", EACCES, 1);
	assert_int_equal(fs->exists(fs->ctx, path, &yes, NULL), RCO_E_PERMISSION);
	set_fault("fstatat", EIO, 1);
	assert_int_equal(fs->exists(fs->ctx, path, &yes, NULL), RCO_E_IO);
}

static void a_lock_that_fails_is_not_another_engine(void **state)
{
	(void)state;
	set_fault("fcntl", EAGAIN, 1);
	assert_int_equal(do_lock(), RCO_E_BUSY);
	assert_non_null(strstr(rco_error_detail(), "another engine"));
	set_fault("fcntl", ENOLCK, 1);
	assert_int_equal(do_lock(), RCO_E_IO);
	assert_null(strstr(rco_error_detail(), "another engine"));
}

static void only_known_ways_to_open(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(fs->open(fs->ctx, path, -1, &fd), RCO_E_INTERNAL);
	assert_int_equal(fs->open(fs->ctx, path, RCO__FS_CREATE_TRUNCATE + 1, &fd), RCO_E_INTERNAL);
	assert_int_equal(access(path, F_OK), -1);
}

/* ---- locked memory ---- */

static int warnings;

static void hear(uint32_t level, const char *message, size_t length, void *user_data)
{
	(void)length;
	(void)user_data;
	if (level == RCO_LOG_WARN && strstr(message, "cannot be locked") != NULL)
		warnings++;
}

/* Two slabs, the system refusing for both: used all the same, and said once. */
static void refuse(const char *what, int advice, int expected)
{
	uint8_t *cells[600];
	rco__secmem *mem;
	rco__env env;
	size_t i;

	warnings = 0;
	assert_int_equal(rco__env_init(&env, NULL, NULL, hear, NULL), RCO_OK);
	assert_int_equal(rco__secmem_create(&env, &mem), RCO_OK);
	failing_advice = advice;
	set_fault(what, EAGAIN, 100);
	for (i = 0; i < sizeof cells / sizeof cells[0]; i++) {
		cells[i] = rco__secmem_get(mem);
		assert_non_null(cells[i]);
		memset(cells[i], 0x7e, 32);
	}
	assert_int_equal(fault.calls, 2);
	set_fault(NULL, 0, 0);
	assert_int_equal(warnings, expected);
	for (i = 0; i < sizeof cells / sizeof cells[0]; i++)
		rco__secmem_put(mem, cells[i]);
	rco__secmem_free(mem);
}

static void unprotected_keys_are_said_once(void **state)
{
	(void)state;
	refuse("mlock", -1, 1);
	refuse("madvise", MADV_DONTDUMP, 1);
	refuse("madvise", MADV_WIPEONFORK, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_interrupted_call_is_made_again),
		cmocka_unit_test(each_error_has_its_code_and_leaves_nothing_open),
		cmocka_unit_test(an_interrupted_close_is_not_repeated),
		cmocka_unit_test(what_is_done_in_parts_is_done_whole),
		cmocka_unit_test(a_file_without_a_name_fails_like_any),
		cmocka_unit_test(what_cannot_be_looked_for_is_not_gone),
		cmocka_unit_test(a_lock_that_fails_is_not_another_engine),
		cmocka_unit_test(only_known_ways_to_open),
		cmocka_unit_test(unprotected_keys_are_said_once),
	};
	struct CMUnitTest each[sizeof tests / sizeof tests[0]];
	size_t i;

	for (i = 0; i < sizeof tests / sizeof tests[0]; i++) {
		each[i] = tests[i];
		each[i].setup_func = set_up;
		each[i].teardown_func = tear_down;
	}
	return cmocka_run_group_tests(each, NULL, NULL);
}
