/* SPDX-License-Identifier: MIT */
/* CRC-32C: the vectors of RFC 3720 B.4, and the table and the instruction agree. */
#include "../support_base.h"

/* The table is a static of this file; its copy of rco__crc32c() is used instead of the library's, from the same
 * text. */
#include "../../lib/base/crc32c.c"

/* clang-format off */
static const uint8_t scsi_read[48] = {
	0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
	0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
/* clang-format on */

static void check(const void *data, size_t size, uint32_t expected)
{
	assert_int_equal(rco__crc32c(0, data, size), expected);
	assert_int_equal(~crc_plain(~UINT32_C(0), data, size), expected);
}

static void vectors_of_rfc_3720(void **state)
{
	uint8_t data[32];
	size_t i;

	(void)state;
	memset(data, 0, sizeof data);
	check(data, sizeof data, 0x8a9136aa);
	memset(data, 0xff, sizeof data);
	check(data, sizeof data, 0x62a8ab43);
	for (i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)i;
	check(data, sizeof data, 0x46dd794e);
	for (i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(31 - i);
	check(data, sizeof data, 0x113fdb5c);
	check(scsi_read, sizeof scsi_read, 0xd9963a56);
	check("123456789", 9, 0xe3069283);
	check("", 0, 0);
}

static void table_and_instruction_agree_at_every_offset(void **state)
{
	uint8_t data[96];
	size_t from, size;

	(void)state;
	for (from = 0; from < sizeof data; from++)
		data[from] = (uint8_t)(from * 167 + 13);
	for (from = 0; from < 16; from++)
		for (size = 0; from + size <= sizeof data; size++)
			assert_int_equal(rco__crc32c(0, data + from, size),
			                 ~crc_plain(~UINT32_C(0), data + from, size));
}

static void it_can_be_continued(void **state)
{
	size_t cut;

	(void)state;
	for (cut = 0; cut <= sizeof scsi_read; cut++)
		assert_int_equal(
			rco__crc32c(rco__crc32c(0, scsi_read, cut), scsi_read + cut, sizeof scsi_read - cut),
			0xd9963a56);
}

static void every_flipped_bit_is_noticed(void **state)
{
	uint8_t data[48];
	size_t bit;

	(void)state;
	for (bit = 0; bit < 8 * sizeof data; bit++) {
		memcpy(data, scsi_read, sizeof data);
		data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_not_equal(rco__crc32c(0, data, sizeof data), 0xd9963a56);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_of_rfc_3720),
		cmocka_unit_test(table_and_instruction_agree_at_every_offset),
		cmocka_unit_test(it_can_be_continued),
		cmocka_unit_test(every_flipped_bit_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
