/* SPDX-License-Identifier: MIT */
/* The two doors of Asterisk: ARI over HTTP, and AMI over TCP. */
#ifndef RECORDERS_ASTERISK_H
#define RECORDERS_ASTERISK_H

#include "adapter.h"

/* "ari:" and the name, percent-encoded as a part of a path; 0 if `given` is no name. */
int ari_location(const char *given, char out[PATH_ROOM]);
rec_outcome ari_stop(const rec_settings *s, const rec_call *call, const rec_stop *how, char why[WHY_MAX]);
int ari_names(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg);
rec_presence ari_remove(const rec_settings *s, const char *location, char why[WHY_MAX]);
rec_presence ari_verify(const rec_settings *s, const char *location, char why[WHY_MAX]);

rec_outcome ami_stop(const rec_settings *s, const rec_call *call, const rec_stop *how, char why[WHY_MAX]);
int ami_names(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg);

#endif
