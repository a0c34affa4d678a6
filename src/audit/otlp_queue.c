#include "audit/otlp.h"
#include "text/json_writer.h"
#include <pthread.h>
#include <stdlib.h>

/* Texts of spans in a ring: `added` and `taken` only grow, and the oldest stands at taken % OTLP_QUEUE_MAX. */
struct otlp_queue {
	char *name, *version, *instance;
	struct otlp_resource resource;
	otlp_send *send;
	void *user;

	pthread_mutex_t lock; /* guards what follows */
	struct buf spans[OTLP_QUEUE_MAX];
	uint64_t added, taken;
	struct otlp_counts counts;
};

struct otlp_queue *otlp_queue_new(const struct otlp_resource *resource, otlp_send *send, void *user)
{
	struct otlp_queue *queue = NEW(struct otlp_queue);
	queue->name = str_dup(resource->name);
	queue->version = str_dup(resource->version);
	queue->instance = str_dup(resource->instance);
	queue->resource =
		(struct otlp_resource){str_from(queue->name), str_from(queue->version), str_from(queue->instance)};
	queue->send = send;
	queue->user = user;
	pthread_mutex_init(&queue->lock, NULL);
	for (size_t i = 0; i < OTLP_QUEUE_MAX; i++)
		buf_init(&queue->spans[i], OTLP_SPAN_MAX);
	return queue;
}

void otlp_queue_free(struct otlp_queue *queue)
{
	if (queue == NULL)
		return;
	for (size_t i = 0; i < OTLP_QUEUE_MAX; i++)
		buf_release(&queue->spans[i]);
	pthread_mutex_destroy(&queue->lock);
	free(queue->name);
	free(queue->version);
	free(queue->instance);
	free(queue);
}

static struct buf *place(struct otlp_queue *queue, uint64_t number)
{
	return &queue->spans[number % OTLP_QUEUE_MAX];
}

static void drop_oldest(struct otlp_queue *queue)
{
	buf_release(place(queue, queue->taken++));
	queue->counts.dropped++;
}

bool otlp_add(struct otlp_queue *queue, const struct otlp_span *span)
{
	struct buf text = BUF_INIT(OTLP_SPAN_MAX);
	otlp_put_span(&text, span);
	pthread_mutex_lock(&queue->lock);
	if (!buf_ok(&text)) {
		buf_release(&text);
		queue->counts.dropped++;
	} else {
		if (queue->added - queue->taken == OTLP_QUEUE_MAX)
			drop_oldest(queue);
		*place(queue, queue->added++) = text;
	}
	bool batch = queue->added - queue->taken >= OTLP_BATCH_MAX;
	pthread_mutex_unlock(&queue->lock);
	return batch;
}

struct batch {
	struct buf spans[OTLP_BATCH_MAX];
	size_t n;
};

static void take_batch(struct otlp_queue *queue, struct batch *batch)
{
	pthread_mutex_lock(&queue->lock);
	batch->n = 0;
	while (batch->n < OTLP_BATCH_MAX && queue->taken < queue->added) {
		struct buf *oldest = place(queue, queue->taken++);
		batch->spans[batch->n++] = *oldest;
		buf_init(oldest, OTLP_SPAN_MAX);
	}
	pthread_mutex_unlock(&queue->lock);
}

/* As the oldest again, the newest of them first; those for which newer ones left no room are dropped. */
static void give_back(struct otlp_queue *queue, struct batch *batch)
{
	pthread_mutex_lock(&queue->lock);
	while (batch->n > 0) {
		struct buf *span = &batch->spans[--batch->n];
		if (queue->added - queue->taken < OTLP_QUEUE_MAX) {
			*place(queue, --queue->taken) = *span;
		} else {
			buf_release(span);
			queue->counts.dropped++;
		}
	}
	pthread_mutex_unlock(&queue->lock);
}

static void end_batch(struct otlp_queue *queue, struct batch *batch, uint64_t *count)
{
	pthread_mutex_lock(&queue->lock);
	*count += batch->n;
	pthread_mutex_unlock(&queue->lock);
	while (batch->n > 0)
		buf_release(&batch->spans[--batch->n]);
}

static int send_batch(struct otlp_queue *queue, const struct batch *batch, struct err *err)
{
	AUTO_BUF spans = BUF_INIT(OTLP_BATCH_MAX * (OTLP_SPAN_MAX + 1));
	for (size_t i = 0; i < batch->n; i++) {
		if (i > 0)
			buf_add_char(&spans, ',');
		buf_add_str(&spans, buf_str(&batch->spans[i]));
	}
	AUTO_BUF body = BUF_INIT(spans.n + 4096);
	otlp_put_request(&body, &queue->resource, buf_str(&spans));
	return buf_check(&body, "a batch of spans", err) != 0 ? -1 : queue->send(queue->user, buf_str(&body), err);
}

/* OTLP/HTTP, "Failures": what a client shall try again. */
static bool asks_for_later(int status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

int otlp_flush(struct otlp_queue *queue, struct err *err)
{
	AUTO_FREE struct batch *batch = NEW(struct batch);
	for (;;) {
		take_batch(queue, batch);
		if (batch->n == 0)
			return 0;
		int status = send_batch(queue, batch, err);
		if (status < 0 || asks_for_later(status)) {
			give_back(queue, batch);
			return status < 0 ? -1
					  : fail(err, ERR_UNAVAILABLE, "the receiver of spans answered %d", status);
		}
		bool taken = status >= 200 && status < 300;
		end_batch(queue, batch, taken ? &queue->counts.sent : &queue->counts.refused);
	}
}

struct otlp_counts otlp_count(struct otlp_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	struct otlp_counts counts = queue->counts;
	counts.queued = queue->added - queue->taken;
	pthread_mutex_unlock(&queue->lock);
	return counts;
}
