/* SPDX-License-Identifier: MIT */
/* What of a ledger's files is durable before the next step: a rename, the next file, an answer. */
#include "../support_ledger.h"

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <semaphore.h>

enum { FDS = 1024 };

/* In front of the file system: which files were written to since they were last synced. */
static struct watch {
	rco__fs below;
	char path[FDS][L_PATH];
	int dirty[FDS], synced[FDS];
	int closed_dirty, renamed_dirty;
	_Atomic int stall; /* the next write tells and waits */
	sem_t inside, go;
} watch;

static int w_open(void *ctx, const char *path, int how, int *fd)
{
	int rc = watch.below.open(ctx, path, how, fd);

	if (rc == RCO_OK) {
		assert_true(*fd < FDS);
		(void)snprintf(watch.path[*fd], L_PATH, "%s", path);
		watch.dirty[*fd] = watch.synced[*fd] = 0;
	}
	return rc;
}

static int w_close(void *ctx, int fd)
{
	watch.closed_dirty += watch.dirty[fd];
	watch.path[fd][0] = '\0';
	watch.dirty[fd] = 0;
	return watch.below.close(ctx, fd);
}

static int w_write(void *ctx, int fd, const void *buf, size_t size, uint64_t offset)
{
	if (atomic_exchange(&watch.stall, 0) != 0) {
		(void)sem_post(&watch.inside);
		while (sem_wait(&watch.go) != 0)
			;
	}
	watch.dirty[fd] = 1;
	return watch.below.write(ctx, fd, buf, size, offset);
}

static int w_sync(void *ctx, int fd)
{
	int rc = watch.below.sync(ctx, fd);

	if (rc == RCO_OK) {
		watch.dirty[fd] = 0;
		watch.synced[fd]++;
	}
	return rc;
}

static int w_rename(void *ctx, const char *from, const char *to)
{
	int fd;

	for (fd = 0; fd < FDS; fd++)
		if (strcmp(watch.path[fd], from) == 0)
			watch.renamed_dirty += watch.dirty[fd];
	return watch.below.rename(ctx, from, to);
}

static int setup(void **state)
{
	static l_world w;

	l_world_init(&w);
	w.fs.skip_sync = 1;
	memset(&watch, 0, sizeof watch);
	watch.below = w.fs.disk.table;
	w.fs.disk.table.open = w_open;
	w.fs.disk.table.close = w_close;
	w.fs.disk.table.write = w_write;
	w.fs.disk.table.sync = w_sync;
	w.fs.disk.table.rename = w_rename;
	if (sem_init(&watch.inside, 0, 0) != 0 || sem_init(&watch.go, 0, 0) != 0)
		return 1;
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	l_world_destroy(*state);
	(void)sem_destroy(&watch.inside);
	(void)sem_destroy(&watch.go);
	return 0;
}

/* A commit of more than one file: "durable" is said of the entries in all of them. */
static void a_file_is_durable_before_the_next(void **state)
{
	l_world *w = *state;
	uint64_t number, lsn = 0;
	uint32_t i;

	l_world_open(w);
	number = w->ledger->number;
	for (i = 0; i < 200; i++)
		lsn = l_append(w, i, i, RCO__LEDGER_FILE_MIN / 2, 0);
	assert_int_equal(rco__ledger_sync(w->ledger, lsn), RCO_OK);
	assert_true(w->ledger->number > number + 1);
	assert_int_equal(watch.closed_dirty, 0);
	assert_int_equal(watch.dirty[w->ledger->fd], 0);
}

/* A file has its name only when its header is there to stay. */
static void a_header_is_durable_before_the_name(void **state)
{
	l_world *w = *state;

	l_world_open(w);
	assert_true(w->ledger->fd >= 0);
	assert_int_equal(watch.renamed_dirty, 0);
}

/* Entries that a process read may have been in the page cache only: they are written and synced before anybody
 * acts on them. */
static void what_was_found_is_made_durable(void **state)
{
	l_world *w = *state;

	l_world_open(w);
	(void)l_append(w, 1, 1, 8, 0);
	assert_int_equal(rco__ledger_write(w->ledger), RCO_OK);
	assert_int_equal(watch.dirty[w->ledger->fd], 1);
	l_world_close(w);
	l_world_open(w);
	assert_int_equal(w->seen_count, 1);
	assert_int_equal(watch.dirty[w->ledger->fd], 0);
	assert_int_equal(watch.synced[w->ledger->fd], 1);
}

static void *only_write(void *arg)
{
	l_world *w = arg;

	assert_int_equal(rco__ledger_write(w->ledger), RCO_OK);
	return NULL;
}

static void *wait_until_durable(void *arg)
{
	l_world *w = arg;

	return rco__ledger_sync(w->ledger, 1) == RCO_OK ? w : NULL;
}

static int somebody_waits(l_world *w)
{
	int yes;

	pthread_mutex_lock(&w->ledger->mutex);
	yes = w->ledger->waiters != NULL;
	pthread_mutex_unlock(&w->ledger->mutex);
	return yes;
}

/* Who waits for a group that is only written has not failed: it leads the next, which is synced. */
static void written_is_no_answer(void **state)
{
	pthread_t writer, waiter;
	l_world *w = *state;
	void *durable;

	l_world_open(w);
	assert_int_equal(l_append(w, 1, 1, 8, 0), 1);
	atomic_store(&watch.stall, 1);
	assert_int_equal(pthread_create(&writer, NULL, only_write, w), 0);
	while (sem_wait(&watch.inside) != 0)
		;
	assert_int_equal(pthread_create(&waiter, NULL, wait_until_durable, w), 0);
	while (!somebody_waits(w))
		(void)sched_yield();
	(void)sem_post(&watch.go);
	assert_int_equal(pthread_join(writer, NULL), 0);
	assert_int_equal(pthread_join(waiter, &durable), 0);
	assert_non_null(durable);
	assert_int_equal(rco__ledger_durable(w->ledger), 1);
	assert_int_equal(watch.dirty[w->ledger->fd], 0);
}

static _Atomic int interruptions; /* of waiting for another thread's commit */

int sem_wait(sem_t *sem)
{
	int (*real)(sem_t *);
	void *found = dlsym(RTLD_NEXT, "sem_wait");

	if (atomic_load(&interruptions) > 0) {
		atomic_fetch_sub(&interruptions, 1);
		errno = EINTR;
		return -1;
	}
	memcpy(&real, &found, sizeof real);
	return real(sem);
}

static void *sync_first(void *arg)
{
	return (void *)(intptr_t)rco__ledger_sync(((l_world *)arg)->ledger, 1);
}

static void *sync_second(void *arg)
{
	return (void *)(intptr_t)rco__ledger_sync(((l_world *)arg)->ledger, 2);
}

/* A signal handler of the host's that interrupts the wait does not end it: "durable" would be said too early. */
static void a_signal_does_not_end_a_wait(void **state)
{
	l_world *w = *state;
	pthread_t first, second;
	void *rc;

	l_world_open(w);
	(void)l_append(w, 1, 1, 4, 0);
	l_fs_hold(&w->fs, 1);
	assert_int_equal(pthread_create(&first, NULL, sync_first, w), 0);
	l_fs_wait_held(&w->fs);
	(void)l_append(w, 2, 2, 4, 0);
	atomic_store(&interruptions, 5);
	assert_int_equal(pthread_create(&second, NULL, sync_second, w), 0);
	while (!somebody_waits(w) || atomic_load(&interruptions) > 0)
		(void)sched_yield();
	assert_int_equal(rco__ledger_durable(w->ledger), 0);
	l_fs_let_go(&w->fs);
	pthread_join(second, &rc);
	assert_int_equal((intptr_t)rc, RCO_OK);
	assert_true(rco__ledger_durable(w->ledger) >= 2);
	pthread_join(first, &rc);
	assert_int_equal((intptr_t)rc, RCO_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_is_durable_before_the_next, setup, teardown),
		cmocka_unit_test_setup_teardown(a_header_is_durable_before_the_name, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_found_is_made_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(written_is_no_answer, setup, teardown),
		L_TEST(a_signal_does_not_end_a_wait),
	};

	return cmocka_run_group_tests_name("order of a ledger", tests, NULL, NULL);
}
