/* SPDX-License-Identifier: MIT */
/* zstd -1 of plain PCM: a stream per leg, which is what one writes without thinking of ten thousand calls. */
#include "bench.h"
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

typedef struct packer {
	ZSTD_CCtx *context;
	FILE *file;
} packer;

static void *open_leg(const char *path, uint32_t rate_hz)
{
	packer *p = calloc(1, sizeof *p);

	(void)rate_hz;
	if (p == NULL)
		b_die("zstd: no memory");
	p->file = fopen(path, "wb");
	p->context = ZSTD_createCCtx();
	if (p->file == NULL || p->context == NULL ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(p->context, ZSTD_c_compressionLevel, 1)))
		b_die("zstd: %s cannot be begun", path);
	return p;
}

static void pack(const packer *p, const void *data, size_t size, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = {data, size, 0};
	char room[16384];
	size_t left;

	do {
		ZSTD_outBuffer out = {room, sizeof room, 0};

		left = ZSTD_compressStream2(p->context, &out, &in, how);
		if (ZSTD_isError(left))
			b_die("zstd: %s", ZSTD_getErrorName(left));
		if (fwrite(room, 1, out.pos, p->file) != out.pos)
			b_die("zstd: a file could not be written");
	} while (how == ZSTD_e_continue ? in.pos < in.size : left > 0);
}

static void write_leg(void *leg, const int16_t *samples, size_t count)
{
	pack(leg, samples, count * sizeof *samples, ZSTD_e_continue);
}

static void close_leg(void *leg)
{
	packer *p = leg;

	pack(p, NULL, 0, ZSTD_e_end);
	(void)ZSTD_freeCCtx(p->context);
	if (fclose(p->file) != 0)
		b_die("zstd: a file could not be closed");
	free(p);
}

const b_file_peer b_peer_zstd = {"zstd -1 stream", NULL, 1, open_leg, write_leg, close_leg};
