#include "guest/mediator.h"
#include "base/hex.h"
#include "base/time.h"
#include "base/ulid.h"
#include "guest/away.h"
#include "guest/scan.h"
#include <stdlib.h>

#define OWN_PREFIX  "aileron-guest-" /* of ids that are ours, and whose answers nobody else sees */
#define WHY_MAX     512
#define ANSWER_MAX  (MEDIATOR_LINE_MAX + 4096) /* an id is as long as a line at most */
#define CALL_ID_KEY "aileron/call-id"

enum progress {
	WAITS, /* for the daemon */
	SENT,
	ASKED, /* a call of the connection before, whose end was asked for */
};

struct open_request {
	enum progress progress;
	bool is_call, is_modern;
	bool kept;         /* after it was sent, too */
	struct buf line;   /* as it is sent */
	struct str id;     /* raw; these point into `copy` */
	struct str method; /* without quotes */
	struct str params; /* when kept */
	struct str meta;   /* params._meta, unless that is too long */
	struct buf copy;
	char call_id[MEDIATOR_CALL_ID + 1]; /* "": it could not be put into the line, which is sent once then */
	uint64_t asked;                     /* number of our own request */
	uint64_t until_ms;                  /* answered here then, when the daemon is away */
};

struct mediator {
	struct mediator_options options;
	bool is_here;
	bool was_here;
	uint64_t grace_ms; /* until when the daemon is thought to come back */
	struct buf why;
	struct buf initialize, initialized, level;    /* the client's own lines, to be said again; empty = not said */
	bool is_initialized;                          /* initialize was answered, by whomever */
	bool told_away;                               /* something was answered here since the daemon was here */
	uint64_t own;                                 /* number of our last own request */
	struct open_request *open[MEDIATOR_OPEN_MAX]; /* in the order in which they came */
	size_t n;
};

/* ------------------------------------------------------------------------------------------------------- life cycle */

struct mediator *mediator_new(const struct mediator_options *options, uint64_t now_ms)
{
	struct mediator *mediator = NEW(struct mediator);
	mediator->options = *options;
	mediator->grace_ms = now_ms + MEDIATOR_PATIENCE_MS;
	mediator->why = BUF_INIT(WHY_MAX);
	mediator->initialize = BUF_INIT(MEDIATOR_KEPT_MAX);
	mediator->initialized = BUF_INIT(MEDIATOR_KEPT_MAX);
	mediator->level = BUF_INIT(MEDIATOR_KEPT_MAX);
	return mediator;
}

static void request_free(struct open_request *request)
{
	buf_release(&request->line);
	buf_release(&request->copy);
	free(request);
}

void mediator_free(struct mediator *mediator)
{
	if (mediator == NULL)
		return;
	for (size_t i = 0; i < mediator->n; i++)
		request_free(mediator->open[i]);
	buf_release(&mediator->why);
	buf_release(&mediator->initialize);
	buf_release(&mediator->initialized);
	buf_release(&mediator->level);
	free(mediator);
}

size_t mediator_open(const struct mediator *mediator)
{
	return mediator->n;
}

static void remove_at(struct mediator *mediator, size_t index)
{
	request_free(mediator->open[index]);
	mediator->n--;
	memmove(&mediator->open[index], &mediator->open[index + 1], (mediator->n - index) * sizeof mediator->open[0]);
}

static void to_client(struct mediator *mediator, const struct buf *line)
{
	if (!buf_ok(line))
		BUG("an answer of our own is too long");
	mediator->options.to_client(mediator->options.user, buf_str(line));
}

/* Lines are capped on their way in: what does not fit is not kept. */
static void keep(struct buf *buf, struct str line)
{
	buf_clear(buf);
	buf_add_str(buf, line);
	if (!buf_ok(buf))
		buf_clear(buf);
}

/* ------------------------------------------------------------------------------------------------- while it is away */

static struct away_request away_of(const struct mediator *mediator, const struct open_request *request)
{
	return (struct away_request){
		.id = request->id,
		.method = request->method,
		.params = request->params,
		.is_modern = request->is_modern,
		.why = mediator->why.n > 0 ? buf_str(&mediator->why) : S("the Aileron daemon cannot be reached"),
		.version = mediator->options.version,
	};
}

static void answer_here(struct mediator *mediator, size_t index)
{
	struct open_request *request = mediator->open[index];
	const struct away_request away = away_of(mediator, request);
	AUTO_BUF out = BUF_INIT(ANSWER_MAX);
	if (request->progress != WAITS && request->is_call)
		away_lost_call(&out, &away, str_from(request->call_id));
	else
		away_answer(&out, &away);
	if (str_eq(request->method, S("initialize")))
		mediator->is_initialized = true;
	mediator->told_away = true;
	to_client(mediator, &out);
	remove_at(mediator, index);
}

static uint64_t deadline_of(const struct mediator *mediator, const struct open_request *request)
{
	return request->progress == WAITS || !request->is_call ? MAX(request->until_ms, mediator->grace_ms)
							       : request->until_ms;
}

uint64_t mediator_deadline(const struct mediator *mediator)
{
	uint64_t first = UINT64_MAX;
	for (size_t i = 0; i < mediator->n && !mediator->is_here; i++)
		first = MIN(first, deadline_of(mediator, mediator->open[i]));
	return first;
}

void mediator_tick(struct mediator *mediator, uint64_t now_ms)
{
	for (size_t i = 0; i < mediator->n && !mediator->is_here;) {
		if (deadline_of(mediator, mediator->open[i]) <= now_ms)
			answer_here(mediator, i);
		else
			i++;
	}
}

void mediator_disconnected(struct mediator *mediator, struct str why, uint64_t now_ms)
{
	buf_clear(&mediator->why);
	buf_add_str(&mediator->why, str_slice(why, 0, WHY_MAX));
	if (!mediator->is_here && !mediator->was_here) /* it is not there at all: nobody waits for it */
		mediator->grace_ms = now_ms;
	for (size_t i = 0; i < mediator->n && mediator->is_here; i++) {
		struct open_request *request = mediator->open[i];
		request->until_ms = now_ms + (request->is_call ? MEDIATOR_LOST_MS : MEDIATOR_PATIENCE_MS);
		if (request->progress == ASKED)
			request->progress = SENT; /* to be asked for again */
	}
	if (mediator->is_here)
		mediator->grace_ms = now_ms + MEDIATOR_PATIENCE_MS;
	mediator->is_here = false;
	mediator_tick(mediator, now_ms);
}

void mediator_refused(struct mediator *mediator, struct str why, uint64_t now_ms)
{
	mediator_disconnected(mediator, why, now_ms);
	mediator->grace_ms = now_ms;
	for (size_t i = 0; i < mediator->n; i++)
		mediator->open[i]->until_ms = now_ms;
	mediator_tick(mediator, now_ms);
}

/* -------------------------------------------------------------------------------------------------- from the client */

static bool is_quoted(struct str raw)
{
	return raw.n >= 2 && raw.p[0] == '"';
}

/* The time in front of 80 random bits: the calls of one time lie together in the daemon's index of them. */
static void make_call_id(char ret[MEDIATOR_CALL_ID + 1])
{
	unsigned char bytes[ULID_BYTES];
	_Static_assert(2 * ULID_BYTES == MEDIATOR_CALL_ID, "two digits a byte");
	ulid_bytes(clock_wall_ns(NULL), bytes);
	hex_format(str_of(bytes, sizeof bytes), ret);
}

static size_t place_in(struct str line, struct str piece)
{
	return (size_t)(piece.p - line.p);
}

/* The line with "aileron/call-id" as the first member of params._meta; false when there is no object to put it into. */
static bool put_call_id(struct buf *out, struct str line, struct str params, const char *call_id)
{
	struct scan_member meta = {.name = "_meta"};
	if (params.n == 0 || !scan_object(params, &meta, 1))
		return false;
	bool has_meta = meta.value.n > 0;
	if (str_eq(meta.value, S("null"))) {
		buf_add_str(out, str_slice(line, 0, place_in(line, meta.value)));
		buf_addf(out, "{\"" CALL_ID_KEY "\":\"%s\"}", call_id);
		buf_add_str(out, str_slice(line, place_in(line, meta.value) + meta.value.n, line.n));
		return true;
	}
	if (has_meta && meta.value.p[0] != '{')
		return false;
	struct str object = has_meta ? meta.value : params;
	struct str tail = str_trim(str_slice(object, 1, object.n));
	bool is_empty = tail.p[0] == '}';
	size_t at = place_in(line, object) + 1;
	buf_add_str(out, str_slice(line, 0, at));
	if (!has_meta)
		buf_add_z(out, "\"_meta\":{");
	buf_addf(out, "\"" CALL_ID_KEY "\":\"%s\"", call_id);
	if (!has_meta)
		buf_add_char(out, '}');
	if (!is_empty)
		buf_add_char(out, ',');
	buf_add_str(out, str_slice(line, at, line.n));
	return true;
}

static bool says_modern(struct str params)
{
	return scan_member(scan_member(params, "_meta"), "io.modelcontextprotocol/protocolVersion").n > 0;
}

/* Pieces move with their buffer: all are copied, then pointed at. */
static void copy_pieces(struct open_request *request, const struct str pieces[4])
{
	struct str *const kept[] = {&request->id, &request->method, &request->params, &request->meta};
	request->copy = BUF_INIT(2 * MEDIATOR_LINE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		buf_add_str(&request->copy, pieces[i]);
	size_t at = 0;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		*kept[i] = str_slice(buf_str(&request->copy), at, at + pieces[i].n);
		at += pieces[i].n;
	}
}

static struct open_request *request_new(struct str line, const struct scan_member *members, uint64_t now_ms)
{
	char text[SCAN_TEXT_MAX];
	struct str id = members[0].value, method = scan_text(members[1].value, text), params = members[2].value;
	struct open_request *request = NEW(struct open_request);
	request->is_call = str_eq(method, S("tools/call"));
	request->is_modern = says_modern(params);
	request->kept = line.n <= MEDIATOR_KEPT_MAX;
	request->until_ms = now_ms;
	request->line = BUF_INIT(MEDIATOR_LINE_MAX + 128);
	struct str meta = scan_member(params, "_meta");
	const struct str pieces[] = {id, method, request->kept ? params : STR_EMPTY,
				     meta.n <= MEDIATOR_KEPT_MAX ? meta : STR_EMPTY};
	copy_pieces(request, pieces);
	make_call_id(request->call_id);
	if (!request->is_call || !put_call_id(&request->line, line, params, request->call_id)) {
		request->call_id[0] = '\0';
		buf_add_str(&request->line, line);
	}
	return request;
}

static void send_request(struct mediator *mediator, struct open_request *request)
{
	request->progress = SENT;
	mediator->options.to_daemon(mediator->options.user, buf_str(&request->line));
	if (!request->kept)
		buf_release(&request->line);
}

static void take_request(struct mediator *mediator, struct str line, const struct scan_member *members, uint64_t now_ms)
{
	char text[SCAN_TEXT_MAX];
	struct str method = scan_text(members[1].value, text);
	if (mediator->n == MEDIATOR_OPEN_MAX) {
		AUTO_BUF out = BUF_INIT(ANSWER_MAX);
		away_error(&out, members[0].value, -32603, "too many requests are under way; wait for answers");
		to_client(mediator, &out);
		return;
	}
	if (str_eq(method, S("initialize"))) {
		keep(&mediator->initialize, line);
		mediator->is_initialized = false;
	} else if (str_eq(method, S("logging/setLevel"))) {
		keep(&mediator->level, line);
	}
	struct open_request *request = request_new(line, members, now_ms);
	mediator->open[mediator->n++] = request;
	if (mediator->is_here)
		send_request(mediator, request);
	else
		mediator_tick(mediator, now_ms);
}

/* What nobody waits for any more: a call that was sent is cancelled there, one that waits is forgotten. True: it is passed on. */
static bool take_cancelled(struct mediator *mediator, struct str params)
{
	struct str id = scan_member(params, "requestId");
	for (size_t i = 0; i < mediator->n && id.n > 0; i++) {
		struct open_request *request = mediator->open[i];
		if (!str_eq(request->id, id))
			continue;
		bool sent = request->progress == SENT;
		remove_at(mediator, i);
		return sent;
	}
	return true;
}

static void take_notification(struct mediator *mediator, struct str line, const struct scan_member *members)
{
	char text[SCAN_TEXT_MAX];
	struct str method = scan_text(members[1].value, text);
	if (str_eq(method, S("notifications/initialized")))
		keep(&mediator->initialized, line);
	if (str_eq(method, S("notifications/cancelled")) && !take_cancelled(mediator, members[2].value))
		return;
	if (mediator->is_here)
		mediator->options.to_daemon(mediator->options.user, line);
}

void mediator_from_client(struct mediator *mediator, struct str line, uint64_t now_ms)
{
	struct scan_member members[] = {{.name = "id"}, {.name = "method"}, {.name = "params"}};
	line = str_trim(line);
	if (line.n == 0)
		return;
	bool is_object = scan_object(line, members, ARRAY_LEN(members));
	if (is_object && is_quoted(members[1].value) && members[0].value.n > 0)
		take_request(mediator, line, members, now_ms);
	else if (is_object && is_quoted(members[1].value))
		take_notification(mediator, line, members);
	else if (mediator->is_here) /* an answer, a batch, or nonsense that is told there */
		mediator->options.to_daemon(mediator->options.user, line);
}

void mediator_from_client_too_long(struct mediator *mediator)
{
	AUTO_BUF out = BUF_INIT(ANSWER_MAX);
	away_error(&out, STR_EMPTY, -32700, "the message is longer than 4 MiB");
	to_client(mediator, &out);
}

/* ------------------------------------------------------------------------------------------------------ it is back */

/* A line of the client's under an id of our own, whose answer nobody waits for. */
static void say_again(struct mediator *mediator, const struct buf *line)
{
	struct str text = buf_str(line), id = scan_member(text, "id");
	if (text.n == 0 || id.n == 0)
		return;
	size_t from = (size_t)(id.p - text.p);
	AUTO_BUF out = BUF_INIT(MEDIATOR_KEPT_MAX + 128);
	buf_add_str(&out, str_slice(text, 0, from));
	buf_addf(&out, "\"" OWN_PREFIX "%llu\"", (unsigned long long)++mediator->own);
	buf_add_str(&out, str_slice(text, from + id.n, text.n));
	mediator->options.to_daemon(mediator->options.user, buf_str(&out));
}

static void ask_for(struct mediator *mediator, struct open_request *request)
{
	AUTO_BUF out = BUF_INIT(MEDIATOR_LINE_MAX);
	request->progress = ASKED;
	request->asked = ++mediator->own;
	buf_addf(&out,
		 "{\"jsonrpc\":\"2.0\",\"id\":\"" OWN_PREFIX "%llu\",\"method\":\"tools/call\",\"params\":{\"name\":"
		 "\"check_action_status\",\"arguments\":{\"call_id\":\"%s\"}",
		 (unsigned long long)request->asked, request->call_id);
	if (request->is_modern) {
		buf_add_z(&out, ",\"_meta\":");
		buf_add_str(&out, request->meta);
	}
	buf_add_z(&out, "}}");
	mediator->options.to_daemon(mediator->options.user, buf_str(&out));
}

/* Too long to be kept, so it cannot be sent again. */
static void drop(struct mediator *mediator, size_t index)
{
	struct open_request *request = mediator->open[index];
	const struct away_request away = away_of(mediator, request);
	AUTO_BUF out = BUF_INIT(ANSWER_MAX);
	if (request->progress == ASKED)
		away_dropped_call(&out, &away);
	else if (request->is_call)
		away_lost_call(&out, &away, str_from(request->call_id));
	else
		away_error(&out, away.id, -32603, "the daemon was started anew meanwhile; ask again");
	to_client(mediator, &out);
	remove_at(mediator, index);
}

static void resume(struct mediator *mediator)
{
	for (size_t i = 0; i < mediator->n;) {
		struct open_request *request = mediator->open[i];
		bool was_sent = request->progress == SENT;
		bool can_ask = request->call_id[0] != '\0' && (!request->is_modern || request->meta.n > 0);
		if (was_sent && (request->is_call ? !can_ask : !request->kept)) {
			drop(mediator, i);
			continue;
		}
		if (was_sent && request->is_call)
			ask_for(mediator, request);
		else
			send_request(mediator, request);
		i++;
	}
}

void mediator_connected(struct mediator *mediator)
{
	bool again = mediator->was_here || mediator->told_away;
	mediator->is_here = mediator->was_here = true;
	if (mediator->is_initialized) {
		say_again(mediator, &mediator->initialize);
		if (mediator->initialized.n > 0)
			mediator->options.to_daemon(mediator->options.user, buf_str(&mediator->initialized));
		say_again(mediator, &mediator->level);
	}
	resume(mediator);
	if (again && mediator->initialized.n > 0)
		mediator->options.to_client(mediator->options.user,
					    S("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}"));
	mediator->told_away = false;
}

/* -------------------------------------------------------------------------------------------------- from the daemon */

static void replace_id(struct buf *out, struct str line, struct str id, struct str with)
{
	size_t from = (size_t)(id.p - line.p);
	buf_add_str(out, str_slice(line, 0, from));
	buf_add_str(out, with);
	buf_add_str(out, str_slice(line, from + id.n, line.n));
}

/* The daemon never took it: it is sent now, for the first time that counts. */
static bool is_unknown(struct str result)
{
	return scan_is_string(scan_member(scan_member(result, "_meta"), "aileron/call"), S("unknown"));
}

/* The answer to one of our own requests. */
static void take_own(struct mediator *mediator, struct str line, const struct scan_member *members)
{
	char text[SCAN_TEXT_MAX];
	struct str digits = scan_text(members[0].value, text);
	uint64_t number;
	if (!str_to_u64(str_slice(digits, strlen(OWN_PREFIX), digits.n), UINT64_MAX, &number))
		return;
	for (size_t i = 0; i < mediator->n; i++) {
		struct open_request *request = mediator->open[i];
		if (request->progress != ASKED || request->asked != number)
			continue;
		if (is_unknown(members[2].value)) {
			if (request->kept)
				send_request(mediator, request);
			else
				drop(mediator, i);
			return;
		}
		AUTO_BUF out = BUF_INIT(line.n + request->id.n);
		replace_id(&out, line, members[0].value, request->id);
		to_client(mediator, &out);
		remove_at(mediator, i);
		return;
	}
}

void mediator_from_daemon(struct mediator *mediator, struct str line)
{
	struct scan_member members[] = {{.name = "id"}, {.name = "method"}, {.name = "result"}};
	bool is_object = scan_object(line, members, ARRAY_LEN(members));
	struct str id = members[0].value;
	if (!is_object || members[1].value.n > 0 || id.n == 0) {
		mediator->options.to_client(mediator->options.user, line);
		return;
	}
	char text[SCAN_TEXT_MAX];
	if (str_starts(scan_text(id, text), S(OWN_PREFIX))) {
		take_own(mediator, line, members);
		return;
	}
	for (size_t i = 0; i < mediator->n; i++) {
		if (mediator->open[i]->progress != SENT || !str_eq(mediator->open[i]->id, id))
			continue;
		if (str_eq(mediator->open[i]->method, S("initialize")))
			mediator->is_initialized = true;
		remove_at(mediator, i);
		break;
	}
	mediator->options.to_client(mediator->options.user, line);
}
