/* SPDX-License-Identifier: MIT */
/* What SIP peers say about being recorded, what it does to a call, and what they are told (RFC 7866). */
#include "../support.h"

#include <recoptout/sip.h>

#include <stdio.h>
#include <stdlib.h>

#define V "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
#define A "m=audio 49170 RTP/AVP 0\r\n"

/* In memory of exactly its size, so that a sanitizer sees a read beyond it. */
static int ask(int (*fn)(const char *, size_t, int32_t, uint32_t *), const char *sdp, size_t size, int32_t media,
               uint32_t *out)
{
	char *exact = malloc(size > 0 ? size : 1);
	int rc;

	assert_non_null(exact);
	memcpy(exact, sdp, size);
	*out = 99;
	rc = fn(exact, size, media, out);
	free(exact);
	return rc;
}

static uint32_t pref(const char *sdp, int32_t media)
{
	uint32_t p;

	assert_int_equal(ask(rco_sdp_recordpref, sdp, strlen(sdp), media, &p), RCO_OK);
	return p;
}

static uint32_t rec(const char *sdp, int32_t media)
{
	uint32_t p;

	assert_int_equal(ask(rco_sdp_record, sdp, strlen(sdp), media, &p), RCO_OK);
	return p;
}

static void test_words(void **state)
{
	(void)state;
	assert_int_equal(pref(V "a=recordpref:off\r\n" A, RCO_SDP_AUDIO), RCO_RECORDPREF_OFF);
	assert_int_equal(pref(V "a=recordpref:on\r\n" A, RCO_SDP_AUDIO), RCO_RECORDPREF_ON);
	assert_int_equal(pref(V "a=recordpref:pause\r\n" A, RCO_SDP_AUDIO), RCO_RECORDPREF_PAUSE);
	assert_int_equal(pref(V "a=recordpref:nopreference\r\n" A, RCO_SDP_AUDIO), RCO_RECORDPREF_NONE);
	assert_int_equal(pref(V A, RCO_SDP_AUDIO), RCO_RECORDPREF_ABSENT);
	/* mind `pause` in the one and `paused` in the other */
	assert_int_equal(pref(V "a=recordpref:paused\r\n" A, RCO_SDP_AUDIO), RCO_RECORDPREF_ABSENT);
	assert_int_equal(rec(V "a=record:pause\r\n" A, RCO_SDP_AUDIO), RCO_RECORD_ABSENT);
	assert_int_equal(rec(V "a=record:paused\r\n" A, RCO_SDP_AUDIO), RCO_RECORD_PAUSED);
	assert_int_equal(rec(V "a=record:on\r\n" A, RCO_SDP_AUDIO), RCO_RECORD_ON);
	assert_int_equal(rec(V "a=record:off\r\n" A, RCO_SDP_AUDIO), RCO_RECORD_OFF);
	/* neither is the other, nor the beginning of another */
	assert_int_equal(rec(V "a=recordpref:on\r\n" A, RCO_SDP_AUDIO), RCO_RECORD_ABSENT);
	assert_int_equal(pref(V "a=record:off\r\n" A, RCO_SDP_AUDIO), RCO_RECORDPREF_ABSENT);
	assert_int_equal(
		pref(V "a=recordpreference:off\r\na=recordpref:offline\r\na=recordpref:of\r\n" A, RCO_SDP_AUDIO),
		RCO_RECORDPREF_ABSENT);
	assert_int_equal(pref(V "a=recordpref\r\na=recordpref:\r\nb=recordpref:off\r\n" A, RCO_SDP_AUDIO),
	                 RCO_RECORDPREF_ABSENT);
}

/* What other stacks send, and what a human meant. */
static void test_spellings(void **state)
{
	(void)state;
	assert_int_equal(pref("v=0\na=recordpref:off\nm=audio 1 RTP/AVP 0\n", RCO_SDP_AUDIO), RCO_RECORDPREF_OFF);
	assert_int_equal(pref("v=0\ra=recordpref:off\rm=audio 1 RTP/AVP 0", RCO_SDP_AUDIO), RCO_RECORDPREF_OFF);
	assert_int_equal(pref(V "a=recordpref: OFF \r\n" A, RCO_SDP_AUDIO), RCO_RECORDPREF_OFF);
	assert_int_equal(pref(V "A=RecordPref:Off\r\n" A, RCO_SDP_AUDIO), RCO_RECORDPREF_OFF);
	assert_int_equal(pref(V A "a=recordpref:off", RCO_SDP_AUDIO), RCO_RECORDPREF_OFF);
}

static void test_levels(void **state)
{
	const char *two = V "a=recordpref:on\r\n" A "a=recordpref:off\r\n" A
			    "m=video 2 RTP/AVP 99\r\na=recordpref:pause\r\n";

	(void)state;
	/* the media level wins, also where it is less strict; a medium without one has the session's */
	assert_int_equal(pref(two, 0), RCO_RECORDPREF_OFF);
	assert_int_equal(pref(two, 1), RCO_RECORDPREF_ON);
	assert_int_equal(pref(two, 2), RCO_RECORDPREF_PAUSE);
	assert_int_equal(pref(two, RCO_SDP_SESSION), RCO_RECORDPREF_ON);
	assert_int_equal(pref(V "a=recordpref:off\r\n" A "a=recordpref:on\r\n", RCO_SDP_AUDIO), RCO_RECORDPREF_ON);
	/* the strictest of all audio */
	assert_int_equal(pref(two, RCO_SDP_AUDIO), RCO_RECORDPREF_OFF);
	/* video has no say about audio, however it is refused */
	assert_int_equal(pref(V A "m=video 0 RTP/AVP 99\r\na=recordpref:off\r\n", RCO_SDP_AUDIO),
	                 RCO_RECORDPREF_ABSENT);
	assert_int_equal(
		pref(V "a=recordpref:pause\r\nm=video 4 RTP/AVP 99\r\na=recordpref:off\r\n", RCO_SDP_AUDIO),
		RCO_RECORDPREF_PAUSE);
	assert_int_equal(pref(V "m=audio 49170/2 RTP/AVP 0\r\na=recordpref:off\r\n", RCO_SDP_AUDIO),
	                 RCO_RECORDPREF_OFF);
	/* of several at one level the strictest */
	assert_int_equal(pref(V A "a=recordpref:off\r\na=recordpref:on\r\n", 0), RCO_RECORDPREF_OFF);
	assert_int_equal(rec(V A "a=record:on\r\na=record:off\r\n", 0), RCO_RECORD_ON);
	assert_int_equal(rec(V "a=record:off\r\n" A A "a=record:paused\r\n", RCO_SDP_AUDIO), RCO_RECORD_PAUSED);
}

/* Who is held by port 0 may still object; what stands there takes nothing back, and says nothing of recording. */
static void test_refused_audio(void **state)
{
	static const char *const zero[] = {"m=audio 0 RTP/AVP 0\r\n", "m=audio 00/2 RTP/AVP 0\r\n",
	                                   "M=AUDIO  0\r\n"};
	static const struct {
		const char *session, *audio, *below;
		uint32_t want;
	} cases[] = {
		{"", "", "off", RCO_RECORDPREF_OFF},
		{"", "", "pause", RCO_RECORDPREF_PAUSE},
		{"", "", "on", RCO_RECORDPREF_ABSENT},
		{"", "", "nopreference", RCO_RECORDPREF_ABSENT},
		{"", A, "off", RCO_RECORDPREF_OFF},
		{"", A, "on", RCO_RECORDPREF_ABSENT},
		{"", A "a=recordpref:on\r\n", "off", RCO_RECORDPREF_OFF},
		{"", A "a=recordpref:on\r\n", "nopreference", RCO_RECORDPREF_ON},
		{"", A "a=recordpref:off\r\n", "on", RCO_RECORDPREF_OFF},
		{"a=recordpref:off\r\n", "", "on", RCO_RECORDPREF_OFF},
		{"a=recordpref:off\r\n", "", "nopreference", RCO_RECORDPREF_OFF},
		{"a=recordpref:off\r\n", "", "pause", RCO_RECORDPREF_OFF},
		{"a=recordpref:pause\r\n", A, "on", RCO_RECORDPREF_PAUSE},
		{"a=recordpref:on\r\n", "", "off", RCO_RECORDPREF_OFF},
	};
	char sdp[512];
	size_t i, z;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		for (z = 0; z < sizeof zero / sizeof zero[0]; z++) {
			(void)snprintf(sdp, sizeof sdp, V "%s%s%sa=recordpref:%s\r\n", cases[i].session,
			               cases[i].audio, zero[z], cases[i].below);
			assert_int_equal(pref(sdp, RCO_SDP_AUDIO), cases[i].want);
			(void)snprintf(sdp, sizeof sdp, V "%s%sa=recordpref:%s\r\n%s", cases[i].session, zero[z],
			               cases[i].below, cases[i].audio);
			assert_int_equal(pref(sdp, RCO_SDP_AUDIO), cases[i].want);
		}
	}
	assert_int_equal(rec(V "m=audio 0 RTP/AVP 0\r\na=record:on\r\n", RCO_SDP_AUDIO), RCO_RECORD_ABSENT);
	assert_int_equal(rec(V A "m=audio 0 RTP/AVP 0\r\na=record:on\r\n", RCO_SDP_AUDIO), RCO_RECORD_ABSENT);
	/* bundle-only: port 0 refuses nothing, whatever stands first */
	assert_int_equal(pref(V "m=audio 0 RTP/AVP 0\r\na=bundle-only\r\na=recordpref:off\r\n", RCO_SDP_AUDIO),
	                 RCO_RECORDPREF_OFF);
	assert_int_equal(pref(V "m=audio 0 RTP/AVP 0\r\na=recordpref:on\r\na=bundle-only\r\n", RCO_SDP_AUDIO),
	                 RCO_RECORDPREF_ON);
	assert_int_equal(rec(V "m=audio 0 RTP/AVP 0\r\na=bundle-only\r\na=record:on\r\n", RCO_SDP_AUDIO),
	                 RCO_RECORD_ON);
	assert_int_equal(pref(V "a=bundle-only\r\nm=audio 0 RTP/AVP 0\r\na=bundle-only-not\r\n"
	                        "a=recordpref:on\r\n",
	                      RCO_SDP_AUDIO),
	                 RCO_RECORDPREF_ABSENT);
}

/* Nothing that a network can send does harm, and what it says of privacy is heard all the same. */
static void test_odd(void **state)
{
	static const char nul[] =
		"v=0\r\ns=a\0b\r\na=recordpref:off\0\r\na=recordpref:pause\r\nm=audio 1 RTP/AVP 0\r\n";
	static char big[RCO_SDP_MAX + 1];
	uint32_t p, i;

	(void)state;
	assert_int_equal(ask(rco_sdp_recordpref, "a=recordpref:off", 16, RCO_SDP_AUDIO, &p), RCO_E_CORRUPT);
	assert_int_equal(p, RCO_RECORDPREF_OFF);
	assert_int_equal(ask(rco_sdp_recordpref, "", 0, RCO_SDP_AUDIO, &p), RCO_E_CORRUPT);
	assert_int_equal(p, RCO_RECORDPREF_ABSENT);
	assert_int_equal(rco_sdp_recordpref(NULL, 0, RCO_SDP_AUDIO, &p), RCO_E_CORRUPT);
	assert_int_equal(rco_sdp_recordpref(NULL, 1, RCO_SDP_AUDIO, &p), RCO_E_INVALID);
	assert_int_equal(rco_sdp_recordpref("v=", 2, RCO_SDP_AUDIO, NULL), RCO_E_INVALID);
	assert_int_equal(ask(rco_sdp_recordpref, V A, strlen(V A), -3, &p), RCO_E_INVALID);
	assert_int_equal(ask(rco_sdp_recordpref, V A, strlen(V A), 1, &p), RCO_E_NOT_FOUND);
	assert_int_equal(p, RCO_RECORDPREF_ABSENT);
	assert_int_equal(ask(rco_sdp_recordpref, nul, sizeof nul - 1, RCO_SDP_AUDIO, &p), RCO_OK);
	assert_int_equal(p, RCO_RECORDPREF_PAUSE);
	/* every prefix of a description is answered */
	for (i = 0; i <= strlen(V A "a=recordpref:off\r\n"); i++)
		(void)ask(rco_sdp_recordpref, V A "a=recordpref:off\r\n", i, RCO_SDP_AUDIO, &p);
	assert_int_equal(p, RCO_RECORDPREF_OFF);
	memset(big, '\n', sizeof big);
	memcpy(big, "v=0", 3);
	memcpy(big + RCO_SDP_MAX - 16, "a=recordpref:off", 16);
	assert_int_equal(ask(rco_sdp_recordpref, big, RCO_SDP_MAX, RCO_SDP_AUDIO, &p), RCO_OK);
	assert_int_equal(p, RCO_RECORDPREF_OFF);
	assert_int_equal(ask(rco_sdp_recordpref, big, RCO_SDP_MAX + 1, RCO_SDP_AUDIO, &p), RCO_E_LIMIT);
	assert_int_equal(p, RCO_RECORDPREF_ABSENT);
}

static void test_supported(void **state)
{
	static const char *const yes[] = {"record-aware", "100rel, timer,record-aware",
	                                  " Record-Aware\r\n ,timer"};
	static const char *const no[] = {"",  "siprec", "record-awareness", "record-aware;x", "x record-aware",
	                                 ",,"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof yes / sizeof yes[0]; i++)
		assert_int_equal(rco_sip_record_aware(yes[i], strlen(yes[i])), 1);
	for (i = 0; i < sizeof no / sizeof no[0]; i++)
		assert_int_equal(rco_sip_record_aware(no[i], strlen(no[i])), 0);
	assert_int_equal(rco_sip_record_aware("record-aware", 11), 0);
	assert_int_equal(rco_sip_record_aware(NULL, 12), 0);
}

/* ---- a call ---- */

static void told(rco_session *s, const char *line)
{
	char buf[RCO_RECORD_LINE_MAX];
	size_t len;

	assert_int_equal(rco_session_record_line(s, buf, sizeof buf, &len), RCO_OK);
	assert_string_equal(buf, line);
	assert_int_equal(len, strlen(line));
	assert_int_equal(rco_session_record_line(s, buf, len, &len), RCO_E_LIMIT);
	assert_int_equal(len, strlen(line));
	assert_int_equal(rco_session_record_line(s, NULL, 0, NULL), RCO_E_LIMIT);
	assert_int_equal(rco_session_record_line(s, NULL, 1, NULL), RCO_E_INVALID);
}

static uint32_t applied(rco_session *s, uint32_t preference, const rco_recordpref_policy *policy)
{
	uint32_t done = 99;

	assert_int_equal(rco_recordpref_apply(s, preference, policy, &done, NULL), RCO_OK);
	return done;
}

static void test_off_erases(void **state)
{
	rco_receipt *receipt = NULL;
	rco_session *s;
	uint32_t done;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "off");
	t_push(s, 0, 1, 0, 20);
	told(s, "a=record:on\r\n");
	assert_int_equal(applied(s, RCO_RECORDPREF_ABSENT, NULL), RCO_RECORDPREF_DID_NOTHING);
	assert_int_equal(applied(s, RCO_RECORDPREF_NONE, NULL), RCO_RECORDPREF_DID_NOTHING);
	assert_int_equal(rco_recordpref_apply(s, RCO_RECORDPREF_OFF, NULL, &done, &receipt), RCO_OK);
	assert_int_equal(done, RCO_RECORDPREF_DID_OPT_OUT);
	assert_string_equal(rco_receipt_source(receipt), "sip-recordpref");
	rco_receipt_free(receipt);
	told(s, "a=record:off\r\n");
	/* for good: `on` brings nothing back, and is no error */
	assert_int_equal(applied(s, RCO_RECORDPREF_ON, NULL), RCO_RECORDPREF_DID_NOTHING);
	assert_int_equal(applied(s, RCO_RECORDPREF_PAUSE, NULL), RCO_RECORDPREF_DID_NOTHING);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	t_await(&w, "off", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_store_audio(&w), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* An INVITE comes before anything is recorded. */
static void test_off_in_the_invite(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "invite"};
	rco_session *s = NULL;
	uint32_t leg;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	told(s, "a=record:off\r\n");
	assert_int_equal(applied(s, RCO_RECORDPREF_OFF, NULL), RCO_RECORDPREF_DID_OPT_OUT);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	told(s, "a=record:off\r\n");
	rco_session_free(s);
	/* paused before its start: starts paused */
	o.call_id = "later";
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
	assert_int_equal(applied(s, RCO_RECORDPREF_PAUSE, NULL), RCO_RECORDPREF_DID_PAUSE);
	told(s, "a=record:off\r\n");
	assert_int_equal(rco_session_start(s), RCO_OK);
	told(s, "a=record:paused\r\n");
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_PAUSED);
	assert_int_equal(applied(s, RCO_RECORDPREF_ON, NULL), RCO_RECORDPREF_DID_RESUME);
	told(s, "a=record:on\r\n");
	assert_int_equal(t_push_one(s, 0, 1), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	told(s, "a=record:off\r\n");
	assert_int_equal(applied(s, RCO_RECORDPREF_PAUSE, NULL), RCO_RECORDPREF_DID_NOTHING);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_policies(void **state)
{
	rco_recordpref_policy p = {.struct_size = (uint32_t)sizeof p};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "policy");
	t_push(s, 0, 1, 0, 20);
	p.off = RCO_OFF_IGNORED;
	p.flags = RCO_RECORDPREF_IGNORE_PAUSE | RCO_RECORDPREF_IGNORE_ON;
	assert_int_equal(applied(s, RCO_RECORDPREF_OFF, &p), RCO_RECORDPREF_DID_NOTHING);
	assert_int_equal(applied(s, RCO_RECORDPREF_PAUSE, &p), RCO_RECORDPREF_DID_NOTHING);
	told(s, "a=record:on\r\n");
	p.off = RCO_OFF_STOPS;
	assert_int_equal(applied(s, RCO_RECORDPREF_OFF, &p), RCO_RECORDPREF_DID_PAUSE);
	assert_int_equal(applied(s, RCO_RECORDPREF_OFF, &p), RCO_RECORDPREF_DID_NOTHING);
	assert_int_equal(applied(s, RCO_RECORDPREF_ON, &p), RCO_RECORDPREF_DID_NOTHING);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_PAUSED);
	p.flags = 0;
	assert_int_equal(applied(s, RCO_RECORDPREF_ON, &p), RCO_RECORDPREF_DID_RESUME);
	/* a pause of the host's is not the peer's to lift, no matter who paused first */
	assert_int_equal(rco_session_pause(s), RCO_OK);
	assert_int_equal(applied(s, RCO_RECORDPREF_PAUSE, &p), RCO_RECORDPREF_DID_NOTHING);
	assert_int_equal(applied(s, RCO_RECORDPREF_ON, &p), RCO_RECORDPREF_DID_NOTHING);
	told(s, "a=record:paused\r\n");
	assert_int_equal(rco_session_resume(s), RCO_OK);
	assert_int_equal(applied(s, RCO_RECORDPREF_PAUSE, &p), RCO_RECORDPREF_DID_PAUSE);
	assert_int_equal(rco_session_pause(s), RCO_OK);
	assert_int_equal(applied(s, RCO_RECORDPREF_ON, &p), RCO_RECORDPREF_DID_NOTHING);
	/* what was recorded before stays */
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_advance(&w, 20000);
	assert_true(t_store_has_noise(&w, "policy", "caller", 1, 20));
	t_world_destroy(&w);
}

static void test_not_enabled(void **state)
{
	rco_recordpref_policy p = {.struct_size = (uint32_t)sizeof p, .source = "phone"};
	rco_receipt *receipt = NULL;
	rco_session *s;
	uint32_t done = 99;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "switch");
	assert_int_equal(rco_engine_set_opt_out_enabled(w.engine, 0), RCO_OK);
	assert_int_equal(rco_recordpref_apply(s, RCO_RECORDPREF_OFF, &p, &done, &receipt), RCO_E_NOT_AVAILABLE);
	assert_int_equal(done, RCO_RECORDPREF_DID_NOTHING);
	assert_null(receipt);
	told(s, "a=record:on\r\n");
	assert_int_equal(rco_engine_set_opt_out_enabled(w.engine, 1), RCO_OK);
	p.flags = RCO_RECORDPREF_NONBLOCK;
	assert_int_equal(rco_recordpref_apply(s, RCO_RECORDPREF_OFF, &p, &done, &receipt), RCO_PENDING);
	assert_int_equal(done, RCO_RECORDPREF_DID_OPT_OUT);
	assert_string_equal(rco_receipt_source(receipt), "phone");
	rco_receipt_free(receipt);
	told(s, "a=record:off\r\n");
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_bad_arguments(void **state)
{
	rco_recordpref_policy p = {.struct_size = (uint32_t)sizeof p};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "bad");
	assert_int_equal(rco_recordpref_apply(NULL, RCO_RECORDPREF_OFF, NULL, NULL, NULL), RCO_E_INVALID);
	assert_int_equal(rco_recordpref_apply(s, 5, NULL, NULL, NULL), RCO_E_INVALID);
	p.struct_size = 8;
	assert_int_equal(rco_recordpref_apply(s, RCO_RECORDPREF_OFF, &p, NULL, NULL), RCO_E_STRUCT_SIZE);
	p.struct_size = (uint32_t)sizeof p;
	p.flags = 8;
	assert_int_equal(rco_recordpref_apply(s, RCO_RECORDPREF_OFF, &p, NULL, NULL), RCO_E_NEWER);
	p.flags = 0;
	p.off = 4;
	assert_int_equal(rco_recordpref_apply(s, RCO_RECORDPREF_OFF, &p, NULL, NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_record_state(NULL), RCO_E_INVALID);
	told(s, "a=record:on\r\n");
	assert_null(rco_record_state_name(RCO_RECORD_ABSENT));
	assert_null(rco_record_state_name(4));
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- the host's recorder ---- */

/* As long as it has not confirmed, it may be recording, and the peer is told nothing else. */
static void test_recorder_that_does_not_confirm(void **state)
{
	rco_recorder_ops ops = t_recorder_ops;
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "hosted", .recorder = &ops};
	rco_session *s = NULL;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	told(s, "a=record:off\r\n");
	assert_int_equal(rco_session_start(s), RCO_OK);
	told(s, "a=record:on\r\n");
	assert_int_equal(applied(s, RCO_RECORDPREF_PAUSE, NULL), RCO_RECORDPREF_DID_PAUSE);
	told(s, "a=record:paused\r\n");
	assert_int_equal(applied(s, RCO_RECORDPREF_ON, NULL), RCO_RECORDPREF_DID_RESUME);
	t_recorder.confirms[RCO_RECORDER_STOP] = RCO_CONFIRM_UNKNOWN;
	assert_int_equal(rco_recordpref_apply(s, RCO_RECORDPREF_OFF, NULL, NULL, NULL), RCO_PENDING);
	told(s, "a=record:on\r\n");
	t_recorder_forget();
	t_advance(&w, 120000);
	told(s, "a=record:off\r\n");
	rco_session_free(s);
	/* one that cannot pause says so, and goes on */
	ops.pause = ops.resume = NULL;
	o.call_id = "cannot";
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_recordpref_apply(s, RCO_RECORDPREF_PAUSE, NULL, NULL, NULL), RCO_E_OPS);
	told(s, "a=record:on\r\n");
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),         cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_levels),        cmocka_unit_test(test_refused_audio),
		cmocka_unit_test(test_odd),           cmocka_unit_test(test_supported),
		cmocka_unit_test(test_off_erases),    cmocka_unit_test(test_off_in_the_invite),
		cmocka_unit_test(test_policies),      cmocka_unit_test(test_not_enabled),
		cmocka_unit_test(test_bad_arguments), cmocka_unit_test(test_recorder_that_does_not_confirm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
