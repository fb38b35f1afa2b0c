/* SPDX-License-Identifier: MIT */
/* Who says what stands in a text, by the words before it: a model, or somebody whose words are no call. */
#include "plain_words.h"

static int is_error(rco__word w)
{
	return rco__ends_with(w, "error") || rco__ends_with(w, "errors") || rco__ends_with(w, "exception");
}

/* ---- classes that SDKs print ---- */

static int has(rco__word w, const char *part)
{
	for (; w.size > 0; w.size--)
		if (rco__ends_with(w, part))
			return 1;
	return 0;
}

static int has_one_of(rco__word w, const char *const *parts)
{
	for (; *parts != NULL; parts++)
		if (has(w, *parts))
			return 1;
	return 0;
}

/* The names of Python's own functions begin otherwise. */
static int is_class(rco__word w)
{
	return w.size > 0 && w.text[0] >= 'A' && w.text[0] <= 'Z';
}

int rco__is_result_class(rco__word w)
{
	static const char *const of[] = {"tool", "function", "call", NULL};
	static const char *const results[] = {"result", "return", "output", NULL};

	if (!is_class(w))
		return 0;
	if (rco__is_one_of(w, " toolcallexecutionevent toolcallsummarymessage retrypromptpart "))
		return 1;
	/* ChatCompletionOutputToolCall is what a model put out. */
	return has_one_of(w, of) && has_one_of(w, results) && !has(w, "chatcompletionoutput");
}

int rco__is_call_class(rco__word w)
{
	static const char *const calls[] = {
		"call",        "tooluse",          "invocation",  "toolselection",
		"agentaction", "executionrequest", "toolrequest", "outputfunctiondefinition",
		NULL};
	static const char *const others[] = {"callback", "response", "choice", NULL};

	if (!is_class(w) || rco__is_result_class(w))
		return 0;
	if (rco__is_one_of(w, " function action toolaction "))
		return 1;
	if (w.size > 8 && rco__is_one_of((rco__word){w.text, 8}, " response ")) /* ResponseFunctionToolCall */
		w = (rco__word){w.text + 8, w.size - 8};
	if (w.size > 11 && rco__is_one_of((rco__word){w.text, 11}, " choicedelta "))
		w = (rco__word){w.text + 11, w.size - 11};
	return has_one_of(w, calls) && !has_one_of(w, others);
}

/* ---- who speaks ---- */

#define OTHERS                                                                                                    \
	" user human caller customer system developer tool tools ipython observation result output response "     \
	"tool_response tool_result tool_output tool_outputs function_response function_results user_token "       \
	"system_token start_tool_result "
#define MODELS   " assistant ai model agent bot chatbot_token end_tool_result "
#define THINKING " think thinking thought reasoning reflection plan "

/* It speaks again: whatever was open before, brackets of a sentence too, is over. */
static void start_over(rco__plain *p)
{
	p->speaker = RCO__NOBODY;
	p->label = p->tagged = p->trace = p->error = 0;
	p->depth = 0;
	p->arguments = p->members = p->foreign = 0;
	p->quote = '\0';
	p->led = p->conversation = 0;
}

/* What is printed so are messages: one of somebody else behind a call is its result, and the call is over. */
static void note_speaker(rco__plain *p, rco__word w)
{
	const size_t end = (size_t)(w.text - p->part) + w.size;
	const int before = p->speaker, made = end < p->size && p->part[end] == '(';
	rco__word value = {p->part, 0};

	p->speaker = RCO__NOBODY;
	if (p->depth > 0 && rco__is_one_of(w, " role from speaker ")) {
		value = rco__value_behind(p, w);
		if (rco__is_one_of(value, OTHERS " function "))
			p->speaker = RCO__SOMEBODY_ELSE;
		else if (rco__is_one_of(value, MODELS))
			p->speaker = RCO__MODEL;
	} else if (p->depth > 0 && rco__is_one_of(w, " type ")) {
		value = rco__value_behind(p, w);
		if (rco__is_one_of(value, " tool_result function_call_output tool_response human "))
			p->speaker = RCO__SOMEBODY_ELSE;
	} else if (made &&
	           (rco__is_result_class(w) ||
	            rco__is_one_of(w, " humanmessage usermessage systemmessage toolmessage functionmessage "
	                              "functionresponse modelrequest userpromptpart systempromptpart "))) {
		p->speaker = RCO__SOMEBODY_ELSE;
	} else if (rco__is_one_of(w, " functionresponse function_response ")) {
		value = rco__value_behind(p, w);
		if (p->depth > 0 && !rco__is_one_of(value, " none null "))
			p->speaker = RCO__SOMEBODY_ELSE;
	} else if (made && rco__is_one_of(w, " aimessage aimessagechunk assistantmessage ")) {
		p->speaker = RCO__MODEL;
	}
	if (p->speaker == RCO__SOMEBODY_ELSE) {
		p->found = p->named = 0;
		p->conversation = 1;
	}
	if (p->conversation)
		p->speaker = RCO__SOMEBODY_ELSE;
	else if (p->speaker == RCO__NOBODY)
		p->speaker = before;
}

/* By a label or a mark: of what was printed before, nothing goes on. */
static void speak(rco__plain *p, int who)
{
	p->speaker = who;
	p->conversation &= who != RCO__MODEL;
}

static int speaker_of(rco__word w)
{
	return rco__is_one_of(w, OTHERS)   ? RCO__SOMEBODY_ELSE
	       : rco__is_one_of(w, MODELS) ? RCO__MODEL
	                                   : RCO__NOBODY;
}

/* "<|im_start|>user", "<|user|>", "<start_of_turn>user": marks of a prompt. */
static int in_mark(const rco__plain *p, size_t at, size_t end)
{
	if (rco__is_behind(p, at, "<|") || rco__is_behind(p, at, "<\xef\xbd\x9c"))
		return end < p->size && (p->part[end] == '|' || (unsigned char)p->part[end] >= 0x80);
	return rco__is_behind(p, at, "|>") || rco__is_behind(p, at, "\x9c>") ||
	       rco__is_behind(p, at, "<start_of_turn>");
}

/* Harmony: what is thought, what is said to the user, and what goes to a tool that runs code. */
static void note_channel(rco__plain *p, size_t at, rco__word w)
{
	const rco__word to = rco__word_at(p, rco__skip(p, at + w.size, RCO__BLANKS));

	if (rco__is_one_of(to, " to "))
		p->tagged = rco__is_one_of(rco__value_behind(p, to), " python browser container ");
	else
		p->tagged = !rco__is_one_of(w, " commentary ");
}

/* "<｜tool▁outputs▁begin｜>" of DeepSeek, whose other marks with such a line in them are of calls. */
static void note_outputs(rco__plain *p, size_t end)
{
	static const char outputs[] = "\xe2\x96\x81outputs\xe2\x96\x81";
	const size_t n = sizeof outputs - 1;

	if (p->size - end > n && memcmp(p->part + end, outputs, n) == 0)
		speak(p, p->part[end + n] == 'b' ? RCO__SOMEBODY_ELSE : RCO__MODEL); /* begin, end */
}

static void note_mark(rco__plain *p, size_t at, rco__word w)
{
	const size_t end = at + w.size;

	if (end < p->size && p->part[end] == '\xe2') {
		note_outputs(p, end);
		return;
	}
	if (speaker_of(w) == RCO__MODEL || rco__is_one_of(w, " end_thinking "))
		start_over(p);
	if (speaker_of(w) != RCO__NOBODY)
		speak(p, speaker_of(w));
	if (rco__is_behind(p, at, "<|channel|>") && rco__is_one_of(w, " analysis final commentary "))
		note_channel(p, at, w);
	p->tagged |= rco__is_one_of(w, " start_thinking ");
}

/* "user: ..." at a line's beginning; with nothing behind it in its line, of the lines that follow too. */
static void note_line_of(rco__plain *p, size_t colon, rco__word w)
{
	const size_t next = rco__skip(p, colon + 1, RCO__BLANKS);

	if (rco__is_one_of(w, " user human caller customer system developer "))
		p->label = RCO__LABEL_PERSON;
	else
		p->label = rco__is_one_of(w, OTHERS " failed ") || is_error(w) ? RCO__LABEL_LINE : 0;
	if (speaker_of(w) == RCO__MODEL || rco__is_one_of(w, " thought action "))
		speak(p, RCO__MODEL);
	else if (next < p->size && rco__is_in(p->part[next], "\r\n") && speaker_of(w) != RCO__NOBODY)
		speak(p, speaker_of(w));
}

/* "<tool_response>" to "</tool_response>"; behind what was thought, it begins to speak. */
static void note_tag(rco__plain *p, rco__word w, int ends)
{
	const size_t end = (size_t)(w.text - p->part) + w.size;

	if (end < p->size && p->part[end] == '-' && /* "<tool-use>" is no tool */
	    rco__is_one_of(rco__word_at(p, end + 1), " use call calls request "))
		return;
	if (ends && rco__is_one_of(w, THINKING))
		start_over(p);
	else if (rco__is_one_of(w, OTHERS THINKING
	                        " parameter parameters arg arg_key arg_value arguments args input tools "
	                        "documents "))
		p->tagged = !ends;
}

/* DeepSeek marks all its tags: "<｜DSML｜invoke". Where it would stand without. */
static size_t without_dsml(const rco__plain *p, size_t at)
{
	static const char mark[] = "\xef\xbd\x9c"
				   "dsml\xef\xbd\x9c";

	return rco__is_behind(p, at, mark) ? at - (sizeof mark - 1) : at;
}

/* "user: ...", "<|im_start|>user", "[INST]", "<tool_response>". */
static void note_label(rco__plain *p, size_t word_begin, rco__word w)
{
	const size_t end = rco__skip(p, word_begin + w.size, RCO__BLANKS "*"), at = without_dsml(p, word_begin);
	const char before = at > 0 ? p->part[at - 1] : '\0', behind = end < p->size ? p->part[end] : '\0';
	const int ends = before == '/' && at > 1 && rco__is_in(p->part[at - 2], "<[");

	if (in_mark(p, at, word_begin + w.size)) {
		note_mark(p, at, w);
	} else if (!p->line_begun && behind == ':') {
		note_line_of(p, end, w);
	} else if (!p->line_begun && rco__is_one_of(w, " action ") &&
	           rco__is_one_of(rco__word_at(p, end), " input ")) {
		p->label = RCO__LABEL_LINES; /* of the call before it */
	} else if ((before == '[' || (ends && p->part[at - 2] == '[')) &&
	           rco__is_one_of(w, " inst tool_results available_tools system_prompt ")) {
		speak(p, ends ? RCO__MODEL : RCO__SOMEBODY_ELSE);
	} else if (before == '<' || ends || (before == '[' && rco__is_one_of(w, THINKING))) {
		note_tag(p, w, ends);
	}
}

void rco__note_word(rco__plain *p, size_t at, rco__word w)
{
	if (p->quote == '\0' || !p->muted)
		note_label(p, at, w);
	if (p->arguments == 0 && !p->tagged && (p->quote == '\0' || !p->muted)) /* arguments may say anything */
		note_speaker(p, w);
	p->error |= p->in_head && p->quote == '\0' && is_error(w);
	p->trace |= p->in_head && p->quote == '\0' && rco__is_one_of(w, " traceback ");
	p->trace |= !p->line_begun && rco__is_one_of(w, " file ") && at + w.size + 1 < p->size &&
	            memcmp(w.text + w.size, " \"", 2) == 0;
	if (rco__is_one_of(w, " callsid accountsid messagesid smssid calluuid streamsid ") &&
	    rco__value_behind(p, w).size > 0)
		p->of_telephony = 1;
}
