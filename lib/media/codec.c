/* SPDX-License-Identifier: MIT */
#include "zstd_memory.h"

#include "codec.h"

#include "../base/error.h"
#include "format.h"
#include "wav.h"

#include <stddef.h>
#include <string.h>

/*
 * Telephone audio has few long repetitions: a small window and hash table cost
 * about nothing in size, and keep a worker's codec near 200 KiB for any chunk.
 */
enum { LEVEL = 1, WINDOW_LOG = 15, HASH_LOG = 13 };

static const int host_is_little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

struct rco__codec {
	rco__env env;
	ZSTD_CCtx *cctx;  /* made at the first encode: who only reads does not pay for it */
	ZSTD_DCtx *dctx;  /* made at the first decode */
	uint8_t *scratch; /* a chunk in file order, on big-endian hosts only */
	size_t scratch_size;
};

int rco__codec_create(const rco__env *env, rco__codec **out)
{
	rco__codec *codec = rco__zalloc(env, 1, sizeof *codec);

	*out = codec;
	if (codec == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a codec");
	codec->env = *env;
	return RCO_OK;
}

static void scratch_free(rco__codec *codec)
{
	if (codec->scratch == NULL)
		return;
	rco_memzero(codec->scratch, codec->scratch_size);
	rco__release(&codec->env, codec->scratch);
	codec->scratch = NULL;
	codec->scratch_size = 0;
}

void rco__codec_free(rco__codec *codec)
{
	rco__env env;

	if (codec == NULL)
		return;
	(void)ZSTD_freeCCtx(codec->cctx); /* both ignore NULL; a context that is not in use is always freed */
	(void)ZSTD_freeDCtx(codec->dctx);
	scratch_free(codec);
	env = codec->env;
	rco__release(&env, codec);
}

size_t rco__codec_bound(size_t size)
{
	size_t bound = ZSTD_compressBound(size);

	/* An absurd size makes compressBound answer an error, which is a number. */
	return ZSTD_isError(bound) || bound < size ? size : bound;
}

static int set_up_cctx(ZSTD_CCtx *cctx)
{
	static const struct {
		ZSTD_cParameter name;
		int value;
	} parameters[] = {{ZSTD_c_compressionLevel, LEVEL}, {ZSTD_c_windowLog, WINDOW_LOG},
	                  {ZSTD_c_hashLog, HASH_LOG},       {ZSTD_c_contentSizeFlag, 1},
	                  {ZSTD_c_checksumFlag, 0},         {ZSTD_c_dictIDFlag, 0}};
	size_t i, rc;

	for (i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
		rc = ZSTD_CCtx_setParameter(cctx, parameters[i].name, parameters[i].value);
		if (ZSTD_isError(rc))
			return rco__fail(RCO_E_INTERNAL, "zstd refuses a parameter: %s", ZSTD_getErrorName(rc));
	}
	return RCO_OK;
}

static int need_cctx(rco__codec *codec)
{
	int rc;

	if (codec->cctx != NULL)
		return RCO_OK;
	codec->cctx = ZSTD_createCCtx_advanced(rco__zstd_memory(&codec->env));
	if (codec->cctx == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for zstd");
	rc = set_up_cctx(codec->cctx);
	if (rc != RCO_OK) {
		(void)ZSTD_freeCCtx(codec->cctx);
		codec->cctx = NULL;
	}
	return rc;
}

/* The chunk in file order: itself, or a swapped copy on a big-endian host. */
static int in_file_order(rco__codec *codec, const rco__format *f, uint32_t format, const void *data, size_t size,
                         const void **out)
{
	*out = data;
	if (host_is_little || f->sample_bytes == 1)
		return RCO_OK;
	if (codec->scratch_size < size) {
		scratch_free(codec);
		codec->scratch = rco__alloc(&codec->env, size);
		if (codec->scratch == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for a chunk of %zu bytes", size);
		codec->scratch_size = size;
	}
	memcpy(codec->scratch, data, size);
	rco__wav_swap(format, codec->scratch, size);
	*out = codec->scratch;
	return RCO_OK;
}

static int check_encode(const rco__format *f, const void *data, size_t size, const void *out, size_t cap)
{
	if (f == NULL)
		return rco__fail(RCO_E_FORMAT, "unknown audio format");
	if (data == NULL || out == NULL || size == 0 || size > RCO__CHUNK_MAX)
		return rco__fail(RCO_E_INVALID, "a chunk of %zu bytes; 1 to %d are possible", size,
		                 RCO__CHUNK_MAX);
	if (size % f->sample_bytes != 0)
		return rco__fail(RCO_E_FRAME, "a chunk of %zu bytes is cut inside a sample of %s", size, f->name);
	if (cap < size)
		return rco__fail(RCO_E_LIMIT, "room for %zu coded bytes; rco__codec_bound() says %zu", cap,
		                 rco__codec_bound(size));
	return RCO_OK;
}

int rco__codec_encode(rco__codec *codec, uint32_t format, const void *data, size_t size, void *out, size_t cap,
                      size_t *out_size, uint8_t *coding)
{
	const rco__format *f = rco__format_of(format);
	const void *from;
	size_t n;
	int rc;

	*out_size = 0;
	*coding = RCO__CODING_STORED;
	rc = check_encode(f, data, size, out, cap);
	if (rc == RCO_OK)
		rc = need_cctx(codec);
	if (rc == RCO_OK)
		rc = in_file_order(codec, f, format, data, size, &from);
	if (rc != RCO_OK)
		return rc;
	n = ZSTD_compress2(codec->cctx, out, cap, from, size);
	if (!ZSTD_isError(n) && n < size) {
		*out_size = n;
		*coding = RCO__CODING_ZSTD;
		return RCO_OK;
	}
	/* It did not fit, did not pay, or zstd had no memory: the chunk is kept as it is, which needs none of
	 * that. */
	memcpy(out, from, size);
	*out_size = size;
	return RCO_OK;
}

static int corrupt(const char *what)
{
	return rco__fail(RCO_E_CORRUPT, "a chunk of audio is damaged: %s", what);
}

static int need_dctx(rco__codec *codec)
{
	if (codec->dctx == NULL)
		codec->dctx = ZSTD_createDCtx_advanced(rco__zstd_memory(&codec->env));
	return codec->dctx != NULL ? RCO_OK : rco__fail(RCO_E_NO_MEMORY, "no memory for zstd");
}

static int decode_zstd(rco__codec *codec, const void *data, size_t size, void *out, size_t raw_size)
{
	size_t n;
	int rc;

	/* The frame has to say the size that the record says before anything is unpacked, and be all there is. */
	if (ZSTD_getFrameContentSize(data, size) != raw_size)
		return corrupt("its frame holds another size than its record says");
	if (ZSTD_findFrameCompressedSize(data, size) != size)
		return corrupt("it is not one whole frame");
	rc = need_dctx(codec);
	if (rc != RCO_OK)
		return rc;
	n = ZSTD_decompressDCtx(codec->dctx, out, raw_size, data, size);
	if (n == raw_size)
		return RCO_OK;
	rco_memzero(out, raw_size);
	return corrupt(ZSTD_isError(n) ? ZSTD_getErrorName(n) : "it unpacks to another size");
}

static int decode_stored(const void *data, size_t size, void *out, size_t raw_size)
{
	if (size != raw_size)
		return corrupt("it has another size than its record says");
	memcpy(out, data, size);
	return RCO_OK;
}

int rco__codec_decode(rco__codec *codec, uint32_t format, uint8_t coding, const void *data, size_t size, void *out,
                      size_t raw_size)
{
	const rco__format *f = rco__format_of(format);
	int rc;

	if (f == NULL)
		return rco__fail(RCO_E_FORMAT, "unknown audio format");
	if (data == NULL || out == NULL)
		return rco__fail(RCO_E_INVALID, "a chunk to decode is NULL");
	if (raw_size == 0 || raw_size > RCO__CHUNK_MAX || raw_size % f->sample_bytes != 0)
		return corrupt("its record says an impossible size");
	switch (coding) {
	case RCO__CODING_STORED:
		rc = decode_stored(data, size, out, raw_size);
		break;
	case RCO__CODING_ZSTD:
		rc = decode_zstd(codec, data, size, out, raw_size);
		break;
	default:
		return rco__fail(RCO_E_VERSION, "a chunk has the coding %u; update the library", coding);
	}
	if (rc == RCO_OK)
		rco__wav_swap(format, out, raw_size);
	return rc;
}
