/*
 * keeper_protocol: what control and egress may ask of the keeper
 *
 * Two rpc channels, each with a permit table of its own; both ends come from the parent (supervise.h). Control asks with an
 * id of its choice, not 0, and gets one ANSWER: u8 ok, then err or the body that the request names. Egress has its own
 * requests, on a channel that control cannot read; that channel is sensitive (rpc_set_sensitive). docs/formats/keeper.md.
 *
 * A *use* is one permission: one call of a connector, one credential, some hosts, until a time. Control gives it a number
 * (not 0, never again used in this keeper's life); egress claims it. The keeper releases a value at most once a use, or signs
 * as often as egress sends requests under it; each further destination of a released value is asked for, too. A *ticket* is
 * the same for one OAuth exchange. Consent is what the person
 * agreed to, authenticated metadata of the binding:
 *
 *     {"allow_private":["127.0.0.1:8443"],"authorize_url":"…","client_id":"…","client_secret":"…",
 *      "device_authorization_url":"…","hosts":["api.example.com:443"],"scopes":["a"],"token_url":"…"}
 *
 * canonical JSON; `hosts` always, ["*"] for a connector that may reach any public host; the OAuth members for oauth2 alone;
 * `allow_private` (hosts of the list that may be private addresses) when the person opened some.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "rpc/rpc.h"

/*
 * In the place of a connector's name: the key that egress puts on requests of the gateway. No connector is called so. Such an
 * entry is of kind api_key, and `vault put --host` makes it.
 */
#define KEEPER_GATEWAY "aileron gateway"

#define KEEPER_BLOB_MAX         ((size_t)64 << 20) /* bytes of a vault file that is imported or exported */
#define KEEPER_ANSWER_MAX       ((size_t)72 << 20)
#define KEEPER_PERMIT_HOSTS_MAX 4096

enum keeper_message {
	/* control to keeper */
	KEEPER_STATE = 32,  /* empty → keeper_state */
	KEEPER_NONCE = 33,  /* empty → 16 bytes, 8 bytes key id, 32 bytes public key */
	KEEPER_SEALED = 34, /* keeper_sealed → per operation, below */
	KEEPER_LOCK = 35,   /* empty → empty */
	KEEPER_LIST = 36,   /* str prefix → u8 verified, u32 count, keeper_entry … */
	KEEPER_GET = 37,    /* str path → u8 verified, keeper_entry; VAULT_NOT_FOUND */
	KEEPER_DELETE = 38, /* str path → empty; VAULT_NOT_FOUND, VAULT_LOCKED */
	KEEPER_LABELS =
		39, /* str path, u32 count, (str key, str value; "" removes): status, stale_reason, missing_scopes, account */
	KEEPER_PERMIT = 40,    /* keeper_permit → empty */
	KEEPER_END_USE = 41,   /* u64 use; no answer (id 0) */
	KEEPER_SIGN_HEAD = 42, /* str message (AUDIT_HEAD_MESSAGE) → 64 bytes signature, 32 bytes public key */
	KEEPER_MEMBERS = 43, /* empty → u32 count, (str name, str kind "passphrase" | "key_file", u64 created_at s) */
	KEEPER_BACKUPS = 44, /* empty → u32 count, (str name, u64 bytes, u64 mtime s, str version) */
	KEEPER_DROP_BACKUP = 45, /* str name → empty */
	KEEPER_TUNE = 46,        /* u32 target ms → u32 t, u32 m KiB, u32 p, u32 ms that it took */
	/* keeper to control */
	KEEPER_ANSWER = 1, /* id; u8 ok; err or body */
	KEEPER_CHANGED =
		2, /* id 0; keeper_state, str reason: "unlocked", "locked", "idle", "signal", "suspend", "written" */
	KEEPER_NOTED =
		3, /* id 0; str what ("refreshed", "stale", "released", "signed"), str path, u64 use, str host, str detail */

	/* egress to keeper */
	KEEPER_CLAIM = 64,      /* id; u64 use, keeper_target, → RELEASED or REFRESH */
	KEEPER_SIGN_SIGV4 = 65, /* id; u64 use, keeper_target, str day, str region, str service, str to_sign → SIGNED */
	KEEPER_SIGN_BYTES = 66, /* id; u64 use, keeper_target, u8 signing_algorithm, str bytes → SIGNED */
	KEEPER_EXTEND = 77,     /* id; u64 use, keeper_target: of a value that was released → RELEASED without it */
	KEEPER_REFRESHED = 67,  /* id of the REFRESH; keeper_tokens → RELEASED */
	KEEPER_REFRESH_FAILED =
		68, /* id; err (BINDING_FAILED: refused for good; NETWORK_ERROR: unknown) → RELEASED with it */
	KEEPER_EXCHANGE = 69,    /* id; u64 ticket → TICKET */
	KEEPER_TOKENS = 70,      /* id; u64 ticket, keeper_tokens → STORED */
	KEEPER_DEVICE_CODE = 71, /* id; u64 ticket, str device_code → STORED: kept with the ticket */
	/* keeper to egress */
	KEEPER_RELEASED =
		72, /* id; u8 ok; err, or str kind, str username, str pool, and last str secret ("" for kinds that sign) */
	KEEPER_REFRESH = 73, /* id; keeper_exchange; egress exchanges and answers REFRESHED or REFRESH_FAILED */
	KEEPER_SIGNED = 74,  /* id; u8 ok; err, or str signature */
	KEEPER_TICKET = 75,  /* id; u8 ok; err, or keeper_exchange */
	KEEPER_STORED = 76,  /* id; u8 ok; err */
};
extern const struct rpc_rule keeper_control_rules[];     /* what the keeper accepts from control */
extern const struct rpc_rule keeper_egress_rules[];      /* … and from egress */
extern const struct rpc_rule keeper_for_control_rules[]; /* what control accepts from the keeper */
extern const struct rpc_rule keeper_for_egress_rules[];  /* … and egress */

/* Operations of KEEPER_SEALED: name for the associated data, what must be in the message, body of the answer. */
enum keeper_operation {
	KEEPER_OP_INIT = 1, /* "vault.init": passphrase or key file → empty (the vault is then unlocked) */
	KEEPER_OP_UNLOCK, /* "vault.unlock": passphrase or key file → u8 upgraded from (0, 1, 2), str backup, str member, bool older */
	KEEPER_OP_PASSWD, /* "vault.passwd": passphrase | key file, new passphrase | new key file → str member, str kind of the new one, u32 n, str backup … that the old one opens */
	KEEPER_OP_MEMBER_ADD, /* "vault.member.add": new passphrase | new key file; `name` → empty. The vault is unlocked */
	KEEPER_OP_MEMBER_REMOVE, /* "vault.member.remove": passphrase | key file of any member that stays; `name` → u32 n, str backup … */
	KEEPER_OP_PUT,     /* "vault.put": value; path, metadata; consent for bindings → u64 entry generation */
	KEEPER_OP_CONSENT, /* "vault.consent": passphrase | key file, consent; path → empty: other hosts for a binding */
	KEEPER_OP_EXPORT, /* "vault.export": passphrase | key file, new passphrase → str member who asked, str kind of the new one, u32 entries, str file (version 2, of its own key) */
	KEEPER_OP_IMPORT, /* "vault.import": passphrase of the file; `blob` the file → u32 added, u32 replaced, u32 kept */
	KEEPER_OP_OAUTH, /* "oauth.ticket": verifier (code) or passphrase | key file (device), consent; path, metadata → empty */
	KEEPER_OP_DECIDE, /* "approval.decide": passphrase | key file; path = id of the approval, metadata = its terms → empty: a person knows what opens the vault */
	KEEPER_OP__MAX
};
const char *keeper_operation_name(enum keeper_operation operation);

enum keeper_flag {
	KEEPER_FLAG_CREATE = 1,          /* PUT, OAUTH: BINDING_EXISTS when it is there (CONFLICT for other paths) */
	KEEPER_FLAG_KEEP = 2,            /* PUT: rebind: keeps labels that the metadata does not name, and created_at */
	KEEPER_FLAG_ACCEPT_ROLLBACK = 4, /* UNLOCK */
	KEEPER_FLAG_REPLACE = 8,         /* IMPORT: entries that are there are replaced, else kept */
	KEEPER_FLAG_DEVICE = 16,         /* OAUTH: device flow */
	KEEPER_FLAG_ED25519 = 32,        /* PUT: VALIDATION_ERROR unless the value is a private key of Ed25519 */
};
struct keeper_sealed {
	enum keeper_operation operation;
	uint32_t flags;
	struct str path,
		metadata; /* metadata: canonical JSON {"environment","labels":{…},"type"}, bound as associated data */
	struct str name;  /* of a member */
	struct str high_vault_id; /* UNLOCK: the newest that control has seen; "" = none */
	uint64_t high_generation;
	uint64_t ticket; /* OAUTH */
	struct str blob; /* IMPORT */
	struct str sealed;
};
enum keeper_lock_state { KEEPER_MISSING, KEEPER_LOCKED, KEEPER_UNLOCKED };
struct keeper_state {
	enum keeper_lock_state state;
	uint32_t version; /* of the file: 0, 1, 2 */
	struct str vault_id;
	uint64_t generation;
	uint32_t entries, members;
	uint64_t throttled_ms;  /* until another try is taken */
	uint64_t unlocked_at_s; /* Unix */
	uint64_t auto_lock_ms;  /* 0 = never */
	struct str device_key_id;
	struct str trouble; /* class name of why the file cannot be read ("vault_truncated"), "" */
};
struct keeper_entry {
	struct str path, type, environment;
	struct str labels;  /* JSON object */
	struct str consent; /* canonical JSON, "" */
	uint64_t generation;
};
struct keeper_permit {
	uint64_t use;
	struct str path, connector, kind;
	const struct str
		*hosts; /* "host:port" that this call may reach, each consented; else CAPABILITY_DENIED names it */
	size_t n_hosts;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	uint64_t version;     /* binding_version_number() that was chosen: another is BINDING_FAILED; 0 = any */
};
/*
 * Where a credential is about to go, judged by egress: the host as the request names it, and whether what it would be sent
 * to is less than a public address over TLS. The keeper allows that only where the person's consent says so (allow_private,
 * or the host is an address that the consent lists as such).
 */
enum keeper_way {
	KEEPER_WAY_PLAIN = 1,   /* http, not https */
	KEEPER_WAY_PRIVATE = 2, /* an address that is not public, this machine's among them */
};
#define KEEPER_WAYS (KEEPER_WAY_PLAIN | KEEPER_WAY_PRIVATE)
struct keeper_target {
	struct str host; /* "host:port" */
	uint8_t way;     /* of keeper_way, or 0 */
};
struct keeper_tokens {
	struct str access_token, refresh_token, token_type;
	uint64_t expires_in; /* seconds; 0 = not said */
	bool has_scope;
	struct str scope;
};
/* Everything that a token request needs; from authenticated metadata and the vault. */
struct keeper_exchange {
	struct str token_url, device_authorization_url, client_id, client_secret;
	struct str refresh_token, verifier, device_code; /* whichever there is */
	struct str scopes;                               /* joined by one space */
	bool allow_private;                              /* the token_url names a literal loopback */
};

void keeper_sealed_put(struct buf *out, const struct keeper_sealed *m);
int keeper_sealed_get(struct str body, struct keeper_sealed *ret, struct err *err) __attribute__((warn_unused_result));
void keeper_state_put(struct buf *out, const struct keeper_state *m);
/* What who has to wait is told, by the keeper or by who knows its state: -1. */
int keeper_refuse_throttled(uint64_t left_ms, struct err *err);
struct wire_reader;
void keeper_state_get(struct wire_reader *r, struct keeper_state *ret);
void keeper_entry_put(struct buf *out, const struct keeper_entry *m);
void keeper_entry_get(struct wire_reader *r, struct keeper_entry *ret);
void keeper_permit_put(struct buf *out, const struct keeper_permit *m);
/* `hosts` in arena. */
struct arena;
int keeper_permit_get(struct arena *arena, struct str body, struct keeper_permit *ret, struct err *err)
	__attribute__((warn_unused_result));
void keeper_target_put(struct buf *out, const struct keeper_target *m);
void keeper_target_get(struct wire_reader *r, struct keeper_target *ret); /* borrowed from the body */
void keeper_tokens_put(struct buf *out, const struct keeper_tokens *m);
void keeper_tokens_get(struct wire_reader *r, struct keeper_tokens *ret);
void keeper_exchange_put(struct buf *out, const struct keeper_exchange *m);
void keeper_exchange_get(struct wire_reader *r, struct keeper_exchange *ret);
