/* What a handshake agreed on, and the ids of sessions over HTTP. */
#include "base/log.h"
#include "base/rand.h"
#include "mcp/core.h"

#define SESSION_LABEL S("session id")
#define NONCE_SIZE    16
#define ENDED_MAX     4096 /* ids that DELETE ended; the oldest is forgotten first */

struct caller caller_dup(const struct mcp_caller *caller)
{
	AUTO_BUF all = BUF_INIT(SIZE_MAX / 2);
	buf_add_str(&all, caller->id);
	buf_add_str(&all, caller->name);
	buf_add_str(&all, caller->session);
	char *p = buf_steal(&all, NULL);
	size_t name = caller->id.n, session = name + caller->name.n;
	return (struct caller){
		.memory = p,
		.is = {str_of(p, name), str_of(p + name, caller->name.n), str_of(p + session, caller->session.n)},
	};
}

void caller_release(struct caller *caller)
{
	free(caller->memory);
	*caller = (struct caller){0};
}

char *client_dup(const struct json *info)
{
	struct str name = STR_EMPTY, version = STR_EMPTY;
	(void)json_get_str(json_member(info, S("name")), &name);
	(void)json_get_str(json_member(info, S("version")), &version);
	name = str_slice(name, 0, 256);
	version = str_slice(version, 0, 64);
	return xasprintf("%.*s%s%.*s", STR_FMT(name), version.n > 0 ? " " : "", STR_FMT(version));
}

unsigned session_can(const struct json *capabilities, enum mcp_version version)
{
	const struct json *elicitation = json_member(capabilities, S("elicitation"));
	const struct json *url = json_member(elicitation, S("url")), *form = json_member(elicitation, S("form"));
	unsigned can = 0;
	if (json_member(capabilities, S("sampling")) != NULL)
		can |= 1U << MCP_CAN_SAMPLING;
	if (json_member(capabilities, S("roots")) != NULL)
		can |= 1U << MCP_CAN_ROOTS;
	if (elicitation != NULL && version >= MCP_2025_06_18 && (form != NULL || url == NULL))
		can |= 1U << MCP_CAN_ELICITATION;
	if (url != NULL && version >= MCP_2025_11_25)
		can |= 1U << MCP_CAN_ELICITATION_URL;
	if (version == MCP_2026_07_28 &&
	    json_member(json_member(capabilities, S("extensions")), S("io.modelcontextprotocol/tasks")) != NULL)
		can |= 1U << MCP_CAN_TASKS;
	return can;
}

struct mcp_session *session_new(void)
{
	struct mcp_session *session = NEW(struct mcp_session);
	session->refs = 1;
	session->level = MCP_INFO;
	session->client = xstrdup("");
	session->uris = map_new(SESSION_URIS_MAX);
	return session;
}

void session_ref(struct mcp *mcp, struct mcp_session *session)
{
	pthread_mutex_lock(&mcp->lock);
	session->refs++;
	pthread_mutex_unlock(&mcp->lock);
}

void session_unref(struct mcp *mcp, struct mcp_session *session)
{
	if (session == NULL)
		return;
	pthread_mutex_lock(&mcp->lock);
	bool last = --session->refs == 0;
	pthread_mutex_unlock(&mcp->lock);
	if (!last)
		return;
	caller_release(&session->caller);
	map_free(session->uris);
	free(session->client);
	free(session);
}

const char *session_greet(struct mcp_session *session, const struct json *params)
{
	struct str name;
	if (!json_get_str(json_member(params, S("protocolVersion")), &name))
		return "'protocolVersion' is missing or not a string";
	enum mcp_version version;
	if (!mcp_version_named(name, &version) || version == MCP_2026_07_28)
		version = MCP_2025_11_25; /* the newest that has a handshake: the client decides whether it can */
	session->version = version;
	session->can = session_can(json_member(params, S("capabilities")), version);
	free(session->client);
	session->client = client_dup(json_member(params, S("clientInfo")));
	session->greeted = true;
	log_debug("mcp_handshake", log_str("client", str_from(session->client)),
		  log_str("caller", session->caller.is.id));
	return NULL;
}

/* The id carries what the handshake agreed on, so that it outlives our memory of it. */
struct id_payload {
	unsigned char nonce[NONCE_SIZE];
	unsigned char version, can;
};
_Static_assert(sizeof(struct id_payload) == NONCE_SIZE + 2, "an id's payload has no gaps");

/* Room for one more: the session goes that was idle longest and has nothing under way. */
static void make_room(struct mcp *mcp)
{
	if (map_count(mcp->sessions) < MCP_SESSIONS_MAX)
		return;
	struct mcp_session *oldest = NULL;
	struct map_iter it = {0};
	while (map_next(mcp->sessions, &it)) {
		struct mcp_session *session = it.value;
		pthread_mutex_lock(&mcp->lock);
		bool busy = session->scope.n_open > 0 || session->has_stream;
		pthread_mutex_unlock(&mcp->lock);
		if (!busy && (oldest == NULL || session->used_ns < oldest->used_ns))
			oldest = session;
	}
	if (oldest == NULL)
		return;
	map_remove(mcp->sessions, str_from(oldest->id));
	session_unref(mcp, oldest);
}

static bool remember(struct mcp *mcp, struct mcp_session *session, const struct mcp_caller *caller, struct str id)
{
	if (id.n >= sizeof session->id)
		return false;
	memcpy(session->id, id.p, id.n);
	session->id[id.n] = '\0';
	session->caller = caller_dup(caller);
	session->used_ns = mcp_now(mcp);
	make_room(mcp);
	return map_add(mcp->sessions, id, session);
}

void session_publish(struct mcp *mcp, struct mcp_session *session, const struct mcp_caller *caller,
		     char ret_id[SESSION_ID_TEXT_SIZE])
{
	struct id_payload payload = {.version = (unsigned char)session->version, .can = (unsigned char)session->can};
	rand_bytes(payload.nonce, sizeof payload.nonce);
	AUTO_BUF id = BUF_INIT(SESSION_ID_TEXT_SIZE - 1);
	seal_put(mcp->options.key, SESSION_LABEL, caller->id, str_of(&payload, sizeof payload), &id);
	snprintf(ret_id, SESSION_ID_TEXT_SIZE, "%s", id.p);
	session_ref(mcp, session);
	if (!remember(mcp, session, caller, buf_str(&id)))
		session_unref(mcp, session); /* every session is busy: it is made anew when it is asked for */
}

static struct mcp_session *made_anew(struct mcp *mcp, const struct mcp_caller *caller, struct str id)
{
	AUTO_BUF bytes = BUF_INIT(sizeof(struct id_payload));
	struct id_payload payload;
	if (!seal_open(mcp->options.key, SESSION_LABEL, caller->id, id, &bytes) || bytes.n != sizeof payload)
		return NULL;
	memcpy(&payload, bytes.p, sizeof payload);
	struct mcp_session *session = session_new();
	session->version = (enum mcp_version)payload.version;
	session->can = payload.can;
	session->greeted = session->is_ready = true;
	if (remember(mcp, session, caller, id))
		return session;
	session_unref(mcp, session);
	return NULL;
}

struct mcp_session *session_find(struct mcp *mcp, const struct mcp_caller *caller, struct str id)
{
	if (id.n == 0 || map_has(mcp->ended, id))
		return NULL;
	struct mcp_session *session = map_get(mcp->sessions, id);
	if (session == NULL)
		return made_anew(mcp, caller, id);
	if (!str_eq(session->caller.is.id, caller->id))
		return NULL;
	session->used_ns = mcp_now(mcp);
	return session;
}

void session_close(struct mcp *mcp, struct mcp_session *session)
{
	struct map_iter oldest = {0};
	if (map_count(mcp->ended) == ENDED_MAX && map_next(mcp->ended, &oldest))
		map_remove(mcp->ended, oldest.key);
	(void)!map_add(mcp->ended, str_from(session->id), NULL);
	map_remove(mcp->sessions, str_from(session->id));
	calls_cancel_scope(mcp, &session->scope);
	listeners_end_scope(mcp, &session->scope);
	session_unref(mcp, session);
}
