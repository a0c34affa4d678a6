/*
 * suggest: which word was meant
 *
 * Edit distance with neighbours swapped counted as one step (Damerau-Levenshtein, restricted), over bytes. No state.
 */
#pragma once
#include "base/str.h"

#define SUGGEST_MAX 64 /* bytes of a word; longer ones are like nothing */

unsigned suggest_distance(struct str a, struct str b); /* at least SUGGEST_MAX when one is too long */
/* Whether a person who typed `typed` may have meant `word`: a third of the letters wrong at most, or its beginning. */
bool suggest_is_near(struct str typed, struct str word);
