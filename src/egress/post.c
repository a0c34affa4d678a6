#include "egress/post.h"
#include "base/mem.h"
#include "egress/fetch.h"
#include <stdlib.h>

#define TYPE_MAX 128

struct post {
	struct posts *posts;
	struct post *next, **place;
	uint32_t id;
	char *body;
	char type_line[sizeof "Content-Type: " + TYPE_MAX];
	struct fetch *fetch;
};

struct posts {
	struct posts_options options;
	struct post *open;
	size_t n;
};

struct posts *posts_new(const struct posts_options *options)
{
	struct posts *posts = NEW(struct posts);
	posts->options = *options;
	return posts;
}

size_t posts_open(const struct posts *posts)
{
	return posts->n;
}

static void post_free(struct post *post)
{
	*post->place = post->next;
	if (post->next != NULL)
		post->next->place = post->place;
	post->posts->n--;
	fetch_cancel(post->fetch);
	free(post->body);
	free(post);
}

void posts_drop(struct posts *posts)
{
	while (posts->open != NULL)
		post_free(posts->open);
}

void posts_free(struct posts *posts)
{
	if (posts == NULL)
		return;
	posts_drop(posts);
	free(posts);
}

static void on_answer(void *context, const struct fetch_answer *answer)
{
	static struct egress_result result; /* large, and one loop has one thread */
	struct post *post = context;
	const struct posts_options *options = &post->posts->options;
	uint32_t id = post->id;
	post->fetch = NULL;
	post_free(post);
	result = (struct egress_result){.rc = answer->err != NULL ? -1 : 0, .status = answer->status};
	if (answer->err != NULL)
		result.err = *answer->err;
	options->done(options->context, id, &result);
}

static void refuse(struct posts *posts, uint32_t id, const char *why)
{
	static struct egress_result result;
	result = (struct egress_result){.rc = -1};
	fail(&result.err, ERR_NETWORK_ERROR, "%s", why);
	posts->options.done(posts->options.context, id, &result);
}

static bool is_media_type(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < ' ' || text.p[i] > '~')
			return false;
	}
	return text.n > 0 && text.n <= TYPE_MAX;
}

void posts_send(struct posts *posts, uint32_t id, const struct egress_post *what, char *body)
{
	if (posts->n == POSTS_MAX || !is_media_type(what->content_type)) {
		refuse(posts, id, posts->n == POSTS_MAX ? "too many posts are under way" : "no such type of content");
		free(body);
		return;
	}
	struct post *post = NEW(struct post);
	post->posts = posts;
	post->id = id;
	post->body = body;
	post->next = posts->open;
	post->place = &posts->open;
	if (post->next != NULL)
		post->next->place = &post->next;
	posts->open = post;
	posts->n++;
	snprintf(post->type_line, sizeof post->type_line, "Content-Type: %.*s", STR_FMT(what->content_type));
	const struct fetch_ask ask = {
		.net = posts->options.net,
		.url = what->url,
		.lines = {post->type_line, "User-Agent: aileron"},
		.n_lines = 2,
		.body = what->body,
		.answer_max = POST_ANSWER_MAX,
		.left_ns = what->left_ns,
		.done = on_answer,
		.context = post,
	};
	post->fetch = fetch_start(&ask);
}
