/* SPDX-License-Identifier: MIT */
#include "chunk.h"

#include "../base/error.h"
#include "format.h"
#include "g711.h"
#include "wav.h"

#include <string.h>

size_t rco__chunk_encode(uint32_t format, const void *data, size_t size, uint8_t *out, uint8_t *coding)
{
	if (rco_format_sample_bytes(format) == 2) {
		*coding = RCO__CODING_MU_LAW;
		if (rco__g711_codes(RCO__MU_LAW, data, size / 2, out))
			return size / 2;
		*coding = RCO__CODING_A_LAW;
		if (rco__g711_codes(RCO__A_LAW, data, size / 2, out))
			return size / 2;
	}
	*coding = RCO__CODING_STORED;
	memcpy(out, data, size);
	rco__wav_swap(format, out, size);
	return size;
}

int rco__chunk_decode(uint32_t format, uint8_t coding, const uint8_t *data, size_t size, void *out,
                      size_t raw_size)
{
	size_t width = rco_format_sample_bytes(format);
	int law = coding == RCO__CODING_MU_LAW || coding == RCO__CODING_A_LAW;

	if (coding != RCO__CODING_STORED && !law)
		return rco__fail(RCO_E_VERSION, "a chunk has the coding %u; update the library", coding);
	if (width == 0 || raw_size == 0 || raw_size > RCO__CHUNK_MAX || raw_size % width != 0 ||
	    (law ? width != 2 || size != raw_size / 2 : size != raw_size))
		return rco__fail(RCO_E_CORRUPT, "a chunk of audio is damaged: %zu bytes of coding %u for %zu",
		                 size, coding, raw_size);
	if (law) {
		rco__g711_samples(coding == RCO__CODING_MU_LAW ? RCO__MU_LAW : RCO__A_LAW, data, size, out);
		return RCO_OK;
	}
	memcpy(out, data, size);
	rco__wav_swap(format, out, size);
	return RCO_OK;
}
