/*
 * vec: a growing array of one type with a cap
 *
 *     VEC(struct host) hosts = VEC_INIT(MANIFEST_HOSTS_MAX);        or AUTO_VEC(struct host) …, released with its scope
 *     if (!vec_push(&hosts, (struct host){.name = name, .port = port}))
 *             return fail(err, ERR_LIMIT, "'%s' has more than %zu hosts", file, hosts.cap);
 *     VEC_FOREACH(host, &hosts)
 *             dial(host->name, host->port);
 *     vec_release(&hosts);
 *
 * Elements are items[0 … n); reading them is plain array access. Growing moves them, so a pointer to an element does
 * not survive a push. Elements that own something are released by the caller first. Every VEC(…) is a type of its own:
 * to pass one to a function, name it: `struct host_list { VEC(struct host) hosts; };`. Not thread-safe.
 */
#pragma once
#include "base/mem.h"
#include <stdbool.h>
#include <stddef.h>

/* `room` elements are allocated; there are never more than `cap`. items is NULL until the first push. */
#define VEC(type)                                                                                                      \
	struct {                                                                                                       \
		type *items;                                                                                           \
		size_t n, room, cap;                                                                                   \
	}
#define VEC_INIT(max)                                                                                                  \
	{                                                                                                              \
		.cap = (max)                                                                                           \
	}
#define AUTO_VEC(type) __attribute__((cleanup(auto_vec_))) VEC(type)

/* Appends a copy of the value, which is read before the array moves. False, nothing changed, when the cap is met. */
#define vec_push(vec, ...)                                                                                             \
	({                                                                                                             \
		__auto_type push_ = (vec);                                                                             \
		__typeof__(*push_->items) item_ = __VA_ARGS__;                                                         \
		bool fits_ = vec_reserve(push_, 1);                                                                    \
		if (fits_)                                                                                             \
			push_->items[push_->n++] = item_;                                                              \
		fits_;                                                                                                 \
	})

/* Room for `more` further elements at once. False when the cap forbids it. */
#define vec_reserve(vec, more)                                                                                         \
	({                                                                                                             \
		__auto_type reserve_ = (vec);                                                                          \
		size_t more_ = (more);                                                                                 \
		bool allowed_ = more_ <= reserve_->cap && reserve_->n <= reserve_->cap - more_;                        \
		if (allowed_ && reserve_->room - reserve_->n < more_)                                                  \
			reserve_->items = vec_grow(reserve_->items, &reserve_->room, reserve_->n + more_,              \
						   reserve_->cap, sizeof *reserve_->items);                            \
		allowed_;                                                                                              \
	})

/* The last element, taken off or left in place; the array must not be empty. */
#define vec_pop(vec)                                                                                                   \
	({                                                                                                             \
		__auto_type pop_ = (vec);                                                                              \
		vec_check_index(pop_->n - 1, pop_->n);                                                                 \
		pop_->items[--pop_->n];                                                                                \
	})
#define vec_last(vec)                                                                                                  \
	({                                                                                                             \
		__auto_type last_ = (vec);                                                                             \
		vec_check_index(last_->n - 1, last_->n);                                                               \
		&last_->items[last_->n - 1];                                                                           \
	})

/* Takes element i out: the rest keep their order, or the last one takes its place. i must be < n. */
#define vec_remove(vec, i)                                                                                             \
	do {                                                                                                           \
		__auto_type remove_ = (vec);                                                                           \
		size_t at_ = (i);                                                                                      \
		vec_check_index(at_, remove_->n);                                                                      \
		remove_->n--;                                                                                          \
		memmove(&remove_->items[at_], &remove_->items[at_ + 1], (remove_->n - at_) * sizeof *remove_->items);  \
	} while (0)
#define vec_swap_remove(vec, i)                                                                                        \
	do {                                                                                                           \
		__auto_type swap_ = (vec);                                                                             \
		size_t from_ = (i);                                                                                    \
		vec_check_index(from_, swap_->n);                                                                      \
		swap_->items[from_] = swap_->items[--swap_->n];                                                        \
	} while (0)

#define vec_clear(vec) ((void)((vec)->n = 0)) /* keeps the memory */

/* Back to empty with the same cap; may be used again. */
#define vec_release(vec)                                                                                               \
	do {                                                                                                           \
		__auto_type release_ = (vec);                                                                          \
		auto_vec_(release_);                                                                                   \
		release_->items = NULL;                                                                                \
		release_->n = release_->room = 0;                                                                      \
	} while (0)

/* `item` walks as a pointer over the elements; the array must not grow or shrink meanwhile. */
#define VEC_FOREACH(item, vec)                                                                                         \
	for (__typeof__((vec)->items) item = (vec)->items, item##_end_ = item != NULL ? item + (vec)->n : NULL;        \
	     item != item##_end_; item++)

/* What the macros call; not for use. */
void *vec_grow(void *items, size_t *room, size_t need, size_t cap, size_t size)
	__attribute__((returns_nonnull, warn_unused_result));
void vec_check_index(size_t i, size_t n);
void auto_vec_(void *vec);
