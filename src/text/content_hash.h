/*
 * content_hash: the text form of a content hash
 *
 * "sha256:" and 64 lower-case hexadecimal digits; nothing else is one, anywhere. Any thread.
 */
#pragma once
#include "base/str.h"

#define CONTENT_HASH_TEXT_SIZE 71 /* characters, without a NUL */

bool content_hash_is_valid(struct str text);
