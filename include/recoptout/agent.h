/* SPDX-License-Identifier: MIT */
/**
 * @file recoptout/agent.h
 * For hosts whose callers talk to a voice agent: the tool that a language model
 * calls when a caller objects, in the dialect of each platform; the sentences
 * that are true; and a check that the agent says no others.
 *
 *     rco_tool_options to = { .struct_size = sizeof to };
 *     to.dialect = RCO_DIALECT_OPENAI_CHAT;
 *     rco_tool_definition(engine, &to, buf, sizeof buf, &len);  // into "tools"
 *
 *     rco_tool_request tr = { .struct_size = sizeof tr };
 *     tr.session = call;              // from your transport, never from the model
 *     tr.language = "de";
 *     tr.json = message; tr.json_bytes = strlen(message);
 *     rco_tool_call(engine, &tr, &answer);
 *     send(rco_tool_answer_json(answer, &len), len);
 *     rco_tool_answer_free(answer);
 *
 * ## Rules
 * - **Which call** is meant is what you bind: `session` or `call_id`. Nothing
 *   that a language model wrote can name another one.
 * - **Toward privacy.** The tool has no parameter that matters. Arguments that
 *   are missing, malformed, too long, or nonsense opt the bound call out.
 * - **A call and nothing else.** A call of this tool, by its name, where the
 *   platform puts calls, opts out; all other messages do nothing. See
 *   rco_tool_call().
 * - **Truth.** The answer's sentence follows the receipt. It says "deleted" only
 *   when the backends confirmed that.
 * - **For good.** A cancelled, interrupted or timed-out tool call undoes nothing;
 *   asking again gets the same receipt.
 *
 * These functions, and those of control.h, are in the library librecoptout-agent
 * (`pkg-config --libs recoptout-agent`), which stands on librecoptout. Its binary
 * interface is its own: platforms change more often than calls do.
 *
 * All functions are for any thread. Texts are UTF-8; JSON is one line of ASCII
 * (other characters as \u escapes, RFC 8259), but for ids, which go back byte
 * for byte.
 */
#ifndef RECOPTOUT_AGENT_H
#define RECOPTOUT_AGENT_H

#include <recoptout.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------
 * The library
 * --------------------------------------------------------------------- */

/** Version of librecoptout-agent as it is loaded, "0.1.0". Static storage. @since 0.1.0 */
RCO_API const char *rco_agent_version_string(void);

/** Number of its binary interface, the N of librecoptout-agent.so.N. @since 0.1.0 */
RCO_API uint32_t rco_agent_abi_version(void);

/** As rco_abi_sizeof(), for the structs of agent.h and control.h: RCO_STRUCT_TOOL_OPTIONS, _TOOL_REQUEST,
 * _CONTROL_OPTIONS, _CLIENT_OPTIONS; 0 for any other. @since 0.1.0 */
RCO_API uint32_t rco_agent_abi_sizeof(uint32_t struct_id);

/** 1 if librecoptout-agent has the named feature, "agent" or "control", or the librecoptout that it uses does, as
 * rco_has_feature() says; else 0. @since 0.1.0 */
RCO_API int rco_agent_has_feature(const char *name);

/* ------------------------------------------------------------------------
 * Sentences
 * --------------------------------------------------------------------- */

/** What can be said. Numbers are never reused. */
typedef enum rco_sentence {
	/** At the start of a call: it may be recorded, and one can object at any time. */
	RCO_SAY_ANNOUNCEMENT = 1,
	/** For the agent's prompt: how to treat a caller who objects. Several lines. */
	RCO_SAY_GUIDANCE = 2,
	/** With #RCO_CONSENT_ASK_FIRST: may we record? */
	RCO_SAY_ASK_CONSENT = 3,
	/** Recording has stopped, the recording is erased (#RCO_STATUS_ERASED, _VERIFIED). */
	RCO_SAY_ERASED = 4,
	/** Stopped, erasure is under way (#RCO_STATUS_DURABLE). */
	RCO_SAY_ERASING = 5,
	/** Stopped, erasure failed so far and is being retried (#RCO_STATUS_RETRYING, _OVERDUE). */
	RCO_SAY_RETRYING = 6,
	/** Stopped, and not more is certain yet (#RCO_STATUS_STOPPED). */
	RCO_SAY_STOPPED = 7,
	/** Passed on; nothing is confirmed yet (#RCO_STATUS_REQUESTED). */
	RCO_SAY_STOPPING = 8,
	/** There was no recording, and there will be none (#RCO_STATUS_NOT_RECORDING). */
	RCO_SAY_NOT_RECORDING = 9,
	/** Stopped; the recording so far has to be kept by law for now (#RCO_STATUS_HELD). */
	RCO_SAY_HELD = 10,
	/** Opting out is not possible here (#RCO_E_NOT_AVAILABLE). */
	RCO_SAY_NOT_AVAILABLE = 11,
	/** The call is over, a recording of it can no longer be reached this way (#RCO_E_ENDED). */
	RCO_SAY_ENDED = 12,
	/** It did not work, and somebody has to see to it (any other error): claims nothing. */
	RCO_SAY_ERROR = 13,
	/** The wish is noted (#RCO_STATUS_NOTED): says nothing about a recording. */
	RCO_SAY_NOTED = 14
} rco_sentence;

/** Sentences of the host's own. NULL wherever one is asked for means the built-in ones. */
typedef struct rco_phrasebook rco_phrasebook;

/** Make one, empty: what it does not have is taken from the built-in ones. `allocator` may be NULL.
 * #RCO_E_NO_MEMORY. @since 0.1.0 */
RCO_API int rco_phrasebook_create(const rco_allocator *allocator, rco_phrasebook **book);

/**
 * Put a sentence in, replacing an earlier one. Before the book is used: not
 * while another thread reads it.
 * @param language a BCP 47 tag (RFC 5646), also one that is not built in
 * @param text 1 to 4,000 bytes; `{company}` is replaced when it is said, and
 *   without a name the built-in sentence is said instead; NULL removes it. What must be true stays yours to see
 * to.
 * @return #RCO_OK; #RCO_E_INVALID; #RCO_E_NO_MEMORY
 * @since 0.1.0
 */
RCO_API int rco_phrasebook_set(rco_phrasebook *book, const char *language, uint32_t sentence, const char *text);

/** Free it. Not while a control socket uses it. NULL is ignored. @since 0.1.0 */
RCO_API void rco_phrasebook_free(rco_phrasebook *book);

/**
 * The sentence in a language. "de-AT" gets "de"; a language that is not there
 * gets English (RFC 4647, lookup). Built in: en, de, fr, es, it, nl, pl, pt, tr.
 * @param company the company's name as it is spoken, or NULL: then the
 *   sentence is one without a name
 * @param buf gets the text and a NUL; may be NULL if `cap` is 0
 * @param len gets its length, also with #RCO_E_LIMIT; may be NULL
 * @return #RCO_OK; #RCO_E_INVALID for an unknown sentence; #RCO_E_LIMIT
 * @since 0.1.0
 */
RCO_API int rco_sentence_get(const rco_phrasebook *book, const char *language, uint32_t sentence,
                             const char *company, char *buf, size_t cap, size_t *len);

/**
 * Which sentence is true after rco_opt_out() returned `code` and a receipt of
 * `status` (0 without one).
 * @return a #rco_sentence
 * @since 0.1.0
 */
RCO_API uint32_t rco_sentence_for(int code, uint32_t status);

/** The index-th built-in language as its tag, "en" first; NULL beyond the last. Static. @since 0.1.0 */
RCO_API const char *rco_language_at(uint32_t index);

/* ------------------------------------------------------------------------
 * The tool
 * --------------------------------------------------------------------- */

/** Name of the tool in every dialect. */
#define RCO_TOOL_NAME "recording_opt_out"

/** Whose language. Numbers are never reused. */
typedef enum rco_dialect {
	RCO_DIALECT_AUTO = 0, /**< by the shape of the message; not for definitions */
	RCO_DIALECT_OPENAI_CHAT = 1,
	RCO_DIALECT_OPENAI_RESPONSES = 2,
	RCO_DIALECT_OPENAI_REALTIME = 3,
	RCO_DIALECT_ANTHROPIC = 4,
	RCO_DIALECT_GEMINI = 5,
	RCO_DIALECT_GEMINI_LIVE = 6,
	RCO_DIALECT_MCP = 7,      /**< protocol versions up to 2025-11-25 */
	RCO_DIALECT_MCP_2026 = 8, /**< 2026-07-28 */
	RCO_DIALECT_ELEVENLABS_WEBHOOK = 9,
	RCO_DIALECT_ELEVENLABS_CLIENT = 10,
	RCO_DIALECT_VAPI = 11,
	RCO_DIALECT_RETELL = 12
} rco_dialect;

/** Name of a dialect, "openai-chat"; NULL for none. Static. @since 0.1.0 */
RCO_API const char *rco_dialect_name(uint32_t dialect);

/** Flags of #rco_tool_options. */
enum {
	RCO_TOOL_STRICT = 1u << 0 /**< no parameter at all, `strict` where the dialect has it */
};

/** How the tool is described. `struct_size` and `dialect` are REQUIRED. @since 0.1.0 */
typedef struct rco_tool_options {
	uint32_t struct_size;
	uint32_t flags;   /**< RCO_TOOL_... */
	uint32_t dialect; /**< #rco_dialect */
	uint32_t reserved0;
	rco_session *session;    /**< its switch decides whether there is a tool; NULL: the engine's */
	const char *url;         /**< where a webhook goes; REQUIRED for ElevenLabs webhook, Vapi, Retell */
	const char *description; /**< for the model; NULL: the built-in one, in English */
	void *reserved1;         /**< NULL */
} rco_tool_options;

/**
 * The tool's definition as one JSON object, as it stands in the platform's list
 * of tools (Gemini: the function declaration).
 * @param buf gets the text and a NUL; may be NULL if `cap` is 0; 4,096 suffice
 *   for the built-in description and a url of at most 1,024 bytes
 * @return #RCO_OK; #RCO_E_NOT_AVAILABLE while opt-out is disabled: give the
 *   agent no such tool (P9); #RCO_E_LIMIT with `*len` set; #RCO_E_INVALID,
 *   #RCO_E_STRUCT_SIZE, #RCO_E_NEWER, #RCO_E_HANDLE, #RCO_E_FORKED, #RCO_E_NO_MEMORY
 * @since 0.1.0
 */
RCO_API int rco_tool_definition(rco_engine *engine, const rco_tool_options *options, char *buf, size_t cap,
                                size_t *len);

/** Flags of #rco_tool_request. */
enum {
	/** Take the call id from the platform's envelope (Vapi: message.call.id, Retell: call.call_id) if neither
	 *  `session` nor `call_id` is set. Only after you have verified that the platform sent the message, and
	 *  not where Retell sends the arguments alone: then all of it is the model's. An envelope is there if the
	 *  call was found in it: for Vapi in a list of message's, for Retell with `name` and `args`. Otherwise
	 *  nobody is named. */
	RCO_TOOL_ENVELOPE = 1u << 0,
	/** Stop, do not wait for the disk: as #RCO_OPT_OUT_NONBLOCK. */
	RCO_TOOL_NONBLOCK = 1u << 1
};

/** A message with tool calls, and the call that it is about. `struct_size`, `json` and a binding are REQUIRED.
 * @since 0.1.0 */
typedef struct rco_tool_request {
	uint32_t struct_size;
	uint32_t flags;       /**< RCO_TOOL_... */
	uint32_t dialect;     /**< #rco_dialect */
	uint32_t wait_ms;     /**< wait so long for "erased" before answering; 0: do not. Not from a callback. */
	rco_session *session; /**< the bound call, or */
	const char *call_id;  /**< its id, also one not yet known (P12) */
	const char *language; /**< of the call, for the sentence; NULL: "en" */
	const char *company;  /**< or NULL */
	const rco_phrasebook *book; /**< or NULL */
	const char *json;           /**< as it came; need not end in NUL; may hold anything */
	size_t json_bytes;
	const char *source; /**< for the receipt, as in #rco_opt_out_options; NULL: "agent-tool" */
	void *reserved;     /**< NULL */
} rco_tool_request;

/** What is to be sent back. */
typedef struct rco_tool_answer rco_tool_answer;

/**
 * A language model called a tool: opt the bound call out if it was this one,
 * and make the platform's answer.
 *
 * ## What counts as a call
 * The message is what the dialect's platform sends, whole: a call, a list of
 * calls, the message, event or request that contains them; also one of an
 * interrupted or cancelled response. It may be of any size and depth, and is
 * read in one pass with little memory.
 * - A call of this tool opts out: where the platform puts calls, by its name,
 *   however a model or gateway spells it ("functions.recording_opt_out",
 *   "mcp__SERVER__recording_opt_out", "recordingOptOut", "recording_opt_out()").
 *   "get_recording_opt_out" or "recording_opt_out_status" are other tools: the
 *   name is ours if before it stands nothing but what platforms put before every
 *   tool's name, and behind it nothing but a number ("recording_opt_out_2"),
 *   signs, or arguments in brackets; "_v2", ": false", "@undo", "(undo=True)" or a
 *   word that asks for something else behind it, or another word before it, make it
 *   another tool.
 * - Gemini names the tool in the first piece of a call alone (willContinue), AG-UI in
 *   its first event (TOOL_CALL_START): that piece acts, and is answered.
 * - A member's name in camelCase (`toolCalls`, `toolCallId`) is the same as in
 *   snake_case: SDKs rename what platforms send.
 * - Everything else does nothing: calls of other tools, which are counted, and
 *   whatever is in their arguments; calls without a name; text; errors; the
 *   conversation so far, reports, transcripts, lists of tools, the beginning of
 *   a call that is still being streamed, and every other event.
 * - JSON that is cut off counts if the name of a call in it is this tool's and nothing
 *   says that it is something else (text of a message, a chunk, a list of tools).
 * - A text that is no JSON counts where all of a line is a call of this tool
 *   ("recording_opt_out()", "Action: recording_opt_out"), where one is marked as a call
 *   ("<tool_call>{...", "<function=...", "[TOOL_CALLS]...") or is one as Python prints
 *   it. All else does nothing: an error, a log line, a sentence with the name in it, a
 *   definition, another tool's arguments, what the user, the system or a tool says.
 * - In the text of an event stream ("data: {...}") the data of each event is such a
 *   message. With more events behind it, a call's beginning counts too: the text of
 *   a whole stream may have it nowhere else. So does a call that Gemini could not read
 *   (MALFORMED_FUNCTION_CALL), or Groq (`tool_use_failed`, `failed_generation`), and
 *   whose text calls this tool: a name among the arguments of another one is nothing.
 * - A list of one message is read as that message, unless it is a user's, a
 *   tool's or the system's; of several messages of a model's the list is a
 *   conversation.
 * - #RCO_DIALECT_MCP: the method `tools/call` with a name, or its parameters alone
 *   (name, arguments).
 * - #RCO_DIALECT_ELEVENLABS_WEBHOOK and #RCO_DIALECT_RETELL go to an address of
 *   this tool alone: there, also what has no name and no shape is a call, unless
 *   it is recognisably something else: another tool's call, an event of a
 *   platform, by its name and with its data, a message of JSON-RPC or of Retell's
 *   websocket, an error as HTTP servers write it. A member that the model invented
 *   among its arguments ("error", "type", "message") does not hide a call, and none
 *   does that stands beside `reason`, our own.
 *
 * A dialect that is named comes first; a call of this tool in the shape of
 * another one still counts, and is answered in that shape. With
 * #RCO_DIALECT_AUTO calls in the shapes of some platforms without a dialect are
 * recognised too (Amazon Bedrock, Deepgram, Hume, Ultravox and others) and
 * answered by status, sentence and receipt id alone.
 *
 * ## Answers
 * Every call of this tool in a message gets one answer, with its id: byte for
 * byte as it came, never through a number. An id is a string or a number: null,
 * true, false, an array or an object is none. Only what would make the answer no
 * line of JSON in UTF-8 is escaped. A call that came without an id is answered
 * without one, where that makes sense. Of the first 1,024 ids. A call that stands
 * in several lists of one message (Vapi) is one call. Where the platform says that
 * it wants no answer (Hume `response_required`, ElevenLabs and Cartesia
 * `expects_response`: false) there is none.
 *
 * The same tool-call id again, in the same call, gets the same receipt, and its
 * status of now. A request that a platform tries again (Vapi, Retell, MCP) gets its
 * answer again. OpenAI tells one call in several messages (the events of Realtime
 * and of Responses, the item, the response), and so does the SDK of Anthropic
 * (`content_block_stop`, `message_stop`, the message): the answer goes with the first kind of
 * message that has the id, in whatever order they come, and again with a message of
 * that kind, for its answer may have been lost, or was asked for with
 * #RCO_TOOL_NONBLOCK before it was durable. For the others rco_tool_answer_json()
 * leaves that call out, and is "" if no call is left, while the calls, the sentence
 * and the receipt are told. The engine remembers the last 4,096 of these ids, and
 * not across a restart.
 *
 * Blocks as rco_opt_out() does, and then up to `wait_ms`.
 *
 * @param answer gets what to send; given whenever the return is #RCO_OK,
 *   #RCO_PENDING or any answer of rco_opt_out(): also an error has to be told
 *   the platform; free it
 * @return what rco_opt_out() returned; #RCO_OK where all that is outstanding is
 *   that `wait_ms` was not enough;
 *   #RCO_OK if there was no call of this tool (rco_tool_answer_calls() is 0);
 *   #RCO_E_INVALID with an answer, which says that it did not work, if the
 *   envelope names no call: nothing was stopped, and somebody has to see to it;
 *   without an answer: #RCO_E_INVALID, #RCO_E_STRUCT_SIZE, #RCO_E_NEWER, #RCO_E_HANDLE,
 *   #RCO_E_FORKED nothing was done; #RCO_E_NO_MEMORY, or, if the opt-out
 *   stands, #RCO_PENDING with `*answer` NULL: there is no room for the answer
 * @since 0.1.0
 */
RCO_API int rco_tool_call(rco_engine *engine, const rco_tool_request *request, rco_tool_answer **answer);

/**
 * The answer as the platform expects it: an object, or an array where the
 * message was a batch in a dialect whose answers are messages of their own
 * (OpenAI Chat and Responses; Anthropic: of content blocks). OpenAI Realtime:
 * an array of the events to send. "" if no call was this tool's or nobody waits
 * for an answer, except for a dialect whose HTTP answer is never empty (Vapi).
 * Valid until freed.
 * @param len gets its length; may be NULL
 * @since 0.1.0
 */
RCO_API const char *rco_tool_answer_json(const rco_tool_answer *answer, size_t *len);

/** Calls of this tool in the message. @since 0.1.0 */
RCO_API uint32_t rco_tool_answer_calls(const rco_tool_answer *answer);

/** Calls of other tools, left to the host. @since 0.1.0 */
RCO_API uint32_t rco_tool_answer_others(const rco_tool_answer *answer);

/** The dialect of the calls, #RCO_DIALECT_AUTO for none. @since 0.1.0 */
RCO_API uint32_t rco_tool_answer_dialect(const rco_tool_answer *answer);

/** The sentence for the caller, in the call's language, UTF-8; "" if no call was this tool's. @since 0.1.0 */
RCO_API const char *rco_tool_answer_sentence(const rco_tool_answer *answer);

/** The receipt, NULL without one. Belongs to the answer. @since 0.1.0 */
RCO_API const rco_receipt *rco_tool_answer_receipt(const rco_tool_answer *answer);

/** Free an answer. NULL is ignored. @since 0.1.0 */
RCO_API void rco_tool_answer_free(rco_tool_answer *answer);

/* ------------------------------------------------------------------------
 * Honesty
 * --------------------------------------------------------------------- */

/** What an agent's turn claims; bits. */
enum {
	RCO_CLAIM_STOPPED = 1u << 0, /**< that recording has stopped, or that there is none */
	RCO_CLAIM_ERASED = 1u << 1   /**< that what was recorded is deleted */
};

/**
 * What a text claims about the recording. Understands the built-in languages;
 * for others, and for NULL, it looks in all of them. Questions, offers,
 * conditions and negations ("shall I delete it?", "I cannot delete it") claim
 * nothing.
 * @return RCO_CLAIM_... bits
 * @since 0.1.0
 */
RCO_API uint32_t rco_claims(const char *language, const char *text, size_t text_bytes);

/**
 * Feed what the agent said, turn by turn. A claim that is not true at that
 * moment (no opt-out; "deleted" while it is not) is told by
 * #RCO_EVENT_AGENT_CLAIM, whose `count` holds the RCO_CLAIM_... bits that are
 * untrue and whose `status` is what is true. The text itself goes nowhere.
 * @param untrue NULL, or gets those bits
 * @return #RCO_OK, also if something was untrue; #RCO_E_INVALID, #RCO_E_HANDLE, #RCO_E_FORKED
 * @since 0.1.0
 */
RCO_API int rco_session_check_claims(rco_session *session, const char *language, const char *text,
                                     size_t text_bytes, uint32_t *untrue);

#ifdef __cplusplus
}
#endif
#endif /* RECOPTOUT_AGENT_H */
