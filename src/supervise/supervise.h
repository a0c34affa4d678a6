/*
 * supervise: between the daemon's parent and its children
 *
 * The parent starts control, keeper, egress and, when control asks, runners; it joins them with socket pairs and never
 * parses anything from outside. Its link to each of its three standing children is a SOCK_SEQPACKET pair (descriptor
 * SUPERVISE_FD in the child) on which every message is exactly one struct supervise_frame, with at most
 * SUPERVISE_FDS_MAX descriptors beside it (SCM_RIGHTS). docs/formats/supervise.md is the format; the fields of a body are
 * text/wire.h's. Runners have no link: they speak runner_protocol.h on the pair that the parent made for them.
 *
 * Start of a child: it confines itself, sends PROOF, and waits; the parent judges, and sends START. The child makes
 * itself ready and answers READY or FAILED. Then the parent sends PEER frames with its ends of the pairs: at first, and
 * again whenever the neighbour was restarted, at which the child drops the old end with everything that was under way on
 * it. A child ends when the link ends.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "confine/confine.h"

#define SUPERVISE_FD      3
#define SUPERVISE_BODY    4592
#define SUPERVISE_FDS_MAX 4

enum supervise_role {
	SUPERVISE_CONTROL = 1,
	SUPERVISE_KEEPER,
	SUPERVISE_EGRESS,
	SUPERVISE_RUNNER,
	SUPERVISE_ROLE__MAX
};
const char *supervise_role_name(enum supervise_role role); /* "control" … */

/* Further descriptors that a child is started with. */
#define CONTROL_FD_TCP    4 /* listening TCP socket */
#define CONTROL_FD_UNIX   5 /* listening Unix socket, or /dev/null */
#define CONTROL_FD_FOLDER 6 /* ~/.aileron/control, its working directory */
#define CONTROL_FDS       7
#define KEEPER_FD_FOLDER  4 /* ~/.aileron/vault, its working directory */
#define KEEPER_FDS        5
/* EGRESS_FD_CA (egress_protocol.h): 4, certificates or /dev/null */

enum supervise_type {
	/* child to parent */
	SUPERVISE_PROOF = 1, /* confine report */
	SUPERVISE_READY =
		2, /* keeper: str public X25519 key (32), str device public key (32), str key id (8); else empty */
	SUPERVISE_FAILED = 3,        /* err: it cannot start, or cannot go on; the parent tells that as the reason */
	SUPERVISE_START_RUNNER = 16, /* control; id; u8 life (0 compile, 1 serve); fds: input, compile: and output */
	SUPERVISE_KILL_RUNNER = 17,  /* control; id */
	SUPERVISE_OPEN_FOLDER = 18,  /* control; id; str path: manifest.toml and connector.wasm of a linked folder */
	SUPERVISE_PONG = 19,         /* answers PING */
	SUPERVISE_WATCH = 20,        /* control; id, from then on the watch's; u8 kind, bool keep, str path */
	SUPERVISE_UNWATCH = 21,      /* control; id of a watch */
	SUPERVISE_LIST = 22,      /* control; id; u32 watch, str after: its files by name, from the one behind that */
	SUPERVISE_OPEN_FILE = 23, /* control; id; u32 watch, str name */
	SUPERVISE_NOTIFY = 24,    /* control; id 0; str id of what waits for a person: told on the desktop */
	SUPERVISE_GATEWAY_LOST =
		25, /* control; id = pairs of the gateway that it has had; another is to come, unless it is on its way */
	/* parent to child */
	SUPERVISE_START = 32,          /* u32 count, (str key, str value) …: supervise_setting() */
	SUPERVISE_PEER = 33,           /* u8 role of the neighbour; fd */
	SUPERVISE_STOP = 34,           /* u64 ms: finish what is under way within that time, then exit 0 */
	SUPERVISE_LOG = 35,            /* fd: the new log file, to become standard error */
	SUPERVISE_LOCK = 36,           /* keeper: lock the vault now */
	SUPERVISE_PING = 37,           /* to be answered by PONG in its turn: a child that does not hangs */
	SUPERVISE_CHILD = 48,          /* control; supervise_child: a process of ours changed */
	SUPERVISE_RUNNER_STARTED = 49, /* control; id; u32 pid, u64 namespaces; fds: socket, standard error */
	SUPERVISE_RUNNER_FAILED = 50,  /* control; id; err */
	SUPERVISE_RUNNER_ENDED = 51,   /* control; id; i32 exit status or -1, i32 signal, bool crashed */
	SUPERVISE_FOLDER = 52,         /* control; id; str canonical path; fds: manifest, wasm */
	SUPERVISE_FOLDER_FAILED = 53,  /* control; id; err */
	SUPERVISE_WATCHED = 54,        /* control; id; str canonical path */
	SUPERVISE_LISTING = 55,        /* control; id; bool more, u32 count, (str name, u64 stamp) … */
	SUPERVISE_FILE = 56,           /* control; id; u64 stamp; fd */
	SUPERVISE_WATCH_FAILED = 57,   /* control; id; err: of WATCH, LIST and OPEN_FILE */
	SUPERVISE_CHANGED = 58,        /* control; id of a watch: a stamp of it is another, a file came or went */
	SUPERVISE_GATEWAY =
		40, /* control and egress; fd: an end of the pair of the gateway, with each PEER of the other */
	SUPERVISE_RELAY = 64, /* egress; id = the runner's; fds: the runner's socket, control's socket */
};

/*
 * What of the user's the parent watches for control, which may open none of it. A path that ends in `.md` is a file, every
 * other one a folder; files are opened for reading, if they are ordinary ones of the user and no symbolic links.
 */
enum supervise_watch {
	SUPERVISE_WATCH_ACTIONS,   /* a file, or the `*.md` of a folder without those that begin with '.' */
	SUPERVISE_WATCH_CONNECTOR, /* manifest.toml and connector.wasm of a folder; opened by OPEN_FOLDER */
	SUPERVISE_WATCH__MAX
};
#define SUPERVISE_WATCH_FILES_MAX 1024 /* action files of a folder */
#define SUPERVISE_WATCHES_MAX     512
#define SUPERVISE_PATH_MAX        4095 /* bytes of a path */
#define SUPERVISE_NAME_MAX        255  /* bytes of a file's name */

/* What a notice names: 1 to SUPERVISE_NOTICE_MAX letters, digits and '-'. */
#define SUPERVISE_NOTICE_MAX 40
bool supervise_notice_is_valid(struct str id);

struct supervise_frame {
	uint32_t type, id;
	uint32_t n;    /* bytes of body in use */
	uint32_t zero; /* 0 */
	unsigned char body[SUPERVISE_BODY];
};
_Static_assert(sizeof(struct supervise_frame) == 4608, "one size on the wire");

struct supervise_message {
	struct supervise_frame frame;
	int fds[SUPERVISE_FDS_MAX]; /* -1 = none; the receiver's, close-on-exec */
	size_t n_fds;
};
static inline struct str supervise_body(const struct supervise_message *m)
{
	return str_of(m->frame.body, m->frame.n);
}
void supervise_close_fds(struct supervise_message *m);

/* A connected SOCK_SEQPACKET pair, close-on-exec. */
int supervise_pair(int ret[2], struct err *err) __attribute__((warn_unused_result));
/* One frame. Waits while the peer's queue is full. SYSTEM with EPIPE when the peer is gone. Any thread. */
int supervise_send(int fd, uint32_t type, uint32_t id, struct str body, const int *fds, size_t n_fds, struct err *err)
	__attribute__((warn_unused_result));
/* The same without waiting, for a sender that serves others too: 1 sent, 0 no room now, -1. */
struct supervise_outgoing {
	uint32_t type, id;
	struct str body;
	const int *fds; /* the caller's */
	size_t n_fds;
};
int supervise_try_send(int fd, const struct supervise_outgoing *out, struct err *err)
	__attribute__((warn_unused_result));
/* 1 with a message, 0 at the end, 2 when a non-blocking descriptor has none, -1 PROTOCOL or SYSTEM. */
int supervise_recv(int fd, struct supervise_message *ret, struct err *err) __attribute__((warn_unused_result));

/* An err in as many bytes as fit in a body behind an id: without its details when those are too long. */
void supervise_put_err(struct buf *out, const struct err *err);

/* What control is told about a process, and shows in `status`. Texts are borrowed from the message. */
struct supervise_child {
	enum supervise_role role;
	bool running;
	bool silent; /* it runs and left a PING without an answer */
	uint32_t pid;
	uint32_t restarts;
	uint64_t started_at;    /* Unix ns, 0 = never */
	struct str last_end;    /* how the last one ended: "signal 9 (Killed)", "" = none has */
	struct str confinement; /* confine report as bytes, "" until it came */
};
void supervise_child_put(struct buf *out, const struct supervise_child *m);
int supervise_child_get(struct str body, struct supervise_child *ret, struct err *err)
	__attribute__((warn_unused_result));

/* Keys of START. All get the first three. */
#define SETTING_INSTANCE_ID "instance_id" /* 32 hex digits, new at every start of the parent */
#define SETTING_LOG_LEVEL   "log_level"   /* debug | info | warn | error */
#define SETTING_LOG_JSON    "log_json"    /* "1" or "0" */
/* control */
#define SETTING_ALLOWED             "allowed"         /* boundaries that the user goes without; for runners */
#define SETTING_TOKEN               "token"           /* the daemon's token, 64 hex digits */
#define SETTING_CAVEAT_KEY          "caveat_key"      /* 32 bytes */
#define SETTING_LISTEN              "listen"          /* "127.0.0.1:PORT" */
#define SETTING_STATE_DIR           "state_dir"       /* ~/.aileron, for messages alone */
#define SETTING_STARTED_AT          "started_at"      /* Unix ns */
#define SETTING_OTLP_ENDPOINT       "otlp_endpoint"   /* "http://127.0.0.1:4318", "" = off */
#define SETTING_OTLP_SERVICE        "otlp_service"    /* service.name */
#define SETTING_AUDIT_KEEP_DAYS     "audit_keep_days" /* 0 = for ever */
#define SETTING_AUDIT_KEEP_DAYS_MAX 36500
/* of config.yaml (daemon/config.h): flags are "0" or "1", "" stands for the default */
#define SETTING_APPROVAL_GRANTS          "approval_grants"
#define SETTING_APPROVAL_CONFIRM         "approval_confirm"  /* "none", "passphrase" */
#define SETTING_APPROVAL_EXPIRY_S        "approval_expiry_s" /* 1 and up */
#define SETTING_MCP_TOOL_APPROVAL        "mcp_tool_approval"
#define SETTING_GATEWAY_ANTHROPIC        "gateway_anthropic" /* URL */
#define SETTING_GATEWAY_OPENAI           "gateway_openai"
#define SETTING_GATEWAY_ALLOW_PRIVATE    "gateway_allow_private"
#define SETTING_GATEWAY_INJECT_ANTHROPIC "gateway_inject_anthropic" /* name of a vault entry, "" = none */
#define SETTING_GATEWAY_INJECT_OPENAI    "gateway_inject_openai"
/* keeper, egress; egress has those of the gateway, too */
#define SETTING_AUTO_LOCK_MS "auto_lock_ms" /* 0 = never */
#define SETTING_CA_FILE      "ca_file"      /* "1" when EGRESS_FD_CA holds certificates, else "0" */

/* ------------------------------------------------------------------------------------------------- the child's side */

/*
 * Called by main() of a child, first of all, with one thread: begins (confine_begin()), confines itself with `folder_fd`,
 * unless it is -1, as its working directory and the one place it may read and write (confine_options.own_folder), sends
 * PROOF, waits for START. On failure it has told the parent or the log; the caller exits 1.
 */
struct supervised_spec {
	const char *name; /* "aileron-keeper" */
	const struct confine_policy *policy;
	int keep_fds;
	int folder_fd; /* -1 = none */
};
struct supervise_start; /* settings that START carried; lives until the process ends */
const struct supervise_start *supervised_begin(const struct supervised_spec *spec, int argc, char **argv)
	__attribute__((warn_unused_result));
/* "" when it was not given. Secret ones (token, caveat_key) are wiped by supervised_forget(). */
struct str supervise_setting(const struct supervise_start *start, const char *key);
uint64_t supervise_setting_u64(const struct supervise_start *start, const char *key, uint64_t otherwise);
void supervised_forget(const struct supervise_start *start, const char *key);
int supervised_ready(struct str body, struct err *err) __attribute__((warn_unused_result));
/* The child's last words, before and after READY: told to the parent, which logs them; to the log when that is gone. */
void supervised_failed(const struct err *err);

/*
 * What the parent orders a child that serves. supervised_obey() reads one frame, which stays the caller's to close: it
 * answers PING, makes the file of LOG standard error (one that cannot be is logged, and the old one stays), checks what the
 * others carry, and calls. PROTOCOL for an order that is malformed or not for this child, at which the child ends.
 */
#define SUPERVISE_STOP_MAX_MS UINT64_C(3600000) /* what STOP gives beyond it is cut */
struct supervised_orders {
	unsigned neighbours; /* 1 << role of each that PEER may name */
	/* Takes over the descriptor. */
	int (*peer)(void *user, enum supervise_role role, int fd, struct err *err);
	void (*stop)(void *user, uint64_t ms);
	/* Whatever else came: 0, or -1 for what is refused; NULL refuses all. */
	int (*other)(void *user, struct supervise_message *m, struct err *err);
	void *user;
};
int supervised_obey(int fd, struct supervise_message *m, const struct supervised_orders *orders, struct err *err)
	__attribute__((warn_unused_result));
int supervised_refuse(const struct supervise_message *m, struct err *err); /* -1 PROTOCOL, naming the type */
