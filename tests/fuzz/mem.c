/* SPDX-License-Identifier: MIT */
#include "mem.h"

#include "../../lib/base/error.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int find(const mem *m, const char *path)
{
	int i;

	for (i = 0; i < MEM_NODES; i++)
		if (m->node[i].kind != 0 && strcmp(m->node[i].path, path) == 0)
			return i;
	return -1;
}

static void changes(const mem *m, const char *path)
{
	size_t n = m->only != NULL ? strlen(m->only) : 0;

	FUZZ_CHECK(n == 0 || strncmp(path, m->only, n) == 0);
}

/* Is the folder there that it would be in? */
static int has_parent(const mem *m, const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[MEM_PATH];
	int i;

	if (slash == NULL || slash == path)
		return slash != NULL;
	(void)snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
	i = find(m, parent);
	return i >= 0 && m->node[i].kind == RCO__FS_FOLDER;
}

static int make(mem *m, const char *path, int kind)
{
	int i;

	for (i = 0; i < MEM_NODES && m->node[i].kind != 0; i++)
		;
	FUZZ_CHECK(i < MEM_NODES && strlen(path) < MEM_PATH);
	memset(&m->node[i], 0, sizeof m->node[i]);
	(void)snprintf(m->node[i].path, MEM_PATH, "%s", path);
	m->node[i].kind = kind;
	if (kind == RCO__FS_FILE) { /* an empty one has a place too: NULL is for what is not there */
		m->node[i].data = malloc(1);
		m->node[i].cap = 1;
		FUZZ_CHECK(m->node[i].data != NULL);
	}
	return i;
}

static void drop(mem_node *node)
{
	node->path[0] = '\0';
	if (node->opened > 0)
		return;
	free(node->data);
	memset(node, 0, sizeof *node);
}

static int resize(mem_node *node, uint64_t size)
{
	if (size > MEM_FILE_MAX)
		return rco__fail(RCO_E_NO_SPACE, "no file is longer than %d bytes here", MEM_FILE_MAX);
	if (size > node->cap) {
		size_t cap = node->cap * 2 > size ? node->cap * 2 : (size_t)size;
		uint8_t *data = realloc(node->data, cap);

		FUZZ_CHECK(data != NULL);
		node->data = data;
		node->cap = cap;
	}
	if (size > node->size)
		memset(node->data + node->size, 0, (size_t)size - node->size);
	node->size = (size_t)size;
	return RCO_OK;
}

static int give_fd(mem *m, int node, int *fd)
{
	int i;

	for (i = 0; i < MEM_FDS && m->fd[i] != 0; i++)
		;
	FUZZ_CHECK(i < MEM_FDS);
	m->fd[i] = node + 1;
	m->node[node].opened++;
	*fd = i;
	return RCO_OK;
}

static mem_node *node_of(mem *m, int fd)
{
	FUZZ_CHECK(fd >= 0 && fd < MEM_FDS && m->fd[fd] != 0); /* or it was closed, or never opened */
	return &m->node[m->fd[fd] - 1];
}

static int mem_open(void *ctx, const char *path, int how, int *fd)
{
	mem *m = ctx;
	int i;

	*fd = -1;
	if (strlen(path) >= MEM_PATH)
		return rco__fail(RCO_E_LIMIT, "the path is too long");
	i = find(m, path);
	if (i < 0 && how != RCO__FS_READ && how != RCO__FS_WRITE) {
		changes(m, path);
		if (has_parent(m, path))
			i = make(m, path, RCO__FS_FILE);
	} else if (i >= 0 && how == RCO__FS_CREATE_NEW) {
		return rco__fail(RCO_E_STATE, "%s is there", path);
	}
	if (i < 0)
		return rco__fail(RCO_E_NOT_FOUND, "%s is not there", path);
	if (m->node[i].kind != RCO__FS_FILE)
		return rco__fail(RCO_E_IO, "%s is a folder", path);
	if (how != RCO__FS_READ)
		changes(m, path);
	if (how == RCO__FS_CREATE_TRUNCATE)
		m->node[i].size = 0;
	return give_fd(m, i, fd);
}

static int mem_close(void *ctx, int fd)
{
	mem *m = ctx;
	mem_node *node = node_of(m, fd);

	m->fd[fd] = 0;
	node->opened--;
	if (node->opened == 0 && node->path[0] == '\0')
		drop(node);
	return RCO_OK;
}

static int mem_read(void *ctx, int fd, void *buf, size_t size, uint64_t offset, size_t *got)
{
	const mem_node *node = node_of(ctx, fd);

	*got = 0;
	if (offset >= node->size)
		return RCO_OK;
	*got = size < node->size - (size_t)offset ? size : node->size - (size_t)offset;
	memcpy(buf, node->data + offset, *got);
	return RCO_OK;
}

static int mem_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	mem_node *node = node_of(ctx, fd);
	int rc = RCO_OK;

	if (offset > MEM_FILE_MAX || size > MEM_FILE_MAX - offset)
		return rco__fail(RCO_E_NO_SPACE, "no file is longer than %d bytes here", MEM_FILE_MAX);
	if (offset + size > node->size)
		rc = resize(node, offset + size);
	if (rc == RCO_OK && size > 0)
		memcpy(node->data + offset, buf, size);
	return rc;
}

static int mem_sync(void *ctx, int fd)
{
	(void)node_of(ctx, fd);
	return RCO_OK;
}

static int mem_sync_dir(void *ctx, const char *path)
{
	int i = find(ctx, path);

	return i >= 0 ? RCO_OK : rco__fail(RCO_E_NOT_FOUND, "%s is not there", path);
}

static int mem_size(void *ctx, int fd, uint64_t *size)
{
	*size = node_of(ctx, fd)->size;
	return RCO_OK;
}

static int mem_truncate(void *ctx, int fd, uint64_t size)
{
	return resize(node_of(ctx, fd), size);
}

static int mem_reserve(void *ctx, int fd, uint64_t offset, uint64_t size)
{
	mem_node *node = node_of(ctx, fd);

	if (size > MEM_FILE_MAX || offset > MEM_FILE_MAX)
		return rco__fail(RCO_E_NO_SPACE, "no file is longer than %d bytes here", MEM_FILE_MAX);
	return offset + size > node->size ? resize(node, offset + size) : RCO_OK;
}

static int mem_rename(void *ctx, const char *from, const char *to)
{
	mem *m = ctx;
	int i = find(m, from), j = find(m, to);

	changes(m, to);
	if (i < 0 || !has_parent(m, to))
		return rco__fail(RCO_E_NOT_FOUND, "%s is not there", from);
	FUZZ_CHECK(strlen(to) < MEM_PATH);
	if (j >= 0 && j != i)
		drop(&m->node[j]);
	(void)snprintf(m->node[i].path, MEM_PATH, "%s", to);
	return RCO_OK;
}

static int mem_unlink(void *ctx, const char *path)
{
	mem *m = ctx;
	int i = find(m, path);

	changes(m, path);
	if (i < 0)
		return rco__fail(RCO_E_NOT_FOUND, "%s is not there", path);
	drop(&m->node[i]);
	return RCO_OK;
}

static int mem_exists(void *ctx, const char *path, int *yes, uint64_t *size)
{
	const mem *m = ctx;
	int i = find(m, path);

	*yes = i >= 0 ? m->node[i].kind : RCO__FS_NONE;
	if (size != NULL)
		*size = i >= 0 ? m->node[i].size : 0;
	return RCO_OK;
}

static int mem_mkdir(void *ctx, const char *path)
{
	mem *m = ctx;
	int i = find(m, path);

	if (i >= 0)
		return m->node[i].kind == RCO__FS_FOLDER ? RCO_OK : rco__fail(RCO_E_STATE, "%s is a file", path);
	changes(m, path);
	if (!has_parent(m, path))
		return rco__fail(RCO_E_NOT_FOUND, "%s has no folder to be in", path);
	(void)make(m, path, RCO__FS_FOLDER);
	return RCO_OK;
}

/* As opendir() and readdir() may, it does not mind what fn does to the folder. */
static int mem_list(void *ctx, const char *path, rco__fs_name_fn fn, void *user_data)
{
	const mem *m = ctx;
	size_t n = strlen(path);
	char name[MEM_PATH];
	int i, stop = 0;

	if (find(m, path) < 0)
		return rco__fail(RCO_E_NOT_FOUND, "%s is not there", path);
	for (i = 0; i < MEM_NODES && !stop; i++) {
		const mem_node *node = &m->node[i];

		if (node->kind == 0 || strncmp(node->path, path, n) != 0 || node->path[n] != '/' ||
		    node->path[n + 1] == '\0' || strchr(node->path + n + 1, '/') != NULL)
			continue;
		(void)snprintf(name, sizeof name, "%s", node->path + n + 1);
		stop = fn(name, user_data);
	}
	return RCO_OK;
}

static int mem_lock(void *ctx, const char *path, int *fd)
{
	return mem_open(ctx, path, RCO__FS_CREATE, fd);
}

static int mem_resolve(void *ctx, const char *path, int kind, char *out, size_t size)
{
	int n = snprintf(out, size, "%s", path);

	(void)ctx, (void)kind;
	return n >= 0 && (size_t)n < size ? RCO_OK : rco__fail(RCO_E_LIMIT, "the path %s is too long", path);
}

static const rco__fs table = {
	.open = mem_open,
	.close = mem_close,
	.read = mem_read,
	.write = mem_write,
	.sync = mem_sync,
	.sync_dir = mem_sync_dir,
	.size = mem_size,
	.truncate = mem_truncate,
	.reserve = mem_reserve,
	.rename = mem_rename,
	.unlink = mem_unlink,
	.exists = mem_exists,
	.mkdir = mem_mkdir,
	.list = mem_list,
	.lock = mem_lock,
	.resolve = mem_resolve,
};

/* ---- from outside ---- */

mem *mem_new(void)
{
	mem *m = calloc(1, sizeof *m);

	FUZZ_CHECK(m != NULL);
	m->table = table;
	m->table.ctx = m;
	(void)make(m, "/", RCO__FS_FOLDER);
	return m;
}

mem *mem_copy(const mem *from)
{
	mem *m = mem_new();
	int i;

	m->only = from->only;
	for (i = 0; i < MEM_NODES; i++) {
		const mem_node *node = &from->node[i];

		memset(&m->node[i], 0, sizeof m->node[i]);
		if (node->kind == 0 || node->path[0] == '\0')
			continue;
		m->node[i] = *node;
		m->node[i].opened = 0;
		if (node->kind != RCO__FS_FILE)
			continue;
		m->node[i].cap = node->size > 0 ? node->size : 1;
		m->node[i].data = malloc(m->node[i].cap);
		FUZZ_CHECK(m->node[i].data != NULL);
		if (node->size > 0)
			memcpy(m->node[i].data, node->data, node->size);
	}
	return m;
}

void mem_free(mem *m)
{
	int i;

	for (i = 0; m != NULL && i < MEM_NODES; i++)
		free(m->node[i].data);
	free(m);
}

uint8_t *mem_file(const mem *m, const char *path, size_t *size)
{
	int i = find(m, path);

	*size = i >= 0 ? m->node[i].size : 0;
	return i >= 0 ? m->node[i].data : NULL;
}

void mem_put(mem *m, const char *path, const void *data, size_t size)
{
	int i = find(m, path);

	if (i < 0)
		i = make(m, path, RCO__FS_FILE);
	m->node[i].size = 0;
	FUZZ_CHECK(resize(&m->node[i], size) == RCO_OK);
	if (size > 0)
		memcpy(m->node[i].data, data, size);
}

size_t mem_count(const mem *m, const char *end, const char **path)
{
	size_t n = 0, e = strlen(end);
	int i;

	for (i = 0; i < MEM_NODES; i++) {
		const char *p = m->node[i].path;

		if (m->node[i].kind != RCO__FS_FILE || strlen(p) < e || strcmp(p + strlen(p) - e, end) != 0)
			continue;
		if (path != NULL)
			*path = p;
		n++;
	}
	return n;
}

size_t mem_holds(const mem *m, const void *bytes, size_t size)
{
	size_t n = 0;
	int i;

	for (i = 0; i < MEM_NODES; i++)
		if (m->node[i].kind == RCO__FS_FILE && m->node[i].size >= size &&
		    memmem(m->node[i].data, m->node[i].size, bytes, size) != NULL)
			n++;
	return n;
}

static int64_t now(void *user_data)
{
	return *(int64_t *)user_data;
}

rco_clock mem_clock(int64_t *now_us)
{
	rco_clock clock = {(uint32_t)sizeof clock, 0, now, now, now_us, NULL};

	return clock;
}

void mem_env(mem *m, int64_t *now_us, rco__env *env)
{
	rco_clock clock = mem_clock(now_us);

	FUZZ_CHECK(rco__env_init(env, NULL, &clock, NULL, NULL) == RCO_OK);
	env->fs = &m->table;
}
