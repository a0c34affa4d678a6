/* Questions to a client before 2026-07-28: a request of ours, and a thread that waits for the response. */
#include "base/wait.h"
#include "mcp/core.h"
#include "text/json_members.h"

#define ASKED_MAX (MCP_MESSAGE_MAX + ((size_t)4 << 10))

static void put_question(const struct ask *ask, struct str method, struct str params, struct buf *out)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, "jsonrpc", S("2.0"));
	member_raw(&w, "id", str_from(ask->id));
	member_str(&w, "method", method);
	member_raw(&w, "params", params);
	jsonw_end_object(&w);
	render_on_one_line(out);
}

static void tell(struct mcp_call *call, struct str message)
{
	pthread_mutex_lock(&call->telling);
	(void)call->sink->ops->tell(call->sink, message, true);
	call->told_ns = mcp_now(call->mcp);
	pthread_mutex_unlock(&call->telling);
}

static void take_back(struct mcp_call *call, const struct ask *ask)
{
	AUTO_BUF members = BUF_INIT(ASKED_MAX);
	buf_addf(&members, "\"requestId\":%s", ask->id);
	AUTO_BUF out = BUF_INIT(ASKED_MAX);
	render_notification(S("notifications/cancelled"), buf_str(&members), &out);
	tell(call, buf_str(&out));
}

static void enter(struct mcp_session *session, struct ask *ask)
{
	snprintf(ask->id, sizeof ask->id, "\"ask-%llu\"", (unsigned long long)++session->n_asks);
	ask->next = session->asks;
	session->asks = ask;
}

static void leave(struct mcp_session *session, const struct ask *ask)
{
	struct ask **link = &session->asks;
	while (*link != ask)
		link = &(*link)->next;
	*link = ask->next;
}

/* The response, or NULL when there is none in time. */
static struct message *wait_for(struct mcp_call *call, struct ask *ask, struct str question, uint64_t timeout_ms)
{
	struct mcp *mcp = call->mcp;
	uint64_t deadline = clock_monotonic_ns(NULL) + timeout_ms * TIME_MILLISECOND;
	tell(call, question);
	pthread_mutex_lock(&mcp->lock);
	while (ask->answer == NULL && !call->stopped && wait_until(&mcp->answered, &mcp->lock, deadline))
		;
	leave(call->session, ask);
	pthread_mutex_unlock(&mcp->lock);
	return ask->answer;
}

static struct json *result_of(struct message *response, struct err *err)
{
	const struct json *result = json_member(response->document, S("result"));
	if (result != NULL)
		return json_parse(message_raw_member(response->text, response->document, S("result")),
				  JSON_READ_SENSITIVE, err);
	struct str text = STR_EMPTY;
	(void)json_get_str(json_member(json_member(response->document, S("error")), S("message")), &text);
	(void)fail(err, ERR_EXTERNAL_API_ERROR, "the client refused: %.*s", STR_FMT(text));
	return NULL;
}

struct json *mcp_call_ask(struct mcp_call *call, struct str method, struct str params, uint64_t timeout_ms,
			  struct err *err)
{
	if (call->session == NULL || call->sink->one_answer || (ask_takes(method, params) & ~call->can) != 0) {
		(void)fail(err, ERR_CAPABILITY_DENIED, "the client cannot be asked '%.*s'", STR_FMT(method));
		return NULL;
	}
	struct ask ask = {0};
	pthread_mutex_lock(&call->mcp->lock);
	enter(call->session, &ask);
	pthread_mutex_unlock(&call->mcp->lock);
	AUTO_BUF question = BUF_INIT(ASKED_MAX);
	put_question(&ask, method, params, &question);
	AUTO(message) *response = wait_for(call, &ask, buf_str(&question), timeout_ms);
	if (response != NULL)
		return result_of(response, err);
	take_back(call, &ask);
	if (call->stopped)
		(void)fail(err, ERR_CANCELLED, "the request was cancelled while the client was asked");
	else
		(void)fail(err, ERR_UNAVAILABLE, "the client did not answer '%.*s' in time", STR_FMT(method));
	return NULL;
}

void serve_response(struct mcp *mcp, struct mcp_session *session, struct message *message)
{
	pthread_mutex_lock(&mcp->lock);
	for (struct ask *ask = session->asks; ask != NULL; ask = ask->next) {
		if (ask->answer != NULL || !str_eq(str_from(ask->id), message->id))
			continue;
		ask->answer = TAKE(message);
		pthread_cond_broadcast(&mcp->answered);
		break;
	}
	pthread_mutex_unlock(&mcp->lock);
	message_free(message);
}
