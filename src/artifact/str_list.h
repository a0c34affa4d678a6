/*
 * str_list: texts that somebody else owns, in order
 */
#pragma once
#include "base/str.h"

struct str_list {
	const struct str *items;
	size_t n;
};

static inline bool str_list_has(struct str_list list, struct str text)
{
	for (size_t i = 0; i < list.n; i++) {
		if (str_eq(list.items[i], text))
			return true;
	}
	return false;
}
