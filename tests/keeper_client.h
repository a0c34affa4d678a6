/*
 * keeper_client: a keeper in a folder of its own, with the test in the place of control, egress and parent
 *
 * One thread: whoever asks turns the keeper until the answer is there. Clocks are the test's: rig.now_ns is CLOCK_MONOTONIC,
 * rig.suspended_ns what CLOCK_BOOTTIME is ahead of it, rig.wall_s Unix time. Vaults are made at the least cost of Argon2id.
 */
#pragma once
#include "base/arena.h"
#include "base/limits.h"
#include "rpc/rpc.h"
#include "supervise/supervise.h"
#include "text/wire.h"
#include "vault/binding.h"
#include "vault/keeper.h"
#include "vault/keeper_protocol.h"
#include "vault/sealed.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RIG_TURNS 64 /* after which an answer does not come any more */

struct rig_note {
	char what[32], path[300], host[300], detail[300];
	uint64_t use;
};
struct rig {
	char folder[64];
	uint64_t now_ns, suspended_ns, wall_s;
	struct clock clock;
	uint64_t auto_lock_ms;
	struct keeper *keeper;
	struct rpc_channel *control, *egress;
	int parent, link; /* both ends of the link to the parent */
	unsigned char public_key[SEALED_PUBLIC], device_key[32];
	uint32_t next_id;
	struct arena *arena; /* answers' bodies */
	struct err err;      /* of the last request */
	/* what was pushed */
	char reason[32];
	struct keeper_state state;
	struct rig_note notes[16];
	size_t n_notes;
};

static inline uint64_t rig_monotonic(void *context)
{
	return ((struct rig *)context)->now_ns;
}

static inline uint64_t rig_boottime(void *context)
{
	const struct rig *rig = context;
	return rig->now_ns + rig->suspended_ns;
}

static inline uint64_t rig_wall(void *context)
{
	return ((struct rig *)context)->wall_s * TIME_SECOND;
}

static inline void rig_die(const struct rig *rig, const char *what)
{
	fprintf(stderr, "the rig cannot %s: %s\n", what, rig->err.message);
	abort();
}

static inline int rig_pair(int ret[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret);
}

static inline void rig_attach_control(struct rig *rig)
{
	int pair[2];
	if (rig_pair(pair) != 0)
		rig_die(rig, "make a pair");
	rpc_channel_free(rig->control);
	keeper_attach_control(rig->keeper, pair[0]);
	rig->control = rpc_channel_new(pair[1], keeper_for_control_rules);
}

static inline void rig_attach_egress(struct rig *rig)
{
	int pair[2];
	if (rig_pair(pair) != 0)
		rig_die(rig, "make a pair");
	rpc_channel_free(rig->egress);
	keeper_attach_egress(rig->keeper, pair[0]);
	rig->egress = rpc_channel_new(pair[1], keeper_for_egress_rules);
	rpc_set_sensitive(rig->egress, true);
}

/* A keeper's start: in rig->folder, with what an earlier one left there. */
static inline void rig_open(struct rig *rig)
{
	static const struct argon2_cost cheap = {.time = 1, .memory_kib = ARGON2_MEMORY_MIN, .lanes = 1};
	int link[2];
	if (supervise_pair(link, &rig->err) != 0)
		rig_die(rig, "make the link to the parent");
	rig->link = link[0];
	rig->parent = link[1];
	struct keeper_options options = {.folder = rig->folder,
					 .parent_fd = link[0],
					 .clock = &rig->clock,
					 .boottime = rig_boottime,
					 .cost = &cheap,
					 .auto_lock_ms = rig->auto_lock_ms};
	rig->keeper = keeper_new(&options, &rig->err);
	if (rig->keeper == NULL)
		rig_die(rig, "start the keeper");
	AUTO_BUF ready = BUF_INIT(4096);
	keeper_ready_put(rig->keeper, &ready);
	struct wire_reader r = wire_reader(buf_str(&ready));
	memcpy(rig->public_key, wire_str(&r).p, sizeof rig->public_key);
	memcpy(rig->device_key, wire_str(&r).p, sizeof rig->device_key);
	rig_attach_control(rig);
	rig_attach_egress(rig);
}

/* Without a word to anybody. */
static inline void rig_close(struct rig *rig)
{
	rpc_channel_free(TAKE(rig->control));
	rpc_channel_free(TAKE(rig->egress));
	keeper_free(TAKE(rig->keeper));
	if (rig->link >= 0)
		close(TAKE_FD(rig->link));
	if (rig->parent >= 0)
		close(TAKE_FD(rig->parent));
}

static inline void rig_start(struct rig *rig)
{
	*rig = (struct rig){.folder = "/tmp/aileron-keeper-XXXXXX",
			    .now_ns = 1000 * TIME_SECOND,
			    .suspended_ns = 5 * TIME_SECOND,
			    .wall_s = 1767225600,
			    .parent = -1,
			    .link = -1,
			    .arena = arena_new()};
	rig->clock = (struct clock){rig_monotonic, rig_wall, rig};
	if (mkdtemp(rig->folder) == NULL)
		rig_die(rig, "make a folder");
	rig_open(rig);
}

static inline void rig_stop(struct rig *rig)
{
	rig_close(rig);
	DIR *folder = opendir(rig->folder);
	for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
		unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder != NULL)
		closedir(folder);
	rmdir(rig->folder);
	arena_free(rig->arena);
}

/* Time goes by, and the keeper looks at its clock. */
static inline int rig_turn(struct rig *rig)
{
	return keeper_turn(rig->keeper, 0, &rig->err);
}

static inline void rig_pass(struct rig *rig, uint64_t ns)
{
	rig->now_ns += ns;
	rig->wall_s += ns / TIME_SECOND;
	(void)!rig_turn(rig);
}

/* -------------------------------------------------------------------------------------------------------- as control */

static inline void rig_copy(char *to, size_t size, struct str text)
{
	snprintf(to, size, "%.*s", STR_FMT(text));
}

static inline void rig_take_push(struct rig *rig, const struct rpc_frame *frame)
{
	struct wire_reader r = wire_reader(frame->body);
	if (frame->type == KEEPER_CHANGED) {
		keeper_state_get(&r, &rig->state);
		rig_copy(rig->reason, sizeof rig->reason, wire_str(&r));
		rig->state.vault_id = rig->state.device_key_id = rig->state.trouble = STR_EMPTY;
	} else if (rig->n_notes < ARRAY_LEN(rig->notes)) {
		struct rig_note *note = &rig->notes[rig->n_notes++];
		rig_copy(note->what, sizeof note->what, wire_str(&r));
		rig_copy(note->path, sizeof note->path, wire_str(&r));
		note->use = wire_u64(&r);
		rig_copy(note->host, sizeof note->host, wire_str(&r));
		rig_copy(note->detail, sizeof note->detail, wire_str(&r));
	}
	if (wire_done(&r, "push", &rig->err) != 0)
		rig_die(rig, "read what was pushed");
}

/* The next frame that is no push, or false when none comes (the channel ended, or nothing is said). */
static inline bool rig_next(struct rig *rig, struct rpc_channel *channel, struct rpc_frame *ret)
{
	for (int i = 0; i < RIG_TURNS; i++) {
		int got = rpc_pump(channel, ret, &rig->err);
		if (got == 1 && channel == rig->control && ret->id == 0)
			rig_take_push(rig, ret);
		else if (got == 1)
			return true;
		else if (got != 2)
			return false;
		else if (rig_turn(rig) < 0)
			rig_die(rig, "turn the keeper");
	}
	return false;
}

/* Whatever is pushed by now. */
static inline void rig_hear(struct rig *rig)
{
	struct rpc_frame frame;
	if (rig_next(rig, rig->control, &frame))
		rig_die(rig, "be answered without asking");
}

/* 0 with the body in rig->arena, -1 with rig->err. */
static inline int rig_ask(struct rig *rig, enum keeper_message type, struct str body, struct str *ret_body)
{
	err_clear(&rig->err);
	uint32_t id = ++rig->next_id;
	if (rpc_send(rig->control, (uint16_t)type, id, &body, 1, &rig->err) != 0)
		return -1;
	struct rpc_frame frame;
	if (!rig_next(rig, rig->control, &frame))
		return (fail)(&rig->err, ERR_UNAVAILABLE, "the keeper does not answer");
	struct wire_reader r = wire_reader(frame.body);
	bool ok = wire_bool(&r);
	if (frame.id != id || r.bad)
		rig_die(rig, "understand the answer");
	if (!ok) {
		wire_get_err(&r, &rig->err);
		return -1;
	}
	if (ret_body != NULL)
		*ret_body = arena_str(rig->arena, r.rest);
	return 0;
}

static inline struct keeper_state rig_state(struct rig *rig)
{
	struct keeper_state state;
	struct str body = STR_EMPTY;
	if (rig_ask(rig, KEEPER_STATE, STR_EMPTY, &body) != 0)
		rig_die(rig, "ask for the state");
	struct wire_reader r = wire_reader(body);
	keeper_state_get(&r, &state);
	if (wire_done(&r, "state", &rig->err) != 0)
		rig_die(rig, "read the state");
	return state;
}

/* Seals the fields for what the request says, and asks. */
static inline int rig_seal(struct rig *rig, struct keeper_sealed *m, const struct sealed_field *fields, size_t n)
{
	struct str nonce = STR_EMPTY;
	if (rig_ask(rig, KEEPER_NONCE, STR_EMPTY, &nonce) != 0)
		return -1;
	bool named = m->operation == KEEPER_OP_MEMBER_ADD || m->operation == KEEPER_OP_MEMBER_REMOVE ||
		     m->operation == KEEPER_OP_PASSWD;
	bool termed = m->operation == KEEPER_OP_UNLOCK || m->operation == KEEPER_OP_IMPORT;
	AUTO_BUF terms = BUF_INIT(SEALED_TERMS_MAX);
	sealed_terms_put(&terms, (m->flags & (KEEPER_FLAG_ACCEPT_ROLLBACK | KEEPER_FLAG_REPLACE)) != 0, m->blob);
	struct sealed_context context = {.operation = str_from(keeper_operation_name(m->operation)),
					 .path = named ? m->name : m->path,
					 .metadata = termed ? buf_str(&terms) : m->metadata};
	AUTO_BUF sealed = BUF_INIT(SEALED_OVERHEAD + SEALED_FIELDS_MAX);
	if (sealed_make(&sealed, rig->public_key, (const unsigned char *)nonce.p, &context, fields, n, &rig->err) != 0)
		return -1;
	m->sealed = arena_str(rig->arena, buf_str(&sealed));
	return 0;
}

static inline int rig_send_sealed(struct rig *rig, const struct keeper_sealed *m, struct str *ret_body)
{
	AUTO_BUF body = BUF_INIT(KEEPER_BLOB_MAX);
	keeper_sealed_put(&body, m);
	return rig_ask(rig, KEEPER_SEALED, buf_str(&body), ret_body);
}

static inline int rig_sealed(struct rig *rig, struct keeper_sealed m, const struct sealed_field *fields, size_t n,
			     struct str *ret_body)
{
	return rig_seal(rig, &m, fields, n) != 0 ? -1 : rig_send_sealed(rig, &m, ret_body);
}

static inline int rig_with_passphrase(struct rig *rig, enum keeper_operation operation, const char *passphrase)
{
	const struct sealed_field field = {SEALED_PASSPHRASE, str_from(passphrase)};
	return rig_sealed(rig, (struct keeper_sealed){.operation = operation}, &field, 1, NULL);
}

/* A binding "<kind>/svc/<identity>" of connector "github.com/acme/svc" for these hosts. */
struct rig_binding {
	const char *path, *kind, *value;
	const char *hosts[4], *allow_private[2];
	const char *username, *region, *token_url, *device_url;
	uint32_t flags;
};

static inline struct str rig_metadata(struct rig *rig, const struct rig_binding *binding)
{
	const struct binding_fields fields = {.kind = str_from(binding->kind),
					      .connector_fqn = S("github.com/acme/svc"),
					      .service = S("svc"),
					      .identity = S("work"),
					      .username = str_from(binding->username),
					      .region = str_from(binding->region)};
	AUTO_BUF text = BUF_INIT(65536);
	binding_metadata_put(&text, &fields);
	return arena_str(rig->arena, buf_str(&text));
}

static inline struct str rig_consent(struct rig *rig, const struct rig_binding *binding)
{
	static const struct str scopes[] = {{"mail.read", 9}, {"mail.send", 9}};
	struct str hosts[4];
	size_t n = 0;
	while (n < 4 && binding->hosts[n] != NULL) {
		hosts[n] = str_from(binding->hosts[n]);
		n++;
	}
	struct binding_consent consent = {.hosts = hosts, .n_hosts = n};
	struct str open[2];
	consent.allow_private = open;
	while (consent.n_allow_private < 2 && binding->allow_private[consent.n_allow_private] != NULL) {
		open[consent.n_allow_private] = str_from(binding->allow_private[consent.n_allow_private]);
		consent.n_allow_private++;
	}
	if (strcmp(binding->kind, "oauth2") == 0) {
		consent.authorize_url = S("https://auth.example.com/authorize");
		consent.token_url = str_from(binding->token_url);
		consent.device_authorization_url = str_from(binding->device_url);
		consent.client_id = S("client-1");
		consent.scopes = scopes;
		consent.n_scopes = 2;
	}
	AUTO_BUF text = BUF_INIT(65536);
	binding_consent_put(&text, &consent);
	return arena_str(rig->arena, buf_str(&text));
}

static inline int rig_put(struct rig *rig, const struct rig_binding *binding)
{
	const struct sealed_field fields[] = {{SEALED_VALUE, str_from(binding->value)},
					      {SEALED_CONSENT, rig_consent(rig, binding)}};
	struct keeper_sealed m = {.operation = KEEPER_OP_PUT,
				  .flags = binding->flags,
				  .path = str_from(binding->path),
				  .metadata = rig_metadata(rig, binding)};
	return rig_sealed(rig, m, fields, 2, NULL);
}

/* False when there is none. It lives until the next question. */
static inline bool rig_entry(struct rig *rig, const char *path, struct keeper_entry *ret)
{
	AUTO_BUF body = BUF_INIT(1024);
	wire_put_str(&body, str_from(path));
	struct str answer = STR_EMPTY;
	if (rig_ask(rig, KEEPER_GET, buf_str(&body), &answer) != 0)
		return false;
	struct wire_reader r = wire_reader(answer);
	wire_bool(&r);
	keeper_entry_get(&r, ret);
	if (wire_done(&r, "entry", &rig->err) != 0)
		rig_die(rig, "read an entry");
	return true;
}

/* The entry's labels as JSON, "" when there is none. */
static inline const char *rig_labels(struct rig *rig, const char *path)
{
	struct keeper_entry entry;
	return rig_entry(rig, path, &entry) ? arena_z(rig->arena, entry.labels) : "";
}

static inline uint64_t rig_generation(struct rig *rig, const char *path)
{
	struct keeper_entry entry;
	return rig_entry(rig, path, &entry) ? entry.generation : 0;
}

static inline int rig_permit(struct rig *rig, uint64_t use, const char *path, const char *kind, const char *host)
{
	struct str hosts[] = {str_from(host)};
	const struct keeper_permit permit = {.use = use,
					     .path = str_from(path),
					     .connector = S("github.com/acme/svc"),
					     .kind = str_from(kind),
					     .hosts = hosts,
					     .n_hosts = 1,
					     .deadline_ns = rig->now_ns + 30 * TIME_SECOND};
	AUTO_BUF body = BUF_INIT(4096);
	keeper_permit_put(&body, &permit);
	return rig_ask(rig, KEEPER_PERMIT, buf_str(&body), NULL);
}

static inline void rig_end_use(struct rig *rig, uint64_t use)
{
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u64(&body, use);
	struct str part = buf_str(&body);
	if (rpc_send(rig->control, KEEPER_END_USE, 0, &part, 1, &rig->err) != 0)
		rig_die(rig, "end a use");
	rig_hear(rig);
}

/* --------------------------------------------------------------------------------------------------------- as egress */

static inline void rig_tell(struct rig *rig, enum keeper_message type, uint32_t id, const struct buf *body)
{
	struct str part = buf_str(body);
	if (rpc_send(rig->egress, (uint16_t)type, id, &part, 1, &rig->err) != 0)
		rig_die(rig, "tell the keeper");
}

/* Its type, or 0 when none comes. The body is borrowed. `*ret_rest` is behind the ok; on failure rig->err is set. */
static inline uint16_t rig_hear_egress(struct rig *rig, uint32_t *ret_id, bool *ret_ok, struct str *ret_rest)
{
	struct rpc_frame frame;
	err_clear(&rig->err);
	if (!rig_next(rig, rig->egress, &frame))
		return 0;
	struct wire_reader r = wire_reader(frame.body);
	*ret_id = frame.id;
	*ret_ok = frame.type == KEEPER_REFRESH || wire_bool(&r);
	if (!*ret_ok)
		wire_get_err(&r, &rig->err);
	*ret_rest = r.rest;
	return frame.type;
}

/* CLAIM or EXTEND. */
static inline void rig_claim_by(struct rig *rig, enum keeper_message type, uint32_t id, uint64_t use,
				struct keeper_target target)
{
	AUTO_BUF body = BUF_INIT(1024);
	wire_put_u64(&body, use);
	keeper_target_put(&body, &target);
	rig_tell(rig, type, id, &body);
}

static inline void rig_claim(struct rig *rig, uint32_t id, uint64_t use, const char *host)
{
	rig_claim_by(rig, KEEPER_CLAIM, id, use, (struct keeper_target){.host = str_from(host)});
}

/* What a RELEASED says; texts in rig->arena, so not for tests that look for secrets in memory. */
struct rig_released {
	const char *kind, *username, *pool, *secret;
};

static inline int rig_hear_release(struct rig *rig, uint32_t id, struct rig_released *ret)
{
	uint32_t got_id = 0;
	bool ok = false;
	struct str rest = STR_EMPTY;
	if (rig_hear_egress(rig, &got_id, &ok, &rest) != KEEPER_RELEASED || got_id != id) {
		(fail)(&rig->err, ERR_UNAVAILABLE, "no release came");
		return -1;
	}
	if (!ok)
		return -1;
	struct wire_reader r = wire_reader(rest);
	ret->kind = arena_z(rig->arena, wire_str(&r));
	ret->username = arena_z(rig->arena, wire_str(&r));
	ret->pool = arena_z(rig->arena, wire_str(&r));
	ret->secret = arena_z(rig->arena, wire_str(&r));
	return wire_done(&r, "released", &rig->err);
}

static inline int rig_claim_now(struct rig *rig, uint64_t use, const char *host, struct rig_released *ret)
{
	uint32_t id = ++rig->next_id;
	rig_claim(rig, id, use, host);
	return rig_hear_release(rig, id, ret);
}

static inline void rig_refreshed(struct rig *rig, uint32_t id, const struct keeper_tokens *tokens)
{
	AUTO_BUF body = BUF_INIT(65536);
	keeper_tokens_put(&body, tokens);
	rig_tell(rig, KEEPER_REFRESHED, id, &body);
}

/* EXCHANGE, TOKENS or DEVICE_CODE of a ticket: 0, or -1 with rig->err; the exchange in rig->arena. */
static inline int rig_ticket(struct rig *rig, enum keeper_message type, const struct buf *body, struct str *ret_body)
{
	uint32_t id = ++rig->next_id, got_id = 0;
	bool ok = false;
	struct str rest = STR_EMPTY;
	rig_tell(rig, type, id, body);
	uint16_t got = rig_hear_egress(rig, &got_id, &ok, &rest);
	if (got != (type == KEEPER_EXCHANGE ? KEEPER_TICKET : KEEPER_STORED) || got_id != id)
		return (fail)(&rig->err, ERR_UNAVAILABLE, "the keeper does not answer");
	if (ok && ret_body != NULL)
		*ret_body = arena_str(rig->arena, rest);
	return ok ? 0 : -1;
}
