/* SPDX-License-Identifier: MIT */
/* Folders, files, noise, and a file system that fails on demand. */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void t_join(char *out, size_t size, const char *dir, const char *name)
{
	int n = snprintf(out, size, "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= size)
		abort();
}

const char *t_shm(void)
{
	const char *instead = getenv("T_SHM");

	return instead != NULL && instead[0] != '\0' ? instead : "/dev/shm";
}

void t_tempdir(const char *under, char *out, size_t size)
{
	const char *base = under != NULL ? under : getenv("TMPDIR");

	t_join(out, size, base != NULL && base[0] != '\0' ? base : "/tmp", "rco-test-XXXXXX");
	assert_non_null(mkdtemp(out));
}

typedef void (*entry_fn)(const char *path, int is_folder, void *user_data);

static void walk(const char *path, entry_fn fn, void *user_data)
{
	char child[1024];
	struct dirent *e;
	struct stat st;
	DIR *d = opendir(path);

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		t_join(child, sizeof child, path, e->d_name);
		if (lstat(child, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			walk(child, fn, user_data);
		fn(child, S_ISDIR(st.st_mode), user_data);
	}
	(void)closedir(d);
}

static void remove_entry(const char *path, int is_folder, void *user_data)
{
	(void)user_data;
	if (is_folder)
		(void)rmdir(path);
	else
		(void)unlink(path);
}

void t_rmtree(const char *path)
{
	walk(path, remove_entry, NULL);
	(void)rmdir(path);
}

void t_write_file(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600); /* as the library's own */
	FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

int t_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

uint8_t *t_read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	long end;

	if (f == NULL)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0 && (end = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0) {
		*size = (size_t)end;
		data = malloc(*size + 1);
		if (data != NULL) {
			*size = fread(data, 1, *size, f);
			data[*size] = 0;
		}
	}
	(void)fclose(f);
	return data;
}

struct each {
	void (*fn)(const char *file, void *user_data);
	void *user_data;
};

static void each_entry(const char *path, int is_folder, void *user_data)
{
	struct each *e = user_data;

	if (!is_folder)
		e->fn(path, e->user_data);
}

void t_tree_each(const char *path, void (*fn)(const char *file, void *user_data), void *user_data)
{
	struct each e = {fn, user_data};

	walk(path, each_entry, &e);
}

struct holds {
	const void *marker;
	size_t size, n;
};

static void holds_file(const char *path, void *user_data)
{
	struct holds *h = user_data;
	size_t size = 0;
	uint8_t *data;

	if (h->size == 0) {
		h->n++;
		return;
	}
	data = t_read_file(path, &size);
	if (data != NULL && memmem(data, size, h->marker, h->size) != NULL)
		h->n++;
	free(data);
}

size_t t_tree_holds(const char *path, const void *marker, size_t size)
{
	struct holds h = {marker, size, 0};

	t_tree_each(path, holds_file, &h);
	return h.n;
}

/* ---- audio ---- */

/* splitmix64 of a position: any piece of the noise can be made without the pieces before it. */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

void t_stored_order(void *samples, size_t size, uint32_t sample_bytes)
{
	uint8_t *p = samples;
	size_t i;

	for (i = 0; sample_bytes == 2 && i + 1 < size; i += 2) {
		uint16_t sample;

		memcpy(&sample, p + i, 2);
		p[i] = (uint8_t)sample;
		p[i + 1] = (uint8_t)(sample >> 8);
	}
}

void t_noise(uint64_t seed, uint64_t pos, void *out, size_t size)
{
	uint8_t *p = out;
	uint64_t base = mix(seed * 2 + 1), word = 0;
	size_t i;

	for (i = 0; i < size; i++) {
		uint64_t at = pos + i;

		if (i == 0 || at % 8 == 0)
			word = mix(base ^ (at / 8));
		p[i] = (uint8_t)(word >> (at % 8 * 8));
	}
}

int t_is_noise(uint64_t seed, const void *data, size_t size)
{
	const uint8_t *p = data;
	uint8_t want[4096];
	size_t at, n;

	for (at = 0; at < size; at += n) {
		n = size - at < sizeof want ? size - at : sizeof want;
		t_noise(seed, at, want, n);
		if (memcmp(p + at, want, n) != 0)
			return 0;
	}
	return 1;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

const uint8_t *t_wav_samples(const uint8_t *file, size_t size, size_t *samples_bytes)
{
	size_t at = 12;

	if (size < 12 || memcmp(file, "RIFF", 4) != 0 || memcmp(file + 8, "WAVE", 4) != 0)
		return NULL;
	while (size - at >= 8) {
		size_t n = get32(file + at + 4);

		if (n > size - at - 8)
			return NULL;
		if (memcmp(file + at, "data", 4) == 0) {
			*samples_bytes = n;
			return file + at + 8;
		}
		at += 8 + n + n % 2;
		if (at > size)
			return NULL;
	}
	return NULL;
}
