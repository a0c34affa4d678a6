/*
 * outcome: what became of a call
 *
 * A pure function over two witnesses: what the runner says (runner_done, a foreign program's word) and what the host
 * saw itself (host_record). The first row that fits decides:
 *
 *   the caller cancelled                              cancelled
 *   a limit decided or was passed                     resource_limit_exceeded, `limit`, `configured`
 *   memory.grow refused, then a trap or exit n != 0   resource_limit_exceeded, `limit` = memory
 *   the host's sticky error is set                    that error
 *   trap                                              connector_runtime_error, `trap`, `backtrace`
 *   instantiation failed                              connector_load_failed, `reason` = instantiation
 *   exit n, standard output has an `error`            the connector's error, below
 *   exit n != 0                                       connector_runtime_error, `exit_code`, tail of standard error
 *   exit 0, standard output is blank                  success without output
 *   exit 0, standard output is no envelope            connector_runtime_error
 *   otherwise                                         success
 *
 * The envelope is `{"output": object, "error": {"class": string, "message": string}}`; keys match without case, the
 * last of equal keys holds, null means absent, other keys are ignored. The connector's own class never becomes ours:
 * its error is connector_runtime_error "<its class>: <its message>" with details `connector_class`; or, when the last
 * response that the host saw had a status of 400 or more, or the connector says external_api_error itself,
 * external_api_error with that status, retriable for 429 and 500 to 599.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "connector/call_limits.h"
#include "connector/runner_protocol.h"

#define OUTCOME_STDERR_TAIL 256 /* bytes of standard error that a message shows */

/* What the host itself saw of a call. */
struct host_record {
	struct call_limits limits; /* resolved */
	bool failed;               /* a host function failed and none succeeded since: `error` */
	struct err error;
	int32_t status; /* of the last request that was answered; 0 = none */
};

/*
 * A host function failed: its error decides the outcome unless host_record_answer() follows. A class that is not one for
 * callers (base/errors.def), but for UNCONFINED, becomes CONNECTOR_RUNTIME_ERROR.
 */
void host_record_fail(struct host_record *record, const struct err *error);
/* A request was answered, with any status. */
void host_record_answer(struct host_record *record, int32_t status);

/*
 * 0: success; the output is appended to `out` as one line of JSON, an object ("{}" when there is none). -1: the
 * failure. LIMIT when the output does not fit in `out`.
 */
int outcome_decide(const struct runner_done *done, const struct host_record *record, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/* The last `max` bytes, after "..." when there was more: appended to `out`, as valid UTF-8 without control characters.
 */
void outcome_tail(struct buf *out, struct str bytes, bool cut, size_t max);
