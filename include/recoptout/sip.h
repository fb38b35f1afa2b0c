/* SPDX-License-Identifier: MIT */
/**
 * @file recoptout/sip.h
 * For SIP servers: what a peer's session description says about being
 * recorded, what it means for a call, and what to say back (RFC 7866).
 *
 *     uint32_t pref;
 *     rco_sdp_recordpref(sdp, sdp_bytes, RCO_SDP_AUDIO, &pref);   // INVITE, re-INVITE, UPDATE, answer
 *     rco_recordpref_apply(call, pref, NULL, &done, &receipt);    // off: stopped and erased
 *     rco_session_record_line(call, line, sizeof line, NULL);     // into your answer or next offer
 *
 * A phone shows its user what `a=record` says. RFC 7866, section 6.3: when the
 * state of recording changes, tell a record-aware peer by an answer, a re-INVITE
 * or an UPDATE. #RCO_EVENT_STARTED, _PAUSED, _RESUMED, _STOPPED say when.
 *
 * The functions of this file read untrusted bytes: they allocate nothing, and
 * read nothing beyond the length they are given.
 */
#ifndef RECOPTOUT_SIP_H
#define RECOPTOUT_SIP_H

#include <recoptout.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------
 * Session descriptions (SDP, RFC 8866)
 * --------------------------------------------------------------------- */

/** What the peer would like (`a=recordpref`, RFC 7866, section 7.1.1). The greater the number, the stricter. */
typedef enum rco_recordpref {
	RCO_RECORDPREF_ABSENT = 0, /**< nothing was said; a later description without it takes nothing back */
	RCO_RECORDPREF_NONE = 1,   /**< nopreference */
	RCO_RECORDPREF_ON = 2,     /**< start, or resume */
	RCO_RECORDPREF_PAUSE = 3,
	RCO_RECORDPREF_OFF = 4 /**< do not start, or stop */
} rco_recordpref;

/** Whether the sender records (`a=record`, RFC 7866, section 7.1.2). The greater the number, the more. */
typedef enum rco_record_state {
	RCO_RECORD_ABSENT = 0,
	RCO_RECORD_OFF = 1,
	RCO_RECORD_PAUSED = 2,
	RCO_RECORD_ON = 3
} rco_record_state;

/** Longest description that is read. */
#define RCO_SDP_MAX 65536

/** Which part of a description: a number of 0 and more is that of an m= line, in order, or */
enum {
	RCO_SDP_AUDIO = -1, /**< all audio: the strictest of the preferences, the most of the recording, of what is
	                         not refused, and without any such audio of the session level. Below refused
	                         audio `off` and `pause` count all the same, and nothing else: who is held
	                         by port 0 may object, and takes nothing back. Refused is a port of 0
	                         without `a=bundle-only` (RFC 8843, section 6) */
	RCO_SDP_SESSION = -2 /**< what stands before the first m= line, alone */
};

/**
 * The preference in a description. A media level attribute wins over that of the
 * session level, which holds for all media without one. Of several at one
 * level the strictest counts. Values that RFC 7866 does not name count as
 * absent. Lines may end in CRLF, LF or CR.
 * @param sdp needs no NUL; NULL if `sdp_bytes` is 0
 * @param media the number of an m= line, #RCO_SDP_AUDIO or #RCO_SDP_SESSION
 * @param preference gets a #rco_recordpref
 * @return #RCO_OK; #RCO_E_CORRUPT it does not begin as a description does
 *   ("v="): `*preference` is what could be read all the same; #RCO_E_NOT_FOUND no
 *   such media; #RCO_E_LIMIT longer than #RCO_SDP_MAX; #RCO_E_INVALID.
 *   With the last three it is #RCO_RECORDPREF_ABSENT.
 * @since 0.1.0
 */
RCO_API int rco_sdp_recordpref(const char *sdp, size_t sdp_bytes, int32_t media, uint32_t *preference);

/** The same for `a=record`: whether the peer records. `*state` gets a #rco_record_state. @since 0.1.0 */
RCO_API int rco_sdp_record(const char *sdp, size_t sdp_bytes, int32_t media, uint32_t *state);

/**
 * 1 if the value of a Supported header (RFC 3261, section 20.37) names
 * `record-aware`: the peer shows `a=record` to its user, and may send
 * `a=recordpref` (RFC 7866, section 6.2). Of several headers ask for each.
 * @since 0.1.0
 */
RCO_API int rco_sip_record_aware(const char *supported, size_t supported_bytes);

/* ------------------------------------------------------------------------
 * A call
 * --------------------------------------------------------------------- */

/** What a preference `off` means. RFC 7866 leaves that to who records. */
enum {
	RCO_OFF_DEFAULT = 0, /**< as #RCO_OFF_ERASES */
	RCO_OFF_IGNORED = 1, /**< nothing */
	RCO_OFF_STOPS = 2,   /**< nothing more is recorded unless the peer says `on`; what there is stays */
	RCO_OFF_ERASES = 3   /**< an opt-out, with all that this means: for good */
};

/** Flags of #rco_recordpref_policy. */
enum {
	/** As #RCO_OPT_OUT_NONBLOCK: for event loops. */
	RCO_RECORDPREF_NONBLOCK = 1u << 0,
	/** Do not pause for `pause`. */
	RCO_RECORDPREF_IGNORE_PAUSE = 1u << 1,
	/** Do not resume for `on`. */
	RCO_RECORDPREF_IGNORE_ON = 1u << 2
};

/** How preferences are treated; NULL means all defaults. @since 0.1.0 */
typedef struct rco_recordpref_policy {
	uint32_t struct_size;
	uint32_t flags; /**< RCO_RECORDPREF_... */
	uint32_t off;   /**< RCO_OFF_... */
	uint32_t reserved0;
	const char *source; /**< who asked, for the receipt, as in #rco_opt_out_options; NULL: "sip-recordpref" */
	void *reserved1;    /**< NULL */
} rco_recordpref_policy;

/** What was done about a preference. */
enum {
	RCO_RECORDPREF_DID_NOTHING = 0,
	RCO_RECORDPREF_DID_PAUSE = 1, /**< paused, or to be paused from the start */
	RCO_RECORDPREF_DID_RESUME = 2,
	RCO_RECORDPREF_DID_OPT_OUT = 3 /**< see the return code and the receipt */
};

/**
 * Do what a preference means for a call, also before rco_session_start(). `on`
 * resumes only what an earlier preference had paused: neither a pause of the
 * host's own, nor an opted-out call. It starts nothing. A call whose recorder is the
 * host's and that is paused before its start is started and paused at once.
 * @param preference a #rco_recordpref
 * @param done NULL, or gets RCO_RECORDPREF_DID_...
 * @param receipt NULL, or gets the receipt of an opt-out, as rco_opt_out()
 * @return #RCO_OK; for an opt-out as rco_opt_out(), so #RCO_E_NOT_AVAILABLE
 *   where that is not enabled; else as rco_session_pause() and rco_session_resume(),
 *   but #RCO_OK for a call that has ended or was opted out, where nothing is to be
 *   paused; #RCO_E_INVALID, #RCO_E_STRUCT_SIZE, #RCO_E_NEWER, #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_recordpref_apply(rco_session *session, uint32_t preference, const rco_recordpref_policy *policy,
                                 uint32_t *done, rco_receipt **receipt);

/**
 * What is true about the recording of a call, as a #rco_record_state. A recorder of the
 * host's that has not confirmed its stop counts as recording, for it may be (P7).
 * Negative: #RCO_E_INVALID, #RCO_E_HANDLE, #RCO_E_FORKED.
 * @since 0.1.0
 */
RCO_API int rco_session_record_state(rco_session *session);

/** "on", "off" or "paused"; NULL for none. Static. @since 0.1.0 */
RCO_API const char *rco_record_state_name(uint32_t state);

/** Room that rco_session_record_line() always fits in, with its NUL. */
#define RCO_RECORD_LINE_MAX 20

/**
 * The line that tells the peer, "a=record:on\r\n" (RFC 7866, section 7.1.2), for
 * the session level of a description or below one m= line. Never more than one at a level.
 * @param buf gets the line and a NUL; may be NULL if `cap` is 0
 * @param len gets the length without the NUL, also with #RCO_E_LIMIT; may be NULL
 * @return #RCO_OK; #RCO_E_LIMIT; #RCO_E_INVALID, #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_session_record_line(rco_session *session, char *buf, size_t cap, size_t *len);

#ifdef __cplusplus
}
#endif
#endif /* RECOPTOUT_SIP_H */
