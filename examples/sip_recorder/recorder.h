/* SPDX-License-Identifier: MIT */
/* What the parts of the server share. All of it runs on one thread, in libre's event loop. */
#ifndef SIP_RECORDER_RECORDER_H
#define SIP_RECORDER_RECORDER_H

#include "re_api.h"

#include "keys.h"
#include "leg.h"
#include "reorder.h"
#include "sound.h"
#include "source.h"

#include <pthread.h>

#include <recoptout/control.h>
#include <recoptout/sip.h>

typedef struct options {
	const char *listen, *state, *output, *control;
	const char *announcement, *confirmation, *agent;
	const char *dtmf, *transfer_dtmf, *transfer_to, *ear;
	uint32_t recordpref_off; /* RCO_OFF_... */
	uint32_t late_opt_out_ms, ring_ms, max_calls, linger_ms;
	uint16_t rtp_min, rtp_max;
	int opt_out, quiet, stereo;
} options;

typedef struct server {
	options o;
	struct sa laddr;
	struct sip *sip;
	struct sipsess_sock *sessions;
	struct list calls;
	struct list refused; /* preferences, the oldest first */
	uint32_t live;       /* those that are not over */
	int frames;          /* a descriptor that is readable every 20 ms */
	sound announcement, confirmation, agent;
	rco_engine *engine;
	rco_control *control;
	struct tmr due;                /* the engine wants to run ... */
	uint64_t due_us;               /* ... then; libre's timers stand still when the time of day is set back */
	struct news *news, **news_end; /* events of the engine, which may come from other threads */
	pthread_mutex_t news_lock;
	struct mqueue *wake; /* for news */
	int closing;
	uint64_t answered, opted_out, stored;
	uint64_t wrong_type, strangers, unplaced; /* packets */
} server;

struct call;
typedef struct refused refused;

/* A payload type that was agreed on, and what it means: a law, PACKET_KEY or PACKET_NOISE. */
typedef struct payload {
	int pt, what;
} payload;

enum { FORMATS = 12 };

/* One SIP dialog, its description and its audio. */
typedef struct party {
	struct call *call;
	struct sipsess *dialog;
	struct sip_dialog *late; /* the same, once it is over; NULL before */
	struct sa peer;          /* where its descriptions come from */
	struct sdp_session *sdp;
	struct sdp_media *audio;
	struct rtp_sock *rtp;
	audio_source from;
	reorder in;
	leg *leg; /* of the call, once there is one */
	payload formats[FORMATS];
	size_t n_formats;
	int pt, law;         /* of what is sent; pt is -1 before it is known */
	uint32_t ts;         /* of the next packet sent */
	uint64_t sent_us;    /* until then it has been sent */
	int aware;           /* record-aware: wants to know */
	int established;     /* ACK has come */
	int told;            /* rco_record_state it was last told */
	int muted;           /* hold: nothing is sent */
	int gone;            /* has hung up: keys still count, audio does not */
	uint64_t offered_us; /* an offer waits for its answer since then; 0: none does */
	uint64_t heeded;     /* the message whose preference was looked at last */
	keypad keys;
} party;

enum { LEG_CALLER, LEG_AGENT, LEG_HUMAN, LEGS };

typedef struct call {
	struct le le;
	server *server;
	char *id;
	refused *wish;        /* of its INVITE, until that is answered; NULL: none */
	rco_session *session; /* NULL: not recorded */
	leg legs[LEGS];
	uint64_t began_us;  /* the first sound; 0: none yet */
	uint64_t pause_us;  /* the recording is paused since then; 0: it is not */
	uint64_t paused_us; /* and was before, for so long */
	party caller;
	party *human;  /* it was transferred to */
	party *former; /* human, who has hung up just now */
	const sound *playing;
	size_t played;
	int repeating; /* the server says what it hears */
	int answered, over, ended;
	uint64_t hung_up_us;
	struct tmr ring;
	struct tmr late; /* of the former human */
	int ear;         /* audio goes there; -1: nobody listens */
} call;

/* ---- log.c ---- */
void say(const server *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* on stderr */

/* ---- server.c ---- */
uint64_t now_us(void); /* of a clock that nobody sets */
int server_open(server *s);
void server_stop_clock(server *s);
void server_close(server *s); /* says BYE to all; the loop ends when everything is answered */
call *server_find(const server *s, const char *id);
party *server_party(const server *s, const struct sip_msg *msg); /* whose dialog a request is in; NULL */
party *server_late(const server *s, const struct sip_msg *msg);  /* the same, where the dialog has just ended */

/* ---- engine.c: the library in libre's event loop ---- */
int engine_open(server *s);
void engine_close(server *s);
void engine_soon(server *s);
void engine_run(server *s);

/* ---- requests.c: what is not a call's beginning or end ---- */
#define ALLOWED "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"
#define ABILITIES                                                                                                 \
	"Allow: " ALLOWED "\r\n"                                                                                  \
	"Supported: record-aware\r\n"
bool requests_before(const struct sip_msg *msg, void *arg); /* libre's own handling; false: that goes on */
bool requests_after(const struct sip_msg *msg, void *arg);
bool responses_after(const struct sip_msg *msg, void *arg);
void request_info(struct sip *sip, const struct sip_msg *msg, party *p);
int request_extension(server *s, const struct sip_msg *msg); /* 1: it requires what is not known, and is refused */

/* ---- call.c ---- */
void call_invited(server *s, const struct sip_msg *msg);
void call_opt_out(call *c, const char *source);
void call_changed(call *c); /* the recording is no longer as the parties were told */
void call_play(call *c, const sound *what);
void call_play_on(call *c); /* what the server says when nothing else is to be said */
void call_human_left(call *c);

/* ---- refused.c: what was preferred in INVITEs that were not answered with 200 ---- */
/* Remembers what this one prefers, and tells what an earlier one of the same caller did. NULL: nothing. */
refused *refused_note(server *s, const struct sip_msg *msg, uint32_t *before);
void refused_forget(refused *r); /* it was answered */

/* ---- party.c: dialog and description ---- */
int party_open(party *p, call *c);
void party_hang_up(party *p);
void party_close(party *p);
int party_offered(party *p, const struct sip_msg *msg, struct mbuf **answer); /* an offer came */
int party_answered(party *p, const struct sip_msg *msg);                      /* an answer came */
void party_heed(party *p, const struct sip_msg *msg);                         /* what it prefers */
void party_prefer(party *p, uint32_t preference);
uint32_t party_preference(const struct sip_msg *msg); /* a rco_recordpref */
int party_describe(party *p, struct mbuf **description, bool offer);
bool party_has_offered(const party *p); /* and waits for the answer */
void party_tell(party *p);

/* ---- audio.c ---- */
int audio_open(party *p);
int audio_known(party *p, const struct sa *signalled); /* a description was decoded; EPROTO: no codec in common */
void audio_send(party *p, const uint8_t *data, size_t size, int law);
void audio_key_by_info(party *p, uint32_t number, char key);
void audio_tick(call *c); /* 20 ms have passed */
void audio_end(party *p); /* no audio of its counts any more */
void audio_pause(call *c);
void audio_resume(call *c);
bool audio_waits(const call *c); /* to be recorded, until the rings have room */
void audio_close(party *p);

/* ---- ear.c: a program that listens ---- */
void ear_open(call *c);
void ear_hear(call *c, const uint8_t *data, size_t size, int law);
void ear_close(call *c);
void ear_reap(void);

/* ---- transfer.c ---- */
void transfer_begin(call *c);

#endif
