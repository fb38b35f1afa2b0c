/* SPDX-License-Identifier: MIT */
/* What a request means, and what is answered. */
#include "control.h"

#include "../base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

json_t *rco__request_parse(const char *line, size_t size)
{
	json_error_t ignored;
	json_t *request = json_loadb(line, size, JSON_REJECT_DUPLICATES, &ignored);

	if (json_is_object(request))
		return request;
	json_decref(request);
	return NULL;
}

static const char *text(const json_t *request, const char *member)
{
	return json_string_value(json_object_get(request, member));
}

static int is(const json_t *request, const char *what)
{
	const char *doing = text(request, "do");

	return doing != NULL && strcmp(doing, what) == 0;
}

/* ---- answers ---- */

/* What goes back with the answer, if it is of a sensible size. */
static json_t *id_of(const json_t *request)
{
	json_t *id = json_object_get(request, "id");

	return json_is_number(id) || json_string_length(id) <= 256 ? id : NULL;
}

/* Takes the object. */
static char *line_of(const json_t *request, json_t *answer)
{
	json_t *id = id_of(request);
	char *one, *line = NULL;
	size_t size;

	if (answer == NULL)
		return NULL;
	if (id != NULL && json_object_set(answer, "id", id) != 0) {
		json_decref(answer);
		return NULL;
	}
	one = rco__json_text(answer);
	json_decref(answer);
	if (one == NULL)
		return NULL;
	size = strlen(one);
	if (size + 1 < RCO_CONTROL_LINE_MAX)
		line = realloc(one, size + 2);
	if (line == NULL) {
		free(one);
		return size + 1 < RCO_CONTROL_LINE_MAX
		               ? NULL
		               : rco__answer_error(request, RCO_E_LIMIT,
		                                   "the answer is longer than a line may be");
	}
	memcpy(line + size, "\n", 2);
	return line;
}

/* What begins every answer. */
static json_t *head(int code)
{
	int ok = code == RCO_OK || code == RCO_PENDING;

	return json_pack("{s:b, s:i, s:s}", "ok", ok, "code", code, "error", rco_error_name(code));
}

char *rco__answer_error(const json_t *request, int code, const char *detail)
{
	json_t *answer = head(code);

	if (answer != NULL && json_object_set_new(answer, "detail", json_string_nocheck(detail)) != 0) {
		json_decref(answer);
		answer = NULL;
	}
	return line_of(request, answer);
}

/* The error that the library has just answered, with its sentence. */
static char *failed(const json_t *request, int code)
{
	const char *detail = rco_error_detail();

	return rco__answer_error(request, code, detail[0] != '\0' ? detail : rco_strerror(code));
}

static int add(json_t *to, const char *member, json_t *value)
{
	return to == NULL || value == NULL ? (json_decref(value), -1) : json_object_set_new(to, member, value);
}

/* status, sentence and receipt of an opt-out; the receipt as its own line of text, for its signature is over bytes
 */
static char *receipt_answer(rco_control *control, const json_t *request, int code, rco_receipt *receipt)
{
	uint32_t status = rco_receipt_status(receipt);
	char sentence[8192], signed_text[RCO_RECEIPT_JSON_MAX];
	json_t *answer = head(code);
	size_t len;
	int bad;

	(void)rco_sentence_get(control->book, text(request, "language"), rco_sentence_for(code, status),
	                       text(request, "company"), sentence, sizeof sentence, NULL);
	bad = add(answer, "status", json_string(rco_status_name(status))) != 0 ||
	      add(answer, "sentence", json_string(sentence)) != 0;
	if (code != RCO_OK && code != RCO_PENDING)
		bad |= add(answer, "detail", json_string_nocheck(rco_strerror(code))) != 0;
	if (receipt != NULL)
		bad |= rco_receipt_to_json(receipt, signed_text, sizeof signed_text, &len) != RCO_OK ||
		       add(answer, "receipt", json_string(signed_text)) != 0;
	rco_receipt_free(receipt);
	if (bad) {
		json_decref(answer);
		answer = NULL;
	}
	return line_of(request, answer);
}

static char *hello(rco_control *control, const json_t *request)
{
	json_t *answer = head(RCO_OK);

	if (add(answer, "version", json_string(rco_version_string())) != 0 ||
	    add(answer, "abi", json_integer(rco_abi_version())) != 0 ||
	    add(answer, "pid", json_integer(getpid())) != 0 ||
	    add(answer, "opt_out_enabled", json_boolean(rco_engine_opt_out_enabled(control->engine) == 1)) != 0) {
		json_decref(answer);
		answer = NULL;
	}
	return line_of(request, answer);
}

static char *status(rco_control *control, const json_t *request)
{
	const char *call_id = text(request, "call_id");
	rco_receipt *receipt = NULL;
	int rc;

	if (call_id == NULL)
		return rco__answer_error(request, RCO_E_INVALID, "call_id is missing");
	rc = rco_engine_receipt(control->engine, call_id, &receipt);
	return rc == RCO_OK ? receipt_answer(control, request, rc, receipt) : failed(request, rc);
}

/* ---- pending ---- */

enum { PENDING_LISTED = 100 }; /* a line holds them, with call ids of any length */

typedef struct pending {
	json_t *list;
	uint64_t count;
	size_t bytes;
	int failed;
} pending;

static int list_pending(const rco_pending *p, void *user_data)
{
	pending *to = user_data;

	to->count++;
	to->bytes += 6 * strlen(p->call_id) + 200;
	if (json_array_size(to->list) >= PENDING_LISTED || to->bytes > RCO_CONTROL_LINE_MAX / 2)
		return 0;
	to->failed |=
		json_array_append_new(to->list,
	                              json_pack("{s:s, s:s, s:s, s:I, s:i, s:I}", "call_id", p->call_id,
	                                        "receipt_id", p->receipt_id, "status", rco_status_name(p->status),
	                                        "requested_us", (json_int_t)p->requested_us, "attempts",
	                                        (int)p->attempts, "deadline_us", (json_int_t)p->deadline_us)) != 0;
	return 0;
}

static char *pending_answer(rco_control *control, const json_t *request)
{
	pending found = {.list = json_array()};
	json_t *answer = head(RCO_OK);
	int rc = found.list == NULL ? RCO_E_NO_MEMORY : rco_engine_pending(control->engine, list_pending, &found);

	if (rc != RCO_OK || found.failed || add(answer, "count", json_integer((json_int_t)found.count)) != 0) {
		json_decref(found.list);
		json_decref(answer);
		return rc != RCO_OK ? failed(request, rc) : NULL;
	}
	if (add(answer, "pending", found.list) != 0) {
		json_decref(answer);
		answer = NULL;
	}
	return line_of(request, answer);
}

/* ---- tools ---- */

static int dialect_of(const json_t *request, uint32_t *dialect)
{
	const char *name = text(request, "dialect");

	if (name == NULL) {
		*dialect = RCO_DIALECT_AUTO;
		return 1;
	}
	for (*dialect = 0; rco_dialect_name(*dialect) != NULL; (*dialect)++)
		if (strcmp(rco_dialect_name(*dialect), name) == 0)
			return 1;
	return 0;
}

static char *definition(rco_control *control, const json_t *request)
{
	rco_tool_options o = {.struct_size = (uint32_t)sizeof o,
	                      .flags = json_is_true(json_object_get(request, "strict")) ? RCO_TOOL_STRICT : 0u,
	                      .url = text(request, "url"),
	                      .description = text(request, "description")};
	char buf[16384];
	json_t *answer;
	size_t len;
	int rc;

	if (!dialect_of(request, &o.dialect))
		return rco__answer_error(request, RCO_E_INVALID, "unknown dialect");
	rc = rco_tool_definition(control->engine, &o, buf, sizeof buf, &len);
	if (rc != RCO_OK)
		return failed(request, rc);
	answer = head(RCO_OK);
	if (add(answer, "definition", json_loadb(buf, len, 0, NULL)) != 0) {
		json_decref(answer);
		answer = NULL;
	}
	return line_of(request, answer);
}

/* The message may be given as an object or as text; what is neither is as good as none. */
static char *message_text(const json_t *request)
{
	const json_t *message = json_object_get(request, "message");

	if (json_is_string(message))
		return strdup(json_string_value(message));
	return message != NULL ? rco__json_text(message) : strdup("");
}

static char *tool_answer(const json_t *request, int code, rco_tool_answer *a)
{
	const rco_receipt *receipt = rco_tool_answer_receipt(a);
	size_t len;
	const char *json = rco_tool_answer_json(a, &len);
	json_t *answer = head(code);
	int bad;

	bad = add(answer, "answer", len > 0 ? json_loadb(json, len, 0, NULL) : json_null()) != 0 ||
	      add(answer, "calls", json_integer(rco_tool_answer_calls(a))) != 0 ||
	      add(answer, "others", json_integer(rco_tool_answer_others(a))) != 0 ||
	      add(answer, "status", json_string(rco_status_name(rco_receipt_status(receipt)))) != 0 ||
	      add(answer, "sentence", json_string(rco_tool_answer_sentence(a))) != 0;
	rco_tool_answer_free(a);
	if (bad) {
		json_decref(answer);
		answer = NULL;
	}
	return line_of(request, answer);
}

static char *tool_call(rco_control *control, const json_t *request)
{
	rco_tool_request r = {.struct_size = (uint32_t)sizeof r,
	                      .call_id = text(request, "call_id"),
	                      .language = text(request, "language"),
	                      .company = text(request, "company"),
	                      .source = text(request, "source"),
	                      .book = control->book};
	rco_tool_answer *a = NULL;
	char *message;
	int rc;

	if (!dialect_of(request, &r.dialect))
		return rco__answer_error(request, RCO_E_INVALID, "unknown dialect");
	message = message_text(request);
	if (message == NULL)
		return NULL;
	r.json = message;
	r.json_bytes = strlen(message);
	rc = rco_tool_call(control->engine, &r, &a);
	free(message);
	return a != NULL ? tool_answer(request, rc, a) : failed(request, rc);
}

/* ---- opting out ---- */

static const char *source_of(const json_t *request)
{
	const char *source = text(request, "source");

	return source != NULL ? source : "control";
}

uint32_t rco__request_wait_ms(const json_t *request)
{
	json_int_t ms = json_integer_value(json_object_get(request, "timeout_ms"));

	if (text(request, "wait") == NULL)
		return 0;
	if (ms <= 0 || ms > RCO__WAIT_MAX_MS)
		ms = ms <= 0 ? 5000 : RCO__WAIT_MAX_MS;
	return (uint32_t)ms;
}

/* The recording stops here and now, whoever the clerk is waiting for. */
int rco__request_slow(rco_control *control, const json_t *request)
{
	rco_opt_out_options o = {
		.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK, .source = source_of(request)};
	const char *call_id = text(request, "call_id");

	if (is(request, "tool_call"))
		return 1;
	if (!is(request, "opt_out"))
		return 0;
	/* Its answer is the clerk's, who asks again and waits. */
	if (call_id != NULL)
		(void)rco_opt_out_call(control->engine, call_id, &o, NULL);
	return 1;
}

int rco__request_do(rco_control *control, json_t *request, char **answer)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .source = source_of(request)};
	const char *call_id = text(request, "call_id");
	rco_receipt *receipt = NULL;
	int rc;

	*answer = NULL;
	if (is(request, "tool_call")) {
		*answer = tool_call(control, request);
		return RCO_OK;
	}
	if (call_id == NULL) {
		*answer = rco__answer_error(request, RCO_E_INVALID, "call_id is missing");
		return RCO_E_INVALID;
	}
	rc = rco_opt_out_call(control->engine, call_id, &o, &receipt);
	if (receipt == NULL || rco__request_wait_ms(request) == 0) {
		const char *detail = rco_error_detail();

		*answer = receipt != NULL || rc == RCO_E_ENDED || rc == RCO_E_NOT_AVAILABLE
		                  ? receipt_answer(control, request, rc, receipt)
		                  : rco__answer_error(request, rc, detail);
		return rc;
	}
	rco_receipt_free(receipt); /* of now; what is waited for changes it */
	return rc;
}

int rco__request_reached(rco_control *control, const json_t *request)
{
	rco_receipt *receipt = NULL;
	uint32_t now;

	if (rco_engine_receipt(control->engine, text(request, "call_id"), &receipt) != RCO_OK)
		return 1; /* forgotten: there is nothing to wait for */
	now = rco_receipt_status(receipt);
	rco_receipt_free(receipt);
	if (now == RCO_STATUS_VERIFIED || now == RCO_STATUS_NOT_RECORDING || now == RCO_STATUS_HELD)
		return 1;
	return now == RCO_STATUS_ERASED && strcmp(text(request, "wait"), "verified") != 0;
}

char *rco__request_finish(rco_control *control, const json_t *request, int code)
{
	rco_receipt *receipt = NULL;

	(void)rco_engine_receipt(control->engine, text(request, "call_id"), &receipt);
	return receipt_answer(control, request, code, receipt);
}

/* ---- what is answered at once ---- */

char *rco__request_answer(rco_control *control, const json_t *request, int *events, char call_id[256])
{
	const char *of = text(request, "call_id");

	*events = 0;
	if (is(request, "hello"))
		return hello(control, request);
	if (is(request, "status"))
		return status(control, request);
	if (is(request, "pending"))
		return pending_answer(control, request);
	if (is(request, "tool"))
		return definition(control, request);
	if (is(request, "events")) {
		*events = 1;
		(void)snprintf(call_id, 256, "%s", of != NULL ? of : "");
		return line_of(request, head(RCO_OK));
	}
	return rco__answer_error(request, RCO_E_INVALID,
	                         "\"do\" is hello, opt_out, status, pending, tool, tool_call or events");
}

char *rco__event_line(const rco_event *e)
{
	json_t *line = json_pack("{s:s, s:I, s:s, s:s, s:s, s:i, s:I, s:i}", "event", rco_event_name(e->type),
	                         "time_us", (json_int_t)e->time_us, "call_id", e->call_id, "receipt_id",
	                         e->receipt_id, "status", rco_status_name(e->status), "code", (int)e->code,
	                         "count", (json_int_t)e->count, "attempt", (int)e->attempt);

	if (line != NULL && add(line, "message", json_string(e->message)) != 0) {
		json_decref(line);
		line = NULL;
	}
	return line_of(NULL, line);
}
