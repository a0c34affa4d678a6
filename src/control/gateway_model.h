/*
 * gateway_model: which model a request names, read as its body goes by
 *
 * The text of the member "model" of a JSON object, the last one where there are several, as those who parse it take it. No
 * judgement of the rest, and no more memory than this: a body may have megabytes and need not be JSON at all. A text with an
 * escape, with other than printable ASCII, or of more than GATEWAY_MODEL_MAX bytes is none. Pure.
 */
#pragma once
#include "base/str.h"

#define GATEWAY_MODEL_MAX 128

enum gateway_model_at {
	GATEWAY_MODEL_AT_START,
	GATEWAY_MODEL_AT_NAME, /* of the outermost object */
	GATEWAY_MODEL_AT_VALUE,
	GATEWAY_MODEL_IN_STRING,
	GATEWAY_MODEL_OVER, /* it is no object, or its end is here */
};

/* Zeroed to begin with. */
struct gateway_model {
	enum gateway_model_at at, after; /* after: what a string is in */
	unsigned depth;
	bool escaped, captures, spoilt;
	bool named; /* the member under way is "model" */
	char text[GATEWAY_MODEL_MAX];
	size_t text_n;
	char found[GATEWAY_MODEL_MAX];
	size_t found_n;
};
void gateway_model_feed(struct gateway_model *model, struct str piece);
struct str gateway_model_found(const struct gateway_model *model); /* "" = none */
