/* SPDX-License-Identifier: MIT */
#include "secmem.h"

#include "error.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>

/* A slab is small against the usual limit of locked memory (64 KiB on old systems), and has 512 cells. */
enum { CELL = 32, SLAB_BYTES = 16384, CELLS = SLAB_BYTES / CELL };

/* What is free is kept here, in ordinary memory: in the locked pages there are secrets and zeros, nothing else. */
struct slab {
	struct slab *next;
	uint8_t *cells;
	uint32_t free_count;
	uint16_t free_list[CELLS]; /* a stack of the numbers of free cells */
	uint8_t used[CELLS];
};

struct rco__secmem {
	rco__env env;
	pthread_mutex_t lock; /* guards everything below */
	struct slab *slabs;
	int warned;
};

int rco__secmem_create(const rco__env *env, rco__secmem **out)
{
	rco__secmem *mem;
	int err;

	*out = NULL;
	/* Every room that uses libsodium holds its secrets here, so this is where it is set up; it may be called
	 * often. */
	if (sodium_init() < 0)
		return rco__fail(RCO_E_INTERNAL, "libsodium cannot start: the system gives no random numbers");
	mem = rco__zalloc(env, 1, sizeof *mem);
	if (mem == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the table of locked memory");
	mem->env = *env;
	err = pthread_mutex_init(&mem->lock, NULL);
	if (err != 0) {
		rco__release(env, mem);
		return rco__fail_errno(err, "cannot make a mutex");
	}
	*out = mem;
	return RCO_OK;
}

/* An errno if a protection could not be had; the memory is used all the same. */
static int protect(void *pages)
{
	int err = 0;

	if (mlock(pages, SLAB_BYTES) != 0)
		err = errno;
#ifdef MADV_DONTDUMP
	if (madvise(pages, SLAB_BYTES, MADV_DONTDUMP) != 0 && err == 0)
		err = errno;
#endif
#ifdef MADV_WIPEONFORK
	if (madvise(pages, SLAB_BYTES, MADV_WIPEONFORK) != 0 && err == 0)
		err = errno;
#endif
	return err;
}

static struct slab *slab_new(rco__secmem *mem, int *unprotected)
{
	struct slab *slab = rco__zalloc(&mem->env, 1, sizeof *slab);
	void *pages;
	uint16_t i;

	if (slab == NULL)
		return NULL;
	pages = mmap(NULL, SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED) {
		rco__release(&mem->env, slab);
		return NULL;
	}
	*unprotected = protect(pages);
	slab->cells = pages;
	slab->free_count = CELLS;
	for (i = 0; i < CELLS; i++)
		slab->free_list[i] = (uint16_t)(CELLS - 1 - i); /* the lowest is on top */
	slab->next = mem->slabs;
	mem->slabs = slab;
	return slab;
}

static uint8_t *slab_take(struct slab *slab)
{
	uint16_t i = slab->free_list[--slab->free_count];

	slab->used[i] = 1;
	return slab->cells + (size_t)i * CELL;
}

uint8_t *rco__secmem_get(rco__secmem *mem)
{
	struct slab *slab;
	uint8_t *cell = NULL;
	int unprotected = 0, warn = 0;

	(void)pthread_mutex_lock(&mem->lock);
	for (slab = mem->slabs; slab != NULL && slab->free_count == 0; slab = slab->next)
		;
	if (slab == NULL)
		slab = slab_new(mem, &unprotected);
	if (slab != NULL)
		cell = slab_take(slab);
	if (unprotected != 0 && !mem->warned)
		warn = mem->warned = 1;
	(void)pthread_mutex_unlock(&mem->lock);
	/* After the lock: the host's log function may take its time. */
	if (warn)
		rco__log(&mem->env, RCO_LOG_WARN,
		         "keys may reach swap or a core dump: memory cannot be locked (%s); raise the limit of "
		         "locked "
		         "memory (RLIMIT_MEMLOCK)",
		         strerror(unprotected));
	if (cell == NULL)
		(void)rco__fail(RCO_E_NO_MEMORY, "no memory for a key");
	return cell;
}

/* 1 if it was a cell in use. */
static int slab_give(struct slab *slab, uint8_t *cell)
{
	size_t offset = (size_t)((uintptr_t)cell - (uintptr_t)slab->cells);
	uint16_t i = (uint16_t)(offset / CELL);

	if (offset % CELL != 0 || !slab->used[i])
		return 0;
	sodium_memzero(cell, CELL);
	slab->used[i] = 0;
	slab->free_list[slab->free_count++] = i;
	return 1;
}

void rco__secmem_put(rco__secmem *mem, uint8_t *cell)
{
	struct slab *slab;
	int ok = 0;

	if (cell == NULL)
		return;
	(void)pthread_mutex_lock(&mem->lock);
	for (slab = mem->slabs; slab != NULL; slab = slab->next)
		if ((uintptr_t)cell - (uintptr_t)slab->cells < SLAB_BYTES)
			break;
	if (slab != NULL)
		ok = slab_give(slab, cell);
	(void)pthread_mutex_unlock(&mem->lock);
	if (!ok)
		rco__log(&mem->env, RCO_LOG_ERROR, "defect: a cell was given back twice, or is not one; ignored");
}

void rco__secmem_free(rco__secmem *mem)
{
	struct slab *slab, *next;
	rco__env env;

	if (mem == NULL)
		return;
	for (slab = mem->slabs; slab != NULL; slab = next) {
		next = slab->next;
		sodium_memzero(slab->cells, SLAB_BYTES);
		(void)munmap(slab->cells, SLAB_BYTES); /* unlocks it too; cannot fail for a mapping of ours */
		rco__release(&mem->env, slab);
	}
	(void)pthread_mutex_destroy(&mem->lock);
	env = mem->env;
	rco__release(&env, mem);
}
