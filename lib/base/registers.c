/* SPDX-License-Identifier: MIT */
/*
 * Not inlined, and in a file of its own, so that no caller is compiled in the knowledge of which registers these
 * functions leave alone. The instructions are written out: a compiler may drop what has no effect in the language.
 */
#include "thread.h"

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)

#define X8(op)  op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define X16(op) X8(op) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define H16(op)                                                                                                   \
	op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) op(26) op(27) op(28) op(29) op(30)  \
		op(31)

#define SSE(n)   "pxor %%xmm" #n ", %%xmm" #n "\n\t"
#define EVEX(n)  "vpxord %%xmm" #n ", %%xmm" #n ", %%xmm" #n "\n\t" /* the upper parts become zero, too */
#define EVEXZ(n) "vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"
#define MASK(n)  "kxorw %%k" #n ", %%k" #n ", %%k" #n "\n\t" /* bits above 15 become zero, too */
#define NAME(n)  "xmm" #n,

/* Named is what a compiler may use; those that it was not told of it uses for nothing, and would refuse the names.
 */
#ifdef __x86_64__
#define LOW X16
#else
#define LOW X8
#endif
#ifdef __SSE__
#define LOW_NAMES LOW(NAME)
#else
#define LOW_NAMES
#endif
#ifdef __AVX512F__
#define HIGH_NAMES H16(NAME) "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#else
#define HIGH_NAMES
#endif

static void clear_sse(void)
{
	__asm__ volatile(LOW(SSE)::: LOW_NAMES "memory");
}

/* With the upper halves, and where there are 512 bits the upper three quarters. */
static void clear_avx(void)
{
	__asm__ volatile("vzeroall" ::: LOW_NAMES "memory");
}

static void clear_avx512(void)
{
	__asm__ volatile(X8(MASK)::: HIGH_NAMES "memory");
#ifdef __x86_64__
	/* Narrow, if possible: processors may run slower for a while after the wide form. */
	if (__builtin_cpu_supports("avx512vl"))
		__asm__ volatile(H16(EVEX)::: HIGH_NAMES "memory");
	else
		__asm__ volatile(H16(EVEXZ)::: HIGH_NAMES "memory");
#endif
}

static void clear_general(void)
{
#ifdef __x86_64__
	__asm__ volatile("xorl %%eax, %%eax\n\t"
	                 "xorl %%ecx, %%ecx\n\t"
	                 "xorl %%edx, %%edx\n\t"
	                 "xorl %%esi, %%esi\n\t"
	                 "xorl %%edi, %%edi\n\t"
	                 "xorl %%r8d, %%r8d\n\t"
	                 "xorl %%r9d, %%r9d\n\t"
	                 "xorl %%r10d, %%r10d\n\t"
	                 "xorl %%r11d, %%r11d\n\t" ::
	                         : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory");
#else
	__asm__ volatile("xorl %%eax, %%eax\n\t"
	                 "xorl %%ecx, %%ecx\n\t"
	                 "xorl %%edx, %%edx\n\t" ::
	                         : "eax", "ecx", "edx", "cc", "memory");
#endif
}

__attribute__((noinline)) void rco__clear_registers(void)
{
	if (__builtin_cpu_supports("avx"))
		clear_avx();
	else if (__builtin_cpu_supports("sse2"))
		clear_sse();
	if (__builtin_cpu_supports("avx512f"))
		clear_avx512();
	clear_general();
}

#elif defined(__aarch64__) && defined(__GNUC__)

#define ZERO(n) "movi v" #n ".2d, #0\n\t" /* what is longer with SVE becomes zero, too */

/* The lower halves of v8 to v15 belong to the caller, and are put back by the compiler. */
__attribute__((noinline)) void rco__clear_registers(void)
{
	__asm__ volatile(ZERO(0) ZERO(1) ZERO(2) ZERO(3) ZERO(4) ZERO(5) ZERO(6) ZERO(7) ZERO(8) ZERO(9) ZERO(10)
	                         ZERO(11) ZERO(12) ZERO(13) ZERO(14) ZERO(15) ZERO(16) ZERO(17) ZERO(18) ZERO(19)
	                                 ZERO(20) ZERO(21) ZERO(22) ZERO(23) ZERO(24) ZERO(25) ZERO(26) ZERO(27)
	                                         ZERO(28) ZERO(29) ZERO(30) ZERO(31)::
	                                                 : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8",
	                                                   "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",
	                                                   "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
	                                                   "v25", "v26", "v27", "v28", "v29", "v30", "v31",
	                                                   "memory");
	__asm__ volatile("mov x0, #0\n\tmov x1, #0\n\tmov x2, #0\n\tmov x3, #0\n\tmov x4, #0\n\tmov x5, #0\n\t"
	                 "mov x6, #0\n\tmov x7, #0\n\tmov x8, #0\n\tmov x9, #0\n\tmov x10, #0\n\tmov x11, #0\n\t"
	                 "mov x12, #0\n\tmov x13, #0\n\tmov x14, #0\n\tmov x15, #0\n\t" ::
	                         : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
	                           "x13", "x14", "x15", "memory");
}

#else

void rco__clear_registers(void)
{
}

#endif
