/* SPDX-License-Identifier: MIT */
/*
 * What an adapter for somebody else's recorder has to do. It is small: the library keeps the promises, an adapter
 * only stops a recording, and names what was written.
 *
 * Threads: stop(), files(), remove() and verify() may be called from several threads at once, for different calls.
 * Time: none of them takes longer than `timeout_ms` of the settings, twice.
 * Truth: RECORDER_STOPPED only if the recorder, or what it left on the disk, says so. "I sent the command" is
 * RECORDER_UNSURE: it is asked again until it is sure, and the caller is told no more than that.
 * What comes from the recorder is untrusted: answers are bounded, and a name that it gives is looked for in the
 * folder that was configured and nowhere else.
 */
#ifndef RECORDERS_ADAPTER_H
#define RECORDERS_ADAPTER_H

#include <stddef.h>
#include <stdint.h>

enum { VALUES_MAX = 8, VALUE_MAX = 512, ID_MAX = 255, WHY_MAX = 256, PATH_ROOM = 1024 };

/* A call, and what `start` said of it: KEY=VALUE. */
typedef struct rec_call {
	char id[ID_MAX + 1];
	size_t n;
	struct {
		char key[32];
		char value[VALUE_MAX];
	} given[VALUES_MAX];
} rec_call;

/* A value by its key, NULL if it was not given. */
const char *rec_value(const rec_call *call, const char *key);

/* From the command line; NULL where nothing was said. */
typedef struct rec_settings {
	const char *at;  /* HOST:PORT or URL of the recorder */
	const char *dir; /* folder of its recordings, if they are on this machine */
	const char *user;
	const char *password; /* read from a file */
	uint32_t timeout_ms;
} rec_settings;

typedef enum rec_outcome {
	RECORDER_STOPPED, /* it writes no more of this call */
	RECORDER_UNSURE   /* `why` says what is not known, and what to look at */
} rec_outcome;

/* What a store says of one of its recordings. */
typedef enum rec_presence { RECORDING_GONE, RECORDING_THERE, RECORDING_UNKNOWN } rec_presence;

typedef void rec_file_fn(const char *path, void *arg);

typedef struct rec_adapter {
	const char *name;
	const char *usage; /* lines for --help */
	/* What is missing among the settings, or NULL. */
	const char *(*check)(const rec_settings *settings);
	/* What is missing in a `start`, or NULL. */
	const char *(*check_call)(const rec_settings *settings, const rec_call *call);
	rec_outcome (*stop)(const rec_settings *settings, const rec_call *call, char why[WHY_MAX]);
	/* Every file of the call that is there now, also under a temporary name. */
	void (*files)(const rec_settings *settings, const rec_call *call, rec_file_fn *found, void *arg);
	/* For a recorder whose files are not on this machine: erase what `location` names ("ari:NAME"), and look
	 * for it. NULL if all are. */
	rec_presence (*remove)(const rec_settings *settings, const char *location, char why[WHY_MAX]);
	rec_presence (*verify)(const rec_settings *settings, const char *location, char why[WHY_MAX]);
} rec_adapter;

extern const rec_adapter rec_rtpengine, rec_janus, rec_asterisk, rec_freeswitch;

#endif
