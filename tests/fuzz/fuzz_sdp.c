/* SPDX-License-Identifier: MIT */
/*
 * Session descriptions and Supported headers. Whatever comes: reading it ends, within its bytes; line ends make no
 * difference; all audio together is as strict as the strictest medium; and `off` that is added is heard.
 */
#include "fuzz.h"

#include <recoptout/sip.h>

#include <stdlib.h>
#include <string.h>

static uint32_t pref(const char *sdp, size_t size, int32_t media)
{
	uint32_t p = 99;
	int rc = rco_sdp_recordpref(sdp, size, media, &p);

	FUZZ_CHECK(rc == RCO_OK || rc == RCO_E_CORRUPT || (rc == RCO_E_NOT_FOUND && media >= 0 && p == 0));
	FUZZ_CHECK(p <= RCO_RECORDPREF_OFF);
	return p;
}

static char *copy(const uint8_t *data, size_t size, const char *more)
{
	char *c = calloc(size + strlen(more) + 1, 1);

	FUZZ_CHECK(c != NULL);
	memcpy(c, data, size);
	memcpy(c + size, more, strlen(more) + 1);
	return c;
}

static void check_line_ends(const char *sdp, size_t size)
{
	char *lf = copy((const uint8_t *)sdp, size, "");
	size_t i;

	for (i = 0; i < size; i++)
		if (lf[i] == '\r')
			lf[i] = '\n';
	FUZZ_CHECK(pref(sdp, size, RCO_SDP_AUDIO) == pref(lf, size, RCO_SDP_AUDIO));
	free(lf);
}

static void check_strictest(const char *sdp, size_t size)
{
	uint32_t all = pref(sdp, size, RCO_SDP_AUDIO), session = pref(sdp, size, RCO_SDP_SESSION), most = session,
		 p;
	int32_t i;

	for (i = 0; rco_sdp_recordpref(sdp, size, i, &p) != RCO_E_NOT_FOUND; i++)
		most = p > most ? p : most;
	FUZZ_CHECK(all <= most);
}

static void one(const uint8_t *data, size_t size)
{
	static const char off[] = "\r\nm=audio 9 RTP/AVP 0\r\na=recordpref:off\r\n";
	char *exact = calloc(size > 0 ? size : 1, 1), *more;
	uint32_t state;

	FUZZ_CHECK(exact != NULL);
	if (size > 0)
		memcpy(exact, data, size);
	check_line_ends(exact, size);
	check_strictest(exact, size);
	(void)rco_sdp_record(exact, size, RCO_SDP_AUDIO, &state);
	FUZZ_CHECK(state <= RCO_RECORD_ON);
	(void)rco_sip_record_aware(exact, size);
	free(exact);
	more = copy(data, size, off);
	FUZZ_CHECK(pref(more, size + sizeof off - 1, RCO_SDP_AUDIO) == RCO_RECORDPREF_OFF);
	free(more);
	more = copy(data, size, ",record-aware");
	FUZZ_CHECK(rco_sip_record_aware(more, size + 13) == 1);
	free(more);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	static const char *const seeds[] = {
		"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=recordpref:pause\r\nm=audio 49170 RTP/AVP "
		"0\r\n"
		"a=recordpref:off\r\na=record:on\r\n",
		"v=0\nm=audio 0 RTP/AVP 0\na=recordpref:off\nm=video 1/2 RTP/AVP 9\na=recordpref:nopreference\n",
		"v=0\ra=record:paused\rm=audio 00/2\ra=record:off",
		"A=RecordPref : ON \n\n=\n:\nm=\nm=audio\na",
		"100rel, timer ,Record-Aware",
	};
	size_t size;

	if (i >= sizeof seeds / sizeof seeds[0])
		return 0;
	size = strlen(seeds[i]);
	if (size > cap)
		return 0;
	memcpy(out, seeds[i], size);
	return size;
}

FUZZ_TARGET(sdp, one, seed, 2048, "lib/sip/sdp.c", NULL)
