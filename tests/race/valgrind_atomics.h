/* SPDX-License-Identifier: MIT */
/*
 * Put in front of each source by -include, for a build that runs under helgrind or drd: these tools know mutexes
 * and threads, but take an atomic operation of C11 for any other access. So each operation tells them what it
 * orders, in functions whose own accesses valgrind.supp leaves out: they are atomic. Nothing else is left out.
 */
#ifndef TESTS_RACE_VALGRIND_ATOMICS_H
#define TESTS_RACE_VALGRIND_ATOMICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <valgrind/drd.h>
#undef ANNOTATE_HAPPENS_BEFORE
#undef ANNOTATE_HAPPENS_AFTER
#undef ANNOTATE_NEW_MEMORY
#undef ANNOTATE_RWLOCK_CREATE
#undef ANNOTATE_RWLOCK_DESTROY
#undef ANNOTATE_RWLOCK_ACQUIRED
#undef ANNOTATE_READERLOCK_ACQUIRED
#undef ANNOTATE_WRITERLOCK_ACQUIRED
#undef ANNOTATE_RWLOCK_RELEASED
#undef ANNOTATE_READERLOCK_RELEASED
#undef ANNOTATE_WRITERLOCK_RELEASED
#include <valgrind/helgrind.h>

#define VA_FUNCTION static __attribute__((noinline, unused))

/* The control: with RACE_UNTOLD set no order is told, and the tools have to complain. */
static int va_untold;

static __attribute__((constructor, unused)) void va_begin(void)
{
	va_untold = getenv("RACE_UNTOLD") != NULL;
}

/* Each of the two ignores the other's. */
VA_FUNCTION void va_before(const volatile void *p, int order)
{
	if (va_untold || order == memory_order_relaxed || order == memory_order_acquire)
		return;
	ANNOTATE_HAPPENS_BEFORE(p);
	VALGRIND_DO_CLIENT_REQUEST_STMT(VG_USERREQ__DRD_ANNOTATE_HAPPENS_BEFORE, p, 0, 0, 0, 0);
}

VA_FUNCTION void va_after(const volatile void *p, int order)
{
	if (va_untold || order == memory_order_relaxed || order == memory_order_release)
		return;
	ANNOTATE_HAPPENS_AFTER(p);
	VALGRIND_DO_CLIENT_REQUEST_STMT(VG_USERREQ__DRD_ANNOTATE_HAPPENS_AFTER, p, 0, 0, 0, 0);
}

#define VA_OPERATIONS(bits)                                                                                       \
	VA_FUNCTION uint##bits##_t va_load_##bits(const volatile void *p, int order)                              \
	{                                                                                                         \
		uint##bits##_t v = __atomic_load_n((const volatile uint##bits##_t *)p, __ATOMIC_SEQ_CST);         \
                                                                                                                  \
		va_after(p, order);                                                                               \
		return v;                                                                                         \
	}                                                                                                         \
	VA_FUNCTION void va_store_##bits(volatile void *p, uint##bits##_t v, int order)                           \
	{                                                                                                         \
		va_before(p, order);                                                                              \
		__atomic_store_n((volatile uint##bits##_t *)p, v, __ATOMIC_SEQ_CST);                              \
	}                                                                                                         \
	VA_FUNCTION int va_swap_##bits(volatile void *p, void *expected, uint##bits##_t v, int order)             \
	{                                                                                                         \
		uint##bits##_t seen = *(uint##bits##_t *)expected;                                                \
		int same;                                                                                         \
                                                                                                                  \
		va_before(p, order);                                                                              \
		same = __atomic_compare_exchange_n((volatile uint##bits##_t *)p, &seen, v, 0, __ATOMIC_SEQ_CST,   \
		                                   __ATOMIC_SEQ_CST);                                             \
		va_after(p, order);                                                                               \
		if (!same)                                                                                        \
			*(uint##bits##_t *)expected = seen;                                                       \
		return same;                                                                                      \
	}                                                                                                         \
	VA_FUNCTION uint##bits##_t va_modify_##bits(volatile void *p, uint##bits##_t v, int order, char what)     \
	{                                                                                                         \
		volatile uint##bits##_t *at = p;                                                                  \
		uint##bits##_t was;                                                                               \
                                                                                                                  \
		va_before(p, order);                                                                              \
		if (what == '+')                                                                                  \
			was = __atomic_fetch_add(at, v, __ATOMIC_SEQ_CST);                                        \
		else if (what == '|')                                                                             \
			was = __atomic_fetch_or(at, v, __ATOMIC_SEQ_CST);                                         \
		else if (what == '&')                                                                             \
			was = __atomic_fetch_and(at, v, __ATOMIC_SEQ_CST);                                        \
		else                                                                                              \
			was = __atomic_exchange_n(at, v, __ATOMIC_SEQ_CST);                                       \
		va_after(p, order);                                                                               \
		return was;                                                                                       \
	}

VA_OPERATIONS(8)
VA_OPERATIONS(32)
VA_OPERATIONS(64)

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_weak_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and
#undef atomic_fetch_and_explicit

/* The comma takes the qualifiers away. A size there is no operation for does not compile. */
#define VA_TYPE(p) __typeof__((void)0, *(p))
#define VA_SIZED(p, call8, call32, call64)                                                                        \
	__builtin_choose_expr(sizeof *(p) == 1, call8,                                                            \
	                      __builtin_choose_expr(sizeof *(p) == 4, call32,                                     \
	                                            __builtin_choose_expr(sizeof *(p) == 8, call64, (void)0)))
#define VA_MODIFY(p, v, order, what)                                                                              \
	((VA_TYPE(p))VA_SIZED(p, va_modify_8((p), (uint8_t)(v), (int)(order), what),                              \
	                      va_modify_32((p), (uint32_t)(v), (int)(order), what),                               \
	                      va_modify_64((p), (uint64_t)(v), (int)(order), what)))

#define atomic_load_explicit(p, order)                                                                            \
	((VA_TYPE(p))VA_SIZED(p, va_load_8((p), (int)(order)), va_load_32((p), (int)(order)),                     \
	                      va_load_64((p), (int)(order))))
#define atomic_store_explicit(p, v, order)                                                                        \
	VA_SIZED(p, va_store_8((p), (uint8_t)(v), (int)(order)), va_store_32((p), (uint32_t)(v), (int)(order)),   \
	         va_store_64((p), (uint64_t)(v), (int)(order)))
#define atomic_compare_exchange_strong_explicit(p, e, v, order, failed)                                           \
	VA_SIZED(p, va_swap_8((p), (e), (uint8_t)(v), (int)(order)),                                              \
	         va_swap_32((p), (e), (uint32_t)(v), (int)(order)),                                               \
	         va_swap_64((p), (e), (uint64_t)(v), (int)(order)))
#define atomic_compare_exchange_weak_explicit(p, e, v, order, failed)                                             \
	atomic_compare_exchange_strong_explicit(p, e, v, order, failed)
#define atomic_exchange_explicit(p, v, order)  VA_MODIFY(p, v, order, '=')
#define atomic_fetch_add_explicit(p, v, order) VA_MODIFY(p, v, order, '+')
#define atomic_fetch_sub_explicit(p, v, order) VA_MODIFY(p, 0 - (uint64_t)(v), order, '+')
#define atomic_fetch_or_explicit(p, v, order)  VA_MODIFY(p, v, order, '|')
#define atomic_fetch_and_explicit(p, v, order) VA_MODIFY(p, v, order, '&')

#define atomic_load(p)     atomic_load_explicit(p, memory_order_seq_cst)
#define atomic_store(p, v) atomic_store_explicit(p, v, memory_order_seq_cst)
#define atomic_compare_exchange_strong(p, e, v)                                                                   \
	atomic_compare_exchange_strong_explicit(p, e, v, memory_order_seq_cst, 0)
#define atomic_compare_exchange_weak(p, e, v)                                                                     \
	atomic_compare_exchange_strong_explicit(p, e, v, memory_order_seq_cst, 0)
#define atomic_exchange(p, v)  atomic_exchange_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_add(p, v) atomic_fetch_add_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_sub(p, v) atomic_fetch_sub_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_or(p, v)  atomic_fetch_or_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_and(p, v) atomic_fetch_and_explicit(p, v, memory_order_seq_cst)

#endif
