/* SPDX-License-Identifier: MIT */
#include "zstd_memory.h"

#include "codec.h"

#include "../base/error.h"
#include "format.h"
#include "predicted.h"
#include "wav.h"

#include <stddef.h>
#include <string.h>

struct rco__codec {
	rco__env env;
	rco__predicted *predicted; /* made at the first use: chunks that are stored do without */
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

void rco__codec_free(rco__codec *codec)
{
	rco__env env;

	if (codec == NULL)
		return;
	env = codec->env;
	rco__predicted_free(&env, codec->predicted);
	rco__release(&env, codec);
}

size_t rco__codec_bound(size_t size)
{
	return size; /* what coding would not make smaller is stored */
}

static rco__predicted *need_predicted(rco__codec *codec)
{
	if (codec->predicted == NULL)
		codec->predicted = rco__predicted_create(&codec->env);
	return codec->predicted;
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
	int rc;

	*out_size = 0;
	*coding = RCO__CODING_STORED;
	rc = check_encode(f, data, size, out, cap);
	if (rc != RCO_OK)
		return rc;
	if (need_predicted(codec) != NULL)
		*out_size = rco__predicted_encode(codec->predicted, format, data, size, out);
	if (*out_size > 0) {
		*coding = RCO__CODING_PREDICTED;
		return RCO_OK;
	}
	/* It did not pay, or there is no memory for it: the chunk is kept as it is, which needs none. */
	memcpy(out, data, size);
	rco__wav_swap(format, out, size);
	*out_size = size;
	return RCO_OK;
}

static int corrupt(const char *what)
{
	return rco__fail(RCO_E_CORRUPT, "a chunk of audio is damaged: %s", what);
}

static int decode_zstd(rco__codec *codec, const void *data, size_t size, void *out, size_t raw_size)
{
	ZSTD_DCtx *dctx;
	size_t n;

	/* The frame has to say the size that the record says before anything is unpacked, and be all there is. */
	if (ZSTD_getFrameContentSize(data, size) != raw_size)
		return corrupt("its frame holds another size than its record says");
	if (ZSTD_findFrameCompressedSize(data, size) != size)
		return corrupt("it is not one whole frame");
	dctx = ZSTD_createDCtx_advanced(rco__zstd_memory(&codec->env));
	if (dctx == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for zstd");
	n = ZSTD_decompressDCtx(dctx, out, raw_size, data, size);
	(void)ZSTD_freeDCtx(dctx); /* at once: it keeps some of what it unpacked, which this wipes */
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

static int decode_predicted(rco__codec *codec, uint32_t format, const void *data, size_t size, void *out,
                            size_t raw_size)
{
	const char *wrong;

	if (need_predicted(codec) == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for a codec");
	wrong = rco__predicted_decode(codec->predicted, format, data, size, out, raw_size);
	if (wrong == NULL)
		return RCO_OK;
	rco_memzero(out, raw_size);
	return corrupt(wrong);
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
		rco__wav_swap(format, out, rc == RCO_OK ? raw_size : 0);
		break;
	case RCO__CODING_ZSTD:
		rc = decode_zstd(codec, data, size, out, raw_size);
		rco__wav_swap(format, out, rc == RCO_OK ? raw_size : 0);
		break;
	case RCO__CODING_PREDICTED:
		rc = decode_predicted(codec, format, data, size, out, raw_size);
		break;
	default:
		return rco__fail(RCO_E_VERSION, "a chunk has the coding %u; update the library", coding);
	}
	return rc;
}
