/* SPDX-License-Identifier: MIT */
/*
 * The file operations that ledger, spool, keys and directory use, as a table,
 * so that tests can fail, tear and lose each of them. All return RCO_OK or an
 * error with its detail set (rco__fail_errno). Files are made with mode 0600,
 * folders with 0700, whatever the umask; O_CLOEXEC always. A file that is there
 * already is opened only if rco__trust_file() trusts it.
 *
 * No operation but `resolve`, `lock` and the `mkdir` of a folder outside the
 * roots (fs_roots.h) follows a symbolic link, on the way to a file or in its
 * place: RCO_E_PERMISSION. So paths are given as `resolve` answered them. A
 * data folder may be a link to where an administrator moved it; what is in it
 * may not.
 */
#ifndef RCO_BASE_FS_H
#define RCO_BASE_FS_H

#include <recoptout.h>

enum {
	RCO__FS_READ = 0,           /* read only, must exist */
	RCO__FS_WRITE = 1,          /* read and write, must exist */
	RCO__FS_CREATE = 2,         /* read and write, made if missing */
	RCO__FS_CREATE_NEW = 3,     /* read and write, RCO_E_STATE if it exists */
	RCO__FS_CREATE_TRUNCATE = 4 /* read and write, emptied */
};

/* What `exists` tells of a path: any but NONE counts as "yes". */
enum {
	RCO__FS_NONE = 0,
	RCO__FS_FILE = 1, /* a regular file */
	RCO__FS_FOLDER = 2,
	RCO__FS_LINK = 3, /* a symbolic link, wherever it leads */
	RCO__FS_OTHER = 4,
	RCO__FS_LINKED = 5,  /* a regular file that has more names than this one (hard links) */
	RCO__FS_FOREIGN = 6, /* a regular file of one name, of another user than this process's or root */
};

static inline int rco__fs_regular(int kind)
{
	return kind == RCO__FS_FILE || kind == RCO__FS_LINKED || kind == RCO__FS_FOREIGN;
}

/* What `resolve` is to make of a path: a folder, of a kind of trust.h, or RCO__FS_PLACE. */
enum { RCO__FS_PLACE = 0 };

/* Return non-zero to stop. Names without "." and "..", in no order. */
typedef int (*rco__fs_name_fn)(const char *name, void *user_data);

/* What tells a file from a later one of its name, and from itself with other contents. */
typedef struct rco__fs_stamp {
	int kind; /* RCO__FS_NONE if nothing is there */
	uint64_t device, inode, size;
	int64_t born_ns, written_ns; /* 0 where the file system does not say */
} rco__fs_stamp;

typedef struct rco__fs {
	void *ctx;
	int (*open)(void *ctx, const char *path, int how, int *fd);
	int (*close)(void *ctx, int fd);
	/* *got is less than size only at the end of the file */
	int (*read)(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got);
	/* all of it or an error; retries EINTR and short writes */
	int (*write)(void *ctx, int fd, const void *buf, size_t size, uint64_t offset);
	int (*sync)(void *ctx, int fd);               /* fdatasync */
	int (*sync_dir)(void *ctx, const char *path); /* fsync of a folder */
	int (*size)(void *ctx, int fd, uint64_t *size);
	int (*truncate)(void *ctx, int fd, uint64_t size);
	int (*reserve)(void *ctx, int fd, uint64_t offset, uint64_t size); /* posix_fallocate */
	int (*rename)(void *ctx, const char *from, const char *to);        /* replaces */
	int (*unlink)(void *ctx, const char *path);                        /* RCO_E_NOT_FOUND if it is not there */
	/* lstat: *yes is RCO__FS_NONE (also if a folder on the way is missing) or a kind; size may be NULL */
	int (*exists)(void *ctx, const char *path, int *yes, uint64_t *size);
	int (*mkdir)(void *ctx, const char *path); /* no error if it is a folder already */
	int (*list)(void *ctx, const char *path, rco__fs_name_fn fn, void *user_data);
	int (*lock)(void *ctx, const char *path, int *fd); /* makes the file; see lock.h. RCO_E_BUSY */
	/*
	 * The absolute path of a folder, without links, into out[size]; RCO_E_PERMISSION if others could change
	 * what is in it (rco__trust_folder). Later operations below it start from the folder as it is now,
	 * whatever becomes of its name (fs_roots.h). With RCO__FS_PLACE: that of a file, which need not be there,
	 * nor its folder; links on the way are followed this once, nothing is checked or kept.
	 */
	int (*resolve)(void *ctx, const char *path, int kind, char *out, size_t size);
	/* As `exists`, with more of it. May be NULL: see rco__fs_look() */
	int (*stamp)(void *ctx, const char *path, rco__fs_stamp *stamp);
} rco__fs;

/* The real one. */
const rco__fs *rco__fs_posix(void);

/* Conveniences over a table. */

/* `stamp`, or what `exists` says where a table has none. */
int rco__fs_look(const rco__fs *fs, const char *path, rco__fs_stamp *stamp);
int rco__fs_same(const rco__fs_stamp *a, const rco__fs_stamp *b); /* a file is there, and still the one it was */

/* dir "/" name into out[size]; RCO_E_LIMIT if it does not fit. */
int rco__path_join(char *out, size_t size, const char *dir, const char *name);

/*
 * Make a folder if it is not there, so that it is there after a power cut, too: mkdir, and sync_dir of the folder
 * it is in. That is done for one that was there as well, because its maker may have died in between; and for
 * the same reason the names in it are made durable, before anybody relies on what is found there. A folder that we
 * may not read cannot be synced by us: that is no error.
 */
int rco__fs_folder(const rco__fs *fs, const char *path);

/* The same for a folder that a host names, with its resolved path into out[size]; `kind` is one of trust.h. */
int rco__fs_root(const rco__fs *fs, const char *path, int kind, char *out, size_t size);

/* Write a small file so that after a crash it is there whole or not at all: path.tmp, write, sync, rename,
 * sync_dir(dir). */
int rco__fs_put(const rco__fs *fs, const char *dir, const char *name, const void *data, size_t size);

/* Read a whole file of at most cap bytes. RCO_E_NOT_FOUND, RCO_E_LIMIT. */
int rco__fs_get(const rco__fs *fs, const char *dir, const char *name, void *buf, size_t cap, size_t *size);

/* Overwrite a small file and remove it, durably. One that is not there is no error. */
int rco__fs_wipe(const rco__fs *fs, const char *dir, const char *name);

/* Zeros over these bytes of a file, which grows by it if they are behind its end. */
int rco__fs_blank(const rco__fs *fs, int fd, uint64_t from, uint64_t size);

struct rco__env;
/* Set a damaged file aside: dir/name becomes quarantine_dir/name.<wall time>, never overwriting; logs `why`. */
int rco__quarantine(const struct rco__env *env, const char *dir, const char *name, const char *quarantine_dir,
                    const char *why);

#endif
