/* SPDX-License-Identifier: MIT */
/* What the parts of the server share. All of it runs on one thread, in libre's event loop. */
#ifndef SIP_RECORDER_RECORDER_H
#define SIP_RECORDER_RECORDER_H

#include "re_api.h"

#include "reorder.h"
#include "sound.h"

#include <recoptout/control.h>
#include <recoptout/sip.h>

enum { DIGITS_MAX = 15, NO_LEG = 0xffff };

typedef struct options {
	const char *listen, *state, *output, *control;
	const char *announcement, *confirmation, *agent;
	const char *dtmf, *transfer_dtmf, *transfer_to, *ear;
	uint32_t recordpref_off; /* RCO_OFF_... */
	uint32_t window_ms, ring_ms, max_calls, linger_ms;
	uint16_t rtp_min, rtp_max;
	int opt_out, quiet;
} options;

typedef struct server {
	options o;
	struct sa laddr;
	struct sip *sip;
	struct sipsess_sock *sessions;
	struct list calls;
	struct tmr frames; /* every 20 ms */
	uint64_t frames_ms;
	sound announcement, confirmation, agent;
	rco_engine *engine;
	rco_control *control;
	struct tmr due;      /* the engine wants to run */
	struct mqueue *news; /* events of the engine, which may come from other threads */
	int closing;
	uint64_t answered, opted_out, stored, wrong_type, strangers;
} server;

struct call;

/* One SIP dialog, its description and its audio. */
typedef struct party {
	struct call *call;
	struct sipsess *dialog;
	struct sdp_session *sdp;
	struct sdp_media *audio;
	struct rtp_sock *rtp;
	struct sa source; /* where its audio comes from: the first one counts */
	reorder in;
	uint32_t leg;    /* of the session; NO_LEG: not recorded */
	uint32_t ts;     /* of the next packet sent */
	int law;         /* as sent, and as recorded */
	int pt;          /* payload type of what is sent, -1 before it is known */
	int aware;       /* record-aware: wants to know */
	int established; /* ACK has come */
	int told;        /* rco_record_state it was last told */
	int muted;       /* hold: nothing is sent */
	uint32_t event_ts;
	int any_event;
	char digits[DIGITS_MAX + 1]; /* the last ones */
} party;

typedef struct call {
	struct le le;
	server *server;
	char *id;
	rco_session *session; /* NULL: not recorded */
	uint32_t agent_leg;
	party caller;
	party *human; /* it was transferred to */
	const sound *playing;
	size_t played;
	struct tmr ring;
	int ear; /* audio goes there; -1: nobody listens */
} call;

/* ---- main.c ---- */
void say(const server *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- engine.c: the library in libre's event loop ---- */
int engine_open(server *s);
void engine_close(server *s);
void engine_soon(server *s);

/* ---- server.c ---- */
int server_open(server *s);
void server_close(server *s); /* says BYE to all; the loop ends when everything is answered */
call *server_find(const server *s, const char *id);

/* ---- call.c ---- */
void call_invited(server *s, const struct sip_msg *msg);
void call_opt_out(call *c, const char *source);
void call_changed(call *c); /* the recording is no longer as the parties were told */
void call_play(call *c, const sound *what);

/* ---- party.c: dialog and description ---- */
int party_open(party *p, call *c);
void party_close(party *p);
int party_offered(party *p, const struct sip_msg *msg, struct mbuf **answer); /* an offer came */
int party_answered(party *p, const struct sip_msg *msg);                      /* an answer came */
int party_describe(party *p, struct mbuf **description, bool offer);
void party_tell(party *p);

/* ---- audio.c ---- */
int audio_open(party *p);
void audio_known(party *p); /* the description was decoded: where to, and how */
void audio_send(party *p, const uint8_t *data, size_t size);
void audio_tick(call *c); /* 20 ms have passed */

/* ---- ear.c: a program that listens ---- */
void ear_open(call *c);
void ear_hear(call *c, const uint8_t *data, size_t size, int law);
void ear_close(call *c);
void ear_reap(void);

/* ---- transfer.c ---- */
void transfer_begin(call *c);

#endif
