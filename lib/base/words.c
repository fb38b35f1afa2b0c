/* SPDX-License-Identifier: MIT */
/* What may be in texts that a host gives. */
#include "bytes.h"

#include "error.h"

/* One character of well-formed UTF-8 (RFC 3629, section 4): its length, 0 if it is none. */
static size_t utf8_char(const uint8_t *p, size_t left, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length, i;

	if (p[0] < 0x80) {
		*code = p[0];
		return 1;
	}
	length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || length > left)
		return 0;
	*code = p[0] & (0x7fu >> length);
	for (i = 1; i < length; i++) {
		if ((p[i] & 0xc0u) != 0x80u)
			return 0;
		*code = (*code << 6) | (p[i] & 0x3fu);
	}
	if (*code < least[length] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return length;
}

int rco__utf8_printable(const char *text, size_t length)
{
	const uint8_t *p = (const uint8_t *)text;
	uint32_t code = 0;
	size_t n;

	while (length > 0) {
		n = utf8_char(p, length, &code);
		if (n == 0 || code < 0x20 || (code >= 0x7f && code <= 0x9f))
			return 0;
		p += n;
		length -= n;
	}
	return 1;
}

int rco__call_id_check(const char *call_id)
{
	size_t length;

	if (call_id == NULL)
		return rco__fail(RCO_E_INVALID, "call_id is NULL");
	length = strnlen(call_id, RCO_CALL_ID_MAX + 1);
	if (length == 0)
		return rco__fail(RCO_E_CALL_ID, "call_id is empty; use the id of your signalling");
	if (length > RCO_CALL_ID_MAX)
		return rco__fail(RCO_E_CALL_ID,
		                 "call_id is longer than %d bytes; use a shorter one, or a hash of it",
		                 RCO_CALL_ID_MAX);
	if (!rco__utf8_printable(call_id, length))
		return rco__fail(RCO_E_CALL_ID, "call_id is not UTF-8 without control characters");
	return RCO_OK;
}

int rco__label_ok(const char *label, int dots)
{
	size_t length, i;

	if (label == NULL)
		return 0;
	length = strnlen(label, RCO_LABEL_MAX + 1);
	if (length == 0 || length > RCO_LABEL_MAX)
		return 0;
	for (i = 0; i < length; i++) {
		char ch = label[i];

		if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-' ||
		      (dots && ch == '.')))
			return 0;
	}
	return 1;
}
