/* SPDX-License-Identifier: MIT */
/*
 * What <recoptout/storage.h> asks of a backend, as checks that any backend can
 * be put through, with nothing but its tables. The backend has to answer at
 * once; one that answers RCO_PENDING is checked behind a wrapper that waits.
 */
#ifndef TESTS_CONFORMANCE_H
#define TESTS_CONFORMANCE_H

#include <recoptout.h>
#include <recoptout/storage.h>

typedef struct conf {
	/* Tables that are NULL are left out. */
	const rco_buffer_ops *buffer;
	void *buffer_user_data;
	const rco_upload_ops *upload;
	void *upload_user_data;
	const rco_deletion_ops *deletion;
	void *deletion_user_data;
	/* Optional. Copy a finished file out: its bytes up to cap, *size is all of it. 0, or not if there is none.
	 */
	int (*get)(struct conf *conf, const char *key, void *buf, size_t cap, size_t *size);
	/* Optional. Close the backend and open it again, as a new process would; may change the user_data. */
	void (*reopen)(struct conf *conf);
	void *own; /* of the one who set it up */
	uint64_t op;
} conf;

typedef struct conf_check {
	const char *name; /* the sentence it checks */
	void (*run)(conf *conf);
	int needs; /* CONF_... */
} conf_check;

enum { CONF_BUFFER = 1, CONF_UPLOAD = 2, CONF_DELETION = 4 };

extern const conf_check conf_checks[];
extern const size_t conf_checks_count;

/* Every check whose tables there are; for a backend that a test has at hand. */
void conf_run_all(conf *conf);

#endif
