/* SPDX-License-Identifier: MIT */
/**
 * @file recoptout/storage.h
 * What a backend author implements, and the backends that come with the library.
 *
 * Storage is three small tables (`upload` is replaced together with `deletion`, each other one by itself):
 *
 * - **buffer**: holds the audio of calls until it is uploaded or erased
 *   (built in: *spool*, *memory*);
 * - **upload**: puts finished files where they belong (*directory*, *memory*);
 * - **deletion**: removes files wherever they are (*directory*, *memory*);
 *
 * and a **key provider** for the spool (*key folder*). Whether a table is
 * what is asked for here, the conformance kit says: <recoptout/conformance.h>.
 *
 * ## How a slot answers
 * Every slot that has an `op` may
 *
 * - answer at once: write what it knows to `*result` and return #RCO_OK or an error. `*result` arrives zeroed
 *   (with struct_size set) and is valid during the call only. A number above 0 other than #RCO_PENDING counts
 *   as #RCO_E_UNCONFIRMED;
 * - or return #RCO_PENDING and answer later, once, from any thread, with rco_op_complete(engine, op, code,
 *   &result); this may come before the slot has returned. It notes the answer and wakes the engine, and calls
 *   no slot and no callback. If it answers #RCO_E_INVALID or #RCO_E_STRUCT_SIZE, the operation still waits.
 *   Numbers begin at random: that of one engine is none of another.
 *
 * #RCO_OK alone never counts as done: where a slot's description says so, `result->confirmed` has to say what
 * is now true. It is preset to #RCO_CONFIRM_UNKNOWN, which counts as "not confirmed, try again".
 *
 * Time-out: an operation that is still #RCO_PENDING `backend_timeout_ms` after its slot was called (by the
 * engine's clock) has failed with #RCO_E_TIMEOUT and is tried again, with a new number. The backend is not
 * told, neither then nor how long it has. Its late answer gets #RCO_E_STALE. A slot that blocks has no
 * time-out.
 *
 * Memory: all that was passed in, except `result`, stays valid until rco_op_complete() is called for that
 * operation, also after its time-out, or until `detach` returns. So answer every operation, however late: the
 * memory of one that is never answered (a whole part, of a `put`) is kept until then.
 *
 * Repetition: any slot may be called again after an error, a time-out or a crash for something that has in
 * fact happened: all slots are idempotent. An operation that timed out may still take effect, even after it
 * was tried again. But when `erase` confirms GONE nothing that was called before may still add to that
 * recording, and when `abort` does, no `begin`, `put` or `commit` that was called before may still take
 * effect on what it gave up. While that cannot be said yet answer with an error: the slot is called again.
 *
 * Reasons: what a slot gave to rco_error_set_detail() before it returned an error is told with the error. Of
 * one that is given to rco_op_complete() only the code is told.
 *
 * ## What an error makes the engine do
 * Nothing is given up. What failed is tried again after `retry_min_ms`, then after twice the pause before, up
 * to `retry_max_ms`, and told by #RCO_EVENT_BUFFER_RETRY, _UPLOAD_RETRY or _ERASE_RETRY. An error, a time-out
 * and a missing confirmation count alike, except:
 *
 *     slot                  answer      what follows
 *     attach, scan          any error   rco_engine_create() fails with it; with RCO_E_OPS for a number above 0
 *     append                NOT_FOUND   open, then append the same piece
 *     append                INVALID     behind such an open: erase, open; what it had becomes silence
 *     append                KEY         of a call before a restart: erase, open; that audio becomes silence
 *     flush                 any error   again after half of `flush_interval_ms`; only the first one is told
 *     erase, in create      any error   a line in the log; the next rco_engine_create() calls it again
 *     read for the upload   any error   abort, head, begin, all of that file again
 *     begin, put            any error   the same; of a call record: begin, put, commit again
 *     commit                NOT_FOUND   head: if the file is there, that was it; else as an error of put
 *     commit                any other   commit again, and no abort, until it is confirmed or NOT_FOUND
 *     head                  PERMISSION  before audio is begun again: as GONE; else as any error
 *     read after erase      NOT_FOUND   the recording is gone
 *     read after erase      CORRUPT     it is there: erase again
 *     erase, abort, remove, any error   the other files of the call, then this one again
 *       verify, list
 *     verify, list          PRESENT     abort and remove again
 *     remove, verify        DECLINED    of RCO_STORE_HOST, at once, with an `output_dir`: the built-in
 *                                       directory is asked. Anywhere else, or late: as any error
 *     wrap, destroy         any error   again after 1 s, 2 s, up to a minute: see #rco_key_ops
 *     unwrap                KEY         the audio is lost; NOT_FOUND counts as KEY, any other is asked again
 *
 * So #RCO_E_NOT_FOUND from `put` or `commit`, of an upload that the store has forgotten, leads to a new
 * `begin`. From `commit` it says that there is no such upload any more, and that none of its commits is still
 * under way: every other error, a time-out and a restart leave in doubt whether the file will be there. An upload
 * in that doubt is not given up, because there are stores in which an abort beside a commit that still runs leaves
 * a file that is listed, with its full size, and whose bytes are collected later (Ceph 16 among them). An erasure
 * that fails is #RCO_STATUS_RETRYING, after `erase_deadline_ms` #RCO_STATUS_OVERDUE, and goes on.
 *
 * ## Threads
 * Slots of one recording come one after the other: the next one when that before was answered or timed out.
 * `revoke` comes at any time. Slots of different recordings come at the same time, also with `workers` 1: for
 * each worker one thread empties the rings (`open`, `append`) and a second one does the rest; one more thread
 * calls `flush`, beside all others. In host-driven mode they come inside rco_engine_run(). `attach`, `scan`
 * and `erase` also come inside rco_engine_create(); `open`, `append`, `erase`, `flush` and `detach` inside
 * rco_engine_free(); `revoke` on any thread.
 *
 * Slots may block, and then hold up the calls of that thread: a slow store answers #RCO_PENDING. No lock is
 * held while a slot of these three tables runs; it may call anything not marked "not from a callback".
 *
 * ## Sizes
 * - `upload_id` and `version` of an #rco_result: 255 bytes. Leave a version that is longer "": the library
 *   erases what it stored with version "", all of them, and does not use this one. A backend with longer
 *   upload ids answers with a short one of its own, and finds the uploads by the key when `upload_id` is "".
 * - `key`: at most 76 bytes for #RCO_STORE_UPLOAD. For #RCO_STORE_HOST 1 to 4,095, its `version` at most 1,024.
 * - a part: all but a file's last have `upload_part_bytes`, the last at least 1. Parts are 1 to n, n at least
 *   1. Nobody checks `upload_part_bytes` against the limits of a store; a call record is one part of any
 *   size.
 * - a piece for `append`: 1 byte to 1 MiB; a gap: 1 byte to 1 GiB. `cap_bytes` of `read`: at least 1.
 * - meta of a recording #RCO_META_MAX, a wrapped epoch key #RCO_WRAPPED_KEY_MAX.
 *
 * ## Tables
 * `struct_size` and `flags` first; tables are checked and copied slot by slot when the engine is created, so
 * they may be on the stack. `user_data` must stay valid until rco_engine_free() has returned.
 *
 * An `upload` table needs a `deletion` table for the same store, else #RCO_E_OPS. A `deletion` table without
 * an `upload` table is asked for what the host registered (#RCO_STORE_HOST) only: what the built-in directory
 * has stored, the directory removes.
 */
#ifndef RECOPTOUT_STORAGE_H
#define RECOPTOUT_STORAGE_H

#include <recoptout.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------
 * Buffer
 * --------------------------------------------------------------------- */

/** Largest `meta_bytes` of a recording. */
#define RCO_META_MAX 512

/** A recording to be opened. @since 0.1.0 */
typedef struct rco_recording {
	uint32_t struct_size;
	uint32_t flags;    /**< 0 */
	uint8_t id[16];    /**< binary UUID */
	const void *meta;  /**< opaque to the backend, given back by scan */
	size_t meta_bytes; /**< at most #RCO_META_MAX */
} rco_recording;

/** The piece is a gap: `data` is NULL, and `size_bytes` bytes of silence stand for it. @since 0.2.0 */
#define RCO_CHUNK_GAP 1u

/** A piece of one leg. @since 0.1.0 */
typedef struct rco_chunk {
	uint32_t struct_size;
	uint32_t flags; /**< 0 or #RCO_CHUNK_GAP, which comes only to a buffer that says #RCO_BUFFER_GAPS */
	uint8_t recording_id[16];
	uint32_t leg;            /**< 0 to RCO_MAX_LEGS - 1 */
	uint32_t format;         /**< #rco_format; S16 samples are in host byte order */
	uint64_t position_bytes; /**< where in the leg's audio the piece begins, counted from 0 */
	int64_t time_us;         /**< wall clock when it was handed over */
	const void *data;        /**< NULL for a gap */
	size_t size_bytes;       /**< whole samples, 1 to 1 MiB; of a gap 1 to 1 GiB */
} rco_chunk;

/** A recording found by scan. @since 0.1.0 */
typedef struct rco_scanned {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */
	uint8_t id[16];
	const void *meta; /**< as given to open; NULL if it was lost */
	size_t meta_bytes;
	uint32_t leg_format[8]; /**< #rco_format of each leg, 0 if it has no audio */
	uint64_t leg_bytes[8];  /**< audio held of each leg, from position 0 without a gap */
	uint64_t damaged_bytes; /**< audio beyond that which could not be read back */
} rco_scanned;

/** Receives each recording found; everything is valid during the call only. */
typedef void (*rco_scan_fn)(const rco_scanned *found, void *user_data);

/**
 * `append` takes gaps (#RCO_CHUNK_GAP). A buffer that does not say so is given the silence instead, in pieces like
 * any other: then hours in which nobody speaks take as much of its room as audio does. @since 0.2.0
 */
#define RCO_BUFFER_GAPS 1u

/**
 * Where audio waits. Obligations on every path: what was appended and not confirmed is appended again and
 * must then appear once; what `erase` confirmed must not be readable from anywhere.
 * @since 0.1.0
 */
typedef struct rco_buffer_ops {
	uint32_t struct_size;
	uint32_t flags; /**< 0 or #RCO_BUFFER_GAPS */

	/** Optional. Learn the engine, for rco_op_complete(): before any other slot; `scan` comes after the
	 * attach of all three tables. An error fails rco_engine_create(). */
	int (*attach)(rco_engine *engine, void *user_data);

	/**
	 * Optional. Nothing is wanted any more, and no slot is called after it: once for an attach that
	 * succeeded (or is NULL), by rco_engine_close() or _free(), or by an rco_engine_create() that fails later.
	 * What was given with #RCO_PENDING is valid until this returns, and nobody may call rco_op_complete()
	 * afterwards: wait here until no thread of yours uses either. What is not answered by now, is asked
	 * again by the next engine. Before it, rco_engine_close() waits for `open` and `append` of calls that
	 * have audio to be taken, one call after the other, and for a last `flush`, in all as long as it was
	 * told to (rco_engine_free(): `backend_timeout_ms`), and for nothing else that is pending.
	 */
	void (*detach)(rco_engine *engine, void *user_data);

	/** REQUIRED. Prepare a recording; again for one that is open: no effect. An id that was erased may
	 * come again, for a new recording (where `append` had answered KEY). Confirm DONE. */
	int (*open)(const rco_recording *recording, uint64_t op, rco_result *result, void *user_data);

	/**
	 * REQUIRED. Take a piece. `position_bytes` is where the leg's audio ended so far. After an error or a
	 * time-out the same piece comes again, with the same position, length and bytes: if all of it is
	 * held, confirm it. After a restart pieces begin where `scan` said that the leg ends; one of the
	 * process before that arrives later still may overlap them. So of a piece that begins within what is
	 * held and ends behind it keep the rest or refuse it, and never confirm what is not held. One that
	 * begins behind the end is an error (#RCO_E_INVALID). After DONE the piece survives a crash of the
	 * process, in a backend that survives crashes at all. Confirm DONE. An error must leave the recording
	 * as it was. #RCO_E_NOT_FOUND: not open, revoked, or erased. A gap is a piece like any other, under the
	 * same rules of position, repetition and confirmation: its bytes count in the leg's size, and `read`
	 * gives the format's silence for them: 0xFF for PCMU, 0xD5 for PCMA, 0 for S16.
	 */
	int (*append)(const rco_chunk *chunk, uint64_t op, rco_result *result, void *user_data);

	/** Optional. Make everything appended so far, of all recordings, survive a power cut. Confirm DONE.
	 * That in rco_engine_close() is the last. */
	int (*flush)(uint64_t op, rco_result *result, void *user_data);

	/** Optional. No more pieces come; flushed on return. Confirm DONE. */
	int (*seal)(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data);

	/**
	 * REQUIRED. Read a leg's audio from `position_bytes` on into `data`, up to `cap_bytes` and not over
	 * the end; `result->size_bytes` says how much: before the end at least 1, at the end and behind it 0,
	 * for a leg without audio 0. Confirm DONE. #RCO_E_CORRUPT if it is held but damaged from there on.
	 * #RCO_E_NOT_FOUND is about the recording: not held, revoked, or erased. An erasure is verified after
	 * `erase` has confirmed it, never between `revoke` and `erase`: by reading 2 bytes of each leg at 0,
	 * which gives NOT_FOUND or nothing.
	 */
	int (*read)(const uint8_t recording_id[16], uint32_t leg, uint64_t position_bytes, void *data,
	            size_t cap_bytes, uint64_t op, rco_result *result, void *user_data);

	/**
	 * Optional. Make the recording unreadable in this process's memory now, by wiping its key: when an
	 * opt-out is durable, or a legal hold on one is lifted, on the thread that asked or one of the
	 * engine's, at the same time as other slots, also for an id that is not held. Must not block on
	 * anything slow. From then on `open`, `append` and `read` answer #RCO_E_NOT_FOUND. `erase` follows,
	 * when what is under way was answered; of an opt-out that an earlier process made durable it comes
	 * alone. A backend that encrypts nothing leaves it out.
	 */
	void (*revoke)(const uint8_t recording_id[16], void *user_data);

	/** REQUIRED. Remove every trace; what does not exist is gone too. Confirm GONE, durably. Also called
	 * when a call was stored; where that was before a crash, inside rco_engine_create(), which does not
	 * wait for a pending answer. */
	int (*erase)(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data);

	/**
	 * Optional (a backend without it keeps nothing over a restart). Report every recording held, once
	 * each. Called once, inside rco_engine_create(); may block; `found` calls no slot. An error fails
	 * rco_engine_create(), so report what is damaged as such. A recording that was reported is open,
	 * sealed or not: the next piece comes without `open`, at `leg_bytes`, in the place of what was
	 * damaged. What `append` had confirmed and is not reported becomes silence, as far as the rings tell
	 * of it.
	 */
	int (*scan)(rco_scan_fn found, void *found_user_data, void *user_data);

	void *reserved; /**< NULL */
} rco_buffer_ops;

/* ------------------------------------------------------------------------
 * Objects, upload, deletion
 * --------------------------------------------------------------------- */

/** Where an object is. */
enum {
	RCO_STORE_UPLOAD = 1, /**< in the upload backend's store: `key` was made by the library */
	RCO_STORE_HOST = 2    /**< elsewhere: `key` is the location the host registered */
};

/** One file in a store. Pointers are valid as all that is passed in: see "Memory" above. @since 0.1.0 */
typedef struct rco_object {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */
	uint32_t kind;  /**< RCO_KIND_... */
	uint32_t store; /**< RCO_STORE_... */
	uint8_t recording_id[16];
	uint64_t size_bytes;      /**< of the whole file, where known, else 0 */
	const char *key;          /**< file name, [A-Za-z0-9._-], for RCO_STORE_UPLOAD; else the location */
	const char *upload_id;    /**< what `begin` answered, "" if not known */
	const char *version;      /**< one version, "" for all */
	const char *call_id;      /**< for the backend's logs only */
	const char *content_type; /**< "audio/vnd.wave" (RFC 2361), "application/zstd", "application/json" */
	void *reserved;           /**< NULL */
} rco_object;

/**
 * Where finished files go. Nothing may be visible under `key` before `commit`. The engine has made the intent
 * (key, then upload id) durable before it calls `begin` and `put` for audio.
 *
 * All audio files of a recording are begun, then sent one after the other, each part when that before is
 * confirmed, and committed when `late_opt_out_ms` has passed since the end of the call: until then the
 * uploads stay open. An upload that fails, or meets a restart, before its first `commit` is not continued, but
 * begun again from part 1, after `abort` with the upload id that is known, `abort` with "", and `head`. Once
 * `commit` was called, which is made durable before, it is called again for the same upload id until it is
 * confirmed or answers #RCO_E_NOT_FOUND, after a restart too (when `late_opt_out_ms` has passed once more), and
 * nothing else is: so what a commit needs of the parts (ETags) has to outlive the process, or be asked of the
 * store, or `commit` answers #RCO_E_NOT_FOUND. Who opts out meanwhile is erased: `abort`, `remove`, `verify` and
 * `list`, until these say GONE, and again after `sweep_delay_ms`.
 *
 * The call record (RCO_KIND_METADATA) is begun, sent and committed again under its key when there is more to say,
 * without `abort`, and is never removed. A commit of it is repeated in the same way, but not over a restart: its
 * next `begin` may then come beside a commit that still runs. Keys contain the recording's UUID, so that engines
 * may share a store. @since 0.1.0
 */
typedef struct rco_upload_ops {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */

	/** Optional, as in #rco_buffer_ops. */
	int (*attach)(rco_engine *engine, void *user_data);
	/** Optional, as in #rco_buffer_ops. */
	void (*detach)(rco_engine *engine, void *user_data);

	/** REQUIRED. Start an upload; `result->upload_id` names it (may be ""). One of the key that was begun
	 * before and not finished may be dropped, but not beside a commit of it if the file could lose its bytes
	 * by that; `object->upload_id` says nothing here. Confirm DONE. */
	int (*begin)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	/** REQUIRED. Send part `part`, counted from 1, in order. The same part again takes the place of the
	 * one before. #RCO_E_NOT_FOUND or another error if the upload was given up. Confirm DONE. */
	int (*put)(const rco_object *object, uint32_t part, const void *data, size_t size_bytes, uint64_t op,
	           rco_result *result, void *user_data);

	/**
	 * REQUIRED. Make the file of all parts since `begin` visible under `key`, durably; a finished file
	 * that is there is replaced, or becomes an older version. `result->version`: its version;
	 * `result->size_bytes`: its size, or 0. Confirm DONE; again for an upload that was committed: the
	 * same answer, also when a commit is under way (or an error, until that has ended) and after a restart,
	 * where nothing but the upload id is known of it. #RCO_E_NOT_FOUND, and no other error, if there is no
	 * such upload any more: given up, expired, never begun, or committed and its file removed. It must not
	 * be said while a commit of that upload may still take effect.
	 */
	int (*commit)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	/**
	 * REQUIRED. Give the upload up, all parts included, also those still on their way; with `upload_id`
	 * "" every upload of that key. What does not exist is gone too. A file that was committed stays: that
	 * is the deletion table's. Confirm GONE only when no part is left and none can come (see "Repetition"
	 * above). Of a kept call it is called only before the first `commit` of that upload, or after one has
	 * answered #RCO_E_NOT_FOUND; of a call that is erased at any time, also beside a commit.
	 */
	int (*abort)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	/**
	 * REQUIRED. Everything that exists under `key`: `result->count` is the number of versions (a file
	 * without versions is one) and unfinished uploads. Confirm PRESENT or GONE, which alone counts. Asked
	 * after `verify` has said GONE.
	 */
	int (*list)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	/**
	 * REQUIRED. Is there a finished file? Its `size_bytes` and `version`. Confirm PRESENT or GONE. Asked
	 * before an upload is begun again, and when `commit` has answered #RCO_E_NOT_FOUND: a file of the same
	 * size (of any, where it is not known beforehand) is then the one that was to be stored, every other one
	 * is replaced. Of a call that was taken up from an earlier process the call record is asked for before the
	 * upload and before the commit: where it is PRESENT, files that are GONE are not stored again, and files
	 * that are shorter than `object->size_bytes` are replaced. Of a call record `count` may tell how many
	 * bytes of audio, in all its legs, it speaks of, for files of which no size is known beforehand; 0: not
	 * told, or erased. #RCO_E_PERMISSION for a file that somebody else could have put there; a store in which
	 * nobody else can write has none.
	 */
	int (*head)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	void *reserved; /**< NULL */
} rco_upload_ops;

/** Removes files. @since 0.1.0 */
typedef struct rco_deletion_ops {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */

	/** Optional, as in #rco_buffer_ops. */
	int (*attach)(rco_engine *engine, void *user_data);
	/** Optional, as in #rco_buffer_ops. */
	void (*detach)(rco_engine *engine, void *user_data);

	/**
	 * REQUIRED. Remove the object: one version, or with `version` "" (always for #RCO_STORE_UPLOAD) all
	 * of them and anything that hides them. What does not exist is gone too. Confirm GONE, durably.
	 * #RCO_E_DECLINED, from here and from `verify` alike, and at once: an #RCO_STORE_HOST object that is
	 * not this backend's.
	 */
	int (*remove)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	/** REQUIRED. Look again, and do not trust what `remove` said. Confirm GONE or PRESENT. Asked after
	 * `remove`, and once more after `sweep_delay_ms`. */
	int (*verify)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	void *reserved; /**< NULL */
} rco_deletion_ops;

/* ------------------------------------------------------------------------
 * Key provider
 * --------------------------------------------------------------------- */

/** Largest wrapped key, in bytes: room for RSA with 4,096 bits and for the ciphertext of every usual key service.
 */
#define RCO_WRAPPED_KEY_MAX 4096

/**
 * Wraps the epoch keys of a spool. The spool makes them, keeps them in locked memory, and wraps the key of each
 * recording with the current one itself. A new epoch begins every `epoch_s`; an old one is destroyed when no
 * recording needs it any more. The wrapped epoch keys are in the spool's folder.
 *
 * A provider is asked inside rco_spool_create() or rco_engine_create(), and afterwards by one thread of the
 * engine, which does nothing else that anybody waits for (host-driven: inside rco_engine_run(), with any
 * budget). One slot at a time for each spool. All slots may block, and return #RCO_OK or an error (a number above
 * 0 counts as #RCO_E_OPS); no call, no opt-out and no erasure waits for one, but closing the engine does. No slot
 * may end its thread.
 *
 * `epoch` is a random number, not a count: no two spools have the same, so a provider may serve many of them.
 *
 * A provider that fails is asked again after a second, then after twice the pause before, up to a minute, and the
 * log says so once:
 *
 * - `wrap`, where an epoch is in use: that one stays in use. Nothing is lost or delayed.
 * - `wrap`, where none is: a new spool is not opened, with this error. A spool that was used before is opened, so
 *   that what is to be erased is erased: `open` of a recording answers this error until there is an epoch.
 * - `unwrap`: `append` and `read` of its recordings answer this error until it succeeds; erasing them does not
 *   need it. #RCO_E_KEY (or #RCO_E_NOT_FOUND): the audio is lost, and the epoch is not asked for again before
 *   the next start.
 * - `destroy`: the epoch stays, with no recording.
 *
 * @since 0.1.0
 */
typedef struct rco_key_ops {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */

	/**
	 * REQUIRED. Encrypt `key` for storage, bound to `epoch`, into the caller's `wrapped`. `*wrapped_bytes` is
	 * the room there, #RCO_WRAPPED_KEY_MAX, and becomes the number of bytes written, at least 1. Again for
	 * the same epoch, with another key, after an error or a crash: what was answered before is not used.
	 * `unwrap` is asked for the answer before any recording relies on it.
	 */
	int (*wrap)(uint64_t epoch, const uint8_t key[32], uint8_t *wrapped, size_t *wrapped_bytes,
	            void *user_data);

	/** REQUIRED. The reverse. #RCO_E_KEY if the epoch was destroyed or the bytes were altered. */
	int (*unwrap)(uint64_t epoch, const uint8_t *wrapped, size_t wrapped_bytes, uint8_t key[32],
	              void *user_data);

	/** Optional. No recording needs this epoch any more: destroy what unwraps it. Once for each epoch; again
	 * after an error or a crash, or of one that is not known: no effect. The spool overwrites the wrapped key
	 * afterwards. */
	int (*destroy)(uint64_t epoch, void *user_data);

	void *reserved; /**< NULL */
} rco_key_ops;

/** The built-in provider: for each epoch a key of its own, which wraps that of the spool, as a file of mode 0600.
 */
typedef struct rco_key_dir rco_key_dir;

/** @since 0.1.0 */
typedef struct rco_key_dir_options {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */
	const char
		*path; /**< REQUIRED; made with mode 0700. A RAM disk bounds what flash remanence could reveal. */
	const rco_allocator *allocator;
	rco_log_fn log;
	void *log_user_data;
	void *reserved; /**< NULL */
} rco_key_dir_options;

/** Open a key folder. #RCO_E_BUSY if it is open already, here or in another process; #RCO_E_IO, #RCO_E_PERMISSION,
 * #RCO_E_NOT_FOUND, #RCO_E_NO_SPACE; #RCO_E_VERSION if it was written by another version of the library. @since
 * 0.1.0 */
RCO_API int rco_key_dir_create(const rco_key_dir_options *options, rco_key_dir **folder);

/** Its table; pass the folder as user_data. Static storage. @since 0.1.0 */
RCO_API const rco_key_ops *rco_key_dir_ops(void);

/** Close it. After the engine. @since 0.1.0 */
RCO_API void rco_key_dir_free(rco_key_dir *folder);

/* ------------------------------------------------------------------------
 * Built-in backends. An engine makes the spool and the directory itself from
 * its config; these constructors are for hosts that want them otherwise.
 * --------------------------------------------------------------------- */

/** Encrypted, append-only segment files: the default buffer. See docs/spool-format.md. */
typedef struct rco_spool rco_spool;

/** @since 0.1.0 */
typedef struct rco_spool_options {
	uint32_t struct_size;
	uint32_t flags;                 /**< 0 */
	uint64_t segment_bytes;         /**< default 64 MiB; 16 GiB if it is more */
	const char *path;               /**< REQUIRED, at most 991 bytes; made with mode 0700 */
	const char *quarantine_path;    /**< where damaged files go; default `path`/quarantine */
	const struct rco_key_ops *keys; /**< REQUIRED; checked and copied */
	void *keys_user_data;
	const rco_allocator *allocator;
	const rco_clock *clock;
	rco_log_fn log;
	void *log_user_data;
	uint32_t epoch_s;   /**< a new key epoch after this time; default 86,400 */
	uint32_t reserved0; /**< 0 */
} rco_spool_options;

/**
 * Open a spool, reading what it holds. #RCO_E_BUSY if another spool has the
 * folder; #RCO_E_IO, #RCO_E_PERMISSION, #RCO_E_NO_SPACE, #RCO_E_OPS, #RCO_E_NO_MEMORY; #RCO_E_VERSION if it was
 * written by another version of the library; of a new one what its key provider answered.
 * @since 0.1.0
 */
RCO_API int rco_spool_create(const rco_spool_options *options, rco_spool **spool);

/** Its buffer table; pass the spool as user_data. Static storage. @since 0.1.0 */
RCO_API const rco_buffer_ops *rco_spool_buffer_ops(void);

/**
 * What is due: key epochs are begun and destroyed, files that no recording needs any more are removed or made
 * smaller. An engine does this for a spool of its own, and for one whose table it was given as it is; who puts
 * a table of his own before it calls this about once a second. Takes as long as the key provider does, and
 * otherwise some tens of milliseconds; nobody waits for it.
 * @return #RCO_OK; #RCO_PENDING if there is more to do, soon; #RCO_E_HANDLE, #RCO_E_FORKED; an error of the disk
 * @since 0.2.0
 */
RCO_API int rco_spool_maintain(rco_spool *spool);

/** Close it; keys in memory are wiped, files stay. After the engine. @since 0.1.0 */
RCO_API void rco_spool_free(rco_spool *spool);

/**
 * A folder of finished files: written as NAME.tmp, fsync, rename, fsync of the
 * folder. Also removes any file by absolute path, for artifacts that a host's
 * recorder wrote on the same machine: regular files only, by a path without
 * symbolic links (the engine resolves those when an artifact is registered).
 * Where a link is on the way now, `remove` and `verify` answer #RCO_E_PERMISSION.
 * A file that has other names (hard links) is not removed: #RCO_E_UNCONFIRMED.
 * `head` believes only a file of this process's user or root, which nobody else
 * may write to: else #RCO_E_PERMISSION. An engine's call record has to be that of
 * the recording: else #RCO_E_CORRUPT. The folder gets a file `.recoptout-store`
 * with a random id, by which an engine knows it again.
 */
typedef struct rco_directory rco_directory;

/** @since 0.1.0 */
typedef struct rco_directory_options {
	uint32_t struct_size;
	uint32_t flags;   /**< 0 */
	const char *path; /**< REQUIRED; made with mode 0700; checked as `output_dir` of #rco_engine_config */
	const rco_allocator *allocator;
	rco_log_fn log;
	void *log_user_data;
} rco_directory_options;

/** Open a folder; one that cannot be written at present is logged, and tried again with each upload. #RCO_E_IO,
 * #RCO_E_PERMISSION, #RCO_E_NO_SPACE, #RCO_E_NO_MEMORY. @since 0.1.0 */
RCO_API int rco_directory_create(const rco_directory_options *options, rco_directory **directory);

/** Its upload table; pass the directory as user_data. Static storage. @since 0.1.0 */
RCO_API const rco_upload_ops *rco_directory_upload_ops(void);

/** Its deletion table; pass the directory as user_data. Static storage. @since 0.1.0 */
RCO_API const rco_deletion_ops *rco_directory_deletion_ops(void);

/** Close it; files stay. After the engine. @since 0.1.0 */
RCO_API void rco_directory_free(rco_directory *directory);

/** Everything in the process's memory: for tests and for calls that must never touch a disk. */
typedef struct rco_memory rco_memory;

/** @since 0.1.0 */
typedef struct rco_memory_options {
	uint32_t struct_size;
	uint32_t flags;       /**< 0 */
	uint64_t limit_bytes; /**< beyond it #RCO_E_NO_SPACE; 0: no limit */
	const rco_allocator *allocator;
	void *reserved; /**< NULL */
} rco_memory_options;

/** Make a store. #RCO_E_NO_MEMORY. @since 0.1.0 */
RCO_API int rco_memory_create(const rco_memory_options *options, rco_memory **memory);

/** Its tables; pass the store as user_data. Static storage. @since 0.1.0 */
RCO_API const rco_buffer_ops *rco_memory_buffer_ops(void);
/** @since 0.1.0 */
RCO_API const rco_upload_ops *rco_memory_upload_ops(void);
/** @since 0.1.0 */
RCO_API const rco_deletion_ops *rco_memory_deletion_ops(void);

/**
 * Copy a finished file out.
 * @param buf gets up to `cap` bytes; may be NULL if `cap` is 0
 * @param size_bytes gets the file's size
 * @return #RCO_OK, #RCO_E_NOT_FOUND, #RCO_E_LIMIT if `cap` is too small
 * @since 0.1.0
 */
RCO_API int rco_memory_get(rco_memory *memory, const char *key, void *buf, size_t cap, size_t *size_bytes);

/**
 * Key of the index-th finished file, in no particular order, NUL-terminated in `key`.
 * @return #RCO_OK, #RCO_E_NOT_FOUND beyond the last, #RCO_E_LIMIT
 * @since 0.1.0
 */
RCO_API int rco_memory_key_at(rco_memory *memory, size_t index, char *key, size_t cap);

/** Bytes of audio held, buffered, being uploaded or finished. @since 0.1.0 */
RCO_API uint64_t rco_memory_audio_bytes(rco_memory *memory);

/** Free the store, wiping it. After the engine. @since 0.1.0 */
RCO_API void rco_memory_free(rco_memory *memory);

#ifdef __cplusplus
}
#endif
#endif /* RECOPTOUT_STORAGE_H */
