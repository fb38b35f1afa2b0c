/* SPDX-License-Identifier: MIT */
#include "names.h"
#include "plain_words.h"

enum {
	AROUND = 64, /* bytes before and behind a word that are looked at */
	DEPTH = 64   /* of brackets that are told apart */
};
/* What leads to our name: nothing; all of its line so far, so that what follows decides (follow()); a mark of a
 * call. */
enum { NO, LINE, MARKED };

/* ---- brackets and strings ---- */

/* The member that what begins here is the value of. */
static rco__word key_before(const rco__plain *p, size_t at)
{
	const size_t value = rco__skip_back(p, at, RCO__QUOTES RCO__BLANKS), sign = rco__skip_back(p, value, ":=");

	return sign == value ? (rco__word){p->part, 0}
	                     : rco__word_before(p, rco__skip_back(p, sign, RCO__QUOTES RCO__BLANKS));
}

#define ARGUMENTS " args arguments input tool_input toolinput action_input parameters kwargs fields "
#define LISTS     " tools functions available_tools schema messages history tool_choice toolchoice "
#define TEXTS                                                                                                     \
	" content text message description error detail reason utterance transcript output result partial_json "

/* Definitions, what is to be called, and the beginning of a call, as SDKs print them. */
#define NO_CALLS                                                                                                  \
	" functiondeclaration functiontool toolchoicefunction toolchoice tool toolparam functiondefinition "      \
	"tooldefinition toolmetadata toolspec modelrequest responseoutputitemaddedevent "                         \
	"rawcontentblockstartevent partstartevent "

/* What this bracket holds are the arguments of a call, or no calls. */
static int holds_arguments(const rco__plain *p, size_t at)
{
	const rco__word direct = rco__word_before(p, at), key = key_before(p, (size_t)(direct.text - p->part));
	const size_t blank = rco__skip_back(p, at, RCO__BLANKS);

	if (rco__is_one_of(key, ARGUMENTS LISTS) || rco__is_one_of(direct, NO_CALLS) ||
	    rco__is_result_class(direct) ||
	    (p->part[at] == '{' && rco__is_one_of(rco__word_before(p, blank), ARGUMENTS)))
		return 1;
	return p->part[at] != '[' && direct.size > 0 && direct.text[0] == rco__lower(direct.text[0]) &&
	       !rco__is_one_of(direct,
	                       " print await return function_call tool_call function functioncall toolcall ");
}

/* A name without a key would be an argument in this one. */
static int holds_members(const rco__plain *p, size_t at)
{
	const rco__word direct = rco__word_before(p, at);

	if (rco__is_behind(p, at, "<function")) /* "<function(recording_opt_out){...}" of Llama */
		return 0;
	return p->part[at] == '{' || (p->part[at] == '[' && rco__is_call_class(direct)) ||
	       (p->part[at] == '(' && direct.size > 0 && !rco__is_one_of(direct, " print await return "));
}

/* It is an object of a class, as SDKs print one, and no call. */
static int is_foreign(const rco__plain *p, size_t at)
{
	const rco__word class = rco__word_before(p, at);

	return class.size > 0 && class.text[0] >= 'A' && class.text[0] <= 'Z' && !rco__is_call_class(class);
}

static int by_head(const rco__plain *p, size_t at);
static size_t with_prefix(const rco__plain *p, size_t at);

#define HOLDERS                                                                                                   \
	" function_call functioncall tool_call tool_calls tool_use candidates choices content parts message "     \
	"output "

/* It may be a call's: where a line begins, behind what leads to one, or as a member that holds calls. Inside of
 * other brackets, which a text may open and not close, only behind a tag. */
static int is_led(const rco__plain *p, size_t at)
{
	const size_t blank = rco__skip_back(p, at, RCO__BLANKS);
	size_t from = (size_t)(rco__word_before(p, at).text - p->part);
	int how;

	if (p->depth == 0 && p->part[at] != '{' && rco__is_one_of(key_before(p, from), HOLDERS))
		return 1;
	/* as protocol buffers are printed, and by LangChain4j */
	if (from == at && (rco__is_one_of(rco__word_before(p, blank), HOLDERS "aimessage assistantmessage ") ||
	                   (p->part[at] == '{' && rco__is_call_class(rco__word_before(p, blank)))))
		from = (size_t)(rco__word_before(p, blank).text - p->part);
	how = by_head(p, with_prefix(p, from));
	return p->depth == 0 ? how != NO : how == MARKED;
}

static void open_bracket(rco__plain *p, size_t at)
{
	if (p->depth == 0)
		p->led = 0;
	p->led = p->led || is_led(p, at);
	if (p->depth == 0)
		p->aside = p->part[at] == '(' && rco__word_before(p, at).size == 0;
	if (p->depth < DEPTH) {
		const uint64_t bit = (uint64_t)1 << p->depth;

		p->arguments = (p->arguments & ~bit) | (holds_arguments(p, at) ? bit : 0);
		p->members = (p->members & ~bit) | (holds_members(p, at) ? bit : 0);
		p->foreign = (p->foreign & ~bit) | (is_foreign(p, at) ? bit : 0);
	}
	p->depth++;
}

static void close_bracket(rco__plain *p)
{
	p->depth -= p->depth > 0;
	if (p->depth < DEPTH) {
		p->arguments &= ((uint64_t)1 << p->depth) - 1;
		p->members &= ((uint64_t)1 << p->depth) - 1;
		p->foreign &= ((uint64_t)1 << p->depth) - 1;
	}
}

/* No apostrophe; Python writes a letter before a string, as in b'...'. */
static int may_begin_string(const rco__plain *p, size_t at)
{
	const rco__word before = rco__word_before(p, at);

	return before.size == 0 || rco__is_one_of(before, " b f r u ");
}

/* A string in brackets ends at the quote that began it, with as many backslashes; so does a text of an object that
 * is printed without brackets. */
static void note_quote(rco__plain *p, size_t at)
{
	const size_t before = rco__skip_back(p, at, "\\");
	const unsigned slashes = (unsigned)(at - before);
	const int is_text = rco__is_one_of(key_before(p, before), ARGUMENTS TEXTS);
	const int printed = is_text && before > 0 && p->part[before - 1] == '=';

	if (p->quote == '\0' && (p->depth > 0 || printed) && may_begin_string(p, before)) {
		p->quote = p->part[at];
		p->slashes = slashes;
		p->muted = is_text;
	} else if (p->quote == p->part[at] && p->slashes == slashes) {
		p->quote = '\0';
	}
}

static void note_structure(rco__plain *p, size_t at)
{
	const char c = p->part[at];

	if (rco__is_in(c, "'\""))
		note_quote(p, at);
	else if (p->quote != '\0')
		return;
	else if (rco__is_in(c, "([{"))
		open_bracket(p, at);
	else if (rco__is_in(c, ")]}"))
		close_bracket(p);
}

/* ---- our name ---- */

#define NAME_KEYS                                                                                                 \
	" name tool_name toolname function_name functionname function tool action tool_call function_call "       \
	"recipient_name recipient call to "

/* Where the brackets of a call would be: behind the name, its number, and a quote. */
static size_t behind_name(const rco__plain *p, size_t end)
{
	size_t at = rco__skip(p, end, "_-.:#");

	if (at < p->size && p->part[at] >= '0' && p->part[at] <= '9')
		end = rco__skip(p, at, "0123456789");
	return rco__skip(p, end, RCO__QUOTES);
}

/* `'name': 'recording_opt_out', 'description': ...` */
static int is_definition(const rco__plain *p, size_t end)
{
	const rco__word next = rco__word_at(p, rco__skip(p, end, "," RCO__QUOTES RCO__BLANKS "\r\n"));

	return rco__is_one_of(next, " description inputschema input_schema ") &&
	       rco__value_behind(p, next).text > p->part &&
	       !rco__is_one_of(rco__value_behind(p, next), " none null ");
}

/* "functions.recording_opt_out", "mcp__server__recording_opt_out": the whole of it. */
static size_t with_prefix(const rco__plain *p, size_t at)
{
	size_t from = at;

	while (from > 0 && (rco__is_of_word(p->part[from - 1]) || rco__is_in(p->part[from - 1], ".-")))
		from--;
	if (from > 0 && p->part[from - 1] == ':' &&
	    rco__is_one_of(rco__word_before(p, from - 1), " functions tools default_api "))
		from -= 1 + rco__word_before(p, from - 1).size;
	return from;
}

/* All of the string, as far as it has come, is our name, as a model spells it; or something that ends it follows.
 */
static int is_whole_string(const rco__plain *p, size_t at, size_t name_end)
{
	const size_t behind = rco__skip(p, behind_name(p, name_end), RCO__BLANKS);
	size_t end = name_end;

	if (at == 0 || !rco__is_in(p->part[at - 1], RCO__QUOTES RCO__BLANKS))
		return 0;
	if (behind == p->size || rco__is_in(p->part[behind], ",)]}|<&\r\n"))
		return 1;
	while (end < p->size && p->part[end] != p->quote)
		end++;
	return rco__name_is_ours(p->part + at, rco__skip_back(p, end, "\\") - at);
}

/* The value of a member that is a call's name. */
static int is_by_key(const rco__plain *p, size_t at, size_t name_end)
{
	const uint64_t here = p->depth <= DEPTH ? (uint64_t)1 << (p->depth - 1) : 0;

	if (!rco__is_one_of(key_before(p, at), NAME_KEYS) || p->arguments != 0 || (p->foreign & here) != 0 ||
	    (p->quote != '\0' && p->muted))
		return 0;
	return p->quote != '\0' ? is_whole_string(p, at, name_end) : (p->members & here) != 0;
}

/* A tag that ends before `end` and leads to a call: "<tool_call>", "<|python_tag|>", "[TOOL_CALLS]". */
static int by_tag(const rco__plain *p, size_t end)
{
	const char open = p->part[end - 1] == '>' ? '<' : '[';
	size_t at = end - 1;
	rco__word w;

	while (at > 0 && p->part[at] != open && p->part[at] != '\n')
		at--;
	if (p->part[at] != open || at + 1 >= end)
		return NO;
	if (p->part[at + 1] == '/')
		return LINE;
	if (rco__is_behind(p, end, "<|start|>")) /* who says it */
		return NO;
	if (open == '<' && (p->part[at + 1] == '|' || (unsigned char)p->part[at + 1] >= 0x80))
		return MARKED;
	w = rco__word_at(p, at + 1);
	return rco__is_one_of(
		       w,
		       " tool_call tool_calls tool_use tool_name tool function function_call function_calls "
		       "function_name functioncall start_function_call toolcall invoke name call action tool_code "
		       "python execute ")
	               ? MARKED
	               : NO;
}

/* It stands in a tag: <invoke name="...">, <function=...>. */
static int in_tag(const rco__plain *p, size_t at)
{
	size_t from;
	rco__word w;

	while (at > 0 && !rco__is_in(p->part[at - 1], "<>\n"))
		at--;
	if (at == 0 || p->part[at - 1] != '<')
		return 0;
	while (at < p->size && (p->part[at] == '|' || (unsigned char)p->part[at] >= 0x80))
		at++;
	w = rco__word_at(p, at);
	if (rco__is_one_of(w, " dsml ")) { /* as DeepSeek marks all its tags */
		for (at += w.size; at < p->size && (p->part[at] == '|' || (unsigned char)p->part[at] >= 0x80);
		     at++)
			;
		w = rco__word_at(p, at);
	}
	from = at + w.size;
	if (from < p->size && p->part[from] == ':') /* of a namespace */
		w = rco__word_at(p, from + 1);
	return rco__is_one_of(
		w, " invoke function tool tool_call tool_use function_call functioncall toolcall call action ");
}

/* The label that ends in a colon at `end`: "Action", "Action 1", a word between ornaments. */
static rco__word label_before(const rco__plain *p, size_t end)
{
	while (end > 0 &&
	       (rco__is_in(p->part[end - 1], RCO__QUOTES RCO__BLANKS "*") ||
	        (p->part[end - 1] >= '0' && p->part[end - 1] <= '9') || (unsigned char)p->part[end - 1] >= 0x80))
		end--;
	return rco__word_before(p, end);
}

/* What stands in its line before it is nothing but what leads to a call. */
static int by_head(const rco__plain *p, size_t at)
{
	static const char leads[] = " call calling invoke function tool action print await return assistant "
				    "commentary json python api mcp malformed unexpected ";
	static const char labels[] = " assistant ai model agent bot action call tool_call function_call function "
				     "name tool_name function_name invoke here ";
	rco__word w;

	if (rco__is_behind(p, at, ">>>"))
		return LINE;
	for (;;) {
		at = rco__skip_back(p, at, RCO__QUOTES RCO__BLANKS "*");
		if (at == 0)
			return p->dropped ? NO : LINE;
		switch (p->part[at - 1]) {
		case '\n':
		case '\r':
		case '&':
		case '}':
		case ';':
			return LINE;
		case ',':
			return p->depth > 0 ? LINE : NO;
		case '>':
		case ']':
			return by_tag(p, at);
		case '<':
			return MARKED;
		case '[':
		case '(':
		case '{':
			at--;
			break;
		case ':':
			w = label_before(p, at - 1);
			if (!rco__is_one_of(w, labels))
				return NO;
			at = (size_t)(w.text - p->part);
			while (at > 0 && (unsigned char)p->part[at - 1] >= 0x80)
				at--;
			break;
		case '=':
			w = rco__word_before(p, rco__skip_back(p, at - 1, RCO__BLANKS));
			if (!rco__is_one_of(w, NAME_KEYS) &&
			    !rco__is_in(at > 1 ? p->part[at - 2] : '\0', RCO__BLANKS)) /* "done = ..." */
				return NO;
			if (rco__is_one_of(w, " to recipient ") || in_tag(p, at))
				return MARKED;
			at = (size_t)(w.text - p->part);
			break;
		default:
			w = rco__word_before(p, at);
			if (!rco__is_one_of(w, leads))
				return NO;
			at = (size_t)(w.text - p->part);
		}
	}
}

/* What stands in brackets that do not begin a line, a text may only talk about: then it is not found. */
static void accept(rco__plain *p, int found)
{
	p->tail = 0;
	p->named = 1;
	p->found = found;
	p->found_depth = p->depth;
}

/* In brackets only behind a mark, and only if a sentence has opened them: it may not close them. */
static int by_head_of(const rco__plain *p, size_t at)
{
	const int how = by_head(p, at);

	if (p->arguments == 0 && p->members == 0)
		return how;
	return how == MARKED && !p->led ? MARKED : NO;
}

static int loosely(const rco__plain *p)
{
	return p->arguments == 0 && p->members == 0 && !p->comment ? MARKED : NO;
}

static void judge(rco__plain *p, size_t name, size_t end)
{
	const size_t at = with_prefix(p, name);
	int how = NO;

	if (p->found || p->tail || p->page || p->trace || p->tagged || p->speaker == RCO__SOMEBODY_ELSE ||
	    (p->error && p->first_line) || is_definition(p, behind_name(p, end)))
		return;
	if (p->depth > 0 && is_by_key(p, at, end)) {
		if (p->label <= RCO__LABEL_LINES)
			accept(p, p->led);
		return;
	}
	if (p->quote != '\0')
		return;
	how = p->loose ? loosely(p) : by_head_of(p, at);
	if (how == MARKED && p->label <= RCO__LABEL_LINES) {
		accept(p, 1);
	} else if (how == LINE && !p->label) {
		p->tail = 1;
		p->tail_from = behind_name(p, end);
		p->tail_depth = p->depth;
	}
}

/* Behind the name: arguments, the end of a mark, and nothing more in its line. */
static void follow(rco__plain *p, size_t at)
{
	const char c = p->part[at];
	rco__word w;
	size_t end;

	if (!p->tail || at < p->tail_from)
		return;
	if (p->depth > p->tail_depth || p->quote != '\0')
		return;
	if (rco__is_in(c, "\r\n#<"))
		accept(p, 1);
	else if (p->depth > 0 && c == ',')
		accept(p, 1);
	else if (rco__is_of_word(c) || rco__is_letter(c)) {
		w = rco__word_at(p, at);
		end = rco__skip(p, at + w.size, RCO__BLANKS);
		if ((end < p->size && p->part[end] == '=') ||
		    rco__is_one_of(w, " action args arguments parameters with commentary json "))
			accept(p, 1);
		else
			p->tail = 0;
	} else if (rco__is_in(c, "?!=")) {
		p->tail = 0;
	}
}

static void note_character(rco__plain *p, size_t at)
{
	const char c = p->part[at];

	note_structure(p, at);
	follow(p, at);
	p->comment = c != '\n' && (p->comment || (c == '#' && p->quote == '\0'));
	if (c == '\n') {
		p->first_line &= !p->begun;
		p->line_begun = 0;
		p->label = p->label == RCO__LABEL_LINE ? 0 : p->label != 0 ? RCO__LABEL_LINES : 0;
		if (p->aside && p->depth > 0 && !p->led)
			p->depth = 0;
	}
	if (rco__is_in(c, RCO__BLANKS "\r\n")) {
		p->in_head &= !p->begun;
		return;
	}
	if (!p->begun && c == '<')
		p->page = rco__is_one_of(rco__word_at(p, rco__skip(p, at, "<!?")), " doctype html head body xml ");
	p->begun = 1;
	if (rco__is_of_word(c) && (at == 0 || !rco__is_of_word(p->part[at - 1])))
		rco__note_word(p, at, rco__word_at(p, at));
	p->line_begun |= !rco__is_in(c, "*>-");
}

/* ---- in pieces ---- */

/* In a string no character matters but its ends and its first word: a name, or the key of a member; and in a word
 * none behind the first. */
static int matters(const rco__plain *p, size_t at)
{
	const char c = p->part[at], before = at > 0 ? p->part[at - 1] : '\0';

	if (p->quote != '\0' && c != '\'' && c != '"' && before != '\'' && before != '"')
		return 0;
	return p->tail || !rco__is_of_word(c) || !rco__is_of_word(before);
}

static void read_to(rco__plain *p, size_t to)
{
	size_t end = 0, name = rco__name_find(p->part, p->size, p->judged, &end), at;

	for (at = p->judged; at < to; at++) {
		if (matters(p, at))
			note_character(p, at);
		if (at == name) {
			judge(p, name, end);
			name = rco__name_find(p->part, p->size, at + 1, &end);
		}
	}
}

void rco__plain_begin(rco__plain *p)
{
	memset(p, 0, sizeof *p);
	p->in_head = p->first_line = 1;
}

void rco__plain_begin_in(rco__plain *p, unsigned depth, uint64_t objects)
{
	rco__plain_begin(p);
	p->depth = depth;
	p->members = depth < DEPTH ? objects & (((uint64_t)1 << depth) - 1) : objects;
	p->dropped = p->led = 1;
}

void rco__plain_feed(rco__plain *p, const char *text, size_t size)
{
	while (size > 0) {
		const size_t room = sizeof p->part - p->size, n = size < room ? size : room;
		size_t moved;

		memcpy(p->part + p->size, text, n);
		p->size += n;
		text += n;
		size -= n;
		if (p->size < sizeof p->part)
			break;
		read_to(p, p->size - AROUND);
		moved = p->size - 2 * AROUND;
		memmove(p->part, p->part + p->size - 2 * AROUND, 2 * AROUND);
		p->size = 2 * AROUND;
		p->judged = AROUND;
		p->dropped = 1;
		p->tail_from = p->tail_from > moved ? p->tail_from - moved : 0;
	}
}

void rco__plain_end(rco__plain *p)
{
	read_to(p, p->size);
	if (p->tail)
		accept(p, 1);
	p->size = p->judged = 0;
}
