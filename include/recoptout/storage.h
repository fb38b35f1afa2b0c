/* SPDX-License-Identifier: MIT */
/**
 * @file recoptout/storage.h
 * What a backend author implements, and the backends that come with the library.
 *
 * Storage is three small tables, each replaceable alone:
 *
 * - **buffer**: holds the audio of calls until it is uploaded or erased
 *   (built in: *spool*, *memory*);
 * - **upload**: puts finished files where they belong (*directory*, *memory*);
 * - **deletion**: removes files wherever they are (*directory*, *memory*);
 *
 * and a **key provider** for the spool (*key folder*).
 *
 * ## How a slot answers
 * Every slot that has an `op` may
 *
 * - answer at once: write what it knows to `*result` and return #RCO_OK or an
 *   error. `*result` arrives zeroed (with struct_size set) and is valid during
 *   the call only;
 * - or return #RCO_PENDING and answer later, once, from any thread, with
 *   rco_complete(engine, op, code, &result). Until then all that was passed in
 *   stays valid, except `result`. After `backend_timeout_ms` the engine counts
 *   the operation as failed, tries again, and the late answer gets
 *   #RCO_E_STALE.
 *
 * #RCO_OK alone never counts as done: where a slot's description says so,
 * `result->confirmed` has to say what is now true. It is preset to
 * #RCO_CONFIRM_UNKNOWN, which counts as "not confirmed, try again".
 *
 * Any slot may be called again after a failure, a time-out or a crash for
 * something that has in fact happened: all slots are idempotent.
 *
 * ## Threads
 * Slots are called on worker threads or inside rco_engine_run(); `attach`, `scan`
 * and `erase` also inside rco_engine_create(); `open`, `append` and `flush` also
 * inside rco_engine_free(); `revoke` on any thread. Slots of one
 * call come one after the other; of different calls, at the same time if there
 * are several workers. Slots may block, and then hold up the calls of that
 * worker: a slow store answers #RCO_PENDING. No lock is held while a slot
 * runs; a slot may call anything not marked "not from a callback".
 *
 * ## Tables
 * `struct_size` and `flags` first; tables are checked and copied slot by slot
 * when the engine is created, so they may be on the stack. `user_data` must
 * stay valid until rco_engine_free() has returned.
 */
#ifndef RECOPTOUT_STORAGE_H
#define RECOPTOUT_STORAGE_H

#include <recoptout.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------
 * Results and completions
 * --------------------------------------------------------------------- */

/** What a backend positively knows. */
typedef enum rco_confirm {
	RCO_CONFIRM_UNKNOWN = 0, /**< nothing: the preset */
	RCO_CONFIRM_DONE = 1,    /**< what was asked for has happened */
	RCO_CONFIRM_GONE = 2,    /**< I looked, or the store said so: it does not exist any more */
	RCO_CONFIRM_PRESENT = 3  /**< I looked, and it is there */
} rco_confirm;

/** Answer of a slot. @since 0.1.0 */
typedef struct rco_result {
	uint32_t struct_size;
	uint32_t flags;      /**< 0 */
	uint32_t confirmed;  /**< #rco_confirm */
	uint32_t reserved0;  /**< 0 */
	uint64_t size_bytes; /**< see the slot */
	uint64_t count;      /**< see the slot */
	char upload_id[256]; /**< see the slot; ends in NUL */
	char version[256];   /**< see the slot; ends in NUL */
} rco_result;

/**
 * Answer an operation that returned #RCO_PENDING. Any thread, also from inside
 * a slot or callback. Not after rco_engine_free() of that engine.
 * @param code #RCO_OK or what went wrong
 * @param result as the slot would have filled it; NULL: nothing is confirmed
 * @return #RCO_OK; #RCO_E_STALE if it was answered before, timed out, or
 *   answered synchronously; nothing happens then. #RCO_E_INVALID,
 *   #RCO_E_STRUCT_SIZE, #RCO_E_HANDLE
 * @since 0.1.0
 */
RCO_API int rco_complete(rco_engine *engine, uint64_t op, int code, const rco_result *result);

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

/** A piece of one leg. @since 0.1.0 */
typedef struct rco_chunk {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */
	uint8_t recording_id[16];
	uint32_t leg;            /**< 0 to RCO_MAX_LEGS - 1 */
	uint32_t format;         /**< #rco_format; S16 samples are in host byte order */
	uint64_t position_bytes; /**< where in the leg's audio the piece begins, counted from 0 */
	int64_t time_us;         /**< wall clock when it was handed over */
	const void *data;
	size_t size_bytes; /**< whole samples, 1 to 1 MiB */
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
 * Where audio waits. Obligations on every path: what was appended and not
 * confirmed may be appended again, at the same position, and must then appear
 * once; what `erase` confirmed must not be readable from anywhere.
 * @since 0.1.0
 */
typedef struct rco_buffer_ops {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */

	/** Optional. Learn the engine, for rco_complete(). An error fails rco_engine_create(). */
	int (*attach)(rco_engine *engine, void *user_data);

	/** REQUIRED. Prepare a recording; again for one that is open: no effect. Confirm DONE. */
	int (*open)(const rco_recording *recording, uint64_t op, rco_result *result, void *user_data);

	/**
	 * REQUIRED. Take a piece. `position_bytes` is where the leg's audio ended so
	 * far, or earlier for a repetition, which overlaps only what is already held
	 * and is then answered with DONE. After it, the piece survives a crash of the
	 * process, in a backend that survives crashes at all. Confirm DONE. An error
	 * must leave the recording as it was. #RCO_E_NOT_FOUND: not open, or erased.
	 */
	int (*append)(const rco_chunk *chunk, uint64_t op, rco_result *result, void *user_data);

	/** Optional. Make everything appended so far, of all recordings, survive a power cut. Confirm DONE. */
	int (*flush)(uint64_t op, rco_result *result, void *user_data);

	/** Optional. No more pieces come; flushed on return. Confirm DONE. */
	int (*seal)(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data);

	/**
	 * REQUIRED. Read a leg's audio from `position_bytes` on into `data`, up to
	 * `cap_bytes` and not over the end; `result->size_bytes` says how much, 0
	 * at the end. Confirm DONE. #RCO_E_CORRUPT if it is held but damaged,
	 * #RCO_E_NOT_FOUND if it is not held, which is how an erasure is verified.
	 */
	int (*read)(const uint8_t recording_id[16], uint32_t leg, uint64_t position_bytes, void *data,
	            size_t cap_bytes, uint64_t op, rco_result *result, void *user_data);

	/**
	 * Optional. Make the recording unreadable in this process's memory now, by
	 * wiping its key: called on the thread that opted out, at the same time as
	 * other slots. Must not block on anything slow. `erase` follows.
	 */
	void (*revoke)(const uint8_t recording_id[16], void *user_data);

	/** REQUIRED. Remove every trace; what does not exist is gone too. Confirm GONE, durably. */
	int (*erase)(const uint8_t recording_id[16], uint64_t op, rco_result *result, void *user_data);

	/** Optional (a backend without it keeps nothing over a restart). Report every recording held. May block.
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

/** One file in a store. Pointers are valid until the operation is answered. @since 0.1.0 */
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
 * Where finished files go. Nothing may be visible under `key` before `commit`.
 * The engine has made the intent (key, then upload id) durable before it calls
 * `begin` and `put`. @since 0.1.0
 */
typedef struct rco_upload_ops {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */

	/** Optional, as in #rco_buffer_ops. */
	int (*attach)(rco_engine *engine, void *user_data);

	/** REQUIRED. Start an upload; `result->upload_id` names it (may be ""). Confirm DONE. */
	int (*begin)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	/** REQUIRED. Send part `part`, counted from 1, in order; again after a failure. Confirm DONE. */
	int (*put)(const rco_object *object, uint32_t part, const void *data, size_t size_bytes, uint64_t op,
	           rco_result *result, void *user_data);

	/** REQUIRED. Make the file visible under `key`, durably. `result->version`: its version. Confirm DONE. */
	int (*commit)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	/**
	 * REQUIRED. Give the upload up, all parts included, also those still on
	 * their way; with `upload_id` "" every upload of that key. A file that was
	 * committed stays: that is the deletion table's. Confirm GONE only when no
	 * part is left.
	 */
	int (*abort)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	/**
	 * REQUIRED. Everything that exists under `key`: `result->count` is the number
	 * of files, versions and unfinished uploads. Confirm PRESENT or GONE.
	 */
	int (*list)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	/**
	 * REQUIRED. Is there a finished file? Its `size_bytes` and `version`. Confirm PRESENT or GONE. Of a call
	 * that was taken up from an earlier process the call record is asked for before the upload and before the
	 * commit: where it is PRESENT, files that are GONE are not stored again, and files that are shorter than
	 * they are to be (`size_bytes`) are replaced. Of a call record `count` may tell how many bytes of audio,
	 * in all its legs, it speaks of, for files of which no size is known beforehand; 0: not told, or erased.
	 * What is there but not of this process's making is an error, not PRESENT.
	 */
	int (*head)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);
} rco_upload_ops;

/** Removes files. @since 0.1.0 */
typedef struct rco_deletion_ops {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */

	/** Optional, as in #rco_buffer_ops. */
	int (*attach)(rco_engine *engine, void *user_data);

	/**
	 * REQUIRED. Remove the object: one version, or with `version` "" all of them
	 * and anything that hides them. What does not exist is gone too. Confirm
	 * GONE, durably.
	 */
	int (*remove)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	/** REQUIRED. Look again, and do not trust what `remove` said. Confirm GONE or PRESENT. */
	int (*verify)(const rco_object *object, uint64_t op, rco_result *result, void *user_data);

	void *reserved; /**< NULL */
} rco_deletion_ops;

/* ------------------------------------------------------------------------
 * Key provider
 * --------------------------------------------------------------------- */

/** Largest wrapped key, in bytes: room for the ciphertext of the usual key services. */
#define RCO_WRAPPED_KEY_MAX 256

/**
 * Wraps the key of each recording for storage, under an epoch key that it
 * keeps. All slots may block, are called from several threads at once, and
 * return #RCO_OK or an error. `wrap` is called while the recording is locked, so
 * that its calls wait, and no slot may end its thread. @since 0.1.0
 */
typedef struct rco_key_ops {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */

	/**
	 * REQUIRED. Encrypt `key` for storage under the current epoch key, bound to
	 * `recording_id`. Writes at most #RCO_WRAPPED_KEY_MAX bytes to `wrapped`,
	 * their number to `*wrapped_bytes`, and the epoch's number to `*epoch`.
	 * Epochs are counted upwards from 1.
	 */
	int (*wrap)(const uint8_t key[32], const uint8_t recording_id[16], uint8_t *wrapped, size_t *wrapped_bytes,
	            uint64_t *epoch, void *user_data);

	/** REQUIRED. The reverse. #RCO_E_KEY if the epoch was destroyed or the bytes were altered. */
	int (*unwrap)(uint64_t epoch, const uint8_t *wrapped, size_t wrapped_bytes, const uint8_t recording_id[16],
	              uint8_t key[32], void *user_data);

	/** Optional. No recording needs this epoch any more: destroy its key. Never the current epoch; again for
	 * one already destroyed: no effect. */
	int (*destroy)(uint64_t epoch, void *user_data);

	void *reserved; /**< NULL */
} rco_key_ops;

/** The built-in provider: epoch keys as files of mode 0600 in a folder. */
typedef struct rco_key_folder rco_key_folder;

/** @since 0.1.0 */
typedef struct rco_key_folder_options {
	uint32_t struct_size;
	uint32_t flags;     /**< 0 */
	uint32_t epoch_s;   /**< a new epoch key after this time; default 86,400 */
	uint32_t reserved0; /**< 0 */
	const char
		*path; /**< REQUIRED; made with mode 0700. A RAM disk bounds what flash remanence could reveal. */
	const rco_allocator *allocator;
	const rco_clock *clock;
	rco_log_fn log;
	void *log_user_data;
	void *reserved1; /**< NULL */
} rco_key_folder_options;

/** Open a key folder. #RCO_E_BUSY if it is open already, here or in another process; #RCO_E_IO, #RCO_E_PERMISSION,
 * #RCO_E_NOT_FOUND, #RCO_E_NO_SPACE; damaged files are set aside. @since 0.1.0 */
RCO_API int rco_key_folder_create(const rco_key_folder_options *options, rco_key_folder **folder);

/** Its table; pass the folder as user_data. Static storage. @since 0.1.0 */
RCO_API const rco_key_ops *rco_key_folder_ops(void);

/** Close it; keys in memory are wiped. After the engine. @since 0.1.0 */
RCO_API void rco_key_folder_free(rco_key_folder *folder);

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
	uint64_t segment_bytes;         /**< default 64 MiB, at most 16 GiB */
	const char *path;               /**< REQUIRED, at most 991 bytes; made with mode 0700 */
	const char *quarantine_path;    /**< where damaged files go; default `path`/quarantine */
	const struct rco_key_ops *keys; /**< REQUIRED; checked and copied */
	void *keys_user_data;
	const rco_allocator *allocator;
	const rco_clock *clock;
	rco_log_fn log;
	void *log_user_data;
} rco_spool_options;

/**
 * Open a spool, reading what it holds. #RCO_E_BUSY if another spool has the
 * folder; #RCO_E_IO, #RCO_E_PERMISSION, #RCO_E_NO_SPACE, #RCO_E_OPS, #RCO_E_NO_MEMORY.
 * @since 0.1.0
 */
RCO_API int rco_spool_create(const rco_spool_options *options, rco_spool **spool);

/** Its buffer table; pass the spool as user_data. Static storage. @since 0.1.0 */
RCO_API const rco_buffer_ops *rco_spool_buffer_ops(void);

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
