/* SPDX-License-Identifier: MIT */
/* For rooms above that have something to tell about a call. */
#ifndef RCO_SESSION_TELL_H
#define RCO_SESSION_TELL_H

#include <recoptout.h>

/* An event of this session, told at once, on this thread. No lock is held. */
void rco__session_tell(rco_session *session, uint32_t type, uint64_t count, const char *message);

#endif
