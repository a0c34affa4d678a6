/* What is asked of egress alone: steps of OAuth, and posts. */
#include "control/calls_private.h"

struct errand {
	struct task task;
	struct calls *calls;
	const struct egress_oauth *oauth;
	const struct egress_post *post;
	struct arena *arena;
	struct egress_oauth_result *ret_oauth;
	struct err *err;
	int rc;
	int status;
};

static void on_oauth(void *owner, const struct egress_oauth_result *result)
{
	struct errand *errand = owner;
	struct arena *arena = errand->arena;
	struct egress_oauth_result *ret = errand->ret_oauth;
	*ret = *result;
	ret->scope = arena_str(arena, result->scope);
	ret->user_code = arena_str(arena, result->user_code);
	ret->verification_uri = arena_str(arena, result->verification_uri);
	ret->verification_uri_complete = arena_str(arena, result->verification_uri_complete);
	errand->rc = result->err.class == ERR_NONE ? 0 : -1;
	if (errand->rc < 0 && errand->err != NULL)
		*errand->err = result->err;
	calls_finish(errand->calls, &errand->task);
}

static void on_post(void *owner, const struct egress_result *result)
{
	struct errand *errand = owner;
	errand->rc = result->rc == 0 ? 0 : -1;
	errand->status = result->status;
	if (errand->rc < 0 && errand->err != NULL)
		*errand->err = result->err;
	calls_finish(errand->calls, &errand->task);
}

static void begin_errand(struct calls *calls, struct task *task)
{
	struct errand *errand = (struct errand *)task;
	if (errand->oauth != NULL)
		egress_link_oauth(calls->link, errand->oauth, on_oauth, errand);
	else
		egress_link_post(calls->link, errand->post, on_post, errand);
}

int calls_oauth(struct calls *calls, const struct egress_oauth *request, struct arena *arena,
		struct egress_oauth_result *ret, struct err *err)
{
	struct errand errand = {.calls = calls, .oauth = request, .arena = arena, .ret_oauth = ret, .err = err};
	calls_task_init(&errand.task, begin_errand);
	calls_perform(calls, &errand.task);
	return errand.rc;
}

int calls_post(struct calls *calls, const struct egress_post *request, int *ret_status, struct err *err)
{
	struct errand errand = {.calls = calls, .post = request, .err = err};
	calls_task_init(&errand.task, begin_errand);
	calls_perform(calls, &errand.task);
	if (errand.rc == 0)
		*ret_status = errand.status;
	return errand.rc;
}
