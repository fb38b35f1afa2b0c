/* SPDX-License-Identifier: MIT */
/* Reads what a session description (RFC 8866) says about recording (RFC 7866). */
#include <recoptout/sip.h>

#include "../base/error.h"

#include <string.h>

typedef struct text {
	const char *at;
	size_t size;
} text;

typedef struct value {
	const char *word;
	uint32_t means;
} value;

/* An attribute, and the words that it may have. */
typedef struct attribute {
	const char *name;
	value values[4];
} attribute;

static const attribute recordpref = {"recordpref",
                                     {{"nopreference", RCO_RECORDPREF_NONE},
                                      {"on", RCO_RECORDPREF_ON},
                                      {"pause", RCO_RECORDPREF_PAUSE},
                                      {"off", RCO_RECORDPREF_OFF}}};

static const attribute record = {
	"record", {{"off", RCO_RECORD_OFF}, {"paused", RCO_RECORD_PAUSED}, {"on", RCO_RECORD_ON}, {NULL, 0}}};

/* What was found. Numbers are such that of several at one level the greatest counts. */
typedef struct found {
	uint32_t session; /* at the session level */
	uint32_t medium;  /* below the present m= line */
	uint32_t audio;   /* of all audio so far */
	uint32_t asked;   /* for the medium that was asked for */
	int32_t number;   /* of the present m= line, -1 before the first */
	int audio_line;   /* that is one of audio, */
	int zero_port;    /* with port 0, */
	int bundle_only;  /* which refuses nothing (RFC 8843, section 6) */
	int any_audio;    /* that is not refused */
	uint32_t strict;  /* from here on it counts below refused audio, too; 0: nothing does */
	uint32_t refused; /* the greatest of that */
} found;

static uint32_t greater(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* No locale: protocol words are ASCII. */
static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* ABNF (RFC 5234) compares without regard to case. */
static int is_word(text t, const char *word)
{
	size_t i;

	for (i = 0; i < t.size && word[i] != '\0'; i++)
		if (lower(t.at[i]) != word[i])
			return 0;
	return i == t.size && word[i] == '\0';
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static text trimmed(text t)
{
	while (t.size > 0 && is_blank(t.at[0])) {
		t.at++;
		t.size--;
	}
	while (t.size > 0 && is_blank(t.at[t.size - 1]))
		t.size--;
	return t;
}

/* Takes what stands before one of `ends` off the front of `rest`, and that one with it. */
static text cut(text *rest, const char *ends)
{
	text t = {rest->at, 0};

	while (t.size < rest->size && (rest->at[t.size] == '\0' || strchr(ends, rest->at[t.size]) == NULL))
		t.size++;
	rest->at += t.size;
	rest->size -= t.size;
	if (rest->size > 0) {
		rest->at++;
		rest->size--;
	}
	return t;
}

/* 0 for an attribute that is another one, or says something unknown. */
static uint32_t meaning(text line, const attribute *wanted)
{
	text name = cut(&line, ":");
	size_t i;

	if (!is_word(trimmed(name), wanted->name))
		return 0;
	line = trimmed(line);
	for (i = 0; i < sizeof wanted->values / sizeof wanted->values[0]; i++)
		if (wanted->values[i].word != NULL && is_word(line, wanted->values[i].word))
			return wanted->values[i].means;
	return 0;
}

/* What was said about a medium, or else about the whole session. */
static void medium_ends(found *f, int32_t media)
{
	uint32_t effective = f->medium != 0 ? f->medium : f->session;

	if (f->number >= 0 && f->number == media)
		f->asked = effective;
	if (!f->audio_line)
		return;
	if (!f->zero_port || f->bundle_only) {
		f->audio = greater(f->audio, effective);
		f->any_audio = 1;
	} else if (f->strict != 0 && f->medium >= f->strict) {
		f->refused =
			greater(f->refused, f->medium); /* who is held may still object, and takes nothing back */
	}
}

/* "audio 49170 RTP/AVP 0", "audio 49170/2 RTP/AVP 0". A port of 0 refuses the medium (RFC 3264, section 6). */
static void medium_begins(found *f, text line)
{
	text type, port;

	line = trimmed(line);
	type = cut(&line, " \t");
	line = trimmed(line);
	port = cut(&line, " \t/");
	while (port.size > 1 && port.at[0] == '0') {
		port.at++;
		port.size--;
	}
	f->number++;
	f->medium = 0;
	f->audio_line = is_word(type, "audio");
	f->zero_port = is_word(port, "0");
	f->bundle_only = 0;
}

static void look(found *f, text line, int32_t media, const attribute *wanted)
{
	uint32_t *level = f->number < 0 ? &f->session : &f->medium;
	text type;

	line = trimmed(line);
	type = cut(&line, "=");
	if (is_word(type, "m")) {
		medium_ends(f, media);
		medium_begins(f, line);
	} else if (is_word(type, "a")) {
		*level = greater(*level, meaning(line, wanted));
		f->bundle_only |= is_word(trimmed(cut(&line, ":")), "bundle-only");
	}
}

static int begins_well(text sdp)
{
	return sdp.size >= 2 && sdp.at[0] == 'v' && sdp.at[1] == '=';
}

static int answer(const found *f, int32_t media, uint32_t *out)
{
	if (media == RCO_SDP_SESSION)
		*out = f->session;
	else if (media == RCO_SDP_AUDIO)
		*out = greater(f->any_audio ? f->audio : f->session, f->refused);
	else if (media <= f->number)
		*out = f->asked;
	else
		return rco__fail(RCO_E_NOT_FOUND, "the description has %d media, number %d was asked for",
		                 (int)f->number + 1, (int)media);
	return RCO_OK;
}

static int read_sdp(const char *sdp, size_t size, int32_t media, const attribute *wanted, uint32_t strict,
                    uint32_t *out)
{
	found f = {.number = -1, .strict = strict};
	text rest = {sdp, size};
	int rc;

	rco__error_clear();
	if (out == NULL)
		return rco__fail(RCO_E_INVALID, "no place for the answer");
	*out = 0;
	if ((sdp == NULL && size > 0) || media < RCO_SDP_SESSION)
		return rco__fail(RCO_E_INVALID, "sdp is NULL, or media is not one of a description");
	if (size > RCO_SDP_MAX)
		return rco__fail(RCO_E_LIMIT, "a description of %zu bytes; %d are read", size, RCO_SDP_MAX);
	while (rest.size > 0)
		look(&f, cut(&rest, "\r\n"), media, wanted);
	medium_ends(&f, media);
	rc = answer(&f, media, out);
	if (rc == RCO_OK && !begins_well((text){sdp, size}))
		return rco__fail(RCO_E_CORRUPT, "not a session description: it does not begin with v=");
	return rc;
}

int rco_sdp_recordpref(const char *sdp, size_t sdp_bytes, int32_t media, uint32_t *preference)
{
	return read_sdp(sdp, sdp_bytes, media, &recordpref, RCO_RECORDPREF_PAUSE, preference);
}

int rco_sdp_record(const char *sdp, size_t sdp_bytes, int32_t media, uint32_t *state)
{
	return read_sdp(sdp, sdp_bytes, media, &record, 0, state);
}

int rco_sip_record_aware(const char *supported, size_t supported_bytes)
{
	text rest = {supported, supported != NULL ? supported_bytes : 0};

	while (rest.size > 0)
		if (is_word(trimmed(cut(&rest, ",")), "record-aware"))
			return 1;
	return 0;
}
