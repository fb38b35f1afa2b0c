/* SPDX-License-Identifier: MIT */
/* What the rooms above ask of a call on behalf of its peer. */
#ifndef RCO_SESSION_PEER_H
#define RCO_SESSION_PEER_H

#include <recoptout.h>

/* What is true about the recording, also while the host's recorder has not confirmed what it was told. */
typedef enum rco__recording { RCO__RECORDING_NOT, RCO__RECORDING_PAUSED, RCO__RECORDING_ON } rco__recording;

int rco__session_recording(rco_session *session, rco__recording *is);

/*
 * Pause or resume because the peer likes that. The host's own pause goes before: it is not lifted this way, and a
 * call that the host pauses or resumes is the host's from then on. Also before the start, which then begins
 * paused.
 * `*changed` says whether anything was.
 */
int rco__session_pause_for_peer(rco_session *session, uint32_t paused, int *changed);

#endif
