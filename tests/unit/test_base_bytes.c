/* SPDX-License-Identifier: MIT */
/* On-disk fields are little-endian whatever the host is, and no parser reads or writes past its end. */
#include "../support_base.h"

#include "../../lib/base/bytes.h"

static void fields_are_little_endian(void **state)
{
	static const uint8_t expected[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
	uint8_t out[8];

	(void)state;
	rco__put64(out, UINT64_C(0xefcdab8967452301));
	assert_memory_equal(out, expected, 8);
	assert_int_equal(rco__get16(expected), 0x2301);
	assert_int_equal(rco__get32(expected), 0x67452301);
	assert_true(rco__get64(expected) == UINT64_C(0xefcdab8967452301));
}

static void what_is_written_can_be_read(void **state)
{
	uint8_t buf[64], raw[3];
	char text[8];
	rco__cursor c;

	(void)state;
	rco__cursor_writer(&c, buf, sizeof buf);
	rco__w8(&c, 0xfe);
	rco__w16(&c, 0xfedc);
	rco__w32(&c, 0xfedcba98);
	rco__w64(&c, UINT64_C(0xfedcba9876543210));
	rco__wbytes(&c, "abc", 3);
	rco__wbytes(&c, NULL, 0);
	rco__wstr(&c, "leg");
	rco__wstr(&c, NULL);
	assert_int_equal(c.failed, 0);
	assert_int_equal(rco__cursor_used(&c, buf), 1 + 2 + 4 + 8 + 3 + 5 + 2);

	rco__cursor_reader(&c, buf, rco__cursor_used(&c, buf));
	assert_int_equal(rco__r8(&c), 0xfe);
	assert_int_equal(rco__r16(&c), 0xfedc);
	assert_int_equal(rco__r32(&c), 0xfedcba98);
	assert_true(rco__r64(&c) == UINT64_C(0xfedcba9876543210));
	rco__rbytes(&c, raw, 3);
	assert_memory_equal(raw, "abc", 3);
	rco__rstr(&c, text, sizeof text);
	assert_string_equal(text, "leg");
	rco__rstr(&c, text, sizeof text);
	assert_string_equal(text, "");
	assert_int_equal(c.failed, 0);
	assert_ptr_equal(c.at, c.end);
}

/* The room is allocated to the byte, so that a sanitizer sees one byte too many. */
static void writing_past_the_end_writes_nothing(void **state)
{
	size_t size, used;
	rco__cursor c;
	uint8_t *buf;

	(void)state;
	for (size = 0; size < 25; size++) {
		buf = malloc(size + 1);
		assert_non_null(buf);
		memset(buf, 0xee, size + 1);
		rco__cursor_writer(&c, buf, size);
		rco__w32(&c, 1);
		rco__w64(&c, 2);
		rco__w16(&c, 3);
		rco__wbytes(&c, "abcde", 5);
		rco__wstr(&c, "leg");
		rco__w8(&c, 4);
		used = rco__cursor_used(&c, buf);
		assert_int_equal(c.failed, 1);
		assert_true(used <= size);
		while (used <= size)
			assert_int_equal(buf[used++], 0xee);
		free(buf);
	}
}

static void once_failed_stays_failed(void **state)
{
	uint8_t buf[4] = {1, 2, 3, 4}, raw[4];
	rco__cursor c;

	(void)state;
	rco__cursor_reader(&c, buf, sizeof buf);
	assert_true(rco__r64(&c) == 0);
	assert_int_equal(c.failed, 1);
	assert_int_equal(rco__r8(&c), 0); /* though a byte is there */
	memset(raw, 0xee, sizeof raw);
	rco__rbytes(&c, raw, sizeof raw);
	assert_int_equal(raw[0], 0); /* never stale bytes */
	assert_int_equal(rco__cursor_used(&c, buf), 0);
}

static int read_string(const void *data, size_t size, char *out, size_t cap)
{
	rco__cursor c;

	memset(out, 0xee, cap);
	rco__cursor_reader(&c, data, size);
	rco__rstr(&c, out, cap);
	return !c.failed;
}

static void hostile_strings_are_refused(void **state)
{
	char out[8];

	(void)state;
	assert_true(read_string("\x07\0abcdefg", 9, out, sizeof out));
	assert_string_equal(out, "abcdefg");
	assert_false(read_string("\x08\0abcdefgh", 10, out, sizeof out)); /* no room for the NUL */
	assert_string_equal(out, "");
	assert_false(read_string("\x03\0ab", 4, out, sizeof out)); /* longer than what is there */
	assert_string_equal(out, "");
	assert_false(read_string("\x03\0a\0b", 5, out, sizeof out)); /* a NUL inside */
	assert_string_equal(out, "");
	assert_false(read_string("\xff", 1, out, sizeof out)); /* half a length */
	assert_false(read_string("\xff\xff", 2, out, sizeof out));
}

static void a_text_above_64_kib_is_refused(void **state)
{
	size_t size = UINT16_MAX + 1u;
	char *text = malloc(size + 1), *room = malloc(size + 2);
	rco__cursor c;

	(void)state;
	assert_non_null(text);
	assert_non_null(room);
	memset(text, 'a', size);
	text[size] = '\0';
	rco__cursor_writer(&c, room, size + 2);
	rco__wstr(&c, text);
	assert_int_equal(c.failed, 1);
	text[size - 1] = '\0';
	rco__cursor_writer(&c, room, size + 2);
	rco__wstr(&c, text);
	assert_int_equal(c.failed, 0);
	free(text);
	free(room);
}

static void uuids_survive_their_text(void **state)
{
	static const uint8_t id[16] = {0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3,
	                               0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0x00};
	uint8_t back[16];
	char text[37];

	(void)state;
	rco__uuid_text(id, text);
	assert_string_equal(text, "123e4567-e89b-12d3-a456-426614174000");
	assert_int_equal(rco__uuid_parse(text, back), RCO_OK);
	assert_memory_equal(back, id, 16);
	assert_int_equal(rco__uuid_parse("123e4567-e89b-12d3-a456-42661417400", back), RCO_E_INVALID);
	assert_int_equal(rco__uuid_parse("123e4567-e89b-12d3-a456-4266141740000", back), RCO_E_INVALID);
	assert_int_equal(rco__uuid_parse("123e4567-e89b-12d3-a456_426614174000", back), RCO_E_INVALID);
	assert_int_equal(rco__uuid_parse("123e4567-e89b-12d3-a456-42661417400g", back), RCO_E_INVALID);
	assert_int_equal(rco__uuid_parse("", back), RCO_E_INVALID);
	assert_int_equal(rco__uuid_parse(NULL, back), RCO_E_INVALID);
}

static void new_uuids_are_random_ones(void **state)
{
	uint8_t a[16], b[16];

	(void)state;
	rco__uuid_new(a);
	rco__uuid_new(b);
	assert_memory_not_equal(a, b, 16);
	assert_int_equal(a[6] >> 4, 4);    /* version 4 */
	assert_int_equal(a[8] >> 6, 0x02); /* variant of RFC 4122 */
}

static void only_well_formed_printable_utf8_passes(void **state)
{
	static const char *const good[] = {
		"",
		"a84b4c76e66710@host~",
		"\xc2\xa0\xdf\xbf",                 /* U+00A0, U+07FF */
		"\xe0\xa0\x80\xed\x9f\xbf",         /* U+0800, U+D7FF */
		"\xee\x80\x80\xef\xbf\xbf",         /* U+E000, U+FFFF */
		"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", /* U+10000, U+10FFFF */
	};
	static const char *const bad[] = {
		"\x1f",
		"a\nb",
		"\x7f",
		"\xc2\x80",         /* U+0080 */
		"\xc2\x9f",         /* U+009F */
		"\x80",             /* a continuation alone */
		"\xc0\xaf",         /* overlong */
		"\xc1\xbf",         /* overlong */
		"\xe0\x9f\xbf",     /* overlong */
		"\xf0\x8f\xbf\xbf", /* overlong */
		"\xed\xa0\x80",     /* surrogate */
		"\xed\xbf\xbf",     /* surrogate */
		"\xf4\x90\x80\x80", /* above U+10FFFF */
		"\xf5\x80\x80\x80",
		"\xff",
		"\xc2",
		"\xe2\x82",
		"\xe2\x28\xa1",
		"\xf0\x9f\x93", /* cut */
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(rco__utf8_printable(good[i], strlen(good[i])), 1);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(rco__utf8_printable(bad[i], strlen(bad[i])), 0);
	assert_int_equal(rco__utf8_printable("a\0b", 3), 0);
}

static void call_ids_are_checked(void **state)
{
	char id[300];

	(void)state;
	memset(id, 'a', sizeof id);
	id[RCO_CALL_ID_MAX] = '\0';
	assert_int_equal(rco__call_id_check(id), RCO_OK);
	id[RCO_CALL_ID_MAX] = 'a';
	id[RCO_CALL_ID_MAX + 1] = '\0';
	assert_int_equal(rco__call_id_check(id), RCO_E_CALL_ID);
	assert_int_equal(rco__call_id_check(""), RCO_E_CALL_ID);
	assert_int_equal(rco__call_id_check("a\tb"), RCO_E_CALL_ID);
	assert_int_equal(rco__call_id_check(NULL), RCO_E_INVALID);
	assert_int_equal(rco__call_id_check("x"), RCO_OK);
}

static void labels_can_be_parts_of_file_names(void **state)
{
	(void)state;
	assert_int_equal(rco__label_ok("caller_1-a", 0), 1);
	assert_int_equal(rco__label_ok("0123456789012345678901234567890", 0), 1);
	assert_int_equal(rco__label_ok("01234567890123456789012345678901", 0), 0);
	assert_int_equal(rco__label_ok("agent.tool", 1), 1);
	assert_int_equal(rco__label_ok("agent.tool", 0), 0);
	assert_int_equal(rco__label_ok("../x", 1), 0);
	assert_int_equal(rco__label_ok("Caller", 0), 0);
	assert_int_equal(rco__label_ok("a b", 0), 0);
	assert_int_equal(rco__label_ok("\xc3\xa4", 0), 0);
	assert_int_equal(rco__label_ok("", 1), 0);
	assert_int_equal(rco__label_ok(NULL, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_little_endian),
		cmocka_unit_test(what_is_written_can_be_read),
		cmocka_unit_test(writing_past_the_end_writes_nothing),
		cmocka_unit_test(once_failed_stays_failed),
		cmocka_unit_test(hostile_strings_are_refused),
		cmocka_unit_test(a_text_above_64_kib_is_refused),
		cmocka_unit_test(uuids_survive_their_text),
		cmocka_unit_test(new_uuids_are_random_ones),
		cmocka_unit_test(only_well_formed_printable_utf8_passes),
		cmocka_unit_test(call_ids_are_checked),
		cmocka_unit_test(labels_can_be_parts_of_file_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
