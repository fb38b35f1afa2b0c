/* SPDX-License-Identifier: MIT */
/*
 * The system calls that the library makes beside its table of file operations, in the program's own hands: each is
 * counted, and the n-th fails. To be included once, by a program; what the world does itself is left alone. Not
 * under sanitizers, which have wrappers of their own. Not mprotect() either: only libsodium makes it, and cannot
 * take that the way back fails.
 */
#ifndef TESTS_FAULT_CALLS_H
#define TESTS_FAULT_CALLS_H

#include "nth.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_SHOWN __attribute__((visibility("default")))

static struct {
	_Atomic uint64_t count, at[W_FAULTS];
	_Atomic int struck[W_FAULTS];
} n_system;

static void n_system_arm(int which, uint64_t nth)
{
	if (which == 0)
		n_system.count = 0;
	n_system.at[which] = nth;
	n_system.struck[which] = 0;
}

static int n_system_struck(int which)
{
	return n_system.struck[which];
}

static uint64_t n_system_count(void)
{
	return n_system.count;
}

static const n_calls n_system_calls = {n_system_arm, n_system_struck, n_system_count};

/* Does this call fail? With nothing armed none is counted either. */
static int n_fails(int error)
{
	uint64_t n;
	int i, fails = 0;

	if (w_own_calls > 0 || (n_system.at[0] == 0 && n_system.at[1] == 0))
		return 0;
	n = ++n_system.count;
	for (i = 0; i < W_FAULTS; i++)
		if (n_system.at[i] == n) {
			n_system.struck[i] = 1;
			fails = 1;
		}
	if (fails)
		errno = error;
	return fails;
}

/* The real one; a function's address in an object's pointer, as POSIX wants it. */
#define N_REAL(name)                                                                                              \
	static __typeof__(&name) real;                                                                            \
	if (real == NULL)                                                                                         \
	*(void **)&real = dlsym(RTLD_NEXT, #name)

N_SHOWN void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	N_REAL(mmap);
	return n_fails(ENOMEM) ? MAP_FAILED : real(address, size, protection, flags, fd, offset);
}

#ifdef __GLIBC__
/* What libraries call that were built with small offsets. Elsewhere there are no others than large ones. */
void *n_mmap(void *address, size_t size, int protection, int flags, int fd, long offset) __asm__("mmap");
N_SHOWN void *n_mmap(void *address, size_t size, int protection, int flags, int fd, long offset)
{
	return mmap(address, size, protection, flags, fd, offset);
}
#endif

N_SHOWN int open(const char *path, int flags, ...)
{
	N_REAL(open);
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	return n_fails(EMFILE) ? -1 : real(path, flags, mode);
}

N_SHOWN int posix_fallocate(int fd, off_t offset, off_t size)
{
	N_REAL(posix_fallocate);
	return n_fails(0) ? ENOSPC : real(fd, offset, size);
}

N_SHOWN int mlock(const void *address, size_t size)
{
	N_REAL(mlock);
	return n_fails(ENOMEM) ? -1 : real(address, size);
}

N_SHOWN int mlock2(const void *address, size_t size, unsigned int flags)
{
	N_REAL(mlock2);
	return n_fails(ENOMEM) ? -1 : real(address, size, flags);
}

N_SHOWN int madvise(void *address, size_t size, int advice)
{
	N_REAL(madvise);
	return n_fails(EINVAL) ? -1 : real(address, size, advice);
}

N_SHOWN int eventfd(unsigned int count, int flags)
{
	N_REAL(eventfd);
	return n_fails(EMFILE) ? -1 : real(count, flags);
}

N_SHOWN int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	N_REAL(poll);
	return n_fails(EINTR) ? -1 : real(fds, n, timeout);
}

N_SHOWN ssize_t read(int fd, void *buf, size_t size)
{
	N_REAL(read);
	return n_fails(EINTR) ? -1 : real(fd, buf, size);
}

N_SHOWN ssize_t write(int fd, const void *buf, size_t size)
{
	N_REAL(write);
	return n_fails(EINTR) ? -1 : real(fd, buf, size);
}

N_SHOWN ssize_t pread(int fd, void *buf, size_t size, off_t offset)
{
	N_REAL(pread);
	return n_fails(EIO) ? -1 : real(fd, buf, size, offset);
}

N_SHOWN int fstat(int fd, struct stat *st)
{
	N_REAL(fstat);
	return n_fails(EIO) ? -1 : real(fd, st);
}

N_SHOWN int rename(const char *from, const char *to)
{
	N_REAL(rename);
	return n_fails(EACCES) ? -1 : real(from, to);
}

N_SHOWN int unlink(const char *path)
{
	N_REAL(unlink);
	return n_fails(EACCES) ? -1 : real(path);
}

N_SHOWN int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
	N_REAL(pthread_create);
	return n_fails(0) ? EAGAIN : real(thread, attributes, run, arg);
}

#endif
