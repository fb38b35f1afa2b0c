/* SPDX-License-Identifier: MIT */
/*
 * Included before the shipped sources: their atomic operations, locks, copies and wipes become points of sched.h.
 * Outside of a race they do what they always do.
 */
#ifndef TESTS_RACE_SHIM_H
#define TESTS_RACE_SHIM_H

#include "sched.h"

#include "../../lib/base/bytes.h"
#include "../../lib/base/env.h"
#include "../../lib/base/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

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
#undef atomic_fetch_or
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and
#undef atomic_fetch_and_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit

/* The comma takes the qualifiers away. */
#define RACE_AS(p) (__typeof__((void)0, *(p)))

#define atomic_load_explicit(p, order)     (RACE_AS(p) race_load((p), sizeof *(p), (int)(order), __func__))
#define atomic_store_explicit(p, v, order) race_store((p), sizeof *(p), (uint64_t)(v), (int)(order), __func__)
#define atomic_compare_exchange_strong_explicit(p, e, v, order, failed)                                           \
	race_swap((p), sizeof *(p), (e), (uint64_t)(v), (int)(order), __func__)
#define atomic_fetch_or_explicit(p, v, order)                                                                     \
	(RACE_AS(p) race_or((p), sizeof *(p), (uint64_t)(v), (int)(order), __func__))
#define atomic_fetch_and_explicit(p, v, order)                                                                    \
	(RACE_AS(p) race_and((p), sizeof *(p), (uint64_t)(v), (int)(order), __func__))
#define atomic_fetch_add_explicit(p, v, order)                                                                    \
	(RACE_AS(p) race_add((p), sizeof *(p), (uint64_t)(v), (int)(order), __func__))

#define atomic_exchange_explicit(p, v, order)                                                                     \
	(RACE_AS(p) race_exchange((p), sizeof *(p), (uint64_t)(v), (int)(order), __func__))

#define atomic_load(p)         atomic_load_explicit(p, memory_order_seq_cst)
#define atomic_store(p, v)     atomic_store_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_or(p, v)  atomic_fetch_or_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_and(p, v) atomic_fetch_and_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_add(p, v) atomic_fetch_add_explicit(p, v, memory_order_seq_cst)
#define atomic_exchange(p, v)  atomic_exchange_explicit(p, v, memory_order_seq_cst)
#define atomic_compare_exchange_strong(p, e, v)                                                                   \
	atomic_compare_exchange_strong_explicit(p, e, v, memory_order_seq_cst, memory_order_seq_cst)
/* It fails for no reason only where that is tried again. */
#define atomic_compare_exchange_weak(p, e, v) atomic_compare_exchange_strong(p, e, v)

#define memcpy(to, from, size)  race_copy((to), (from), (size), __func__)
#define rco_memzero(p, size)    race_wipe((p), (size), __func__)
#define pthread_mutex_lock(m)   race_lock(m)
#define pthread_mutex_unlock(m) race_unlock(m)

#endif
