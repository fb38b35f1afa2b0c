/* SPDX-License-Identifier: MIT */
/* libre and librem, whose headers want to be told that the C library has these two. */
#ifndef SIP_RECORDER_RE_API_H
#define SIP_RECORDER_RE_API_H

#define HAVE_INTTYPES_H
#define HAVE_STDBOOL_H
#include <re/re.h>
#include <rem/rem_audio.h>

#endif
