/* SPDX-License-Identifier: MIT */
/**
 * @file recoptout/conformance.h
 * Is a backend what <recoptout/storage.h> asks for? The conformance kit puts its
 * tables through every obligation, and says of each in one sentence whether it
 * holds. For the tests of a backend's author, not for a server. See
 * docs/backends.md.
 *
 *     static void print(const rco_conformance_report *r, void *user_data)
 *     {
 *             if (r->outcome == RCO_CONFORMANCE_BROKEN)
 *                     printf("%s: %s, but %s\n", r->name, r->obligation, r->seen);
 *     }
 *
 *     rco_conformance kit = { .struct_size = sizeof kit };
 *     kit.upload = &my_upload;
 *     kit.upload_user_data = my_store;
 *     broken = rco_conformance_run(&kit, print, NULL);
 *
 * It is a static library of its own, librecoptout-conformance.a (pkg-config:
 * recoptout-conformance), made of public functions of librecoptout alone.
 *
 * The kit stands in the place of an engine: it calls `attach`, then the slots in
 * the order and on as many threads as an engine might, waits for answers, gives
 * some up, asks again, and calls `detach`. Recordings get random ids, and files
 * keys that begin with "conformance-" and a random number: a backend that holds
 * other things keeps them. What a check that held has made is removed again,
 * files if there is a deletion table; something may be left of one that did not.
 */
#ifndef RECOPTOUT_CONFORMANCE_H
#define RECOPTOUT_CONFORMANCE_H

#include <recoptout/storage.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What became of an obligation. Values are never reused. */
enum {
	RCO_CONFORMANCE_HELD = 1,
	RCO_CONFORMANCE_BROKEN = 2,
	RCO_CONFORMANCE_NOT_TRIED = 3 /**< a table, a slot or a callback that it takes is not there */
};

/** One obligation, tried. Valid during the call only. @since 0.2.0 */
typedef struct rco_conformance_report {
	uint32_t struct_size;
	uint32_t flags;         /**< 0 */
	uint32_t outcome;       /**< RCO_CONFORMANCE_... */
	uint32_t reserved0;     /**< 0 */
	const char *name;       /**< "buffer.erase": table and obligation; stays the same in later versions */
	const char *obligation; /**< what has to hold, as a clause: "erase leaves nothing of this recording" */
	const char *seen;       /**< broken: what was seen instead; not tried: why not; held: "" */
} rco_conformance_report;

/** Receives each obligation, on the thread that runs the kit, between two slots. */
typedef void (*rco_conformance_report_fn)(const rco_conformance_report *report, void *user_data);

typedef struct rco_conformance rco_conformance;

/**
 * What to try, and how to reach it from outside. Only `struct_size` and one table
 * are REQUIRED; of the callbacks each makes more of the obligations possible. They
 * are called on the thread that runs the kit, while no slot runs that will return.
 * @since 0.2.0
 */
struct rco_conformance {
	uint32_t struct_size;
	uint32_t flags;      /**< 0 */
	uint32_t timeout_ms; /**< an answer that takes longer is missing; default 10,000 */
	uint32_t reserved0;  /**< 0 */

	/** Tables as in #rco_engine_config; those that are NULL are left out. Checked and copied. */
	const rco_buffer_ops *buffer;
	void *buffer_user_data;
	const rco_upload_ops *upload;
	void *upload_user_data;
	const rco_deletion_ops *deletion;
	void *deletion_user_data;
	const rco_key_ops *keys;
	void *keys_user_data;

	/**
	 * Optional. Copy a finished file out, as its reader would find it: up to
	 * `cap_bytes` to `buf`, its whole size to `*size_bytes`. #RCO_OK; anything else
	 * if there is no such file. Without it only what `head` says is looked at.
	 */
	int (*get)(const char *key, void *buf, size_t cap_bytes, size_t *size_bytes, void *user_data);

	/**
	 * Optional. The process dies and another one begins: drop the backend as it is,
	 * and open it again. `kit` is the kit's own copy; put the new user_data of its
	 * tables there, if they change. `detach` was called before it, and `attach` is
	 * called after it. #RCO_OK, or an error, which breaks the obligation that is
	 * tried.
	 */
	int (*reopen)(rco_conformance *kit, void *user_data);

	/**
	 * Optional. From now on the backend's store cannot be reached (`failing` 1), or
	 * can be again (0): as after a cut connection, on a full disk. While it lasts slots
	 * may fail or not answer. #RCO_OK, or an error if that is not possible.
	 */
	int (*fail)(int failing, void *user_data);

	void *user_data; /**< of these three */

	/** Folder for the small engine that operations are answered to, as in #rco_engine_config. NULL: one
	 * is made in $TMPDIR or /tmp, and removed. */
	const char *state_dir;
	void *reserved1; /**< NULL */
};

/**
 * Put the tables through every obligation. Blocks until all are tried: a few
 * seconds with a backend on this machine. A slot that does not return or answer
 * within `timeout_ms` breaks the obligation that is tried; one that has done so
 * twice is not called again. The kit prints nothing and ends nothing. It
 * may be run again, and on several threads at once with different backends.
 *
 * A slot that has not returned when the kit has, is left where it is: its thread,
 * its arguments and the kit's engine then stay until the process ends, and
 * `detach` of its table is not called.
 *
 * @param report called for each obligation, in a fixed order; NULL: only count
 * @return how many obligations are broken, 0 if none is; #RCO_E_INVALID no kit, or no
 *   table in it; #RCO_E_STRUCT_SIZE, #RCO_E_NEWER, also of a table; #RCO_E_OPS a table
 *   lacks a slot that is REQUIRED; what `attach` answered, if it failed;
 *   #RCO_E_IO if no folder can be made; errors of rco_engine_create()
 * @since 0.2.0
 */
int rco_conformance_run(const rco_conformance *kit, rco_conformance_report_fn report, void *user_data);

#ifdef __cplusplus
}
#endif
#endif /* RECOPTOUT_CONFORMANCE_H */
