/* SPDX-License-Identifier: MIT */
/* Vector registers of the calling thread: filled with a pattern, and searched for it. */
#ifndef TESTS_SUPPORT_REGISTERS_H
#define TESTS_SUPPORT_REGISTERS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { T_REGISTER = 64, T_REGISTERS = 32, T_PATTERN = 0xa5 };

#if defined(__x86_64__)

/* The upper sixteen exist with AVX-512 only. */
#define T_FILL(n)  "vmovdqu64 (%0), %%zmm" #n "\n\t"
#define T_STORE(n) "vmovdqu64 %%zmm" #n ", " #n "*64(%0)\n\t"
#define T_ALL(op)                                                                                                 \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)     \
		op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) op(26) op(27) op(28) op(29) \
			op(30) op(31)
#define T_FILL_SSE(n)  "movdqu (%0), %%xmm" #n "\n\t"
#define T_STORE_SSE(n) "movdqu %%xmm" #n ", " #n "*64(%0)\n\t"
#define T_LOW(op)                                                                                                 \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)

static inline int t_fill(const uint8_t *pattern)
{
	if (__builtin_cpu_supports("avx512f"))
		__asm__ volatile(T_ALL(T_FILL)::"r"(pattern) : "memory");
	else
		__asm__ volatile(T_LOW(T_FILL_SSE)::"r"(pattern) : "memory");
	return 1;
}

static inline void t_store(uint8_t *out)
{
	if (__builtin_cpu_supports("avx512f"))
		__asm__ volatile(T_ALL(T_STORE)::"r"(out) : "memory");
	else
		__asm__ volatile(T_LOW(T_STORE_SSE)::"r"(out) : "memory");
}

#elif defined(__aarch64__)

#define T_FILL(n)  "ldr q" #n ", [%0]\n\t"
#define T_STORE(n) "str q" #n ", [%0, #" #n "*64]\n\t"

/* The others are the caller's, in part. */
#define T_OURS(op)                                                                                                \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23)   \
		op(24) op(25) op(26) op(27) op(28) op(29) op(30) op(31)

static inline int t_fill(const uint8_t *pattern)
{
	__asm__ volatile(T_OURS(T_FILL)::"r"(pattern) : "memory");
	return 1;
}

static inline void t_store(uint8_t *out)
{
	__asm__ volatile(T_OURS(T_STORE)::"r"(out) : "memory");
}

#else

static inline int t_fill(const uint8_t *pattern)
{
	(void)pattern;
	return 0;
}

static inline void t_store(uint8_t *out)
{
	(void)out;
}

#endif

/* 0 where it is not known how. */
static inline int t_registers_fill(void)
{
	uint8_t pattern[T_REGISTER];

	memset(pattern, T_PATTERN, sizeof pattern);
	return t_fill(pattern);
}

/* Eighths of registers that hold the pattern. To be called at once after what is to be looked at: whatever is
 * called in between may use some. */
static inline size_t t_registers_hold(void)
{
	static uint8_t registers[T_REGISTERS * T_REGISTER];
	uint8_t pattern[8];
	size_t i, n = 0;

	t_store(registers);
	memset(pattern, T_PATTERN, sizeof pattern);
	for (i = 0; i < sizeof registers; i += sizeof pattern)
		n += memcmp(registers + i, pattern, sizeof pattern) == 0;
	memset(registers, 0, sizeof registers);
	return n;
}

#endif
