/* A batch of revision 2025-03-26: its answers go out together, as one array, when the last is there. */
#include "mcp/core.h"

struct batch {
	struct mcp_sink *sink; /* of the whole */
	pthread_mutex_t lock;
	size_t waits; /* for so many answers, and for its end */
	struct buf answers;
};

struct batched {
	struct mcp_sink is;
	struct batch *batch;
};

bool batch_is_allowed(const struct message *message)
{
	size_t n = json_length(message->document);
	if (n == 0 || n > MCP_BATCH_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct json *meta =
			json_member(json_member(json_at(message->document, i), S("params")), S("_meta"));
		if (json_member(meta, S("io.modelcontextprotocol/protocolVersion")) != NULL)
			return false;
	}
	return true;
}

const char *batch_refuses(const struct message *message)
{
	if (message->kind == MESSAGE_BATCH)
		return "a batch within a batch";
	if (message->kind == MESSAGE_MALFORMED || message->kind == MESSAGE_UNREADABLE)
		return message->why;
	if (message->kind == MESSAGE_REQUEST && str_eq(message->method, S("initialize")))
		return "'initialize' stands alone";
	return NULL;
}

struct batch *batch_new(struct mcp_sink *sink)
{
	struct batch *batch = NEW(struct batch);
	*batch = (struct batch){.sink = sink, .waits = 1, .answers = BUF_INIT(MCP_ANSWER_MAX)};
	pthread_mutex_init(&batch->lock, NULL);
	return batch;
}

/* One answer, or "" for none; the last one ends it. */
static void add(struct batch *batch, struct str answer)
{
	pthread_mutex_lock(&batch->lock);
	if (answer.n > 0) {
		buf_add_char(&batch->answers, batch->answers.n == 0 ? '[' : ',');
		buf_add_str(&batch->answers, answer);
	}
	bool last = --batch->waits == 0;
	pthread_mutex_unlock(&batch->lock);
	if (!last)
		return;
	if (batch->answers.n > 0)
		buf_add_char(&batch->answers, ']');
	if (!buf_ok(&batch->answers)) {
		buf_clear(&batch->answers);
		render_error(STR_EMPTY, MCP_INTERNAL_ERROR, S("the answers are larger than this server sends"),
			     STR_EMPTY, &batch->answers);
	}
	batch->sink->ops->finish(batch->sink, 200, buf_str(&batch->answers));
	buf_release(&batch->answers);
	pthread_mutex_destroy(&batch->lock);
	free(batch);
}

static void expect(struct batch *batch)
{
	pthread_mutex_lock(&batch->lock);
	batch->waits++;
	pthread_mutex_unlock(&batch->lock);
}

static bool batched_tell(struct mcp_sink *sink, struct str message, bool wait)
{
	struct mcp_sink *whole = ((struct batched *)sink)->batch->sink;
	return whole->ops->tell(whole, message, wait);
}

static void batched_finish(struct mcp_sink *sink, unsigned status, struct str message)
{
	(void)status;
	struct batch *batch = ((struct batched *)sink)->batch;
	free(sink);
	add(batch, message);
}

static void batched_turn(struct mcp_sink *sink, uint64_t now_ns)
{
	struct mcp_sink *whole = ((struct batched *)sink)->batch->sink;
	if (whole->ops->turn != NULL)
		whole->ops->turn(whole, now_ns);
}

static const struct mcp_sink_ops batched_ops = {.tell = batched_tell, .finish = batched_finish, .turn = batched_turn};

struct mcp_sink *batch_sink(struct batch *batch)
{
	struct batched *sink = NEW(struct batched);
	*sink = (struct batched){{&batched_ops, batch->sink->one_answer}, batch};
	expect(batch);
	return &sink->is;
}

void batch_add_error(struct batch *batch, struct str id, const char *why)
{
	AUTO_BUF out = BUF_INIT(MCP_MESSAGE_MAX);
	render_error(id, MCP_INVALID_REQUEST, str_from(why), STR_EMPTY, &out);
	expect(batch);
	add(batch, buf_str(&out));
}

void batch_close(struct batch *batch)
{
	add(batch, STR_EMPTY);
}
