/* SPDX-License-Identifier: MIT */
/*
 * A process that is killed where it stands: from that moment on nothing that the engine does reaches disk, keys or
 * shared memory, and its memory is given back. Unlike an image the disk goes on remembering what was not synced.
 */
#include "world_internal.h"

#include "../../lib/base/error.h"

/* The disk's table with a switch before it. */
static w_world *of(void *ctx)
{
	return ctx;
}

#define CALL(name, ...)                                                                                           \
	return of(ctx)->dead ? rco__fail(RCO_E_IO, "the process was killed")                                      \
	                     : of(ctx)->inner->name(of(ctx)->inner->ctx, __VA_ARGS__)

static int f_open(void *ctx, const char *path, int how, int *fd)
{
	CALL(open, path, how, fd);
}

static int f_close(void *ctx, int fd)
{
	CALL(close, fd);
}

static int f_read(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got)
{
	CALL(read, fd, buf, size, offset, got);
}

static int f_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	CALL(write, fd, buf, size, offset);
}

static int f_sync(void *ctx, int fd)
{
	CALL(sync, fd);
}

static int f_sync_dir(void *ctx, const char *path)
{
	CALL(sync_dir, path);
}

static int f_size(void *ctx, int fd, uint64_t *size)
{
	CALL(size, fd, size);
}

static int f_truncate(void *ctx, int fd, uint64_t size)
{
	CALL(truncate, fd, size);
}

static int f_reserve(void *ctx, int fd, uint64_t offset, uint64_t size)
{
	CALL(reserve, fd, offset, size);
}

static int f_rename(void *ctx, const char *from, const char *to)
{
	CALL(rename, from, to);
}

static int f_unlink(void *ctx, const char *path)
{
	CALL(unlink, path);
}

static int f_exists(void *ctx, const char *path, int *yes, uint64_t *size)
{
	CALL(exists, path, yes, size);
}

static int f_mkdir(void *ctx, const char *path)
{
	CALL(mkdir, path);
}

static int f_list(void *ctx, const char *path, rco__fs_name_fn fn, void *user_data)
{
	CALL(list, path, fn, user_data);
}

static int f_lock(void *ctx, const char *path, int *fd)
{
	CALL(lock, path, fd);
}

static int f_resolve(void *ctx, const char *path, int kind, char *out, size_t size)
{
	CALL(resolve, path, kind, out, size);
}

void w_table_make(w_world *world)
{
	world->inner = w_disk_table(world->disk);
	world->table = (rco__fs){.ctx = world,
	                         .open = f_open,
	                         .close = f_close,
	                         .read = f_read,
	                         .write = f_write,
	                         .sync = f_sync,
	                         .sync_dir = f_sync_dir,
	                         .size = f_size,
	                         .truncate = f_truncate,
	                         .reserve = f_reserve,
	                         .rename = f_rename,
	                         .unlink = f_unlink,
	                         .exists = f_exists,
	                         .mkdir = f_mkdir,
	                         .list = f_list,
	                         .lock = f_lock,
	                         .resolve = f_resolve};
}

/* What was asked for and not yet durable may be forgotten now. */
void w_forgettable(w_notes *notes)
{
	uint32_t c;

	for (c = 0; c < W_CALLS; c++)
		if (notes->call[c].opt == W_OPT_ASKED || notes->call[c].opt == W_OPT_STOPPED)
			notes->call[c].forgettable = 1;
}

void w_kill(w_world *world)
{
	size_t position = w_position(world);

	if (world->engine == NULL)
		return;
	w_rings_look(&world->rings, position);
	world->dead = 1;
	w_close(world);
	world->dead = 0;
	w_disk_forget_process(world->disk);
	w_rings_clear(&world->rings);
	w_rings_restore(&world->rings, &world->rings, position);
	w_forgettable(&world->notes);
	w_note(world);
}
