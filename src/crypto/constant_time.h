/*
 * constant_time: comparing without telling where the difference is
 *
 * For tags, tokens and passwords. Takes the same time for equal lengths, whatever the bytes; lengths are not secret.
 */
#pragma once
#include "base/str.h"

bool constant_time_eq(struct str a, struct str b);
