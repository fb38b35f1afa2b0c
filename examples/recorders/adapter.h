/* SPDX-License-Identifier: MIT */
/*
 * What an adapter for somebody else's recorder has to do. It is small: the library keeps the promises, the gateway
 * looks at the files, an adapter stops a recording and names what was written.
 *
 * Threads: all functions may be called from several threads at once, for different calls.
 * Time: none of them takes longer than `timeout_ms` of the settings in all, whatever it has to ask, and a tenth of
 * a second or two. Handles: a channel, a room, a uuid comes again with the next call. A stop that names one stops
 * whatever is recorded there; see `own` of rec_stop. Truth: RECORDER_STOPPED only if the recorder, or what it left
 * on the disk, says so. "I sent the command" is RECORDER_UNSURE; "there is nothing here that I could stop" is
 * RECORDER_KNOWS_NOTHING, for a recording may have moved to another channel: then only the files can tell. Both
 * are asked again, and the caller is told no more than that it was asked for. What comes from the recorder is
 * untrusted: answers are bounded, and a name that it gives is looked for in the folder that was configured and
 * nowhere else.
 */
#ifndef RECORDERS_ADAPTER_H
#define RECORDERS_ADAPTER_H

#include <stddef.h>
#include <stdint.h>

enum { VALUES_MAX = 8, VALUE_MAX = 512, ID_MAX = 255, WHY_MAX = 256, PATH_ROOM = 1024 };

/* A recording, and what `start` said of it: KEY=VALUE; a key may come several times. */
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
	const char *at;        /* HOST:PORT or URL of the recorder */
	const char *dir;       /* folder of its recordings, if they are on this machine: absolute, without links */
	const char *dir_given; /* the same folder as the command line, and so perhaps the recorder, calls it */
	const char *user;
	const char *password; /* read from a file */
	uint32_t timeout_ms;
} rec_settings;

typedef enum rec_outcome {
	RECORDER_STOPPED,       /* it said that it stopped, and that it writes no more of this call */
	RECORDER_KNOWS_NOTHING, /* it answered, and has nothing of this name to stop; `why` says what */
	RECORDER_UNSURE         /* `why` says what is not known, and what to look at */
} rec_outcome;

/* `found` also takes UNNAMED and a word for what was recorded where it cannot be erased: with such a one the call
 * is never called erased. */
#define UNNAMED "unnamed:"

/* What a store says of one of its recordings. */
typedef enum rec_presence { RECORDING_GONE, RECORDING_THERE, RECORDING_UNKNOWN } rec_presence;

/* Receives an absolute path, or what remove() and verify() understand. */
typedef void rec_file_fn(const char *path, void *arg);

/* How a recording is to be stopped. */
typedef struct rec_stop {
	int keep; /* the call is over, and nobody objected: what was recorded must stay */
	int seen; /* a file of this recording has been seen, now or before */
	/* The handle may be another call's: this call has ended, or another one was announced with it. Then only
	 * what writes a file of this call is to be stopped; where there is none, RECORDER_KNOWS_NOTHING. */
	int own;
	rec_file_fn *found;
	/* The recorder was told to erase this, while it was there, and took it: once it has gone it is erased.
	 * What has gone otherwise may have been moved, and is never called erased. */
	rec_file_fn *discards;
	/* Is what has this name now, a path or what remove() understands, a file of this call and of no other? */
	int (*mine)(const char *path, void *arg);
	/* Is a file of this call open for writing? -1: that cannot be told. 0 also if a file of another call with
	 * the same handle is. */
	int (*written)(void *arg);
	void *arg;
} rec_stop;

typedef struct rec_adapter {
	const char *name;
	const char *usage; /* lines for --help */
	int named; /* `start` names the files: one of them must have been seen before anything is called stopped */
	/* As it stops it may remove a recording itself, and what it removes then is erased. */
	int removes;
	/* What is missing among the settings, or NULL. */
	const char *(*check)(const rec_settings *settings);
	/* The keys that `start` may have, with blanks between; file= and copy= may come several times, others
	 * once. */
	const char *(*keys)(const rec_settings *settings);
	/* By what the recorder is told to stop; others' calls may have it before and after this one. */
	const char *(*handle)(const rec_settings *settings, const rec_call *call);
	/* What is missing in a `start`, or NULL. */
	const char *(*check_call)(const rec_settings *settings, const rec_call *call);
	rec_outcome (*stop)(const rec_settings *settings, const rec_call *call, const rec_stop *how,
	                    char why[WHY_MAX]);
	/* Every file of the call that is there now, also under a temporary name. Looks at the folder only. */
	void (*files)(const rec_settings *settings, const rec_call *call, rec_file_fn *found, void *arg);
	/* Could `path` be a file of this call? */
	int (*owns)(const rec_settings *settings, const rec_call *call, const char *path);
	/* Asks the recorder what it writes by the call's handle. 0, or -1 if it does not answer. NULL if the
	 * folder tells all. */
	int (*names)(const rec_settings *settings, const rec_call *call, rec_file_fn *found, void *arg);
	/* For a recorder whose files are not on this machine: erase what `location` names ("ari:NAME"), and look
	 * for it. NULL if all are. */
	rec_presence (*remove)(const rec_settings *settings, const char *location, char why[WHY_MAX]);
	rec_presence (*verify)(const rec_settings *settings, const char *location, char why[WHY_MAX]);
} rec_adapter;

extern const rec_adapter rec_rtpengine, rec_janus, rec_asterisk, rec_freeswitch;

#endif
