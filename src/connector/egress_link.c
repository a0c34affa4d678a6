#include "connector/egress_link.h"
#include "base/limits.h"
#include "base/time.h"
#include "confine/policies.h"
#include "connector/peer.h"
#include "text/wire.h"
#include <poll.h>

#define NO_DEADLINE UINT64_MAX

/* A call's id is its place and the place's generation, so that a late result of an old call finds nobody. */
#define PLACE_BITS 12
#define PLACES     (1U << PLACE_BITS)

struct link_call {
	struct egress_link *link;
	const struct egress_grant *grant;
	uint32_t id;      /* 0: there was no place for it */
	uint32_t granted; /* the start of egress that knows the grant; 0 = none */
	bool asked;       /* egress was sent a request of it */
	bool lost;        /* egress ended while it knew the grant */
	bool open;        /* a request is under way */
	bool waiting;     /* … and was not sent yet: `envelope` holds it */
	bool failing;     /* … and its end was lost with egress */
	bool trace;
	char *envelope;
	size_t envelope_n;
	uint64_t until; /* monotonic ns at which the request's time is over */
	link_result *result;
	void *owner;
};

/* A request that is no call's. */
struct errand {
	link_oauth_result *oauth; /* which of the two it is */
	link_result *post;
	void *owner;
	bool failing; /* its end was lost with egress */
};

struct place {
	uint32_t generation;
	uint32_t next_free;
	struct link_call *call; /* NULL = free, an errand's, or leaving */
	struct errand *errand;
	bool leaving;      /* the call was freed while egress was at its request: the result is still to come */
	uint64_t deadline; /* for the result; NO_DEADLINE = egress owes none */
};

struct egress_link {
	struct peer peer;
	char *program, *allowed;
	int ca_fd;
	bool foreign;
	bool ready;
	uint32_t starts; /* how often it was started, or another one attached */
	uint64_t grace_ns;
	uint64_t start_deadline;
	uint64_t deadline; /* no later than any place's; may be earlier than all of them */
	size_t calls;
	uint32_t first_free, places_used; /* first_free PLACES = none */
	struct place *places;
	struct err error; /* of the last end */
	struct egress_result result;
	struct egress_oauth_result oauth_result;
};

struct egress_link *egress_link_new(const struct egress_link_spec *spec)
{
	struct egress_link *link = NEW(struct egress_link);
	link->peer = PEER_INIT;
	link->program = spec->program != NULL ? xstrdup(spec->program) : NULL;
	link->allowed = str_dup(spec->allowed);
	link->ca_fd = spec->ca_fd;
	link->foreign = spec->foreign;
	link->grace_ns = spec->grace_ns > 0 ? spec->grace_ns : EGRESS_GRACE_NS;
	link->start_deadline = link->deadline = NO_DEADLINE;
	link->places = xcalloc(PLACES, sizeof link->places[0]);
	link->first_free = PLACES;
	return link;
}

void egress_link_free(struct egress_link *link)
{
	if (link == NULL)
		return;
	if (link->calls > 0)
		BUG("an egress link was freed before its calls");
	peer_stop(&link->peer);
	for (uint32_t i = 0; i < link->places_used; i++)
		free(link->places[i].errand);
	free(link->places);
	free(link->program);
	free(link->allowed);
	free(link);
}

int egress_link_start(struct egress_link *link, struct err *err)
{
	if (peer_runs(&link->peer))
		return 0;
	if (link->foreign)
		return fail(err, ERR_SYSTEM, "egress does not run; the daemon starts it anew");
	struct peer_spec spec = {
		.name = "aileron-egress",
		.title = "egress",
		.program = link->program,
		.rules = egress_parent_rules,
		.policy = &confine_egress,
	};
	if (link->ca_fd >= 0)
		spec.fds[spec.n_fds++] = (struct child_fd){link->ca_fd, EGRESS_FD_CA};
	if (peer_start(&link->peer, &spec, err) < 0)
		return -1;
	rpc_set_sensitive(link->peer.channel, true);
	link->ready = false;
	link->starts++;
	link->start_deadline = clock_monotonic_ns(NULL) + EGRESS_START_NS;
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ places */

/* A place that is nobody's yet, and its id; NULL when all are taken. */
static struct place *take_place(struct egress_link *link, uint32_t *ret_id)
{
	uint32_t number;
	if (link->first_free < PLACES) {
		number = link->first_free;
		link->first_free = link->places[number].next_free;
	} else if (link->places_used < PLACES) {
		number = link->places_used++;
	} else {
		return NULL;
	}
	struct place *place = &link->places[number];
	uint32_t generation = (place->generation + 1) & (UINT32_MAX >> PLACE_BITS);
	*place = (struct place){
		.generation = generation > 0 ? generation : 1,
		.deadline = NO_DEADLINE,
	};
	*ret_id = place->generation << PLACE_BITS | number;
	return place;
}

/* Of a call that has one. */
static struct place *own_place(const struct link_call *call)
{
	return &call->link->places[call->id & (PLACES - 1)];
}

/* NULL: nobody's, or not that call's any more. */
static struct place *place_of(struct egress_link *link, uint32_t id)
{
	struct place *place = &link->places[id & (PLACES - 1)];
	bool taken = place->call != NULL || place->errand != NULL || place->leaving;
	return taken && place->generation == id >> PLACE_BITS ? place : NULL;
}

static void free_place(struct egress_link *link, struct place *place)
{
	place->call = NULL;
	free(TAKE(place->errand));
	place->leaving = false;
	place->deadline = NO_DEADLINE;
	place->next_free = link->first_free;
	link->first_free = (uint32_t)(place - link->places);
}

/* Egress is at the request of this place, and owes its result by then. */
static void set_deadline(struct egress_link *link, struct place *place, uint64_t deadline)
{
	place->deadline = deadline;
	link->deadline = MIN(link->deadline, deadline);
}

static uint64_t later(uint64_t moment, uint64_t ns)
{
	return moment < NO_DEADLINE - ns ? moment + ns : NO_DEADLINE;
}

/* ---------------------------------------------------------------------------------------------------------- requests */

static void finish(struct link_call *call, const struct egress_result *result)
{
	if (call->id != 0)
		own_place(call)->deadline = NO_DEADLINE;
	call->open = call->waiting = call->failing = false;
	free(TAKE(call->envelope));
	call->result(call->owner, result);
}

static const char *what_next(const struct egress_link *link)
{
	return link->foreign ? "try again in a moment" : "the next call starts it again";
}

/* That a process is unconfined is told as it is; any other end of egress is a failure of the network. */
static void fail_request(struct link_call *call)
{
	struct egress_link *link = call->link;
	struct egress_result *failure = &link->result;
	*failure = (struct egress_result){.rc = -1};
	if (link->error.class == ERR_UNCONFINED)
		failure->err = link->error;
	else
		fail(&failure->err, ERR_NETWORK_ERROR, "http_request: %s; %s", link->error.message, what_next(link));
	if (!call->asked) /* nobody has heard of it: it may safely be asked again */
		err_detail_int(&failure->err, "unsent", 1);
	call->lost = true;
	finish(call, failure);
}

static void fail_errand(struct egress_link *link, const struct errand *errand)
{
	if (errand->oauth != NULL) {
		struct egress_oauth_result *failure = &link->oauth_result;
		*failure = (struct egress_oauth_result){.pending = false};
		fail(&failure->err, ERR_NETWORK_ERROR, "%s; %s", link->error.message, what_next(link));
		errand->oauth(errand->owner, failure);
	} else {
		struct egress_result *failure = &link->result;
		*failure = (struct egress_result){.rc = -1};
		fail(&failure->err, ERR_NETWORK_ERROR, "%s; %s", link->error.message, what_next(link));
		errand->post(errand->owner, failure);
	}
}

/* Its place is free for what the one who is told asks next. */
static struct errand end_errand(struct egress_link *link, struct place *place)
{
	struct errand errand = *place->errand;
	free_place(link, place);
	return errand;
}

/* Those who are told may free their calls, and may ask anew, which is another request than the one that is lost. */
static void fail_requests(struct egress_link *link)
{
	for (uint32_t i = 0; i < link->places_used; i++) {
		struct link_call *call = link->places[i].call;
		if (link->places[i].errand != NULL)
			link->places[i].errand->failing = true;
		if (call == NULL)
			continue;
		call->failing = call->open;
		call->lost = call->lost || call->granted != 0;
	}
	for (uint32_t i = 0; i < link->places_used; i++) {
		struct place *place = &link->places[i];
		if (place->call != NULL && place->call->failing) {
			fail_request(place->call);
		} else if (place->errand != NULL && place->errand->failing) {
			struct errand errand = end_errand(link, place);
			fail_errand(link, &errand);
		}
	}
}

static void lose(struct egress_link *link)
{
	peer_stop(&link->peer);
	link->ready = false;
	link->start_deadline = link->deadline = NO_DEADLINE;
	for (uint32_t i = 0; i < link->places_used; i++) {
		if (link->places[i].leaving)
			free_place(link, &link->places[i]);
	}
	fail_requests(link);
}

int egress_link_attach(struct egress_link *link, int fd, struct err *err)
{
	if (!link->foreign)
		BUG("an egress attached to a link that starts its own");
	if (peer_runs(&link->peer)) {
		fail(&link->error, ERR_SYSTEM, "egress was started anew");
		lose(link);
	}
	if (peer_attach(&link->peer, "egress", fd, egress_parent_rules, err) < 0)
		return -1;
	rpc_set_sensitive(link->peer.channel, true);
	rpc_set_state(link->peer.channel, EGRESS_STATE_SERVING);
	link->starts++;
	link->ready = true;
	return 0;
}

static int send_grant(struct link_call *call)
{
	struct egress_link *link = call->link;
	AUTO_BUF head = BUF_INIT(EGRESS_GRANT_MAX);
	AUTO_BUF length = BUF_INIT(4);
	egress_grant_put_head(&head, call->grant);
	struct str secret = call->grant->secret != NULL ? secret_borrow(call->grant->secret) : STR_EMPTY;
	wire_put_u32(&length, (uint32_t)secret.n);
	const struct str parts[] = {buf_str(&head), buf_str(&length), secret};
	call->granted = link->starts;
	return peer_send(&link->peer, EGRESS_GRANT, call->id, parts, ARRAY_LEN(parts));
}

static void send_request(struct link_call *call, struct str envelope)
{
	struct egress_link *link = call->link;
	uint64_t now = clock_monotonic_ns(NULL);
	call->waiting = false;
	set_deadline(link, own_place(call), later(MAX(now, call->until), link->grace_ns));
	if (call->granted == 0 && send_grant(call) < 0)
		return;
	AUTO_BUF head = BUF_INIT(32);
	wire_put_u64(&head, call->until > now ? call->until - now : 0);
	wire_put_bool(&head, call->trace);
	call->asked = true;
	wire_put_u32(&head, (uint32_t)envelope.n);
	const struct str parts[] = {buf_str(&head), envelope};
	/* A frame that cannot be sent means that egress is gone, which the next receive finds out and explains. */
	(void)!peer_send(&link->peer, EGRESS_REQUEST, call->id, parts, ARRAY_LEN(parts));
}

static bool grant_fits(const struct egress_grant *grant)
{
	return grant->n_hosts <= EGRESS_GRANT_LIST_MAX && grant->n_subset <= EGRESS_GRANT_LIST_MAX &&
	       grant->n_openings <= EGRESS_GRANT_LIST_MAX && grant->n_components <= EGRESS_GRANT_LIST_MAX &&
	       grant->n_permits <= EGRESS_PERMITS_MAX;
}

static void refuse(struct link_call *call, enum err_class class, const char *why)
{
	struct egress_result *failure = &call->link->result;
	*failure = (struct egress_result){.rc = -1};
	fail(&failure->err, class, "http_request: %s", why);
	finish(call, failure);
}

void link_call_request(struct link_call *call, struct str envelope, uint64_t left_ns, bool trace, link_result *result,
		       void *owner)
{
	struct egress_link *link = call->link;
	if (call->open)
		BUG("a second request of a call before the first was answered");
	call->open = true;
	call->result = result;
	call->owner = owner;
	call->until = later(clock_monotonic_ns(NULL), left_ns);
	call->trace = trace;
	if (call->id == 0) {
		refuse(call, ERR_NETWORK_ERROR, "too many calls are using the network; try again later");
		return;
	}
	if (!grant_fits(call->grant)) {
		refuse(call, ERR_CAPABILITY_DENIED, "the manifest lists more hosts than can be granted");
		return;
	}
	if (call->lost || egress_link_start(link, &link->error) < 0) {
		fail_request(call);
		return;
	}
	if (link->ready) {
		send_request(call, envelope);
		return;
	}
	call->waiting = true;
	call->envelope = str_dup(envelope);
	call->envelope_n = envelope.n;
}

void link_call_grant(struct link_call *call)
{
	if (call->link->ready && call->id != 0 && call->granted == 0 && grant_fits(call->grant))
		(void)!send_grant(call); /* when egress is gone, the next receive finds that out */
}

struct link_call *link_call_new(struct egress_link *link, const struct egress_grant *grant)
{
	struct link_call *call = NEW(struct link_call);
	call->link = link;
	call->grant = grant;
	struct place *place = take_place(link, &call->id);
	if (place != NULL)
		place->call = call;
	link->calls++;
	return call;
}

bool link_call_has_granted(const struct link_call *call)
{
	return call->granted != 0;
}

/*
 * A request that is under way is cancelled, and its result awaited, though nobody wants it any more: a call gives up at the
 * same moment at which egress should, so that otherwise nobody would ever see that egress hangs.
 */
static void leave(struct link_call *call)
{
	struct egress_link *link = call->link;
	struct place *place = own_place(call);
	bool known = call->granted != 0 && !call->lost && peer_runs(&link->peer);
	if (known && call->open) {
		(void)!peer_send(&link->peer, EGRESS_CANCEL, call->id, NULL, 0);
		place->call = NULL;
		place->leaving = true;
		set_deadline(link, place, MIN(place->deadline, later(clock_monotonic_ns(NULL), link->grace_ns)));
		return;
	}
	if (known)
		(void)!peer_send(&link->peer, EGRESS_END, call->id, NULL, 0);
	free_place(link, place);
}

void link_call_free(struct link_call *call)
{
	if (call == NULL)
		return;
	struct egress_link *link = call->link;
	if (call->id != 0)
		leave(call);
	link->calls--;
	free(call->envelope);
	free(call);
}

/* ----------------------------------------------------------------------------------------------------------- errands */

/*
 * Sends what `body` holds, of which the message is `type`: 0; -1 with link->error when it cannot be. A frame that cannot
 * be sent means that egress is gone, which the next receive finds out and explains.
 */
static int send_errand(struct egress_link *link, const struct errand *errand, uint16_t type, const struct buf *body,
		       uint64_t left_ns)
{
	if (buf_check(body, "what is to be sent", &link->error) < 0)
		return -1;
	if (!peer_runs(&link->peer) || !link->ready)
		return fail(&link->error, ERR_SYSTEM, "egress does not run");
	uint32_t id;
	struct place *place = take_place(link, &id);
	if (place == NULL)
		return fail(&link->error, ERR_SYSTEM, "too many calls are using the network");
	place->errand = NEW(struct errand);
	*place->errand = *errand;
	set_deadline(link, place, later(later(clock_monotonic_ns(NULL), left_ns), link->grace_ns));
	const struct str part = buf_str(body);
	(void)!peer_send(&link->peer, type, id, &part, 1);
	return 0;
}

void egress_link_oauth(struct egress_link *link, const struct egress_oauth *ask, link_oauth_result *result, void *owner)
{
	const struct errand errand = {.oauth = result, .owner = owner};
	AUTO_BUF body = BUF_INIT_SECRET(EGRESS_OAUTH_MAX);
	egress_oauth_put(&body, ask);
	if (send_errand(link, &errand, EGRESS_OAUTH, &body, ask->left_ns) < 0)
		fail_errand(link, &errand);
}

void egress_link_post(struct egress_link *link, const struct egress_post *post, link_result *result, void *owner)
{
	const struct errand errand = {.post = result, .owner = owner};
	AUTO_BUF body = BUF_INIT(EGRESS_POST_MAX);
	egress_post_put(&body, post);
	if (send_errand(link, &errand, EGRESS_POST, &body, post->left_ns) < 0)
		fail_errand(link, &errand);
}

/* ------------------------------------------------------------------------------------------------------------ frames */

static int on_hello(struct egress_link *link, struct str body)
{
	if (peer_judge(&link->peer, body, str_from(link->allowed), NULL, &link->error) < 0)
		return -1;
	char ca_file = link->ca_fd >= 0;
	const struct str part = str_of(&ca_file, 1);
	if (peer_send(&link->peer, EGRESS_START, 0, &part, 1) < 0)
		return 0;
	rpc_set_state(link->peer.channel, EGRESS_STATE_SERVING);
	link->ready = true;
	link->start_deadline = NO_DEADLINE;
	for (uint32_t i = 0; i < link->places_used; i++) {
		struct link_call *call = link->places[i].call;
		if (call != NULL && call->waiting)
			send_request(call, str_of(call->envelope, call->envelope_n));
	}
	return 0;
}

static int on_oauth_result(struct egress_link *link, struct place *place, struct str body)
{
	struct egress_oauth_result *result = &link->oauth_result;
	if (egress_oauth_result_get(body, result, &link->error) < 0)
		return peer_break(&link->peer, &link->error, "it sent a malformed 'oauth result'");
	struct errand errand = end_errand(link, place);
	errand.oauth(errand.owner, result);
	return 0;
}

static int on_post_result(struct egress_link *link, struct place *place, struct str body)
{
	struct egress_result *result = &link->result;
	if (egress_result_get(body, result, &link->error) < 0 || result->body.n > 0)
		return peer_break(&link->peer, &link->error, "it sent a malformed 'result'");
	struct errand errand = end_errand(link, place);
	errand.post(errand.owner, result);
	return 0;
}

static int on_result(struct egress_link *link, const struct rpc_frame *frame)
{
	struct place *place = place_of(link, frame->id);
	bool oauth = place != NULL && place->errand != NULL && place->errand->oauth != NULL;
	if (place == NULL || place->deadline == NO_DEADLINE || oauth != (frame->type == EGRESS_OAUTH_RESULT))
		return peer_break(&link->peer, &link->error, "it answered a request that was not made");
	if (place->errand != NULL)
		return oauth ? on_oauth_result(link, place, frame->body) : on_post_result(link, place, frame->body);
	if (place->leaving) {
		free_place(link, place);
		(void)!peer_send(&link->peer, EGRESS_END, frame->id, NULL, 0);
		return 0;
	}
	struct link_call *call = place->call;
	struct egress_result *result = &link->result;
	if (egress_result_get(frame->body, result, &link->error) < 0)
		return peer_break(&link->peer, &link->error, "it sent a malformed 'result'");
	if (result->body.n > call->grant->response_max)
		return peer_break(&link->peer, &link->error, "it sent a larger answer than it was allowed");
	if (result->rc > 0 || result->rc < -2 || (result->rc != 0 && result->err.class == ERR_NONE))
		return peer_break(&link->peer, &link->error, "it sent an answer that makes no sense");
	finish(call, result);
	return 0;
}

/* It hangs: 0, or -1 with link->error. Otherwise the next deadline is found anew. */
static int check_deadlines(struct egress_link *link)
{
	if (egress_link_deadline(link) == NO_DEADLINE)
		return 0;
	uint64_t now = clock_monotonic_ns(NULL);
	if (now < egress_link_deadline(link))
		return 0;
	if (now >= link->start_deadline)
		return fail(&link->error, ERR_SYSTEM, "egress was not ready in time and was killed");
	link->deadline = NO_DEADLINE;
	for (uint32_t i = 0; i < link->places_used; i++) {
		uint64_t deadline = link->places[i].deadline;
		if (now >= deadline)
			return fail(&link->error, ERR_SYSTEM, "egress did not answer in time%s",
				    link->foreign ? "" : " and was killed");
		link->deadline = MIN(link->deadline, deadline);
	}
	return 0;
}

void egress_link_process(struct egress_link *link)
{
	if (!peer_runs(&link->peer))
		return;
	do {
		struct rpc_frame frame;
		int got = peer_receive(&link->peer, &frame, &link->error);
		if (got == 0)
			break;
		if (got > 0)
			got = frame.type == EGRESS_HELLO ? on_hello(link, frame.body) : on_result(link, &frame);
		if (got < 0) {
			lose(link);
			return;
		}
	} while (peer_has_frame(&link->peer));
	if (check_deadlines(link) < 0)
		lose(link);
}

int egress_link_wait_ready(struct egress_link *link, struct err *err)
{
	while (peer_runs(&link->peer) && !link->ready) {
		struct pollfd fd = {.fd = egress_link_fd(link), .events = egress_link_events(link)};
		(void)poll(&fd, 1, (int)(EGRESS_START_NS / MS));
		egress_link_process(link);
	}
	if (link->ready)
		return 0;
	if (err != NULL)
		*err = link->error;
	return -1;
}

int egress_link_fd(const struct egress_link *link)
{
	return peer_fd(&link->peer);
}

short egress_link_events(const struct egress_link *link)
{
	return peer_events(&link->peer);
}

uint64_t egress_link_deadline(const struct egress_link *link)
{
	return MIN(link->start_deadline, link->deadline);
}

int egress_link_pid(const struct egress_link *link)
{
	return peer_runs(&link->peer) ? link->peer.child.pid : 0;
}
