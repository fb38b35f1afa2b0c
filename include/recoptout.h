/* SPDX-License-Identifier: MIT */
/**
 * @file recoptout.h
 * librecoptout: recording opt-out for telephony servers and voice agents.
 *
 * A caller says "please don't record me". This library stops the recording of
 * that call at once, erases what was recorded (also what is still on its way
 * to a store), remembers both through a crash, and tells the host what is
 * true at each moment, so that an agent never claims a deletion that has not
 * happened.
 *
 * The whole of it, for a server that pushes its audio:
 *
 *     rco_engine_config cfg = { .struct_size = sizeof cfg };
 *     cfg.state_dir = "/var/lib/pbx/recoptout";    // ledger, spool, keys
 *     cfg.output_dir = "/var/lib/pbx/recordings";  // finished WAV files
 *     cfg.opt_out_enabled = 1;                     // off unless you say so
 *     rco_engine_create(&cfg, &engine);
 *
 *     rco_session_options so = { .struct_size = sizeof so };
 *     so.call_id = "a84b4c76e66710";
 *     rco_session_create(engine, &so, &call);
 *     rco_session_add_leg(call, "caller", RCO_FORMAT_PCMU_8K, &leg);
 *     rco_session_start(call);
 *     rco_session_push(call, leg, RCO_FORMAT_PCMU_8K, frame, 160);  // media thread
 *     rco_opt_out(call, NULL, &receipt);           // any thread that may wait for a disk
 *     rco_session_end(call);
 *
 * What a backend author implements is in <recoptout/storage.h>. Voice agents and
 * other processes have a library of their own: <recoptout/agent.h>,
 * <recoptout/control.h>.
 *
 * ## Caveats
 * - **Crash.** All state that matters is durable or in shared memory. After a
 *   crash open an engine on the same `state_dir`: erasures go on first, then
 *   unfinished recordings are uploaded.
 * - **One engine per `state_dir`.** A second one, in this or another process,
 *   is refused with #RCO_E_BUSY.
 * - **fork().** A child that has not called exec() must not use an engine of
 *   its parent: every call answers #RCO_E_FORKED there. Create engines after
 *   forking.
 * - **Threads.** Every function may be called from any thread unless it says
 *   otherwise. On a **media thread** call rco_session_push(), rco_frames_push() and
 *   rco_opt_out() with #RCO_OPT_OUT_NONBLOCK and no receipt; all others take locks,
 *   memory, or wait for a disk. One leg is pushed by one thread at a time. Callbacks say which
 *   thread they come from; no lock is held while a callback runs, except that
 *   `log`, `clock` and `allocator` may be called with locks held: they must not
 *   wait for another thread that is inside the library.
 * - **File systems.** `state_dir` must be on a local file system with working
 *   fdatasync() and record locks (fcntl() F_SETLK): not on NFS or SMB. Such a
 *   lock ends when any descriptor of its file is closed in the process that
 *   holds it: do not open `state_dir`/lock.
 * - **Other users** of the machine must not be able to change what is in the
 *   folders: see `state_dir`. They are opened once, when the engine is created:
 *   chdir(), or a folder moved later, changes nothing.
 * - **Call ids** appear in ledger, receipts and call records, which are kept
 *   as evidence. Use the opaque id of your signalling, never a phone number.
 * - **Registers.** The library clears what its threads, and every thread that
 *   asks for an opt-out or ends a call, have of audio in vector registers, on
 *   x86-64, x86 and arm64. A media thread that copied a frame keeps parts of it
 *   there until it copies something else, or is first answered
 *   #RCO_E_OPTED_OUT; after that, what is in its registers, on its stack and in
 *   its buffers is the host's own.
 * - **Version 0.x.** Until 1.0.0 things may change, each with a line in
 *   CHANGELOG.md.
 *
 * ## Conventions
 * Functions return #RCO_OK (0), #RCO_PENDING (1, where documented) or a
 * negative #rco_error. Negative: nothing was done, and the object is as it was.
 * #RCO_OK: done, and where it says so durable. #RCO_PENDING: the request stands,
 * and something is outstanding: of an opt-out the receipt says what
 * (rco_receipt_status(), rco_receipt_code()), and rco_error_detail() where it
 * failed so far. So `if (rc < 0)` is the whole error check. A function that gives a handle or a receipt sets
 * that pointer to NULL when it gives none. Units stand in names: `_us` microseconds, `_ms`
 * milliseconds, `_s` seconds, `_bytes`, `_hz`. Wall-clock times are
 * microseconds since 1970-01-01 UTC. Strings are UTF-8, end in NUL, and are
 * copied; a pointer you pass need not outlive the call. `free` functions
 * accept NULL.
 *
 * Public structs begin with `struct_size` and `flags`. Set `struct_size` to
 * sizeof, zero the rest, fill in what you need: zero always means "default".
 * A caller compiled against an older header goes on working; a field that
 * this library does not know yet is refused with #RCO_E_NEWER if it is not
 * zero.
 */
#ifndef RECOPTOUT_H
#define RECOPTOUT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RCO_API __attribute__((visibility("default")))
#else
#define RCO_API
#endif

/* ------------------------------------------------------------------------
 * Version
 * --------------------------------------------------------------------- */

#define RCO_VERSION_MAJOR  0
#define RCO_VERSION_MINOR  2
#define RCO_VERSION_PATCH  0
#define RCO_VERSION_STRING "0.2.0"

/** Version of the library that is loaded: major * 10000 + minor * 100 + patch. @since 0.1.0 */
RCO_API uint32_t rco_version(void);

/** The same as text, "0.2.0". Static storage. @since 0.1.0 */
RCO_API const char *rco_version_string(void);

/** Number of the binary interface, the N of librecoptout.so.N. @since 0.1.0 */
RCO_API uint32_t rco_abi_version(void);

/** Names of public structs for rco_abi_sizeof(). Values are never reused. */
enum {
	RCO_STRUCT_ENGINE_CONFIG = 1,
	RCO_STRUCT_SESSION_OPTIONS = 2,
	RCO_STRUCT_OPT_OUT_OPTIONS = 3,
	RCO_STRUCT_EVENT = 4,
	RCO_STRUCT_SESSION_STATS = 5,
	RCO_STRUCT_ENGINE_STATS = 6,
	RCO_STRUCT_ALLOCATOR = 7,
	RCO_STRUCT_CLOCK = 8,
	RCO_STRUCT_RECORDER_OPS = 9,
	RCO_STRUCT_RESULT = 10,
	RCO_STRUCT_OBJECT = 11,
	RCO_STRUCT_RECORDING = 12,
	RCO_STRUCT_CHUNK = 13,
	RCO_STRUCT_SCANNED = 14,
	RCO_STRUCT_BUFFER_OPS = 15,
	RCO_STRUCT_UPLOAD_OPS = 16,
	RCO_STRUCT_DELETION_OPS = 17,
	RCO_STRUCT_KEY_OPS = 18,
	RCO_STRUCT_SPOOL_OPTIONS = 19,
	RCO_STRUCT_DIRECTORY_OPTIONS = 20,
	RCO_STRUCT_MEMORY_OPTIONS = 21,
	RCO_STRUCT_KEY_DIR_OPTIONS = 22,
	RCO_STRUCT_FRAME = 23,
	RCO_STRUCT_PENDING = 24,
	RCO_STRUCT_TOOL_OPTIONS = 25,
	RCO_STRUCT_TOOL_REQUEST = 26,
	RCO_STRUCT_CONTROL_OPTIONS = 27,
	RCO_STRUCT_RECORDPREF_POLICY = 28,
	RCO_STRUCT_CLIENT_OPTIONS = 29
};

/**
 * Size in bytes of a public struct as this library was built, 0 for an unknown
 * id and for the structs of agent.h and control.h, which rco_agent_abi_sizeof()
 * tells. For bindings, which compare it with their own layout when they load.
 * @since 0.1.0
 */
RCO_API uint32_t rco_abi_sizeof(uint32_t struct_id);

/**
 * 1 if this library has the named feature, else 0. Names of 0.1.0: "spool",
 * "directory", "memory", "wav", "wav.zst", "stereo", "shared-rings",
 * "legal-hold", "receipt-ed25519", "sip". "agent" and "control" are features of
 * the library librecoptout-agent: see rco_agent_has_feature().
 * @since 0.1.0
 */
RCO_API int rco_has_feature(const char *name);

/* ------------------------------------------------------------------------
 * Errors
 * --------------------------------------------------------------------- */

/**
 * Every code, its number and its sentence. A code never changes meaning and a
 * number is never reused.
 */
#define RCO_ERROR_MAP(X)                                                                                          \
	X(PENDING, 1, "not an error: the request stands, and something is outstanding; see rco_error_detail()")   \
	X(OK, 0, "success")                                                                                       \
	X(E_INVALID, -1, "an argument is NULL or out of range; see the function's description")                   \
	X(E_HANDLE, -2, "not a live handle: freed, never created, or of another type")                            \
	X(E_STRUCT_SIZE, -3, "struct_size is smaller than version 1 of the struct or above 4096")                 \
	X(E_NEWER, -4, "a field that this library does not know is set; update the library")                      \
	X(E_NO_MEMORY, -5, "out of memory; free some and call again")                                             \
	X(E_CALL_ID, -6, "the call id is empty, longer than 255 bytes, or not printable UTF-8")                   \
	X(E_CALL_EXISTS, -7, "a call of this id is still going on; end it first or use another id")               \
	X(E_STATE, -8, "not possible in the session's present state (started or ended twice?)")                   \
	X(E_LIMIT, -9, "a fixed limit is reached; the function's description names it")                           \
	X(E_FORMAT, -10, "unknown audio format, or not the format of this leg")                                   \
	X(E_FRAME, -11, "a frame is empty, cut inside a sample, or larger than the leg's ring")                   \
	X(E_OVERFLOW, -12, "the leg's ring is full, the frame was not taken; storage is too slow")                \
	X(E_OPTED_OUT, -13, "the caller opted out; nothing of this call is recorded any more")                    \
	X(E_PAUSED, -14, "recording is paused; resume it first")                                                  \
	X(E_ENDED, -15, "this call has ended, too long ago for what was asked; see the function")                 \
	X(E_NOT_STARTED, -16, "recording has not been started; call rco_session_start()")                         \
	X(E_NO_CONSENT, -17, "the caller has not consented; nothing may be recorded")                             \
	X(E_NOT_AVAILABLE, -18, "opt-out is not enabled for this engine or session")                              \
	X(E_NOT_DURABLE, -19, "stopped, but not yet on disk; it is retried, watch the events")                    \
	X(E_TIMEOUT, -20, "not done within the given time; it goes on in the background")                         \
	X(E_REENTRANT, -21, "this function may not be called from inside a callback")                             \
	X(E_FORKED, -22, "the engine belongs to the parent process; create one after fork()")                     \
	X(E_BUSY, -23, "in use by another engine, thread or process")                                             \
	X(E_IO, -24, "a file operation failed; rco_error_detail() names file and cause")                          \
	X(E_NO_SPACE, -25, "no space left on the device or over quota; free some space")                          \
	X(E_PERMISSION, -26, "permission denied; check owner and mode of the folder")                             \
	X(E_CORRUPT, -27, "damaged data; the file was set aside in the quarantine folder")                        \
	X(E_VERSION, -28, "written by a newer or a foreign version of the format")                                \
	X(E_OPS, -29, "an ops table lacks a slot that is required")                                               \
	X(E_CALLBACK, -30, "raised by a callback of the host")                                                    \
	X(E_DECLINED, -31, "this backend does not handle the object; the next one may")                           \
	X(E_STALE, -32, "this operation was answered before, timed out, or was never asked")                      \
	X(E_NOT_FOUND, -33, "no such call, object or file")                                                       \
	X(E_KEY, -34, "a key is missing, wrong or cannot be unwrapped; check the key provider")                   \
	X(E_SIGNATURE, -35, "the signature does not match: altered, or signed by another key")                    \
	X(E_UNCONFIRMED, -36, "the backend answered without a positive confirmation")                             \
	X(E_SHARED_MEMORY, -37, "shared memory for the rings cannot be reserved; see ring_dir")                   \
	X(E_INTERNAL, -38, "a defect of the library; please report it with the log")                              \
	X(E_POSITION, -39, "the frame is late, overlaps the one before, or is too far ahead of it")

/** Result codes. @since 0.1.0 */
typedef enum rco_error {
#define RCO_ERROR_ENUM_(name, value, text) RCO_##name = value,
	RCO_ERROR_MAP(RCO_ERROR_ENUM_)
#undef RCO_ERROR_ENUM_
		RCO_ERROR_ENUM_END_ = 2 /**< not a code; keeps the list free of a last comma */
} rco_error;

/** Name of a code, "RCO_E_BUSY" or "RCO_PENDING"; "RCO_E_UNKNOWN" for anything else. Static. @since 0.1.0 */
RCO_API const char *rco_error_name(int code);

/** Sentence of a code, saying what to do. Static storage. @since 0.1.0 */
RCO_API const char *rco_strerror(int code);

/**
 * What exactly went wrong in the last call on this thread that returned an
 * error, or what is outstanding of one that returned #RCO_PENDING: file names,
 * limits, system messages; "" if there is nothing to add.
 * The text belongs to the thread and is valid until its next call into the
 * library but for rco_error_name(), rco_strerror(), rco_session_push() and
 * rco_frames_push(), which leave it: of a frame the code says it all.
 * @since 0.1.0
 */
RCO_API const char *rco_error_detail(void);

/* ------------------------------------------------------------------------
 * Handles
 * --------------------------------------------------------------------- */

/** One per process and configuration. */
typedef struct rco_engine rco_engine;
/** One call. */
typedef struct rco_session rco_session;
/** What became of an opt-out, as known at one moment. Immutable. */
typedef struct rco_receipt rco_receipt;

/* of <recoptout/storage.h> */
struct rco_buffer_ops;
struct rco_upload_ops;
struct rco_deletion_ops;
struct rco_key_ops;

/** Fixed limits: legs of a session, bytes of a binary id and characters of its text, and of strings. */
enum { RCO_MAX_LEGS = 8, RCO_ID_BYTES = 16, RCO_ID_TEXT = 36, RCO_CALL_ID_MAX = 255, RCO_LABEL_MAX = 31 };

/* ------------------------------------------------------------------------
 * Allocator, log, clock, secrets
 * --------------------------------------------------------------------- */

/**
 * Memory functions with the contract of malloc, calloc, realloc and free.
 * All four are REQUIRED. Called from any thread, never from rco_session_push().
 * The engine and what it opens take all memory from here, but for what is mapped (rings, locked memory for
 * secrets), a few bytes for each folder that is locked, and what other libraries take for themselves. The agent
 * library and the control socket take malloc(), except where a function has an allocator of its own.
 * @since 0.1.0
 */
typedef struct rco_allocator {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */
	void *(*alloc)(size_t size, void *user_data);
	void *(*zalloc)(size_t count, size_t size, void *user_data);
	void *(*resize)(void *ptr, size_t size, void *user_data);
	void (*release)(void *ptr, void *user_data);
	void *user_data;
	void *reserved; /**< NULL */
} rco_allocator;

/** Severity of a log line. */
enum { RCO_LOG_ERROR = 1, RCO_LOG_WARN = 2, RCO_LOG_INFO = 3, RCO_LOG_DEBUG = 4 };

/**
 * Receives each log line, formatted, without a line break; `message` has
 * `length` bytes and a NUL, valid during the call. Any thread except one that
 * is inside rco_session_push(). Must not call back into the library. Lines
 * hold call ids and paths, never audio, keys or phone numbers. Without a hook
 * nothing is logged: the library never prints.
 */
typedef void (*rco_log_fn)(uint32_t level, const char *message, size_t length, void *user_data);

/**
 * A thread of the library begins (`begins` 1) or ends (0); called on that thread, first and last, so that a host
 * can register it with a runtime (a garbage collector, a profiler, pj_thread_register()), or set its priority.
 * One that a callback ended (pthread_exit()) is told of as well, perhaps when its engine is gone already, and
 * the one that takes its place.
 * `name` is what the system calls it, too, 15 characters at most: "rco-live-0" empties rings, "rco-work-0"
 * uploads and erases (a number for each worker), "rco-flush", "rco-commit", with a spool "rco-spool"; of the
 * control socket "rco-ctl-io", "rco-ctl-stop", "rco-ctl-commit". May block; calls nothing of the library.
 */
typedef void (*rco_thread_fn)(const char *name, int begins, void *user_data);

/**
 * Time, for tests and simulators. Both REQUIRED, callable from any thread,
 * never called from rco_session_push(). `monotonic_us` never goes back.
 * @since 0.1.0
 */
typedef struct rco_clock {
	uint32_t struct_size;
	uint32_t flags; /**< 0 */
	int64_t (*wall_us)(void *user_data);
	int64_t (*monotonic_us)(void *user_data);
	void *user_data;
	void *reserved; /**< NULL */
} rco_clock;

/** Overwrite memory with zeros in a way that the compiler does not remove. @since 0.1.0 */
RCO_API void rco_memzero(void *ptr, size_t size_bytes);

/* ------------------------------------------------------------------------
 * Engine
 * --------------------------------------------------------------------- */

/** Flags of #rco_engine_config. */
enum {
	/** No worker threads: the host calls rco_engine_run() from its event loop. */
	RCO_ENGINE_HOST_DRIVEN = 1u << 0,
	/**
	 * Keep the rings in private memory: frames that were accepted but not yet
	 * flushed are then lost with a crash of the process. Without it, rings that
	 * cannot be reserved in `ring_dir` make rco_engine_create() fail with
	 * #RCO_E_SHARED_MEMORY.
	 */
	RCO_ENGINE_PRIVATE_RINGS = 1u << 1
};

/** When may a call be recorded at all. */
typedef enum rco_consent_policy {
	RCO_CONSENT_DEFAULT = 0,   /**< session: as the engine; engine: implied */
	RCO_CONSENT_IMPLIED = 1,   /**< record from the start, the caller may object */
	RCO_CONSENT_ASK_FIRST = 2, /**< nothing is accepted until consent is granted */
	RCO_CONSENT_OFF = 3        /**< this call is never recorded */
} rco_consent_policy;

/** Kinds of artifact, as bits so that a set of them is a mask. */
enum {
	RCO_KIND_AUDIO = 1u << 0,
	RCO_KIND_TRANSCRIPT = 1u << 1,
	RCO_KIND_ANALYTICS = 1u << 2,
	RCO_KIND_METADATA = 1u << 3 /**< call records; never erased by an opt-out */
};

/** What finished recordings are written as. */
enum {
	RCO_EXPORT_DEFAULT = 0, /**< WAV */
	RCO_EXPORT_WAV = 1,     /**< RIFF/WAVE; G.711 stays G.711 (format tags 6 and 7, RFC 2361) */
	RCO_EXPORT_WAV_ZST = 2  /**< the same inside one zstd stream (RFC 8878): `zstd -d` unpacks it */
};

/** How legs become files. */
enum {
	RCO_LAYOUT_DEFAULT = 0, /**< one file per leg */
	RCO_LAYOUT_PER_LEG = 1, /**< NAME.LABEL.wav for each leg that has audio */
	RCO_LAYOUT_STEREO = 2   /**< two legs of one format in NAME.stereo.wav, the shorter padded
	                             with silence; any other set of legs falls back to one file each */
};

/** "None at all" for a time of #rco_engine_config whose zero means the default. */
#define RCO_NONE_MS 0xffffffffu

/** One thing that happened; see rco_event_fn. */
typedef struct rco_event rco_event;

/**
 * Receives events, in order for each call, on a worker thread or inside
 * rco_engine_run(), rco_engine_create() and rco_engine_free(); #RCO_EVENT_AGENT_CLAIM
 * on the thread that checked the claims. A call's may come before
 * rco_session_create() has returned. The event and its strings are valid during the
 * call. It must not block: the calls of that worker wait for it, their erasures
 * too. May call any function except those marked "not from a callback".
 */
typedef void (*rco_event_fn)(const rco_event *event, void *user_data);

/**
 * How an engine is set up. Only `struct_size` and `state_dir` are REQUIRED.
 * @since 0.1.0
 */
typedef struct rco_engine_config {
	uint32_t struct_size;
	uint32_t flags; /**< RCO_ENGINE_... */

	/** Shared memory for all rings; default 32 MiB, which serves 1,000 two-leg
	 *  8 kHz calls at once. Reserved in full by rco_engine_create(). */
	uint64_t ring_pool_bytes;
	/** Size at which a spool segment is closed and a new one begun; default 64 MiB; 16 GiB if it is more. */
	uint64_t segment_bytes;
	/** Size of the parts in which a recording is uploaded; default 5 MiB. */
	uint64_t upload_part_bytes;
	/** Evidence (ledger files of closed opt-outs) is deleted after this time; 0 keeps it for ever. */
	uint64_t ledger_retention_s;

	/** 1 to offer opt-out; 0, the default, answers #RCO_E_NOT_AVAILABLE (P9). */
	uint32_t opt_out_enabled;
	/** #rco_consent_policy for sessions that do not say. */
	uint32_t consent;
	/** Kinds that an opt-out erases, besides audio which it always erases. */
	uint32_t erase_kinds;
	/** RCO_EXPORT_... */
	uint32_t export_format;
	/** RCO_LAYOUT_... */
	uint32_t export_layout;
	/** Threads that empty the rings; default 1, at most 64. As many again do what waits for a disk or a
	 *  network (uploads, erasures), one flushes the buffer, and one makes requests durable that
	 *  nobody waits for. Fixed for the engine's life; all signals are
	 *  blocked in them. On which processors they run is left to the host: set its own affinity and memory
	 *  policy before rco_engine_create(), the threads inherit them; or in `thread`. */
	uint32_t workers;
	/** Frames reach the buffer, durably, at least this often; default 200. What a power cut can cost. */
	uint32_t flush_interval_ms;
	/** How long after its end a call can still be opted out (P14); default 10,000. #RCO_NONE_MS: not at all.
	 */
	uint32_t late_opt_out_ms;
	/** Delay of the second look for late copies after an erasure; default 60,000. #RCO_NONE_MS: no second
	 * look. */
	uint32_t sweep_delay_ms;
	/** An erasure that is not verified after this time escalates (and goes on); default 3,600,000. */
	uint32_t erase_deadline_ms;
	/** First and largest pause between tries of a failing backend; defaults 500 and 60,000. */
	uint32_t retry_min_ms;
	uint32_t retry_max_ms;
	/** A backend that said PENDING and does not answer within this time has failed; default 30,000. */
	uint32_t backend_timeout_ms;
	/** How long an opt-out for a call not known is kept (P12), in running time: at a start it starts again;
	 * default 86,400 (one day). */
	uint32_t early_opt_out_ttl_s;
	/** How long an ended call is remembered, so that a late request is told "ended"; default 3,600. */
	uint32_t remember_ended_s;
	/** A new key epoch of the built-in spool after this time: see #rco_key_ops; default 86,400. */
	uint32_t key_epoch_s;

	/**
	 * Folder for ledger, spool and keys; made with mode 0700 if its parent exists. REQUIRED. It, `key_dir` and
	 * what is in them have to belong to the process's user or root, may be written by nobody else, and may
	 * hold no links; else #RCO_E_PERMISSION, and the detail says what to do. The folder itself may be a link.
	 * A user who could put another folder in the place of one of these, of `output_dir` or `ring_dir`, is kept
	 * out, too: all folders above, and all links on the way, belong to that user or root, and only those with
	 * the sticky bit may be written by others. Files that others could read get mode 0600 again.
	 */
	const char *state_dir;
	/** Folder of the built-in directory backend, made with mode 0700 if its parent exists; used where `upload`
	 * or `deletion` is NULL, and for artifacts of the host that `deletion` declines (#RCO_E_DECLINED). Of the
	 * process's user or root; its group may write to it, others only if it has the sticky bit; else
	 * #RCO_E_PERMISSION. One that cannot be written at present (read-only, full) is told by the log and
	 * #RCO_EVENT_UPLOAD_RETRY, and tried again. */
	const char *output_dir;
	/** Folder of the default key provider; default `state_dir`/keys. Put it on a RAM disk if you can. Each
	 * engine needs one of its own, else #RCO_E_BUSY. */
	const char *key_dir;
	/** Folder on a tmpfs for the rings; default /dev/shm. Of the process's user or root; if others may write
	 * to it, it needs the sticky bit. */
	const char *ring_dir;

	/**
	 * Backends; NULL for the built-in one (spool; directory). Tables are checked and copied.
	 *
	 * Calls of an earlier process that are not done with stay what they were sent to, or recorded with: the
	 * state folder knows whether that was a built-in backend or one of the host's, and what is in the one is
	 * never said to be erased by the other. Of two tables of the host's it cannot be told whether they are
	 * one: let the first finish its calls before another takes its place.
	 */
	const struct rco_buffer_ops *buffer;
	void *buffer_user_data;
	const struct rco_upload_ops *upload;
	void *upload_user_data;
	const struct rco_deletion_ops *deletion;
	void *deletion_user_data;
	/** Key provider of the built-in spool; NULL for the one in `key_dir`. Never asked on the path of a call.
	 */
	const struct rco_key_ops *keys;
	void *keys_user_data;

	const rco_allocator *allocator; /**< NULL: malloc and free. Copied. */
	const rco_clock *clock;         /**< NULL: the system's clocks. Copied. */
	rco_log_fn log;
	void *log_user_data;
	rco_event_fn event;
	void *event_user_data;

	/** How many opt-outs for calls not yet known (P12) may wait at once, at about 300 bytes each; default
	 * 100,000. One more is refused with #RCO_E_LIMIT: none that waits is forgotten for it, and calls that are
	 * known are not concerned. */
	uint32_t early_opt_outs_max;
	/** Of how many calls whose opt-out is done with the receipt is known by call id, also after a restart, and
	 * late copies are erased; at about 400 bytes each, the latest, as far as the ledger goes back; default
	 * 100,000. */
	uint32_t remember_opt_outs;

	/** Told of each thread of the engine; NULL: nobody. */
	rco_thread_fn thread;
	void *thread_user_data;
	/** The last RCO_LOG_... that reaches `log`: #RCO_LOG_WARN gives errors and warnings; default all. */
	uint32_t log_level;
	uint32_t reserved1; /**< 0 */
} rco_engine_config;

/**
 * Open an engine on a state folder, and take up what an earlier process left:
 * erasures first, then recordings that were not uploaded.
 *
 * Blocks while it reads the folder. On success the caller owns `*engine` and
 * frees it with rco_engine_free().
 *
 * Damaged files never make this fail for ever: they are moved to
 * `state_dir`/quarantine and reported by log, event and rco_engine_get_stats().
 *
 * @return #RCO_OK; #RCO_E_INVALID, #RCO_E_STRUCT_SIZE, #RCO_E_NEWER, #RCO_E_OPS
 *   for a bad config; #RCO_E_BUSY if another engine has the folder, or the
 *   `key_dir`; #RCO_E_NOT_FOUND if the folder above one of them, or what one
 *   is a link to, is not there;
 *   #RCO_E_PERMISSION, #RCO_E_NO_SPACE, #RCO_E_IO for the folders (PERMISSION
 *   also if other users could change what is in one, or did), #RCO_E_STATE
 *   if one of them is a file;
 *   #RCO_E_SHARED_MEMORY for the rings; #RCO_E_VERSION if the folder was
 *   written by a newer library, or its spool by an older one; what the key provider answered, on a folder
 *   that is new (#rco_key_ops);
 *   #RCO_E_LIMIT if the system starts no more threads; #RCO_E_NO_MEMORY.
 * @since 0.1.0
 */
RCO_API int rco_engine_create(const rco_engine_config *config, rco_engine **engine);

/**
 * Shut the engine down: frames in rings reach the buffer, workers end, files
 * are closed. Uploads and erasures that are not finished go on when the folder
 * is opened again; calls still open are then treated as ended, unless they go on
 * (see rco_session_create()). Sessions may be freed before or after; calls on
 * them answer #RCO_E_HANDLE from now on.
 * Waits for slots and callbacks that are running, and for a buffer that answers
 * later about `timeout_ms` in all. Not from a callback, and not while another
 * thread is inside a function of this engine or of its sessions, but for
 * rco_session_push(), rco_frames_push() and rco_session_get_stats(): end those
 * threads first.
 * @return #RCO_OK; #RCO_PENDING the engine is closed, and the buffer has not taken
 *   or flushed all: the log names the calls, and what it lacks is in the rings for
 *   the next start (with #RCO_ENGINE_PRIVATE_RINGS it is lost); #RCO_E_REENTRANT,
 *   #RCO_E_BUSY, #RCO_E_INVALID, #RCO_E_HANDLE, #RCO_E_FORKED it goes on
 * @since 0.2.0
 */
RCO_API int rco_engine_close(rco_engine *engine, uint32_t timeout_ms);

/**
 * rco_engine_close() with `backend_timeout_ms`, for who needs no answer. Ignored,
 * and logged, inside a callback; NULL is ignored.
 * @since 0.1.0
 */
RCO_API void rco_engine_free(rco_engine *engine);

/** Switch opt-out on (1) or off (0) for sessions that follow the engine. What was asked before stands. @since
 * 0.1.0 */
RCO_API int rco_engine_set_opt_out_enabled(rco_engine *engine, int enabled);

/** 1 if opt-out is enabled, 0 if not, negative #rco_error. @since 0.1.0 */
RCO_API int rco_engine_opt_out_enabled(rco_engine *engine);

/**
 * Host-driven mode: do the work that is due, waiting at most `max_wait_ms` for
 * some. One thread at a time.
 * @param budget_us 0, or stop working after about this time, for loops that have
 *   frames to send as well: the step of one call is finished (some slots of
 *   backends, and commits of the ledger), the next call waits. A key provider is asked whatever it is,
 *   once in `key_epoch_s`. New opt-outs come first
 *   and are made durable whatever it is.
 * @return #RCO_OK; #RCO_PENDING the budget was used up, and more is due: call again;
 *   #RCO_E_STATE if the engine has workers; #RCO_E_BUSY if
 *   another thread is inside; #RCO_E_REENTRANT from a callback.
 * @since 0.1.0
 */
RCO_API int rco_engine_run(rco_engine *engine, uint32_t max_wait_ms, uint32_t budget_us);

/**
 * Host-driven mode: a descriptor that becomes readable when there is work, and
 * the time after which rco_engine_run() wants to be called in any case. The
 * descriptor belongs to the engine; only poll it.
 * @return as rco_engine_run()
 * @since 0.1.0
 */
RCO_API int rco_engine_poll(rco_engine *engine, int32_t *fd, uint32_t *timeout_ms);

/**
 * Wait until no call is being drained, uploaded, erased or swept, at most
 * `timeout_ms`; open calls are not waited for. In host-driven mode it runs the
 * engine meanwhile. Not from a callback.
 * @return #RCO_OK, #RCO_E_TIMEOUT, #RCO_E_REENTRANT
 * @since 0.1.0
 */
RCO_API int rco_engine_wait_idle(rco_engine *engine, uint32_t timeout_ms);

/** What an engine is doing now. Written only up to the caller's struct_size. @since 0.1.0 */
typedef struct rco_engine_stats {
	uint32_t struct_size;
	uint32_t flags;              /**< 0 */
	uint64_t sessions_open;      /**< created and not ended */
	uint64_t sessions_recording; /**< of those, recording or paused */
	uint64_t uploads_pending;    /**< ended, not yet stored */
	uint64_t erasures_pending;   /**< opted out, erasure not yet verified */
	uint64_t erasures_escalated; /**< of those, past the deadline: somebody should look */
	uint64_t tombstones_waiting; /**< stopped, not yet durable: the ledger's disk is failing */
	uint64_t opt_outs_early;     /**< noted, for calls not known */
	uint64_t holds;              /**< opted out, kept because of a legal hold */
	uint64_t frames_overflowed;  /**< refused because a ring was full, since the start */
	uint64_t quarantined_files;  /**< set aside when the folder was opened */
	uint64_t ring_bytes_total;
	uint64_t ring_bytes_free;
} rco_engine_stats;

/** Fill `stats`; set its struct_size first. @since 0.1.0 */
RCO_API int rco_engine_get_stats(rco_engine *engine, rco_engine_stats *stats);

/** An opt-out that is not done with. @since 0.1.0 */
typedef struct rco_pending {
	uint32_t struct_size;
	uint32_t flags;    /**< 0 */
	uint32_t status;   /**< #rco_status */
	uint32_t attempts; /**< failed tries so far */
	int64_t requested_us;
	int64_t deadline_us;    /**< it escalates then, or did; wall clock */
	const char *call_id;    /**< valid during the call of the function only, as the next */
	const char *receipt_id; /**< UUID */
} rco_pending;

/** Receives each. No lock is held. Return non-zero to stop. */
typedef int (*rco_pending_fn)(const rco_pending *pending, void *user_data);

/**
 * Every opt-out of a known call whose erasure is not verified yet, among them
 * those that are held, in no order. What changes meanwhile may or may not be seen.
 * @return #RCO_OK; #RCO_E_INVALID, #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_engine_each_pending(rco_engine *engine, rco_pending_fn fn, void *user_data);

/**
 * The Ed25519 public key (RFC 8032) that receipts of this state folder are
 * signed with. Publish it to those who verify receipts. 32 bytes.
 * @since 0.1.0
 */
RCO_API int rco_engine_public_key(rco_engine *engine, uint8_t key[32]);

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
 * a slot or callback, and before the slot has returned. Not after `detach`.
 * @param code #RCO_OK or what went wrong
 * @param result as the slot would have filled it; NULL: nothing is confirmed
 * @return #RCO_OK; #RCO_E_STALE if it was answered before, timed out, or
 *   answered synchronously; nothing happens then. #RCO_E_INVALID,
 *   #RCO_E_STRUCT_SIZE, #RCO_E_HANDLE
 * @since 0.1.0
 */
RCO_API int rco_op_complete(rco_engine *engine, uint64_t op, int code, const rco_result *result);

/* ------------------------------------------------------------------------
 * Recorder: the host's own recording machinery
 * --------------------------------------------------------------------- */

/** What a host-recorded session asks of the recorder. */
typedef enum rco_recorder_action {
	RCO_RECORDER_START = 1,
	RCO_RECORDER_STOP = 2, /**< close and write no more; the file may stay, the library erases it */
	RCO_RECORDER_PAUSE = 3,
	RCO_RECORDER_RESUME = 4
} rco_recorder_action;

/**
 * One recorder callback. Return #RCO_OK when it is done and set
 * `result->confirmed` to RCO_CONFIRM_DONE (a zero return alone does not count);
 * #RCO_PENDING to answer later with rco_op_complete(engine, op, ...); anything
 * else has failed. `result` is valid during the call only. Runs on the thread
 * that called the session function, or on a worker for a repeated try; may
 * block, but the caller of rco_opt_out() waits for it. A stop that was not
 * confirmed is repeated until it is. May be called again after it succeeded:
 * stopping twice must be harmless.
 *
 * A start that failed with #RCO_E_DECLINED, #RCO_E_INVALID, #RCO_E_STATE,
 * #RCO_E_LIMIT, #RCO_E_FORMAT, #RCO_E_BUSY, #RCO_E_PERMISSION, #RCO_E_NOT_FOUND,
 * #RCO_E_NOT_AVAILABLE, #RCO_E_NO_SPACE or #RCO_E_NO_MEMORY was refused: nothing
 * is recorded. After any other code, a number of the host's own too, it may be
 * recording all the same, and `stop` is called when the caller objects.
 */
typedef int (*rco_recorder_fn)(const char *call_id, uint64_t op, rco_result *result, void *user_data);

/** Flags of #rco_recorder_ops. */
enum {
	/**
	 * It keeps nothing of its own: all that it records is pushed into its session. Then there is no file of it
	 * to be registered, and nothing of it outlives the process. Without this a call that it recorded is called
	 * erased only when a file of its audio is registered, and gone, whatever was pushed besides. @since 0.2.0
	 */
	RCO_RECORDER_PUSHES = 1u << 0
};

/** Callbacks of a host-recorded session. @since 0.1.0 */
typedef struct rco_recorder_ops {
	uint32_t struct_size;
	uint32_t flags;         /**< RCO_RECORDER_... */
	rco_recorder_fn start;  /**< REQUIRED */
	rco_recorder_fn stop;   /**< REQUIRED */
	rco_recorder_fn pause;  /**< optional; without it pausing a host-recorded session answers #RCO_E_OPS */
	rco_recorder_fn resume; /**< REQUIRED if pause is set */
} rco_recorder_ops;

/* ------------------------------------------------------------------------
 * Session: one call
 * --------------------------------------------------------------------- */

/**
 * Audio formats of a leg. G.711 is ITU-T G.711, one byte a sample. S16 is
 * linear PCM, 16 bit signed, in the host's byte order (not the network order
 * of RFC 3551's L16). One channel.
 */
typedef enum rco_format {
	RCO_FORMAT_PCMU_8K = 1,
	RCO_FORMAT_PCMA_8K = 2,
	RCO_FORMAT_S16_8K = 3,
	RCO_FORMAT_S16_16K = 4,
	RCO_FORMAT_S16_24K = 5,
	RCO_FORMAT_S16_48K = 6
} rco_format;

/** Samples per second of a format, 0 if unknown. @since 0.1.0 */
RCO_API uint32_t rco_format_rate_hz(uint32_t format);

/** Bytes of one sample of a format, 0 if unknown. @since 0.1.0 */
RCO_API uint32_t rco_format_sample_bytes(uint32_t format);

/** Whether a session follows the engine's switch. */
enum { RCO_OPT_OUT_INHERIT = 0, RCO_OPT_OUT_ENABLED = 1, RCO_OPT_OUT_DISABLED = 2 };

/** Flags of #rco_session_options. */
enum {
	/**
	 * For event loops: rco_session_start(), _pause(), _resume(), _end(), _set_consent(), _set_legal_hold()
	 * and _register_artifact() of this session call no recorder and wait for no disk. What can be done at once
	 * is done (frames are refused, a hold is in force); the rest is done by threads of the engine, in
	 * host-driven mode by rco_engine_run(). The function then answers #RCO_PENDING, and
	 * #RCO_EVENT_REQUEST_DONE tells with what it would have been answered otherwise; a consent that is
	 * declined is told of as an opt-out with #RCO_OPT_OUT_NONBLOCK. A `recorder` should not block either, but
	 * answer #RCO_PENDING: other calls of that worker wait for it. Functions that name the call by its id, or
	 * its recording's, wait.
	 */
	RCO_SESSION_NONBLOCK = 1u << 0
};

/** How a session is set up. `struct_size` and `call_id` are REQUIRED. @since 0.1.0 */
typedef struct rco_session_options {
	uint32_t struct_size;
	uint32_t flags;      /**< RCO_SESSION_... */
	uint32_t consent;    /**< #rco_consent_policy; 0 as the engine */
	uint32_t opt_out;    /**< RCO_OPT_OUT_INHERIT, _ENABLED or _DISABLED: the switch per agent */
	uint32_t legal_hold; /**< 1: an opt-out stops the recording but does not erase it, and says so */
	uint32_t reserved0;  /**< 0 */
	/** The host's opaque id of this call, 1 to 255 bytes of UTF-8 without control characters. */
	const char *call_id;
	/** For host-recorded calls; NULL if all audio is pushed. Checked and copied. */
	const rco_recorder_ops *recorder;
	void *recorder_user_data;
	void *user_data; /**< yours: given back in each event of this session, and never looked at */
	void *reserved1; /**< NULL */
} rco_session_options;

/** Where a session stands. The order is not a ranking. */
typedef enum rco_session_state {
	RCO_STATE_IDLE = 1,
	RCO_STATE_RECORDING = 2,
	RCO_STATE_PAUSED = 3,
	RCO_STATE_ENDED = 4,     /**< hung up, being drained */
	RCO_STATE_UPLOADING = 5, /**< commit waits for the window of P14 */
	RCO_STATE_STORED = 6,
	RCO_STATE_OPTED_OUT = 7, /**< stopped for good; what becomes of the recording is told by the receipt */
	RCO_STATE_CLOSED = 8     /**< ended with nothing recorded */
} rco_session_state;

/** Name of a state, "recording"; "unknown" otherwise. Static. @since 0.1.0 */
RCO_API const char *rco_session_state_name(uint32_t state);

/**
 * Begin a session, in state IDLE. If an opt-out for this call id is waiting
 * (P12) the session is born opted out, and nothing is recorded. Such a call goes
 * on as a call: rco_session_add_leg(), rco_session_start() and pushing then answer
 * #RCO_E_OPTED_OUT, here as after any opt-out between two of your steps; that is no
 * failure, the leg is not there, and nothing is to be pushed.
 * The caller owns `*session`.
 *
 * A call is over when the host has said so (rco_session_end(),
 * rco_session_free()). One that was live when an earlier process died, or freed
 * its engine, goes on if a session of its id is made while the recovered call
 * can still be opted out (`late_opt_out_ms` from the start; for one that was opted
 * out already 10 seconds at least). If it was opted out it still is: same receipt, frames refused, the recorder's
 * `start` not called. If not, what earlier processes recorded of it is a part of this call: stored, in files of
 * its own, when this session is, and erased when this one is opted out. A legal hold is one of all parts,
 * whichever it was set for.
 * @return #RCO_OK; #RCO_E_CALL_ID; #RCO_E_CALL_EXISTS while a call of that id
 *   has not ended; #RCO_E_OPS for a bad recorder table; #RCO_E_INVALID,
 *   #RCO_E_STRUCT_SIZE, #RCO_E_NEWER, #RCO_E_HANDLE, #RCO_E_FORKED, #RCO_E_NO_MEMORY
 * @since 0.1.0
 */
RCO_API int rco_session_create(rco_engine *engine, const rco_session_options *options, rco_session **session);

/**
 * Add a leg (a direction of audio) before or during recording. `label` is
 * 1 to 31 of [a-z0-9_-], different for each leg, and becomes part of file
 * names. `*leg` gets its number, counted from 0. Reserves the leg's ring of at
 * least one second.
 * @return #RCO_OK; #RCO_E_FORMAT; #RCO_E_INVALID for the label; #RCO_E_LIMIT
 *   for a ninth leg or when `ring_pool_bytes` is used up; #RCO_E_ENDED;
 *   #RCO_E_OPTED_OUT; #RCO_E_NO_MEMORY
 * @since 0.1.0
 */
RCO_API int rco_session_add_leg(rco_session *session, const char *label, uint32_t format, uint32_t *leg);

/**
 * Start recording: the recorder's `start` is called, pushed frames are
 * accepted. That a recorder is told to start is written to the journal before,
 * for it may outlive this process. With #RCO_CONSENT_ASK_FIRST and no consent yet the start is
 * remembered and takes effect when consent is granted.
 * @return #RCO_OK; #RCO_E_STATE if started before; #RCO_E_ENDED;
 *   #RCO_E_OPTED_OUT; #RCO_E_NO_CONSENT with #RCO_CONSENT_OFF;
 *   #RCO_E_CALLBACK if the recorder refused (the session stays IDLE)
 * @since 0.1.0
 */
RCO_API int rco_session_start(rco_session *session);

/**
 * Push one frame of a leg: any whole number of samples, 20 ms as a rule.
 *
 * For media threads: no system call, no lock, no allocation, no waiting. One
 * thread at a time for each leg. Each frame is accepted whole or not at all.
 * The frame comes right behind the last one that was accepted (#RCO_POSITION_NEXT):
 * time without frames (silence suppression, lost packets, pauses, refused frames, the
 * time before a leg that begins late) is missing from the recording. A host that knows
 * when a frame was sounds, pushes it with its position, by rco_frames_push().
 *
 * @param format the frame's format, which must be the leg's: catches a payload
 *   type that changed under way
 * @param size_bytes bytes in `data`, a multiple of the sample size
 * @return #RCO_OK accepted; #RCO_E_OPTED_OUT, #RCO_E_PAUSED, #RCO_E_ENDED,
 *   #RCO_E_NOT_STARTED, #RCO_E_NO_CONSENT not recording; #RCO_E_OVERFLOW the
 *   ring is full (counted, told by an event); #RCO_E_FORMAT; #RCO_E_FRAME;
 *   #RCO_E_BUSY another thread is pushing this leg; #RCO_E_INVALID no such leg;
 *   #RCO_E_HANDLE; #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_session_push(rco_session *session, uint32_t leg, uint32_t format, const void *data,
                             size_t size_bytes);

/** A frame's position: right behind the last one of its leg. */
#define RCO_POSITION_NEXT UINT64_MAX

/** So far ahead of its leg's end, in seconds, a frame may be: a day. */
#define RCO_GAP_MAX_S 86400

/** A frame for rco_frames_push(). Its layout does not change: arrays of it are passed. @since 0.1.0 */
typedef struct rco_frame {
	rco_session *session;
	const void *data;
	/**
	 * Where the frame begins on its leg's clock, in samples at the leg's rate; or #RCO_POSITION_NEXT.
	 * 0 is the beginning of the recording, not "next": of frames that all say 0 the first one is taken.
	 * @since 0.2.0
	 */
	uint64_t position;
	uint32_t size_bytes;
	uint32_t leg;
	uint32_t format;
	uint32_t flags;    /**< 0; anything else, or in `reserved`, is #RCO_E_NEWER for this frame */
	int32_t result;    /**< written: what rco_session_push() would have returned, or one of the codes below */
	uint32_t reserved; /**< 0 */
} rco_frame;

/**
 * Push frames that know their position, of one call or of many, as a timer of 20 ms
 * or one recvmmsg() brings them. Each is pushed as by rco_session_push(), in order, and has its own
 * result; one that is refused does not keep the others. It is faster than as
 * many single pushes when there are so many calls that none is in the cache:
 * the memory of the next ones is fetched while one is copied.
 *
 * **Media time.** The clock is yours: 0 is a moment that you choose, the same one for all
 * legs of a session, as a rule that of rco_session_start(); of RTP it is the timestamp less
 * that of 0, counted on when it wraps. A frame ahead of its leg's end leaves a **gap**,
 * which takes no room in the ring and none on the buffer's disk, and is silence in the
 * finished file: so silence suppression, lost packets, legs that begin late, pauses
 * and files of two channels are aligned to the sample. One that begins before its leg's end is late, or
 * overlaps, and is refused with #RCO_E_POSITION: packets have to be put in order before. So is
 * one that is more than #RCO_GAP_MAX_S ahead, for its clock has jumped: start again with #RCO_POSITION_NEXT, or
 * with a zero that fits. Frames with a position and without may follow each other.
 *
 * A leg's ring holds 31 gaps besides its audio: a frame behind one more, before the
 * buffer has taken the first of them, is refused with #RCO_E_OVERFLOW.
 *
 * No two frames of one leg may be pushed at the same time by two threads. Free no
 * session of the batch before this has returned.
 *
 * @return how many were accepted; #RCO_E_INVALID if `frames` is NULL and
 *   `count` is not 0. Results of a frame: those of rco_session_push(); #RCO_E_POSITION (counted);
 *   #RCO_E_NEWER. Negative: nothing of that frame was taken, and its gap neither.
 * @since 0.1.0
 */
RCO_API int32_t rco_frames_push(rco_frame *frames, uint32_t count);

/**
 * Pause: frames are refused with #RCO_E_PAUSED, the recorder's `pause` is called. Harmless when paused.
 * @return #RCO_OK; #RCO_PENDING frames are refused, and the recorder has not confirmed its pause: it answers
 * later, or it failed, which rco_error_detail() says, and is asked again by the next call; #RCO_E_OPTED_OUT,
 * #RCO_E_ENDED, #RCO_E_NOT_STARTED; #RCO_E_OPS the recorder cannot pause; #RCO_E_INVALID, #RCO_E_HANDLE,
 * #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_session_pause(rco_session *session);

/** Resume after a pause. Harmless when recording. Codes as of rco_session_pause(): #RCO_E_OPTED_OUT never resumes.
 * @since 0.1.0 */
RCO_API int rco_session_resume(rco_session *session);

/**
 * The call is over. What was recorded is uploaded, and committed when the
 * window of P14 has passed without an opt-out. The recorder's `stop` is called
 * if it was started.
 * @return #RCO_OK; #RCO_E_ENDED if it had ended before
 * @since 0.1.0
 */
RCO_API int rco_session_end(rco_session *session);

/**
 * The caller answered the question for consent. Granted consent lets a session
 * with #RCO_CONSENT_ASK_FIRST record; declined equals an opt-out (also where
 * opt-out is not enabled) and is as final.
 * @param granted 1 or 0
 * @return #RCO_OK; #RCO_PENDING declined, and something is outstanding, as of
 *   rco_opt_out(); #RCO_E_OPTED_OUT for a grant after an opt-out; #RCO_E_ENDED
 * @since 0.1.0
 */
RCO_API int rco_session_set_consent(rco_session *session, int granted);

/**
 * Set (1) or lift (0) a legal hold. An opt-out of a held call stops the
 * recording and keeps what was recorded: it is stored when the call ends, with
 * a call record that says so, until the hold is lifted, which starts the
 * erasure. Setting it after an opt-out answers #RCO_E_OPTED_OUT, unless the call
 * is held already. It is known
 * to a later process when this returns #RCO_OK; waits for the journal's disk.
 * @return #RCO_OK; #RCO_PENDING a hold to be set is in force until the process
 *   ends, but the journal cannot be written: call again; #RCO_E_OPTED_OUT;
 *   #RCO_E_ENDED it can no longer be opted out, so that there is nothing to hold it from;
 *   #RCO_E_INVALID; #RCO_E_NOT_DURABLE the journal cannot be written, and the
 *   hold that was to be lifted stays: call again
 * @since 0.1.0
 */
RCO_API int rco_session_set_legal_hold(rco_session *session, int hold);

/**
 * Lift the legal hold of every call of this id that the engine knows, also after
 * a restart: a hold is one of its call, and stays when a later call has the id.
 * rco_session_set_legal_hold() lifts that of one.
 * @return #RCO_OK; #RCO_E_NOT_FOUND if none is held; #RCO_E_NOT_DURABLE one of
 *   them stays: call again; #RCO_E_CALL_ID, #RCO_E_INVALID, #RCO_E_HANDLE,
 *   #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_engine_lift_legal_hold(rco_engine *engine, const char *call_id);

/**
 * Register a copy of the recording, or something derived from it, that the
 * library did not make: it is erased with the call. After an opt-out it is
 * erased at once (audio, and the kinds of `erase_kinds`), for as long as the
 * call is remembered (by its id: also after a restart, see `remember_opt_outs`).
 * Other kinds are kept. Durable on return: blocks for one group commit.
 *
 * What writes the file has to be stopped by you before the opt-out, or be the
 * session's `recorder`, which the opt-out stops: the library cannot stop a writer
 * that it does not know. A file with a second hard link is not erased.
 *
 * A name belongs to one call at a time. Register it before the recorder writes
 * there. Another call that registered the same one (its place, with links on
 * the way followed, and its version, which an absolute path has none of where
 * there is an `output_dir`) keeps it for as long as its file may be there:
 * until it is erased, or, of a call that is kept, as long as this engine
 * remembers it and the file is still the one that it was. Then it is the later
 * call's, and no second look for late copies of the earlier one touches it.
 * What is found there and nobody registered is a late copy. Of a host's own
 * store nobody can see whether a file is another one: the name of a kept call
 * stays its own while that is remembered.
 *
 * The library's own files are nobody's to register: what is in the state folder,
 * the key folder and the spool, rings, a control socket and its lock,
 * `.recoptout-store`, and in `output_dir` the recordings of other calls, stored
 * or on their way. Nor are those of another engine, running or not, which are
 * known by the files that their folders hold, and by their names. Paths are
 * judged by where they lead, whatever they are spelt like; hard links, too. What
 * a recorder of the host writes into `output_dir` under names of its own is not
 * among them.
 * @param kind one of RCO_KIND_...
 * @param location what the deletion backend understands: for the directory
 *   backend the absolute path of a regular file, which need not be there yet;
 *   1 to 4,095 bytes; no name in it above 255 bytes, and no place where nobody
 *   can remove a file (/proc, /sys). Links on the way count as they lead now:
 *   what is put there later is not followed, and the erasure waits until it is
 *   put right
 * @param version the store's version id, up to 1,024 bytes, or NULL for all versions; the directory
 *   backend has none and takes every one for the file
 * @return #RCO_OK registered (or, after an opt-out, its erasure begun);
 *   #RCO_E_INVALID, also if a link, a folder or a device is there, or a link on
 *   the way belongs to neither the process's user, nor root, nor the file's
 *   owner, or no file can be there (of the directory backend), and for a file of
 *   the library's own, also another engine's;
 *   #RCO_E_ENDED when the call is stored;
 *   #RCO_E_BUSY nothing was registered: another call, which the detail names, has
 *   this name, or its recording is there; #RCO_E_NO_MEMORY;
 *   #RCO_PENDING registered, but a crash could lose it: call again
 * @since 0.1.0
 */
RCO_API int rco_session_register_artifact(rco_session *session, uint32_t kind, const char *location,
                                          const char *version);

/** The same by call id, for whatever finishes after the session was freed. #RCO_E_NOT_FOUND. @since 0.1.0 */
RCO_API int rco_engine_register_artifact(rco_engine *engine, const char *call_id, uint32_t kind,
                                         const char *location, const char *version);

/**
 * The recorder of a call that an earlier process started has stopped, as the
 * host or an operator has seen to. The callbacks died with that process, so
 * that nobody can ask it; until this is said an opt-out of the call stays
 * #RCO_STATUS_REQUESTED, and pending. Said of an id, it is said of every call of
 * it of which that is not known. Durable on return.
 * @return #RCO_OK; #RCO_E_STATE if there is no such doubt; #RCO_E_NOT_FOUND;
 *   #RCO_PENDING said, but a crash could lose it: call again;
 *   #RCO_E_INVALID, #RCO_E_CALL_ID, #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_engine_recorder_stopped(rco_engine *engine, const char *call_id);

/** 1 if this call can be opted out: its own switch, or the engine's. Negative: #RCO_E_INVALID,
 * #RCO_E_HANDLE, #RCO_E_FORKED. @since 0.1.0 */
RCO_API int rco_session_opt_out_enabled(rco_session *session);

/** Counters of a call. Written only up to the caller's struct_size. @since 0.1.0 */
typedef struct rco_session_stats {
	uint32_t struct_size;
	uint32_t flags;             /**< 0 */
	uint32_t state;             /**< #rco_session_state */
	uint32_t legs;              /**< number of legs */
	int64_t created_us;         /**< wall clock */
	int64_t started_us;         /**< 0 if never */
	int64_t ended_us;           /**< 0 if not yet */
	int64_t stopped_us;         /**< when an opt-out stopped it, else 0 */
	uint64_t accepted_bytes;    /**< audio accepted, all legs; without gaps */
	uint64_t accepted_frames;   /**< frames accepted, all legs */
	uint64_t overflowed_frames; /**< frames refused because the ring was full */
	uint64_t buffered_bytes;    /**< of those accepted, passed on to the buffer backend; without gaps */
	uint64_t late_frames;       /**< frames refused with #RCO_E_POSITION @since 0.2.0 */
	/** silence that the gaps between frames stand for, all legs: with accepted_bytes the length of the legs.
	 * Of a call of an earlier process as far as known; what is not counts as accepted. @since 0.2.0 */
	uint64_t gap_bytes;
	uint8_t recording_id[16]; /**< binary UUID (RFC 4122) of the recording */
} rco_session_stats;

/** Fill `stats`; set its struct_size first. @since 0.1.0 */
RCO_API int rco_session_get_stats(rco_session *session, rco_session_stats *stats);

/**
 * The call record as one line of JSON (RFC 8259): ids, times, legs, counters,
 * and the opt-out if there was one. The same text is stored beside the audio.
 * It is kept after an opt-out (P8).
 * @param buf receives the text and a NUL; may be NULL if `cap` is 0
 * @param len gets the length without the NUL, also with #RCO_E_LIMIT
 * @return #RCO_OK; #RCO_E_LIMIT if `cap` is too small; 8192 always suffice
 * @since 0.1.0
 */
RCO_API int rco_session_call_record(rco_session *session, char *buf, size_t cap, size_t *len);

/**
 * Give the handle back. A call that has not ended is ended. Uploads and
 * erasures go on. Safe while another thread is inside rco_session_push() or
 * rco_opt_out() of this session; calls that begin afterwards answer
 * #RCO_E_HANDLE as long as the memory has not been used again, which is not to
 * be relied on. NULL is ignored.
 * @since 0.1.0
 */
RCO_API void rco_session_free(rco_session *session);

/* ------------------------------------------------------------------------
 * Opt-out
 * --------------------------------------------------------------------- */

/**
 * What is true about an opt-out. Only what a backend confirmed is ever
 * reported (P7). The higher of DURABLE, ERASED and VERIFIED includes the lower.
 * REQUESTED and NOTED say nothing about a recording: neither that there is one
 * nor that there is none. The call of a NOTED wish may be one that another
 * system records, one that is over, or a mistyped id; when a call of that id
 * begins here, the receipt is that call's, and its status follows it.
 */
typedef enum rco_status {
	/** no opt-out, or a status that this library does not know */
	RCO_STATUS_UNKNOWN = 0,
	/** asked; no recorder has confirmed its stop, or the disk has not confirmed a wish for a call not known */
	RCO_STATUS_REQUESTED = 1,
	/** nothing is accepted any more; not yet on disk, or no file of the host's recorder is registered */
	RCO_STATUS_STOPPED = 2,
	/** stopped, and survives a crash; erasure is under way */
	RCO_STATUS_DURABLE = 3,
	/** stopped and durable; a backend failed to erase, retried */
	RCO_STATUS_RETRYING = 4,
	/** every copy was removed, as the backends confirmed */
	RCO_STATUS_ERASED = 5,
	/** and a second look found nothing */
	RCO_STATUS_VERIFIED = 6,
	/** not erased within `erase_deadline_ms`; still retried, somebody should look */
	RCO_STATUS_OVERDUE = 7,
	/** stopped and durable; no recording of this call was made */
	RCO_STATUS_NOT_RECORDING = 8,
	/** stopped and durable; kept because of a legal hold */
	RCO_STATUS_HELD = 9,
	/** durable; this engine knows no such call, and the wish waits for one of this id */
	RCO_STATUS_NOTED = 10
} rco_status;

/** Name of a status, "verified"; "unknown" otherwise. Static. @since 0.1.0 */
RCO_API const char *rco_status_name(uint32_t status);

/** Flags of #rco_opt_out_options. */
enum {
	/**
	 * For event loops and media threads: stop, and return #RCO_PENDING at once.
	 * The recorder's stop, the durable record and the erasure follow on a
	 * worker, each told by an event. Makes one write() to a descriptor to wake it.
	 */
	RCO_OPT_OUT_NONBLOCK = 1u << 0,
	/** The host's recorder was asked to stop, by rco_engine_stop_recorder(), and is not asked here. */
	RCO_OPT_OUT_RECORDER_ASKED = 1u << 1
};

/** How to opt out; NULL means all defaults. @since 0.1.0 */
typedef struct rco_opt_out_options {
	uint32_t struct_size;
	uint32_t flags;       /**< RCO_OPT_OUT_... */
	uint32_t wait_status; /**< 0, or RCO_STATUS_ERASED or _VERIFIED: wait for it ... */
	/** ... at most this long, from when the request is durable; 0: not at all. A call that is held cannot come
	 * to it and is answered at once, as after that time; one that was not recorded, or is not known, with
	 * #RCO_OK. Not from a callback. */
	uint32_t timeout_ms;
	/** Who asked, for the receipt: "agent-tool", "dtmf"; up to 31 of [a-z0-9_.-]; NULL: "api". */
	const char *source;
	void *reserved; /**< NULL */
} rco_opt_out_options;

/**
 * The caller objects: stop recording this call, and erase what was recorded.
 *
 * A negative code: nothing was done. Otherwise no frame of this session is
 * accepted any more when it returns (P1, P13). #RCO_OK also means that it is
 * durable (P3) and that the host's recorder confirmed its stop. It cannot be
 * undone; asking again, from any thread, returns the same receipt id with what
 * is known by then (P6).
 *
 * Blocks for the host recorder's `stop` and for one group commit of the ledger.
 *
 * #RCO_PENDING: the opt-out stands, and something is outstanding.
 * rco_receipt_code() says what:
 * - #RCO_PENDING with #RCO_OPT_OUT_NONBLOCK, or durable and the host's recorder
 *   answers its stop later: told by #RCO_EVENT_DURABLE and #RCO_EVENT_STOPPED;
 * - #RCO_E_CALLBACK durable, but the host's recorder did not confirm its stop:
 *   it is asked again until it does, told by #RCO_EVENT_STOPPED;
 * - #RCO_E_NOT_DURABLE stopped, but the ledger cannot be written: retried, told
 *   by #RCO_EVENT_DURABLE;
 * - #RCO_E_TIMEOUT durable, but `wait_status` not reached (in host-driven mode
 *   another thread has to run the engine);
 * - #RCO_E_REENTRANT durable, but waiting is not possible in a callback.
 *
 * @param options NULL for the defaults
 * @param receipt NULL, or gets a receipt to be freed with rco_receipt_free() with
 *   #RCO_OK and #RCO_PENDING. If memory for it is short it is NULL and the
 *   opt-out stands all the same.
 * @return #RCO_OK stopped and durable; #RCO_PENDING stopped, see above;
 *   #RCO_E_NOT_AVAILABLE not enabled; #RCO_E_ENDED after the window of P14;
 *   #RCO_E_INVALID, #RCO_E_STRUCT_SIZE, #RCO_E_NEWER, #RCO_E_HANDLE,
 *   #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_opt_out(rco_session *session, const rco_opt_out_options *options, rco_receipt **receipt);

/**
 * The same by call id: the latest call of that id, also one that was opted out
 * before a restart and is done with: it gets the same receipt.
 *
 * All parts of that call are erased, if it went on over a restart (see
 * rco_session_create()), and the receipt says "erased" when all of them are. A
 * call that the host ended, and whose id comes again, as the name of a channel
 * does, is another call: it is not touched.
 *
 * A call that this engine does not know is **noted**, durably: the wish applies
 * to the next session of that id within `early_opt_out_ttl_s` (P12), and the status
 * is #RCO_STATUS_NOTED. Look at it: nothing was stopped, and if the id is not
 * one that your server gives its sessions, the call goes on being recorded. So
 * it is with a kept call that was stored and is forgotten (`remember_ended_s`,
 * or a restart).
 *
 * Where a call was opted out more than `remember_ended_s` before, the id may be
 * another call's by now: the receipt is the old one, and the wish is noted as
 * well.
 *
 * @return as rco_opt_out(); #RCO_OK with #RCO_STATUS_NOTED stopped nothing; #RCO_E_CALL_ID; only for a call not
 * known, and nothing was kept: #RCO_E_LIMIT when `early_opt_outs_max` wait already, #RCO_E_NO_MEMORY
 * @since 0.1.0
 */
RCO_API int rco_engine_opt_out(rco_engine *engine, const char *call_id, const rco_opt_out_options *options,
                               rco_receipt **receipt);

/** The receipt of a call that was opted out, as of now. #RCO_E_NOT_FOUND if it was not. @since 0.1.0 */
RCO_API int rco_session_receipt(rco_session *session, rco_receipt **receipt);

/** The same by call id, also of a wish that is noted, and of the latest `remember_opt_outs` calls that are done
 * with, as far as the ledger goes back. @since 0.1.0 */
RCO_API int rco_engine_receipt(rco_engine *engine, const char *call_id, rco_receipt **receipt);

/*
 * By recording. A call id stands for the latest call of it, and may come again, as the name of a channel does; the
 * id of a recording (rco_session_stats, rco_event, rco_receipt_recording_id(), the names of stored files) is one
 * call's for ever. Of a call that went on over a restart and has several, each stands for all of it. All of these
 * answer #RCO_E_NOT_FOUND for a recording that this engine does not know, or no longer (`remember_ended_s`; of
 * opt-outs that are done with `remember_opt_outs`, until another call has their call id), and nothing is noted
 * then.
 */

/** Opt out the call that has this recording. @return as rco_opt_out(); #RCO_E_NOT_FOUND. @since 0.2.0 */
RCO_API int rco_recording_opt_out(rco_engine *engine, const uint8_t recording_id[16],
                                  const rco_opt_out_options *options, rco_receipt **receipt);

/** Its receipt, as rco_session_receipt(). #RCO_E_NOT_FOUND also if it was not opted out. @since 0.2.0 */
RCO_API int rco_recording_receipt(rco_engine *engine, const uint8_t recording_id[16], rco_receipt **receipt);

/** As rco_session_register_artifact(); #RCO_E_NOT_FOUND. @since 0.2.0 */
RCO_API int rco_recording_register_artifact(rco_engine *engine, const uint8_t recording_id[16], uint32_t kind,
                                            const char *location, const char *version);

/** As rco_session_set_legal_hold(): of this call alone, also after a restart; #RCO_E_NOT_FOUND. @since 0.2.0 */
RCO_API int rco_recording_set_legal_hold(rco_engine *engine, const uint8_t recording_id[16], int hold);

/** As rco_engine_recorder_stopped(), of this call alone. @since 0.2.0 */
RCO_API int rco_recording_recorder_stopped(rco_engine *engine, const uint8_t recording_id[16]);

/* ------------------------------------------------------------------------
 * Receipt
 * --------------------------------------------------------------------- */

/** Facts in a receipt, as bits. */
enum {
	RCO_FACT_STOPPED = 1u << 0,    /**< nothing is accepted any more, the recorder confirmed */
	RCO_FACT_DURABLE = 1u << 1,    /**< survives a crash */
	RCO_FACT_ERASED = 1u << 2,     /**< every backend confirmed */
	RCO_FACT_VERIFIED = 1u << 3,   /**< and was looked at again */
	RCO_FACT_HELD = 1u << 4,       /**< a legal hold is in force */
	RCO_FACT_RECORDED = 1u << 5,   /**< there was something to erase */
	RCO_FACT_EARLY = 1u << 6,      /**< asked before this engine knew the call */
	RCO_FACT_AFTER_END = 1u << 7,  /**< asked in the window after hang-up */
	RCO_FACT_SWEPT = 1u << 8,      /**< looked for late copies once more, `sweep_delay_ms` after that */
	RCO_FACT_RECOVERED = 1u << 9,  /**< taken up by a later process after a crash */
	RCO_FACT_ESCALATED = 1u << 10, /**< the deadline has passed */
	/** the host's recorder recorded, and no audio of it is registered: nothing is known that could be erased
	 */
	RCO_FACT_UNREGISTERED = 1u << 11
};

/** Moments in a receipt. */
enum {
	RCO_TIME_REQUESTED = 1,
	RCO_TIME_STOPPED = 2,
	RCO_TIME_DURABLE = 3,
	RCO_TIME_ERASED = 4,
	RCO_TIME_VERIFIED = 5,
	RCO_TIME_ISSUED = 6 /**< when this receipt was given: what it says was true then */
};

/** UUID of the receipt, 36 characters. Valid until the receipt is freed. @since 0.1.0 */
RCO_API const char *rco_receipt_id(const rco_receipt *receipt);

/** Call id. Valid until the receipt is freed. @since 0.1.0 */
RCO_API const char *rco_receipt_call_id(const rco_receipt *receipt);

/** Binary UUID of the recording, 16 bytes; zeros for a wish that is noted, and for NULL. Valid until the receipt
 * is freed. @since 0.2.0 */
RCO_API const uint8_t *rco_receipt_recording_id(const rco_receipt *receipt);

/** Who asked. Valid until the receipt is freed. @since 0.1.0 */
RCO_API const char *rco_receipt_source(const rco_receipt *receipt);

/** #rco_status; RCO_STATUS_UNKNOWN for NULL. @since 0.1.0 */
RCO_API uint32_t rco_receipt_status(const rco_receipt *receipt);

/**
 * Why the request that gave this receipt was answered with #RCO_PENDING: see
 * rco_opt_out(). #RCO_OK if it was answered with that, and of receipts that were
 * asked for later (rco_session_receipt(), rco_engine_receipt()). Not a part of
 * the signed text.
 * @since 0.1.0
 */
RCO_API int rco_receipt_code(const rco_receipt *receipt);

/** RCO_FACT_... bits; 0 for NULL. @since 0.1.0 */
RCO_API uint32_t rco_receipt_facts(const rco_receipt *receipt);

/** Wall-clock time of a moment (RCO_TIME_...), 0 if it has not come. @since 0.1.0 */
RCO_API int64_t rco_receipt_time_us(const rco_receipt *receipt, uint32_t moment);

/** Room that rco_receipt_to_json() always fits in, with its NUL. */
#define RCO_RECEIPT_JSON_MAX 4096

/**
 * The receipt as one line of ASCII JSON, signed: the member "sig" is the
 * Ed25519 signature (RFC 8032, base64 of RFC 4648) of
 * "librecoptout-receipt-v1\n" followed by all bytes before `,"sig":`.
 * "issued_at" is when it was given, "ledger_seq" and "ledger_hash" the head of
 * the ledger's chain then (docs/ledger-format.md, which lists all members).
 * @param len gets the length without the NUL
 * @return #RCO_OK; #RCO_E_LIMIT if `cap` is too small, with `*len` set
 * @since 0.1.0
 */
RCO_API int rco_receipt_to_json(const rco_receipt *receipt, char *buf, size_t cap, size_t *len);

/**
 * Verify a receipt without an engine, with the public key you got by another
 * way than the receipt itself. A genuine receipt may be another call's: compare its
 * "call_id" with the one you asked for.
 * @param json the line, with or without a line break at its end
 * @param status NULL, or gets the #rco_status it speaks of
 * @return #RCO_OK genuine; #RCO_E_SIGNATURE; #RCO_E_CORRUPT not a receipt;
 *   #RCO_E_VERSION a later kind of receipt
 * @since 0.1.0
 */
RCO_API int rco_receipt_verify(const char *json, size_t len, const uint8_t public_key[32], uint32_t *status);

/** Free a receipt. NULL is ignored. May outlive its engine. @since 0.1.0 */
RCO_API void rco_receipt_free(rco_receipt *receipt);

/* ------------------------------------------------------------------------
 * Events
 * --------------------------------------------------------------------- */

/**
 * What happened. Numbers are never reused; ignore those you do not know.
 *
 * What answers a request or ends a story needs no memory that could be missing:
 * ENDED, OPTED_OUT, STOPPED, DURABLE, ERASED, VERIFIED, ESCALATED, SWEPT, HELD,
 * HOLD_LIFTED, STORED and REQUEST_DONE. Short of memory they come without a `message`, two of
 * one type as one, and any other event is left out, with a line in the log.
 *
 * DURABLE and HELD of a call, ERASED, VERIFIED, ESCALATED, SWEPT and STORED are told
 * **at least once**: a process that takes up a call of which it is not certain that
 * they were told tells them again, behind #RCO_EVENT_RECOVERED. Of two with the same
 * type, `recording_id` and `receipt_id` the second says nothing new.
 */
typedef enum rco_event_type {
	RCO_EVENT_STARTED = 1,
	RCO_EVENT_PAUSED = 2,
	RCO_EVENT_RESUMED = 3,
	RCO_EVENT_ENDED = 4,
	RCO_EVENT_OPTED_OUT = 5,    /**< latched: nothing is accepted any more */
	RCO_EVENT_STOP_FAILED = 6,  /**< the host's recorder did not confirm its stop; retried */
	RCO_EVENT_STOPPED = 7,      /**< the recorder confirmed, or there was none */
	RCO_EVENT_DURABLE = 8,      /**< the opt-out is on disk, also of a call not known */
	RCO_EVENT_NOT_DURABLE = 9,  /**< the ledger could not be written; retried */
	RCO_EVENT_ERASE_RETRY = 10, /**< a backend failed; `code` says how, `attempt` counts */
	RCO_EVENT_ERASED = 11,
	RCO_EVENT_VERIFIED = 12,
	RCO_EVENT_ESCALATED = 13, /**< past the deadline: somebody should look. Retries go on. */
	RCO_EVENT_SWEPT = 14, /**< looked once more, `sweep_delay_ms` later; `count` late copies were removed */
	RCO_EVENT_HELD = 15,
	RCO_EVENT_HOLD_LIFTED = 16,
	RCO_EVENT_UPLOAD_STARTED = 17,
	RCO_EVENT_UPLOAD_RETRY = 18,
	/** An upload in flight was stopped by an opt-out. #RCO_E_STALE: it was not made, because the store has the
	 * call's record and not this file, which was erased there: the state folder is a copy, or was restored. */
	RCO_EVENT_UPLOAD_ABORTED = 19,
	RCO_EVENT_STORED = 20,          /**< `count` audio files stored */
	RCO_EVENT_CALL_RECORD = 21,     /**< the call record was stored */
	RCO_EVENT_OVERFLOW = 22,        /**< `count` frames were refused since the last such event */
	RCO_EVENT_BUFFER_RETRY = 23,    /**< the buffer backend failed; frames wait in the rings */
	RCO_EVENT_RECOVERED = 24,       /**< a call of an earlier process was taken up */
	RCO_EVENT_QUARANTINED = 25,     /**< a damaged file was set aside; `message` names it */
	RCO_EVENT_ARTIFACT_ERASED = 26, /**< a copy registered after the opt-out was removed */
	RCO_EVENT_CONSENT = 27,         /**< consent was granted */
	RCO_EVENT_WORKER_ENDED = 28,    /**< a backend ended the thread it was called on; another one took over */
	RCO_EVENT_AGENT_CLAIM = 29,     /**< the agent said what is not so: see rco_session_check_claims() */
	/** what a session with #RCO_SESSION_NONBLOCK left to the engine is done: `count` is one of
	 * RCO_REQUEST_..., and `code` #RCO_OK or why not. One for all of a kind that were asked for meanwhile. */
	RCO_EVENT_REQUEST_DONE = 30
} rco_event_type;

/** What #RCO_EVENT_REQUEST_DONE is about. */
enum {
	RCO_REQUEST_START = 1,      /**< rco_session_start(), or a consent that made it take effect */
	RCO_REQUEST_PAUSE = 2,      /**< the recorder's pause, or its resumption */
	RCO_REQUEST_LEGAL_HOLD = 3, /**< set: it is durable; #RCO_E_NOT_DURABLE: in force until the process ends */
	RCO_REQUEST_LIFT_HOLD = 4,
	RCO_REQUEST_ARTIFACT = 5 /**< it is durable; #RCO_E_NOT_DURABLE: registered, but a crash could lose it */
};

/** Name of an event type, "verified"; "unknown" otherwise. Static. @since 0.1.0 */
RCO_API const char *rco_event_name(uint32_t type);

struct rco_event {
	uint32_t struct_size;
	uint32_t flags;         /**< 0 */
	uint32_t type;          /**< #rco_event_type */
	uint32_t status;        /**< #rco_status of the call's opt-out, 0 without one */
	int32_t code;           /**< #rco_error behind it, or 0 */
	uint32_t attempt;       /**< number of failed tries so far */
	uint64_t count;         /**< see the type */
	int64_t time_us;        /**< wall clock */
	const char *call_id;    /**< "" for events of the engine */
	const char *receipt_id; /**< "" without an opt-out */
	const char *message;    /**< a sentence for the log, "" if none */
	/** of rco_session_options; NULL for events of the engine, of calls not known, and of those that an earlier
	 * process began */
	void *user_data;
	uint8_t recording_id[16]; /**< binary UUID of the recording, zero without a call: tells calls of one id
	                             apart */
	const void *reserved;     /**< NULL */
};

/** How many may listen besides the function of the config. */
#define RCO_LISTENERS_MAX 16

/**
 * Have another function told of all events, besides the one in the config, and
 * under its rules.
 * @return #RCO_OK; #RCO_E_LIMIT for one more than #RCO_LISTENERS_MAX;
 *   #RCO_E_INVALID, #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_engine_add_listener(rco_engine *engine, rco_event_fn fn, void *user_data);

/**
 * No more. When this has returned the function is not running and will not be
 * called again; inside a callback it may still be running on another thread.
 * @return #RCO_OK; #RCO_E_NOT_FOUND if it does not listen; #RCO_E_INVALID,
 *   #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_engine_remove_listener(rco_engine *engine, rco_event_fn fn, void *user_data);

/* ------------------------------------------------------------------------
 * For libraries on top of this one
 *
 * What librecoptout-agent needs besides the above. For any thread, in a callback
 * too unless it says otherwise; nothing that is passed is kept.
 * --------------------------------------------------------------------- */

/**
 * Make `text` this thread's rco_error_detail(): also for backends, whose errors
 * are then told with it.
 * @param text copied, cut at 511 bytes; NULL: none
 * @return `code`
 * @since 0.1.0
 */
RCO_API int rco_error_set_detail(int code, const char *text);

/**
 * Has the host's recorder of the call not confirmed yet that it is stopped? Looks
 * at memory only. After rco_engine_opt_out() with #RCO_OPT_OUT_NONBLOCK it says
 * whether rco_engine_stop_recorder() may have to wait for that recorder.
 * @return 1; 0 if it has, or there is no such call or no recorder of the host;
 *   #RCO_E_INVALID, #RCO_E_CALL_ID, #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_engine_recorder_running(rco_engine *engine, const char *call_id);

/**
 * Ask the host's recorder of a call that was opted out to stop, on this thread,
 * and wait for its answer, but for no disk. rco_engine_opt_out() with
 * #RCO_OPT_OUT_RECORDER_ASKED then makes the opt-out durable, and waits for the
 * disk alone. So of an opt-out with #RCO_OPT_OUT_NONBLOCK each part can be waited
 * for by a thread of its own.
 * @return #RCO_OK stopped, or there is no such call or no recorder of the host;
 *   #RCO_PENDING it answers later; #RCO_E_CALLBACK it did not confirm its stop and
 *   is asked again until it does; #RCO_E_STATE the call was not opted out;
 *   #RCO_E_REENTRANT inside a callback while another thread asks it;
 *   #RCO_E_INVALID, #RCO_E_CALL_ID, #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_engine_stop_recorder(rco_engine *engine, const char *call_id);

/**
 * Tell #RCO_EVENT_AGENT_CLAIM for this call, on this thread and before it returns.
 * @param claims the event's `count`: the RCO_CLAIM_... bits that are untrue
 * @param message the event's, a sentence for the log; NULL: ""
 * @return #RCO_OK; #RCO_E_INVALID, #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_session_report_claim(rco_session *session, uint64_t claims, const char *message);

/**
 * An operation of your own: a number that a slot of a backend can be called with,
 * and answers with rco_op_complete(), as those of the engine. So a table can be
 * used, or tried (<recoptout/conformance.h>), without a call. It takes no
 * notice of `backend_timeout_ms`. Each takes memory until it is answered, and that
 * was taken by rco_op_wait(): one that a slot answered at once, or nobody waits for
 * any more, answer yourself.
 * @return #RCO_OK; #RCO_E_NO_MEMORY; #RCO_E_INVALID, #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.2.0
 */
RCO_API int rco_op_create(rco_engine *engine, uint64_t *op);

/**
 * Wait for the answer to an operation of rco_op_create(), at most `timeout_ms` of
 * the system's clock; 0: only look. Needs no worker and no rco_engine_run(). One
 * thread for each operation, and not while the engine is freed.
 * @param code gets the code that it was answered with
 * @param result NULL, or gets the result; set its struct_size first
 * @return #RCO_OK answered: the operation is over, and its number is nobody's;
 *   #RCO_E_TIMEOUT not answered yet, and it stays: wait again, or give it up by
 *   answering it yourself, after which a late answer gets #RCO_E_STALE;
 *   #RCO_E_STALE not an operation of rco_op_create(), or taken before;
 *   #RCO_E_INVALID, #RCO_E_STRUCT_SIZE, #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.2.0
 */
RCO_API int rco_op_wait(rco_engine *engine, uint64_t op, uint32_t timeout_ms, int *code, rco_result *result);

/** So many answers are remembered by an engine: the latest. */
#define RCO_ANSWERS_MAX 4096

/**
 * Platforms tell one tool call in several messages, and want one answer. Remember,
 * in memory, that a message of this kind gets the answer to the tool call `id` of
 * `call`.
 * @param call a text that names the call, of any length
 * @param id the platform's id of the tool call, any bytes
 * @param kind a number of your choice for the kind of message
 * @return 1 if a message of another kind got it before, and this one is to get
 *   none; 0 if it is to get it, also if there is no memory to remember it;
 *   #RCO_E_INVALID, #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_engine_remember_answer(rco_engine *engine, const char *call, const void *id, size_t id_bytes,
                                       uint32_t kind);

/** It was not answered after all. #RCO_OK also if nothing of it was remembered; #RCO_E_INVALID, #RCO_E_HANDLE,
 * #RCO_E_FORKED. @since 0.1.0 */
RCO_API int rco_engine_forget_answer(rco_engine *engine, const char *call, const void *id, size_t id_bytes);

#ifdef __cplusplus
}
#endif
#endif /* RECOPTOUT_H */
