/* The answer of a token endpoint: whatever comes is read or refused, and what is read fits where it goes. */
#include "base/mem.h"
#include "egress/oauth_answer.h"
#include <stdint.h>
#include <stdlib.h>

static void check_inside(struct str text, const char *start, size_t n)
{
	if (text.n > 0 && (text.p < start || text.p + text.n > start + n))
		BUG("a text outside of the answer");
}

static void check_token(struct str token)
{
	for (size_t i = 0; i < token.n; i++) {
		if (token.p[i] <= ' ' || token.p[i] > '~')
			BUG("a token that cannot stand in a header");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xcalloc(size + 1, 1);
	if (size > 0)
		memcpy(text, data, size);
	struct oauth_answer answer;
	struct err err;
	err_clear(&err);
	if (oauth_answer_parse(text, size, &answer, &err) != 0) {
		if (err.class != ERR_PARSE_ERROR && err.class != ERR_VALIDATION_ERROR)
			BUG("refused without a reason");
		return 0;
	}
	const struct str texts[] = {answer.access_token,
				    answer.refresh_token,
				    answer.device_code,
				    answer.token_type,
				    answer.scope,
				    answer.user_code,
				    answer.error,
				    answer.verification_uri,
				    answer.verification_uri_complete};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		check_inside(texts[i], text, size);
	check_token(answer.access_token);
	check_token(answer.refresh_token);
	check_token(answer.device_code);
	if (answer.error.n > OAUTH_CODE_MAX || answer.expires_in > UINT64_C(315360000) ||
	    (answer.error.n > 0 && !answer.has_error))
		BUG("a member out of its range");
	return 0;
}
